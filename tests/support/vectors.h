/* SPDX-License-Identifier: Apache-2.0
 * Golden vectors: the JSON files of tests/vectors, which the Python implementation wrote.
 * For cmocka tests: a missing file or member fails the test. */
#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H

#include <jansson.h>

#include "relay/base/bytes.h"
#include "relay/base/mem.h"
#include "tests/unit/unit.h"

/* The parsed file tests/vectors/<name>; json_decref() it. */
static inline json_t *vectors_load(const char *name)
{
	const char *source = getenv("CF_SOURCE_ROOT");
	char *path = xasprintf("%s/tests/vectors/%s", source ? source : ".", name);
	json_error_t why;
	json_t *root = json_load_file(path, 0, &why);

	if (root == NULL)
		print_message("# %s: %s\n", path, why.text);
	free(path);
	return root;
}

static inline const json_t *vector_get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (value == NULL)
		fail_msg("no member %s", key);
	return value;
}

static inline const char *vector_text(const json_t *object, const char *key)
{
	const json_t *value = vector_get(object, key);

	assert_true(json_is_string(value));
	return json_string_value(value);
}

static inline uint64_t vector_number(const json_t *object, const char *key)
{
	const json_t *value = vector_get(object, key);
	uint64_t v = 0;

	if (json_is_integer(value))
		return (uint64_t)json_integer_value(value);
	assert_true(json_is_string(value));
	assert_true(u64_parse(json_string_value(value), json_string_length(value), &v));
	return v;
}

/* Exactly n bytes in hex. */
static inline void vector_hex(const json_t *object, const char *key, void *dst, size_t n)
{
	const char *text = vector_text(object, key);

	assert_true(hex_decode(text, strlen(text), dst, n));
}

/* Any number of bytes in hex, appended. */
static inline void vector_put_hex(const json_t *object, const char *key, struct buf *ret)
{
	const char *text = vector_text(object, key);
	size_t n = strlen(text) / 2;

	buf_reserve(ret, n + 1);
	assert_true(hex_decode(text, 2 * n, ret->p + ret->n, n));
	ret->n += n;
}

static inline void vector_put_base64(const json_t *object, const char *key, struct buf *ret)
{
	const char *text = vector_text(object, key);
	size_t cap = strlen(text) / 4 * 3;
	size_t n;

	buf_reserve(ret, cap + 1);
	assert_true(base64_decode(text, strlen(text), ret->p + ret->n, cap, &n));
	ret->n += n;
}

#endif
