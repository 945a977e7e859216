/* SPDX-License-Identifier: Apache-2.0
 * Defaults, file, environment, command line: each sets what it names, the last one wins; everything
 * that is wrong is noted on the way. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/base/nearest.h"
#include "relay/config/internal.h"

#define ENV_PREFIX "COUNTERFOIL_"

void loader_problem(struct loader *loader, const struct place *place, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *p = text; *p != 0; p++) /* a problem is one line, whatever it quotes */
		if ((unsigned char)*p < ' ')
			*p = '?';
	if (place->line > 0)
		buf_putf(loader->problems, "%s:%zu:%zu: %s\n", place->name, place->line,
			 place->column, text);
	else
		buf_putf(loader->problems, "%s: %s\n", place->name, text);
	loader->problems_n++;
}

struct node *loader_node(struct loader *loader, enum node_kind kind, const struct place *place)
{
	struct node *node = arena_alloc(loader->arena, sizeof(*node));

	*node = (struct node){.kind = kind, .place = *place};
	loader->nodes_n++;
	return node;
}

void node_add(struct node *parent, struct node *child)
{
	if (parent->last == NULL)
		parent->first = child;
	else
		parent->last->next = child;
	parent->last = child;
	parent->n++;
}

static void set_origin(struct loader *loader, const struct config_option *option,
		       const struct place *place, const char *what)
{
	char text[256];

	if (place->line > 0)
		snprintf(text, sizeof(text), "%s:%zu", place->name, place->line);
	else
		snprintf(text, sizeof(text), "%s", what);
	loader->config->inside->origin[option - config_options] =
		arena_memdup(loader->arena, text, strlen(text) + 1);
}

static void set_from_text(struct loader *loader, const struct config_option *option,
			  const char *text, const struct place *place, const char *what)
{
	const struct node *node = value_from_text(loader, option->type, text, place);

	if (value_set(loader, option, node, false))
		set_origin(loader, option, place, what);
}

static void load_defaults(struct loader *loader)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *o = &config_options[i];
		struct place at = {o->name, 0, 0};
		size_t before = loader->problems_n;

		if (o->default_text == NULL || o->default_text == config_required)
			continue;
		set_from_text(loader, o, o->default_text, &at, "default");
		assert(loader->problems_n == before && "config.def: a default is not allowed");
	}
}

/* --- hints --- */

static const char *nearest_option(const char *section, const char *name)
{
	const char *names[CONFIG_OPTIONS];
	size_t n = 0;

	for (size_t i = 0; i < CONFIG_OPTIONS; i++)
		if (strcmp(config_options[i].section, section) == 0)
			names[n++] = config_options[i].name;
	return nearest_word(name, names, n);
}

static const char *nearest_section(const char *name)
{
	const char *names[CONFIG_SECTIONS];

	for (size_t i = 0; i < CONFIG_SECTIONS; i++)
		names[i] = config_sections[i].name;
	return nearest_word(name, names, CONFIG_SECTIONS);
}

static bool is_section(const char *name)
{
	for (size_t i = 0; i < CONFIG_SECTIONS; i++)
		if (strcmp(config_sections[i].name, name) == 0)
			return true;
	return false;
}

static void unknown_option(struct loader *loader, const struct place *place, const char *section,
			   const char *name)
{
	const char *near = nearest_option(section, name);

	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		if (strcmp(config_options[i].name, name) == 0) {
			loader_problem(loader, place, "%s.%s: unknown option; there is %s.%s",
				       section, name, config_options[i].section, name);
			return;
		}
	}
	if (near != NULL)
		loader_problem(loader, place, "%s.%.64s: unknown option; did you mean %s.%s?",
			       section, name, section, near);
	else
		loader_problem(loader, place, "%s.%.64s: unknown option", section, name);
}

static void unknown_section(struct loader *loader, const struct place *place, const char *name)
{
	const char *near = nearest_section(name);

	loader_problem(loader, place, "%.64s: unknown section%s%s%s", name,
		       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* --- the file --- */

static void load_section(struct loader *loader, const struct node *section)
{
	if (!is_section(section->name)) {
		unknown_section(loader, &section->name_place, section->name);
		return;
	}
	if (section->kind == NODE_SCALAR && section->is_null)
		return; /* `gateway:` with everything below it commented out */
	if (section->kind != NODE_MAP) {
		loader_problem(loader, &section->place, "%s: options are expected", section->name);
		return;
	}
	for (const struct node *c = section->first; c != NULL; c = c->next) {
		const struct config_option *o = config_find(section->name, c->name);

		if (o == NULL)
			unknown_option(loader, &c->name_place, section->name, c->name);
		else if (value_set(loader, o, c, true))
			set_origin(loader, o, &c->name_place, "");
	}
}

static void load_yaml(struct loader *loader, const char *name, struct view text)
{
	const struct node *root = yaml_tree(loader, name, text);

	for (const struct node *c = root ? root->first : NULL; c != NULL; c = c->next)
		load_section(loader, c);
}

/* --- environment and command line --- */

/* Kubernetes sets <SERVICE>_SERVICE_HOST, <SERVICE>_PORT and the like for each of its services,
 * also for one that is called counterfoil-gateway. */
static bool is_of_kubernetes(const char *name)
{
	return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
	       strstr(name, "_PORT") != NULL;
}

/* "GATEWAY_BODY_MAX" into section and name; false when it begins with no section. */
static bool split_variable(char *name, const char **ret_section, const char **ret_name)
{
	for (char *p = name; *p != 0; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	for (size_t i = 0; i < CONFIG_SECTIONS; i++) {
		size_t n = strlen(config_sections[i].name);

		if (strncmp(name, config_sections[i].name, n) == 0 && name[n] == '_') {
			*ret_section = config_sections[i].name;
			*ret_name = name + n + 1;
			return true;
		}
	}
	return false;
}

static void load_variable(struct loader *loader, const char *variable)
{
	const char *equals = strchr(variable, '='), *section, *name;
	const struct config_option *o;
	struct place at = {0};
	char *text;

	if (strncmp(variable, ENV_PREFIX, strlen(ENV_PREFIX)) != 0 || equals == NULL)
		return;
	text = arena_memdup(loader->arena, variable, (size_t)(equals - variable) + 1);
	text[equals - variable] = 0;
	at.name = arena_memdup(loader->arena, text, strlen(text) + 1);
	if (!split_variable(text + strlen(ENV_PREFIX), &section, &name))
		return; /* COUNTERFOIL_PASSPHRASE, or nothing of ours */
	o = config_find(section, name);
	if (o != NULL)
		set_from_text(loader, o, equals + 1, &at, "environment");
	else if (!is_of_kubernetes(at.name))
		unknown_option(loader, &at, section, name);
}

/* "--section.option" or "--section.option=VALUE"; returns how many arguments were used. */
static size_t load_argument(struct loader *loader, const char *const *args, size_t n)
{
	size_t name_n = strcspn(args[0], "="), used = 1;
	char *text = arena_memdup(loader->arena, args[0], strlen(args[0]) + 1), *dot;
	const struct config_option *o;
	struct place at = {0};
	const char *value;

	text[name_n] = 0;
	at.name = text;
	value = args[0][name_n] == '=' ? args[0] + name_n + 1 : NULL;
	dot = strchr(text, '.');
	if (strncmp(text, "--", 2) != 0 || dot == NULL) {
		loader_problem(loader, &at, "not an option; options are --section.option VALUE");
		return 1;
	}
	if (value == NULL && n > 1 && strncmp(args[1], "--", 2) != 0) {
		value = args[1];
		used = 2;
	}
	at.name = arena_memdup(loader->arena, text, strlen(text) + 1);
	*dot = 0;
	o = config_find(text + 2, dot + 1);
	if (o != NULL && value != NULL)
		set_from_text(loader, o, value, &at, "command line");
	else if (o != NULL)
		loader_problem(loader, &at, "needs a value");
	else if (is_section(text + 2))
		unknown_option(loader, &at, text + 2, dot + 1);
	else
		unknown_section(loader, &at, text + 2);
	return used;
}

static void check_required(struct loader *loader, enum config_role role, const char *name)
{
	struct place at = {name, 0, 0};

	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *o = &config_options[i];

		if (role != CONFIG_ANY && o->default_text == config_required &&
		    config_role_reads(role, o) && loader->config->inside->origin[i] == NULL)
			loader_problem(loader, &at, "%s.%s: must be given: %s", o->section, o->name,
				       o->text);
	}
}

/* --- all together --- */

static struct config *config_create(void)
{
	struct arena *arena = arena_create(ARENA_MAX);
	struct config *config = xcalloc(1, sizeof(*config));

	config->inside = xcalloc(1, sizeof(*config->inside));
	config->inside->arena = arena;
	return config;
}

void config_destroy(struct config *config)
{
	if (config == NULL)
		return;
	arena_destroy(config->inside->arena);
	free(config->inside);
	free(config);
}

static bool load(const struct config_source *source, const char *name, const char *folder,
		 struct view text, struct config **ret, struct buf *ret_problems, struct err *err)
{
	CLEANUP(config_destroy) struct config *config = config_create();
	struct loader loader = {
		.config = config,
		.arena = config->inside->arena,
		.folder = folder ? arena_memdup(config->inside->arena, folder, strlen(folder) + 1)
				 : NULL,
		.problems = ret_problems,
	};

	load_defaults(&loader);
	load_yaml(&loader, name, text);
	for (size_t i = 0; source->env != NULL && source->env[i] != NULL; i++)
		load_variable(&loader, source->env[i]);
	for (size_t i = 0; i < source->args_n;)
		i += load_argument(&loader, source->args + i, source->args_n - i);
	check_required(&loader, source->role, name);
	if (loader.problems_n == 0)
		check_together(&loader, source->role, name);
	if (loader.problems_n > 0)
		return err_set(err, ERR_CONFIG, "%s: %zu problem%s", name, loader.problems_n,
			       loader.problems_n == 1 ? "" : "s");
	*ret = STEAL(config);
	return true;
}

bool config_load_text(const struct config_source *source, const char *name, struct view text,
		      struct config **ret, struct buf *ret_problems, struct err *err)
{
	return load(source, name, NULL, text, ret, ret_problems, err);
}

static bool read_file(const char *path, struct buf *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	do {
		buf_reserve(ret, 65536);
		n = read(fd, ret->p + ret->n, 65536);
		ret->n += n > 0 ? (size_t)n : 0;
	} while (n > 0 && ret->n <= CONFIG_FILE_MAX);
	if (n < 0)
		err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	else if (ret->n > CONFIG_FILE_MAX)
		err_set(err, ERR_CONFIG, "%s: larger than 1 MiB", path);
	close(fd);
	return n == 0;
}

bool config_load(const struct config_source *source, struct config **ret, struct buf *ret_problems,
		 struct err *err)
{
	CLEANUP(buf_finish) struct buf text = {0};
	CLEANUP(xfree) char *copy = NULL;

	if (source->path == NULL)
		return load(source, "configuration", NULL, VIEW("", 0), ret, ret_problems, err);
	if (!read_file(source->path, &text, err)) {
		buf_putf(ret_problems, "%s\n", err->msg);
		return false;
	}
	copy = xstrdup(source->path);
	return load(source, source->path, dirname(copy), buf_view(&text), ret, ret_problems, err);
}
