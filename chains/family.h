/* SPDX-License-Identifier: Apache-2.0
 * What a family of services brings: its rows of methods and its reading of errors.  Private to
 * chains/; a family is one static struct and is listed in chain.c. */
#ifndef CHAINS_FAMILY_H
#define CHAINS_FAMILY_H

#include "chains/verify.h"

struct chain_namespace {
	const char *prefix;
	enum chain_refusal refusal;
};

/* A sign of a failed execution: a code, or a phrase in lower case of the message or the data. */
struct chain_execution {
	int64_t code;
	const char *phrase; /* NULL: the code */
	bool in_data;
};

/* A sign of a class: a phrase in lower case, with `*` for any text, or a code. */
struct chain_error_row {
	int64_t code;
	const char *phrase; /* NULL: the code */
	enum chain_error error;
};

struct chain_named_traits {
	const char *name; /* of a method of the table */
	struct chain_traits traits;
};

struct family {
	const char *name;
	const struct chain_method
		*methods; /* relayed ones by id, entry 0 first; then the refused */
	size_t method_count;
	const struct chain_namespace *namespaces;
	size_t namespace_count;
	const struct chain_execution *executions;
	size_t execution_count;
	const struct chain_error_row *errors;
	size_t error_count;
	const char *const *limits; /* phrases with `#` for numbers: evm_errors.def, BLOCKS */
	size_t limit_count;
	const struct chain_named_traits *traits;
	size_t trait_count;
	void (*call_read)(const struct chain_traits *traits, struct view params,
			  struct chain_call *ret);
	bool (*call_pin)(const struct chain_call *call, struct view text,
			 const struct chain_pin pins[CHAIN_REFS_MAX], struct buf *ret);
	void (*answer_read)(const struct chain_call *call, struct view result,
			    struct chain_answer *ret);
	bool (*sent_hash)(struct view raw, struct hash *ret);
	const char *logs_method; /* that asks for logs */
	enum chain_filter_call (*filter_call)(struct view name);
	void (*block_call)(const struct chain_ref *ref, struct buf *ret);
	bool (*block_read)(struct view result, struct chain_block *ret);
	void (*put_sent)(const struct hash *sent, struct buf *out);
	void (*put_lookup)(const struct hash *sent, struct buf *out);
	/* Calls with the id 1 for the newest block of a tag, by enum chain_tag; NULL: there are
	 * none. */
	struct {
		const char *call;
		const char *params;
	} heads[CHAIN_TAG_EARLIEST + 1];
	const char *probe; /* a call with the id 1 */
	bool (*probe_id)(struct view result, uint64_t *ret);
	bool (*call_target)(const struct chain_method *method, struct view params,
			    struct chain_target *ret);
	/* chains/verify.h */
	void *(*verifier_create)(void);
	void (*verifier_destroy)(void *state);
	enum chain_look (*verify_look)(const void *state, const struct chain_method *method);
	void (*verify)(void *state, const struct chain_method *method, struct view params,
		       struct view result, struct chain_finding *ret);
};

extern const struct family family_evm;

const struct family *chain_family_of(const struct chain *chain);

#endif
