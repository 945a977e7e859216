/* SPDX-License-Identifier: Apache-2.0
 * Passphrases and keys for verbs: from a file, the environment or the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "relay/cli/cli.h"

void cli_passphrase_free(char *passphrase)
{
	sodium_free(passphrase);
}

/* Reads one line of at most CLI_PASSPHRASE_MAX bytes, without its end. */
static bool read_line(int fd, char *dst)
{
	size_t n = 0;
	ssize_t got;
	char c;

	while ((got = read(fd, &c, 1)) == 1 && c != '\n') {
		if (n == CLI_PASSPHRASE_MAX)
			return false;
		dst[n++] = c;
	}
	if (n > 0 && dst[n - 1] == '\r')
		n--;
	dst[n] = 0;
	return got >= 0 && n > 0;
}

static bool from_file(const char *path, char *dst, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return err_set(err, ERR_KEY, "%s: %s", path, strerror(errno));
	ok = read_line(fd, dst);
	close(fd);
	return ok || err_set(err, ERR_KEY, "%s: no passphrase in its first line", path);
}

static bool prompt(int tty, const char *text, char *dst)
{
	struct termios was, quiet;
	bool ok;

	if (write(tty, text, strlen(text)) < 0 || tcgetattr(tty, &was) != 0)
		return false;
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	if (tcsetattr(tty, TCSAFLUSH, &quiet) != 0)
		return false;
	ok = read_line(tty, dst);
	tcsetattr(tty, TCSAFLUSH, &was);
	return write(tty, "\n", 1) == 1 && ok;
}

static bool from_terminal(bool twice, char *dst, struct err *err)
{
	CLEANUP(cli_passphrase_free) char *again = sodium_malloc(CLI_PASSPHRASE_MAX + 1);
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	bool ok;

	if (again == NULL)
		abort();
	if (tty < 0)
		return err_set(
			err, ERR_KEY,
			"no passphrase: give a file of it, set COUNTERFOIL_PASSPHRASE, or run "
			"this on a terminal");
	ok = prompt(tty, "Passphrase: ", dst) && (!twice || prompt(tty, "Again: ", again));
	close(tty);
	if (!ok)
		return err_set(err, ERR_KEY, "no passphrase was typed");
	if (twice && strcmp(dst, again) != 0)
		return err_set(err, ERR_KEY, "the two passphrases differ");
	return true;
}

bool cli_passphrase(const char *file, bool ask, bool twice, char **ret, struct err *err)
{
	CLEANUP(cli_passphrase_free) char *text = sodium_malloc(CLI_PASSPHRASE_MAX + 1);
	const char *variable = getenv("COUNTERFOIL_PASSPHRASE");

	if (text == NULL)
		abort();
	if (file != NULL) {
		if (!from_file(file, text, err))
			return false;
	} else if (variable != NULL && *variable != 0) {
		if (strlen(variable) > CLI_PASSPHRASE_MAX)
			return err_set(err, ERR_KEY, "COUNTERFOIL_PASSPHRASE is too long");
		memcpy(text, variable, strlen(variable) + 1);
	} else if (!ask) {
		*ret = NULL;
		return true;
	} else if (!from_terminal(twice, text, err)) {
		return false;
	}
	*ret = STEAL(text);
	return true;
}

bool cli_key_load(const char *path, const char *passphrase_file, enum key_role role,
		  struct relay_key **ret, struct err *err)
{
	CLEANUP(cli_passphrase_free) char *passphrase = NULL;
	struct key_file_info info;

	if (!relay_key_peek(path, &info, err))
		return false;
	if (info.encrypted && !cli_passphrase(passphrase_file, true, false, &passphrase, err))
		return false;
	return relay_key_load_role(path, passphrase, role, ret, err);
}
