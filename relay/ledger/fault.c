/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/ledger/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/ledger/internal.h"
#include "relay/ledger/reader_internal.h"

#define MAGIC "CFF1"
#define HEAD_BYTES (4 + 32 + 16 + 8 + 4)
#define FILE_BYTES_MAX (HEAD_BYTES + LEDGER_FAULT_LEAVES_MAX * (size_t)LEDGER_LEAF_BYTES + 32 + 64)
#define HEX_KEY 64
#define HEX_LANE 32

/* --- its bytes: all of it in the order of the struct --- */

static void encode(const struct ledger_fault *f, struct buf *out)
{
	buf_put_str(out, MAGIC);
	buf_put(out, f->supplier.b, sizeof(f->supplier.b));
	buf_put(out, f->lane.b, sizeof(f->lane.b));
	buf_put_u64(out, f->first);
	buf_put_u32(out, f->count);
	buf_put(out, f->leaves, f->count * sizeof(f->leaves[0]));
	buf_put(out, f->head.root.b, sizeof(f->head.root.b));
	buf_put(out, f->head.signature.b, sizeof(f->head.signature.b));
}

static bool decode(struct view bytes, struct ledger_fault *ret)
{
	struct reader r = reader_of(bytes);
	struct view magic = read_bytes(&r, sizeof(MAGIC) - 1);

	read_copy(&r, ret->supplier.b, sizeof(ret->supplier.b));
	read_copy(&r, ret->lane.b, sizeof(ret->lane.b));
	ret->first = read_u64(&r);
	ret->count = read_u32(&r);
	if (r.bad || !view_eq(magic, VIEW_STR(MAGIC)) || ret->count == 0 ||
	    ret->count > LEDGER_FAULT_LEAVES_MAX ||
	    ret->first > LEDGER_LANE_LEAVES - (uint64_t)ret->count)
		return false;
	read_copy(&r, ret->leaves, ret->count * sizeof(ret->leaves[0]));
	read_copy(&r, ret->head.root.b, sizeof(ret->head.root.b));
	read_copy(&r, ret->head.signature.b, sizeof(ret->head.signature.b));
	ret->head.size = ret->first + ret->count;
	return reader_done(&r);
}

/* --- keeping --- */

static uint64_t count_files(const char *dir)
{
	DIR *open = opendir(dir);
	struct dirent *entry;
	uint64_t n = 0;

	while (open != NULL && (entry = readdir(open)) != NULL)
		n += entry->d_name[0] != '.';
	if (open != NULL)
		closedir(open);
	return n;
}

static bool make_folder(const char *path, struct err *err)
{
	return mkdir(path, 0700) == 0 || errno == EEXIST ||
	       err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
}

static bool write_file(const char *path, struct view bytes, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good;

	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_LIMIT, "%s is kept already", path);
	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	good = write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n;
	good = close(fd) == 0 && good;
	if (good)
		return true;
	unlink(path);
	return err_set(err, ERR_IO, "%s: could not be written", path);
}

bool ledger_fault_keep(const struct ledger *ledger, const struct ledger_fault *fault, uint64_t max,
		       struct err *err)
{
	char key[HEX_KEY + 1], lane[HEX_LANE + 1];
	CLEANUP(buf_finish) struct buf bytes = {0};
	CLEANUP(xfree) char *all = xasprintf("%s/faults", ledger->dir);
	CLEANUP(xfree)
	char *folder = xasprintf("%s/%s", all,
				 hex_encode(fault->supplier.b, sizeof(fault->supplier.b), key));
	CLEANUP(xfree)
	char *path =
		xasprintf("%s/%s", folder, hex_encode(fault->lane.b, sizeof(fault->lane.b), lane));

	assert(fault->count >= 1 && fault->count <= LEDGER_FAULT_LEAVES_MAX);
	if (count_files(folder) >= max)
		return err_set(err, ERR_LIMIT, "evidence.faults_max of this supplier are kept");
	encode(fault, &bytes);
	return make_folder(all, err) && make_folder(folder, err) &&
	       write_file(path, buf_view(&bytes), err);
}

/* --- reading --- */

/* A file that is not as it should be was torn by a crash: it is passed over. */
static bool read_file(const char *path, struct ledger_fault *ret)
{
	CLEANUP(xfree) uint8_t *bytes = xmalloc(FILE_BYTES_MAX + 1);
	FILE *file = fopen(path, "rb");
	size_t n;

	if (file == NULL)
		return false;
	n = fread(bytes, 1, FILE_BYTES_MAX + 1, file);
	fclose(file);
	return decode(VIEW(bytes, n), ret);
}

/* The faults of one supplier; false when fn wants no more. */
static bool each_of(const char *folder, struct ledger_fault *fault, ledger_fault_fn *fn, void *arg)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);
	bool more = true;

	for (int i = 0; i < n; i++) {
		CLEANUP(xfree) char *path = xasprintf("%s/%s", folder, entries[i]->d_name);

		if (more && entries[i]->d_name[0] != '.' && read_file(path, fault))
			more = fn(arg, fault);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return more;
}

bool ledger_each_fault(struct ledger_reader *reader, ledger_fault_fn *fn, void *arg,
		       struct err *err)
{
	CLEANUP(xfree) struct ledger_fault *fault = xcalloc(1, sizeof(*fault));
	CLEANUP(xfree) char *all = xasprintf("%s/faults", reader->dir);
	struct dirent **entries;
	int n = scandir(all, &entries, NULL, alphasort);
	bool more = true;

	if (n < 0 && errno != ENOENT)
		return err_set(err, ERR_IO, "%s: %s", all, strerror(errno));
	for (int i = 0; i < n; i++) {
		CLEANUP(xfree) char *folder = xasprintf("%s/%s", all, entries[i]->d_name);

		if (more && entries[i]->d_name[0] != '.')
			more = each_of(folder, fault, fn, arg);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return true;
}
