/* SPDX-License-Identifier: Apache-2.0
 * A family of services behind one interface: which methods there are, what they cost, which are
 * not relayed and why, and what an error of theirs means.  Pure and re-entrant: no IO, no state.
 * A chain of a known family is a service in the registry, not code. */
#ifndef CHAINS_CHAIN_H
#define CHAINS_CHAIN_H

#include "chains/answer.h"
#include "chains/call.h"
#include "chains/error.h"
#include "chains/logs.h"
#include "chains/table.h"
#include "chains/traits.h"
#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

struct chain; /* a family; static, never freed */

/* What asking twice would do. */
enum chain_effect {
	CHAIN_READ,  /* nothing: may be retried anywhere */
	CHAIN_WRITE, /* may be sent once only: never retried after it may have left */
};

/* Why a method is not relayed; the reason is in the client's message. */
enum chain_refusal {
	CHAIN_RELAYED,	 /* it is relayed */
	CHAIN_STATEFUL,	 /* lives in one node's memory: filters, subscriptions */
	CHAIN_ACCOUNT,	 /* uses keys or accounts that a node would hold */
	CHAIN_OPERATOR,	 /* steers or inspects the node itself: admin, miner, debug_setHead */
	CHAIN_DEVELOPER, /* changes a development chain: anvil, hardhat, evm */
	CHAIN_INTERNAL,	 /* between a node and its consensus client: engine */
	CHAIN_NAMELESS,	 /* no name that a method could have ([M2]) */
};

struct chain_method {
	const char *name; /* "*" for a method that the table does not name */
	uint32_t id;	  /* [M1]; 0: entry 0 */
	uint32_t cu;
	uint32_t part_cu;
	enum chain_effect effect;
	enum chain_refusal refusal;
};

#define CHAIN_TARGET_MAX 32 /* bytes of the longest address of any family */

/* What a call is about: an address.  Bytes beyond n are zero. */
struct chain_target {
	uint8_t n; /* 0: none */
	uint8_t b[CHAIN_TARGET_MAX];
};

/* "evm"; NULL when there is no such family. */
const struct chain *chain_find(const char *family);
/* The family whose table has this hash, which is the service's in the registry ([M2]); NULL when
 * this program has no such table. */
const struct chain *chain_of_table(const struct hash *table);
const char *chain_family(const struct chain *chain);

/* The family's method table as this program has it: canonical text, its hash, its entries. */
const struct method_table *chain_table(const struct chain *chain);

/* The method of this (decoded) name.  One that neither the table nor a refusal names gives entry 0
 * ([M1]): a backend then says itself whether it has it.
 * Errors: ERR_METHOD, with the reason, for what is not relayed. */
MUST_USE bool chain_method_find(const struct chain *chain, struct view name,
				const struct chain_method **ret, struct err *err);

/* The address that a call is about: the one it calls, or whose state or logs it reads, or that a
 * transaction goes to; the first where there are several.
 *
 * In:     method  of this chain
 *         params  the call's params as written: JSON that the scanner has found valid
 * False:  there is none, or it cannot be told; *ret is not set. */
MUST_USE bool chain_call_target(const struct chain *chain, const struct chain_method *method,
				struct view params, struct chain_target *ret);

/* A call with the id 1 whose answer is the newest block of a tag (LATEST, SAFE or FINALIZED), and
 * its parameters; n = 0: the family has no such blocks. */
struct view chain_head_call(const struct chain *chain, enum chain_tag tag);
struct view chain_head_params(const struct chain *chain, enum chain_tag tag);

/* A cheap call that every backend of the family answers, with the id 1. */
struct view chain_probe_call(const struct chain *chain);
/* Which network the answer to it tells: `result` is that member's value as written. */
MUST_USE bool chain_probe_id(const struct chain *chain, struct view result, uint64_t *ret);

#endif
