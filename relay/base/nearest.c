/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/nearest.h"

#include <string.h>

/* Optimal string alignment; three rows of the usual table are enough. */
size_t nearest_distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_WORD_MAX + 1];
	size_t an = strlen(a), bn = strlen(b);

	if (an > NEAREST_WORD_MAX || bn > NEAREST_WORD_MAX)
		return NEAREST_WORD_MAX + 1;
	for (size_t j = 0; j <= bn; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= an; i++) {
		size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= bn; j++) {
			size_t least = last[j - 1] + (a[i - 1] != b[j - 1]);

			least = MIN(least, MIN(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				least = MIN(least, before[j - 2] + 1);
			now[j] = least;
		}
	}
	return rows[an % 3][bn];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
	size_t best = MAX(strlen(word) / 3, (size_t)1) + 1;
	const char *ret = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = nearest_distance(word, words[i]);

		if (d < best) {
			best = d;
			ret = words[i];
		}
	}
	return ret;
}
