/* SPDX-License-Identifier: Apache-2.0
 * Leaves from strangers: what decodes encodes to the same bytes, and the verdict is that of the
 * rule as it is written down here once more, from the bytes ([R1], [R5]).  The first 8 bytes of an
 * input are the bounds of the method table; a short input is a leaf of zeros up to its end. */
#include "relay/receipt/leaf.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* [R5] over the 192 bytes. */
static bool rule_accepts(const uint8_t *b, uint32_t cu_max, uint32_t part_cu_max)
{
	const uint8_t zeros[32] = {0};
	uint8_t kind = b[4];
	uint32_t cu = get_be32(b + 56), stream = get_be32(b + 76), part = get_be32(b + 80);
	bool in_stream = kind == 4;

	return memcmp(b, "CFR1", 4) == 0 && get_be32(b + 84) == 0 && kind >= 1 && kind <= 4 &&
	       b[5] < 32 && get_be64(b + 8) < 1u << 20 &&
	       (u128)get_be64(b + 48) + cu < (u128)1 << 64 && (kind != 3 || cu == 0) &&
	       (in_stream ? stream != 0 : stream == 0 && part == 0 && (b[5] & 1) == 0) &&
	       (get_be64(b + 88) != UINT64_MAX || memcmp(b + 96, zeros, 32) == 0) &&
	       cu <= (part > 0 ? part_cu_max : cu_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[8 + LEAF_SIZE] = {0}, again[LEAF_SIZE];
	struct leaf leaf = {.seq = 77};
	enum leaf_fault decoded, form, fault;

	if (size > sizeof(bytes))
		return 0;
	memcpy(bytes, data, size);
	decoded = leaf_decode(bytes + 8, &leaf);
	if (decoded != LEAF_FINE) {
		assert(decoded == LEAF_FAULT_MAGIC || decoded == LEAF_FAULT_ZERO);
		assert(leaf.seq == 77 && !rule_accepts(bytes + 8, UINT32_MAX, UINT32_MAX));
		return 0;
	}
	leaf_encode(&leaf, again);
	assert(memcmp(again, bytes + 8, LEAF_SIZE) == 0);
	form = leaf_check_form(&leaf);
	fault = leaf_check(&leaf, get_be32(bytes), get_be32(bytes + 4));
	assert((form == LEAF_FINE) == rule_accepts(bytes + 8, UINT32_MAX, UINT32_MAX));
	assert((fault == LEAF_FINE) ==
	       rule_accepts(bytes + 8, get_be32(bytes), get_be32(bytes + 4)));
	assert(fault == form || (form == LEAF_FINE && fault == LEAF_FAULT_CU_TABLE));
	assert(strcmp(leaf_fault_name(fault), "unknown") != 0);
	return 0;
}
