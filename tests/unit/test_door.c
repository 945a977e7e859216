/* SPDX-License-Identifier: Apache-2.0
 * Who gets in: connections and calls of one address and of all, and how long they may take. */
#include "tests/unit/unit.h"

#include "tests/unit/door_world.h"

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
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
