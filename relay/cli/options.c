/* SPDX-License-Identifier: Apache-2.0
 * Help, options and actions of verbs. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/nearest.h"
#include "relay/cli/cli.h"

#define OPTIONS_MAX 32

void cli_help(const struct verb *verb)
{
	printf("usage: counterfoil %s%s%s\n\n%s.\n\n%s", verb->name, *verb->usage ? " " : "",
	       verb->usage, verb->summary, verb->help);
}

int cli_usage(const struct verb *verb, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "counterfoil %s: ", verb->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nusage: counterfoil %s%s%s\n`counterfoil help %s' says more\n",
		verb->name, *verb->usage ? " " : "", verb->usage, verb->name);
	return CLI_USAGE;
}

int cli_fail(const struct err *err)
{
	fprintf(stderr, "counterfoil: %s\n", err->msg);
	return err->code == ERR_USAGE ? CLI_USAGE : CLI_FAILED;
}

static struct cli_option *find(struct cli_option *options, size_t count, const char *name, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
			return &options[i];
	return NULL;
}

static bool unknown(const struct verb *verb, const struct cli_option *options, size_t count,
		    const char *name, size_t n)
{
	const char *names[OPTIONS_MAX], *near;
	char text[NEAREST_WORD_MAX];

	assert(count <= OPTIONS_MAX);
	for (size_t i = 0; i < count; i++)
		names[i] = options[i].name;
	snprintf(text, sizeof(text), "%.*s", (int)MIN(n, sizeof(text)), name);
	near = nearest_word(text, names, count);
	cli_usage(verb, "unknown option --%s%s%s%s", text, near ? "; did you mean --" : "",
		  near ? near : "", near ? "?" : "");
	return false;
}

/* One option at argv[*i]; moves *i to the last argument used. */
static bool take(const struct verb *verb, int argc, char **argv, int *i, struct cli_option *options,
		 size_t count)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	struct cli_option *o = find(options, count, name, n);
	const char *value = name[n] == '=' ? name + n + 1 : NULL;

	if (o == NULL)
		return unknown(verb, options, count, name, n);
	if (o->is_flag && value != NULL)
		return cli_usage(verb, "--%s takes no value", o->name) == CLI_OK;
	if (!o->is_flag && value == NULL && *i + 1 < argc)
		value = argv[++*i];
	if (!o->is_flag && value == NULL)
		return cli_usage(verb, "--%s needs a value", o->name) == CLI_OK;
	if (o->value != NULL && !o->repeats)
		return cli_usage(verb, "--%s is given twice", o->name) == CLI_OK;
	o->value = value ? value : "";
	if (o->repeats && o->values != NULL)
		o->values[o->values_n++] = o->value;
	return true;
}

bool cli_options(const struct verb *verb, int argc, char **argv, struct cli_option *options,
		 size_t count, bool rest, int *ret_operands)
{
	bool ended = false;
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2;

		if (ended || strncmp(argv[i], "--", 2) != 0) {
			argv[kept++] = argv[i];
			continue;
		}
		if (*name == 0) {
			ended = true;
			continue;
		}
		if (rest && strchr(name, '.') != NULL &&
		    find(options, count, name, strcspn(name, "=")) == NULL) {
			bool more = strchr(name, '=') == NULL && i + 1 < argc;

			argv[kept++] = argv[i];
			if (more)
				argv[kept++] = argv[++i];
			continue;
		}
		if (!take(verb, argc, argv, &i, options, count))
			return false;
	}
	*ret_operands = kept - 1;
	return true;
}

int cli_dispatch(const struct verb *verb, const struct cli_action *actions, size_t count, int argc,
		 char **argv)
{
	const char *names[OPTIONS_MAX], *near;

	assert(count <= OPTIONS_MAX);
	if (argc < 2)
		return cli_usage(verb, "what shall be done?");
	for (size_t i = 0; i < count; i++) {
		names[i] = actions[i].name;
		if (strcmp(actions[i].name, argv[1]) == 0)
			return actions[i].run(verb, argc - 1, argv + 1);
	}
	near = nearest_word(argv[1], names, count);
	return cli_usage(verb, "unknown word `%s'%s%s%s", argv[1], near ? "; did you mean `" : "",
			 near ? near : "", near ? "'?" : "");
}
