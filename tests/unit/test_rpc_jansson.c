/* SPDX-License-Identifier: Apache-2.0
 * The scanner against jansson on bodies made at random from a seed: both accept or both refuse,
 * except where the two are known to differ (jansson_differs()). */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "relay/rpc/envelope.h"

#define BODIES 40000
#define BODY_MAX 512

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static void add(struct buf *b, const char *s)
{
	buf_put_str(b, s);
}

static void add_string(struct buf *b)
{
	static const char *const bits[] = {
		"a",
		"0x",
		"\\n",
		"\\u0041",
		"\\\"",
		"\\\\",
		"\xc3\xa9",
		"\\ud83d\\ude00",
		"\xf0\x9f\x98\x80",
		"id",
		"\\u0069",
		"result",
		"7",
		" ",
	};

	add(b, "\"");
	for (uint32_t n = random_below(12); n > 0; n--)
		add(b, bits[random_below(ARRAY_SIZE(bits))]);
	add(b, "\"");
}

static void add_value(struct buf *b, int depth)
{
	static const char *const scalars[] = {"0",     "-1",   "12.5", "1e5",  "true",
					      "false", "null", "-0.0", "1E-2", "999999999"};
	uint32_t n = random_below(4);

	switch (depth > 0 ? random_below(4) : random_below(2)) {
	case 0:
		add(b, scalars[random_below(ARRAY_SIZE(scalars))]);
		return;
	case 1:
		add_string(b);
		return;
	case 2:
		add(b, "[");
		for (uint32_t i = 0; i < n; i++) {
			add(b, i ? " ," : "");
			add_value(b, depth - 1);
		}
		add(b, "]");
		return;
	default:
		add(b, "{");
		for (uint32_t i = 0; i < n; i++) {
			add(b, i ? ",\n" : "");
			add_string(b);
			add(b, ":\t");
			add_value(b, depth - 1);
		}
		add(b, "}");
	}
}

/* A few bytes changed, doubled or dropped. */
static void damage(struct buf *b)
{
	static const char marks[] = "{}[],:\"\\0e.-+ntf\x80\xc3 \n\x01";

	for (uint32_t n = random_below(3); n > 0 && b->n > 0; n--) {
		uint32_t at = random_below((uint32_t)b->n);

		switch (random_below(3)) {
		case 0:
			b->p[at] = (uint8_t)marks[random_below(sizeof(marks) - 1)];
			break;
		case 1:
			b->n = at;
			break;
		default:
			memmove(b->p + at, b->p + at + 1, b->n - at - 1);
			b->n--;
		}
	}
}

static bool scanner_accepts(struct view body)
{
	struct rpc_limits limits = {.depth_max = RPC_DEPTH_MAX, .batch_max = 100000};
	struct rpc_request r;
	struct err err = {0};

	if (rpc_request_scan(body, &limits, &r, &err)) {
		rpc_request_finish(&r);
		return true;
	}
	return err.code == ERR_REQUEST;
}

/* RFC 8259 allows these; jansson does not: lone surrogates, numbers beyond its types. */
static bool jansson_differs(const json_error_t *error)
{
	return strstr(error->text, "invalid Unicode") || strstr(error->text, "too big") ||
	       strstr(error->text, "overflow");
}

static void scanner_and_jansson_accept_the_same_bodies(void **state)
{
	const char *seed = getenv("CF_SEED");
	size_t accepted = 0, differ = 0;

	random_state = seed ? strtoull(seed, NULL, 10) : 20260101;
	print_message("# CF_SEED=%llu\n", (unsigned long long)random_state);
	for (int i = 0; i < BODIES; i++) {
		struct buf b = {0};
		json_error_t error;
		json_t *json;
		bool accepts;

		add_value(&b, 4);
		if (i % 2)
			damage(&b);
		json = json_loadb((const char *)b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
		accepts = scanner_accepts(buf_view(&b));
		if (accepts != (json != NULL) && !(accepts && jansson_differs(&error))) {
			print_message("# %s: %.*s\n",
				      accepts ? "scanner accepts" : "jansson accepts", (int)b.n,
				      (const char *)b.p);
			fail();
		}
		differ += accepts != (json != NULL);
		accepted += accepts;
		json_decref(json);
		buf_finish(&b);
	}
	/* Both kinds were really there. */
	assert_true(accepted > BODIES / 4 && accepted < BODIES * 9 / 10);
	assert_true(differ < BODIES / 20);
}

static void the_known_differences_are_these(void **state)
{
	static const char *const bodies[] = {
		"[123456789012345678901234567890]",
		"[-9223372036854775809]",
		"[1e999]",
		"[\"\\ud800\"]",
		"[\"\\ude00\"]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		json_error_t error;

		assert_true(scanner_accepts(VIEW_STR(bodies[i])));
		assert_null(json_loads(bodies[i], JSON_DECODE_ANY, &error));
		assert_true(jansson_differs(&error));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scanner_and_jansson_accept_the_same_bodies),
		cmocka_unit_test(the_known_differences_are_these),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
