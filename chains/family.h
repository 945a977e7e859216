/* SPDX-License-Identifier: Apache-2.0
 * What a family of services brings: its rows of methods and its reading of errors.  Private to
 * chains/; a family is one static struct and is listed in chain.c. */
#ifndef CHAINS_FAMILY_H
#define CHAINS_FAMILY_H

#include "chains/chain.h"

struct chain_namespace {
	const char *prefix;
	enum chain_refusal refusal;
};

struct family {
	const char *name;
	const struct chain_method
		*methods; /* relayed ones by id, entry 0 first; then the refused */
	size_t method_count;
	const struct chain_namespace *namespaces;
	size_t namespace_count;
	/* Phrases in lower case that only the message of a failed execution has, NULL at the end.
	 */
	const char *const *execution_phrases;
	const int64_t *execution_codes;
	size_t execution_code_count;
	const char *probe; /* a call with the id 1 */
	bool (*probe_id)(struct view result, uint64_t *ret);
};

extern const struct family family_evm;

#endif
