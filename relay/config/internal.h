/* SPDX-License-Identifier: Apache-2.0
 * What the files of relay/config share: the table at run time, values as they were written, and the
 * loader that collects problems. */
#ifndef RELAY_CONFIG_INTERNAL_H
#define RELAY_CONFIG_INTERNAL_H

#include "relay/base/mem.h"
#include "relay/config/config.h"

#define ARENA_MAX ((size_t)64 << 20)
#define NODES_MAX 10000	 /* values in a file */
#define MAP_ITEMS_MAX 16 /* URLs of one entry of a MAP */

enum config_type {
	TYPE_STRING,
	TYPE_PATH,
	TYPE_SOURCE,
	TYPE_ADDRESS,
	TYPE_SIZE,
	TYPE_DURATION,
	TYPE_UINT,
	TYPE_BOOL,
	TYPE_WORD,
	TYPE_KEY,
	TYPE_LIST,
	TYPE_MAP,
};

enum config_who { WHO_GATEWAY = 1, WHO_NODE = 2, WHO_BOTH = 3 };

/* A row of config.def. */
struct config_option {
	const char *section;
	const char *name;
	enum config_type type;
	enum config_who who;
	const char *default_text; /* NULL: unset; config_required: must be given */
	const char *allowed;
	const char *text;
	size_t offset; /* of the field in struct config */
};

struct config_section {
	const char *name;
	const char *text;
};

enum {
#define SECTION(id, text)
#define OPT(section, name, type, who, default_text, allowed, text) OPTION_##section##_##name,
#define END(id)
#include "relay/config/config.def"
#undef SECTION
#undef OPT
#undef END
	CONFIG_OPTIONS
};

enum {
#define SECTION(id, text) SECTION_##id,
#define OPT(section, name, type, who, default_text, allowed, text)
#define END(id)
#include "relay/config/config.def"
#undef SECTION
#undef OPT
#undef END
	CONFIG_SECTIONS
};

extern const char config_required[]; /* compared by its address */
extern const struct config_option config_options[CONFIG_OPTIONS];
extern const struct config_section config_sections[CONFIG_SECTIONS];

/* The option, or NULL. */
const struct config_option *config_find(const char *section, const char *name);
/* True iff a role reads the option; CONFIG_ANY reads all. */
bool config_role_reads(enum config_role role, const struct config_option *option);

struct config_inside {
	struct arena *arena;
	const char *origin[CONFIG_OPTIONS]; /* "default", "FILE:LINE", "environment", ... */
};

/* Where something was written: a file with line and column from 1, or, with line 0, the name of a
 * variable or an argument. */
struct place {
	const char *name;
	size_t line;
	size_t column;
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

/* A value as written, before it is known what it should be.  Lives in the arena. */
struct node {
	enum node_kind kind;
	struct place place;
	const char *text; /* of a scalar */
	bool is_null;	  /* a scalar that says nothing: empty and not quoted, ~ or null */
	const char *name; /* the key, within a map */
	struct place name_place;
	struct node *first; /* of a list or map */
	struct node *last;
	struct node *next;
	size_t n; /* children */
};

struct loader {
	struct config *config;
	struct arena *arena;
	const char *folder; /* relative paths of the file begin there; NULL: left alone */
	struct buf *problems;
	size_t problems_n;
	size_t nodes_n;
};

/* Notes a problem; the loading goes on. */
void loader_problem(struct loader *loader, const struct place *place, const char *fmt, ...)
	PRINTF(3, 4);
struct node *loader_node(struct loader *loader, enum node_kind kind, const struct place *place);
void node_add(struct node *parent, struct node *child);

/* The text's tree; NULL after a problem that leaves nothing, or for an empty text. */
struct node *yaml_tree(struct loader *loader, const char *name, struct view text);

/* Checks a value against its option and sets the field; notes what is wrong.  `is_file`: relative
 * paths are those of the file's folder.  False when the field was not set. */
bool value_set(struct loader *loader, const struct config_option *option, const struct node *node,
	       bool is_file);
/* The value that a text on the command line, in the environment or in the table stands for. */
struct node *value_from_text(struct loader *loader, enum config_type type, const char *text,
			     const struct place *place);
/* A number with a unit of a SIZE, DURATION or UINT, in bytes, us or ones; false when it is none. */
MUST_USE bool value_number(enum config_type type, const char *text, uint64_t *ret);
/* "3 KiB", "10 s", "100": the shortest exact form. */
void value_number_text(enum config_type type, uint64_t value, struct buf *out);

/* Options that must fit each other. */
void check_together(struct loader *loader, enum config_role role, const char *name);

#endif
