/* SPDX-License-Identifier: Apache-2.0
 * A head with suppliers of one stake each, who tell it of blocks; for its tests. */
#ifndef TESTS_UNIT_HEAD_WORLD_H
#define TESTS_UNIT_HEAD_WORLD_H

#include "session/head.h"

#define SECOND 1000000
#define START (1000 * (usec_t)SECOND)

static inline struct key_id key_of(size_t i)
{
	return (struct key_id){{(uint8_t)(i + 1), (uint8_t)(i >> 8)}};
}

static inline struct hash hash_of(uint64_t number, uint8_t branch)
{
	struct hash h = {{branch, 7}};

	memcpy(h.b + 8, &number, sizeof(number));
	return h;
}

static inline struct head *head_of(size_t suppliers, usec_t block_us)
{
	struct head *head = head_create(block_us);

	for (size_t i = 0; i < suppliers; i++) {
		struct key_id key = key_of(i);
		struct owner_id owner = {{(uint8_t)(i + 1)}};

		head_join(head, &key, &owner, 1, START);
	}
	return head;
}

static inline void tell(struct head *head, size_t i, uint64_t number, uint8_t branch, usec_t now)
{
	const struct key_id key = key_of(i);
	const struct head_report report = {
		.is_newest = true,
		.has_hash = true,
		.has_parent = true,
		.block = {number, hash_of(number, branch)},
		.parent = hash_of(number - 1, branch),
	};

	head_tell(head, &key, &report, now);
}

static inline void tell_number(struct head *head, size_t i, uint64_t number, usec_t now)
{
	const struct key_id key = key_of(i);
	const struct head_report report = {.is_newest = true, .block = {.number = number}};

	head_tell(head, &key, &report, now);
}

static inline bool is_pinned_to(const struct head *head, uint64_t number, uint8_t branch)
{
	const struct head_state *state = head_state(head);
	struct hash want = hash_of(number, branch);

	return state->pinnable && state->block.number == number && ID_EQ(&state->block.hash, &want);
}

#endif
