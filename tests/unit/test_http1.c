/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/upstream/http1.h"

#define OK "HTTP/1.1 200 OK\r\n"

static enum http1_result head_of(const char *text, struct http1_head *head, size_t *used)
{
	return http1_head(VIEW_STR(text), head, used);
}

static void a_head_tells_status_length_and_type(void **state)
{
	static const char text[] = OK "content-LENGTH: 12 \r\nDate: x\r\n"
				      "Content-Type:  application/json\r\n\r\nbody";
	struct http1_head head;
	size_t used = 0;

	assert_int_equal(head_of(text, &head, &used), HTTP1_DONE);
	assert_int_equal(used, strlen(text) - 4);
	assert_int_equal(head.status, 200);
	assert_true(head.keep && head.has_length && !head.chunked);
	assert_int_equal(head.length, 12);
	assert_true(view_eq(head.content_type, VIEW_STR("application/json")));
}

static void every_prefix_of_a_head_asks_for_more(void **state)
{
	static const char text[] = OK "Content-Length: 0\r\nConnection: close\r\n\r\n";
	struct http1_head head;
	size_t used;

	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(http1_head(VIEW(text, n), &head, &used), HTTP1_MORE);
	assert_int_equal(head_of(text, &head, &used), HTTP1_DONE);
	assert_false(head.keep);
}

static void an_http_1_0_answer_is_kept_only_when_it_says_so(void **state)
{
	struct http1_head head;
	size_t used;

	assert_int_equal(head_of("HTTP/1.0 200 OK\r\n\r\n", &head, &used), HTTP1_DONE);
	assert_false(head.keep);
	assert_int_equal(
		head_of("HTTP/1.0 200 OK\r\nConnection: x, Keep-Alive\r\n\r\n", &head, &used),
		HTTP1_DONE);
	assert_true(head.keep);
}

static void heads_that_could_be_read_in_two_ways_are_broken(void **state)
{
	static const char *const broken[] = {
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 999 OK\r\n\r\n",
		"HTTP/1.1 2000\r\n\r\n",
		"<html>\r\n\r\n",
		"HTTP/1.1 200 OK\n\n",
		OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		OK "Content-Length: +1\r\n\r\n",
		OK "Content-Length: 1, 1\r\n\r\n",
		OK "Content-Length: 99999999999999999999999\r\n\r\n",
		OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
		OK "Content-Length : 5\r\n\r\n",
		OK "X: 1\r\n folded\r\n\r\n",
		OK "no colon\r\n\r\n",
		OK ": no name\r\n\r\n",
		OK "X: 1\nContent-Length: 5\r\n\r\n",
	};
	struct http1_head head;
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		assert_int_equal(head_of(broken[i], &head, &used), HTTP1_BROKEN);
	assert_int_equal(head_of(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", &head, &used),
			 HTTP1_DONE);
}

/* Decodes a chunked body given in steps of `step` bytes. */
static enum http1_result decode(const char *text, size_t step, struct buf *out, size_t *ret_left)
{
	struct http1_chunks c = {0};
	enum http1_result got = HTTP1_MORE;
	size_t at = 0, end = 0, n = strlen(text), used;
	struct view data;

	while (got == HTTP1_MORE && (at < end || end < n)) {
		got = http1_chunk(&c, VIEW(text + at, end - at), &used, &data);
		buf_put(out, data.p, data.n);
		at += used;
		if (used == 0 && got == HTTP1_MORE) {
			if (end == n)
				break;
			end = MIN(end + step, n);
		}
	}
	*ret_left = n - at;
	return got;
}

static void chunks_are_joined_however_they_arrive(void **state)
{
	static const char text[] =
		"5\r\nhello\r\n1;x=y\r\n \r\n5 \r\nworld\r\n000\r\nT: v\r\n\r\nnext";

	for (size_t step = 1; step < sizeof(text); step++) {
		CLEANUP(buf_finish) struct buf out = {0};
		size_t left;

		assert_int_equal(decode(text, step, &out, &left), HTTP1_DONE);
		assert_true(view_eq(buf_view(&out), VIEW_STR("hello world")));
		assert_int_equal(left, 4);
	}
}

static void broken_chunks_are_told(void **state)
{
	static const char *const broken[] = {
		"\r\n", "x\r\n", "-1\r\n", "5\nhello", "1\r\naXX\r\n", "11111111111111111\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		CLEANUP(buf_finish) struct buf out = {0};
		size_t left;

		assert_int_equal(decode(broken[i], 100, &out, &left), HTTP1_BROKEN);
	}
}

static void a_cut_chunk_asks_for_more(void **state)
{
	static const char text[] = "5\r\nhello\r\n0\r\n\r\n";

	for (size_t n = 0; n < strlen(text); n++) {
		CLEANUP(buf_finish) struct buf out = {0};
		char cut[32];
		size_t left;

		snprintf(cut, sizeof(cut), "%.*s", (int)n, text);
		assert_int_equal(decode(cut, 100, &out, &left), HTTP1_MORE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_tells_status_length_and_type),
		cmocka_unit_test(every_prefix_of_a_head_asks_for_more),
		cmocka_unit_test(an_http_1_0_answer_is_kept_only_when_it_says_so),
		cmocka_unit_test(heads_that_could_be_read_in_two_ways_are_broken),
		cmocka_unit_test(chunks_are_joined_however_they_arrive),
		cmocka_unit_test(broken_chunks_are_told),
		cmocka_unit_test(a_cut_chunk_asks_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
