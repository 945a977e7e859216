/* SPDX-License-Identifier: Apache-2.0
 * Addresses as links dial them: what is numeric is written again to an address that is the same,
 * and a name is as it stood in the text. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/link/address.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The port is what stands behind the last colon, in decimal. */
static void check_port(const char *text, const struct address *a)
{
	char port[8];

	snprintf(port, sizeof(port), ":%u", (unsigned)a->port);
	assert(strcmp(strrchr(text, ':'), port) == 0);
}

static void check_numeric(const struct address *a)
{
	char text[ADDRESS_TEXT_MAX];
	struct address again;
	struct err err;
	bool ok;

	address_text((const struct sockaddr *)&a->sa, a->len, text);
	ok = address_parse_numeric(text, &again, &err);
	assert(ok && again.len == a->len && again.port == a->port);
	assert(memcmp(&again.sa, &a->sa, a->len) == 0);
	assert(a->sa.ss_family != AF_UNIX || address_source((const struct sockaddr *)&a->sa) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(xfree) char *text = xstrndup((const char *)data, MIN(size, (size_t)400));
	struct address a = {.port = 7}, numeric = {.port = 7};
	struct err err = {0};
	bool is_numeric = address_parse_numeric(text, &numeric, &err);

	assert(is_numeric || (err.code == ERR_CONFIG && numeric.port == 7));
	if (!address_parse(text, &a, &err)) {
		assert(!is_numeric && err.code == ERR_CONFIG && a.port == 7);
		return 0;
	}
	assert(is_numeric == (a.sa.ss_family != AF_UNSPEC));
	if (a.sa.ss_family != AF_UNIX)
		check_port(text, &a);
	if (is_numeric && strlen(text) < ADDRESS_TEXT_MAX - 1) {
		check_numeric(&a);
	} else if (!is_numeric) {
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000001)}};
		size_t n = strlen(a.name);

		assert(n > 0 && strncmp(text, a.name, n) == 0 && text[n] == ':');
		address_resolved(&a, (const struct sockaddr *)&v4, sizeof(v4));
		assert(((struct sockaddr_in *)&a.sa)->sin_port == htons(a.port));
		check_numeric(&a);
	}
	return 0;
}
