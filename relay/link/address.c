/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

static bool parse_unix(const char *text, struct address *ret, struct err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const char *path = text + strlen("unix:");
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(un.sun_path))
		return err_set(err, ERR_CONFIG,
			       "\"%s\": a unix socket is unix:/path, at most %zu bytes", text,
			       sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, n + 1);
	*ret = (struct address){.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1)};
	memcpy(&ret->sa, &un, sizeof(un));
	return true;
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons(port);
	else if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

/* Fills sa when the host is numeric. */
static void parse_host(struct address *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->sa;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->sa;

	if (inet_pton(AF_INET, ret->name, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		ret->len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, ret->name, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		ret->len = sizeof(*v6);
	}
	set_port(&ret->sa, ret->port);
}

static bool is_name(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || *s == '-' || *s == '.' || *s == '_'))
			return false;
	return true;
}

bool address_parse(const char *text, struct address *ret, struct err *err)
{
	const char *colon = strrchr(text, ':');
	struct address address = {0};
	size_t host_len;
	uint64_t port;
	bool v6;

	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text, ret, err);
	if (!colon || !u64_parse(colon + 1, strlen(colon + 1), &port) || port > UINT16_MAX)
		return err_set(err, ERR_CONFIG, "\"%s\" is not host:port, [v6]:port or unix:/path",
			       text);
	host_len = (size_t)(colon - text);
	v6 = host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']';
	if (v6) {
		text++;
		host_len -= 2;
	}
	address.port = (uint16_t)port;
	if (host_len > 0 && host_len <= ADDRESS_NAME_MAX) {
		memcpy(address.name, text, host_len);
		parse_host(&address);
	}
	if (v6 ? address.sa.ss_family != AF_INET6
	       : address.sa.ss_family == AF_INET6 || !is_name(address.name))
		return err_set(err, ERR_CONFIG, "\"%s\": no host name or address before the port",
			       text);
	*ret = address;
	return true;
}

bool address_parse_numeric(const char *text, struct address *ret, struct err *err)
{
	struct address address;

	if (!address_parse(text, &address, err))
		return false;
	if (address.sa.ss_family == AF_UNSPEC)
		return err_set(err, ERR_CONFIG, "\"%s\": a numeric address is needed here", text);
	*ret = address;
	return true;
}

void address_resolved(struct address *address, const struct sockaddr *sa, socklen_t len)
{
	assert(len <= sizeof(address->sa));
	memcpy(&address->sa, sa, len);
	address->len = len;
	set_port(&address->sa, address->port);
}

const char *address_text(const struct sockaddr *sa, socklen_t len, char dst[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	if (sa->sa_family == AF_INET && len >= sizeof(v4)) {
		memcpy(&v4, sa, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
		snprintf(dst, ADDRESS_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(v4.sin_port));
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(v6)) {
		memcpy(&v6, sa, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
		snprintf(dst, ADDRESS_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(v6.sin6_port));
	} else if (sa->sa_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path)) {
		snprintf(dst, ADDRESS_TEXT_MAX, "unix:%.*s",
			 (int)(len - offsetof(struct sockaddr_un, sun_path)),
			 ((const struct sockaddr_un *)sa)->sun_path);
	} else {
		snprintf(dst, ADDRESS_TEXT_MAX, "unix");
	}
	return dst;
}

uint64_t address_source(const struct sockaddr *sa)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;
	uint64_t source = 0;
	uint32_t v4;

	if (sa->sa_family == AF_INET) {
		source = ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr);
	} else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)) {
		memcpy(&v4, &v6->s6_addr[12], sizeof(v4)); /* they all have one /64 */
		source = ntohl(v4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&source, v6, sizeof(source));
	}
	return source;
}
