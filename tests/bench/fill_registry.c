/* SPDX-License-Identifier: Apache-2.0
 * Fills a registry for measurements of scale, in one transaction, where the verbs write one entry
 * a command:
 *
 *	fill_registry REGISTRY GATEWAY APPLICATIONS SUPPLIERS TOKENS
 *
 * adds so many funded applications, each with a grant to the gateway (a key, 64 hex digits), and so
 * many suppliers with a stake of one unit behind whose endpoints nobody listens; the lines of the
 * gateway's `tokens` file go to TOKENS.  All are entries as `fund`, `grant` and `stake` write them,
 * and count from the next height on.  Not for registries that anybody means to keep. */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "relay/base/clock.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"
#include "session/registry/store.h"
#include "tests/support/gen.h"

#define UNIT "1000000"	       /* stake_unit of a private network */
#define ESCROW "1000000000000" /* of each application */
#define BUDGET ((u128)1000000) /* of each grant */

struct fill {
	sqlite3 *db;
	struct network_id network;
	struct key_id gateway;
	height_t height;
	struct gen gen;
	FILE *tokens;
};

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "fill_registry: %s\n", what);
	exit(1);
}

static sqlite3_stmt *prepare(struct fill *fill, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	must(sqlite3_prepare_v2(fill->db, sql, -1, &stmt, NULL) == SQLITE_OK,
	     sqlite3_errmsg(fill->db));
	return stmt;
}

static void bind_key(sqlite3_stmt *stmt, int at, const struct key_id *key)
{
	sqlite3_bind_blob(stmt, at, key->b, sizeof(key->b), SQLITE_TRANSIENT);
}

static void run(struct fill *fill, sqlite3_stmt *stmt)
{
	must(sqlite3_step(stmt) == SQLITE_DONE, sqlite3_errmsg(fill->db));
	sqlite3_reset(stmt);
}

static void add_application(struct fill *fill, uint64_t number, sqlite3_stmt *fund,
			    sqlite3_stmt *grant)
{
	struct grant_entry e = {
		.gateway = fill->gateway, .service = {"eth"}, .budget = BUDGET, .nonce = 1};
	struct buf bytes = {0};
	struct relay_key *key;
	uint8_t seed[KEY_SEED_BYTES];
	char hex[65];

	gen_bytes(&fill->gen, seed, sizeof(seed));
	key = relay_key_from_seed(KEY_ROLE_APPLICATION, seed);
	e.application = *relay_key_public(key);
	grant_bytes(&fill->network, &e, &bytes);
	sign_bytes(key, bytes.p, bytes.n, &e.signature);
	relay_key_destroy(key);
	buf_finish(&bytes);
	bind_key(fund, 1, &e.application);
	run(fill, fund);
	bind_key(grant, 1, &e.application);
	sqlite3_bind_blob(grant, 4, e.signature.b, sizeof(e.signature.b), SQLITE_TRANSIENT);
	run(fill, grant);
	fprintf(fill->tokens, "bulk-token-%08llu %s\n", (unsigned long long)number,
		hex_encode(e.application.b, sizeof(e.application.b), hex));
}

static void add_applications(struct fill *fill, uint64_t n)
{
	sqlite3_stmt *fund = prepare(fill, "INSERT INTO applications VALUES (?, ?, '" ESCROW "')");
	sqlite3_stmt *grant = prepare(fill, "INSERT INTO grants VALUES (?, ?, 'eth', ?, '1000000', "
					    "'1', ?)");

	sqlite3_bind_int64(fund, 2, (sqlite3_int64)fill->height);
	bind_key(grant, 2, &fill->gateway);
	sqlite3_bind_int64(grant, 3, (sqlite3_int64)fill->height);
	for (uint64_t i = 0; i < n; i++)
		add_application(fill, i, fund, grant);
	sqlite3_finalize(fund);
	sqlite3_finalize(grant);
}

static void add_suppliers(struct fill *fill, uint64_t n)
{
	sqlite3_stmt *stake = prepare(fill, "INSERT INTO suppliers VALUES (?, ?, ?, '" UNIT
					    "', '0', 'eth', '127.0.0.1:1')");
	struct owner_id owner;
	struct key_id key;

	sqlite3_bind_int64(stake, 2, (sqlite3_int64)fill->height);
	for (uint64_t i = 0; i < n; i++) {
		gen_bytes(&fill->gen, key.b, sizeof(key.b));
		owner = owner_default(&key);
		bind_key(stake, 1, &key);
		sqlite3_bind_blob(stake, 3, owner.b, sizeof(owner.b), SQLITE_TRANSIENT);
		run(fill, stake);
	}
	sqlite3_finalize(stake);
}

/* The network, and the height from which a write of now counts. */
static void look(struct fill *fill, const char *path)
{
	struct store *store = NULL;
	struct err err = {0};
	height_t last = 0;

	clock_tick();
	must(store_open_readonly(path, &store, &err) && store_last_seed(store, &last, &err),
	     err.msg);
	fill->network = *store_network(store);
	fill->height = MAX(last, session_clock_height(store_clock(store), clock_wall_ms())) + 1;
	store_close(store);
}

int main(int argc, char **argv)
{
	struct fill fill = {.gen = gen_init(20261126)};
	uint64_t applications = 0, suppliers = 0;

	if (argc != 6 || !hex_decode(argv[2], strlen(argv[2]), fill.gateway.b, 32) ||
	    !u64_parse(argv[3], strlen(argv[3]), &applications) ||
	    !u64_parse(argv[4], strlen(argv[4]), &suppliers)) {
		fprintf(stderr, "usage: fill_registry REGISTRY GATEWAY APPLICATIONS SUPPLIERS "
				"TOKENS\n");
		return 2;
	}
	crypto_init();
	look(&fill, argv[1]);
	fill.tokens = fopen(argv[5], "w");
	must(fill.tokens != NULL, "cannot write the tokens");
	must(sqlite3_open_v2(argv[1], &fill.db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		     sqlite3_exec(fill.db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK,
	     "cannot open the registry");
	add_applications(&fill, applications);
	add_suppliers(&fill, suppliers);
	must(sqlite3_exec(fill.db,
			  "UPDATE network SET entries_version = entries_version + 1; COMMIT", NULL,
			  NULL, NULL) == SQLITE_OK,
	     sqlite3_errmsg(fill.db));
	sqlite3_close(fill.db);
	fclose(fill.tokens);
	return 0;
}
