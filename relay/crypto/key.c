/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/crypto/key.h"

#include <assert.h>
#include <stdlib.h>

#include <sodium.h>

#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/key_secret.h"

static const char *const role_names[] = {
	[KEY_ROLE_GATEWAY] = "gateway",
	[KEY_ROLE_SUPPLIER] = "supplier",
	[KEY_ROLE_APPLICATION] = "application",
	[KEY_ROLE_REGISTRY] = "registry",
};

const char *key_role_name(enum key_role role)
{
	assert(role >= KEY_ROLE_GATEWAY && role <= KEY_ROLE_REGISTRY);
	return role_names[role];
}

bool key_role_parse(const char *s, enum key_role *ret)
{
	for (size_t i = KEY_ROLE_GATEWAY; i < ARRAY_SIZE(role_names); i++) {
		if (strcmp(s, role_names[i]) == 0) {
			*ret = (enum key_role)i;
			return true;
		}
	}
	return false;
}

static struct relay_key *key_alloc(enum key_role role)
{
	struct relay_key *key;

	assert(role >= KEY_ROLE_GATEWAY && role <= KEY_ROLE_REGISTRY);
	crypto_init();
	key = sodium_malloc(sizeof(*key));
	if (key == NULL)
		abort();
	key->role = role;
	return key;
}

struct relay_key *relay_key_generate(enum key_role role)
{
	struct relay_key *key = key_alloc(role);

	crypto_sign_keypair(key->public.b, key->secret);
	return key;
}

struct relay_key *relay_key_from_seed(enum key_role role, const uint8_t seed[KEY_SEED_BYTES])
{
	struct relay_key *key = key_alloc(role);

	crypto_sign_seed_keypair(key->public.b, key->secret, seed);
	return key;
}

void relay_key_destroy(struct relay_key *key)
{
	sodium_free(key); /* wipes */
}

const struct key_id *relay_key_public(const struct relay_key *key)
{
	return &key->public;
}

enum key_role relay_key_role(const struct relay_key *key)
{
	return key->role;
}
