/* SPDX-License-Identifier: Apache-2.0
 * What is taken for a plain request is one by a second reading, line by line from the end of the
 * head, and is none any more with one byte less or more. */
#include <assert.h>
#include <strings.h>

#include "relay/base/mem.h"
#include "relay/rpc/plain_post.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Each line of the head has a colon and no word that changes how a request or its answer is sent.
 */
static void check_head(char *head, size_t body)
{
	static const char *const forbidden[] = {
		"Connection:", "Transfer-Encoding:", "Expect:", "Cache-Control:", "Upgrade:",
		"TE:",	       "Counterfoil-Debug:"};
	unsigned lengths = 0;
	char *rest = head, *line;

	while ((line = strsep(&rest, "\n")) && rest) {
		size_t end = strlen(line);

		assert(end > 0 && line[end - 1] == '\r');
		line[end - 1] = '\0';
		assert(strpbrk(line, "\r\v\f\x7f") == NULL && line[0] != ' ' && line[0] != '\t');
		assert(strchr(line, ':') > line);
		for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
			assert(strncasecmp(line, forbidden[i], strlen(forbidden[i])) != 0);
		if (strncasecmp(line, "Content-Length:", 15) != 0)
			continue;
		lengths++;
		assert(strtoul(line + 15, NULL, 10) == body);
	}
	assert(lengths == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct view in = VIEW(bytes, n);
	struct plain_post post = {0}, other;
	const uint8_t *first;
	char *head;
	size_t head_n;

	if (!plain_post_read(in, &post)) {
		assert(post.path.p == NULL && post.body.p == NULL);
		return 0;
	}
	assert(n <= PLAIN_POST_MAX && memcmp(bytes, "POST /", 6) == 0);
	assert(post.path.p == bytes + 5 && post.path.n <= PLAIN_PATH_MAX);
	assert(post.body.n > 0 && post.body.p + post.body.n == bytes + n);
	assert(memcmp(post.body.p - 4, "\r\n\r\n", 4) == 0);
	assert(!plain_post_read(VIEW(bytes, n - 1), &other));
	first = (const uint8_t *)memchr(bytes, '\n', n) + 1;
	assert(memcmp(first - 11, " HTTP/1.1\r\n", 11) == 0);
	head_n = (size_t)(post.body.p - 2 - first);
	head = xmalloc(head_n + 1);
	memcpy(head, first, head_n);
	head[head_n] = '\0';
	assert(strlen(head) == head_n);
	check_head(head, post.body.n);
	free(head);
	return 0;
}
