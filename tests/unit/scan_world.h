/* SPDX-License-Identifier: Apache-2.0
 * Bodies scanned within small limits; for the tests of the scanner. */
#ifndef TESTS_UNIT_SCAN_WORLD_H
#define TESTS_UNIT_SCAN_WORLD_H

#include "relay/base/mem.h"
#include "relay/rpc/envelope.h"

static const struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 4};

static inline bool scan_n(const char *body, size_t n, struct rpc_request *request, struct err *err)
{
	return rpc_request_scan(VIEW(body, n), &limits, request, err);
}

static inline bool scan(const char *body, struct rpc_request *request, struct err *err)
{
	return scan_n(body, strlen(body), request, err);
}

/* The code of a body that must be refused. */
static inline enum err_code refused_n(const char *body, size_t n)
{
	struct rpc_request request = {0};
	struct err err = {0};

	if (scan_n(body, n, &request, &err)) {
		print_message("# accepted: %.*s\n", (int)n, body);
		rpc_request_finish(&request);
		return ERR_NONE;
	}
	assert_true(err.msg[0] != '\0');
	return err.code;
}

static inline enum err_code refused(const char *body)
{
	return refused_n(body, strlen(body));
}

static inline void assert_view(struct view v, const char *want)
{
	if (!view_eq(v, VIEW_STR(want)))
		print_message("# got %.*s, want %s\n", (int)v.n, (const char *)v.p, want);
	assert_true(view_eq(v, VIEW_STR(want)));
}

#endif
