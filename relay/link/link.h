/* SPDX-License-Identifier: Apache-2.0
 * One connection between a gateway worker and a node worker: TCP or unix socket, TLS, HELLO,
 *frames.
 *
 * A link lives in one event_base and is used from that base's thread only.  It knows frames, not
 * relays.  It neither reconnects (relay/link/pool.h) nor accepts (relay/link/listener.h).
 *
 *	CONNECTING --> TLS --> HELLO --> UP --> CLOSED
 *	     \__________\________\_____________/
 *
 * Hot path: frames are encoded straight into the link's output (link_out(), then link_sent()); all
 * that was put there during a turn of the loop leaves in one write at its end.  Incoming payloads
 * are borrowed from the link's input and die with the callback.
 */
#ifndef RELAY_LINK_LINK_H
#define RELAY_LINK_LINK_H

#include <event2/event.h>

#include "relay/link/address.h"
#include "relay/link/frame.h"
#include "relay/link/hello.h"
#include "relay/link/tls.h"

enum link_state { LINK_CONNECTING, LINK_TLS, LINK_HELLO, LINK_UP, LINK_CLOSED };

/* Why a link ended: the word in the log, and in the order of the metric label REASON. */
enum link_reason {
	LINK_REASON_LOCAL,	     /* this side wanted it, by link_close() or link_destroy() */
	LINK_REASON_CONNECT,	     /* no connection, or not in time */
	LINK_REASON_HANDSHAKE,	     /* TLS failed */
	LINK_REASON_HANDSHAKE_SLOW,  /* TLS and HELLO not done within handshake_timeout_us */
	LINK_REASON_VERSION,	     /* HELLO of another version */
	LINK_REASON_IDENTITY,	     /* HELLO of somebody else */
	LINK_REASON_PROTOCOL,	     /* a frame or payload against the rules */
	LINK_REASON_FRAME_TOO_LARGE, /* over frame_max */
	LINK_REASON_IDLE,	     /* nothing heard, not even an answer to PING */
	LINK_REASON_NOT_READING,     /* more than out_max waits for the peer */
	LINK_REASON_EOF,	     /* the peer closed */
	LINK_REASON_RESET,	     /* the connection broke */
	LINK_REASON_PEER_ERROR,	     /* the peer sent ERROR for the link or its HELLO */
	LINK_REASON_COUNT
};
const char *link_reason_name(enum link_reason reason);

/* Limits and times; link_params_default() fills them. */
struct link_params {
	usec_t handshake_timeout_us; /* connect + TLS + HELLO; 5 s [F1] */
	usec_t ping_interval_us;     /* quiet time after which a PING goes out; 10 s */
	usec_t idle_timeout_us;	     /* quiet time after which the link is dropped; 30 s */
	size_t out_max;		     /* bytes that may wait for the peer to read; 64 MiB */
};
void link_params_default(struct link_params *ret);

struct link;

/* All are called from the loop, never from within a function that the owner called; each may close
 * or destroy the link. */
struct link_callbacks {
	/* HELLO was exchanged and checked; link_peer() is known.  Returning false closes the link
	 * with *err (sent to the peer as ERROR), e.g. ERR_GRANT for a key that may not come. */
	bool (*on_up)(struct link *link, void *arg, struct err *err);
	/* A frame of a known type that is not the link's own business (HELLO, PING, and an ERROR
	 * that answers HELLO or the link as a whole are).  Returning false closes the link with
	 * *err. */
	bool (*on_frame)(struct link *link, const struct frame *frame, void *arg, struct err *err);
	/* All frames that came with one read have been given: a node starts what they asked for, a
	 * gateway answers.  May be NULL. */
	void (*on_turn)(struct link *link, void *arg);
	/* The link is closed, once; what remains is link_destroy(). */
	void (*on_down)(struct link *link, enum link_reason reason, const struct err *err,
			void *arg);
};

/* Dials a numeric address or a unix socket (relay/link/address.h; names are the pool's to resolve).
 * expected: the registry's key of that endpoint, copied; NULL in tests only.  self, tls and cbs are
 * borrowed, params and address are copied.  A peer out of reach comes as on_down. */
struct link *link_dial(struct event_base *base, struct tls *tls, const struct link_self *self,
		       const struct link_params *params, const struct address *to,
		       const struct key_id *expected, const struct link_callbacks *cbs, void *arg);

/* Takes an accepted, non-blocking descriptor, which it will close. */
struct link *link_accept(struct event_base *base, struct tls *tls, const struct link_self *self,
			 const struct link_params *params, int fd, const struct link_callbacks *cbs,
			 void *arg);

/* Closes without a word if it is not closed yet, frees; on_down is not called.  NULL is fine, and
 * so is a call from within a callback of the link. */
void link_destroy(struct link *link);

/* The output of an UP link: append whole frames (frame_put_x()), then call link_sent().  On a link
 * that is not UP the bytes are accepted and dropped. */
struct buf *link_out(struct link *link);
/* Appends whole frames, by their memory where that is possible: the buffer is empty afterwards. */
void link_put(struct link *link, struct buf *frames);
/* Lets what was appended leave at the end of this turn.  Closes the link (later, by the loop) with
 * NOT_READING when more than out_max would wait.  The peer's frame_max is the caller's to keep:
 * link_peer()->frame_max. */
void link_sent(struct link *link);
/* Sends now what waits, without waiting for the end of the turn. */
void link_flush(struct link *link);
/* Stops reading from an UP link, and begins again: what the peer sends then waits in the sockets
 * and slows it.  A peer that is not read for its idle_timeout closes the link. */
void link_hold(struct link *link, bool hold);
/* Bytes that wait for the peer to read: for back pressure. */
size_t link_out_bytes(const struct link *link);

/* Says ERROR (type 0, code, err's message), or GOAWAY when the code is ERR_SHUTDOWN, to an UP peer,
 * sends what waits as far as it goes at once, and closes; on_down comes from the loop with
 * LINK_REASON_LOCAL. */
void link_close(struct link *link, const struct err *err);
/* Says GOAWAY: the peer opens nothing new.  The owner closes when all in flight has ended. */
void link_goaway(struct link *link, enum err_code why, uint32_t drain_ms);
/* Whether the peer has taken our GOAWAY, and all that it sent before has been given to on_frame:
 * it has answered the PING that went out behind it. */
bool link_goaway_is_heard(const struct link *link);

enum link_state link_state(const struct link *link);
bool link_is_up(const struct link *link);
/* The peer's HELLO; valid from on_up on. */
const struct frame_hello *link_peer(const struct link *link);
/* Whether the peer has said GOAWAY (the frame is also given to on_frame). */
bool link_is_draining(const struct link *link);
/* Numeric address of the peer, "unix" for a unix socket; never logged for dApps, only for links. */
const char *link_address(const struct link *link);
/* Last measured round trip of a PING, -1 before the first. */
usec_t link_rtt_us(const struct link *link);
struct event_base *link_base(const struct link *link);
/* What the owner keeps with the link; NULL at first. */
void link_set_user(struct link *link, void *user);
void *link_user(const struct link *link);

/* Counters of the calling thread's links since start, for metrics and tests. */
struct link_stats {
	uint64_t frames_in, frames_out; /* out: link_sent() calls */
	uint64_t bytes_in, bytes_out;	/* on the wire */
	uint64_t reads, writes;		/* system calls */
	uint64_t closed[LINK_REASON_COUNT];
};
const struct link_stats *link_stats(void);

#endif
