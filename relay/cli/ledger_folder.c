/* SPDX-License-Identifier: Apache-2.0
 * The auditor's folder: files with their hashes, a manifest, and a place that is whole or empty. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/cli/ledger_verbs.h"

static bool place_is_free(const char *place, struct err *err)
{
	if (rmdir(place) != 0 && errno != ENOENT)
		return err_set(err, ERR_IO, "%s: %s", place,
			       errno == ENOTEMPTY || errno == EEXIST ? "is not empty"
								     : strerror(errno));
	return true;
}

bool folder_begin(const char *place, struct folder *ret, struct err *err)
{
	size_t n = strlen(place);

	while (n > 1 && place[n - 1] == '/')
		n--;
	*ret = (struct folder){.place = xstrndup(place, n)};
	if (!place_is_free(ret->place, err))
		return false;
	ret->part = xasprintf("%s.part-%d", ret->place, (int)getpid());
	if (mkdir(ret->part, 0700) != 0) {
		err_set(err, ERR_IO, "%s: %s", ret->part, strerror(errno));
		free(ret->part);
		ret->part = NULL;
		return false;
	}
	return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void folder_finish(struct folder *folder)
{
	if (folder->part != NULL)
		nftw(folder->part, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	for (size_t i = 0; i < folder->n; i++)
		free(folder->entries[i].path);
	free(folder->entries);
	free(folder->place);
	free(folder->part);
	*folder = (struct folder){0};
}

static bool make_parents(char *path, size_t from, struct err *err)
{
	for (char *p = path + from; (p = strchr(p, '/')) != NULL; p++) {
		*p = 0;
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		*p = '/';
	}
	return true;
}

void folder_file_open(struct folder *folder, const char *path, struct folder_file *ret)
{
	CLEANUP(xfree) char *full = xasprintf("%s/%s", folder->part, path);

	*ret = (struct folder_file){.folder = folder,
				    .path = xstrdup(path),
				    .fd = -1,
				    .sha256 = sha256_stream_create()};
	if (!make_parents(full, strlen(folder->part) + 1, &ret->err))
		return;
	ret->fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (ret->fd < 0)
		err_set(&ret->err, ERR_IO, "%s: %s", full, strerror(errno));
}

void folder_file_write(struct folder_file *file, const void *p, size_t n)
{
	const uint8_t *at = p;

	if (file->err.code != ERR_NONE || n == 0)
		return;
	sha256_stream_add(file->sha256, p, n);
	file->bytes += n;
	while (n > 0) {
		ssize_t done = write(file->fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			err_set(&file->err, ERR_IO, "%s: %s", file->path, strerror(errno));
			return;
		}
		at += done;
		n -= (size_t)done;
	}
}

bool folder_file_close(struct folder_file *file, struct err *err)
{
	struct folder *folder = file->folder;
	struct folder_entry entry = {.path = file->path, .bytes = file->bytes};

	sha256_stream_end(file->sha256, &entry.sha256);
	sha256_stream_destroy(file->sha256);
	if (file->fd >= 0 && close(file->fd) != 0 && file->err.code == ERR_NONE)
		err_set(&file->err, ERR_IO, "%s: %s", file->path, strerror(errno));
	if (file->err.code != ERR_NONE) {
		*err = file->err;
		free(file->path);
		return false;
	}
	if (folder->n == folder->cap) {
		folder->cap = MAX(folder->cap * 2, 64);
		folder->entries = xrealloc(folder->entries, folder->cap * sizeof(entry));
	}
	folder->entries[folder->n++] = entry;
	return true;
}

bool folder_put(struct folder *folder, const char *path, struct view bytes, struct err *err)
{
	struct folder_file file;

	folder_file_open(folder, path, &file);
	folder_file_write(&file, bytes.p, bytes.n);
	return folder_file_close(&file, err);
}

static int entry_order(const void *a, const void *b)
{
	const struct folder_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* The manifest lists every file but itself. */
static bool put_manifest(struct folder *folder, const struct network_id *network,
			 const struct ledger_identity *self, struct err *err)
{
	CLEANUP(buf_finish) struct buf json = {0};
	struct folder_file file;
	bool ok;

	qsort(folder->entries, folder->n, sizeof(*folder->entries), entry_order);
	buf_put_str(&json, "{\"version\":1,\"network\":\"");
	buf_put_hex(&json, network->b, sizeof(network->b));
	buf_putf(&json, "\",\"role\":\"%s\",\"self\":\"",
		 self->role == LEDGER_GATEWAY ? "gateway" : "supplier");
	buf_put_hex(&json, self->self.b, sizeof(self->self.b));
	buf_put_str(&json, "\",\"files\":[");
	for (size_t i = 0; i < folder->n; i++) { /* paths are ours: nothing to escape */
		buf_putf(&json, "%s\n{\"path\":\"%s\",\"bytes\":%llu,\"sha256\":\"", i ? "," : "",
			 folder->entries[i].path, (unsigned long long)folder->entries[i].bytes);
		buf_put_hex(&json, folder->entries[i].sha256.b, sizeof(struct hash));
		buf_put_str(&json, "\"}");
	}
	buf_put_str(&json, "]}\n");
	folder_file_open(folder, "manifest.json", &file);
	folder_file_write(&file, json.p, json.n);
	ok = folder_file_close(&file, err);
	return ok;
}

bool folder_end(struct folder *folder, const struct network_id *network,
		const struct ledger_identity *self, struct err *err)
{
	int fd;

	if (!put_manifest(folder, network, self, err))
		return false;
	fd = open(folder->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) != 0) {
		err_set(err, ERR_IO, "%s: %s", folder->part, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	if (rename(folder->part, folder->place) != 0)
		return err_set(err, ERR_IO, "%s: %s", folder->place, strerror(errno));
	free(folder->part);
	folder->part = NULL;
	return true;
}
