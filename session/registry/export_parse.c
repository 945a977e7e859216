/* SPDX-License-Identifier: Apache-2.0
 * Parsing of registry files.  Each member is read with its type and range; what is left over,
 * another order, or a space shows in the last step, when the text is compared with the encoding of
 * what was read. */
#include "session/registry/export.h"

#include <inttypes.h>

#include <jansson.h>

#include "relay/base/mem.h"
#include "relay/receipt/note.h"
#include "session/registry/fields.h"

static struct fields fields_of(const json_t *object, const char *what, size_t index,
			       struct err *err)
{
	return fields_in("registry file", object, what, index, err);
}

/* An object that is a member of the top one. */
static struct fields fields_named(const json_t *top, const char *name, struct err *err)
{
	return fields_of(json_object_get(top, name), name, 0, err);
}

/* One element of a list: adds to e what the fields say. */
typedef bool (*read_one)(struct fields *f, struct registry_export *e, void *arg);

static bool read_list(const json_t *list, const char *name, size_t max, read_one one,
		      struct registry_export *e, void *arg, struct err *err)
{
	if (!json_is_array(list))
		return err_set(err, ERR_FORMAT, "registry file: %s is not a list", name);
	if (json_array_size(list) > max)
		return err_set(err, ERR_FORMAT, "registry file: %s has more than %zu elements",
			       name, max);
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct fields f = fields_of(json_array_get(list, i), name, i, err);

		if (!one(&f, e, arg))
			return err->code == ERR_FORMAT ? false
						       : err_prefix(err, "%s[%zu]", name, i);
	}
	return true;
}

static bool read_application(struct fields *f, struct registry_export *e, void *arg)
{
	struct application_entry a = {.height = field_u64(f, "height"),
				      .escrow = field_u128(f, "escrow"),
				      .spent = field_sum(f, "spent"),
				      .spent_thaw = field_sum(f, "spent_thaw")};

	field_hex(f, "key", a.key.b, sizeof(a.key.b));
	return !f->bad && history_add_application(e->history, &a, f->err);
}

static bool read_grant(struct fields *f, struct registry_export *e, void *arg)
{
	struct grant_entry g = {.height = field_u64(f, "height"),
				.budget = field_u128(f, "budget"),
				.nonce = field_u64(f, "nonce")};

	field_hex(f, "application", g.application.b, sizeof(g.application.b));
	field_hex(f, "gateway", g.gateway.b, sizeof(g.gateway.b));
	field_service(f, "service", &g.service);
	field_hex(f, "signature", g.signature.b, sizeof(g.signature.b));
	return !f->bad && history_add_grant(e->history, &g, f->err);
}

static bool read_params(struct fields *f, struct registry_export *e, void *arg)
{
	const struct session_params *fixed = arg;
	struct params_entry p = {.height = field_u64(f, "height"), .params = *fixed};

	p.params.challenge_lag = field_u64(f, "challenge_lag");
	p.params.claim_window = field_u64(f, "claim_window");
	p.params.grace_blocks = field_u64(f, "grace_blocks");
	p.params.price_max = field_u64(f, "price_max");
	p.params.proof_window = field_u64(f, "proof_window");
	p.params.stake_cap = field_u128(f, "stake_cap");
	p.params.stake_unit = field_u128(f, "stake_unit");
	return !f->bad && history_add_params(e->history, &p, f->err);
}

static bool read_pause(struct fields *f, struct registry_export *e, void *arg)
{
	struct pause_entry p = {.height = field_u64(f, "height"), .missed = field_u64(f, "missed")};

	if (!f->bad && p.height > e->height)
		field_bad(f, "height", "beyond the height of the file");
	return !f->bad && history_add_pause(e->history, &p, f->err);
}

static bool read_service(struct fields *f, struct registry_export *e, void *arg)
{
	struct service_entry s = {.height = field_u64(f, "height")};

	field_service(f, "name", &s.name);
	field_hex(f, "table", s.table.b, sizeof(s.table.b));
	return !f->bad && history_add_service(e->history, &s, f->err);
}

static bool read_supplier(struct fields *f, struct registry_export *e, void *arg)
{
	struct service_name names[SERVICES_PER_SUPPLIER_MAX];
	const json_t *services = json_object_get(f->object, "services");
	size_t endpoint_n;
	const char *endpoint = field_text(f, "endpoint", &endpoint_n);
	struct supplier_entry s = {.height = field_u64(f, "height"),
				   .stake = field_u128(f, "stake"),
				   .burned = field_sum(f, "burned"),
				   .burned_thaw = field_sum(f, "burned_thaw"),
				   .price = field_u64(f, "price"),
				   .services = names};

	field_hex(f, "key", s.key.b, sizeof(s.key.b));
	field_hex(f, "owner", s.owner.b, sizeof(s.owner.b));
	if (!json_is_array(services) || json_array_size(services) > ARRAY_SIZE(names))
		return field_bad(f, "services", "not a list, or too long");
	if (endpoint_n != strlen(endpoint))
		return field_bad(f, "endpoint", "has a NUL");
	s.endpoint = (char *)endpoint; /* copied, not changed */
	for (s.services_n = 0; s.services_n < json_array_size(services); s.services_n++) {
		const json_t *name = json_array_get(services, s.services_n);

		if (!json_is_string(name) ||
		    !service_name_parse(json_string_value(name), json_string_length(name),
					&names[s.services_n]))
			return field_bad(f, "services", "not service names");
	}
	return !f->bad && history_add_supplier(e->history, &s, f->err);
}

static bool read_seed(struct fields *f, struct registry_export *e, void *arg)
{
	height_t height = field_u64(f, "height");
	struct seed seed;

	field_hex(f, "seed", seed.b, sizeof(seed.b));
	if (!f->bad && (height < e->from || height >= e->to || height > e->height ||
			!seed_run_add(&e->seeds, height, &seed)))
		field_bad(f, "height", "not in the range, or not ascending");
	return !f->bad;
}

static bool read_table(struct fields *f, struct registry_export *e, void *arg)
{
	struct table_commitment *t = &e->tables[e->tables_n];

	field_hex(f, "root", t->root.b, sizeof(t->root.b));
	t->rows = field_u64(f, "rows");
	field_service(f, "service", &t->service);
	t->start = field_u64(f, "start");
	t->total = field_u64(f, "total");
	if (!f->bad && e->tables_n > 0) {
		int c = strcmp(t[-1].service.s, t->service.s);

		if (c > 0 || (c == 0 && t[-1].start >= t->start))
			field_bad(f, "service", "not sorted by service and start");
	}
	e->tables_n++;
	return !f->bad;
}

/* What stands above the lists: makes the history. */
static bool read_head(const json_t *top, struct registry_export *e,
		      struct session_params *ret_fixed, struct err *err)
{
	struct fields network = fields_named(top, "network", err);
	struct fields clock = fields_named(top, "clock", err);
	struct fields fixed = fields_named(top, "fixed", err);
	struct fields whole = fields_of(top, "file", 0, err);
	struct session_params p = {0};
	struct session_clock c;
	struct network_id id, made;
	uint64_t suppliers;

	if (network.bad || clock.bad || fixed.bad || whole.bad)
		return false;
	e->height = field_u64(&whole, "height");
	if (e->height > HEIGHT_MAX)
		field_bad(&whole, "height", "over 2^62");
	field_hex(&network, "id", id.b, sizeof(id.b));
	field_hex(&network, "tail", e->network_tail, sizeof(e->network_tail));
	if (!network.bad && field_u64(&network, "kind") != 2)
		field_bad(&network, "kind", "not that of a private registry");
	c.block_ms = field_u64(&clock, "block_ms");
	c.genesis_ms = (msec_t)MIN(field_u64(&clock, "genesis_ms"), (uint64_t)INT64_MAX);
	p.seed_lag = field_u64(&fixed, "seed_lag");
	p.session_blocks = field_u64(&fixed, "session_blocks");
	p.snapshot_lag = field_u64(&fixed, "snapshot_lag");
	suppliers = field_u64(&fixed, "session_suppliers");
	p.session_suppliers = (uint32_t)MIN(suppliers, (uint64_t)UINT32_MAX);
	if (network.bad || clock.bad || fixed.bad || whole.bad)
		return false;
	made = network_id_private(e->network_tail);
	if (!ID_EQ(&made, &id))
		return err_set(err, ERR_FORMAT,
			       "registry file: the network id is not that of its tail");
	e->history = history_create(&id, &c);
	history_set_tail(e->history, e->network_tail);
	*ret_fixed = p;
	return true;
}

/* The one list that is left out when it is empty. */
static bool read_pauses(const json_t *top, struct registry_export *e, struct err *err)
{
	const json_t *list = json_object_get(top, "pauses");

	return list == NULL || read_list(list, "pauses", SIZE_MAX, read_pause, e, NULL, err);
}

static bool read_seeds(const json_t *top, struct registry_export *e, struct err *err)
{
	struct fields f = fields_named(top, "seeds", err);

	if (f.bad)
		return false;
	e->from = field_u64(&f, "from");
	e->to = field_u64(&f, "to");
	if (e->to > e->height + 1)
		field_bad(&f, "to", "beyond the height of the file");
	return !f.bad && read_list(json_object_get(f.object, "values"), "seeds", EXPORT_SEEDS_MAX,
				   read_seed, e, NULL, err);
}

static bool read_tables(const json_t *top, struct registry_export *e, struct err *err)
{
	const json_t *list = json_object_get(top, "tables");
	size_t n = MIN(json_array_size(list), (size_t)EXPORT_TABLES_MAX);

	e->tables = xcalloc(n, sizeof(*e->tables));
	return read_list(list, "tables", EXPORT_TABLES_MAX, read_table, e, NULL, err);
}

static bool read_all(const json_t *top, struct registry_export *e, struct err *err)
{
	const size_t any = SIZE_MAX; /* the model has its own limits */
	struct session_params fixed;

	return read_head(top, e, &fixed, err) &&
	       read_list(json_object_get(top, "parameters"), "parameters", any, read_params, e,
			 &fixed, err) &&
	       read_list(json_object_get(top, "services"), "services", any, read_service, e, NULL,
			 err) &&
	       read_list(json_object_get(top, "suppliers"), "suppliers", any, read_supplier, e,
			 NULL, err) &&
	       read_list(json_object_get(top, "applications"), "applications", any,
			 read_application, e, NULL, err) &&
	       read_list(json_object_get(top, "grants"), "grants", any, read_grant, e, NULL, err) &&
	       read_pauses(top, e, err) && read_seeds(top, e, err) && read_tables(top, e, err) &&
	       history_seal(e->history, err);
}

static bool is_canonical(const struct registry_export *e, struct view text, struct err *err)
{
	CLEANUP(buf_finish) struct buf again = {0};
	size_t same = 0;

	registry_export_encode(e, &again);
	if (view_eq(buf_view(&again), text))
		return true;
	while (same < again.n && same < text.n && again.p[same] == text.p[same])
		same++;
	return err_set(err, ERR_FORMAT, "registry file: not in canonical form at byte %zu", same);
}

bool registry_export_parse_text(struct view text, struct registry_export *ret, struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export e = {0};
	const size_t head = strlen(EXPORT_HEAD);
	json_error_t why;
	json_t *top;
	bool ok;

	if (text.n > EXPORT_MAX)
		return err_set(err, ERR_FORMAT, "registry file: over %u bytes", EXPORT_MAX);
	if (text.n < head || memcmp(text.p, EXPORT_HEAD, head) != 0)
		return err_set(err, ERR_FORMAT, "not a registry file of version 1");
	top = json_loadb((const char *)text.p + head, text.n - head, JSON_REJECT_DUPLICATES, &why);
	if (!top)
		return err_set(err, ERR_FORMAT, "registry file: byte %zu: %s",
			       head + (size_t)MAX(why.position, 0), why.text);
	ok = read_all(top, &e, err) && is_canonical(&e, text, err);
	json_decref(top);
	if (!ok)
		return false;
	*ret = e;
	e = (struct registry_export){0};
	return true;
}

bool registry_export_parse(struct view bytes, const struct key_id *pinned,
			   struct registry_export *ret, struct err *err)
{
	struct note_key key;
	struct note_seen seen;
	struct note note;

	if (!note_parse(bytes, EXPORT_MAX, &note, err))
		return err_prefix(err, "registry file");
	note_key_of_role("registry", pinned, &key);
	if (!note_check(&note, &key, 1, &seen, err))
		return err_prefix(err, "registry file");
	if (!seen.signed_) {
		char hex[65];

		return err_set(err, ERR_SIGNATURE,
			       "the registry file is not signed by the pinned key %s",
			       hex_encode(pinned->b, 32, hex));
	}
	return registry_export_parse_text(note.text, ret, err);
}
