/* SPDX-License-Identifier: Apache-2.0 */
#define ERR_INSIDE /* the functions are defined here, not called */
#include "relay/base/err.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_info rows[ERR_COUNT] = {
#define E(name, wire, http, rpc, retry, text) [ERR_##name] = {#name, wire, http, rpc, retry, text},
#include "relay/base/err.def"
#undef E
};

/* The names of rows in lower case, made by lower_names() before main(). */
static char names[ERR_COUNT][32];
static struct err_info infos[ERR_COUNT];

__attribute__((constructor)) static void lower_names(void)
{
	for (size_t i = 1; i < ERR_COUNT; i++) {
		size_t n = strlen(rows[i].name);

		assert(n < sizeof(names[i]));
		for (size_t j = 0; j < n; j++)
			names[i][j] = (char)tolower((unsigned char)rows[i].name[j]);
		infos[i] = rows[i];
		infos[i].name = names[i];
	}
	infos[ERR_NONE] = infos[ERR_INTERNAL];
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list args;

	assert(code > ERR_NONE && code < ERR_COUNT);
	err->code = code;
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	return false;
}

bool err_prefix(struct err *err, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list args;
	int n;

	memcpy(old, err->msg, sizeof(old));
	va_start(args, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", old);
	return false;
}

const struct err_info *err_info(enum err_code code)
{
	return code > ERR_NONE && code < ERR_COUNT ? &infos[code] : &infos[ERR_INTERNAL];
}

enum err_code err_from_wire(uint16_t wire)
{
	for (size_t i = 1; i < ERR_COUNT; i++)
		if (wire != 0 && infos[i].wire == wire)
			return (enum err_code)i;
	return ERR_INTERNAL;
}
