/* SPDX-License-Identifier: Apache-2.0
 * "Did you mean ...?": the known word that a mistyped one is nearest to. */
#ifndef RELAY_BASE_NEAREST_H
#define RELAY_BASE_NEAREST_H

#include "relay/base/compiler.h"

#define NEAREST_WORD_MAX 64 /* longer words are near to nothing */

/* Changes (a letter added, dropped, replaced, or two neighbours swapped) that make b out of a;
 * NEAREST_WORD_MAX + 1 when either is longer than NEAREST_WORD_MAX. */
size_t nearest_distance(const char *a, const char *b);

/* The word of `words` nearest to `word` by at most a third of its length (at least 1), the first of
 * several; NULL when there is none. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

#endif
