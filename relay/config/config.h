/* SPDX-License-Identifier: Apache-2.0
 * The configuration of a gateway or a node: a plain, frozen struct with one typed field for each
 * row of config.def.  Sources, strongest first: command line (`--section.option VALUE`),
 * environment (COUNTERFOIL_SECTION_OPTION), YAML file, default.  All that is wrong in any of them
 * is reported at once, each with its place. It opens no file but its own and checks no other: that
 * is `counterfoil doctor`'s work. */
#ifndef RELAY_CONFIG_CONFIG_H
#define RELAY_CONFIG_CONFIG_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20) /* bytes of a configuration file */

/* An address to listen on or to dial. */
struct config_address {
	const char *text;      /* as written: host:port, [v6]:port or unix:PATH */
	const char *host;      /* without brackets; NULL for a unix socket */
	uint16_t port;	       /* 0: any free one */
	const char *unix_path; /* NULL for TCP */
};

struct config_key {
	bool is_set;
	struct key_id id;
};

struct config_list {
	const char *const *items;
	size_t n;
};

struct config_entry {
	const char *name; /* a service name */
	struct config_list list;
};

struct config_map {
	const struct config_entry *entries; /* in the order of writing */
	size_t n;
};

/* Values of WORD options: the index in `allowed`. */
enum config_gateway_pick { CONFIG_GATEWAY_PICK_STAKE, CONFIG_GATEWAY_PICK_PRICE };
enum config_ledger_sync { CONFIG_LEDGER_SYNC_NORMAL, CONFIG_LEDGER_SYNC_FULL };
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARN, CONFIG_LOG_ERROR };

/* Types of fields by the type of a row. */
#define CONFIG_FIELD_STRING const char *
#define CONFIG_FIELD_PATH const char *
#define CONFIG_FIELD_SOURCE const char *
#define CONFIG_FIELD_ADDRESS struct config_address
#define CONFIG_FIELD_SIZE uint64_t
#define CONFIG_FIELD_DURATION usec_t
#define CONFIG_FIELD_UINT uint64_t
#define CONFIG_FIELD_BOOL bool
#define CONFIG_FIELD_WORD unsigned
#define CONFIG_FIELD_KEY struct config_key
#define CONFIG_FIELD_LIST struct config_list
#define CONFIG_FIELD_MAP struct config_map

struct config_inside; /* where the memory is, and where each value came from */

/* config->gateway.listen, config->ledger.dir and so on. */
/* clang-format off */
struct config {
#define SECTION(id, text) struct {
#define OPT(section, name, type, who, default_text, allowed, text) CONFIG_FIELD_##type name;
#define END(id) } id;
#include "relay/config/config.def"
#undef SECTION
#undef OPT
#undef END
	struct config_inside *inside;
};
/* clang-format on */

/* Whose options must be there; CONFIG_ANY asks for none. */
enum config_role { CONFIG_ANY, CONFIG_GATEWAY, CONFIG_NODE };

struct config_source {
	enum config_role role;
	const char *path;	 /* YAML file; NULL: none */
	const char *const *args; /* "--section.option", "VALUE", or both with = in one */
	size_t args_n;
	const char *const *env; /* "NAME=VALUE", ends in NULL, as environ; NULL: none */
};

/* Reads all sources and checks every value.
 *
 * Out:    ret           until config_destroy(); set on success only
 *         ret_problems  one line a problem ("gateway.yaml:3:11: gateway.deadline: ..."), each
 * ending in \n; appended to on failure Errors: ERR_CONFIG: how many problems, or why the file
 * cannot be read.
 */
MUST_USE bool config_load(const struct config_source *source, struct config **ret,
			  struct buf *ret_problems, struct err *err);

/* As config_load() with a text in place of the file; `name` stands for it in problems, and relative
 * paths are left as they are.  For tests, fuzzing and made-up configurations. */
MUST_USE bool config_load_text(const struct config_source *source, const char *name,
			       struct view text, struct config **ret, struct buf *ret_problems,
			       struct err *err);

/* Frees it with all that its fields point to; NULL is a no-op. */
void config_destroy(struct config *config);
DEFINE_CLEANUP(struct config *, config_destroy)

/* Appends the effective values, one "section.option = VALUE (from)" a line, of the options that a
 * role reads. */
void config_print(const struct config *config, enum config_role role, struct buf *out);

/* Appends the effective values, "--section.option=VALUE" a line, of the options that a role reads,
 * but for those that name files, addresses and sources, and keys that are not set: config_load()
 * takes the lines as args. */
void config_words(const struct config *config, enum config_role role, struct buf *out);

/* A value to stand in what config_template() writes. */
struct config_given {
	const char *option; /* "gateway.key" */
	const char *yaml;   /* the value as YAML, one line: "./gateway.key" */
};

/* Appends a configuration file for a role: every option that it reads with its text; those given,
 * in force; the others commented out with their default.  It loads without problems if all REQUIRED
 * options are given. */
void config_template(enum config_role role, const struct config_given *given, size_t count,
		     struct buf *out);

/* Takes an address apart.  Errors: ERR_CONFIG.  The strings of *ret point into memory of
 * *ret_memory, which the caller frees; `text` itself is borrowed. */
MUST_USE bool config_address_parse(const char *text, struct config_address *ret, char **ret_memory,
				   struct err *err);

#endif
