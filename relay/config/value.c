/* SPDX-License-Identifier: Apache-2.0
 * One value as written, checked against its row and set in its typed field. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "relay/config/internal.h"

/* A value on its way into its field. */
struct setting {
	struct loader *loader;
	const struct config_option *option;
	const struct node *node;
	bool is_file;
};

#define FIELD(s, type) ((type *)(void *)((char *)(s)->loader->config + (s)->option->offset))

static bool complain_at(const struct setting *s, const struct place *place, const char *what)
{
	const char *allowed = s->option->allowed;

	loader_problem(s->loader, place, "%s.%s: %s%s%s", s->option->section, s->option->name, what,
		       allowed ? "; allowed: " : "", allowed ? allowed : "");
	return false;
}

static bool complain(const struct setting *s, const char *what)
{
	return complain_at(s, &s->node->place, what);
}

static const char *arena_text(struct loader *loader, const char *s)
{
	return arena_memdup(loader->arena, s, strlen(s) + 1);
}

/* A relative path, as seen from the folder of the file that holds it. */
static const char *resolve(const struct setting *s, const char *path)
{
	const char *folder = s->loader->folder;
	char *joined;
	size_t n;

	if (path[0] == '/' || !s->is_file || folder == NULL)
		return arena_text(s->loader, path);
	if (strncmp(path, "./", 2) == 0)
		path += 2;
	n = strlen(folder) + strlen(path) + 2;
	joined = arena_alloc(s->loader->arena, n);
	snprintf(joined, n, "%s/%s", folder, path);
	return joined;
}

static bool is_url(const char *s)
{
	return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
}

/* "a..b" of the row. */
static void bounds_of(const struct config_option *option, uint64_t *ret_least, uint64_t *ret_most)
{
	const char *dots = option->allowed ? strstr(option->allowed, "..") : NULL;
	char least[32] = "";

	assert(dots != NULL && (size_t)(dots - option->allowed) < sizeof(least));
	memcpy(least, option->allowed, (size_t)(dots - option->allowed));
	if (!value_number(option->type, least, ret_least) ||
	    !value_number(option->type, dots + 2, ret_most))
		assert(!"config.def: bounds");
}

static bool set_number(const struct setting *s)
{
	uint64_t v, least, most;

	bounds_of(s->option, &least, &most);
	if (!value_number(s->option->type, s->node->text, &v))
		return complain(s, s->option->type == TYPE_SIZE ? "not a size (number and B, KiB, "
								  "MiB or GiB)"
				   : s->option->type == TYPE_DURATION
					   ? "not a duration (number and us, ms, s, min, h or d)"
					   : "not a number");
	if (v < least || v > most)
		return complain(s, "out of range");
	if (s->option->type == TYPE_DURATION)
		*FIELD(s, usec_t) = (usec_t)v;
	else
		*FIELD(s, uint64_t) = v;
	return true;
}

static bool set_bool(const struct setting *s)
{
	bool yes = strcmp(s->node->text, "true") == 0;

	if (!yes && strcmp(s->node->text, "false") != 0)
		return complain(s, "neither true nor false");
	*FIELD(s, bool) = yes;
	return true;
}

static bool set_word(const struct setting *s)
{
	const char *p = s->option->allowed;
	size_t n, want = strlen(s->node->text);

	for (unsigned i = 0; *p != 0; i++, p += n + (p[n] == ' ')) {
		n = strcspn(p, " ");
		if (n == want && memcmp(p, s->node->text, n) == 0) {
			*FIELD(s, unsigned) = i;
			return true;
		}
	}
	return complain(s, "unknown word");
}

static bool set_key(const struct setting *s)
{
	struct config_key key = {.is_set = true};

	if (!hex_decode(s->node->text, strlen(s->node->text), key.id.b, sizeof(key.id.b)))
		return complain(s, "not a key: 64 lower-case hex digits");
	*FIELD(s, struct config_key) = key;
	return true;
}

static bool set_address(const struct setting *s)
{
	struct config_address a;
	struct loader *loader = s->loader;
	struct err err;
	char *memory;

	if (!config_address_parse(s->node->text, &a, &memory, &err))
		return complain(s, err.msg);
	a.text = arena_text(loader, s->node->text);
	a.host = a.host ? arena_text(loader, a.host) : NULL;
	if (a.unix_path != NULL) {
		size_t n;
		char *text;

		a.unix_path = resolve(s, a.unix_path);
		n = strlen(a.unix_path) + sizeof("unix:");
		text = arena_alloc(loader->arena, n);
		snprintf(text, n, "unix:%s", a.unix_path);
		a.text = text;
	}
	free(memory);
	*FIELD(s, struct config_address) = a;
	return true;
}

/* Strings of a list, or a scalar as a list of one.  item_problem: says what is wrong with an item,
 * or NULL. */
static bool read_list(const struct setting *s, const struct node *node,
		      const char *(*item_problem)(const char *), struct config_list *ret)
{
	bool one = node->kind == NODE_SCALAR, ok = true;
	size_t n = one ? 1 : node->n, i = 0;
	const char **items = arena_alloc(s->loader->arena, (n + 1) * sizeof(*items));

	for (const struct node *c = one ? node : node->first; c != NULL; c = one ? NULL : c->next) {
		const char *what = c->kind != NODE_SCALAR || c->is_null ? "a text is expected"
				   : item_problem			? item_problem(c->text)
									: NULL;

		for (size_t j = 0; j < i && what == NULL; j++)
			if (strcmp(items[j], c->text) == 0)
				what = "given twice";
		if (what != NULL)
			ok = complain_at(s, &c->place, what);
		else
			items[i++] = c->text;
	}
	*ret = (struct config_list){items, i};
	return ok;
}

static const char *service_problem(const char *s)
{
	struct service_name name;

	return service_name_parse(s, strlen(s), &name)
		       ? NULL
		       : "not a service name (a-z, 0-9 and -, at most 32)";
}

static const char *url_problem(const char *s)
{
	return is_url(s) && s[strcspn(s, " \t\r\n")] == 0 ? NULL : "not an http:// or https:// URL";
}

static bool set_list(const struct setting *s)
{
	uint64_t least, most;
	struct config_list list;

	bounds_of(s->option, &least, &most);
	if (s->node->kind == NODE_MAP)
		return complain(s, "a list is expected");
	if (!read_list(s, s->node, service_problem, &list))
		return false;
	if (list.n < least || list.n > most)
		return complain(s, "too few or too many items");
	*FIELD(s, struct config_list) = list;
	return true;
}

static bool set_map(const struct setting *s)
{
	struct config_entry *entries;
	uint64_t least, most;
	bool ok = true;
	size_t i = 0;

	bounds_of(s->option, &least, &most);
	if (s->node->kind != NODE_MAP)
		return complain(s, "a map of service to URLs is expected");
	if (s->node->n < least || s->node->n > most)
		return complain(s, "too few or too many items");
	entries = arena_alloc(s->loader->arena, (s->node->n + 1) * sizeof(*entries));
	for (const struct node *c = s->node->first; c != NULL; c = c->next, i++) {
		const char *what = service_problem(c->name);

		entries[i].name = c->name;
		for (size_t j = 0; j < i && what == NULL; j++)
			if (strcmp(entries[j].name, c->name) == 0)
				what = "service given twice";
		if (what != NULL)
			ok = complain_at(s, &c->name_place, what);
		if (c->kind == NODE_MAP)
			ok = complain_at(s, &c->place, "a URL or a list of URLs is expected");
		else if (!read_list(s, c, url_problem, &entries[i].list))
			ok = false;
		else if (entries[i].list.n == 0 || entries[i].list.n > MAP_ITEMS_MAX)
			ok = complain_at(s, &c->place, "1..16 URLs are expected");
	}
	if (ok)
		*FIELD(s, struct config_map) = (struct config_map){entries, s->node->n};
	return ok;
}

static bool set_string(const struct setting *s)
{
	const char *text = s->node->text;

	if (*text == 0)
		*FIELD(s, const char *) = NULL;
	else if (s->option->type == TYPE_STRING || (s->option->type == TYPE_SOURCE && is_url(text)))
		*FIELD(s, const char *) = arena_text(s->loader, text);
	else
		*FIELD(s, const char *) = resolve(s, text);
	return true;
}

bool value_set(struct loader *loader, const struct config_option *option, const struct node *node,
	       bool is_file)
{
	struct setting s = {loader, option, node, is_file};
	bool many = option->type == TYPE_LIST || option->type == TYPE_MAP;

	if (node->kind == NODE_SCALAR && node->is_null)
		return complain(&s, "has no value");
	if (!many && node->kind != NODE_SCALAR)
		return complain(&s, "a single value is expected");
	switch (option->type) {
	case TYPE_STRING:
	case TYPE_PATH:
	case TYPE_SOURCE:
		return set_string(&s);
	case TYPE_ADDRESS:
		return set_address(&s);
	case TYPE_SIZE:
	case TYPE_DURATION:
	case TYPE_UINT:
		return set_number(&s);
	case TYPE_BOOL:
		return set_bool(&s);
	case TYPE_WORD:
		return set_word(&s);
	case TYPE_KEY:
		return set_key(&s);
	case TYPE_LIST:
		return set_list(&s);
	case TYPE_MAP:
		return set_map(&s);
	}
	return false;
}

/* --- lists and maps in one text --- */

static struct node *list_from_text(struct loader *loader, char *text, const struct place *place)
{
	struct node *list = loader_node(loader, NODE_LIST, place);
	char *item;

	while ((item = strsep(&text, ",")) != NULL) {
		struct node *child = loader_node(loader, NODE_SCALAR, place);

		child->text = item;
		node_add(list, child);
	}
	return list;
}

static struct node *map_from_text(struct loader *loader, char *text, const struct place *place)
{
	struct node *map = loader_node(loader, NODE_MAP, place), *child;
	char *entry, *equals;

	while ((entry = strsep(&text, ";")) != NULL) {
		equals = strchr(entry, '=');
		if (equals != NULL)
			*equals = 0;
		child = list_from_text(loader, equals ? equals + 1 : entry + strlen(entry), place);
		child->name = entry;
		child->name_place = *place;
		node_add(map, child);
	}
	return map;
}

struct node *value_from_text(struct loader *loader, enum config_type type, const char *text,
			     const struct place *place)
{
	char *copy = arena_memdup(loader->arena, text, strlen(text) + 1);
	struct node *node;

	if (type == TYPE_LIST)
		return list_from_text(loader, copy, place);
	if (type == TYPE_MAP)
		return map_from_text(loader, copy, place);
	node = loader_node(loader, NODE_SCALAR, place);
	node->text = copy;
	return node;
}
