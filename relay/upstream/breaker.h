/* SPDX-License-Identifier: Apache-2.0
 * A circuit breaker: whether a backend is asked.  Pure: time is an argument, and it sends, logs and
 * counts nothing; its owner compares the state before and after.
 *
 *	         too many failures, or "come back later"
 *	CLOSED ---------------------------------------------> OPEN
 *	   ^                                                   ^ |
 *	   | so many good answers in a row       one failure   | | the rest is over, and a probe is
 *	   |                                                   | | answered (or nobody probes)
 *	   +--------------------- HALF_OPEN -------------------+ |
 *	                              ^--------------------------+
 *
 *	BARRED: from any state when a probe tells of another chain; to HALF_OPEN when of the right
 *one
 *
 * Failures are what the backend did.  What a caller can bring about alone does not count: a
 *deadline too short to be met, an answer that is too large. */
#ifndef RELAY_UPSTREAM_BREAKER_H
#define RELAY_UPSTREAM_BREAKER_H

#include "relay/base/ids.h"

#define BREAKER_WINDOW_MIN 20 /* requests that a share of failures is taken of, at least */

/* Named limits; from the section `upstream` of the configuration. */
struct breaker_limits {
	unsigned failures_max;	  /* failures in a row that open it */
	unsigned failure_percent; /* share of a window's requests that opens it */
	usec_t window_us;
	usec_t open_us;	     /* the first rest; twice as long each time that a trial fails */
	usec_t open_max_us;  /* the longest */
	usec_t later_max_us; /* "come back later" is believed up to this */
	usec_t slow_us;	     /* no answer counts only when it was waited for this long */
	unsigned trials;     /* requests at a time while half open, and answers that close it */
};

enum breaker_state {
	BREAKER_CLOSED,	   /* in use */
	BREAKER_OPEN,	   /* rests */
	BREAKER_HALF_OPEN, /* on trial */
	BREAKER_BARRED,	   /* of another chain */
};

/* Caller's memory; read `state`, change by functions. */
struct breaker {
	const struct breaker_limits *limits; /* borrowed */
	enum breaker_state state;
	bool probed;	 /* OPEN ends with a probe, not by time */
	unsigned epoch;	 /* counts changes of state */
	unsigned in_row; /* CLOSED: failures; HALF_OPEN: good answers */
	unsigned trials; /* HALF_OPEN: requests out */
	usec_t window_begun_us;
	uint64_t window_requests;
	uint64_t window_failures;
	usec_t rest_us;	      /* of the next OPEN */
	usec_t open_until_us; /* OPEN */
	usec_t answered_us;   /* the last good answer */
};

/* CLOSED.  probed: see struct breaker. */
void breaker_init(struct breaker *b, const struct breaker_limits *limits, bool probed);

/* The word for a state, as in metrics and logs. */
const char *breaker_state_name(enum breaker_state state);

/* May a request be sent now?  BREAKER_WAIT: not before one that is out has been answered. */
enum breaker_verdict { BREAKER_GO, BREAKER_WAIT, BREAKER_NO };
enum breaker_verdict breaker_ask(const struct breaker *b, usec_t now);
/* One is sent; breaker_ask() said GO.  Returns the epoch to come back with: what was sent before
 * the last change of state says nothing of the present, and is ignored. */
unsigned breaker_begin(struct breaker *b, usec_t now);
/* Its answer was good. */
void breaker_on_answer(struct breaker *b, unsigned epoch, usec_t now);
/* It failed by the backend's fault. */
void breaker_on_failure(struct breaker *b, unsigned epoch, usec_t now);
/* It was sent at `begun_us` and not answered in time: a failure when that was long enough and
 * nobody was answered meanwhile. */
void breaker_on_silence(struct breaker *b, unsigned epoch, usec_t begun_us, usec_t now);
/* The backend asks to be left alone for so long; 0: it did not say how long, a failure. */
void breaker_on_later(struct breaker *b, unsigned epoch, usec_t later_us, usec_t now);
/* It ended in a way that says nothing of the backend. */
void breaker_on_nothing(struct breaker *b, unsigned epoch);

/* A probe was answered as it should be, or was not; later_us as in breaker_on_later(). */
void breaker_on_probe(struct breaker *b, bool good, usec_t later_us, usec_t now);
/* A probe was never answered before: it rests, whatever the counts. */
void breaker_trip(struct breaker *b, usec_t now);
/* A probe says that the backend is of another chain. */
void breaker_bar(struct breaker *b);

#endif
