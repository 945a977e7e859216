/* SPDX-License-Identifier: Apache-2.0
 * A configuration as text: what is in force, and a commented file to begin with. */
#include <string.h>

#include "relay/config/internal.h"

#define FIELD(config, option, type)                                                                \
	((const type *)(const void *)((const char *)(config) + (option)->offset))
#define COLUMNS 98 /* of comments, the "# " apart */

static void put_list(const struct config_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->n; i++)
		buf_putf(out, "%s%s", i ? "," : "", list->items[i]);
}

static void put_map(const struct config_map *map, struct buf *out)
{
	for (size_t i = 0; i < map->n; i++) {
		buf_putf(out, "%s%s=", i ? ";" : "", map->entries[i].name);
		put_list(&map->entries[i].list, out);
	}
}

static void put_word(const char *words, unsigned i, struct buf *out)
{
	size_t n = strcspn(words, " ");

	for (; i > 0; i--, n = strcspn(words, " "))
		words += n + 1;
	buf_put(out, words, n);
}

static void put_value(const struct config *config, const struct config_option *o, struct buf *out)
{
	const char *s;

	switch (o->type) {
	case TYPE_STRING:
	case TYPE_PATH:
	case TYPE_SOURCE:
		s = *FIELD(config, o, char *);
		buf_put_str(out, s ? s : "(unset)");
		break;
	case TYPE_ADDRESS:
		buf_put_str(out, FIELD(config, o, struct config_address)->text);
		break;
	case TYPE_DURATION:
		value_number_text(o->type, (uint64_t)*FIELD(config, o, usec_t), out);
		break;
	case TYPE_SIZE:
	case TYPE_UINT:
		value_number_text(o->type, *FIELD(config, o, uint64_t), out);
		break;
	case TYPE_BOOL:
		buf_put_str(out, *FIELD(config, o, bool) ? "true" : "false");
		break;
	case TYPE_WORD:
		put_word(o->allowed, *FIELD(config, o, unsigned), out);
		break;
	case TYPE_KEY:
		if (FIELD(config, o, struct config_key)->is_set)
			buf_put_hex(out, FIELD(config, o, struct config_key)->id.b, 32);
		else
			buf_put_str(out, "(unset)");
		break;
	case TYPE_LIST:
		put_list(FIELD(config, o, struct config_list), out);
		break;
	case TYPE_MAP:
		put_map(FIELD(config, o, struct config_map), out);
		break;
	}
}

void config_print(const struct config *config, enum config_role role, struct buf *out)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *o = &config_options[i];
		const char *origin = config->inside->origin[i];

		if (!config_role_reads(role, o))
			continue;
		buf_putf(out, "%s.%s = ", o->section, o->name);
		put_value(config, o, out);
		buf_putf(out, " (%s)\n", origin ? origin : "default");
	}
}

static bool has_words(const struct config *config, const struct config_option *o)
{
	switch (o->type) {
	case TYPE_PATH:
	case TYPE_SOURCE:
	case TYPE_ADDRESS:
		return false;
	case TYPE_KEY:
		return FIELD(config, o, struct config_key)->is_set;
	case TYPE_STRING:
	case TYPE_DURATION:
	case TYPE_SIZE:
	case TYPE_UINT:
	case TYPE_BOOL:
	case TYPE_WORD:
	case TYPE_LIST:
	case TYPE_MAP:
		return true;
	}
	return false;
}

void config_words(const struct config *config, enum config_role role, struct buf *out)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *o = &config_options[i];

		if (!config_role_reads(role, o) || !has_words(config, o))
			continue;
		buf_putf(out, "--%s.%s=", o->section, o->name);
		if (o->type != TYPE_STRING || *FIELD(config, o, char *))
			put_value(config, o, out);
		buf_put_u8(out, '\n');
	}
}

/* A comment, broken into lines at spaces. */
static void put_comment(const char *text, const char *indent, struct buf *out)
{
	size_t column = 0;

	for (size_t n; *text != 0; text += n + (text[n] == ' ')) {
		n = strcspn(text, " ");
		if (column > 0 && column + n + 1 > COLUMNS) {
			buf_put_u8(out, '\n');
			column = 0;
		}
		buf_put_str(out, column > 0 ? " " : indent);
		if (column == 0)
			buf_put_str(out, "# ");
		buf_put(out, text, n);
		column += n + 1;
	}
	buf_put_u8(out, '\n');
}

static const char *given_for(const struct config_given *given, size_t count,
			     const struct config_option *o)
{
	size_t n = strlen(o->section);

	for (size_t i = 0; i < count; i++)
		if (strncmp(given[i].option, o->section, n) == 0 && given[i].option[n] == '.' &&
		    strcmp(given[i].option + n + 1, o->name) == 0)
			return given[i].yaml;
	return NULL;
}

static void put_option(const struct config_option *o, const char *yaml, struct buf *out)
{
	const char *standard =
		o->default_text && o->default_text != config_required ? o->default_text : "";
	/* what YAML would read as something else than this text */
	bool quote = *standard == '*' || *standard == '[';

	put_comment(o->text, "  ", out);
	if (o->allowed != NULL)
		buf_putf(out, "  # allowed: %s\n", o->allowed);
	if (yaml != NULL)
		buf_putf(out, "  %s: %s\n", o->name, yaml);
	else
		buf_putf(out, "  #%s:%s%s%s%s\n", o->name, *standard ? " " : "", quote ? "\"" : "",
			 standard, quote ? "\"" : "");
}

void config_template(enum config_role role, const struct config_given *given, size_t count,
		     struct buf *out)
{
	const char *section = "";

	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *o = &config_options[i];

		if (!config_role_reads(role, o))
			continue;
		for (size_t j = 0; strcmp(section, o->section) != 0 && j < CONFIG_SECTIONS; j++) {
			if (strcmp(config_sections[j].name, o->section) != 0)
				continue;
			buf_put_str(out, out->n ? "\n" : "");
			put_comment(config_sections[j].text, "", out);
			buf_putf(out, "%s:\n", o->section);
		}
		section = o->section;
		put_option(o, given_for(given, count, o), out);
	}
}
