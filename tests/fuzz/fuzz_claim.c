/* SPDX-License-Identifier: Apache-2.0
 * Claim bytes, records and proofs from strangers ([C2], [C3], [C9]): what is read is written again
 * to the same bytes, views lie inside the input, nothing is set on failure.  The first byte says
 * what the rest is. */
#include "relay/receipt/claim.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_claim(struct view bytes)
{
	struct buf again = {0};
	struct claim c = {.from = 77};
	struct claim_id id, other;
	struct err err = {0};

	if (!claim_parse(bytes, &c, &err)) {
		assert(err.code == ERR_FORMAT && c.from == 77);
		return;
	}
	claim_bytes(&c, &again);
	assert(view_eq(buf_view(&again), bytes) && again.n <= CLAIM_BYTES_MAX);
	claim_id_of(&c, &id);
	c.value++;
	claim_id_of(&c, &other);
	assert(!ID_EQ(&id, &other));
	buf_finish(&again);
}

static void read_record(struct view bytes)
{
	uint8_t record[CLAIM_RECORD_SIZE] = {0}, again[CLAIM_RECORD_SIZE];
	struct claim_record r = {.start = 77};

	memcpy(record, bytes.p, MIN(bytes.n, sizeof(record)));
	if (!claim_record_decode(record, &r)) {
		assert(r.start == 77 && memcmp(record, "CFL1", 4) != 0);
		return;
	}
	claim_record_encode(&r, again);
	assert(memcmp(record, again, sizeof(record)) == 0);
}

static void read_proof(struct view bytes)
{
	struct buf again = {0};
	struct claim_proof p = {.index = 77};
	struct err err = {0};

	if (!claim_proof_parse(bytes, &p, &err)) {
		assert(err.code == ERR_FORMAT && p.index == 77);
		return;
	}
	assert(bytes.n <= CLAIM_PROOF_MAX && p.note.n <= CLAIM_NOTE_MAX);
	assert(p.note.n == 0 || (p.note.p >= bytes.p && p.note.p + p.note.n <= bytes.p + bytes.n));
	assert(p.record_path.n <= TREE_LEVELS && p.leaf_path.n <= TREE_LEVELS);
	claim_proof_encode(&p, &again);
	assert(view_eq(buf_view(&again), bytes));
	buf_finish(&again);
}

/* The point that a bisection finds is in the record, whatever the records say. */
static void look_up(struct choices *c, struct view bytes)
{
	struct view records = VIEW(bytes.p, bytes.n / CLAIM_RECORD_SIZE * CLAIM_RECORD_SIZE);
	u128 x = choose_u64(c);
	struct claim_record r;
	uint32_t index = 77;

	if (!claim_point_record(records, x, &index)) {
		assert(index == 77);
		return;
	}
	assert(index < records.n / CLAIM_RECORD_SIZE);
	if (!claim_record_decode(records.p + (size_t)index * CLAIM_RECORD_SIZE, &r))
		return;
	assert(x >= r.value_before && x - r.value_before < r.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	uint8_t what = choose_u8(&c) % 4;
	struct view rest = VIEW(c.p, c.left);

	if (c.left == 0)
		return 0;
	if (what == 0)
		read_claim(rest);
	else if (what == 1)
		read_record(rest);
	else if (what == 2)
		read_proof(rest);
	else
		look_up(&(struct choices){data, size}, rest);
	return 0;
}
