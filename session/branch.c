/* SPDX-License-Identifier: Apache-2.0 */
#include "session/branch.h"

#include <assert.h>

#include "relay/base/bytes.h"

static uint64_t bit(unsigned teller)
{
	assert(teller < BRANCH_TELLERS_MAX);
	return UINT64_C(1) << teller;
}

void branch_void(struct branch *branch, unsigned teller)
{
	for (size_t i = 0; i < branch->n; i++)
		branch->blocks[i].tellers &= ~bit(teller);
}

void branch_cut(struct branch *branch, unsigned teller, uint64_t number)
{
	for (size_t i = 0; i < branch->n; i++) {
		if (branch->blocks[i].number > number)
			branch->blocks[i].tellers &= ~bit(teller);
	}
}

void branch_lacks(struct branch *branch, unsigned teller, const struct hash *hash)
{
	for (size_t i = 0; i < branch->n; i++) {
		if (ID_EQ(&branch->blocks[i].hash, hash))
			branch->blocks[i].tellers &= ~bit(teller);
	}
}

static bool goes_before(const struct branch_block *a, const struct branch_block *b, uint64_t keep)
{
	bool a_stands = a->tellers != 0, b_stands = b->tellers != 0;
	bool a_above = a->number > keep, b_above = b->number > keep;

	if (a_stands != b_stands)
		return !a_stands;
	/* What is above was told by the few that are ahead, or lie; below, the lowest is of the
	 * least use. */
	if (a_above != b_above)
		return a_above;
	return a_above ? a->number > b->number : a->number < b->number;
}

static struct branch_block *place(struct branch *branch, uint64_t keep)
{
	struct branch_block *worst = &branch->blocks[0];

	if (branch->n < BRANCH_BLOCKS_MAX)
		return &branch->blocks[branch->n++];
	for (size_t i = 1; i < branch->n; i++) {
		if (goes_before(&branch->blocks[i], worst, keep))
			worst = &branch->blocks[i];
	}
	return worst;
}

void branch_tell(struct branch *branch, unsigned teller, uint64_t number, const struct hash *hash,
		 uint64_t keep)
{
	struct branch_block *same = NULL;
	bool other = false;

	for (size_t i = 0; i < branch->n; i++) {
		struct branch_block *b = &branch->blocks[i];

		if (b->number != number)
			continue;
		if (ID_EQ(&b->hash, hash))
			same = b;
		else
			other = other || (b->tellers & bit(teller)) != 0;
	}
	if (other)
		branch_void(branch, teller);
	if (!same) {
		same = place(branch, keep);
		*same = (struct branch_block){.number = number, .hash = *hash};
	}
	same->tellers |= bit(teller);
	same->serial = ++branch->serial;
}

static u128 weight_of(const struct branch_block *b, const uint64_t weights[BRANCH_TELLERS_MAX])
{
	u128 sum = 0;

	for (unsigned i = 0; i < BRANCH_TELLERS_MAX; i++) {
		if (b->tellers >> i & 1)
			sum += weights[i];
	}
	return sum;
}

const struct branch_block *branch_best(const struct branch *branch, uint64_t number,
				       const uint64_t weights[BRANCH_TELLERS_MAX])
{
	const struct branch_block *best = NULL;
	u128 most = 0;

	for (size_t i = 0; i < branch->n; i++) {
		const struct branch_block *b = &branch->blocks[i];
		u128 weight;

		if (b->number != number || b->tellers == 0)
			continue;
		weight = weight_of(b, weights);
		if (!best || weight > most || (weight == most && b->serial > best->serial)) {
			best = b;
			most = weight;
		}
	}
	return best;
}

bool branch_highest(const struct branch *branch, uint64_t from, uint64_t to, uint64_t *ret)
{
	bool found = false;
	uint64_t highest = 0;

	for (size_t i = 0; i < branch->n; i++) {
		const struct branch_block *b = &branch->blocks[i];

		if (b->tellers == 0 || b->number < from || b->number > to ||
		    (found && b->number < highest))
			continue;
		found = true;
		highest = b->number;
	}
	if (found)
		*ret = highest;
	return found;
}
