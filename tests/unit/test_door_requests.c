/* SPDX-License-Identifier: Apache-2.0
 * What may come and wait behind the door: memory of requests and answers, and what evhttp refuses.
 */
#include "tests/unit/unit.h"

#include "tests/unit/door_world.h"

/* Sends as much of a body as the server takes while the loop runs. */
static void send_part_of_body(struct scene *s, int fd, size_t length, size_t part)
{
	static char bytes[65536];
	char head[128];

	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
		 length);
	say(fd, head);
	while (part > 0) {
		ssize_t n = write(fd, bytes, part < sizeof(bytes) ? part : sizeof(bytes));

		if (n > 0)
			part -= (size_t)n;
		else if (errno != EAGAIN)
			return;
		live(s, 1);
	}
	live(s, 20);
}

/* --- memory --- */

static void requests_in_memory_have_a_bound_and_the_slowest_makes_room(void **state)
{
	struct house_limits limits = wide;
	int64_t before = ended(CLIENT_REQUEST_BYTES);
	struct scene s;
	int fds[3], small;

	limits.request_bytes_max = 1 << 20;
	scene_open(&s, &limits);
	for (int i = 0; i < 3; i++) {
		fds[i] = come_from(&s, 1);
		send_part_of_body(&s, fds[i], 600 << 10, 500 << 10);
		assert_true(house_request_bytes(s.house) <= limits.request_bytes_max);
		assert_int_equal(ended(CLIENT_REQUEST_BYTES), before + (i == 2));
	}
	small = come(&s);
	live(&s, 20);
	assert_true(is_answered(small)); /* small requests are not held up */
	assert_true(is_told(fds[0], "HTTP/1.1 503 "));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(small);
	live(&s, 20);
	assert_int_equal(house_request_bytes(s.house), 0);
	scene_close(&s);
}

static void lines_of_a_head_count_for_what_is_made_of_them(void **state)
{
	struct house_limits limits = wide;
	char head[16384] = "GET / HTTP/1.1\r\n";
	struct scene s;
	size_t n;
	int fd;

	limits.head_max = sizeof(head);
	scene_open(&s, &limits);
	n = strlen(head);
	for (; n + 6 < sizeof(head) - 2; n += 5)
		memcpy(head + n, "a:b\r\n", 6);
	fd = come_from(&s, 1);
	say(fd, head);
	live(&s, 20);
	assert_true(house_request_bytes(s.house) > 10 * sizeof(head));
	say(fd, "\r\n");
	live(&s, 20);
	assert_true(is_answered(fd));
	assert_int_equal(house_request_bytes(s.house), 0);
	close(fd);
	scene_close(&s);
}

static void answers_that_wait_have_a_bound_and_the_most_stalled_makes_room(void **state)
{
	struct house_limits limits = wide;
	int64_t before = ended(CLIENT_ANSWER_BYTES);
	struct scene s;
	int fds[3];

	limits.answer_bytes_max = 2 * BIG;
	scene_open(&s, &limits);
	for (int i = 0; i < 3; i++) {
		fds[i] = come_from(&s, 1);
		say(fds[i], "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
		live(&s, 50);
		assert_true(house_answer_bytes(s.house) <= limits.answer_bytes_max);
	}
	assert_int_equal(ended(CLIENT_ANSWER_BYTES), before + 1);
	assert_int_equal(house_connections(s.house), 2);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	scene_close(&s);
}

static void what_comes_while_an_answer_is_due_is_read_ahead_a_little_only(void **state)
{
	static char garbage[1 << 20];
	size_t sent = 0;
	struct scene s;
	int fd;

	scene_open(&s, &wide);
	fd = come_from(&s, 1);
	say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 50; i++) {
		ssize_t n = write(fd, garbage, sizeof(garbage));

		sent += n > 0 ? (size_t)n : 0;
		live(&s, 5);
	}
	assert_int_equal(s.asked, 1);
	assert_true(house_request_bytes(s.house) <= 2 * CLIENT_FREE_BYTES);
	assert_true(sent < (size_t)16 << 20); /* the kernel's buffers, and then no more */
	close(fd);
	scene_close(&s);
}

/* --- what evhttp refuses --- */

static void what_is_refused_by_evhttp_has_a_name(void **state)
{
	static const struct {
		const char *sent;
		enum client_end end;
	} cases[] = {
		{"\x16\x03\x01\x02", CLIENT_TLS},
		{"nothing like HTTP\r\n\r\n", CLIENT_BAD_REQUEST},
		{"GET / HTTP/1.1\r\nno colon\r\n\r\n", CLIENT_BAD_REQUEST},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\nno request behind one\r\n\r\n",
		 CLIENT_BAD_REQUEST},
		{"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", CLIENT_BAD_REQUEST},
		{"POST / HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 1\r\n\r\n",
		 CLIENT_BAD_REQUEST},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n",
		 CLIENT_BODY_REFUSED},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		 CLIENT_BODY_REFUSED},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
		 CLIENT_BODY_REFUSED},
	};
	struct scene s;

	scene_open(&s, &wide);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t before = ended(cases[i].end);
		int fd = come_from(&s, 1);

		say(fd, cases[i].sent);
		live(&s, 20);
		if (ended(cases[i].end) != before + 1)
			print_message("# case %zu\n", i);
		assert_int_equal(ended(cases[i].end), before + 1);
		close(fd);
	}
	assert_int_equal(s.asked, 1);
	scene_close(&s);
}

static void a_head_over_the_limit_is_told_from_other_bad_ones(void **state)
{
	char line[8192], head[16384] = "GET / HTTP/1.1\r\n";
	int64_t before = ended(CLIENT_HEAD_TOO_LARGE);
	struct scene s;
	int fd;

	scene_open(&s, &wide);
	memset(line, 'a', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	fd = come_from(&s, 1); /* one line without an end */
	say(fd, line);
	live(&s, 20);
	assert_int_equal(ended(CLIENT_HEAD_TOO_LARGE), before + 1);
	close(fd);
	while (strlen(head) < 8000)
		strcat(head, "X-Header: value\r\n");
	fd = come_from(&s, 1); /* many short ones */
	say(fd, head);
	live(&s, 20);
	assert_int_equal(ended(CLIENT_HEAD_TOO_LARGE), before + 2);
	close(fd);
	scene_close(&s);
}

/* "GET", so many lines of headers, and the blank one. */
static const char *head_of(unsigned lines)
{
	static char head[4096];
	size_t n = (size_t)sprintf(head, "GET / HTTP/1.1\r\n");

	for (unsigned i = 0; i < lines; i++)
		n += (size_t)sprintf(head + n, "a: b%c\n", i % 2 ? '\r' : ' ');
	sprintf(head + n, "\r\n");
	return head;
}

static void lines_of_a_head_have_a_limit(void **state)
{
	int64_t before = ended(CLIENT_HEAD_TOO_LARGE);
	struct house_limits limits = wide;
	const char *head;
	struct scene s;
	int fd;

	limits.head_lines_max = 20;
	scene_open(&s, &limits);
	fd = come_from(&s, 1);
	say(fd, head_of(19)); /* and the first one */
	live(&s, 20);
	assert_true(is_answered(fd));
	assert_int_equal(s.asked, 1);
	for (head = head_of(19); *head; head++) { /* byte by byte */
		say(fd, (char[]){*head, '\0'});
		live(&s, 1);
	}
	live(&s, 20);
	assert_true(is_answered(fd));
	assert_int_equal(s.asked, 2);
	assert_int_equal(ended(CLIENT_HEAD_TOO_LARGE), before);
	say(fd, head_of(20));
	live(&s, 20);
	assert_int_equal(ended(CLIENT_HEAD_TOO_LARGE), before + 1);
	assert_int_equal(s.asked, 2);
	assert_int_equal(house_connections(s.house), 0);
	close(fd);
	scene_close(&s);
}

static void lines_of_a_body_are_no_lines_of_a_head_and_those_behind_it_are(void **state)
{
	int64_t before = ended(CLIENT_HEAD_TOO_LARGE);
	struct house_limits limits = wide;
	char text[4096] = "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n";
	struct scene s;
	int fd;

	limits.head_lines_max = 20;
	scene_open(&s, &limits);
	fd = come_from(&s, 1);
	for (int i = 0; i < 50; i++)
		strcat(text, "x\n");
	say(fd, text);
	live(&s, 20);
	assert_true(is_answered(fd));
	strcat(text, head_of(20)); /* pipelined: it is read with what stands before it */
	say(fd, text);
	live(&s, 20);
	assert_int_equal(s.asked, 2);
	assert_int_equal(ended(CLIENT_HEAD_TOO_LARGE), before + 1);
	assert_int_equal(house_connections(s.house), 0);
	close(fd);
	scene_close(&s);
}

static void who_leaves_in_the_midst_of_a_request_is_told_from_who_is_done(void **state)
{
	int64_t left = ended(CLIENT_LEFT), done = ended(CLIENT_DONE);
	struct scene s;
	int fd;

	scene_open(&s, &wide);
	fd = come(&s);
	live(&s, 20);
	close(fd);
	live(&s, 20);
	assert_int_equal(ended(CLIENT_DONE), done + 1);
	fd = come_from(&s, 1);
	say(fd, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	live(&s, 20);
	close(fd);
	fd = come_from(&s, 1);
	say(fd, "GET /");
	live(&s, 20);
	close(fd);
	live(&s, 20);
	assert_int_equal(ended(CLIENT_LEFT), left + 2);
	assert_int_equal(ended(CLIENT_DONE), done + 1);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_in_memory_have_a_bound_and_the_slowest_makes_room),
		cmocka_unit_test(lines_of_a_head_count_for_what_is_made_of_them),
		cmocka_unit_test(answers_that_wait_have_a_bound_and_the_most_stalled_makes_room),
		cmocka_unit_test(what_comes_while_an_answer_is_due_is_read_ahead_a_little_only),
		cmocka_unit_test(what_is_refused_by_evhttp_has_a_name),
		cmocka_unit_test(a_head_over_the_limit_is_told_from_other_bad_ones),
		cmocka_unit_test(lines_of_a_head_have_a_limit),
		cmocka_unit_test(lines_of_a_body_are_no_lines_of_a_head_and_those_behind_it_are),
		cmocka_unit_test(who_leaves_in_the_midst_of_a_request_is_told_from_who_is_done),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
