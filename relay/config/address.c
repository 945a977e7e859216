/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "relay/config/internal.h"

/* host:port or [v6]:port into *ret, whose host is in `memory`, a copy of text. */
static bool parse_tcp(char *memory, struct config_address *ret)
{
	char *colon = strrchr(memory, ':'), *host = memory;
	uint64_t port;
	size_t n;

	if (colon == NULL || !u64_parse(colon + 1, strlen(colon + 1), &port) || port > UINT16_MAX)
		return false;
	*colon = 0;
	n = strlen(host);
	if (host[0] == '[' && n > 2 && host[n - 1] == ']') {
		host[n - 1] = 0;
		host++;
		if (host[strspn(host, "0123456789abcdefABCDEF:.%")] != 0 || !strchr(host, ':'))
			return false;
	} else if (n == 0 || strpbrk(host, ":/[] ") != NULL) {
		return false;
	}
	ret->host = host;
	ret->port = (uint16_t)port;
	return true;
}

bool config_address_parse(const char *text, struct config_address *ret, char **ret_memory,
			  struct err *err)
{
	struct config_address a = {.text = text};
	char *memory = xstrdup(text);

	if (strncmp(memory, "unix:", 5) == 0 && memory[5] != 0) {
		a.unix_path = memory + 5;
	} else if (!parse_tcp(memory, &a)) {
		free(memory);
		return err_set(err, ERR_CONFIG,
			       "not an address: write host:port, [v6]:port or unix:PATH");
	}
	*ret = a;
	*ret_memory = memory;
	return true;
}
