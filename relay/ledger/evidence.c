/* SPDX-License-Identifier: Apache-2.0
 * Evidence: request and response encodings in append-only segment files.  Nothing is fsynced and
 * nothing is checksummed here, because the hashes of the leaves bind every byte: what a crash tore
 * reads as "not kept".  The oldest segment goes when the limits are passed. */
#include "relay/ledger/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEGMENT_MIN (UINT64_C(1) << 16)
#define SEGMENT_MAX (UINT64_C(1) << 30) /* offsets have 40 bits; batches are far smaller */
#define SEGMENTS 8			/* the limit is kept in steps of an eighth */
#define IOV_GROUP 256

void evidence_segment_path(const char *dir, uint64_t segment, char *dst)
{
	snprintf(dst, LEDGER_PATH_MAX, "%s/evidence/%06" PRIu64 ".log", dir, segment);
}

static uint64_t evidence_size(const struct evidence *ev, uint64_t segment, msec_t *ret_mtime_ms)
{
	char path[LEDGER_PATH_MAX];
	struct stat st;

	evidence_segment_path(ev->dir, segment, path);
	if (stat(path, &st) != 0)
		return 0;
	if (ret_mtime_ms != NULL)
		*ret_mtime_ms = (msec_t)st.st_mtime * 1000;
	return (uint64_t)st.st_size;
}

static bool evidence_scan(struct evidence *ev, struct err *err)
{
	char path[LEDGER_PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	dir = opendir(store_path(ev->dir, "evidence", path));
	if (dir == NULL)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	while ((entry = readdir(dir)) != NULL) {
		char *end;
		uint64_t n = strtoull(entry->d_name, &end, 10);

		if (n == 0 || n >= 1 << 23 || strcmp(end, ".log") != 0)
			continue;
		ev->first = ev->first == 0 ? n : MIN(ev->first, n);
		ev->last = MAX(ev->last, n);
		ev->bytes += evidence_size(ev, n, NULL);
	}
	closedir(dir);
	return true;
}

/* Begins the next segment: also after every start, so that a torn tail is never written over. */
static bool evidence_next(struct evidence *ev)
{
	char path[LEDGER_PATH_MAX];
	int fd;

	evidence_segment_path(ev->dir, ev->last + 1, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (ev->fd >= 0)
		close(ev->fd);
	ev->fd = fd;
	ev->last++;
	ev->first = ev->first == 0 ? ev->last : ev->first;
	ev->offset = 0;
	ev->begun_ms = clock_wall_ms();
	return true;
}

bool evidence_open(struct evidence *ev, const char *dir, uint64_t max_bytes, msec_t keep_ms,
		   struct err *err)
{
	char path[LEDGER_PATH_MAX];

	*ev = (struct evidence){.fd = -1, .max_bytes = max_bytes, .keep_ms = keep_ms};
	snprintf(ev->dir, sizeof(ev->dir), "%s", dir);
	ev->segment_max = MIN(MAX(max_bytes / SEGMENTS, SEGMENT_MIN), SEGMENT_MAX);
	if (mkdir(store_path(dir, "evidence", path), 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return evidence_scan(ev, err);
}

void evidence_close(struct evidence *ev)
{
	if (ev->fd >= 0)
		close(ev->fd);
	ev->fd = -1;
}

void evidence_prune(struct evidence *ev, msec_t now_ms, uint64_t room)
{
	char path[LEDGER_PATH_MAX];

	while (ev->first != 0 && ev->first <= ev->last) {
		msec_t mtime_ms = now_ms;
		uint64_t size = evidence_size(ev, ev->first, &mtime_ms);
		bool old = ev->keep_ms > 0 && mtime_ms < now_ms - ev->keep_ms;

		if (!old && atomic_load(&ev->bytes) + room <= ev->max_bytes)
			return;
		if (ev->first == ev->last) { /* the one that is being written: close it first */
			if (!old || ev->offset == 0 || !evidence_next(ev))
				return;
		}
		evidence_segment_path(ev->dir, ev->first, path);
		unlink(path);
		atomic_fetch_sub(&ev->bytes, size);
		metric_add(METRIC_LEDGER_EVIDENCE_DROPPED, size);
		ev->first++;
	}
}

static bool evidence_room(struct evidence *ev, uint64_t bytes)
{
	bool aged = ev->keep_ms > 0 && clock_wall_ms() - ev->begun_ms > ev->keep_ms / SEGMENTS;

	if (ev->fd >= 0 && ev->offset + bytes <= ev->segment_max && !(aged && ev->offset > 0))
		return true;
	if (!evidence_next(ev))
		return false;
	evidence_prune(ev, clock_wall_ms(), MAX(bytes, ev->segment_max));
	return true;
}

static bool evidence_put(struct evidence *ev, const struct iovec *iov, int n, uint64_t bytes)
{
	struct stat st;

	if (pwritev(ev->fd, iov, n, (off_t)ev->offset) == (ssize_t)bytes) {
		ev->offset += bytes;
		atomic_fetch_add(&ev->bytes, bytes);
		return true;
	}
	/* Whatever came through is never pointed at; go on behind it. */
	if (fstat(ev->fd, &st) == 0 && (uint64_t)st.st_size > ev->offset) {
		atomic_fetch_add(&ev->bytes, (uint64_t)st.st_size - ev->offset);
		ev->offset = (uint64_t)st.st_size;
	}
	return false;
}

static struct ledger_batch *evidence_group(struct evidence *ev, struct ledger_batch *op)
{
	struct ledger_batch *first = op, *end;
	struct iovec iov[IOV_GROUP];
	uint64_t bytes = 0, at;
	uint64_t lost;
	int n = 0;

	for (; op != NULL && n < IOV_GROUP; op = op->next) {
		if (op->evidence.n == 0)
			continue;
		if (n > 0 && bytes + op->evidence.n > ev->segment_max)
			break;
		iov[n].iov_base = op->evidence.p;
		iov[n++].iov_len = op->evidence.n;
		bytes += op->evidence.n;
	}
	end = op;
	if (n == 0)
		return end;
	if (!evidence_room(ev, bytes)) {
		if (log_every(&ev->gate, 10000000, &lost))
			log_warn("ledger.evidence", "error=\"%s\" what=segment", strerror(errno));
		return end;
	}
	at = ev->last << 40 | ev->offset;
	if (!evidence_put(ev, iov, n, bytes)) {
		if (log_every(&ev->gate, 10000000, &lost))
			log_warn("ledger.evidence", "error=\"%s\" what=write", strerror(errno));
		return end;
	}
	for (op = first; op != end; op = op->next) {
		op->evidence_at = op->evidence.n > 0 ? at : 0;
		at += op->evidence.n;
	}
	return end;
}

/* Places were offsets within the batch; now they are where the bytes are. */
static void evidence_place(struct ledger_batch *op)
{
	for (uint8_t *p = op->places.p; p < op->places.p + op->places.n; p += LEDGER_PLACE_BYTES) {
		uint64_t offset = get_be64(p);

		if (offset != 0)
			put_be64(p, op->evidence_at + offset - 1);
	}
}

void evidence_write(struct evidence *ev, struct ledger_batch *first)
{
	if (ev->max_bytes == 0)
		return;
	for (struct ledger_batch *op = first; op != NULL;)
		op = evidence_group(ev, op);
	for (struct ledger_batch *op = first; op != NULL; op = op->next)
		if (op->evidence_at != 0)
			evidence_place(op);
}
