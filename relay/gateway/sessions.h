/* SPDX-License-Identifier: Apache-2.0
 * Whom a worker may ask: the accounts that pay, their sessions, the members of those, and the
 * suppliers behind them.  Private to relay/gateway and relay/sim.
 */
#ifndef RELAY_GATEWAY_SESSIONS_H
#define RELAY_GATEWAY_SESSIONS_H

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/crypto/table.h"
#include "relay/gateway/logs.h"
#include "relay/ledger/ledger.h"
#include "relay/link/pool.h"
#include "session/registry/registry.h"

struct pace;
struct peer;
struct serving;
struct standing;
struct worker;

/* A supplier that some session here wants; by key, for as long as a session names it. */
struct supplier {
	struct key_id key;
	char hex[65];
	unsigned label; /* of metrics */
	unsigned refs;
	unsigned members; /* of sessions: links are kept up while there are any */
	char endpoint[POOL_ENDPOINT_MAX + 1];
	height_t endpoint_start; /* the session that said so */
	struct peer *peer;	 /* its newest link that is up; NULL */
	usec_t moved_us;	 /* when a link came or went, or was first wanted */
	usec_t rests_until_us;	 /* not asked before: it said that it cannot yet */
	UT_hash_handle hh;
};

enum member_state {
	MEMBER_IDLE,	/* no link, or the session has not been named on it */
	MEMBER_NAMED,	/* SESSION is on its way */
	MEMBER_READY,	/* SESSION_OK: relays may go */
	MEMBER_REFUSED, /* ERROR: named again at again_us */
};

/* A supplier in one session. */
struct member {
	struct session *session;
	struct supplier *supplier;
	struct standing *standing; /* ref; the supplier's at the session's service */
	struct ledger_tab *tab;
	cu_t served_max; /* what the allowance buys ([P4]) */
	enum member_state state;
	struct peer *peer; /* that has it in `members`; NULL when IDLE */
	uint32_t handle;
	usec_t again_us;
	uint64_t boast;	   /* the largest height that it told and others did not */
	uint64_t lag;	   /* blocks behind the served head */
	uint64_t has;	   /* the newest block that it has told to have; 0: none */
	bool dropped;	   /* misbehaved or refused for good: not asked again in this session */
	UT_hash_handle hh; /* peer->members, by handle */
};

struct session {
	unsigned refs; /* the account's, and one for each call and relay */
	struct session_info *info;
	const struct chain *chain;
	struct serving *serving; /* of its service */
	uint64_t n;		 /* of the next pick ([S9]) */
	usec_t lags_us;		 /* when the members' were last looked at; 0: never */
	uint64_t has_max;	 /* of the members then */
	usec_t reference_us;	 /* what latencies are measured against; quality.c's */
	usec_t reference_at_us;
	size_t count;
	struct member members[];
};

struct account_key {
	struct key_id application;
	struct service_name service;
};

/* An application and a service: who pays for a path. */
struct account {
	struct account_key key;
	unsigned label;
	struct pace *pace; /* of the service */
	struct session *current;
	struct session *next;
	height_t used_start;   /* session in which it was last used */
	uint64_t tried_serial; /* of the view from which `next` was tried to be derived */
	height_t failed_start;
	bool failed; /* failed_start cannot be served, for the reason in why */
	struct err why;
	struct logs_seen logs;
	UT_hash_handle hh;
};

/* The account of an application and a service, made when new; NULL with ERR_LIMIT when there are
 * too many. */
struct account *account_get(struct worker *w, const struct key_id *application,
			    const struct service_name *service, struct err *err);
/* The session that takes new relays now, rolled over if need be; borrowed. */
MUST_USE bool account_session(struct worker *w, struct account *account, struct session **ret,
			      struct err *err);
/* The chain of the account's service, for what is to be known of a call before it is asked: also
 * while the next session cannot be had yet.  NULL: there was none yet. */
const struct chain *account_chain(struct worker *w, struct account *account);
/* Height or view changed: sessions begin, what is over is dropped. */
void sessions_refresh(struct worker *w);
/* Derives next sessions ahead of their time, some at each call, until w->prepare is false. */
void sessions_prepare(struct worker *w);
void sessions_finish(struct worker *w);
struct session *session_ref(struct session *session);
void session_unref(struct worker *w, struct session *session);
/* Names on a new link every session that its supplier is a member of. */
void sessions_on_peer(struct peer *peer);
/* Says SESSION for a member if its supplier has a link that does not know it yet. */
void member_name(struct member *member);
/* Takes a member off its link. */
void member_forget(struct member *member);
bool member_is_ready(const struct member *member);
/* What the registry says of it. */
const struct session_member *member_info(const struct member *member);
/* The supplier broke the rules: it is asked no more in any session that there is now. */
void supplier_drop(struct worker *w, const struct supplier *supplier);
struct supplier *supplier_find(struct worker *w, const struct key_id *key);
/* The supplier of this key, made when it is new; each ref keeps it. */
struct supplier *supplier_ref(struct worker *w, const struct key_id *key);
void supplier_unref(struct worker *w, struct supplier *s);

#endif
