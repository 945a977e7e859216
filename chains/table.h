/* SPDX-License-Identifier: Apache-2.0
 * Method tables ([M1], [M2]): ids and compute units as a canonical text and its SHA-256.  Gateways,
 * nodes and auditors read the bounds on a leaf's CU here; names are matched in chains/chain.h. */
#ifndef CHAINS_TABLE_H
#define CHAINS_TABLE_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define METHOD_TABLE_MAX 65536 /* entries */
#define METHOD_NAME_MAX 128    /* bytes */
#define METHOD_FAMILY_MAX 32   /* bytes of the family's name, which is like a service's */
#define METHOD_TABLE_BYTES_MAX (16u << 20)

struct method_entry {
	uint32_t id;
	uint32_t cu;
	uint32_t part_cu;
	const char *name; /* NUL-terminated, the table's own */
};

struct method_table;

/* Parses a text; every byte counts, so that one table has one text and one hash.
 * Errors: ERR_FORMAT with the line's number and what is wrong. */
MUST_USE bool method_table_parse(struct view text, struct method_table **ret, struct err *err);
void method_table_destroy(struct method_table *table);
DEFINE_CLEANUP(struct method_table *, method_table_destroy)

const char *method_table_family(const struct method_table *table);
struct view method_table_text(const struct method_table *table);
const struct hash *method_table_hash(const struct method_table *table);
size_t method_table_count(const struct method_table *table);
/* The i-th entry in the order of ids. */
const struct method_entry *method_table_at(const struct method_table *table, size_t i);
/* The entry of an id; NULL when the table has none. */
const struct method_entry *method_table_find(const struct method_table *table, uint32_t id);
/* The largest cu of all entries, 0 for an empty table ([P5]). */
uint32_t method_table_cu_max(const struct method_table *table);

#endif
