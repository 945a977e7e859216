/* SPDX-License-Identifier: Apache-2.0
 * Digests of many texts at once, and roots of tries whose leaves are hashed together: they are
 * those of each text alone, and of the same list in which every leaf stands by itself. */
#include "chains/evm/keccak.h"
#include "chains/evm/trie.h"
#include "relay/base/mem.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 1024
#define LIST_MAX 300

static void digests(struct choices *c)
{
	static uint8_t bytes[KECCAK_MANY][TEXT_MAX];
	struct view texts[KECCAK_MANY] = {{0}};
	struct hash many[KECCAK_MANY], one;
	size_t count = choose_below(c, KECCAK_MANY + 1);

	for (size_t i = 0; i < count; i++) {
		size_t n = choose_below(c, TEXT_MAX + 1);

		choose_fill(c, bytes[i], n);
		texts[i] = VIEW(bytes[i], n);
	}
	keccak256_many(texts, count, many);
	for (size_t i = 0; i < count; i++) {
		keccak256(texts[i].p, texts[i].n, &one);
		assert(ID_EQ(&many[i], &one));
	}
}

/* A list as a trie of keys of its own, one trie for each length: an appended value changes the
 * root, and the same list has the same root whatever the trie was used for before. */
static void lists(struct choices *c)
{
	CLEANUP(trie_destroy) struct trie *used = trie_create();
	size_t count = choose_below(c, LIST_MAX);
	uint8_t seed = choose_u8(c), value[TEXT_MAX];
	struct hash before, root, again;

	memset(value, seed, sizeof(value));
	for (size_t round = 0; round < 2; round++) {
		CLEANUP(trie_destroy) struct trie *fresh = trie_create();
		size_t length = 1 + choose_below(c, TEXT_MAX);

		for (size_t i = 0; i < count; i++) {
			struct view at = VIEW(value, 1 + (length + i * seed) % TEXT_MAX);

			trie_list_add(used, at);
			trie_list_add(fresh, at);
		}
		if (round == 0) {
			trie_list_end(fresh, &before);
			trie_list_end(used, &again);
			assert(ID_EQ(&before, &again));
			count++;
			continue;
		}
		trie_list_end(used, &root);
		trie_list_end(fresh, &again);
		assert(ID_EQ(&root, &again) && !ID_EQ(&root, &before));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};

	if (choose_u8(&c) % 2 == 0)
		digests(&c);
	else
		lists(&c);
	return 0;
}
