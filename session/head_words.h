/* SPDX-License-Identifier: Apache-2.0
 * Heights that suppliers have told, and which of them agree.  A word is what one supplier tells; a
 * group is of words that are within HEAD_GAP of each other.  Private to session/head.c. */
#ifndef SESSION_HEAD_WORDS_H
#define SESSION_HEAD_WORDS_H

#include "session/head.h"

/* A supplier, as far as its words go. */
struct source {
	struct key_id key;
	struct owner_id owner;
	unsigned owner_first; /* the first source of the same owner */
	uint64_t weight;
	bool told;
	uint64_t number;
	usec_t told_us;	  /* when `number` was told */
	bool lags;	  /* by more than HEAD_GAP when that was told, or since */
	usec_t joined_us; /* or heard since */
	struct mark {
		uint64_t number;
		usec_t us;
	} from, later;	/* words of its own that its pace is taken from, now and next */
	usec_t pace_us; /* 0: not known */
};

struct word {
	uint64_t number;
	const struct source *source; /* borrowed */
};

struct words {
	size_t n;
	u128 weight;
	struct word list[HEAD_SOURCES_MAX];
};

struct group {
	u128 weight;
	uint64_t owners; /* by the bits of their first sources */
	uint64_t lowest;
};

/* The heaviest groups, of several of the same weight those of most owners. */
struct groups {
	struct group high, low; /* the highest and the lowest of these; the same when there is one
				 */
};

void words_add(struct words *words, uint64_t number, const struct source *s);
/* By height. */
void words_sort(struct words *words);
/* Of n > 0 words that are sorted. */
struct groups words_heaviest(const struct words *words);
/* More than half of all this weight, or two owners with more than a third. */
bool group_is_enough(const struct group *g, u128 all);

#endif
