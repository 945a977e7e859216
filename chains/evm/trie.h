/* SPDX-License-Identifier: Apache-2.0
 * Roots of Merkle Patricia tries (Yellow Paper, appendix D), of keys that come in ascending order:
 * only the path to the newest key is kept, so a root costs its hashes and no node is looked up
 * again.  Keys must be of one length, or RLP of numbers: none may be the beginning of another.
 * No proofs and no database of nodes. */
#ifndef CHAINS_EVM_TRIE_H
#define CHAINS_EVM_TRIE_H

#include "relay/base/bytes.h"
#include "relay/base/ids.h"

#define TRIE_KEY_MAX 32 /* bytes */

struct trie; /* a root that is being made; opaque */

struct trie *trie_create(void);
void trie_destroy(struct trie *trie);
DEFINE_CLEANUP(struct trie *, trie_destroy)

/* One more value under a key that is greater than all before, of 1..TRIE_KEY_MAX bytes.  The value
 * is copied, and is not empty: a trie has no key with an empty value. */
void trie_add(struct trie *trie, struct view key, struct view value);
/* The root of all that was added; the trie is empty again. */
void trie_end(struct trie *trie, struct hash *ret);

/* A list as the trie of RLP(index) -> value: transactions, receipts, withdrawals.  One trie is
 * either such a list or has keys of its own. */
void trie_list_add(struct trie *trie, struct view value);
void trie_list_end(struct trie *trie, struct hash *ret);

#endif
