/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "relay/base/metrics.h"
#include "relay/crypto/digest.h"
#include "relay/gateway/door.h"
#include "relay/gateway/source.h"

#define MAX_OPEN 4
#define BIG ((size_t)8 << 20) /* more than a socket takes */

static const struct house_limits wide = {
	.connections_max = MAX_OPEN,
	.connections_per_address_max = 100,
	.calls_per_address_max = 100,
	.request_bytes_max = 64 << 20,
	.answer_bytes_max = 64 << 20,
	.request_max = 4 << 20,
	.head_max = 4096,
	.request_timeout_us = 60000000,
	.idle_timeout_us = 60000000,
	.send_timeout_us = 60000000,
};

struct scene {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct house *house;
	struct door *door;
	struct sockaddr_in address;
	unsigned asked;
};

static void forget(void *arg)
{
	if (!evhttp_request_get_connection(arg))
		evhttp_request_free(arg);
}

/* Takes a request that will not be answered; whether its client leaves is seen. */
static void keep_waiting(struct scene *s, struct evhttp_request *req)
{
	struct client *client = door_client(s->door, req);
	bufferevent_event_cb on_event;
	void *arg;

	client_on_gone(client, forget, req);
	bufferevent_getcb(client->bev, NULL, NULL, &on_event, &arg);
	bufferevent_setcb(client->bev, NULL, NULL, on_event, arg);
	bufferevent_enable(client->bev, EV_READ);
}

/* "/big" has a long answer, "/never" none. */
static void answer(struct evhttp_request *req, void *arg)
{
	struct scene *s = arg;
	const char *path = evhttp_request_get_uri(req);
	struct evbuffer *body = evbuffer_new();
	char *bytes;

	s->asked++;
	client_serve(door_client(s->door, req), req);
	if (strcmp(path, "/big") == 0) {
		bytes = calloc(1, BIG);
		evbuffer_add(body, bytes, BIG);
		free(bytes);
	}
	if (strcmp(path, "/never") == 0)
		keep_waiting(s, req);
	else
		evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

static void scene_open(struct scene *s, const struct house_limits *limits)
{
	socklen_t n = sizeof(s->address);

	memset(s, 0, sizeof(*s));
	clock_tick();
	s->address.sin_family = AF_INET;
	s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->base = event_base_new();
	s->http = evhttp_new(s->base);
	s->listener = evconnlistener_new_bind(s->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 64,
					      (struct sockaddr *)&s->address, sizeof(s->address));
	assert_non_null(s->listener);
	assert_int_equal(
		getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&s->address, &n),
		0);
	assert_non_null(evhttp_bind_listener(s->http, s->listener));
	evhttp_set_gencb(s->http, answer, s);
	evhttp_set_max_headers_size(s->http, (ev_ssize_t)limits->head_max);
	evhttp_set_max_body_size(s->http, 2 << 20);
	s->house = house_create(limits);
	s->door = door_create(s->base, s->http, s->listener, s->house);
}

static void scene_close(struct scene *s)
{
	door_close(s->door);
	door_empty(s->door);
	evhttp_free(s->http);
	door_destroy(s->door);
	house_destroy(s->house);
	event_base_free(s->base);
}

/* Lets the loop run for a while, and on with what is there to be done when the machine took that
 * while for itself. */
static void live(struct scene *s, int ms)
{
	struct timeval tv = {.tv_usec = ms * 1000};

	event_base_loopexit(s->base, &tv);
	event_base_dispatch(s->base);
	for (int i = 0; i < 10; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

/* A client of 127.0.0.`host`. */
static int come_from(struct scene *s, int host)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (uint32_t)host);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&s->address, sizeof(s->address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* A client that asks at once and does not wait. */
static int come(struct scene *s)
{
	int fd = come_from(s, 1);

	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	return fd;
}

static bool is_answered(int fd)
{
	char text[256];

	return read(fd, text, sizeof(text)) > 0;
}

/* What is there to be read begins with this. */
static bool is_told(int fd, const char *text)
{
	char got[256];
	ssize_t n = read(fd, got, sizeof(got));

	return n >= (ssize_t)strlen(text) && memcmp(got, text, strlen(text)) == 0;
}

static int64_t ended(enum client_end end)
{
	return metric_value_at(METRIC_GATEWAY_CLIENTS_ENDED, end, 0);
}

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

/* --- connections --- */

static void who_comes_to_a_full_house_waits_until_somebody_leaves(void **state)
{
	struct scene s;
	int fds[MAX_OPEN + 2];

	scene_open(&s, &wide);
	for (int i = 0; i < MAX_OPEN + 2; i++)
		fds[i] = come(&s);
	live(&s, 150);
	for (int i = 0; i < MAX_OPEN + 2; i++)
		assert_int_equal(is_answered(fds[i]), i < MAX_OPEN);
	assert_int_equal(house_connections(s.house), MAX_OPEN);
	close(fds[0]);
	live(&s, 300);
	assert_true(is_answered(fds[MAX_OPEN]));
	assert_false(is_answered(fds[MAX_OPEN + 1]));
	for (int i = 1; i < MAX_OPEN; i++)
		close(fds[i]);
	live(&s, 300);
	assert_true(is_answered(fds[MAX_OPEN + 1]));
	close(fds[MAX_OPEN]);
	close(fds[MAX_OPEN + 1]);
	live(&s, 20);
	assert_int_equal(house_connections(s.house), 0);
	scene_close(&s);
}

static void who_has_been_idle_longest_makes_room_in_a_full_house(void **state)
{
	int64_t before = ended(CLIENT_CROWDED);
	int fds[MAX_OPEN + 1];
	struct scene s;

	scene_open(&s, &wide);
	for (int i = 0; i < MAX_OPEN; i++) {
		fds[i] = come(&s);
		live(&s, 20);
		assert_true(is_answered(fds[i]));
	}
	say(fds[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); /* so the second is idle for longest */
	live(&s, 700);
	live(&s, 700);
	assert_int_equal(ended(CLIENT_CROWDED), before); /* nobody waits yet */
	fds[MAX_OPEN] = come(&s);
	live(&s, 300);
	assert_true(is_answered(fds[MAX_OPEN]));
	assert_int_equal(ended(CLIENT_CROWDED), before + 1);
	assert_true(is_answered(fds[0]));
	assert_int_equal(read(fds[1], (char[1]){0}, 1), 0);
	for (int i = 0; i <= MAX_OPEN; i++)
		close(fds[i]);
	scene_close(&s);
}

static void clients_that_come_and_go_are_not_held_up_for_good(void **state)
{
	struct scene s;

	scene_open(&s, &wide);
	for (int i = 0; i < 10 * MAX_OPEN; i++) {
		int fd = come(&s), tries = 0;

		while (!is_answered(fd) && tries++ < 100)
			live(&s, 5);
		assert_true(tries < 100);
		close(fd);
	}
	live(&s, 20);
	assert_int_equal(house_connections(s.house), 0);
	scene_close(&s);
}

static void an_address_with_too_many_connections_is_refused_and_others_are_not(void **state)
{
	struct house_limits limits = wide;
	int64_t before = ended(CLIENT_PER_ADDRESS);
	int fds[3], other;
	struct scene s;

	limits.connections_per_address_max = 2;
	scene_open(&s, &limits);
	for (int i = 0; i < 3; i++)
		fds[i] = come_from(&s, 1);
	other = come_from(&s, 2);
	live(&s, 50);
	assert_int_equal(ended(CLIENT_PER_ADDRESS), before + 1);
	assert_true(is_told(fds[2], "HTTP/1.1 429 "));
	say(fds[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	say(other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	live(&s, 50);
	assert_true(is_answered(fds[0]) && is_answered(other));
	close(fds[0]);
	live(&s, 50);
	close(fds[2]);
	fds[2] = come(&s); /* there is room for it again */
	live(&s, 50);
	assert_true(is_answered(fds[2]));
	close(fds[1]);
	close(fds[2]);
	close(other);
	scene_close(&s);
}

static void an_address_has_so_many_calls_in_flight_and_no_more(void **state)
{
	struct sources *sources = sources_create();
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct source *a, *b, *other;

	v6.sin6_addr.s6_addr[0] = 0x20;
	a = sources_enter(sources, (struct sockaddr *)&v6, 10);
	v6.sin6_addr.s6_addr[15] = 7; /* of the same /64 */
	b = sources_enter(sources, (struct sockaddr *)&v6, 10);
	v6.sin6_addr.s6_addr[7] = 1;
	other = sources_enter(sources, (struct sockaddr *)&v6, 10);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, other);
	assert_true(source_take_calls(a, 3, 4));
	assert_false(source_take_calls(b, 2, 4));
	assert_true(source_take_calls(b, 1, 4));
	assert_false(source_take_calls(b, 1, 4));
	assert_true(source_take_calls(other, 4, 4));
	assert_false(source_take_calls(other, SIZE_MAX, 4));
	source_give_calls(a, 3);
	assert_true(source_take_calls(b, 3, 4));
	source_give_calls(b, 4);
	source_give_calls(other, 4);
	sources_leave(sources, a);
	sources_leave(sources, b);
	sources_leave(sources, other);
	sources_destroy(sources);
}

static void without_descriptors_the_door_rests_and_opens_again(void **state)
{
	struct rlimit old, few;
	int spare[256], n = 0, fds[2];
	struct scene s;

	scene_open(&s, &wide);
	fds[0] = come(&s);
	fds[1] = come(&s);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < 256 && (spare[n] = dup(0)) >= 0)
		n++;
	live(&s, 50);
	assert_false(is_answered(fds[0]) || is_answered(fds[1]));
	while (n > 0)
		close(spare[--n]);
	live(&s, 300);
	assert_true(is_answered(fds[0]) && is_answered(fds[1]));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	close(fds[0]);
	close(fds[1]);
	scene_close(&s);
}

static void an_ipv4_address_is_one_source_by_either_family(void **state)
{
	struct sources *sources = sources_create();
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
	struct source *a, *b, *other;

	v4.sin_addr.s_addr = htonl(0x7f000001);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
	a = sources_enter(sources, (struct sockaddr *)&v4, 10);
	b = sources_enter(sources, (struct sockaddr *)&mapped, 10);
	assert_ptr_equal(a, b);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.2", &mapped.sin6_addr), 1);
	other = sources_enter(sources, (struct sockaddr *)&mapped, 10);
	assert_ptr_not_equal(a, other);
	sources_leave(sources, a);
	sources_leave(sources, b);
	sources_leave(sources, other);
	sources_destroy(sources);
}

/* --- times --- */

static void who_does_not_finish_a_request_in_time_is_told_so(void **state)
{
	struct house_limits limits = wide;
	int64_t before = ended(CLIENT_SLOW);
	usec_t begun_us = clock_now_us();
	struct scene s;
	int head, body;

	limits.request_timeout_us = 400000;
	scene_open(&s, &limits);
	head = come_from(&s, 1);
	body = come_from(&s, 1);
	say(head, "GET / HTTP/1.1\r\n");
	say(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
	for (int i = 0; i < 90 && ended(CLIENT_SLOW) < before + 2; i++) {
		live(&s, 60);
		(void)!send(head, "a", 1, MSG_NOSIGNAL); /* a byte now and then does not help */
		(void)!send(body, "b", 1, MSG_NOSIGNAL);
	}
	assert_int_equal(ended(CLIENT_SLOW), before + 2);
	assert_true(clock_now_us() - begun_us >= limits.request_timeout_us);
	assert_true(is_told(head, "HTTP/1.1 408 ") && is_told(body, "HTTP/1.1 408 "));
	assert_int_equal(s.asked, 0);
	close(head);
	close(body);
	scene_close(&s);
}

static void who_asks_nothing_is_idle_and_who_is_being_served_is_not(void **state)
{
	struct house_limits limits = wide;
	int64_t before = ended(CLIENT_IDLE);
	struct scene s;
	int idle, served;

	limits.idle_timeout_us = limits.request_timeout_us = limits.send_timeout_us = 200000;
	scene_open(&s, &limits);
	idle = come_from(&s, 1);
	served = come_from(&s, 1);
	say(served, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	live(&s, 500);
	assert_int_equal(ended(CLIENT_IDLE), before + 1);
	assert_int_equal(read(idle, (char[1]){0}, 1), 0);
	assert_int_equal(house_connections(s.house), 1);
	close(idle);
	close(served);
	scene_close(&s);
}

static void who_does_not_read_is_ended_and_who_reads_slowly_is_not(void **state)
{
	static char bytes[65536];
	struct house_limits limits = wide;
	int64_t before = ended(CLIENT_NOT_READING);
	struct scene s;
	int deaf, slow;

	limits.send_timeout_us = 600000;
	scene_open(&s, &limits);
	deaf = come_from(&s, 1);
	slow = come_from(&s, 1);
	say(deaf, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	say(slow, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 2400 && ended(CLIENT_NOT_READING) == before; i++) {
		live(&s, 25);
		(void)!read(slow, bytes, sizeof(bytes));
	}
	assert_int_equal(ended(CLIENT_NOT_READING), before + 1);
	assert_int_equal(house_connections(s.house), 1);
	close(deaf);
	close(slow);
	live(&s, 50);
	assert_int_equal(house_answer_bytes(s.house), 0);
	scene_close(&s);
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
		cmocka_unit_test(who_comes_to_a_full_house_waits_until_somebody_leaves),
		cmocka_unit_test(who_has_been_idle_longest_makes_room_in_a_full_house),
		cmocka_unit_test(clients_that_come_and_go_are_not_held_up_for_good),
		cmocka_unit_test(
			an_address_with_too_many_connections_is_refused_and_others_are_not),
		cmocka_unit_test(an_address_has_so_many_calls_in_flight_and_no_more),
		cmocka_unit_test(an_ipv4_address_is_one_source_by_either_family),
		cmocka_unit_test(without_descriptors_the_door_rests_and_opens_again),
		cmocka_unit_test(who_does_not_finish_a_request_in_time_is_told_so),
		cmocka_unit_test(who_asks_nothing_is_idle_and_who_is_being_served_is_not),
		cmocka_unit_test(who_does_not_read_is_ended_and_who_reads_slowly_is_not),
		cmocka_unit_test(requests_in_memory_have_a_bound_and_the_slowest_makes_room),
		cmocka_unit_test(lines_of_a_head_count_for_what_is_made_of_them),
		cmocka_unit_test(answers_that_wait_have_a_bound_and_the_most_stalled_makes_room),
		cmocka_unit_test(what_comes_while_an_answer_is_due_is_read_ahead_a_little_only),
		cmocka_unit_test(what_is_refused_by_evhttp_has_a_name),
		cmocka_unit_test(a_head_over_the_limit_is_told_from_other_bad_ones),
		cmocka_unit_test(who_leaves_in_the_midst_of_a_request_is_told_from_who_is_done),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
