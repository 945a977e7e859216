/* SPDX-License-Identifier: Apache-2.0
 * The rules of claims against tests/vectors/claims.json, which another implementation wrote: bytes,
 * ids, values, the verdict on claims and proofs, times, splits and terms ([C1] to [C12]). */
#include "tests/unit/unit.h"

#include "chains/table.h"
#include "session/registry/export.h"
#include "session/settle.h"
#include "tests/support/vectors.h"

static json_t *vectors;

static u128 vector_u128(const json_t *object, const char *key)
{
	const char *text = vector_text(object, key);
	u128 v;

	assert_true(u128_parse(text, strlen(text), &v));
	return v;
}

/* The sessions of the vectors, as a registry would know them. */
struct known {
	struct network_id network;
	struct session_params p;
	struct method_table *table;
	size_t n;
	height_t start[16];
	struct settle_terms terms[16];
};

static void known_read(struct known *known)
{
	const json_t *p = vector_get(vectors, "parameters"), *row;
	const char *table = vector_text(vectors, "table");
	struct err err;
	size_t i;

	*known = (struct known){.p = session_params_default};
	vector_hex(vectors, "network", known->network.b, 32);
	known->p.session_blocks = vector_number(p, "session_blocks");
	known->p.snapshot_lag = vector_number(p, "snapshot_lag");
	known->p.seed_lag = vector_number(p, "seed_lag");
	known->p.grace_blocks = vector_number(p, "grace_blocks");
	known->p.claim_window = vector_number(p, "claim_window");
	known->p.challenge_lag = vector_number(p, "challenge_lag");
	known->p.proof_window = vector_number(p, "proof_window");
	assert_ok(method_table_parse(VIEW_STR(table), &known->table, &err), err);
	json_array_foreach(vector_get(vectors, "sessions"), i, row)
	{
		struct settle_terms *t = &known->terms[i];

		assert_true(i < ARRAY_SIZE(known->terms));
		known->start[i] = vector_number(row, "start");
		vector_hex(row, "id", t->id.b, 32);
		t->member = json_is_true(vector_get(row, "member"));
		t->price = vector_number(row, "price");
		t->allowance = vector_u128(row, "allowance");
		t->table = json_is_true(vector_get(row, "table")) ? known->table : NULL;
		known->n++;
	}
	assert_true(known->n > 4);
}

static bool known_terms(void *arg, const struct claim *c, height_t start, struct settle_terms *ret,
			struct err *err)
{
	const struct known *known = arg;

	for (size_t i = 0; i < known->n; i++) {
		if (known->start[i] != start)
			continue;
		*ret = known->terms[i];
		return true;
	}
	return err_set(err, ERR_NO_SESSION, "not in the vectors");
}

static void records_and_ids_have_their_bytes(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(vector_get(vectors, "records"), i, row)
	{
		struct claim_record r;
		uint8_t want[CLAIM_RECORD_SIZE], got[CLAIM_RECORD_SIZE];

		vector_hex(row, "session", r.session.b, 32);
		r.start = vector_number(row, "start");
		vector_hex(row, "lane", r.lane.b, 16);
		r.size = vector_number(row, "size");
		vector_hex(row, "root", r.root.b, 32);
		r.cu = vector_number(row, "cu");
		r.value = vector_u128(row, "value");
		r.value_before = vector_u128(row, "value_before");
		r.session_value_before = vector_u128(row, "session_value_before");
		claim_record_encode(&r, got);
		vector_hex(row, "bytes", want, sizeof(want));
		assert_memory_equal(got, want, sizeof(want));
	}
	assert_true(i > 5);
	json_array_foreach(vector_get(vectors, "ids"), i, row)
	{
		CLEANUP(buf_finish) struct buf bytes = {0};
		struct claim_id got, want;
		struct claim c;
		struct err err;

		vector_put_hex(row, "claim", &bytes);
		assert_ok(claim_parse(buf_view(&bytes), &c, &err), err);
		claim_id_of(&c, &got);
		vector_hex(row, "id", want.b, 32);
		assert_true(ID_EQ(&got, &want));
	}
	assert_int_equal(i, 2);
}

/* One claim; "form" is what its parser says. */
static const char *verdict_on(const json_t *row, struct known *known)
{
	CLEANUP(buf_finish) struct buf bytes = {0}, records = {0};
	struct network_id network;
	enum settle_fault fault;
	struct signature sig;
	struct claim c;
	struct err err;

	vector_put_hex(row, "claim", &bytes);
	vector_put_base64(row, "records", &records);
	vector_hex(row, "signature", sig.b, 64);
	vector_hex(row, "network", network.b, 32);
	if (!claim_parse(buf_view(&bytes), &c, &err))
		return "form";
	if (settle_check_claim(&c, &sig, buf_view(&records), &network, &known->p,
			       vector_number(row, "now"), known_terms, known, &fault, &err))
		assert_int_equal(fault, SETTLE_FINE);
	else
		assert_err(err, ERR_CLAIM);
	return settle_fault_name(fault);
}

static void the_verdict_on_each_claim_is_the_same(void **state)
{
	struct known known;
	const json_t *row;
	size_t i;

	known_read(&known);
	json_array_foreach(vector_get(vectors, "claims"), i, row)
	{
		const char *got = verdict_on(row, &known), *want = vector_text(row, "fault");

		if (strcmp(got, want) != 0)
			print_message("# claim %zu\n", i);
		assert_string_equal(got, want);
	}
	assert_true(i > 100);
	method_table_destroy(known.table);
}

static void the_verdict_on_each_proof_is_the_same(void **state)
{
	struct known known;
	const json_t *row;
	size_t i;

	known_read(&known);
	json_array_foreach(vector_get(vectors, "proofs"), i, row)
	{
		CLEANUP(buf_finish) struct buf bytes = {0}, proof = {0};
		enum settle_fault fault = SETTLE_FAULT_COUNT;
		struct signature sig;
		struct claim_id id;
		struct claim c;
		struct seed seed;
		struct err err;

		vector_put_hex(row, "claim", &bytes);
		vector_put_base64(row, "proof", &proof);
		vector_hex(row, "signature", sig.b, 64);
		vector_hex(row, "seed", seed.b, 32);
		assert_ok(claim_parse(buf_view(&bytes), &c, &err), err);
		claim_id_of(&c, &id);
		assert_true(claim_point(&seed, &id, c.value) == vector_u128(row, "x"));
		if (!settle_check_proof(&c, buf_view(&proof), &sig, &seed, known_terms, &known,
					&fault, &err))
			assert_err(err, ERR_CLAIM);
		if (strcmp(settle_fault_name(fault), vector_text(row, "fault")) != 0)
			print_message("# proof %zu\n", i);
		assert_string_equal(settle_fault_name(fault), vector_text(row, "fault"));
	}
	assert_true(i > 40);
	method_table_destroy(known.table);
}

/* [C6]: the same records, cut and summed up. */
static void honest_records_are_the_same(void **state)
{
	struct known known;
	const json_t *row;
	size_t i;

	known_read(&known);
	json_array_foreach(vector_get(vectors, "valuings"), i, row)
	{
		CLEANUP(buf_finish) struct buf in = {0}, out = {0}, got = {0};
		struct claim_record r[64];
		uint64_t price[64];
		u128 allowance[64];
		size_t n;

		vector_put_base64(row, "in", &in);
		vector_put_base64(row, "out", &out);
		n = in.n / CLAIM_RECORD_SIZE;
		assert_true(n <= ARRAY_SIZE(r));
		for (size_t k = 0; k < n; k++) {
			struct settle_terms t = {.price = 0};
			struct err err;

			assert_true(claim_record_decode(in.p + k * CLAIM_RECORD_SIZE, &r[k]));
			assert_ok(known_terms(&known, NULL, r[k].start, &t, &err), err);
			price[k] = t.price;
			allowance[k] = t.allowance;
		}
		n = claim_records_value(r, price, allowance, n);
		for (size_t k = 0; k < n; k++) {
			uint8_t bytes[CLAIM_RECORD_SIZE];

			claim_record_encode(&r[k], bytes);
			buf_put(&got, bytes, sizeof(bytes));
		}
		assert_true(view_eq(buf_view(&got), buf_view(&out)));
	}
	method_table_destroy(known.table);
}

static void times_and_splits_are_the_same(void **state)
{
	struct known known;
	const json_t *row;
	size_t i;

	known_read(&known);
	json_array_foreach(vector_get(vectors, "times"), i, row)
	{
		const json_t *want = vector_get(row, "times");
		height_t recorded = vector_number(row, "recorded");
		const height_t got[4] = {settle_opens(&known.p, vector_number(row, "to")),
					 settle_closes(&known.p, vector_number(row, "from")),
					 settle_challenge(&known.p, recorded),
					 settle_due(&known.p, recorded)};

		for (size_t k = 0; k < 4; k++)
			assert_true(strtoull(json_string_value(json_array_get(want, k)), NULL,
					     10) == got[k]);
	}
	json_array_foreach(vector_get(vectors, "takes"), i, row)
	{
		const json_t *want = vector_get(row, "taken");
		struct settle_split split =
			settle_take(vector_u128(row, "amount"), vector_u128(row, "standing"),
				    vector_u128(row, "thawing"));
		char text[U128_TEXT_MAX];

		assert_string_equal(u128_text(split.standing, text),
				    json_string_value(json_array_get(want, 0)));
		assert_string_equal(u128_text(split.thawing, text),
				    json_string_value(json_array_get(want, 1)));
	}
	method_table_destroy(known.table);
}

/* Whoever reads the registry file knows the same of each session, supplier and grant. */
static void terms_of_a_registry_file_are_the_same(void **state)
{
	json_t *file = vectors_load("registry.json");
	struct settle_book *book;
	struct registry_export e;
	const char *text;
	struct key_id key;
	const json_t *row;
	struct err err;
	size_t i, members = 0;

	assert_non_null(file);
	vector_hex(file, "key", key.b, 32);
	text = vector_text(file, "file");
	assert_ok(registry_export_parse(VIEW_STR(text), &key, &e, &err), err);
	book = settle_book_create(e.history, &e.seeds);
	json_array_foreach(vector_get(vectors, "registry_terms"), i, row)
	{
		struct claim c = {.service = {"eth"}};
		struct settle_terms t = {.price = 0};
		struct session_id id;

		vector_hex(row, "application", c.application.b, 32);
		vector_hex(row, "gateway", c.gateway.b, 32);
		vector_hex(row, "supplier", c.supplier.b, 32);
		if (vector_text(row, "id")[0] == '\0') {
			assert_false(
				settle_book_terms(book, &c, vector_number(row, "start"), &t, &err));
			continue;
		}
		assert_ok(settle_book_terms(book, &c, vector_number(row, "start"), &t, &err), err);
		vector_hex(row, "id", id.b, 32);
		assert_true(ID_EQ(&id, &t.id));
		assert_int_equal(t.member, json_is_true(vector_get(row, "member")));
		assert_true(t.price == vector_number(row, "price"));
		assert_true(t.allowance == vector_u128(row, "allowance"));
		members += t.member;
	}
	assert_true(members > 20);
	settle_book_destroy(book);
	registry_export_finish(&e);
	json_decref(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_and_ids_have_their_bytes),
		cmocka_unit_test(the_verdict_on_each_claim_is_the_same),
		cmocka_unit_test(the_verdict_on_each_proof_is_the_same),
		cmocka_unit_test(honest_records_are_the_same),
		cmocka_unit_test(times_and_splits_are_the_same),
		cmocka_unit_test(terms_of_a_registry_file_are_the_same),
	};
	int failed;

	vectors = vectors_load("claims.json");
	assert_non_null(vectors);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(vectors);
	return failed;
}
