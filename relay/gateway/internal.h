/* SPDX-License-Identifier: Apache-2.0
 * The gateway's own structs.  All of a worker is used on its thread only; what threads share is the
 * registry, the ledger, the key, and the counters of struct worker_state.  Private to
 * relay/gateway, and to relay/sim, which runs the same code in a world of its own.
 */
#ifndef RELAY_GATEWAY_INTERNAL_H
#define RELAY_GATEWAY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <event2/event.h>
#include <event2/http.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/base/heap.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/crypto/key.h"
#include "relay/crypto/table.h"
#include "relay/gateway/ask.h"
#include "relay/gateway/door.h"
#include "relay/gateway/filters.h"
#include "relay/gateway/gateway.h"
#include "relay/gateway/head.h"
#include "relay/gateway/hold.h"
#include "relay/gateway/inbound.h"
#include "relay/gateway/leaf.h"
#include "relay/gateway/logs.h"
#include "relay/gateway/loop.h"
#include "relay/gateway/made.h"
#include "relay/gateway/pin.h"
#include "relay/gateway/quality.h"
#include "relay/gateway/record.h"
#include "relay/gateway/report.h"
#include "relay/gateway/reuse.h"
#include "relay/gateway/sessions.h"
#include "relay/gateway/tokens.h"
#include "relay/gateway/verify.h"
#include "relay/gateway/whole.h"
#include "relay/ledger/ledger.h"
#include "relay/ledger/reader.h"
#include "relay/link/pool.h"
#include "relay/link/recovery.h"
#include "relay/rpc/envelope.h"
#include "session/patience.h"
#include "session/pick.h"
#include "session/registry/registry.h"

#define TICK_US 25000		 /* deadlines are kept to within this */
#define ORPHAN_US 120000000	 /* a relay that nobody waits for is forgotten after this */
#define REFUSED_AGAIN_US 1000000 /* a session that a node refused is offered again */
#define GATEWAY_OWED_MAX 256	 /* suppliers that are linked to only to close lanes */
#define OWED_LOOK_US 1000000	 /* from one look for them to the next */
#define MISSING_SLOTS 1024	 /* questions that are known to have no answer yet */
#define REST_US 100000		 /* of one that said that it cannot yet */

struct call;
struct request;
struct stream;

/* --- peer.c, relay.c --- */

enum relay_state {
	RELAY_SENT,	  /* ask->attempts: it waits for its first leaf */
	RELAY_HELD,	  /* ask->attempts: parts are kept back until the last is here (hold.h) */
	RELAY_COMMITTING, /* ask->attempts: its only leaf, or part 0, is going into the ledger */
	RELAY_FLOWING,	  /* ask->attempts, and ask->answered: later parts are to come */
	RELAY_KEPT,	  /* ask->answered or ask->aside: it has brought an answer */
	RELAY_LATE,	  /* worker->orphans while it is on a link: nobody waits any more */
};

/* One relay on a link: from its sending until its last leaf has committed, and its ask has ended.
 */
struct relay {
	struct inbound_relay in;
	struct worker *worker;
	enum relay_state state;
	struct peer *peer; /* while it waits there; NULL once its last leaf is in */
	struct ask *ask;   /* ref; has its request's bytes */
	struct session *session;
	struct member *member;
	cu_t reserved;
	struct buf body;  /* of the answer, if it has no parts or they are kept back */
	size_t held;	  /* of it are counted in gateway->held_bytes */
	size_t prepaid;	  /* bytes for which room was made, and which are not taken yet */
	unsigned commits; /* of its leaves, on their way into the ledger */
	bool has_receipt;
	bool lost;	/* with its link; its ask is to be told */
	bool judged;	/* its supplier's standing knows how it ended */
	bool denies;	/* it says that a block is not there that must be */
	unsigned epoch; /* of the standing when it was sent */
	unsigned link;	/* peer->ordinal, also when that is gone */
	bool hedge;
	uint8_t kind;
	uint16_t status;
	struct lane_id lane; /* of its first leaf */
	uint64_t seq;
	usec_t sent_us;
	usec_t leaf_us;	 /* when its first leaf was here; 0: not yet */
	usec_t until_us; /* its share of the ask's time; 0: all */
	usec_t orphaned_us;
	LIST_ENTRY(relay) of_ask;
	LIST_ENTRY(relay) of_lost;
	TAILQ_ENTRY(relay) orphans;
	struct relay *next_free;
};
TAILQ_HEAD(relay_list, relay);

/* Sends a relay of the ask to a member that is ready; it is one of ask->attempts then.
 *
 * In:     until_us  when the ask turns to somebody else too; 0: not before its deadline
 * Errors: ERR_ALLOWANCE, ERR_UNPAID (until more is cosigned), ERR_FRAME_TOO_LARGE. */
MUST_USE bool relay_send(struct ask *ask, struct member *member, usec_t until_us, struct err *err);
/* Makes room for so many bytes more of its parts ([F10]), if any are to come. */
void relay_credit(struct relay *relay, size_t bytes);
/* Its answer has committed and is kept by the ask: it is no attempt any more. */
void relay_keep(struct relay *relay);
/* Its ask does not need it any more: asks the node to stop, and keeps what a late leaf needs. */
void relay_give_up(struct relay *relay);
/* Destroys it if neither a link, nor an ask, nor a commit holds it any more. */
void relay_settle(struct relay *relay);
void relays_expire(struct worker *w, usec_t now);

struct peer {
	struct worker *worker;
	struct link *link;
	struct supplier *supplier; /* ref */
	struct relay **slots;	   /* relays that wait, by number & mask */
	uint32_t mask;
	uint32_t count;
	uint32_t next_number;
	uint32_t next_handle;
	struct member *members;	 /* named here, by handle */
	struct lane *lane;	 /* the newest; NULL before the first batch */
	LIST_HEAD(, lane) lanes; /* all that are not released yet */
	cu_t half_bound;	 /* unpaid CU at which a cosignature is due */
	cu_t own_bound;		 /* unpaid CU at which the node is left in peace */
	bool draining;
	bool held;	  /* not read until the ledger has caught up */
	unsigned ordinal; /* of the worker's links, by the time when they came up */
	struct recovery *recovery;
	UT_hash_handle hh; /* worker->peers, by link */
};

extern const struct link_callbacks peer_callbacks;
struct relay *peer_relay(struct peer *peer, uint32_t number);
/* Gives the relay a number and a place.  The link is up. */
void peer_add(struct peer *peer, struct relay *relay);
void peer_remove(struct peer *peer, struct relay *relay);
/* The node has said GOAWAY and owes nothing any more: it waits for its last cosignature. */
bool peer_is_leaving(const struct peer *peer);
void peers_finish(struct worker *w);
/* Back-pressure: while the ledger is busy a link that brings a batch is not read any further; the
 * node's turns wait, and with them its gateway's callers. */
void peer_hold(struct peer *peer);
void peers_resume(struct worker *w);

/* --- lane.c --- */
bool lane_on_batch(struct peer *peer, const struct frame *frame, struct err *err);
/* The peer is going: no further append; what is in flight still commits. */
void lanes_release(struct peer *peer);
/* Cosigns the newest committed head if it is not cosigned yet. */
void lane_cosign(struct lane *lane);
void peer_update_bound(struct peer *peer);

/* --- call.c ---
 *
 *	NEW -> ASKING <-> FLOWING -> DONE
 *	  \________\_________________^
 *	a long answer that breaks off, and of which nothing was sent: FLOWING -> ASKING again
 */
enum call_state {
	CALL_NEW,
	CALL_ASKING,  /* its ask has no answer yet */
	CALL_FLOWING, /* parts of its answer are here, and the last is not */
	CALL_DONE,    /* its ask or the cache has the answer, or err is set */
};

/* What makes the answer of a call that no single ask has; stands first in the struct of whoever
 * that is. */
struct work {
	void (*destroy)(struct work *work); /* the call is over, or needs it no more */
};

struct round;

/* What a client has sent, and gets an answer to. */
struct call {
	struct request *request;
	struct rpc_call *rpc;
	enum call_state state;
	usec_t deadline_us;
	struct asker asker;
	struct reuse_call reuse;
	unsigned attempts;	   /* of its earlier asks */
	const struct chain *chain; /* if pin.is_read */
	struct pin pin;
	bool awaits; /* the head: await_round->calls has it */
	usec_t await_from_us;
	struct round *await_round;
	TAILQ_ENTRY(call) await;
	struct stream *stream; /* of a long answer, from its part 0 on; NULL */
	struct work *work;     /* what makes its answer of several; NULL: its one ask has it */
	struct made made;      /* that answer, when the call is DONE */
	bool has_answer;       /* DONE with a result or error of the backend */
	struct err err;	       /* DONE without an answer: the client's error */
};

/* Starts a call; it may be done when this returns. */
void call_start(struct call *call);
/* Its ask's answer is the client's. */
void call_give(struct call *call);
/* The client is gone. */
void call_abandon(struct call *call);
/* It has its answer: its ask's, one that was kept, or one that was made; or an error.  The call may
 * be gone when these return, and its work with it. */
void call_settle(struct call *call);
void call_fail(struct call *call, const struct err *why);
/* Ends what makes its answer, if anything does. */
void call_drop_work(struct call *call);
/* What answers it, and has its receipt; NULL: nothing does, or several do. */
struct relay *call_relay(const struct call *call);

/* --- wide.c: calls for the logs of many blocks --- */

/* A call begins.  True: it is asked in parts, and may be done when this returns. */
MUST_USE bool wide_start(struct call *call);
/* The call was asked whole, and its ask has an answer.  True: that says that it is too large, and
 * the call is asked in parts now; it may be done when this returns. */
MUST_USE bool wide_divide(struct call *call);

/* --- poll.c: filters --- */

/* A call begins.  True: it is about a filter, and may be done when this returns. */
MUST_USE bool poll_start(struct call *call);

/* --- flow.c: long answers, sent while they come --- */

/* Takes a part of the call's answer.  False: what has come so far cannot be a valid answer, or is
 * too long. */
MUST_USE bool flow_take(struct call *call, struct buf *part, bool last, struct err *err);
/* The call has no long answer any more; `how` is for the metric. */
void flow_drop(struct call *call, enum err_code how);
/* Its last part has been taken: puts it into the recording, if there is one. */
void flow_record(const struct call *call);
bool request_has_flow(const struct request *request);
/* All calls are done or have their part 0: sends the head, and what there is of the answer. */
void request_begin_flow(struct request *request);
/* Sends what there is more; the request may be gone when this returns. */
void request_flow(struct request *request);
/* The answer that has begun cannot be ended: its connection ends with this turn of the loop. */
void request_cut(struct request *request, const struct err *why);
/* Cuts those off; by loop_cut_soon(). */
void flows_cut(struct worker *w);
/* Ends what stands still. */
void flows_look(struct worker *w, usec_t now);

/* --- request.c, http.c, answer.c, receipts.c --- */

/* One HTTP request with its calls. */
struct request {
	struct worker *worker;
	struct client *client;
	struct evhttp_request *http; /* NULL: the client is gone */
	struct account *account;
	struct rpc_request rpc;
	bool fresh; /* the client wants relays of its own ([G6]) */
	bool debug; /* its client wants to know the picks, and may */
	usec_t from_us;
	size_t pending; /* calls that are neither done nor flowing */
	/* of an answer that is sent while it comes */
	bool begun;	 /* its head has been sent; worker->flowing */
	bool any;	 /* ... and something of a call */
	bool opened;	 /* ... of the call whose turn it is */
	size_t at;	 /* that call */
	usec_t moved_us; /* when something was last sent, or all was taken */
	usec_t kept_us;	 /* when nodes were last told that their answers are waited for */
	struct err cut;	 /* why it ends before its time; code ERR_NONE: it does not */
	TAILQ_ENTRY(request) flowing;
	size_t count;
	TAILQ_ENTRY(request) all;
	uint64_t number; /* in the recording */
	struct call calls[];
};
TAILQ_HEAD(request_list, request);

/* A request whose body has been read as calls. */
struct request_params {
	struct worker *worker;
	struct client *client;
	struct evhttp_request *http;
	struct account *account;
	struct view body; /* as it came; stays as long as `http` */
	bool fresh;
	bool debug;
};
/* Starts its calls; takes over what rpc holds.  It may be over when this returns. */
void request_begin(const struct request_params *params, struct rpc_request *rpc);

/* The limits on clients that a configuration sets, for all workers. */
struct house *http_house(const struct config *cfg);
/* Listens at gateway.listen.  Errors: ERR_IO names the address. */
MUST_USE bool http_open(struct worker *w, struct err *err);
/* Stops listening; connections that are there may end their request. */
void http_stop(struct worker *w);
void http_finish(struct worker *w);
/* The account of a path ([G1]); NULL with an error. */
struct account *http_route(struct worker *w, const char *path, struct err *err);
/* Reads on while its calls are on their way, so that a client that leaves is seen. */
void http_read_on(struct evhttp_request *http);
/* The client is gone before the answer. */
void http_lost(struct evhttp_request *http);
/* Sends an answer; the request may be gone when this returns. */
void http_reply(struct evhttp_request *http, int status, const char *text, struct evbuffer *body);
/* A request of HTTP/1.1 on a connection that stays, with nothing before it that waits. */
bool http_is_plain(struct evhttp_request *http);
/* The same as http_reply() for a plain request: a whole answer, head and body, as bytes. */
void http_reply_plain(struct evhttp_request *http, const struct iovec parts[2]);
/* The same in pieces: the head, with what has been put to it; more of the body, and whom to tell
 * when the client has taken all; the end, after which the request is evhttp's. */
void http_begin(struct evhttp_request *http, int status, const char *text);
void http_more(struct evhttp_request *http, struct evbuffer *more,
	       void (*on_drained)(struct evhttp_connection *, void *), void *arg);
void http_end(struct evhttp_request *http);
/* Sees to it that the client takes what it has for no whole answer when the connection is closed.
 */
void http_cut(struct evhttp_request *http);
/* Bytes that wait for the client to take them. */
size_t http_waiting(struct evhttp_request *http);
/* A call is done, or flows. */
void request_on_call(struct request *request);
/* Nobody is interested in it any more; its calls are done or abandoned. */
void request_destroy(struct request *request);
/* Sends the answer of a request whose calls are all done, none with a long answer. */
void answer_send(struct request *request);
/* Sends the kept answer to the one call of a request that evhttp knows nothing of, at once.  False:
 * nothing was sent. */
MUST_USE bool answer_send_kept(const struct request *request, struct client *client);
/* Puts the head of the request's answer to it. */
void answer_put_head(struct request *request);
/* Whether the call is answered at all: everything but a notification ([E1]). */
bool answer_has_reply(const struct call *call);
/* The bytes of a call's answer, before they got the client's id: kept, made, or its ask's. */
struct view answer_body(const struct call *call);
/* Appends the answer of a call that is done, in the client's words. */
void answer_put_call(struct worker *w, struct evbuffer *out, struct call *call);
/* Sends a JSON-RPC error with the HTTP status of its row. */
void answer_error(struct worker *w, struct evhttp_request *http, const struct err *err);
/* Headers that every answer has. */
void answer_cors(struct worker *w, struct evhttp_request *http);
/* Makes what all answers of the worker have in common. */
void answer_prepare(struct worker *w);
void receipts_get(struct worker *w, struct evhttp_request *http, const char *path,
		  const char *query);

/* --- debug.c --- */
/* The client asks for the picks of its calls, and gateway.debug lets it. */
bool debug_is_wanted(const struct worker *w, struct evhttp_request *http);
/* Appends them: the value of Counterfoil-Debug. */
void debug_put(struct buf *out, const struct request *request);

/* --- worker.c, gateway.c --- */

/* A question that two suppliers have answered with "not there". */
struct missing {
	uint64_t key; /* of a hash of its encoding that nobody else can make */
	usec_t until_us;
};

/* What other threads may read. */
struct worker_state {
	_Atomic unsigned sessions, suppliers, links_up, members_ready, members, in_flight;
	_Atomic uint64_t height;
	pthread_mutex_t lock;
	struct err last_error, no_answer; /* under lock; see struct gateway_status */
};

struct worker {
	struct gateway *gateway;
	const struct config *cfg;
	uint32_t id;
	pthread_t thread;
	bool started;
	struct event_base *base;
	struct link_self self;
	struct pool *pool;
	struct ledger_port *port;
	struct ledger_reader *reader;
	int stop_fd; /* eventfd: stop, then stop at once */
	struct event *port_event, *tick, *cosign, *stop_event;
	struct event *cuts; /* active: answers are to be cut off */
	struct registry_view *view;
	height_t height;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct door *door;
	struct buf fixed_headers; /* of every answer to a call; see answer.c */
	struct buf head, text;	  /* of the answer that is being written */
	char date[32];		  /* for the Date header, as of date_s */
	msec_t date_s;
	struct account *accounts;
	struct account *main_account;
	struct serving *servings;	    /* by name */
	struct verification *verifications; /* by service */
	struct supplier *suppliers;
	struct supplier *owed[GATEWAY_OWED_MAX]; /* refs; see owed.c */
	size_t owed_n;
	usec_t owed_at_us; /* the next look */
	struct peer *peers;
	unsigned links_made; /* so far */
	size_t held;	     /* of them are not read */
	struct watch *watch; /* of the heads */
	struct request_list requests;
	struct request *quick;		      /* of quick.c, with one call; reused */
	struct request_list flowing;	      /* those whose answer is sent while it comes */
	struct ask_bucket open[OPEN_BUCKETS]; /* asks that may be joined */
	struct ask_list waiting;	      /* asks: for a session or a member */
	uint64_t kicks;			      /* how often they were tried again */
	struct heap wakes;		      /* of asks, by the time of what is next to be done */
	LIST_HEAD(, whole) wholes;	      /* long answers that are being gathered */
	struct event *alarm;		      /* ... when that is before the next tick */
	usec_t alarm_at_us;		      /* 0: not set */
	struct pace *paces;
	struct patience_budget hedges;
	struct missing missing[MISSING_SLOTS];	  /* see missing.c */
	unsigned class_labels[CHAIN_ERROR_COUNT]; /* of metrics */
	struct relay_list orphans;
	struct relay *free_relays;
	unsigned free_relay_count;
	struct ask *free_asks;
	unsigned free_ask_count;
	unsigned in_flight; /* calls */
	usec_t attempt_us;
	bool prepare;	     /* next sessions may be derived */
	bool wanted_changed; /* the pool's set must be told anew */
	usec_t stop_at_us;   /* draining until then; 0: not */
	usec_t stop_begun_us;
	struct frame_batch batch;
	struct inbound_batch good;
	struct worker_state state;
	struct report report;
};

/* Asks are looked at when that time has come, and not only at the next tick. */
void worker_wake_at(struct worker *w, usec_t at_us);

/* --- wanted.c, owed.c --- */
/* A session's ref to a member's supplier. */
struct supplier *wanted_ref(struct worker *w, const struct session_member *member, height_t start);
void wanted_unref(struct worker *w, struct supplier *s);
/* Tells the pool when something has changed. */
void wanted_tell(struct worker *w);
/* Looks, each OWED_LOOK_US, whom a lane must still be closed with, and where; at most
 * GATEWAY_OWED_MAX. */
void owed_look(struct worker *w);
void owed_finish(struct worker *w);

/* A worker with its base, links and listener; id is its number in HELLO and picks ([S9]). */
MUST_USE bool gateway_worker_create(struct gateway *g, uint32_t id, struct worker **ret,
				    struct err *err);
void gateway_worker_destroy(struct worker *w);

struct gateway {
	const struct config *cfg;
	const struct relay_key *key;
	struct registry *registry;
	struct ledger *ledger;
	struct tls *tls;
	struct tokens *tokens;
	struct key_id id;      /* the key's public half */
	struct hash seed;      /* drawn: filters' ids and the like are made of it */
	struct record *record; /* NULL: nothing is recorded */
	struct record_file *record_file;
	struct service_name service; /* that / stands for */
	struct service_name services[64];
	size_t service_count;
	uint16_t port;
	struct house *house; /* its clients */
	struct reuse *reuse;
	struct filters *filters;
	struct heads *heads;
	struct event_base *base; /* of the control thread */
	int stop_fd;		 /* eventfd: gateway_stop() */
	_Atomic unsigned stops;
	size_t worker_count;
	struct worker *workers[64];
	_Atomic size_t gathered_bytes; /* of answers that others are made of */
	_Atomic size_t held_bytes;     /* of answers that are kept back until they are whole */
};

#endif
