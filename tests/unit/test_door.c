/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "relay/gateway/door.h"

#define MAX_OPEN 4

struct house {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct door *door;
	struct sockaddr_in address;
};

static void answer(struct evhttp_request *req, void *arg)
{
	evhttp_send_reply(req, 204, NULL, NULL);
}

static void house_build(struct house *h)
{
	socklen_t n = sizeof(h->address);

	memset(h, 0, sizeof(*h));
	h->address.sin_family = AF_INET;
	h->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	h->base = event_base_new();
	h->http = evhttp_new(h->base);
	h->listener = evconnlistener_new_bind(h->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 64,
					      (struct sockaddr *)&h->address, sizeof(h->address));
	assert_non_null(h->listener);
	assert_int_equal(
		getsockname(evconnlistener_get_fd(h->listener), (struct sockaddr *)&h->address, &n),
		0);
	assert_non_null(evhttp_bind_listener(h->http, h->listener));
	evhttp_set_gencb(h->http, answer, NULL);
	h->door = door_create(h->base, h->http, h->listener, MAX_OPEN, 1);
}

static void house_raze(struct house *h)
{
	door_destroy(h->door);
	evhttp_free(h->http);
	event_base_free(h->base);
}

/* Lets the loop run for a while. */
static void live(struct house *h, int ms)
{
	struct timeval tv = {.tv_usec = ms * 1000};

	event_base_loopexit(h->base, &tv);
	event_base_dispatch(h->base);
}

/* A client that asks at once and does not wait. */
static int come(struct house *h)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&h->address, sizeof(h->address)), 0);
	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static bool is_answered(int fd)
{
	char text[256];

	return read(fd, text, sizeof(text)) > 0;
}

static void who_comes_to_a_full_house_waits_until_somebody_leaves(void **state)
{
	struct house h;
	int fds[MAX_OPEN + 2];

	house_build(&h);
	for (int i = 0; i < MAX_OPEN + 2; i++)
		fds[i] = come(&h);
	live(&h, 150);
	for (int i = 0; i < MAX_OPEN + 2; i++)
		assert_int_equal(is_answered(fds[i]), i < MAX_OPEN);
	assert_int_equal(door_count(evconnlistener_get_fd(h.listener)), MAX_OPEN);
	close(fds[0]);
	live(&h, 300);
	assert_true(is_answered(fds[MAX_OPEN]));
	assert_false(is_answered(fds[MAX_OPEN + 1]));
	for (int i = 1; i < MAX_OPEN; i++)
		close(fds[i]);
	live(&h, 300);
	assert_true(is_answered(fds[MAX_OPEN + 1]));
	close(fds[MAX_OPEN]);
	close(fds[MAX_OPEN + 1]);
	house_raze(&h);
}

static void clients_that_come_and_go_are_not_held_up_for_good(void **state)
{
	struct house h;

	house_build(&h);
	for (int i = 0; i < 10 * MAX_OPEN; i++) {
		int fd = come(&h), tries = 0;

		while (!is_answered(fd) && tries++ < 100)
			live(&h, 5);
		assert_true(tries < 100);
		close(fd);
	}
	live(&h, 20);
	assert_int_equal(door_count(evconnlistener_get_fd(h.listener)), 0);
	house_raze(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_comes_to_a_full_house_waits_until_somebody_leaves),
		cmocka_unit_test(clients_that_come_and_go_are_not_held_up_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
