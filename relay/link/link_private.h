/* SPDX-License-Identifier: Apache-2.0
 * The inside of a link, for link.c (life), link_io.c (bytes) and link_frames.c (frames) alone. */
#ifndef RELAY_LINK_LINK_PRIVATE_H
#define RELAY_LINK_LINK_PRIVATE_H

#include <event2/event_struct.h>

#include "relay/link/link.h"

#define LINK_RX_BYTES 65536	  /* asked of the kernel at once */
#define LINK_READS_PER_TURN 8	  /* then others have their turn */
#define LINK_RECORD_BYTES 16384	  /* plaintext of a TLS record */
#define LINK_KEEP_BYTES (1 << 20) /* a buffer that grew beyond is given back when it is empty */

struct link {
	struct event_base *base;
	struct tls *tls;
	const struct link_self *self;
	const struct link_callbacks *cbs;
	void *arg;
	void *user;
	void *holder;				 /* the pool's slot or the listener's entry */
	void (*on_destroyed)(struct link *link); /* tells the holder; may be NULL */
	struct link_params params;
	bool accepted;
	bool has_expected;
	struct key_id expected;
	char address[ADDRESS_TEXT_MAX];

	enum link_state state;
	int fd;
	SSL *ssl;
	struct event ev_read;  /* persistent, while there is a descriptor */
	struct event ev_write; /* only while the kernel takes no more */
	struct event ev_turn;  /* made active by hand: the end of this turn */
	struct event ev_timer; /* the handshake's end, then the look at what is idle */
	bool turn_pending;

	/* input: ciphertext of this read, then plaintext whose frames from in_at on are not taken
	 */
	struct view rx;
	struct buf in;
	size_t in_at;
	/* output: frames of this turn, then ciphertext of which wire_at bytes are sent */
	struct buf out;
	struct buf wire;
	size_t wire_at;
	bool held;    /* link_hold(): nothing is read */
	bool blocked; /* the kernel took less than all; ev_write tells when it takes more */

	uint8_t exporter[TLS_EXPORTER_BYTES];
	struct frame_hello peer;
	bool draining;	  /* the peer said GOAWAY */
	usec_t goaway_us; /* in the PING behind our GOAWAY; 0: not said */
	bool goaway_heard;
	usec_t begun_us;
	usec_t heard_us; /* last time bytes came */
	usec_t moved_us; /* last time the kernel took bytes, or none waited */
	usec_t rtt_us;

	unsigned depth;	 /* callbacks of the owner that are running */
	bool destroyed;	 /* within one: freed when it returns */
	bool down_given; /* on_down was called */
	enum link_reason reason;
	struct err err;
};

/* link_stats(), to be counted up. */
/* link.c: the same as link_stats(), to be counted in. */
struct link_stats *link_stats_of_thread(void);

/* link.c: asserts the legal edge. */
void link_set_state(struct link *link, enum link_state state);
/* Ends the link for this reason; on_down comes at the end of the turn.  tell: the ERROR that the
 * peer is sent first, if it can hear it.  No effect on a closed link. */
void link_fail(struct link *link, enum link_reason reason, const struct err *err, bool tell);
/* The reason that goes with an error that came of what the peer sent. */
enum link_reason link_reason_of(const struct err *err);
/* Asks for link_on_turn() at the end of this turn. */
void link_want_turn(struct link *link);
/* Leaves a callback context: frees the link if it was destroyed within; false if it was. */
bool link_leave(struct link *link);

/* link_io.c */
void link_io_start(struct link *link, bool connecting);
void link_io_stop(struct link *link);
/* Encrypts what is in `out` and sends what the kernel takes. */
void link_io_flush(struct link *link);
/* TLS plaintext into wire, for what goes ahead of `out`. */
void link_io_put(struct link *link, const struct buf *frames);

/* link_frames.c: takes all whole frames of the input. */
void link_take_frames(struct link *link);
/* The handshake is done: checks it and says HELLO. */
void link_say_hello(struct link *link);

#endif
