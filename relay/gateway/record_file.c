/* SPDX-License-Identifier: Apache-2.0
 * The file of a recording. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/gateway/record.h"

struct record_file {
	FILE *file;
	uint64_t bytes, max;
};

bool record_file_create(const char *path, uint64_t max_bytes, struct record_file **ret,
			struct err *err)
{
	CLEANUP(xfree) char *old = xasprintf("%s.old", path);
	FILE *file;
	int fd;

	if (rename(path, old) != 0 && errno != ENOENT)
		return err_set(err, ERR_IO, "%s: %s", old, strerror(errno));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!file) {
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->file = file;
	(*ret)->max = max_bytes;
	return true;
}

void record_file_close(struct record_file *file)
{
	if (!file)
		return;
	if (fclose(file->file) != 0)
		log_error("gateway.record_failed", "\"%s\"", strerror(errno));
	free(file);
}

bool record_file_put(void *arg, struct view entry)
{
	struct record_file *file = arg;

	if (entry.n > file->max - file->bytes) {
		log_warn("gateway.record_full", "bytes=%llu", (unsigned long long)file->bytes);
		return false;
	}
	if (fwrite(entry.p, 1, entry.n, file->file) != entry.n) {
		log_error("gateway.record_failed", "\"%s\"", strerror(errno));
		return false;
	}
	file->bytes += entry.n;
	metric_add(METRIC_GATEWAY_RECORDED, entry.n);
	return true;
}
