/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/custom.h"

static struct custom_supplier *find(struct custom *custom, const struct key_id *key)
{
	for (size_t i = 0; i < custom->count; i++) {
		if (ID_EQ(&custom->suppliers[i].key, key))
			return &custom->suppliers[i];
	}
	return NULL;
}

void custom_note(struct custom *custom, const struct key_id *supplier,
		 const struct chain_finding *finding)
{
	struct custom_supplier *it;

	if (!finding->hashed && finding->verdict != CHAIN_DIFFERS)
		return;
	it = find(custom, supplier);
	if (!it) {
		it = &custom->suppliers[custom->next];
		custom->next = (custom->next + 1) % CUSTOM_SUPPLIERS_MAX;
		custom->count = MIN(custom->count + 1, (size_t)CUSTOM_SUPPLIERS_MAX);
		*it = (struct custom_supplier){.key = *supplier};
	}
	it->kept |= finding->hashed && finding->verdict != CHAIN_DIFFERS;
}

bool custom_is_kept(const struct custom *custom, size_t suppliers)
{
	size_t kept = 0, differ;

	for (size_t i = 0; i < custom->count; i++)
		kept += custom->suppliers[i].kept;
	differ = custom->count - kept;
	return differ <= kept || differ < MIN((size_t)2, suppliers);
}
