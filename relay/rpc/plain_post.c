/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/rpc/plain_post.h"

#include <string.h>
#include <strings.h>

#define NAME(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* What may stand in the head besides Content-Length: it changes nothing about the answer. */
static const struct {
	const char *name;
	size_t n;
} idle[] = {
	NAME("Host"),	NAME("Content-Type"),	 NAME("User-Agent"),	  NAME("Accept"),
	NAME("Origin"), NAME("Accept-Encoding"), NAME("Accept-Language"), NAME("Referer"),
};

static bool take_text(struct view *rest, const char *text)
{
	size_t n = strlen(text);

	if (rest->n < n || memcmp(rest->p, text, n) != 0)
		return false;
	*rest = VIEW(rest->p + n, rest->n - n);
	return true;
}

static bool is_of_path(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("/_.~-", c));
}

static bool take_path(struct view *rest, struct view *ret)
{
	size_t n = 0;

	while (n < rest->n && n <= PLAIN_PATH_MAX && is_of_path(rest->p[n]))
		n++;
	if (n == 0 || n > PLAIN_PATH_MAX || rest->p[0] != '/')
		return false;
	*ret = VIEW(rest->p, n);
	*rest = VIEW(rest->p + n, rest->n - n);
	return true;
}

/* A line without its CR and LF; text only. */
static bool take_line(struct view *rest, struct view *ret)
{
	size_t n = 0;

	while (n < rest->n && ((rest->p[n] >= 0x20 && rest->p[n] < 0x7f) || rest->p[n] == '\t'))
		n++;
	*ret = VIEW(rest->p, n);
	*rest = VIEW(rest->p + n, rest->n - n);
	return take_text(rest, "\r\n");
}

static bool is_name(struct view line, const char *name, size_t n)
{
	return line.n > n && line.p[n] == ':' && strncasecmp((const char *)line.p, name, n) == 0;
}

static bool is_idle(struct view line)
{
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		if (is_name(line, idle[i].name, idle[i].n))
			return true;
	return false;
}

/* Digits, after at most one space. */
static bool read_length(struct view value, size_t *ret)
{
	size_t length = 0;

	if (value.n > 0 && value.p[0] == ' ')
		value = VIEW(value.p + 1, value.n - 1);
	if (value.n == 0 || value.n > 4)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		length = 10 * length + value.p[i] - '0';
	}
	*ret = length;
	return true;
}

bool plain_post_read(struct view bytes, struct plain_post *ret)
{
	static const char length_name[] = "Content-Length";
	const size_t name_n = sizeof(length_name) - 1;
	struct view rest = bytes, line;
	struct plain_post post;
	bool has_length = false;
	size_t length = 0;

	if (bytes.n > PLAIN_POST_MAX || !take_text(&rest, "POST ") ||
	    !take_path(&rest, &post.path) || !take_text(&rest, " HTTP/1.1\r\n"))
		return false;
	while (take_line(&rest, &line)) {
		if (line.n == 0) {
			post.body = rest;
			if (!has_length || rest.n == 0 || length != rest.n)
				return false;
			*ret = post;
			return true;
		}
		if (is_name(line, length_name, name_n)) {
			if (has_length ||
			    !read_length(VIEW(line.p + name_n + 1, line.n - name_n - 1), &length))
				return false;
			has_length = true;
		} else if (!is_idle(line)) {
			return false;
		}
	}
	return false;
}
