/* SPDX-License-Identifier: Apache-2.0
 * The file of a recording: whose it is, how large it gets, and what was there before. */
#include <sys/stat.h>
#include <unistd.h>

#include "relay/gateway/record.h"
#include "tests/unit/unit.h"

struct place {
	char dir[64], path[96], old[96];
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/counterfoil-test-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/recording", p->dir);
	snprintf(p->old, sizeof(p->old), "%s/recording.old", p->dir);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	unlink(p->old);
	rmdir(p->dir);
	free(p);
	return 0;
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void an_entry_that_does_not_fit_ends_it(void **state)
{
	const struct place *p = *state;
	struct record_file *file;
	struct stat st;
	struct err err;

	assert_ok(record_file_create(p->path, 10, &file, &err), err);
	assert_true(record_file_put(file, VIEW_STR("1234\n")));
	assert_true(record_file_put(file, VIEW_STR("1234\n")));
	assert_false(record_file_put(file, VIEW_STR("1")));
	record_file_close(file);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void one_that_was_there_is_kept_as_old(void **state)
{
	const struct place *p = *state;
	struct record_file *file;
	struct err err;

	for (size_t i = 0; i < 3; i++) {
		assert_ok(record_file_create(p->path, 10, &file, &err), err);
		for (size_t n = 0; n < i; n++)
			assert_true(record_file_put(file, VIEW_STR("x")));
		record_file_close(file);
	}
	assert_int_equal(size_of(p->path), 2);
	assert_int_equal(size_of(p->old), 1);
}

static void a_path_that_cannot_be_is_an_error(void **state)
{
	struct record_file *file = NULL;
	struct err err;

	assert_false(record_file_create("/nowhere/recording", 10, &file, &err));
	assert_err(err, ERR_IO);
	assert_null(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_entry_that_does_not_fit_ends_it, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(one_that_was_there_is_kept_as_old, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(a_path_that_cannot_be_is_an_error, make_place,
						remove_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
