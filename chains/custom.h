/* SPDX-License-Identifier: Apache-2.0
 * Whether a network keeps its family's rules of hashing, as the answers of its suppliers tell. Many
 * networks speak the RPC of Ethereum and hash in ways of their own; nobody says so, but there no
 * honest answer ever follows from its hash.
 *
 * The rules are held to be kept until more suppliers have only ever differed than have ever kept
 * them, and at least two have (one, where there is no other).  A supplier that lies now and then
 * has kept them before; one that always lies is one.  Pure. */
#ifndef CHAINS_CUSTOM_H
#define CHAINS_CUSTOM_H

#include "chains/verify.h"

#define CUSTOM_SUPPLIERS_MAX                                                                       \
	64 /* that are remembered; the newest takes the place of the oldest                        \
	    */

struct custom_supplier {
	struct key_id key;
	bool kept; /* has kept the rules; else it has only differed */
};

struct custom {
	struct custom_supplier suppliers[CUSTOM_SUPPLIERS_MAX];
	size_t count;
	size_t next; /* that is replaced */
};

/* Takes note of what was found in an answer of a supplier. */
void custom_note(struct custom *custom, const struct key_id *supplier,
		 const struct chain_finding *finding);

/* Whether the rules are kept.  suppliers: how many there are to ask. */
bool custom_is_kept(const struct custom *custom, size_t suppliers);

#endif
