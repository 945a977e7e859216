/* SPDX-License-Identifier: Apache-2.0
 * The inside of a history, for session/history*.c alone. */
#ifndef SESSION_HISTORY_INSIDE_H
#define SESSION_HISTORY_INSIDE_H

#include "session/history.h"

/* A vector of entries: `size` bytes each, sorted by `cmp` once the history is sealed. */
struct entry_list {
	void *v;
	size_t n;
	size_t cap;
};

struct history {
	struct network_id network;
	uint8_t network_tail[32]; /* zeros: not known */
	struct session_clock clock;
	unsigned refs; /* atomic */
	bool sealed;
	height_t last_change;
	struct entry_list params; /* of struct params_entry, and so on */
	struct entry_list services;
	struct entry_list suppliers;
	struct entry_list applications;
	struct entry_list grants;
	struct entry_list pauses;
};

typedef int (*entry_cmp)(const void *a, const void *b);

/* Order of export: by what the entry is about, then by height. */
int params_entry_cmp(const void *a, const void *b);
int service_entry_cmp(const void *a, const void *b);
int supplier_entry_cmp(const void *a, const void *b);
int application_entry_cmp(const void *a, const void *b);
int grant_entry_cmp(const void *a, const void *b);
int pause_entry_cmp(const void *a, const void *b);

/* True iff two entries are about the same thing. */
bool grant_entry_same(const struct grant_entry *a, const struct grant_entry *b);

/* The last entry that is not after `probe` in the order of cmp, or NULL. */
const void *entry_list_last(const struct entry_list *list, size_t size, entry_cmp cmp,
			    const void *probe);

/* Index of the first entry that is not before `probe`; n when there is none. */
size_t entry_list_first(const struct entry_list *list, size_t size, entry_cmp cmp,
			const void *probe);

#endif
