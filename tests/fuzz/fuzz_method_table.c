/* SPDX-License-Identifier: Apache-2.0
 * Method tables of any bytes.  What must hold of one that parses: written again from its entries
 * it is the same text; ids ascend; every entry is found by its id. */
#include <assert.h>

#include "chains/table.h"
#include "relay/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = xmemdup(data, size);
	struct method_table *table = NULL;
	struct buf again = {0};
	struct err err = {0};

	if (!method_table_parse(VIEW(copy, size), &table, &err)) {
		assert(err.code == ERR_FORMAT && !table);
		free(copy);
		return 0;
	}
	buf_putf(&again, "counterfoil/methods/v1\n%s\n", method_table_family(table));
	for (size_t i = 0; i < method_table_count(table); i++) {
		const struct method_entry *e = method_table_at(table, i);

		assert(method_table_find(table, e->id) == e);
		assert(e->cu <= method_table_cu_max(table));
		buf_putf(&again, "%u %s %u %u\n", e->id, e->name, e->cu, e->part_cu);
	}
	assert(view_eq(buf_view(&again), VIEW(data, size)));
	assert(view_eq(method_table_text(table), VIEW(data, size)));
	buf_finish(&again);
	method_table_destroy(table);
	free(copy);
	return 0;
}
