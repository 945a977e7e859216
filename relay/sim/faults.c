/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/sim/faults.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/base/mem.h"

#define WORDS_MAX 5

bool error_by_name(struct view name, enum err_code *ret)
{
	for (int code = 1; code < ERR_COUNT; code++) {
		if (view_eq(name, VIEW_STR(err_info((enum err_code)code)->name))) {
			*ret = (enum err_code)code;
			return true;
		}
	}
	return false;
}

static bool read_time(struct view word, usec_t *ret)
{
	size_t digits = 0;
	struct view unit;
	uint64_t n;

	while (digits < word.n && isdigit(word.p[digits]))
		digits++;
	unit = VIEW(word.p + digits, word.n - digits);
	if (digits == 0 || digits > 9 || !u64_parse((const char *)word.p, digits, &n))
		return false;
	*ret = (usec_t)n * (view_eq(unit, VIEW_STR("s")) ? 1000000 : 1000);
	return view_eq(unit, VIEW_STR("s")) || view_eq(unit, VIEW_STR("ms"));
}

static bool read_supplier(struct view word, char ret[65])
{
	size_t from = word.n > 0 && word.p[0] == '@';
	bool fine = word.n > from && word.n < 65;

	for (size_t i = from; fine && i < word.n; i++)
		fine = from ? isdigit(word.p[i]) : isxdigit(word.p[i]) && !isupper(word.p[i]);
	if (!fine && !view_eq(word, VIEW_STR("*")))
		return false;
	snprintf(ret, 65, "%.*s", (int)word.n, (const char *)word.p);
	return true;
}

static bool read_kind(const struct view words[], size_t n, struct fault *ret)
{
	static const char *const names[] = {
		[FAULT_SILENT] = "silent",
		[FAULT_LATE] = "late",
		[FAULT_ERROR] = "error",
		[FAULT_LIE] = "lie",
	};
	size_t k = 0;

	while (k < ARRAY_SIZE(names) && !view_eq(words[0], VIEW_STR(names[k])))
		k++;
	ret->kind = (enum fault_kind)k;
	switch ((int)k) {
	case FAULT_SILENT:
	case FAULT_LIE:
		return n == 1;
	case FAULT_LATE:
		return n == 2 && read_time(words[1], &ret->late_us);
	case FAULT_ERROR:
		return n == 2 && error_by_name(words[1], &ret->error);
	default:
		return false;
	}
}

static size_t split(struct view line, struct view words[WORDS_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < line.n && n <= WORDS_MAX;) {
		size_t from = i;

		while (i < line.n && line.p[i] != ' ' && line.p[i] != '\t')
			i++;
		if (i > from)
			words[n++] = VIEW(line.p + from, i - from);
		else
			i++;
	}
	return n;
}

static bool read_line(struct view line, struct faults *ret, struct err *err)
{
	struct view words[WORDS_MAX + 1];
	size_t n = split(line, words);
	struct fault f = {.to_us = INT64_MAX};

	if (n == 0 || words[0].p[0] == '#')
		return true;
	if (n < 4 || n > WORDS_MAX || !read_time(words[0], &f.from_us) ||
	    (!view_eq(words[1], VIEW_STR("-")) && !read_time(words[1], &f.to_us)) ||
	    !read_supplier(words[2], f.supplier) || !read_kind(words + 3, n - 3, &f))
		return err_set(err, ERR_FORMAT, "FROM TO SUPPLIER FAULT is wanted");
	if (ret->n == FAULTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d faults", FAULTS_MAX);
	ret->list = xrealloc(ret->list, (ret->n + 1) * sizeof(ret->list[0]));
	ret->list[ret->n++] = f;
	return true;
}

bool faults_read(struct view script, struct faults *ret, struct err *err)
{
	for (size_t line = 1; script.n > 0; line++) {
		const uint8_t *newline = memchr(script.p, '\n', script.n);
		size_t n = newline ? (size_t)(newline - script.p) : script.n;

		if (!read_line(VIEW(script.p, n), ret, err))
			return err_prefix(err, "line %zu", line);
		n += newline != NULL;
		script = VIEW(script.p + n, script.n - n);
	}
	return true;
}

void faults_finish(struct faults *faults)
{
	free(faults->list);
	*faults = (struct faults){0};
}

static bool is_for(const struct fault *f, size_t n, const struct key_id *key)
{
	char hex[65];

	if (f->supplier[0] == '*')
		return true;
	if (f->supplier[0] == '@')
		return strtoull(f->supplier + 1, NULL, 10) == n;
	hex_encode(key->b, sizeof(key->b), hex);
	return strncmp(hex, f->supplier, strlen(f->supplier)) == 0;
}

const struct fault *faults_find(const struct faults *faults, usec_t now, size_t n,
				const struct key_id *key)
{
	for (size_t i = 0; i < faults->n; i++) {
		const struct fault *f = &faults->list[i];

		if (now >= f->from_us && now < f->to_us && is_for(f, n, key))
			return f;
	}
	return NULL;
}

void fault_lie(struct buf *body)
{
	static const char result[] = "\"result\":";
	uint8_t *end, *p;

	if (body->n == 0)
		return;
	end = body->p + body->n;
	p = memmem(body->p, body->n, result, strlen(result));
	p = p ? memmem(p, (size_t)(end - p), "\"0x", 3) : NULL;
	if (!p)
		return;
	for (p += 3; p < end && isxdigit(*p); p++)
		;
	if (isxdigit(p[-1]))
		p[-1] = p[-1] == '1' ? '2' : '1';
}
