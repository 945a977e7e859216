/* SPDX-License-Identifier: Apache-2.0
 * A disk that is slow or fails on order, for programs under test: preloaded (LD_PRELOAD), it stands
 * before the calls that write and sync.
 *
 * CF_BADDISK names a file of lines `CALL GLOB DELAY_MS ERRNO`: CALL is `sync` (fsync, fdatasync) or
 * `write` (write, pwrite, pwritev), GLOB is matched with the name of the file without its folders,
 * ERRNO 0 lets the call through after the delay.  The first line that fits counts.  The file is
 * read at each call, so that a test changes it while programs run; without it nothing is done. */
#undef _FILE_OFFSET_BITS /* or one name would stand for two symbols */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 4096 /* bytes of the file */

static bool rule_fits(const char *line, const char *call, const char *name, long *ret_ms,
		      int *ret_errno)
{
	char rule_call[16], glob[64];

	return sscanf(line, "%15s %63s %ld %d", rule_call, glob, ret_ms, ret_errno) == 4 &&
	       strcmp(rule_call, call) == 0 && fnmatch(glob, name, 0) == 0;
}

/* The file's rules as they are now; false when there are none. */
static bool rules_read(char dst[RULES_MAX])
{
	const char *path = getenv("CF_BADDISK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, dst, RULES_MAX - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	dst[n] = '\0';
	return true;
}

/* Name of the file of a descriptor, without its folders, in dst; NULL when it has none. */
static const char *name_of(int fd, char dst[4096])
{
	char link[64], *slash;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, dst, 4095);
	if (n <= 0)
		return NULL;
	dst[n] = '\0';
	slash = strrchr(dst, '/');
	return slash == NULL ? dst : slash + 1;
}

/* Waits as a rule says; true: the call fails, with errno set. */
static bool fails(const char *call, int fd)
{
	char rules[RULES_MAX], path[4096], *line, *rest = rules;
	int saved = errno, code;
	const char *name = NULL;
	long ms;

	if (rules_read(rules))
		name = name_of(fd, path);
	while (name != NULL && (line = strsep(&rest, "\n")) != NULL) {
		if (!rule_fits(line, call, name, &ms, &code))
			continue;
		if (ms > 0)
			nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
		errno = code == 0 ? saved : code;
		return code != 0;
	}
	errno = saved;
	return false;
}

int fsync(int fd)
{
	return fails("sync", fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fails("sync", fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
	return fails("write", fd) ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
	return fails("write", fd) ? -1 : syscall(SYS_pwrite64, fd, p, n, offset);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
	return fails("write", fd) ? -1 : syscall(SYS_pwrite64, fd, p, n, offset);
}

/* The kernel takes the offset in two halves; on 64 bits the second is not looked at. */
ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	return fails("write", fd) ? -1 : syscall(SYS_pwritev, fd, iov, n, offset, 0);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	return fails("write", fd) ? -1 : syscall(SYS_pwritev, fd, iov, n, offset, 0);
}
