/* SPDX-License-Identifier: Apache-2.0
 * How well a supplier serves a service, as one gateway has seen it: the health that goes into the
 * pick ([S8]).  Pure: time is an argument, and it logs and counts nothing.  It knows no session, no
 * stake but in quality_cap(), and no other gateway's opinion.
 *
 *	          strain, or "cannot now"
 *	READY -----------------------------> COOLING, health 0
 *	  ^  ^                                |   ^
 *	  |  +---- the rest of a busy one ----+   |
 *	  |                                   |   | a fault
 *	  | as many steps as there are        v   |
 *	RAMP <---- answers in a row -------- TRIAL, one relay at a time
 *	  |                                       ^
 *	  +--- a fault: COOLING, for longer ------+ (by way of COOLING)
 *
 * health = max(1, 256 x level / (1 + penalties)), level 1 when READY; the penalties are sums of
 *
 *	errors       8 x share of relays that failed by the supplier's fault
 *	misbehaviour 16 x share that was answered, and not validly
 *	throttles    4 x share that it had no room for
 *	refusals     4 x share that another supplier answered and this one did not
 *	latency      2 x (own - 1.5 x reference - 5 ms) / (reference + 5 ms), own = mean of p50 and
 *	             p90; at most 15
 *	lag          1/4 for each block behind beyond 2; at most 15
 *
 * So health is never 0 but while COOLING (or while a trial is out), and at least 1/64 of full when
 * READY: whoever is merely bad keeps being asked now and then, and can show that it is no longer.
 * A share is bad / max(bad + answers, QUALITY_SAMPLES_MIN), so that few say little, and one kind of
 * bad hides no other. */
#ifndef SESSION_QUALITY_H
#define SESSION_QUALITY_H

#include "relay/base/ids.h"
#include "session/pick.h"

#define QUALITY_WINDOWS 10     /* that the time looked back on is divided into */
#define QUALITY_BUCKETS 92     /* of latencies: 4 an octave, from 32 us to 134 s */
#define QUALITY_SAMPLES_MIN 20 /* relays that a share is taken of at least; answers for latency */

#define QUALITY_STRAIN_MAX 12	     /* since the last answer: cools */
#define QUALITY_STRAIN_FAULT 4	     /* of one fault; cools when not READY */
#define QUALITY_TRIAL_LEVEL 64	     /* of 256: part of its weight while on trial */
#define QUALITY_TRIAL_ANSWERS 2	     /* in a row that end the trial */
#define QUALITY_STEP_ANSWERS 4	     /* that double the level in RAMP, as does ... */
#define QUALITY_STEP_US 2000000	     /* ... so much time without a fault */
#define QUALITY_BUSY_US 200000	     /* rest of one that has no room; doubles up to ... */
#define QUALITY_BUSY_MAX_US 5000000  /* ... this while it never answers in between */
#define QUALITY_LATENCY_FREE_US 5000 /* slower than one and a half of the reference: free */
#define QUALITY_LAG_FREE 2	     /* blocks behind that cost nothing */
#define QUALITY_VOUCH_PART                                                                         \
	8 /* who is bad in more than one relay of so many vouches for nothing                      \
	   */

/* Weights of the shares, and bounds of the other penalties; in units of 1. */
#define QUALITY_WEIGHT_ERRORS 8
#define QUALITY_WEIGHT_MISBEHAVIOUR 16
#define QUALITY_WEIGHT_THROTTLES 4
#define QUALITY_WEIGHT_REFUSALS 4
#define QUALITY_WEIGHT_LATENCY 2
#define QUALITY_LATENCY_MAX 15
#define QUALITY_LAG_MAX 15

/* From the section `gateway` of the configuration. */
struct quality_limits {
	usec_t window_us;   /* looked back on; a multiple of QUALITY_WINDOWS */
	usec_t cooldown_us; /* the first rest after faults; twice as long each time, up to ... */
	usec_t cooldown_max_us; /* ... this, until it was READY for a whole window */
};

/* How a relay ended. */
enum quality_outcome {
	QUALITY_ANSWER,	    /* a valid answer, an error of execution too */
	QUALITY_LOST,	    /* another was faster, and this one is not waited for any more */
	QUALITY_FAULT,	    /* it failed: its backend, its machine */
	QUALITY_SILENT,	    /* no answer in the time that it had */
	QUALITY_CANNOT,	    /* it says that it cannot serve: no backend, a full disk */
	QUALITY_THROTTLED,  /* it says that it has no room now */
	QUALITY_MISBEHAVED, /* an answer that cannot be right, or breaks the protocol */
	QUALITY_REFUSED,    /* an error or silence where another supplier answered the same call */
	QUALITY_ABSTAINED,  /* nothing to judge: the session ended, a link went, the client left */
	QUALITY_OUTCOMES,
};

enum quality_state {
	QUALITY_READY,
	QUALITY_COOLING,
	QUALITY_TRIAL,
	QUALITY_RAMP,
};

enum quality_factor {
	QUALITY_BY_ERRORS,
	QUALITY_BY_MISBEHAVIOUR,
	QUALITY_BY_THROTTLES,
	QUALITY_BY_REFUSALS,
	QUALITY_BY_LATENCY,
	QUALITY_BY_LAG,
	QUALITY_FACTORS,
};

/* What was seen in some time; adds up. */
struct quality_counts {
	uint32_t outcomes[QUALITY_OUTCOMES];
	uint32_t latencies[QUALITY_BUCKETS];
};

/* One supplier at one service.  Caller's memory; read, change by functions. */
struct quality {
	const struct quality_limits *limits; /* borrowed */
	enum quality_state state;
	enum quality_outcome cause; /* of the last COOLING */
	unsigned epoch;		    /* counts changes of state */
	unsigned strain;	    /* READY, RAMP: since the last answer */
	unsigned trials;	    /* TRIAL: relays out */
	unsigned answers;	    /* TRIAL, RAMP: in a row, towards the next step */
	unsigned level;		    /* RAMP: of 256 */
	unsigned strikes;	    /* how often the rest is doubled */
	unsigned busy;		    /* the same of throttles in a row */
	usec_t since_us;	    /* of this state; RAMP: of this level */
	usec_t until_us;	    /* COOLING */
	usec_t answered_us;	    /* the last answer; 0: none */
	uint64_t lag_blocks;
	usec_t window_until_us; /* when windows[at] is full; 0: nothing was counted yet */
	unsigned at;
	struct quality_counts windows[QUALITY_WINDOWS];
	struct quality_counts sum; /* of all windows */
};

/* Why the health is what it is. */
struct quality_score {
	uint16_t health;		     /* 0..PICK_HEALTHY */
	uint32_t penalties[QUALITY_FACTORS]; /* in 1/256 */
};

/* READY, with nothing seen. */
void quality_init(struct quality *q, const struct quality_limits *limits);

/* Time has passed: windows rotate, rests end, steps are taken.  To be called before the others are,
 * now and then, and need not be exact. */
void quality_turn(struct quality *q, usec_t now);

/* A relay is sent to it.  Returns the epoch to come back with: what was sent before the last change
 * of state is counted, but does not change the state. */
unsigned quality_begin(struct quality *q);
/* That relay is over; each quality_begin() has one of these.
 *
 * In:  epoch    of quality_begin()
 *      sent_us  when it was sent
 *      took_us  from then to its answer, or to its end
 *
 * Silence strains only if nothing else was answered since it was sent: a client may well ask for
 * what takes longer than there is time for. */
void quality_end(struct quality *q, unsigned epoch, enum quality_outcome outcome, usec_t sent_us,
		 usec_t took_us, usec_t now);
/* Another supplier has answered what this one did not, however that relay was counted. */
void quality_refused(struct quality *q, usec_t now);

/* Blocks that its newest is behind the service's. */
void quality_set_lag(struct quality *q, uint64_t blocks);

/* Half of p50 and half of p90 of its latencies; 0 below QUALITY_SAMPLES_MIN answers. */
usec_t quality_latency(const struct quality *q);
/* What latencies are measured against: the lower median of those that are known (> 0) among n
 * suppliers; 0 if none is.  n <= SESSION_MEMBERS_MAX. */
usec_t quality_reference(const usec_t *latencies, size_t n);

/* Its health against that reference, and why.  It never falls with an answer that is no slower than
 * what is known, and never rises with a failure of any kind, with latency or with lag. */
struct quality_score quality_judge(const struct quality *q, usec_t reference_us);

/* Whether its word alone proves anything where it may be an excuse: that something is not there,
 * that the question is wrong.  Not of one that failed, gave what cannot be true, or was
 * contradicted by another's answer in more than a part of its relays. */
bool quality_vouches(const struct quality *q);

/* The health that these penalties leave to one that is READY: what is known of it while it rests.
 */
uint16_t quality_awake(const struct quality_score *score);

/* The bound on concentration: lowers the highest healths so far that no member's part of the pick,
 * weight x health / W, is more than `percent` / 100 of its part of the stake of those whose health
 * is > 0.  All that are lowered get the same health, the highest that keeps the bound; but never
 * less than 1.
 *
 * In: weights  draw weights; healths 0..PICK_HEALTHY, changed; n <= SESSION_MEMBERS_MAX
 *     percent  >= 100
 */
void quality_cap(const uint64_t *weights, uint16_t *healths, size_t n, uint64_t percent);

/* Adds all of `from`, for a view of several workers. */
void quality_counts_add(struct quality_counts *to, const struct quality_counts *from);
/* An upper bound of the q-quantile (0..1) of the latencies, at most a quarter above; 0 when there
 * are none. */
usec_t quality_counts_quantile(const struct quality_counts *c, double q);

/* Words for logs and pages. */
const char *quality_state_name(enum quality_state state);
const char *quality_outcome_name(enum quality_outcome outcome);
const char *quality_factor_name(enum quality_factor factor);

#endif
