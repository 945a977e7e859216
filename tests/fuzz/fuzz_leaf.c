/* SPDX-License-Identifier: Apache-2.0
 * Leaves from strangers: what decodes encodes to the same bytes, and the checks agree with
 * each other ([R1] [R5]).  The first 8 bytes are the bounds of the method table. */
#include <stdlib.h>
#include <string.h>

#include "relay/receipt/leaf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[LEAF_SIZE];
	struct leaf leaf;

	if (size != 8 + LEAF_SIZE)
		return 0;
	enum leaf_fault fault = leaf_decode(data + 8, &leaf);
	if (fault != LEAF_FINE) {
		if (fault != LEAF_FAULT_MAGIC && fault != LEAF_FAULT_ZERO)
			abort();
		return 0;
	}
	leaf_encode(&leaf, again);
	if (memcmp(again, data + 8, LEAF_SIZE) != 0)
		abort();
	uint32_t cu = get_be32(data);
	uint32_t part_cu = get_be32(data + 4);
	enum leaf_fault form = leaf_check_form(&leaf);
	fault = leaf_check(&leaf, cu, part_cu);
	if (fault != form && !(form == LEAF_FINE && fault == LEAF_FAULT_CU_TABLE))
		abort();
	if (fault == LEAF_FINE && (leaf.seq >= LEAF_SEQ_END || leaf.cu_before + leaf.cu < leaf.cu ||
				   leaf.cu > (leaf.part ? part_cu : cu)))
		abort();
	return 0;
}
