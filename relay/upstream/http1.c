/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/http1.h"

#include <strings.h>

#define CHUNK_LINE_MAX 256 /* bytes of a chunk's size with its extensions */

/* The line at the start of `in`, without its CRLF; false: it has not ended, or *ret_bad. */
static bool line_take(struct view *in, struct view *ret, bool *ret_bad)
{
	const uint8_t *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - in->p);
	if (n == 0 || in->p[n - 1] != '\r') {
		*ret_bad = true;
		return false;
	}
	*ret = VIEW(in->p, n - 1);
	*in = VIEW(end + 1, in->n - n - 1);
	return true;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x NNN reason" */
static bool status_line(struct view line, struct http1_head *ret)
{
	const uint8_t *p = line.p;

	if (line.n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') ||
	    p[8] != ' ' || !is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]) ||
	    (line.n > 12 && p[12] != ' '))
		return false;
	ret->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	ret->keep = p[7] == '1';
	return ret->status >= 100 && ret->status <= 599;
}

static struct view trim(struct view v)
{
	while (v.n && (v.p[0] == ' ' || v.p[0] == '\t'))
		v = VIEW(v.p + 1, v.n - 1);
	while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	return v;
}

static bool is_word(struct view v, const char *word)
{
	return v.n == strlen(word) && strncasecmp((const char *)v.p, word, v.n) == 0;
}

/* Is `word` one of a comma-separated list? */
static bool has_word(struct view list, const char *word)
{
	while (list.n) {
		const uint8_t *comma = memchr(list.p, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.p) : list.n;

		if (is_word(trim(VIEW(list.p, n)), word))
			return true;
		n = MIN(n + 1, list.n);
		list = VIEW(list.p + n, list.n - n);
	}
	return false;
}

static bool field_take(struct view name, struct view value, struct http1_head *ret)
{
	uint64_t length;

	if (is_word(name, "content-length")) {
		if (!u64_parse((const char *)value.p, value.n, &length) ||
		    (ret->has_length && length != ret->length))
			return false;
		ret->has_length = true;
		ret->length = length;
	} else if (is_word(name, "transfer-encoding")) {
		if (ret->chunked || !is_word(value, "chunked"))
			return false; /* no other coding was asked for */
		ret->chunked = true;
	} else if (is_word(name, "connection")) {
		if (has_word(value, "close"))
			ret->keep = false;
		else if (has_word(value, "keep-alive"))
			ret->keep = true;
	} else if (is_word(name, "content-type")) {
		ret->content_type = value;
	} else if (is_word(name, "retry-after")) {
		ret->retry_after = value;
	}
	return true;
}

static bool field_line(struct view line, struct http1_head *ret)
{
	const uint8_t *colon = memchr(line.p, ':', line.n);
	struct view name;

	if (!colon || colon == line.p)
		return false;
	name = VIEW(line.p, (size_t)(colon - line.p));
	if (memchr(name.p, ' ', name.n) || memchr(name.p, '\t', name.n))
		return false; /* also a folded line */
	return field_take(name, trim(VIEW(colon + 1, line.n - name.n - 1)), ret);
}

enum http1_result http1_head(struct view in, struct http1_head *ret, size_t *ret_used)
{
	struct http1_head head = {0};
	struct view rest = in, line;
	bool bad = false;

	if (!line_take(&rest, &line, &bad))
		return bad ? HTTP1_BROKEN : HTTP1_MORE;
	if (!status_line(line, &head))
		return HTTP1_BROKEN;
	while (line_take(&rest, &line, &bad)) {
		if (line.n == 0) {
			if (head.chunked && head.has_length)
				return HTTP1_BROKEN; /* which of them it means nobody knows */
			*ret = head;
			*ret_used = in.n - rest.n;
			return HTTP1_DONE;
		}
		if (!field_line(line, &head))
			return HTTP1_BROKEN;
	}
	return bad ? HTTP1_BROKEN : HTTP1_MORE;
}

/* --- chunks --- */

static bool size_parse(struct view line, uint64_t *ret)
{
	uint64_t size = 0;
	size_t i = 0;

	for (; i < line.n && i < 16; i++) {
		uint8_t c = line.p[i] | 0x20;

		if (is_digit(line.p[i]))
			size = size << 4 | (uint64_t)(line.p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			size = size << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	if (i == 0 || (i < line.n && line.p[i] != ';' && line.p[i] != ' ' && line.p[i] != '\t'))
		return false;
	*ret = size;
	return true;
}

/* One line of framing: a size, or a field after the last chunk. */
static enum http1_result chunk_line(struct http1_chunks *c, struct view in, size_t *ret_used)
{
	struct view rest = in, line;
	bool bad = false;

	if (!line_take(&rest, &line, &bad))
		return bad || in.n > CHUNK_LINE_MAX ? HTTP1_BROKEN : HTTP1_MORE;
	*ret_used = in.n - rest.n;
	if (c->state == HTTP1_CHUNK_SIZE) {
		if (!size_parse(line, &c->left))
			return HTTP1_BROKEN;
		c->state = c->left ? HTTP1_CHUNK_DATA : HTTP1_CHUNK_TRAILER;
	} else if (c->state == HTTP1_CHUNK_CRLF) {
		if (line.n != 0)
			return HTTP1_BROKEN;
		c->state = HTTP1_CHUNK_SIZE;
	} else if (line.n == 0) {
		c->state = HTTP1_CHUNK_END;
		return HTTP1_DONE;
	} else {
		c->trailer += line.n;
		if (c->trailer > HTTP1_HEAD_MAX)
			return HTTP1_BROKEN;
	}
	return HTTP1_MORE;
}

enum http1_result http1_chunk(struct http1_chunks *c, struct view in, size_t *ret_used,
			      struct view *ret_data)
{
	*ret_used = 0;
	*ret_data = VIEW(in.p, 0);
	if (c->state == HTTP1_CHUNK_END)
		return HTTP1_DONE;
	if (c->state != HTTP1_CHUNK_DATA)
		return chunk_line(c, in, ret_used);
	*ret_used = (size_t)MIN(c->left, (uint64_t)in.n);
	*ret_data = VIEW(in.p, *ret_used);
	c->left -= *ret_used;
	if (c->left == 0)
		c->state = HTTP1_CHUNK_CRLF;
	return HTTP1_MORE;
}
