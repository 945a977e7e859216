/* SPDX-License-Identifier: Apache-2.0
 * A backend's bytes as the plain transport reads them: nothing is read beyond them, and a head or a
 * chunk never claims more than there is. */
#include <assert.h>

#include "relay/upstream/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void fuzz_chunks(struct view in)
{
	struct http1_chunks c = {0};
	enum http1_result got;
	struct view data;
	size_t used;

	do {
		got = http1_chunk(&c, in, &used, &data);
		if (got == HTTP1_BROKEN)
			return;
		assert(used <= in.n && data.n <= used);
		assert(data.n == 0 || (data.p >= in.p && data.p + data.n <= in.p + in.n));
		in = VIEW(in.p + used, in.n - used);
	} while (got == HTTP1_MORE && used > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct view in = VIEW(bytes, n);
	struct http1_head head;
	size_t used = 0;

	if (http1_head(in, &head, &used) == HTTP1_DONE) {
		assert(used >= 4 && used <= n);
		assert(head.status >= 100 && head.status <= 599);
		assert(!(head.chunked && head.has_length));
		assert(head.content_type.n == 0 ||
		       (head.content_type.p >= in.p &&
			head.content_type.p + head.content_type.n <= in.p + used));
		fuzz_chunks(VIEW(bytes + used, n - used));
	} else {
		fuzz_chunks(in);
	}
	return 0;
}
