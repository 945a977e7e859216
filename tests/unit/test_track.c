/* SPDX-License-Identifier: Apache-2.0
 * What a filter has told, and what it takes back. */
#include "tests/unit/unit.h"

#include "relay/gateway/track.h"

#define HASH(d) "0x00000000000000000000000000000000000000000000000000000000000000" d
#define LOG(number, hash, more)                                                                    \
	"{\"blockNumber\":\"" number "\",\"blockHash\":\"" HASH(hash) "\"," more                   \
								      "\"removed\":false}"
#define GONE(number, hash, more)                                                                   \
	"{\"blockNumber\":\"" number "\",\"blockHash\":\"" HASH(hash) "\"," more "\"removed\":"    \
								      "true}"

static struct hash hash_of(uint8_t last)
{
	struct hash hash = {0};

	hash.b[31] = last;
	return hash;
}

static void add_block(struct track *track, uint64_t number, uint8_t last)
{
	struct hash hash = hash_of(last);

	track_add_block(track, number, &hash);
}

static void add_logs(struct track *track, const char *logs)
{
	struct err err;

	assert_ok(track_add_logs(track, VIEW_STR(logs), &err), err);
}

static void assert_removed(const struct track *track, size_t keep, const char *want)
{
	struct buf out = {0};

	track_put_removed(track, keep, &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_finish(&out);
}

static void logs_are_kept_by_their_block(void **state)
{
	struct track track = {0};

	add_block(&track, 3, 3);
	add_logs(&track,
		 LOG("0x5", "05", "") "," LOG("0x5", "05", "\"a\":1,") " , " LOG("0x7", "07", ""));
	add_block(&track, 7, 7);
	add_block(&track, 9, 9);
	assert_int_equal(track.count, 4);
	assert_int_equal(track.blocks[1].number, 5);
	assert_int_equal(track.blocks[1].hash.b[31], 5);
	assert_int_equal(track.blocks[2].number, 7);
	assert_int_equal(track.blocks[3].logs.n, 0);
	track_finish(&track);
}

static void what_is_gone_is_told_as_removed_the_newest_block_first(void **state)
{
	struct track track = {0};

	add_logs(&track, LOG("0x5", "05", "") "," LOG("0x6", "06", "\"a\":1,") "," LOG(
				 "0x6", "06", "\"a\":2,") "," LOG("0x7", "07", ""));
	assert_removed(&track, 2, GONE("0x7", "07", ""));
	assert_removed(&track, 1,
		       GONE("0x7", "07", "") "," GONE("0x6", "06", "\"a\":1,") "," GONE(
			       "0x6", "06", "\"a\":2,"));
	track_cut(&track, 1);
	assert_int_equal(track.count, 1);
	assert_removed(&track, 1, "");
	track_finish(&track);
}

static void logs_in_no_order_or_of_two_branches_are_refused(void **state)
{
	static const char *const bad[] = {
		LOG("0x5", "05", "") "," LOG("0x4", "04", ""),
		LOG("0x5", "05", "") "," LOG("0x5", "06", ""),
		LOG("0x3", "03", ""),
		"{}",
		"1",
		LOG("0x5", "05", "") ",",
		LOG("0x5", "05", "") " " LOG("0x6", "06", ""),
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct track track = {0};

		add_block(&track, 3, 3);
		assert_false(track_add_logs(&track, VIEW_STR(bad[i]), &err));
		assert_err(err, ERR_UPSTREAM);
		track_finish(&track);
	}
}

static void one_is_appended_to_another(void **state)
{
	struct track track = {0}, more = {0};

	add_block(&track, 3, 3);
	add_logs(&more, LOG("0x5", "05", ""));
	track_append(&track, &more);
	assert_int_equal(track.count, 2);
	assert_int_equal(more.count, 0);
	assert_int_equal(track.bytes, track.blocks[1].logs.n);
	track_append(&track, &more);
	assert_int_equal(track.count, 2);
	track_finish(&track);
}

static void the_oldest_are_forgotten_and_the_newest_stays(void **state)
{
	struct track track = {0};

	for (uint8_t i = 1; i <= 10; i++)
		add_block(&track, i, i);
	track_trim(&track, 4, 1000);
	assert_int_equal(track.count, 5);
	assert_int_equal(track.blocks[0].number, 6);
	add_logs(&track, LOG("0xb", "0b", "") "," LOG("0xc", "0c", ""));
	track_trim(&track, 100, track.bytes);
	assert_int_equal(track.count, 7);
	track_trim(&track, 100, track.bytes - 1);
	assert_int_equal(track.count, 1);
	assert_int_equal(track.blocks[0].number, 12);
	track_trim(&track, 0, 0);
	assert_int_equal(track.count, 1);
	track_finish(&track);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_are_kept_by_their_block),
		cmocka_unit_test(what_is_gone_is_told_as_removed_the_newest_block_first),
		cmocka_unit_test(logs_in_no_order_or_of_two_branches_are_refused),
		cmocka_unit_test(one_is_appended_to_another),
		cmocka_unit_test(the_oldest_are_forgotten_and_the_newest_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
