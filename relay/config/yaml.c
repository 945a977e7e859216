/* SPDX-License-Identifier: Apache-2.0
 * YAML into a tree of values with their places.  Only what a configuration needs: maps, lists and
 * scalars of one document; anchors, aliases, tags and duplicate keys are refused, each by name. */
#include <assert.h>
#include <string.h>
#include <yaml.h>

#include "relay/config/internal.h"

#define DEPTH_MAX 8 /* our deepest value has 4 levels */

struct reader_state {
	struct loader *loader;
	yaml_parser_t parser;
	const char *name;
	bool broken; /* the parser has no more events */
};

static struct place place_at(const struct reader_state *r, yaml_mark_t mark)
{
	return (struct place){r->name, mark.line + 1, mark.column + 1};
}

static void syntax_problem(struct reader_state *r)
{
	const yaml_parser_t *p = &r->parser;
	struct place at = place_at(r, p->problem_mark);

	loader_problem(r->loader, &at, "not valid YAML: %s%s%s",
		       p->problem ? p->problem : "cannot be read", p->context ? " " : "",
		       p->context ? p->context : "");
}

/* The next event, to be deleted by the caller; false when the text is broken. */
static bool next_event(struct reader_state *r, yaml_event_t *event)
{
	if (r->broken || !yaml_parser_parse(&r->parser, event)) {
		if (!r->broken)
			syntax_problem(r);
		r->broken = true;
		return false;
	}
	return true;
}

static void refuse_properties(struct reader_state *r, yaml_mark_t mark, const yaml_char_t *anchor,
			      const yaml_char_t *tag)
{
	struct place at = place_at(r, mark);

	if (anchor != NULL)
		loader_problem(r->loader, &at, "anchors (&%s) are not allowed here",
			       (const char *)anchor);
	if (tag != NULL)
		loader_problem(r->loader, &at, "tags (%s) are not allowed here", (const char *)tag);
}

/* Reads on until the collection that has just begun has ended. */
static void skip_collection(struct reader_state *r)
{
	yaml_event_t event;

	for (size_t depth = 1; depth > 0 && next_event(r, &event); yaml_event_delete(&event)) {
		if (event.type == YAML_SEQUENCE_START_EVENT ||
		    event.type == YAML_MAPPING_START_EVENT)
			depth++;
		else if (event.type == YAML_SEQUENCE_END_EVENT ||
			 event.type == YAML_MAPPING_END_EVENT)
			depth--;
	}
}

static struct node *read_scalar(struct reader_state *r, const yaml_event_t *event)
{
	struct place at = place_at(r, event->start_mark);
	struct node *node = loader_node(r->loader, NODE_SCALAR, &at);
	const char *text = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;

	refuse_properties(r, event->start_mark, event->data.scalar.anchor, event->data.scalar.tag);
	if (memchr(text, 0, n) != NULL)
		loader_problem(r->loader, &at, "a text with a zero byte");
	node->text = arena_memdup(r->loader->arena, text, n + 1);
	node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			(n == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
	return node;
}

static struct node *read_node(struct reader_state *r, const yaml_event_t *event, size_t depth);

static void read_list(struct reader_state *r, struct node *list, size_t depth)
{
	yaml_event_t event;

	while (next_event(r, &event)) {
		bool ends = event.type == YAML_SEQUENCE_END_EVENT;
		struct node *child = ends ? NULL : read_node(r, &event, depth);

		yaml_event_delete(&event);
		if (ends)
			return;
		if (child != NULL)
			node_add(list, child);
	}
}

static bool map_has(const struct node *map, const char *name)
{
	for (const struct node *c = map->first; c != NULL; c = c->next)
		if (strcmp(c->name, name) == 0)
			return true;
	return false;
}

/* One key and its value.  False at the end of the map, or of the text. */
static bool read_pair(struct reader_state *r, struct node *map, size_t depth)
{
	struct node *key, *value = NULL;
	yaml_event_t event;

	if (!next_event(r, &event))
		return false;
	if (event.type == YAML_MAPPING_END_EVENT) {
		yaml_event_delete(&event);
		return false;
	}
	key = read_node(r, &event, depth);
	yaml_event_delete(&event);
	if (next_event(r, &event)) {
		value = read_node(r, &event, depth);
		yaml_event_delete(&event);
	}
	if (key == NULL || value == NULL)
		return !r->broken;
	if (key->kind != NODE_SCALAR) {
		loader_problem(r->loader, &key->place, "a name is expected here");
		return true;
	}
	if (map_has(map, key->text)) {
		loader_problem(r->loader, &key->place, "%.64s: given twice", key->text);
		return true;
	}
	value->name = key->text;
	value->name_place = key->place;
	node_add(map, value);
	return true;
}

/* The value that the event begins; NULL when it was refused. */
static struct node *read_node(struct reader_state *r, const yaml_event_t *event, size_t depth)
{
	struct place at = place_at(r, event->start_mark);
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	struct node *node;

	if (event->type == YAML_ALIAS_EVENT) {
		loader_problem(r->loader, &at, "aliases (*%s) are not allowed here",
			       (const char *)event->data.alias.anchor);
		return NULL;
	}
	if (event->type == YAML_SCALAR_EVENT)
		return r->loader->nodes_n < NODES_MAX ? read_scalar(r, event) : NULL;
	assert(is_map || event->type == YAML_SEQUENCE_START_EVENT);
	if (is_map)
		refuse_properties(r, event->start_mark, event->data.mapping_start.anchor,
				  event->data.mapping_start.tag);
	else
		refuse_properties(r, event->start_mark, event->data.sequence_start.anchor,
				  event->data.sequence_start.tag);
	if (depth == 0 || r->loader->nodes_n >= NODES_MAX) {
		if (depth == 0)
			loader_problem(r->loader, &at, "nested too deep");
		skip_collection(r);
		return NULL;
	}
	node = loader_node(r->loader, is_map ? NODE_MAP : NODE_LIST, &at);
	if (!is_map)
		read_list(r, node, depth - 1);
	else
		while (read_pair(r, node, depth - 1))
			;
	return node;
}

/* Between documents: the document's root into *root, complaints about all but one. */
static bool read_document_event(struct reader_state *r, struct node **root)
{
	yaml_event_t event;
	bool more = true;

	if (!next_event(r, &event))
		return false;
	if (event.type == YAML_STREAM_END_EVENT) {
		more = false;
	} else if (event.type == YAML_DOCUMENT_START_EVENT && *root != NULL) {
		struct place at = place_at(r, event.start_mark);

		loader_problem(r->loader, &at, "a second document; one file is one configuration");
		more = false;
	} else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
		   event.type == YAML_MAPPING_START_EVENT || event.type == YAML_ALIAS_EVENT) {
		*root = read_node(r, &event, DEPTH_MAX);
	}
	yaml_event_delete(&event);
	return more;
}

struct node *yaml_tree(struct loader *loader, const char *name, struct view text)
{
	struct reader_state r = {.loader = loader, .name = name};
	struct node *root = NULL;

	if (!yaml_parser_initialize(&r.parser))
		abort();
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, text.n ? text.p : (const uint8_t *)"", text.n);
	while (read_document_event(&r, &root))
		;
	yaml_parser_delete(&r.parser);
	if (loader->nodes_n >= NODES_MAX)
		loader_problem(loader, &(struct place){name, 1, 1}, "more than %d values",
			       NODES_MAX);
	if (r.broken)
		return NULL; /* what follows a syntax error would be guesses */
	if (root != NULL && root->kind == NODE_SCALAR && root->is_null)
		return NULL;
	if (root != NULL && root->kind != NODE_MAP) {
		loader_problem(loader, &root->place, "sections are expected (`gateway:`, `node:`)");
		return NULL;
	}
	return root;
}
