/* SPDX-License-Identifier: Apache-2.0
 * Ed25519 keys of one role each ([K1]) and their files.  The secret lives in guarded, locked memory
 * (sodium_malloc) that is wiped when freed; it never stands in an error, a log or a core dump.
 *
 * A key file is text, one item a line, each ending in \n, in this order:
 *	counterfoil-key 1
 *	role gateway|supplier|application|registry
 *	public <64 hex>
 *	secret <64 hex>						the seed; in a file without
 *passphrase kdf argon2id13 <ops> <memory bytes> <salt, base64>	in one with a passphrase ... box
 *<nonce, base64> <box, base64>			... secretbox of u8 role || seed 32 It has mode 0600
 *and is refused with a wider one. */
#ifndef RELAY_CRYPTO_KEY_H
#define RELAY_CRYPTO_KEY_H

#include "relay/base/err.h"
#include "relay/base/ids.h"

enum key_role {
	KEY_ROLE_GATEWAY = 1, /* 1 and 2 are the roles of HELLO [F4] */
	KEY_ROLE_SUPPLIER = 2,
	KEY_ROLE_APPLICATION = 3,
	KEY_ROLE_REGISTRY = 4,
};

#define KEY_SEED_BYTES 32
#define KEY_FILE_MAX 1024 /* bytes; a longer file is not a key file */

struct relay_key; /* a secret key, its public half and its role; opaque */

/* "gateway", "supplier", "application" or "registry". */
const char *key_role_name(enum key_role role);
MUST_USE bool key_role_parse(const char *s, enum key_role *ret);

/* A new key from the kernel's random numbers. */
struct relay_key *relay_key_generate(enum key_role role);
/* The key of a seed: the same seed gives the same key (RFC 8032).  For tests and vectors. */
struct relay_key *relay_key_from_seed(enum key_role role, const uint8_t seed[KEY_SEED_BYTES]);
/* Wipes the secret; NULL is allowed. */
void relay_key_destroy(struct relay_key *key);

/* The public half; lives as long as the key. */
const struct key_id *relay_key_public(const struct relay_key *key);
enum key_role relay_key_role(const struct relay_key *key);

/* Reads a key file.
 * passphrase  of an encrypted file; NULL: none.  One given for a plain file is an error, since its
 *             owner believes the file to be encrypted.
 * Errors: ERR_KEY with the path and the reason (missing, mode wider than 0600, not a key file, no
 * or wrong passphrase).  Takes about 0.2 s and 64 MiB for an encrypted file. */
MUST_USE bool relay_key_load(const char *path, const char *passphrase, struct relay_key **ret,
			     struct err *err);

/* As relay_key_load(), and the role must be `role`: a gateway's key does not run a node. */
MUST_USE bool relay_key_load_role(const char *path, const char *passphrase, enum key_role role,
				  struct relay_key **ret, struct err *err);

/* Writes a new file of mode 0600 and syncs it and its folder to disk.  An existing file is never
 * overwritten.  passphrase: encrypt with it; NULL: do not.  Errors: ERR_KEY. */
MUST_USE bool relay_key_save(const struct relay_key *key, const char *path, const char *passphrase,
			     struct err *err);

/* What a key file says without its secret being opened. */
struct key_file_info {
	enum key_role role;
	struct key_id public;
	bool encrypted;
};

/* Errors: as relay_key_load(), the passphrase apart. */
MUST_USE bool relay_key_peek(const char *path, struct key_file_info *ret, struct err *err);

DEFINE_CLEANUP(struct relay_key *, relay_key_destroy)

#endif
