/* SPDX-License-Identifier: Apache-2.0
 * The envelope scanner for tests in other languages.  Reads bodies from standard input, each as u32
 * length and its bytes; prints a line for each: the error's name, or "ok" and a letter for each
 * call: C a call, N a notification, E an entry that is none. */
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/rpc/envelope.h"

#define BODY_MAX (1u << 20)

static void print_calls(const struct rpc_request *r)
{
	printf("ok ");
	for (size_t i = 0; i < r->count; i++)
		putchar(r->calls[i].error != ERR_NONE	     ? 'E'
			: r->calls[i].id_kind == RPC_ID_NONE ? 'N'
							     : 'C');
	putchar('\n');
}

int main(void)
{
	struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 100};
	uint8_t head[4];

	while (fread(head, sizeof(head), 1, stdin) == 1) {
		uint32_t n = get_be32(head);
		CLEANUP(xfree) uint8_t *body = xmalloc(n);
		struct rpc_request request;
		struct err err;

		if (n > BODY_MAX || (n > 0 && fread(body, n, 1, stdin) != 1))
			return 1;
		if (rpc_request_scan(VIEW(body, n), &limits, &request, &err)) {
			print_calls(&request);
			rpc_request_finish(&request);
		} else {
			puts(err_info(err.code)->name);
		}
	}
	return 0;
}
