/* SPDX-License-Identifier: Apache-2.0
 * Every value of a JSON text changed in place, one after the other, for tests of what notices: each
 * string of digits in its first, middle and last digit, and false to true. */
#ifndef TESTS_SUPPORT_FLIPS_H
#define TESTS_SUPPORT_FLIPS_H

#include <assert.h>
#include <stdio.h>

#include "chains/json.h"

#define FLIP_PATH_MAX 128

/* A value is changed, and is put back afterwards.  path: names of members with dots between; the
 * elements of an array have the path of the array. */
typedef void flip_noticed(void *arg, const char *path);

struct flips {
	flip_noticed *noticed;
	void *arg;
	size_t stride; /* only each stride-th change is tried */
	size_t seen, tried;
};

static inline void flip_bytes(struct flips *flips, const char *path, uint8_t *p, const char *with)
{
	char before[8];
	size_t n = strlen(with);

	if (flips->seen++ % flips->stride != 0 || n > sizeof(before))
		return;
	memcpy(before, p, n);
	memcpy(p, with, n);
	flips->tried++;
	flips->noticed(flips->arg, path);
	memcpy(p, before, n);
}

static inline void flip_digits(struct flips *flips, const char *path, uint8_t *digits, size_t n)
{
	size_t places[3] = {0, n / 2, n - 1}, path_n = strlen(path);
	bool type = path_n >= 4 && strcmp(path + path_n - 4, "type") == 0;

	for (size_t i = 0; i < 3; i++) {
		uint8_t *p = digits + places[i];
		char with[2] = {*p == '7' ? '8' : '7', 0};

		if (i > 0 && places[i] == places[i - 1])
			continue;
		if (type) /* to one that there is */
			with[0] = *p == '2' ? '1' : '2';
		flip_bytes(flips, path, p, with);
	}
}

/* `value`: a token of valid JSON in memory that may be written to. */
static inline void flip_values(struct flips *flips, struct view value, const char *path)
{
	struct json_walk walk = json_walk_of(value);
	uint8_t *p = (uint8_t *)(uintptr_t)value.p;
	char below[FLIP_PATH_MAX];
	struct view name, text;

	switch (json_walk_peek(&walk)) {
	case '{':
		(void)json_walk_enter(&walk, '{');
		while (json_walk_member(&walk, &name)) {
			int n = snprintf(below, sizeof(below), "%s%s%.*s", path, *path ? "." : "",
					 (int)name.n, (const char *)name.p);

			assert(n > 0 && (size_t)n < sizeof(below));
			(void)json_walk_peek(&walk);
			flip_values(flips, json_walk_value(&walk), below);
		}
		break;
	case '[':
		(void)json_walk_enter(&walk, '[');
		while (json_walk_element(&walk))
			flip_values(flips, json_walk_value(&walk), path);
		break;
	case '"':
		if (json_token_text(value, &text) && text.n > 2)
			flip_digits(flips, path, p + 3, text.n - 2);
		break;
	case 'f':
		flip_bytes(flips, path, p, "true "); /* white space is as good as any */
		break;
	}
}

#endif
