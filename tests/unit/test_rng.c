/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "relay/base/rng.h"

static void a_forked_child_draws_other_bytes(void **state)
{
	uint8_t before[16], mine[16], childs[16];
	int pipe_fd[2], status = -1;
	pid_t child;

	rng_bytes(before, sizeof(before)); /* the pool is filled */
	assert_int_equal(pipe(pipe_fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		rng_bytes(mine, sizeof(mine));
		_exit(write(pipe_fd[1], mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
	}
	rng_bytes(mine, sizeof(mine));
	assert_int_equal(read(pipe_fd[0], childs, sizeof(childs)), sizeof(childs));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_memory_not_equal(mine, childs, sizeof(mine));
	assert_memory_not_equal(mine, before, sizeof(mine));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void numbers_stay_below_their_bound_and_reach_it(void **state)
{
	unsigned seen = 0;

	for (int i = 0; i < 1000; i++) {
		uint64_t n = rng_below(5);

		assert_true(n < 5);
		seen |= 1u << n;
	}
	assert_int_equal(seen, 31);
	assert_int_equal(rng_below(1), 0);
}

static void long_runs_come_whole(void **state)
{
	static uint8_t bytes[5000];
	size_t zeros = 0;

	rng_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	assert_in_range(zeros, 1, 100); /* 19.5 expected */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forked_child_draws_other_bytes),
		cmocka_unit_test(numbers_stay_below_their_bound_and_reach_it),
		cmocka_unit_test(long_runs_come_whole),
	};

	return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
