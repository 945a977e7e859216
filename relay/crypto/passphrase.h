/* SPDX-License-Identifier: Apache-2.0
 * Where a program without a terminal finds the passphrase of its key: a file, else the environment.
 * Asking a person is relay/cli's matter. */
#ifndef RELAY_CRYPTO_PASSPHRASE_H
#define RELAY_CRYPTO_PASSPHRASE_H

#include "relay/crypto/key.h"

#define PASSPHRASE_MAX 1024 /* bytes */
#define PASSPHRASE_VARIABLE "COUNTERFOIL_PASSPHRASE"

/* Memory for a passphrase of PASSPHRASE_MAX bytes and a NUL: locked, wiped by passphrase_free(). */
char *passphrase_alloc(void);
/* Wipes; NULL is allowed. */
void passphrase_free(char *passphrase);
DEFINE_CLEANUP(char *, passphrase_free)

/* Reads a line of 1..PASSPHRASE_MAX bytes, without its end, into memory of passphrase_alloc(). */
MUST_USE bool passphrase_read_line(int fd, char *dst);

/* The first line of `file`; with NULL, the environment's COUNTERFOIL_PASSPHRASE; with neither,
 * *ret = NULL.  Errors: ERR_KEY. */
MUST_USE bool passphrase_read(const char *file, char **ret, struct err *err);

/* Opens a key of a role as a program does at its start: with the passphrase above if the file is
 * encrypted.  Errors: as relay_key_load_role(). */
MUST_USE bool relay_key_open(const char *path, const char *passphrase_file, enum key_role role,
			     struct relay_key **ret, struct err *err);

#endif
