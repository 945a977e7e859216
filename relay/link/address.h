/* SPDX-License-Identifier: Apache-2.0
 * Where a link goes to or is awaited: "host:port", "[v6]:port" or "unix:/path".
 * Parsing only: a host that is not numeric is a name, and names are looked up elsewhere. */
#ifndef RELAY_LINK_ADDRESS_H
#define RELAY_LINK_ADDRESS_H

#include <sys/socket.h>

#include "relay/base/bytes.h"
#include "relay/base/err.h"

#define ADDRESS_NAME_MAX 253 /* bytes of a host name */
#define ADDRESS_TEXT_MAX 128 /* of a numeric address or a unix path, with the NUL */

struct address {
	struct sockaddr_storage sa; /* ss_family 0: `name` must be looked up first */
	socklen_t len;
	uint16_t port; /* 0 for unix */
	char name[ADDRESS_NAME_MAX + 1];
};

/* Reads an endpoint.  Errors: ERR_CONFIG, quoting it. */
MUST_USE bool address_parse(const char *text, struct address *ret, struct err *err);
/* The same, but a name that is not numeric is refused. */
MUST_USE bool address_parse_numeric(const char *text, struct address *ret, struct err *err);
/* Completes an address that had a name with what it was resolved to (its port is kept). */
void address_resolved(struct address *address, const struct sockaddr *sa, socklen_t len);
/* "127.0.0.1:80", "[::1]:80", "unix:/path"; returns dst. */
const char *address_text(const struct sockaddr *sa, socklen_t len, char dst[ADDRESS_TEXT_MAX]);
/* What limits per source count by: the IPv4 address, the /64 of an IPv6 one, 0 for unix. */
uint64_t address_source(const struct sockaddr *sa);

#endif
