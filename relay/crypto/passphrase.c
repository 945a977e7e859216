/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/crypto/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "relay/crypto/digest.h"

char *passphrase_alloc(void)
{
	char *p;

	crypto_init();
	p = sodium_malloc(PASSPHRASE_MAX + 1);
	if (p == NULL)
		abort();
	return p;
}

void passphrase_free(char *passphrase)
{
	sodium_free(passphrase);
}

bool passphrase_read_line(int fd, char *dst)
{
	size_t n = 0;
	ssize_t got;
	char c;

	while ((got = read(fd, &c, 1)) == 1 && c != '\n') {
		if (n == PASSPHRASE_MAX || c == 0)
			return false;
		dst[n++] = c;
	}
	if (n > 0 && dst[n - 1] == '\r')
		n--;
	dst[n] = 0;
	return got >= 0 && n > 0;
}

static bool read_file(const char *path, char *dst, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return err_set(err, ERR_KEY, "%s: %s", path, strerror(errno));
	ok = passphrase_read_line(fd, dst);
	close(fd);
	return ok || err_set(err, ERR_KEY, "%s: no passphrase in its first line", path);
}

bool passphrase_read(const char *file, char **ret, struct err *err)
{
	const char *variable = getenv(PASSPHRASE_VARIABLE);
	CLEANUP(passphrase_free) char *text = NULL;

	if (file == NULL && (variable == NULL || *variable == 0)) {
		*ret = NULL;
		return true;
	}
	text = passphrase_alloc();
	if (file != NULL) {
		if (!read_file(file, text, err))
			return false;
	} else {
		if (strlen(variable) > PASSPHRASE_MAX)
			return err_set(err, ERR_KEY, PASSPHRASE_VARIABLE " is too long");
		memcpy(text, variable, strlen(variable) + 1);
	}
	*ret = STEAL(text);
	return true;
}

bool relay_key_open(const char *path, const char *passphrase_file, enum key_role role,
		    struct relay_key **ret, struct err *err)
{
	CLEANUP(passphrase_free) char *passphrase = NULL;
	struct key_file_info info;

	if (!relay_key_peek(path, &info, err))
		return false;
	if (info.encrypted && !passphrase_read(passphrase_file, &passphrase, err))
		return false;
	return relay_key_load_role(path, passphrase, role, ret, err);
}
