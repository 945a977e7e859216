/* SPDX-License-Identifier: Apache-2.0
 * Passphrases and keys for verbs: as programs find them, else from the terminal. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "relay/cli/cli.h"

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
	ok = passphrase_read_line(tty, dst);
	tcsetattr(tty, TCSAFLUSH, &was);
	return write(tty, "\n", 1) == 1 && ok;
}

static bool from_terminal(bool twice, char **ret, struct err *err)
{
	CLEANUP(passphrase_free) char *text = passphrase_alloc();
	CLEANUP(passphrase_free) char *again = passphrase_alloc();
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	bool ok;

	if (tty < 0)
		return err_set(err, ERR_KEY,
			       "no passphrase: give a file of it, set " PASSPHRASE_VARIABLE
			       ", or run this on a terminal");
	ok = prompt(tty, "Passphrase: ", text) && (!twice || prompt(tty, "Again: ", again));
	close(tty);
	if (!ok)
		return err_set(err, ERR_KEY, "no passphrase was typed");
	if (twice && strcmp(text, again) != 0)
		return err_set(err, ERR_KEY, "the two passphrases differ");
	*ret = STEAL(text);
	return true;
}

bool cli_passphrase(const char *file, bool ask, bool twice, char **ret, struct err *err)
{
	CLEANUP(passphrase_free) char *text = NULL;

	if (!passphrase_read(file, &text, err))
		return false;
	if (text == NULL && ask && !from_terminal(twice, &text, err))
		return false;
	*ret = STEAL(text);
	return true;
}

bool cli_key_load(const char *path, const char *passphrase_file, enum key_role role,
		  struct relay_key **ret, struct err *err)
{
	CLEANUP(passphrase_free) char *passphrase = NULL;
	struct key_file_info info;

	if (!relay_key_peek(path, &info, err))
		return false;
	if (info.encrypted && !cli_passphrase(passphrase_file, true, false, &passphrase, err))
		return false;
	return relay_key_load_role(path, passphrase, role, ret, err);
}
