/* SPDX-License-Identifier: Apache-2.0 */
#include "session/pick.h"

#include <assert.h>

#include "relay/base/bytes.h"
#include "relay/crypto/digest.h"

#define PICK_TAG "counterfoil/pick/v1\n"
#define PICK_TAG_BYTES (sizeof(PICK_TAG) - 1)

static uint64_t price_of(const struct pick_member *m)
{
	return MAX(m->price, (uint64_t)1);
}

uint32_t pick_quality(const struct pick_member *m, enum pick_mode mode, uint64_t pmin)
{
	uint64_t quality;

	assert(m->health > 0 && m->health <= PICK_HEALTHY && pmin > 0 && pmin <= price_of(m));
	switch (mode) {
	case PICK_BY_STAKE:
		return m->health;
	case PICK_BY_PRICE:
		quality = (uint64_t)((u128)m->health * pmin / price_of(m));
		return quality > 0 ? (uint32_t)quality : 1;
	}
	assert(!"a mode that does not exist");
	return 0;
}

/* The widths of the members' intervals; W is their sum, below 2^64 x 2^9 x 2^6. */
static u128 widths(enum pick_mode mode, const struct pick_member *members, size_t count,
		   u128 width[SESSION_MEMBERS_MAX])
{
	uint64_t pmin = UINT64_MAX;
	u128 sum = 0;

	for (size_t i = 0; i < count; i++)
		pmin = MIN(pmin, price_of(&members[i]));
	for (size_t i = 0; i < count; i++) {
		const struct pick_member *m = &members[i];

		width[i] = 0;
		if (!m->asked && m->health > 0)
			width[i] = (u128)m->weight * pick_quality(m, mode, pmin);
		sum += width[i];
	}
	return sum;
}

static u128 fallback_widths(const struct pick_member *members, size_t count,
			    u128 width[SESSION_MEMBERS_MAX])
{
	u128 sum = 0;

	for (size_t i = 0; i < count; i++) {
		width[i] = members[i].asked ? 0 : members[i].weight;
		sum += width[i];
	}
	return sum;
}

static u128 pick_point(const struct session_id *id, const struct key_id *gateway, uint32_t worker,
		       uint64_t n, u128 sum)
{
	uint8_t bytes[PICK_TAG_BYTES + 32 + 32 + 4 + 8];
	struct hash h;

	memcpy(bytes, PICK_TAG, PICK_TAG_BYTES);
	memcpy(bytes + PICK_TAG_BYTES, id->b, 32);
	memcpy(bytes + PICK_TAG_BYTES + 32, gateway->b, 32);
	put_be32(bytes + PICK_TAG_BYTES + 64, worker);
	put_be64(bytes + PICK_TAG_BYTES + 68, n);
	sha256(bytes, sizeof(bytes), &h);
	return get_be128(h.b) % sum;
}

bool pick_member(const struct session_id *id, const struct key_id *gateway, uint32_t worker,
		 uint64_t n, enum pick_mode mode, const struct pick_member *members, size_t count,
		 struct pick *ret, struct err *err)
{
	u128 width[SESSION_MEMBERS_MAX];
	struct pick pick = {.reason = PICK_QUALITY};
	u128 ahead = 0;

	assert(count <= SESSION_MEMBERS_MAX);
	pick.width = widths(mode, members, count, width);
	if (pick.width == 0) {
		pick.reason = PICK_FALLBACK;
		pick.width = fallback_widths(members, count, width);
	}
	if (pick.width == 0)
		return err_set(err, ERR_NO_NODE, "all %zu members of the session were asked",
			       count);
	pick.point = pick_point(id, gateway, worker, n, pick.width);
	while (pick.point - ahead >= width[pick.member]) {
		ahead += width[pick.member++];
		assert(pick.member < count);
	}
	*ret = pick;
	return true;
}
