/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "relay/base/bytes.h"
#include "relay/base/crowd.h"
#include "relay/base/mem.h"
#include "tests/unit/dial.h"

#define LONG_BYTES (64u << 20) /* of an answer: more than two kernels' buffers take */
#define LOOKS 6000	       /* of 10 ms: only what hangs takes so long */

struct world {
	struct event_base *base;
	struct evhttp *http;
	struct crowd *crowd;
	uint16_t port;
	unsigned pushed, asked;
	size_t answers_max; /* 0: no room is made */
	bool had_room;	    /* for the last answer */
};

static void on_pushed(void *arg)
{
	((struct world *)arg)->pushed++;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct evbuffer *out = evhttp_request_get_output_buffer(req);
	bool is_long = strcmp(evhttp_request_get_uri(req), "/long") == 0;
	struct world *w = arg;

	w->asked++;
	if (w->answers_max > 0)
		w->had_room = crowd_make_room(w->crowd, evhttp_request_get_connection(req),
					      is_long ? LONG_BYTES : 2, w->answers_max);
	if (is_long) {
		void *bytes = xcalloc(1, LONG_BYTES);

		evbuffer_add(out, bytes, LONG_BYTES);
		free(bytes);
	} else {
		evbuffer_add(out, "ok", 2);
	}
	evhttp_send_reply(req, HTTP_OK, NULL, NULL);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct sockaddr_in sa;
	socklen_t n = sizeof(sa);
	struct evhttp_bound_socket *bound;

	w->base = event_base_new();
	w->http = evhttp_new(w->base);
	w->crowd = crowd_create(w->base, w->http, 3, on_pushed, w);
	evhttp_set_gencb(w->http, on_request, w);
	bound = evhttp_bind_socket_with_handle(w->http, "127.0.0.1", 0);
	assert_non_null(bound);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&sa, &n),
			 0);
	w->port = ntohs(sa.sin_port);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	evhttp_free(w->http);
	crowd_destroy(w->crowd);
	event_base_free(w->base);
	free(w);
	return 0;
}

static int dial(const struct world *w)
{
	return dial_port(w->port);
}

static void run(struct world *w)
{
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static void say(struct world *w, int fd, const char *path)
{
	unsigned before = w->asked;
	char text[128];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	assert_int_equal(write(fd, text, (size_t)n), n);
	for (int i = 0; i < LOOKS && w->asked == before; i++) {
		run(w);
		if (w->asked == before)
			usleep(10000);
	}
	assert_int_equal(w->asked, before + 1);
}

/* Whether the other side has ended it; what it said before is dropped. */
static bool is_ended(struct world *w, int fd)
{
	uint8_t bytes[65536];
	ssize_t n;

	for (int i = 0; i < 10; i++)
		run(w);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		;
	return n == 0 || errno != EAGAIN;
}

static bool ends(struct world *w, int fd)
{
	bool ended = false;

	for (int i = 0; i < LOOKS && !(ended = is_ended(w, fd)); i++)
		usleep(10000);
	return ended;
}

static void the_oldest_ends_when_there_are_too_many(void **state)
{
	struct world *w = *state;
	int fd[5];

	for (int i = 0; i < 5; i++) {
		fd[i] = dial(w);
		say(w, fd[i], "/");
	}
	assert_true(ends(w, fd[0]) && ends(w, fd[1]));
	assert_int_equal(w->pushed, 2);
	for (int i = 2; i < 5; i++)
		assert_false(is_ended(w, fd[i]));
	for (int i = 0; i < 5; i++)
		close(fd[i]);
}

static void who_has_left_is_not_counted(void **state)
{
	struct world *w = *state;
	int stays = dial(w), fd;

	say(w, stays, "/");
	for (int i = 0; i < 10; i++) {
		fd = dial(w);
		say(w, fd, "/");
		close(fd);
		run(w);
	}
	assert_int_equal(w->pushed, 0);
	assert_false(is_ended(w, stays));
	close(stays);
}

static void who_comes_and_goes_at_once_is_nobody(void **state)
{
	struct world *w = *state;
	int fd;

	for (int i = 0; i < 20; i++) {
		fd = dial(w);
		close(fd);
	}
	for (int i = 0; i < 100; i++)
		run(w);
	fd = dial(w);
	say(w, fd, "/");
	assert_false(is_ended(w, fd));
	close(fd);
}

static void of_answers_that_wait_the_oldest_ends(void **state)
{
	struct world *w = *state;
	int slow = dial(w), quick = dial(w), third = dial(w);

	w->answers_max = 3 * (LONG_BYTES / 2);
	say(w, slow, "/long");
	assert_true(w->had_room);
	say(w, quick, "/");
	assert_int_equal(w->pushed, 0);
	say(w, third, "/long"); /* two of them are too much */
	assert_true(w->had_room);
	assert_int_equal(w->pushed, 1);
	assert_true(ends(w, slow));
	assert_false(is_ended(w, quick)); /* it has read its own */
	w->answers_max = LONG_BYTES / 2;
	say(w, quick, "/long");
	assert_false(w->had_room); /* nor would there be without anybody else */
	close(slow);
	close(quick);
	close(third);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_oldest_ends_when_there_are_too_many),
		T(who_has_left_is_not_counted),
		T(who_comes_and_goes_at_once_is_nobody),
		T(of_answers_that_wait_the_oldest_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
