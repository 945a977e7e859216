/* SPDX-License-Identifier: Apache-2.0
 * An ask: one question to the suppliers of a service, until one of them has answered it.
 *
 * A client's call (call.c) has one ask, or shares one with calls that are the same, or has several
 * or none; the gateway asks for itself too.  Who asks is an asker: it is told the end, or the parts
 * of a long answer, and may leave at any time.  The ask has its own copy of the question, so an
 * asker's bytes may go.
 *
 * An attempt is a relay that the ask waits for.  All attempts of an ask, whatever for, count
 * against gateway.attempts and end at its one deadline; no member is asked twice, but after a
 * pause.  There may be
 * several at once: the first answer that is the last word (verdict.c) is the ask's, once it is
 * recorded, and the others are given up, which costs no receipt: what they still bring is
 * recorded, cosigned and paid ([R9]).  Answers that are not the last word are set aside: the best
 * of them is the ask's when nobody has a better one.
 *
 *	NEW -> WAITING <-> SENT -> FLOWING, CHECKING -> DONE
 *	  \_______\__________\________\__________\______^
 *	an attempt that failed, with no other in flight: SENT, FLOWING -> NEW again
 *	nobody has what is on its way to all, or is there, or who is left proves nothing:
 *	SENT, NEW -> PAUSED -> NEW
 *
 * All on one worker's thread.  Private to relay/gateway.  Not here: what is said to clients
 * (call.c, answer.c), the bytes on the link (relay.c). */
#ifndef RELAY_GATEWAY_ASK_H
#define RELAY_GATEWAY_ASK_H

#include <sys/queue.h>

#include "chains/chain.h"
#include "relay/base/heap.h"
#include "relay/cache/cache.h"
#include "relay/rpc/envelope.h"
#include "session/head.h"

struct account;
struct ask;
struct asker;
struct member;
struct pace;
struct relay;
struct session;
struct supplier;
struct worker;

/* What an asker is told, by the loop of its worker.  It may leave the ask from within each of
 * these, and free itself. */
struct asker_ops {
	/* The end: there is an answer, ask_relay() and ask_answer(). */
	void (*on_answer)(struct asker *asker);
	/* The end: nobody answered. */
	void (*on_failed)(struct asker *asker, const struct err *why);
	/* A part of a long answer has committed: takes its bytes.  After the last part there is no
	 * other end, and ask_relay() is the answer's.  False, with err: what has come so far cannot
	 * be a valid answer, or is too long; on_broken() follows. */
	bool (*on_part)(struct asker *asker, struct buf *part, bool last, struct err *err);
	/* The long answer of which parts came is given up.  True: nothing has been made of them,
	 * and somebody else may be asked, from the beginning.  False: too late; nothing more is
	 * told, and the asker leaves soon. */
	bool (*on_broken)(struct asker *asker, const struct err *why);
	/* The answer is long and goes to the asker that came first: this one asks by itself.  The
	 * asker has left the ask already. */
	void (*on_alone)(struct asker *asker);
};

/* Whoever wants to know; stands in the struct of whoever that is. */
struct asker {
	const struct asker_ops *ops;
	struct ask *ask;	  /* held, so that the answer stays; NULL: none, or left */
	bool told;		  /* the end */
	TAILQ_ENTRY(asker) entry; /* ask->askers, until it is told the end */
};

/* Who may be asked, how often, and about which block. */
struct ask_terms {
	unsigned attempts_max; /* at least 1 */
	bool pinned;	       /* the question is, to a block [F14], */
	bool by_hash;	       /* and names it by its hash */
	struct head_block pin;
	uint64_t below;	 /* the served head is the block that is asked, and members that are further
			    behind are passed over; UINT64_MAX: they are not */
	bool must_reach; /* nobody who is further behind is asked, whoever else is left */
	uint64_t newest; /* block that is asked, of what says less and does not fail without it:
			    nobody who is not known to have it is asked while anybody is; 0: all may
			    be */
	uint64_t oldest; /* block that is asked, and members that do not go back to it are passed
			    over; UINT64_MAX: not known */
	struct hash seen; /* the head then: who has seen another does not join; zeros: not known */
	const struct supplier *only; /* nobody else; NULL: whoever is picked.  Compared only */
};

enum ask_state {
	ASK_NEW,      /* somebody is to be asked, now */
	ASK_WAITING,  /* worker->waiting: for a session or a member */
	ASK_SENT,     /* attempts are in flight */
	ASK_FLOWING,  /* of ask->answered parts have committed, and the last has not */
	ASK_PAUSED,   /* nothing is in flight until again_us (missing.c, attempt_rest()) */
	ASK_CHECKING, /* a transaction was refused: is it there already? (copies.c) */
	ASK_DONE,     /* nothing is in flight: ask->answered (an answer) or err is set */
};

#define ASK_FAILED_MAX 4 /* suppliers that failed an ask and are remembered until its end */

#define ASK_RESTS_MAX 8	   /* times that an ask waits for somebody better than it has heard */
#define ASK_REST_US 250000 /* each time */

/* What an answer is worth that is not the last word. */
enum ask_trust {
	ASK_TRUSTED, /* it will do when nobody has a better one */
	ASK_DOUBTED, /* whoever gave it fails, or is contradicted, too often, or does not keep up */
	ASK_DENIED,  /* a block is not there that must be, and is not old */
};

/* One that failed; sessions may change meanwhile. */
struct ask_failed {
	struct key_id supplier;
	bool erred; /* with an RPC error that blames nobody */
};

struct ask {
	unsigned asker_count; /* that have not left */
	unsigned busy;	      /* functions that are telling them something */
	unsigned relays;      /* that use its bytes, attempts or not any more */
	struct worker *worker;
	enum ask_state state;
	struct account *account;
	struct session *session; /* ref; NULL until one was found, and when DONE */
	const struct chain_method *method;
	const struct chain_traits *traits; /* of the method */
	bool notification;
	bool open; /* worker->open, by key: others may join */
	struct cache_key key;
	LIST_ENTRY(ask) same_bucket;
	uint8_t name_n;
	char name[RPC_METHOD_MAX]; /* of the method, until the session's chain has found it */
	struct buf encoding;	   /* of the request ([E2]) */
	TAILQ_HEAD(, asker) askers;
	LIST_HEAD(, relay) attempts; /* in flight */
	struct ask_terms terms;
	unsigned attempts_made; /* so far, those in flight too */
	bool lost;		/* one was, with its link, and is not among them */
	uint64_t asked;		/* members, by bit */
	uint64_t wrong;		/* of these, whose answer could not be true */
	unsigned readmitted;	/* how often those were made unasked again */
	unsigned failed_count;	/* suppliers that did not answer, or with an error */
	struct ask_failed failed[ASK_FAILED_MAX]; /* quality.c's */
	bool target_known;			  /* `target` has been read */
	struct chain_target target;		  /* n = 0: none */
	struct buf picks;	  /* struct pick_note, one after the other; see quality.h */
	struct relay *answered;	  /* FLOWING, DONE */
	struct rpc_answer answer; /* DONE with an answer that is one leaf */
	bool recomputed;	  /* that answer, from hashes in it ([G9]) */
	bool rides;		  /* ... but not all that it says */
	bool block_holds;	  /* its number and parent follow from its hash */
	struct relay *aside;	  /* the best answer that is not the last word; NULL */
	enum chain_error aside_class;
	enum ask_trust aside_trust;
	unsigned rests;	   /* attempt_rest() */
	unsigned opinions; /* answers set aside that another supplier is to confirm */
	bool paused;	   /* it is, or was */
	usec_t again_us;   /* PAUSED: until then */
	bool hedged;
	usec_t hedge_at_us;    /* 0: it will not be */
	struct asker checker;  /* of CHECKING */
	struct err err;	       /* how the last attempt ended */
	usec_t deadline_us;    /* of what is being waited for */
	usec_t last_us;	       /* of the ask: what deadline_us was to begin with */
	struct heap_node wake; /* worker->wakes: when something is next to be looked at */
	TAILQ_ENTRY(ask) waiting;
	uint64_t waits_since; /* worker->kicks */
	struct ask *next_free;
};
TAILQ_HEAD(ask_list, ask);

#define OPEN_BUCKETS 1024 /* of asks that may be joined; a power of two */

LIST_HEAD(ask_bucket, ask);

struct ask_params {
	struct account *account;     /* pays for it */
	const struct rpc_call *call; /* the question; borrowed for the call */
	usec_t deadline_us;	     /* monotonic */
	struct ask_terms terms;
	/* Two with the same key are the same question, whoever pays, and one answer does for both;
	 * NULL: it is asked alone.  Borrowed for the call. */
	const struct cache_key *key;
};

/* Asks, or waits with those that ask the same already.  The asker has its ops; it may have been
 * told the end when this returns.  True: it asks by itself.  False: it has joined another's ask,
 * whose deadline and fortune are its own then. */
bool ask_start(struct asker *asker, struct worker *w, const struct ask_params *params);
/* The asker wants to know nothing more, and needs no answer any more.  With its last asker an ask
 * ends.  No-op for one that has none. */
void ask_leave(struct asker *asker);

/* The relay that the answer is from, from part 0 of a long one on; NULL: there is none. */
struct relay *ask_relay(const struct ask *ask);
/* The whole answer with the id 1, or no bytes: a notification, or a long answer.  Gone when the
 * asker leaves. */
struct view ask_body(const struct ask *ask);
/* The parts of ask_body(). */
const struct rpc_answer *ask_answer(const struct ask *ask);
/* The buffer of ask_body(), to be taken, when nobody but this asker needs it any more; else NULL.
 */
struct buf *ask_own_body(struct ask *ask);
/* Makes room for so many bytes more of a long answer ([F10]); 0: it is still waited for. */
void ask_credit(struct ask *ask, size_t bytes);
/* The long answer cannot be brought to its end: no part came for too long, or the like. */
void ask_fail_flow(struct ask *ask, const struct err *why);

/* --- what comes in for an attempt; the relay may be gone when these return --- */

/* Its only leaf, or part 0, has been checked. */
void ask_on_leaf(struct relay *relay);
/* Its only leaf has committed, or could not be (err). */
void ask_on_commit(struct relay *relay, const struct err *err);
/* A part has committed, or could not be (err); its bytes may be taken. */
void ask_on_part(struct relay *relay, struct buf *part, bool last, const struct err *err);
/* It is off its link without a last leaf: a lost link, an ERROR. */
void ask_on_loss(struct relay *relay, const struct err *why);

/* --- the worker's --- */

/* Tries those that wait again. */
void asks_kick(struct worker *w);
/* What is due by now. */
void asks_look(struct worker *w, usec_t now);
/* Frees what is kept for the next asks; there is none any more. */
void asks_finish(struct worker *w);

/* A relay takes, and gives back, its share of the ask's bytes. */
void ask_ref(struct ask *ask);
void ask_unref(struct ask *ask);

/* --- open.c --- */

/* The ask that has params->key, began under the same head, and ends no later than its asker's own
 * would; NULL: there is none.
 */
struct ask *open_find(struct worker *w, const struct ask_params *params);
/* Others may join it, until it is removed: when its end is told, or the first part of a long
 * answer.  key NULL: it is nobody else's.  Returns the ask. */
struct ask *open_add(struct ask *ask, const struct cache_key *key);
/* No-op for one that is not open. */
void open_remove(struct ask *ask);

/* --- between ask.c, attempt.c, verdict.c, missing.c and copies.c --- */

void ask_set_state(struct ask *ask, enum ask_state to);
/* Askers are being told something, and may leave: the ask stays until all of that is over. */
void ask_hold(struct ask *ask);
void ask_release(struct ask *ask);
/* The ask is over: its askers are told ask->answered, or what is set aside, or ask->err. */
void ask_end(struct ask *ask);
/* The same with this error, if nothing is set aside. */
void ask_fail(struct ask *ask, const struct err *why);
/* The same, and the askers know it already. */
void ask_mark_done(struct ask *ask);
void ask_leave_waiting(struct ask *ask);
void ask_drop_aside(struct ask *ask);
/* The ask now waits for its checker. */
void ask_begin_check(struct ask *ask);
/* The parameters of the question as written; n = 0: none.  They stay as long as the ask. */
struct view ask_params_text(const struct ask *ask);

/* --- copies.c: signed transactions, which go to several suppliers at once --- */

/* The first relay was sent: sends the others. */
void copies_send(struct ask *ask);
/* The relay's error says that the transaction is there: makes it the answer that the client would
 * have got from the first who took it. */
void copies_accept(struct ask *ask, struct relay *relay);
/* All have answered, and nobody took it: the end, or first a look whether it is there already. */
void copies_end(struct ask *ask);

/* --- missing.c: what is not there, or not yet --- */

/* Two suppliers did not have it a short while ago. */
bool missing_is_known(const struct ask *ask);
/* Two suppliers do not have it. */
void missing_remember(const struct ask *ask);
/* Whether its answer, which is here, is null for a block of a number that the chain has reached. */
bool missing_is_there(const struct ask *ask);
/* ... and one that every supplier has, however little it keeps. */
bool missing_is_near(const struct ask *ask);
/* Whether suppliers are about to get what none of them had, as its last answer says: a recent
 * block.  Sets when they are to be asked again: about a block's time from now. */
MUST_USE bool missing_comes(const struct ask *ask, const struct chain *chain, usec_t *ret_at_us);

/* --- pace.c --- */

/* When the attempt that was just made may be followed by a hedge; 0: never. */
usec_t pace_hedge_at(const struct ask *ask);
/* An answer came: how long it took. */
void pace_note(const struct ask *ask, const struct relay *relay);
/* Of the service, made when it is new. */
struct pace *pace_of(struct worker *w, const struct service_name *service);
void paces_finish(struct worker *w);

/* --- attempt.c: who is asked, and when --- */

/* A new ask, or one that is to go on: sends to the next pick, lets it wait, or ends it. */
void attempt_dispatch(struct ask *ask);
/* One more attempt at once, beside those in flight.  NULL: there is nobody that could be asked, or
 * nothing is left of gateway.attempts. */
struct relay *attempt_more(struct ask *ask);
/* An attempt ended so, and is none any more: asks somebody else if that may be done.  False: nobody
 * is being asked any more. */
MUST_USE bool attempt_next(struct ask *ask, enum err_code why);
/* The same, without any answer of that attempt; the ask may end. */
void attempt_go_on(struct ask *ask, const struct err *why);
/* Nothing is in flight: everybody may be asked again, from then on. */
void attempt_pause(struct ask *ask, usec_t until_us);
/* Nobody is being asked, and what is set aside is not to be trusted: waits a moment if somebody may
 * have a better answer then.  False: it does not. */
MUST_USE bool attempt_rest(struct ask *ask);
/* Gives up a failed attempt and goes on. */
void attempt_fail(struct relay *relay, const struct err *why);
/* How a failed attempt bears on its supplier. */
void attempt_judge(struct relay *relay, enum err_code code);
/* Is it worth while to ask more?  Somebody is well, or was wrong and is asked again. */
bool attempt_has_more(struct ask *ask);
/* Somebody was not asked, and has answered others lately. */
bool attempt_has_unheard(const struct ask *ask);
/* It brought what cannot be an answer. */
void attempt_is_bad(struct relay *relay, const struct err *why);
/* Does a node refuse so what it may do a little later?  It stops, or waits for a cosignature, or
 * its clock and ours are at different heights, as at a session's ends. */
bool attempt_cannot_yet(enum err_code code);
/* An attempt that was not begun, and may be later, does not count as made; nor does the first that
 * was lost with its link: more could be the call's own doing. */
void attempt_forgive(struct ask *ask, const struct member *member, enum err_code code);
/* What is awaited has changed: sets when the ask is next looked at. */
void attempt_set_wake(struct ask *ask);

#endif
