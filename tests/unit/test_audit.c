/* SPDX-License-Identifier: Apache-2.0
 * Reports: what is kept, counted and printed, and which exit status follows.  The checks themselves
 * run over whole folders in tests/integration/test_audit.py. */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "relay/audit/folder.h"
#include "relay/crypto/digest.h"

static const struct lane_id lane = {{0xab}};

static void the_status_follows_the_heaviest_finding(void **state)
{
	static const struct {
		enum audit_weight weight;
		enum audit_status status, verdict;
	} rows[] = {
		{AUDIT_NOTE, AUDIT_CLEAN, AUDIT_CLEAN},
		{AUDIT_OPEN, AUDIT_INCONCLUSIVE, AUDIT_INCONCLUSIVE},
		{AUDIT_LOCAL, AUDIT_FINDINGS, AUDIT_INCONCLUSIVE},
		{AUDIT_PROVABLE, AUDIT_FINDINGS, AUDIT_FINDINGS},
	};
	struct audit_report report = {.n = 0};

	assert_int_equal(audit_report_status(&report), AUDIT_CLEAN);
	assert_int_equal(audit_report_verdict(&report), AUDIT_CLEAN);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		audit_find(&report, rows[i].weight, "kind", &lane, i, "text");
		assert_int_equal(audit_report_status(&report), rows[i].status);
		assert_int_equal(audit_report_verdict(&report), rows[i].verdict);
	}
	audit_report_finish(&report);
}

static void findings_of_one_kind_in_one_lane_are_limited_and_counted(void **state)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct audit_report report = {.n = 0};
	struct lane_id other = {{0xcd}};

	for (uint64_t i = 0; i < 100; i++) {
		audit_find(&report, AUDIT_LOCAL, "seq", &lane, i, "its seq is %d", 7);
		audit_find(&report, AUDIT_LOCAL, "cu", &lane, i, "too much");
	}
	assert_int_equal(report.n, 2 * AUDIT_KIND_MAX);
	audit_find(&report, AUDIT_LOCAL, "seq", &other, 5, "its seq is 6");
	assert_int_equal(report.n, 2 * AUDIT_KIND_MAX + 1);
	assert_int_equal(report.weights[AUDIT_LOCAL], 201);
	audit_report_put_text(&report, "verify", audit_report_status(&report), &out);
	assert_non_null(strstr(buf_cstr(&out), "and 168 more of the same kinds\n"));
	assert_non_null(
		strstr(buf_cstr(&out), "verify: findings (0 provable, 201 local, 0 open)\n"));
	for (unsigned i = 0; i < 2 * AUDIT_FINDINGS_MAX; i++) {
		struct lane_id many = {{(uint8_t)(i >> 8), (uint8_t)i}};

		audit_find(&report, AUDIT_OPEN, "seed", &many, AUDIT_NO_SEQ, "none");
	}
	assert_int_equal(report.n, AUDIT_FINDINGS_MAX);
	audit_report_finish(&report);
	assert_int_equal(report.weights[AUDIT_LOCAL], 0);
}

static void json_is_one_line_that_parses_whatever_the_texts_hold(void **state)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct audit_report report = {.n = 0};

	audit_count(&report, "leaves", 0);
	audit_count(&report, "leaves", 41);
	audit_count(&report, "leaves", 1);
	audit_find(&report, AUDIT_PROVABLE, "seq", &lane, 3, "a \"quote\", a \\, a \n newline");
	audit_find(&report, AUDIT_OPEN, "seed", NULL, AUDIT_NO_SEQ, "\xff\xfe");
	audit_report_put_json(&report, "verify", AUDIT_FINDINGS, &out);
	assert_int_equal(out.p[out.n - 1], '\n');
	assert_ptr_equal(memchr(out.p, '\n', out.n), out.p + out.n - 1);
	json_t *json = json_loadb((const char *)out.p, out.n, 0, NULL);
	assert_non_null(json);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(json, "counters"), "leaves")),
		42);
	json_t *findings = json_object_get(json, "findings");
	assert_int_equal(json_array_size(findings), 2);
	json_t *first = json_array_get(findings, 0);
	assert_string_equal(json_string_value(json_object_get(first, "text")),
			    "a \"quote\", a \\, a \n newline");
	assert_string_equal(json_string_value(json_object_get(first, "weight")), "provable");
	assert_null(json_object_get(json_array_get(findings, 1), "lane"));
	assert_null(json_object_get(json_array_get(findings, 1), "seq"));
	json_decref(json);
	audit_report_finish(&report);
}

static void evidence_rows_that_point_outside_are_no_evidence(void **state)
{
	static const uint8_t data[10];
	static const uint64_t rows[][4] = {
		{0, 0, 4, 6},	       {1, 0, 4, 7},	      {2, 11, 0, 0},
		{3, UINT64_MAX, 2, 0}, {4, 0, UINT64_MAX, 2}, {9, 0, 1, 1},
	};
	uint8_t index[ARRAY_SIZE(rows) * AUDIT_EVIDENCE_ROW];
	struct audit_lane one = {.size = 5,
				 .evidence = VIEW(data, sizeof(data)),
				 .evidence_index = VIEW(index, sizeof(index))};
	struct audit_evidence found;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < 4; k++)
			put_be64(index + i * AUDIT_EVIDENCE_ROW + 8 * k, rows[i][k]);
	assert_int_equal(audit_lane_evidence_count(&one), ARRAY_SIZE(rows));
	assert_true(audit_lane_evidence_find(&one, 0, &found));
	assert_int_equal(found.request.n, 4);
	assert_int_equal(found.response.n, 6);
	assert_ptr_equal(found.response.p, data + 4);
	for (size_t i = 1; i < ARRAY_SIZE(rows); i++)
		assert_false(audit_lane_evidence_at(&one, i, &found));
	assert_false(audit_lane_evidence_find(&one, 1, &found));
	assert_false(audit_lane_evidence_find(&one, 8, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_follows_the_heaviest_finding),
		cmocka_unit_test(findings_of_one_kind_in_one_lane_are_limited_and_counted),
		cmocka_unit_test(json_is_one_line_that_parses_whatever_the_texts_hold),
		cmocka_unit_test(evidence_rows_that_point_outside_are_no_evidence),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
