/* SPDX-License-Identifier: Apache-2.0
 * Key files of any bytes, or made by the input and damaged: what is read without a passphrase is
 * written again to the same bytes, a key never loads whose halves do not belong together, and
 * errors say the file, never the secret. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/crypto/key.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1;
static char path[64];

/* One file in memory for all inputs. */
static void put_file(struct view bytes)
{
	if (file < 0) {
		file = memfd_create("key", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		if (file < 0 || fchmod(file, 0600) != 0)
			abort();
	}
	if (ftruncate(file, 0) != 0 || pwrite(file, bytes.p, bytes.n, 0) != (ssize_t)bytes.n)
		abort();
}

/* The text of a file without a passphrase, as key.h has it. */
static void put_plain(struct buf *b, enum key_role role, const struct key_id *public,
		      const uint8_t *seed)
{
	buf_putf(b, "counterfoil-key 1\nrole %s\npublic ", key_role_name(role));
	buf_put_hex(b, public->b, sizeof(public->b));
	buf_put_str(b, "\nsecret ");
	buf_put_hex(b, seed, KEY_SEED_BYTES);
	buf_put_str(b, "\n");
}

static void try_file(struct view bytes)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	struct key_file_info info = {.role = KEY_ROLE_GATEWAY};
	struct err err = {0};
	bool known;

	put_file(bytes);
	known = relay_key_peek(path, &info, &err);
	assert(known || (err.code == ERR_KEY && strncmp(err.msg, path, strlen(path)) == 0));
	assert(!known || info.role >= KEY_ROLE_GATEWAY);
	if (known &&
	    info.encrypted) { /* no passphrase: the box stays shut, and nothing is derived */
		known = relay_key_load(path, NULL, &key, &err);
		assert(!known && !key && err.code == ERR_KEY);
		return;
	}
	if (!relay_key_load(path, NULL, &key, &err)) {
		assert(!key && err.code == ERR_KEY);
		return;
	}
	assert(known && relay_key_role(key) == info.role);
	assert(ID_EQ(relay_key_public(key), &info.public));
	/* one way to write it: the secret of the text is the one that gives this public key */
	uint8_t seed[KEY_SEED_BYTES];
	CLEANUP(buf_finish) struct buf again = {0};
	bool ok = hex_decode((const char *)bytes.p + bytes.n - 65, 64, seed, sizeof(seed));

	assert(ok);
	put_plain(&again, info.role, &info.public, seed);
	assert(view_eq(buf_view(&again), bytes));
}

static void build(struct choices *c, struct buf *b)
{
	enum key_role role = (enum key_role)(1 + choose_below(c, 4));
	uint8_t seed[KEY_SEED_BYTES];
	struct relay_key *key;

	choose_fill(c, seed, sizeof(seed));
	key = relay_key_from_seed(role, seed);
	if (choose_u8(c) % 2 == 0) {
		put_plain(b, role, relay_key_public(key), seed);
	} else {
		uint8_t box[24 + 49];

		choose_fill(c, box, sizeof(box));
		buf_putf(b, "counterfoil-key 1\nrole %s\npublic ", key_role_name(role));
		buf_put_hex(b, relay_key_public(key)->b, 32);
		buf_putf(b, "\nkdf argon2id13 %u %u ", choose_below(c, 40),
			 choose_below(c, 3u << 29));
		buf_put_base64(b, box, 16);
		buf_put_str(b, "\nbox ");
		buf_put_base64(b, box, 24);
		buf_put_str(b, " ");
		buf_put_base64(b, box + 24, 49);
		buf_put_str(b, "\n");
	}
	relay_key_destroy(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	CLEANUP(buf_finish) struct buf built = {0};

	try_file(VIEW(data, size));
	build(&c, &built);
	try_file(buf_view(&built));
	while (choose_damage(&c, &built))
		try_file(buf_view(&built));
	return 0;
}
