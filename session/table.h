/* SPDX-License-Identifier: Apache-2.0
 * The stake table of one service at one snapshot ([S4], [S6]): who may be drawn and how heavily.
 *
 * Immutable once made.  It knows nothing of names, endpoints or applications: `index` leads the
 * caller back to what it put in. */
#ifndef SESSION_TABLE_H
#define SESSION_TABLE_H

#include "session/params.h"

#define TABLE_ROWS_MAX (1u << 24)
#define TABLE_ROW_BYTES 80 /* "CFS1" || key || owner || weight || before || price */
#define TABLE_TOTAL_MAX ((UINT64_C(1) << 63) - 1)

/* One staked supplier of the service. */
struct table_input {
	struct key_id key;
	struct owner_id owner;
	u128 stake;	/* tokens, <= AMOUNT_MAX */
	uint64_t price; /* token units per CU */
	uint32_t index; /* the caller's own */
};

struct table_row {
	struct key_id key;
	struct owner_id owner;
	uint32_t index;	 /* of the table_input */
	uint64_t weight; /* > 0 */
	uint64_t before; /* sum of the weights ahead */
	uint64_t price;
};

struct stake_table {
	size_t n;	/* rows, sorted by key */
	size_t owners;	/* distinct ones, counted up to SESSION_MEMBERS_MAX */
	uint64_t total; /* T, < 2^63 */
	struct table_row rows[];
};

/* weight = floor(min(stake, stake_cap) / stake_unit); < 2^63 for checked parameters ([S4]). */
uint64_t table_weight(const struct session_params *p, u128 stake);

/* Makes the table of the suppliers with weight > 0.
 *
 * In:     p       checked parameters of the snapshot
 *         in      n inputs in any order, keys distinct; borrowed for the call
 * Out:    ret     the table, owned by the caller until stake_table_destroy(); it may have no rows
 * Errors: ERR_RANGE when T would pass 2^63 - 1, a key stands twice, or n > TABLE_ROWS_MAX.
 * Cost:   O(n log n), O(n) when the inputs come sorted by key; 100,000 rows in < 100 ms.
 */
MUST_USE bool stake_table_create(const struct session_params *p, const struct table_input *in,
				 size_t n, struct stake_table **ret, struct err *err);
void stake_table_destroy(struct stake_table *table);
DEFINE_CLEANUP(struct stake_table *, stake_table_destroy)

/* The row k with before_k <= r < before_k + weight_k; r < total.  O(log n). */
size_t stake_table_hit(const struct stake_table *table, uint64_t r);

/* The row of a key, or NULL.  O(log n). */
const struct table_row *stake_table_find(const struct stake_table *table, const struct key_id *key);

/* The 80 bytes of a row ([S6]). */
void table_row_encode(const struct table_row *row, uint8_t dst[TABLE_ROW_BYTES]);

/* table_root: the RFC 6962 tree hash over the rows ([S6]).  O(n) hashes. */
struct hash stake_table_root(const struct stake_table *table);

#endif
