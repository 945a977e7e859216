/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <ctype.h>
#include <pthread.h>

#include "relay/base/err.h"
#include "relay/base/metrics.h"

static char *page(void)
{
	struct buf out = {0};

	metrics_write(&out);
	return (char *)(uintptr_t)buf_cstr(&out);
}

static void assert_page_has(const char *line)
{
	char *text = page();

	if (strstr(text, line) == NULL)
		fail_msg("not on the page: %s", line);
	free(text);
}

static void a_counter_is_shown_with_help_type_and_total(void **state)
{
	metric_add(METRIC_GATEWAY_REQUESTS, 2);
	metric_add(METRIC_GATEWAY_REQUESTS, 3);
	assert_int_equal(metric_value_at(METRIC_GATEWAY_REQUESTS, 0, 0), 5);
	assert_page_has("# HELP counterfoil_gateway_requests_total HTTP requests received\n"
			"# TYPE counterfoil_gateway_requests_total counter\n"
			"counterfoil_gateway_requests_total 5\n");
}

static void times_are_shown_in_seconds(void **state)
{
	metric_set(METRIC_REGISTRY_AGE, 1500000);
	assert_page_has("counterfoil_registry_age_seconds 1.500000\n");
	metric_set(METRIC_REGISTRY_AGE, -250);
	assert_page_has("counterfoil_registry_age_seconds -0.000250\n");
}

static void labels_are_named_and_escaped(void **state)
{
	unsigned eth = metrics_label(METRIC_LABEL_SERVICE, "eth");
	unsigned odd = metrics_label(METRIC_LABEL_BACKEND, "a\"b\\c\nd");

	assert_int_equal(metrics_label(METRIC_LABEL_SERVICE, "eth"), eth);
	metric_add_at(METRIC_GATEWAY_CALLS, eth, 0, 1);
	metric_add_at(METRIC_GATEWAY_CALLS, eth, ERR_UNPAID, 7);
	metric_set_at(METRIC_UPSTREAM_UP, odd, 0, 0);
	assert_page_has("counterfoil_gateway_calls_total{service=\"eth\",result=\"ok\"} 1\n");
	assert_page_has("counterfoil_gateway_calls_total{service=\"eth\",result=\"unpaid\"} 7\n");
	assert_page_has("counterfoil_upstream_up{backend=\"a\\\"b\\\\c\\nd\"} 0\n");
}

static void a_label_has_a_bound_and_the_rest_is_other(void **state)
{
	char name[16];
	unsigned last = 0;

	for (int i = 0; i < METRICS_VALUES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		last = metrics_label(METRIC_LABEL_SUPPLIER, name);
		assert_int_equal(last, i + 1);
	}
	assert_int_equal(metrics_label(METRIC_LABEL_SUPPLIER, "one more"), 0);
	metric_add_at(METRIC_GATEWAY_PICKS, 0, 0, 1);
	metric_add_at(METRIC_GATEWAY_PICKS, last, 0, 1);
	assert_page_has("counterfoil_gateway_picks_total{supplier=\"other\"} 1\n");
	assert_page_has("counterfoil_gateway_picks_total{supplier=\"s63\"} 1\n");
}

static void a_histogram_is_cumulative_and_ends_in_inf(void **state)
{
	metric_observe(METRIC_LEDGER_COMMIT_LEAVES, 1);
	metric_observe(METRIC_LEDGER_COMMIT_LEAVES, 2);
	metric_observe(METRIC_LEDGER_COMMIT_LEAVES, 3);
	metric_observe(METRIC_LEDGER_COMMIT_LEAVES, 100000);
	assert_page_has("# TYPE counterfoil_ledger_commit_leaves histogram\n"
			"counterfoil_ledger_commit_leaves_bucket{le=\"1\"} 1\n"
			"counterfoil_ledger_commit_leaves_bucket{le=\"2\"} 2\n"
			"counterfoil_ledger_commit_leaves_bucket{le=\"4\"} 3\n");
	assert_page_has("counterfoil_ledger_commit_leaves_bucket{le=\"65536\"} 3\n"
			"counterfoil_ledger_commit_leaves_bucket{le=\"+Inf\"} 4\n"
			"counterfoil_ledger_commit_leaves_sum 100006\n"
			"counterfoil_ledger_commit_leaves_count 4\n");
	metric_observe(METRIC_LEDGER_COMMIT_TIME, 300);
	assert_page_has("counterfoil_ledger_commit_time_seconds_bucket{le=\"0.000512\"} 1\n");
	assert_page_has("counterfoil_ledger_commit_time_seconds_sum 0.000300\n");
}

static void every_line_is_a_comment_or_a_sample_of_ours(void **state)
{
	char *text = page(), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		if (strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0)
			line += 7;
		assert_int_equal(strncmp(line, "counterfoil_", 12), 0);
		for (; *line != 0 && *line != ' ' && *line != '{'; line++)
			assert_true(islower((unsigned char)*line) || *line == '_');
	}
	free(text);
}

static void *add_many(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		metric_add(METRIC_LEDGER_LEAVES, 1);
		metric_observe(METRIC_NODE_TURN_RELAYS, 3);
	}
	return NULL;
}

static void threads_lose_no_addition(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_value_at(METRIC_LEDGER_LEAVES, 0, 0), 40000);
	assert_int_equal(hist_count(metric_hist_at(METRIC_NODE_TURN_RELAYS, 0, 0)), 40000);
	assert_int_equal(hist_sum(metric_hist_at(METRIC_NODE_TURN_RELAYS, 0, 0)), 120000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_is_shown_with_help_type_and_total),
		cmocka_unit_test(times_are_shown_in_seconds),
		cmocka_unit_test(labels_are_named_and_escaped),
		cmocka_unit_test(a_label_has_a_bound_and_the_rest_is_other),
		cmocka_unit_test(a_histogram_is_cumulative_and_ends_in_inf),
		cmocka_unit_test(every_line_is_a_comment_or_a_sample_of_ours),
		cmocka_unit_test(threads_lose_no_addition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
