/* SPDX-License-Identifier: Apache-2.0
 * Tokens of /<service>/<token>: looked up by their SHA-256, so that how long a comparison takes
 * tells nothing of a token that is near. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "relay/gateway/internal.h"

#define TOKEN_MIN 1
#define TOKEN_MAX 128
#define LINE_MAX_BYTES 512
#define TOKENS_MAX 1000000

struct token {
	struct hash digest;
	struct key_id application;
	UT_hash_handle hh;
};

struct tokens {
	struct token *all;
};

/* One line `TOKEN APPLICATION`; empty ones and those that begin with # are passed over. */
static const char *add_line(struct tokens *tokens, char *line)
{
	char *token = strtok_r(line, " \t\r\n", &line);
	char *application = token ? strtok_r(NULL, " \t\r\n", &line) : NULL;
	struct token *t, *before;
	struct key_id key;

	if (!token || token[0] == '#')
		return NULL;
	if (!application || strtok_r(NULL, " \t\r\n", &line))
		return "not `TOKEN APPLICATION`";
	if (strlen(token) < TOKEN_MIN || strlen(token) > TOKEN_MAX)
		return "a token has 1 to 128 characters";
	if (strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~") !=
	    strlen(token))
		return "a token has letters, digits and -_.~ only";
	if (!hex_decode(application, strlen(application), key.b, sizeof(key.b)))
		return "the application is not a key of 64 hex digits";
	t = xcalloc(1, sizeof(*t));
	t->application = key;
	sha256(token, strlen(token), &t->digest);
	HASH_FIND(hh, tokens->all, &t->digest, sizeof(t->digest), before);
	if (before) {
		free(t);
		return "the token stands twice";
	}
	HASH_ADD(hh, tokens->all, digest, sizeof(t->digest), t);
	return HASH_COUNT(tokens->all) > TOKENS_MAX ? "too many tokens" : NULL;
}

static bool read_lines(FILE *f, const char *path, struct tokens *tokens, struct err *err)
{
	char line[LINE_MAX_BYTES];

	for (unsigned number = 1; fgets(line, sizeof(line), f); number++) {
		const char *why = strchr(line, '\n') || feof(f) ? add_line(tokens, line)
								: "the line is too long";

		if (why)
			return err_set(err, ERR_CONFIG, "%s:%u: %s", path, number, why);
	}
	return true;
}

bool tokens_load(const char *path, struct tokens **ret, struct err *err)
{
	struct tokens *tokens = xcalloc(1, sizeof(*tokens));
	FILE *f = NULL;
	bool ok = true;

	if (path) {
		f = fopen(path, "re");
		ok = f ? read_lines(f, path, tokens, err)
		       : err_set(err, ERR_CONFIG, "%s: %s", path, strerror(errno));
	}
	if (f)
		fclose(f);
	if (!ok) {
		tokens_destroy(tokens);
		return false;
	}
	*ret = tokens;
	return true;
}

void tokens_destroy(struct tokens *tokens)
{
	struct token *t, *tmp;

	if (!tokens)
		return;
	HASH_ITER (hh, tokens->all, t, tmp) {
		HASH_DEL(tokens->all, t);
		free(t);
	}
	free(tokens);
}

const struct key_id *tokens_find(const struct tokens *tokens, struct view token)
{
	struct hash digest;
	struct token *t;

	if (token.n < TOKEN_MIN || token.n > TOKEN_MAX)
		return NULL;
	sha256(token.p, token.n, &digest);
	HASH_FIND(hh, tokens->all, &digest, sizeof(digest), t);
	return t ? &t->application : NULL;
}
