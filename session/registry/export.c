/* SPDX-License-Identifier: Apache-2.0
 * Encoding and signing of registry files, and the checks of their contents. */
#include "session/registry/export.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/crypto/sign.h"
#include "relay/receipt/note.h"

void registry_export_finish(struct registry_export *e)
{
	history_unref(e->history);
	seed_run_finish(&e->seeds);
	free(e->tables);
	*e = (struct registry_export){0};
}

/* All that is written here needs no escapes: names, hex, digits, and endpoints, which the model
 * keeps free of quotes and backslashes. */
static void put_text(struct buf *out, const char *name, const char *value)
{
	buf_putf(out, "\"%s\":\"%s\"", name, value);
}

static void put_u64(struct buf *out, const char *name, uint64_t value)
{
	buf_putf(out, "\"%s\":\"%" PRIu64 "\"", name, value);
}

static void put_u128(struct buf *out, const char *name, u128 value)
{
	char text[U128_TEXT_MAX];

	put_text(out, name, u128_text(value, text));
}

static void put_hex(struct buf *out, const char *name, const void *p, size_t n)
{
	buf_putf(out, "\"%s\":\"", name);
	buf_put_hex(out, p, n);
	buf_put_str(out, "\"");
}

static void put_comma(struct buf *out)
{
	buf_put_str(out, ",");
}

/* A sum of payments or penalties: stands there once there are any, ahead of another member or
 * behind it. */
static void put_sum(struct buf *out, const char *name, u128 value, bool ahead)
{
	if (value == 0)
		return;
	if (!ahead)
		put_comma(out);
	put_u128(out, name, value);
	if (ahead)
		put_comma(out);
}

static void put_applications(const struct history *h, struct buf *out)
{
	size_t n;
	const struct application_entry *e = history_all_applications(h, &n);

	buf_put_str(out, "\"applications\":[");
	for (size_t i = 0; i < n; i++) {
		buf_put_str(out, i ? ",{" : "{");
		put_u128(out, "escrow", e[i].escrow);
		put_comma(out);
		put_u64(out, "height", e[i].height);
		put_comma(out);
		put_hex(out, "key", e[i].key.b, sizeof(e[i].key.b));
		put_sum(out, "spent", e[i].spent, false);
		put_sum(out, "spent_thaw", e[i].spent_thaw, false);
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

static void put_clock_and_fixed(const struct history *h, struct buf *out)
{
	const struct session_params *p = history_params(h, 0);

	buf_put_str(out, "\"clock\":{");
	put_u64(out, "block_ms", history_clock(h)->block_ms);
	put_comma(out);
	put_u64(out, "genesis_ms", (uint64_t)history_clock(h)->genesis_ms);
	buf_put_str(out, "},\"fixed\":{");
	put_u64(out, "seed_lag", p->seed_lag);
	put_comma(out);
	put_u64(out, "session_blocks", p->session_blocks);
	put_comma(out);
	put_u64(out, "session_suppliers", p->session_suppliers);
	put_comma(out);
	put_u64(out, "snapshot_lag", p->snapshot_lag);
	buf_put_str(out, "}");
}

static void put_grants(const struct history *h, struct buf *out)
{
	size_t n;
	const struct grant_entry *e = history_all_grants(h, &n);

	buf_put_str(out, "\"grants\":[");
	for (size_t i = 0; i < n; i++) {
		buf_put_str(out, i ? ",{" : "{");
		put_hex(out, "application", e[i].application.b, sizeof(e[i].application.b));
		put_comma(out);
		put_u128(out, "budget", e[i].budget);
		put_comma(out);
		put_hex(out, "gateway", e[i].gateway.b, sizeof(e[i].gateway.b));
		put_comma(out);
		put_u64(out, "height", e[i].height);
		put_comma(out);
		put_u64(out, "nonce", e[i].nonce);
		put_comma(out);
		put_text(out, "service", e[i].service.s);
		put_comma(out);
		put_hex(out, "signature", e[i].signature.b, sizeof(e[i].signature.b));
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

static void put_network(const struct registry_export *e, struct buf *out)
{
	const struct network_id *id = history_network(e->history);

	put_u64(out, "height", e->height);
	buf_put_str(out, ",\"network\":{");
	put_hex(out, "id", id->b, sizeof(id->b));
	buf_put_str(out, ",\"kind\":\"2\",");
	put_hex(out, "tail", e->network_tail, sizeof(e->network_tail));
	buf_put_str(out, "}");
}

static void put_parameters(const struct history *h, struct buf *out)
{
	size_t n;
	const struct params_entry *e = history_all_params(h, &n);

	buf_put_str(out, "\"parameters\":[");
	for (size_t i = 0; i < n; i++) {
		const struct session_params *p = &e[i].params;

		buf_put_str(out, i ? ",{" : "{");
		put_u64(out, "challenge_lag", p->challenge_lag);
		put_comma(out);
		put_u64(out, "claim_window", p->claim_window);
		put_comma(out);
		put_u64(out, "grace_blocks", p->grace_blocks);
		put_comma(out);
		put_u64(out, "height", e[i].height);
		put_comma(out);
		put_u64(out, "price_max", p->price_max);
		put_comma(out);
		put_u64(out, "proof_window", p->proof_window);
		put_comma(out);
		put_u128(out, "stake_cap", p->stake_cap);
		put_comma(out);
		put_u128(out, "stake_unit", p->stake_unit);
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

/* Stands there once there are any. */
static void put_pauses(const struct history *h, struct buf *out)
{
	size_t n;
	const struct pause_entry *e = history_all_pauses(h, &n);

	for (size_t i = 0; i < n; i++) {
		buf_put_str(out, i ? ",{" : "\"pauses\":[{");
		put_u64(out, "height", e[i].height);
		put_comma(out);
		put_u64(out, "missed", e[i].missed);
		buf_put_str(out, i + 1 < n ? "}" : "}],");
	}
}

static void put_seeds(const struct registry_export *e, struct buf *out)
{
	buf_put_str(out, "\"seeds\":{");
	put_u64(out, "from", e->from);
	put_comma(out);
	put_u64(out, "to", e->to);
	buf_put_str(out, ",\"values\":[");
	for (size_t i = 0; i < e->seeds.n; i++) {
		buf_put_str(out, i ? ",{" : "{");
		put_u64(out, "height", e->seeds.v[i].height);
		put_comma(out);
		put_hex(out, "seed", e->seeds.v[i].seed.b, sizeof(e->seeds.v[i].seed.b));
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]}");
}

static void put_services(const struct history *h, struct buf *out)
{
	size_t n;
	const struct service_entry *e = history_all_services(h, &n);

	buf_put_str(out, "\"services\":[");
	for (size_t i = 0; i < n; i++) {
		buf_put_str(out, i ? ",{" : "{");
		put_u64(out, "height", e[i].height);
		put_comma(out);
		put_text(out, "name", e[i].name.s);
		put_comma(out);
		put_hex(out, "table", e[i].table.b, sizeof(e[i].table.b));
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

static void put_suppliers(const struct history *h, struct buf *out)
{
	size_t n;
	const struct supplier_entry *e = history_all_suppliers(h, &n);

	buf_put_str(out, "\"suppliers\":[");
	for (size_t i = 0; i < n; i++) {
		buf_put_str(out, i ? ",{" : "{");
		put_sum(out, "burned", e[i].burned, true);
		put_sum(out, "burned_thaw", e[i].burned_thaw, true);
		put_text(out, "endpoint", e[i].endpoint);
		put_comma(out);
		put_u64(out, "height", e[i].height);
		put_comma(out);
		put_hex(out, "key", e[i].key.b, sizeof(e[i].key.b));
		put_comma(out);
		put_hex(out, "owner", e[i].owner.b, sizeof(e[i].owner.b));
		put_comma(out);
		put_u64(out, "price", e[i].price);
		buf_put_str(out, ",\"services\":[");
		for (uint32_t k = 0; k < e[i].services_n; k++)
			buf_putf(out, "%s\"%s\"", k ? "," : "", e[i].services[k].s);
		buf_put_str(out, "],");
		put_u128(out, "stake", e[i].stake);
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

static void put_tables(const struct registry_export *e, struct buf *out)
{
	buf_put_str(out, "\"tables\":[");
	for (size_t i = 0; i < e->tables_n; i++) {
		const struct table_commitment *t = &e->tables[i];

		buf_put_str(out, i ? ",{" : "{");
		put_hex(out, "root", t->root.b, sizeof(t->root.b));
		put_comma(out);
		put_u64(out, "rows", t->rows);
		put_comma(out);
		put_text(out, "service", t->service.s);
		put_comma(out);
		put_u64(out, "start", t->start);
		put_comma(out);
		put_u64(out, "total", t->total);
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

void registry_export_encode(const struct registry_export *e, struct buf *out)
{
	const struct history *h = e->history;

	buf_put_str(out, EXPORT_HEAD "{");
	put_applications(h, out);
	put_comma(out);
	put_clock_and_fixed(h, out);
	put_comma(out);
	put_grants(h, out);
	put_comma(out);
	put_network(e, out);
	put_comma(out);
	put_parameters(h, out);
	put_comma(out);
	put_pauses(h, out);
	put_seeds(e, out);
	put_comma(out);
	put_services(h, out);
	put_comma(out);
	put_suppliers(h, out);
	put_comma(out);
	put_tables(e, out);
	buf_put_str(out, "}\n");
}

void registry_export_sign(const struct registry_export *e, const struct relay_key *key,
			  struct buf *out)
{
	CLEANUP(buf_finish) struct buf text = {0};
	struct note_key name;
	struct signature sig;

	assert(relay_key_role(key) == KEY_ROLE_REGISTRY);
	registry_export_encode(e, &text);
	note_key_of_role("registry", relay_key_public(key), &name);
	sign_bytes(key, text.p, text.n, &sig);
	buf_put(out, text.p, text.n);
	buf_put_str(out, "\n");
	note_put_signature(out, &name, 0, &sig);
}

bool registry_export_check_grants(const struct registry_export *e, struct err *err)
{
	size_t n;
	const struct grant_entry *grant = history_all_grants(e->history, &n);
	char hex[65];

	for (size_t i = 0; i < n; i++)
		if (!grant_verify(history_network(e->history), &grant[i]))
			return err_set(err, ERR_SIGNATURE,
				       "grant %" PRIu64 " of application %s is not signed by it",
				       grant[i].nonce, hex_encode(grant[i].application.b, 32, hex));
	return true;
}

bool registry_export_check_tables(const struct registry_export *e, struct err *err)
{
	const struct session_params *p = history_params(e->history, 0);

	for (size_t i = 0; i < e->tables_n; i++) {
		const struct table_commitment *t = &e->tables[i];
		CLEANUP(stake_table_destroy) struct stake_table *table = NULL;
		struct hash root;

		if (!session_exists(p, t->start))
			return err_set(err, ERR_REGISTRY,
				       "a table for height %" PRIu64 ", where no session starts",
				       t->start);
		if (!history_table(e->history, &t->service, session_snapshot_height(p, t->start),
				   &table, err))
			return false;
		root = stake_table_root(table);
		if (!ID_EQ(&root, &t->root) || table->n != t->rows || table->total != t->total)
			return err_set(err, ERR_REGISTRY,
				       "the table of %s at height %" PRIu64
				       " is not what the entries give",
				       t->service.s, t->start);
	}
	return true;
}
