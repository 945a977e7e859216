/* SPDX-License-Identifier: Apache-2.0
 * Bundles against tests/vectors/bundle.json: parse, build again, check, name what is wrong
 * (protocol.md [G3] [R3] [T3] [N4]). */
#include "tests/unit/unit.h"

#include "relay/crypto/digest.h"
#include "relay/receipt/bundle.h"
#include "tests/support/vectors.h"

static json_t *vectors;

static int load(void **state)
{
	crypto_init();
	vectors = vectors_load("bundle.json");
	return vectors ? 0 : -1;
}

static int drop(void **state)
{
	json_decref(vectors);
	return 0;
}

/* The faults of a report, by name, joined with commas in the order of the names. */
static void names_of(const struct bundle_report *report, const json_t *want)
{
	unsigned left = report->faults;
	const json_t *name;
	size_t i;

	json_array_foreach(want, i, name)
	{
		bool found = false;

		for (unsigned f = 0; f < BUNDLE_FAULTS; f++) {
			if (!(left & 1u << f) ||
			    strcmp(bundle_fault_name(1u << f), json_string_value(name)) != 0)
				continue;
			assert_true(strlen(report->text[f]) > 0);
			left &= ~(1u << f);
			found = true;
		}
		if (!found)
			fail_msg("the fault %s was not found", json_string_value(name));
	}
	for (unsigned f = 0; f < BUNDLE_FAULTS; f++)
		if (left & 1u << f)
			fail_msg("%s: %s", bundle_fault_name(1u << f), report->text[f]);
}

static void what_is_wrong_is_named_as_in_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "cases"), i, row)
	{
		CLEANUP(bundle_finish) struct bundle bundle = {.index = 0};
		struct bundle_report report;
		struct err err;

		print_message("# %s\n", vector_text(row, "why"));
		assert_ok(bundle_parse(VIEW_STR(vector_text(row, "json")), &bundle, &err), err);
		bool fine = bundle_check(&bundle, &report);
		const json_t *faults = vector_get(row, "faults");
		names_of(&report, faults);
		assert_int_equal(fine, json_array_size(faults) == 0);
		if (fine) {
			const char *note = buf_cstr(&bundle.checkpoint);
			bool cosigned = strstr(note, "\xe2\x80\x94 counterfoil/gateway/") != NULL;

			assert_true(report.origin_known);
			assert_true(report.leaf_known);
			assert_int_equal(report.leaf.seq, bundle.index);
			assert_int_equal(report.cosigned, cosigned);
			assert_int_equal(report.cosign_time > 0, cosigned);
		}
	}
	assert_true(i > 20);
}

static void bundles_build_to_the_bytes_they_were_parsed_from(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "cases"), i, row)
	{
		CLEANUP(bundle_finish) struct bundle bundle = {.index = 0};
		CLEANUP(buf_finish) struct buf json = {0};
		struct err err;

		assert_ok(bundle_parse(VIEW_STR(vector_text(row, "json")), &bundle, &err), err);
		bundle_put_json(&bundle, &json);
		assert_string_equal(buf_cstr(&json), vector_text(row, "json"));
	}
}

static void malformed_bundles_are_refused_with_the_member_named(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "malformed"), i, row)
	{
		struct bundle bundle = {.index = 77};
		struct err err;

		if (bundle_parse(VIEW_STR(json_string_value(row)), &bundle, &err))
			fail_msg("accepted: %.300s", json_string_value(row));
		assert_err(err, ERR_FORMAT);
		assert_non_null(strstr(err.msg, "bundle: "));
		assert_int_equal(bundle.index, 77);
	}
	assert_true(i > 20);
}

static void a_head_sets_checkpoint_size_and_keys(void **state)
{
	CLEANUP(bundle_finish) struct bundle bundle = {.index = 0};
	struct checkpoint_origin origin = {.lane = {{1}}};
	struct checkpoint head = {.size = 12};
	struct checkpoint_lane lane;

	checkpoint_lane_init(&lane, &origin);
	bundle_set_head(&bundle, &lane, &head);
	bundle_set_head(&bundle, &lane, &head);
	assert_int_equal(bundle.size, 12);
	assert_int_equal(bundle.key_count, 2);
	assert_int_equal(bundle.key[0].type, NOTE_ED25519);
	assert_int_equal(bundle.key[1].type, NOTE_COSIGNATURE);
	assert_memory_equal(bundle.checkpoint.p, "counterfoil/1/", 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_named_as_in_the_vectors),
		cmocka_unit_test(bundles_build_to_the_bytes_they_were_parsed_from),
		cmocka_unit_test(malformed_bundles_are_refused_with_the_member_named),
		cmocka_unit_test(a_head_sets_checkpoint_size_and_keys),
	};

	return cmocka_run_group_tests(tests, load, drop);
}
