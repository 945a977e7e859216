/* SPDX-License-Identifier: Apache-2.0
 * Registry files ([Y1], [Y2], [Y3]) and the sessions and allowances that follow from them ([S2],
 * [S12], [P1], [P3]), against tests/vectors/registry.json, which another implementation wrote. */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "relay/base/mem.h"
#include "session/registry/export.h"
#include "session/registry/view.h"

static json_t *vectors;
static struct key_id key, application;
static const char *file;
static struct registry_export export;
static struct registry_view *view;

static void hex(const json_t *row, const char *name, void *dst, size_t n)
{
	const char *s = json_string_value(json_object_get(row, name));

	assert_non_null(s);
	assert_true(hex_decode(s, strlen(s), dst, n));
}

static u128 amount(const json_t *row, const char *name)
{
	const char *s = json_string_value(json_object_get(row, name));
	u128 v = 0;

	assert_true(s && u128_parse(s, strlen(s), &v));
	return v;
}

static int load(void **state)
{
	const char *source = getenv("CF_SOURCE_ROOT");
	char *path = xasprintf("%s/tests/vectors/registry.json", source ? source : ".");
	struct err err;

	vectors = json_load_file(path, 0, NULL);
	free(path);
	assert_non_null(vectors);
	hex(vectors, "key", key.b, 32);
	hex(vectors, "application", application.b, 32);
	file = json_string_value(json_object_get(vectors, "file"));
	assert_ok(registry_export_parse(VIEW_STR(file), &key, &export, &err), err);
	view = registry_view_create(export.history, &key, &export.seeds, export.height, NULL);
	return 0;
}

static int drop(void **state)
{
	registry_view_unref(view);
	registry_export_finish(&export);
	json_decref(vectors);
	return 0;
}

static void a_file_is_encoded_to_the_bytes_it_came_from(void **state)
{
	CLEANUP(buf_finish) struct buf text = {0}, note = {0};
	struct relay_key *secret;
	uint8_t seed[KEY_SEED_BYTES];

	registry_export_encode(&export, &text);
	assert_true(text.n < strlen(file) && memcmp(text.p, file, text.n) == 0);
	hex(vectors, "secret", seed, sizeof(seed));
	secret = relay_key_from_seed(KEY_ROLE_REGISTRY, seed);
	registry_export_sign(&export, secret, &note);
	assert_string_equal(buf_cstr(&note), file);
	relay_key_destroy(secret);
}

static void its_grants_and_tables_hold(void **state)
{
	struct err err;

	assert_ok(registry_export_check_grants(&export, &err), err);
	assert_ok(registry_export_check_tables(&export, &err), err);
	export.tables[1].total++;
	assert_false(registry_export_check_tables(&export, &err));
	assert_err(err, ERR_REGISTRY);
	export.tables[1].total--;
}

static void sessions_are_those_of_the_vectors(void **state)
{
	const json_t *row, *member;
	size_t i, k;

	json_array_foreach(json_object_get(vectors, "sessions"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "service"));
		const json_t *members = json_object_get(row, "members");
		struct session_info *s = NULL;
		struct service_name service;
		struct session_id id;
		struct err err;

		assert_true(service_name_parse(name, strlen(name), &service));
		if (json_array_size(members) == 0) {
			assert_false(view_session(view, &application, &service,
						  (height_t)amount(row, "start"), &s, &err));
			assert_true(err.code == ERR_NO_SESSION || err.code == ERR_REGISTRY_STALE);
			assert_null(s);
			continue;
		}
		assert_ok(view_session(view, &application, &service, (height_t)amount(row, "start"),
				       &s, &err),
			  err);
		hex(row, "id", id.b, 32);
		assert_true(ID_EQ(&id, &s->id));
		assert_int_equal(s->n, json_array_size(members));
		json_array_foreach(members, k, member)
		{
			struct key_id want;
			const char *text = json_string_value(member);

			assert_true(hex_decode(text, strlen(text), want.b, 32));
			assert_true(ID_EQ(&s->members[k].key, &want));
			assert_ptr_equal(session_info_member(s, &want), &s->members[k]);
			assert_memory_equal(s->members[k].endpoint, "127.0.0.1:", 10);
		}
		free(s);
	}
	assert_int_equal(i, 39);
}

static void allowances_are_those_of_the_vectors(void **state)
{
	const struct service_name eth = {"eth"};
	size_t i, active = 0;
	const json_t *row;

	json_array_foreach(json_object_get(vectors, "allowances"), i, row)
	{
		const char *want = json_string_value(json_object_get(row, "allowance"));
		height_t start = (height_t)amount(row, "start");
		struct key_id app, gateway;
		u128 got;
		struct err err;

		hex(row, "application", app.b, 32);
		hex(row, "gateway", gateway.b, 32);
		assert_true(history_escrow_needed(export.history, &app, start) ==
			    amount(row, "needed"));
		if (!*want) {
			assert_false(history_allowance(export.history, &app, &gateway, &eth, start,
						       &got, &err));
			assert_err(err, ERR_GRANT);
			continue;
		}
		assert_ok(
			history_allowance(export.history, &app, &gateway, &eth, start, &got, &err),
			err);
		assert_true(got == amount(row, "allowance"));
		active++;
	}
	assert_true(active > 10 && active < i);
}

static void a_session_beyond_the_last_seed_is_stale(void **state)
{
	const struct service_name eth = {"eth"};
	struct session_info *s;
	struct err err;
	u128 allowance;

	assert_false(view_session(view, &application, &eth, 120, &s, &err));
	assert_err(err, ERR_REGISTRY_STALE);
	assert_false(view_allowance(view, &application, &key, &eth, 120, &allowance, &err));
	assert_err(err, ERR_REGISTRY_STALE);
	assert_false(view_session(view, &application, &eth, 80, &s, &err));
	assert_err(err, ERR_NO_SESSION);
	assert_non_null(strstr(err.msg, "no seed of height 78"));
	assert_false(view_session(view, &application, &eth, 0, &s, &err));
	assert_err(err, ERR_NO_SESSION);
}

static void a_later_view_takes_over_the_tables(void **state)
{
	const struct service_name eth = {"eth"};
	const struct stake_table *before, *after, *shared;
	struct registry_view *next =
		registry_view_create(export.history, &key, &export.seeds, export.height, view);
	struct err err;

	assert_int_equal(view_serial(next), view_serial(view) + 1);
	assert_ok(view_table(view, &eth, 110, &before, &err), err);
	assert_ok(view_table(next, &eth, 110, &after, &err), err);
	assert_ptr_equal(before, after);
	assert_ok(view_table(next, &eth, 100, &shared, &err), err);
	assert_int_equal(shared->total > 0, true);
	registry_view_unref(next);
}

/* One byte of the text is changed; the signature is left out of the matter. */
static void a_changed_byte_is_noticed(void **state)
{
	const char *end = strstr(file, "}\n\n");
	size_t n = (size_t)(end - file) + 2, refused = 0, tried = 0;
	char *text = xstrndup(file, n);

	for (size_t i = 0; i < n; i += 61) {
		struct registry_export got;
		struct err err = {0};
		char was = text[i];

		text[i] = was == ' ' ? 'x' : ' ';
		tried++;
		if (!registry_export_parse_text(VIEW(text, n), &got, &err)) {
			refused++;
			assert_true(err.code != ERR_NONE && err.msg[0]);
		} else {
			registry_export_finish(&got);
		}
		text[i] = was;
	}
	assert_int_equal(refused, tried);
	free(text);
}

static void the_form_is_canonical_or_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"counterfoil/registry/v1\n",
		"counterfoil/registry/v2\n{}\n",
		"counterfoil/registry/v1\n{}\n",
		"counterfoil/registry/v1\n[]\n",
		"counterfoil/registry/v1\n{\"a\":\"1\",\"a\":\"1\"}\n",
	};
	const char *end = strstr(file, "}\n\n");
	size_t n = (size_t)(end - file) + 2;
	CLEANUP(buf_finish) struct buf spaced = {0};
	struct registry_export got;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(registry_export_parse_text(VIEW_STR(bad[i]), &got, &err));
		assert_err(err, ERR_FORMAT);
	}
	buf_put(&spaced, file, n - 1);
	buf_put_str(&spaced, " \n");
	assert_false(registry_export_parse_text(buf_view(&spaced), &got, &err));
	assert_err(err, ERR_FORMAT);
	assert_non_null(strstr(err.msg, "canonical"));
}

static void another_key_than_the_pinned_is_refused(void **state)
{
	struct key_id other = application;
	struct registry_export got;
	struct err err;

	assert_false(registry_export_parse(VIEW_STR(file), &other, &got, &err));
	assert_err(err, ERR_SIGNATURE);
}

static void withdrawn_stake_thaws_and_leaves(void **state)
{
	size_t n, found = 0;
	const struct supplier_entry *e = history_all_suppliers(export.history, &n);

	for (size_t i = 1; i < n; i++) {
		bool last = i + 1 == n || !ID_EQ(&e[i].key, &e[i + 1].key);

		if (!last || !ID_EQ(&e[i - 1].key, &e[i].key) || e[i].stake >= e[i - 1].stake)
			continue;
		assert_true(history_thawing_stake(export.history, &e[i].key, e[i].height) >=
			    e[i - 1].stake - e[i].stake - e[i].burned - e[i].burned_thaw);
		assert_true(history_thawing_stake(export.history, &e[i].key, 500) == 0);
		found++;
	}
	assert_true(found > 0);
	assert_true(history_thawing_escrow(export.history, &application, 31) == 99950);
	assert_true(history_thawing_escrow(export.history, &application, 29) == 0);
}

static void the_books_are_those_of_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "books"), i, row)
	{
		struct history_books b;

		assert_true(history_books(export.history, (height_t)amount(row, "height"), &b));
		assert_true(b.deposits == amount(row, "deposits"));
		assert_true(b.spent == amount(row, "spent") && b.burned == amount(row, "burned"));
		assert_true(b.stakes == amount(row, "stakes") &&
			    b.escrow == amount(row, "escrow") && b.left == amount(row, "left"));
		assert_true(b.thawing_stakes == amount(row, "thawing_stakes") &&
			    b.thawing_escrow == amount(row, "thawing_escrow"));
	}
	assert_int_equal(i, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_encoded_to_the_bytes_it_came_from),
		cmocka_unit_test(its_grants_and_tables_hold),
		cmocka_unit_test(sessions_are_those_of_the_vectors),
		cmocka_unit_test(allowances_are_those_of_the_vectors),
		cmocka_unit_test(a_session_beyond_the_last_seed_is_stale),
		cmocka_unit_test(a_later_view_takes_over_the_tables),
		cmocka_unit_test(a_changed_byte_is_noticed),
		cmocka_unit_test(the_form_is_canonical_or_refused),
		cmocka_unit_test(another_key_than_the_pinned_is_refused),
		cmocka_unit_test(withdrawn_stake_thaws_and_leaves),
		cmocka_unit_test(the_books_are_those_of_the_vectors),
	};

	return cmocka_run_group_tests(tests, load, drop);
}
