/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/table.h"

#include <stdlib.h>

#include "relay/base/mem.h"
#include "relay/crypto/digest.h"

#define HEADER "counterfoil/methods/v1"

struct method_table {
	char family[METHOD_FAMILY_MAX + 1];
	struct hash hash;
	struct buf text;
	struct method_entry *entries; /* by id */
	size_t count;
	size_t cap;
	uint32_t cu_max;
};

/* Takes the next line off `text`; false when there is none or it has no end. */
static bool next_line(struct view *text, struct view *ret)
{
	const uint8_t *end = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;

	if (!end)
		return false;
	*ret = VIEW(text->p, (size_t)(end - text->p));
	text->n -= ret->n + 1;
	text->p = end + 1;
	return true;
}

/* Takes what stands before the next space, or all, off `line`. */
static struct view next_word(struct view *line)
{
	const uint8_t *end = line->n > 0 ? memchr(line->p, ' ', line->n) : NULL;
	struct view word = VIEW(line->p, end ? (size_t)(end - line->p) : line->n);

	line->p += word.n + (end != NULL);
	line->n -= word.n + (end != NULL);
	return word;
}

static bool parse_u32(struct view word, uint32_t *ret)
{
	uint64_t v;

	if (word.n == 0 || !u64_parse((const char *)word.p, word.n, &v) || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool name_is_valid(struct view name)
{
	if (name.n == 0 || name.n > METHOD_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] < '!' || name.p[i] > '~')
			return false;
	}
	return true;
}

/* One entry; returns what is wrong with its line, NULL when nothing is. */
static const char *add_entry(struct method_table *table, struct view line)
{
	struct view whole = line;
	struct view id = next_word(&line), name = next_word(&line), cu = next_word(&line);
	struct method_entry entry = {0};

	if (!parse_u32(id, &entry.id) || !parse_u32(cu, &entry.cu) ||
	    !parse_u32(line, &entry.part_cu))
		return "not `id name cu part_cu`";
	if (whole.n != id.n + name.n + cu.n + line.n + 3)
		return "not four words with single spaces";
	if (!name_is_valid(name))
		return "a bad name";
	if ((entry.id == 0) != view_eq(name, VIEW_STR("*")))
		return "entry 0, and only it, has the name *";
	if (table->count > 0 && table->entries[table->count - 1].id >= entry.id)
		return "ids do not ascend";
	if (table->count == METHOD_TABLE_MAX)
		return "too many entries";
	if (table->count == table->cap) {
		table->cap = table->cap ? table->cap * 2 : 64;
		table->entries = xrealloc(table->entries, table->cap * sizeof(*table->entries));
	}
	entry.name = (const char *)name.p; /* ended by method_table_end_names() */
	table->entries[table->count++] = entry;
	table->cu_max = MAX(table->cu_max, entry.cu);
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	const struct method_entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Gives every entry a name of its own; false when two have the same. */
static bool own_names(struct method_table *table)
{
	const struct method_entry **sorted = xmalloc(table->count * sizeof(struct method_entry *));
	bool unique = true;

	for (size_t i = 0; i < table->count; i++) {
		const char *end = memchr(table->entries[i].name, ' ', METHOD_NAME_MAX + 1);

		table->entries[i].name =
			xstrndup(table->entries[i].name, (size_t)(end - table->entries[i].name));
		sorted[i] = &table->entries[i];
	}
	qsort(sorted, table->count, sizeof(struct method_entry *), compare_names);
	for (size_t i = 1; i < table->count; i++)
		unique = unique && strcmp(sorted[i - 1]->name, sorted[i]->name) != 0;
	free(sorted);
	return unique;
}

static bool parse_head(struct method_table *table, struct view *text, struct err *err)
{
	struct service_name family;
	struct view line;

	if (!next_line(text, &line) || !view_eq(line, VIEW_STR(HEADER)))
		return err_set(err, ERR_FORMAT, "method table: line 1 is not " HEADER);
	if (!next_line(text, &line) || !service_name_parse((const char *)line.p, line.n, &family))
		return err_set(err, ERR_FORMAT, "method table: line 2 is not a family");
	memcpy(table->family, family.s, sizeof(family.s));
	return true;
}

static bool parse_text(struct method_table *table, struct view text, struct err *err)
{
	struct view line;
	bool names_owned = false;
	const char *why = NULL;
	size_t number = 3;

	if (!parse_head(table, &text, err))
		return false;
	for (; !why && next_line(&text, &line); number++)
		why = add_entry(table, line);
	if (!why && text.n > 0) {
		why = "the last line has no end";
		number++;
	}
	if (!why) {
		names_owned = true;
		if (own_names(table))
			return true;
		why = "two entries have the same name";
	}
	if (!names_owned)
		table->count = 0; /* their names are still the text's */
	return err_set(err, ERR_FORMAT, "method table: line %zu: %s", number - 1, why);
}

bool method_table_parse(struct view text, struct method_table **ret, struct err *err)
{
	CLEANUP(method_table_destroy) struct method_table *table = xcalloc(1, sizeof(*table));

	if (text.n > METHOD_TABLE_BYTES_MAX)
		return err_set(err, ERR_FORMAT, "method table: larger than %u bytes",
			       METHOD_TABLE_BYTES_MAX);
	buf_put(&table->text, text.p, text.n);
	if (!parse_text(table, buf_view(&table->text), err))
		return false;
	sha256(text.p, text.n, &table->hash);
	*ret = STEAL(table);
	return true;
}

void method_table_destroy(struct method_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		free((char *)(uintptr_t)table->entries[i].name);
	free(table->entries);
	buf_finish(&table->text);
	free(table);
}

const char *method_table_family(const struct method_table *table)
{
	return table->family;
}

struct view method_table_text(const struct method_table *table)
{
	return buf_view(&table->text);
}

const struct hash *method_table_hash(const struct method_table *table)
{
	return &table->hash;
}

size_t method_table_count(const struct method_table *table)
{
	return table->count;
}

const struct method_entry *method_table_at(const struct method_table *table, size_t i)
{
	return &table->entries[i];
}

const struct method_entry *method_table_find(const struct method_table *table, uint32_t id)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->entries[middle].id == id)
			return &table->entries[middle];
		if (table->entries[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

uint32_t method_table_cu_max(const struct method_table *table)
{
	return table->cu_max;
}
