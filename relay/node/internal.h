/* SPDX-License-Identifier: Apache-2.0
 * What the files of the node share: the worker, its links, their sessions, relays and lanes.
 *
 * A worker is one thread with its own loop, listener, links, backends and ledger port; nothing of
 * it but struct worker_state is touched by another thread.  What workers share hangs in struct node
 * and is immutable after start, atomic, or has its own locking (ledger, registry, lobby). */
#ifndef RELAY_NODE_INTERNAL_H
#define RELAY_NODE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "chains/chain.h"
#include "chains/verify.h"
#include "relay/crypto/sign.h"
#include "relay/crypto/table.h"
#include "relay/ledger/reader.h"
#include "relay/link/listener.h"
#include "relay/link/recovery.h"
#include "relay/node/claimer.h"
#include "relay/node/node.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"
#include "session/registry/registry.h"

#define NODE_PART_BYTES 65536			/* of a body in one leaf [R8] */
#define NODE_STREAM_AHEAD (2 * NODE_PART_BYTES) /* of a long answer, read before it can go */
#define NODE_TURN_PARTS_MAX 4			/* of streams in a turn: others do not wait long */
#define NODE_TURN_PARTS_BESIDE 1		/* ... that has small answers too */
#define NODE_PART_PACE_US 1000			/* between them while there are small answers */
#define NODE_SMALL_RECENT_US 5000		/* since the last small answer: there are some */
#define NODE_TURN_REFUSALS_MAX 64		/* waiting on a link; more are ERROR frames [F9] */
#define NODE_OUT_HIGH (8u << 20) /* waiting for a gateway to read: no further batch till then */
#define NODE_OUT_STREAMS (256u << 10) /* the same for parts: what is small stays ahead of them */
#define NODE_STALL_US 5000
#define NODE_PEER_FRAME_MIN (128 << 10) /* a gateway must take at least this */

struct worker;

struct node_service {
	struct service_name name;
	const struct chain *chain;
	struct upstream_pool *pool;
	struct chain_verifier
		*verifier; /* of its backends' answers; NULL: they are not looked at */
	unsigned label;	   /* in metrics */
};

struct node {
	const struct relay_key *key;
	struct key_id id;
	struct tls *tls;
	struct registry *registry;
	struct ledger *ledger;
	struct claimer *claimer; /* NULL: nothing is claimed here */
	struct node_params p;	 /* strings are not valid after node_create() */
	struct worker *workers[NODE_WORKERS_MAX];
	size_t workers_n;
	int wake_fd;	     /* eventfd: a stop is asked for, or a worker has ended */
	atomic_uint stops;   /* asked for; the second skips the draining */
	atomic_uint running; /* workers whose thread has not ended */
};

/* A head that was signed, for the cosignature that will come. */
struct node_head {
	uint64_t size;
	struct hash root;
};

/* A lane: live until the next one takes its place, then retired until it is cosigned to its end. */
struct node_lane {
	LIST_ENTRY(node_lane) entry; /* in link->retired */
	struct checkpoint_lane id;
	struct ledger_lane *ledger;
	uint32_t day;
	uint64_t serial; /* of the worker; sessions compare it */
	struct tree tree;
	bool busy;				 /* a batch is with the ledger */
	struct buf frame;			 /* its BATCH, sent when it has committed */
	struct node_head next;			 /* its head */
	usec_t begun_us[FRAME_BATCH_LEAVES_MAX]; /* when its relays came, for the metric */
	uint32_t begun_n;
	struct node_head *heads; /* committed, not cosigned, ascending */
	size_t heads_n;
	size_t heads_cap;
	uint64_t cosigned;
};

/* A session as one link uses it. */
struct node_session {
	UT_hash_handle by_handle;
	UT_hash_handle by_id;
	uint32_t handle;
	struct session_id id;
	height_t start;
	struct session_params params;
	const struct node_service *service;
	struct ledger_tab *tab;
	cu_t served_max; /* CU that the allowance buys */
	uint64_t lane_serial;
	cu_t lane_cu;  /* in the lane of that serial */
	size_t relays; /* in flight */
};

enum relay_state {
	RELAY_SPARE,   /* worker->spare */
	RELAY_ASKED,   /* link->asked: the backend has it, or it is a stream of which no part can go
			*/
	RELAY_READY,   /* link->ready: the next turn gives it its leaf */
	RELAY_FLOWING, /* link->flowing: a stream with a part to go, or its end to tell */
};

/* One relay, from its frame to its leaf.
 *
 *	SPARE -> ASKED -> READY -> SPARE	(refused at once: SPARE -> READY)
 *	         |  ^ \________________/ cancelled, or the link is gone
 *	         v  |
 *	       FLOWING -> SPARE			(refused before its part 0: FLOWING -> READY)
 */
struct relay {
	TAILQ_ENTRY(relay) entry;
	enum relay_state state;
	struct node_link *link;
	struct node_session *session;
	const struct chain_method *method; /* NULL: not known */
	struct upstream_call *call;
	uint32_t number;
	struct salt salt;
	bool pinned;		/* by the gateway [F14] */
	uint64_t block;		/* of which its answer is [R11]; LEAF_BLOCK_UNKNOWN */
	struct hash block_hash; /* zeros: unknown */
	bool notification;
	enum err_code refusal; /* ERR_NONE: it was answered */
	bool recomputed;       /* its answer, from hashes in it [R13] */
	uint8_t kind;
	uint32_t cu;   /* that the leaf will have; of part 0 */
	cu_t reserved; /* in the session's tab */
	usec_t begun_us;
	usec_t deadline_us;
	uint32_t latency_us;
	struct relay_flow *flow;  /* flow.c: of a long answer; NULL: it is given whole */
	UT_hash_handle by_number; /* link->streams, while it has a flow */
	uint32_t part;		  /* next part of a long answer */
	struct buf request;	  /* encoding */
	struct view body;	  /* the call within it */
	struct view params;	  /* and its parameters; n = 0: none */
	size_t bytes;		  /* counted in worker->bytes */
	struct buf response; /* encoding: RESPONSE_JSON_HEAD bytes, and the body or what is here of
				it */
};

TAILQ_HEAD(relays, relay);

struct node_link {
	LIST_ENTRY(node_link) entry;  /* in worker->links */
	TAILQ_ENTRY(node_link) dirty; /* in worker->dirty */
	struct worker *worker;
	struct link *link; /* NULL when it is down and only commits are awaited */
	struct recovery *recovery;
	struct key_id gateway;
	uint32_t cosignatures; /* in the ledger, at most 4 */
	uint32_t last_number;
	size_t in_flight;
	size_t refusals;	  /* in ready */
	usec_t second_us;	  /* when the second began whose refusals are counted */
	uint32_t second_refusals; /* of relays and sessions, since then */
	bool is_dirty;
	usec_t small_us; /* when a small answer last had its leaf, and a part of a stream */
	usec_t part_us;
	bool is_stalled;
	size_t commits;	  /* with the ledger; their callbacks hold this struct */
	size_t batch_max; /* bytes of a turn that the gateway takes */
	struct relays asked;
	struct relays ready;
	struct relays flowing;
	struct relay *streams;		  /* by number: all that have a flow */
	struct node_session *sessions;	  /* by handle */
	struct node_session *sessions_id; /* by id */
	struct node_lane *lane;		  /* NULL before the first leaf */
	LIST_HEAD(, node_lane) retired;
	size_t retired_n;
};

/* What other threads may read of a worker: true to within a turn of its loop, why_not to within a
 * second. */
struct worker_state {
	_Atomic size_t in_flight;
	_Atomic size_t bytes;
	atomic_int why_not;  /* enum err_code; ERR_NONE: ready */
	_Atomic size_t down; /* ERR_NO_BACKEND: the service, by its place */
};

struct worker {
	struct node *node;
	uint32_t index;
	unsigned label; /* in metrics */
	pthread_t thread;
	struct worker_state state;
	struct event_base *base;
	struct listener *listener; /* NULL: nobody may come in any more */
	uint16_t listen_port;
	struct upstream *upstream;
	struct node_service services[NODE_SERVICES_MAX];
	size_t services_n;
	struct link_self self;
	struct ledger_port *port;
	struct ledger_reader *reader;
	struct registry_view *view;
	struct event on_commit; /* the ledger port has completions */
	struct event on_wake;	/* a new view of the registry, or a stop */
	struct event on_second;
	struct event on_turn; /* active: relays became ready in this turn */
	struct event on_drain;
	struct event on_stall; /* to look again at links whose gateway reads slowly */
	bool watching;
	int wake_fd;
	unsigned stops; /* of node->stops, as far as they are heeded */
	bool turn_open;
	height_t height;
	uint64_t lanes;
	LIST_HEAD(, node_link) links;
	TAILQ_HEAD(, node_link) dirty;
	struct relays spare;
	size_t spare_n;
	size_t in_flight;
	size_t bytes;	     /* of relays in flight */
	size_t bytes_others; /* of the other workers, as of the last turn */
	bool draining;
	usec_t drain_begun_us;
	usec_t drain_until_us;
};

/* --- accept.c: links and sessions --- */
extern const struct link_callbacks node_link_callbacks;
/* Drops sessions that nobody may use any more, and streams for which nobody makes room. */
void node_link_expire(struct node_link *nl);
/* Ends all that is on a link and closes it; the lanes stay unclosed. */
void node_link_end(struct node_link *nl);
/* Frees a link that is down when no commit is awaited any more. */
void node_link_maybe_free(struct node_link *nl);
/* A gateway that is refused over and over: what becomes of this refusal. */
enum refusal_way {
	REFUSAL_SIGNED, /* a leaf, of a relay */
	REFUSAL_SAID,	/* over node.refusals_signed_max in this second: an ERROR frame [F9] */
	REFUSAL_ENDS,	/* over node.refusals_max: the link is being closed */
};
/* Counts one more refusal, and closes the link if it is one too many. */
enum refusal_way node_link_refuse(struct node_link *nl);
/* Sends an ERROR frame that answers a frame of `type`. */
void node_link_error(struct node_link *nl, uint32_t stream, uint8_t type, const struct err *err);

/* --- serve.c: one relay --- */
MUST_USE bool relay_on_frame(struct node_link *nl, const struct frame *f, struct err *err);
void relay_on_cancel(struct node_link *nl, uint32_t number);
/* Ends a relay without a leaf: gives back what it reserved. */
void relay_drop(struct relay *relay);
/* The relay's leaf is in the ledger's hands. */
void relay_done(struct relay *relay);
/* Makes a relay's leaf a refusal; the relay stays in its list. */
void relay_set_refusal(struct relay *relay, enum err_code code);
/* Ends a relay with an ERROR frame if a leaf would be one refusal too many; false: it would not. */
bool relay_refuse_unsigned(struct relay *relay, enum err_code code);
/* Turns a relay that has no leaf yet into a refusal, or an ERROR frame if there are too many. */
void relay_refuse(struct relay *relay, enum err_code code);
/* Moves a relay to the list of its new state; asserts the legal edge. */
void relay_set_state(struct relay *relay, enum relay_state state);
/* Sets what the relay counts for in the worker's memory. */
void relay_count_bytes(struct relay *relay);

/* --- worker.c --- */
/* The end of a turn: tells the other workers what this one holds, and looks at what they do. */
void worker_publish(struct worker *w);

/* --- flow.c: one relay whose answer is long --- */
/* The backend's answer is longer than a part: an upstream_data_fn, arg is the relay. */
bool flow_on_data(void *arg, struct view data, struct err *err);
/* Is the answer, all of which has come, good? */
MUST_USE bool flow_check(struct relay *relay, struct err *err);
/* The backend's answer is whole and good (err NULL), or there will be no more of it. */
void flow_on_end(struct relay *relay, const struct err *err);
/* CREDIT for a relay; without effect when it is no stream. */
void flow_on_credit(struct node_link *nl, uint32_t number, uint32_t bytes);
/* Ends the streams of a link for which there has been no credit for too long. */
void flow_expire(struct node_link *nl);
/* Parts that can go now. */
uint32_t flow_parts(const struct relay *relay);
/* The encoding of the next part; its head is not yet written, and there is room for it. */
struct view flow_next(const struct relay *relay);
/* Whether the next part is the last. */
bool flow_part_is_last(const struct relay *relay);
/* Why a flowing relay has no part to go, but an ERROR to be told; ERR_NONE: it has a part. */
enum err_code flow_broken(const struct relay *relay);
/* The next part has its leaf, and is not the last. */
void flow_part_done(struct relay *relay);
/* There will be no last part: the backend is let go; the rest is told by the next turn, or is a
 * refusal if nothing has a leaf yet. */
void flow_break(struct relay *relay, enum err_code code);
/* The stream is over, if the relay is one; `how` is for the metric. */
void flow_finish(struct relay *relay, enum err_code how);

/* --- turn.c: the batch --- */
/* To be called by every callback before it reads the clock or makes relays ready. */
void worker_tick(struct worker *w);
void node_link_mark(struct node_link *nl);
void worker_on_turn(evutil_socket_t fd, short what, void *arg);
void worker_on_stall(evutil_socket_t fd, short what, void *arg);
void node_lane_destroy(struct node_lane *lane);

/* --- settle.c: what the gateway cosigns --- */
MUST_USE bool settle_on_cosign(struct node_link *nl, const struct frame *f, struct err *err);
void node_lane_push_head(struct node_lane *lane, const struct node_head *head);
/* Gives the lanes of a link that is gone to the ledger. */
void settle_release(struct node_link *nl);
/* The CU that this gateway may leave unpaid [P5]. */
cu_t settle_unpaid_max(const struct node_link *nl, const struct node_session *s);

#endif
