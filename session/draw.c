/* SPDX-License-Identifier: Apache-2.0 */
#include "session/draw.h"

#include <assert.h>

#include "relay/base/bytes.h"
#include "relay/crypto/digest.h"

#define DRAW_TAG "counterfoil/draw/v1\n"
#define DRAW_TAG_BYTES (sizeof(DRAW_TAG) - 1)

uint64_t session_draw_point(const struct session_id *id, uint32_t t, uint64_t total)
{
	uint8_t bytes[DRAW_TAG_BYTES + 32 + 4];
	struct hash h;

	assert(total > 0);
	memcpy(bytes, DRAW_TAG, DRAW_TAG_BYTES);
	memcpy(bytes + DRAW_TAG_BYTES, id->b, 32);
	put_be32(bytes + DRAW_TAG_BYTES + 32, t);
	sha256(bytes, sizeof(bytes), &h);
	return (uint64_t)(get_be128(h.b) % total);
}

static bool owner_is_drawn(const struct session_draw *d, const struct stake_table *table,
			   size_t row)
{
	for (size_t i = 0; i < d->n; i++)
		if (ID_EQ(&table->rows[d->rows[i]].owner, &table->rows[row].owner))
			return true;
	return false;
}

bool session_draw(const struct session_id *id, const struct stake_table *table, uint32_t want,
		  struct session_draw *ret, struct err *err)
{
	struct session_draw d = {0};
	size_t end = MIN((size_t)want, table->owners);

	assert(want >= 1 && want <= SESSION_MEMBERS_MAX);
	if (table->total == 0)
		return err_set(err, ERR_NO_SESSION, "no supplier with stake serves this service");
	while (d.n < end && d.tries < DRAW_TRIES_MAX) {
		uint32_t t = d.tries++;
		size_t row = stake_table_hit(table, session_draw_point(id, t, table->total));

		if (owner_is_drawn(&d, table, row))
			continue;
		d.rows[d.n] = (uint32_t)row;
		d.t[d.n++] = t;
	}
	assert(d.n >= 1);
	*ret = d;
	return true;
}
