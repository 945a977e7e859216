/* SPDX-License-Identifier: Apache-2.0
 * Makes keys and a sqlite registry for tests in other languages, whose entries all count from
 *height 0, so that a session is there at once.  Reads lines of words from standard input, in this
 *order (KEY is 64 hex digits or the path of a key file, which is made when it is not there):
 *
 *	NAME NUMBER                       block_ms, or a parameter of struct session_params
 *	registry PATH KEY                 the registry, with the service eth
 *	supplier KEY ENDPOINT STAKE PRICE
 *	application KEY ESCROW
 *	grant APPLICATION GATEWAY BUDGET  the application's KEY is a file
 *	key ROLE PATH                     anywhere
 *
 * Prints the public half of each key of a `key' line. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"
#include "session/registry/store.h"

#define WORD_MAX 300

struct maker {
	struct session_params params;
	uint64_t block_ms;
	struct store *store;
	struct store_write write;
	char words[5][WORD_MAX];
	int words_n;
};

static const struct service_name eth = {"eth"};

static bool key_of(const char *path, enum key_role role, struct relay_key **ret, struct err *err)
{
	if (access(path, F_OK) == 0)
		return relay_key_load_role(path, NULL, role, ret, err);
	*ret = relay_key_generate(role);
	return relay_key_save(*ret, path, NULL, err);
}

static bool public_of(const char *word, enum key_role role, struct key_id *ret, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;

	if (strlen(word) == 64 && hex_decode(word, 64, ret->b, 32))
		return true;
	if (!key_of(word, role, &key, err))
		return false;
	*ret = *relay_key_public(key);
	return true;
}

static bool number(const char *word, u128 *ret, struct err *err)
{
	return u128_parse(word, strlen(word), ret) || err_set(err, ERR_USAGE, "a number: %s", word);
}

static bool put_param(struct maker *m, struct err *err)
{
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = {
		{"block_ms", &m->block_ms},
		{"session_blocks", &m->params.session_blocks},
		{"snapshot_lag", &m->params.snapshot_lag},
		{"seed_lag", &m->params.seed_lag},
		{"grace_blocks", &m->params.grace_blocks},
		{"claim_window", &m->params.claim_window},
		{"challenge_lag", &m->params.challenge_lag},
		{"proof_window", &m->params.proof_window},
	};
	u128 value;

	if (!number(m->words[1], &value, err))
		return false;
	if (strcmp(m->words[0], "session_suppliers") == 0) {
		m->params.session_suppliers = (uint32_t)value;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(m->words[0], known[i].name) == 0) {
			*known[i].value = (uint64_t)value;
			return true;
		}
	}
	return err_set(err, ERR_USAGE, "what is `%s'?", m->words[0]);
}

static bool make_registry(struct maker *m, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	struct service_entry service = {.name = eth};
	height_t height;

	service.table = *method_table_hash(chain_table(chain_find("evm")));
	return key_of(m->words[2], KEY_ROLE_REGISTRY, &key, err) &&
	       store_create(m->words[1], &m->params, m->block_ms, key, m->write.now_ms, &m->store,
			    err) &&
	       store_put_service(m->store, &m->write, &service, &height, err);
}

static bool put_supplier(struct maker *m, struct err *err)
{
	struct service_name service = eth;
	struct supplier_entry e = {.services_n = 1, .services = &service, .endpoint = m->words[2]};
	height_t height;
	u128 price;

	if (!public_of(m->words[1], KEY_ROLE_SUPPLIER, &e.key, err) ||
	    !number(m->words[3], &e.stake, err) || !number(m->words[4], &price, err))
		return false;
	e.price = (uint64_t)price;
	e.owner = owner_default(&e.key);
	return store_put_supplier(m->store, &m->write, &e, &height, err);
}

static bool put_application(struct maker *m, struct err *err)
{
	struct application_entry e = {0};
	height_t height;

	return public_of(m->words[1], KEY_ROLE_APPLICATION, &e.key, err) &&
	       number(m->words[2], &e.escrow, err) &&
	       store_put_application(m->store, &m->write, &e, &height, err);
}

static bool put_grant(struct maker *m, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *application = NULL;
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct grant_entry e = {.service = eth, .nonce = 1};
	height_t height;

	if (!key_of(m->words[1], KEY_ROLE_APPLICATION, &application, err) ||
	    !public_of(m->words[2], KEY_ROLE_GATEWAY, &e.gateway, err) ||
	    !number(m->words[3], &e.budget, err))
		return false;
	e.application = *relay_key_public(application);
	grant_bytes(store_network(m->store), &e, &bytes);
	sign_bytes(application, bytes.p, bytes.n, &e.signature);
	return store_put_grant(m->store, &m->write, &e, &height, err);
}

static bool print_key(struct maker *m, struct err *err)
{
	enum key_role role;
	struct key_id id;
	char hex[65];

	if (!key_role_parse(m->words[1], &role))
		return err_set(err, ERR_USAGE, "no role: %s", m->words[1]);
	if (!public_of(m->words[2], role, &id, err))
		return false;
	puts(hex_encode(id.b, 32, hex));
	return true;
}

static bool put_line(struct maker *m, struct err *err)
{
	static const struct {
		const char *word;
		int words_n;
		bool (*put)(struct maker *m, struct err *err);
	} lines[] = {
		{"key", 3, print_key},	       {"registry", 3, make_registry},
		{"supplier", 5, put_supplier}, {"application", 3, put_application},
		{"grant", 4, put_grant},
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (strcmp(m->words[0], lines[i].word) == 0 && m->words_n == lines[i].words_n)
			return lines[i].put(m, err);
	}
	return put_param(m, err);
}

int main(void)
{
	struct maker m = {.params = session_params_default, .block_ms = 1000};
	char line[1000];
	struct err err = {.msg = ""};
	msec_t next_ms;
	bool good = true;

	crypto_init();
	clock_tick();
	m.write = (struct store_write){.now_ms = clock_wall_ms(), .genesis = true};
	while (good && fgets(line, sizeof(line), stdin)) {
		m.words_n = sscanf(line, "%299s %299s %299s %299s %299s", m.words[0], m.words[1],
				   m.words[2], m.words[3], m.words[4]);
		good = put_line(&m, &err);
	}
	good = good && (!m.store || store_keep(m.store, clock_wall_ms(), &next_ms, &err));
	if (!good)
		fprintf(stderr, "%s%s\n", line, err.msg);
	store_close(m.store);
	return good ? 0 : 1;
}
