/* SPDX-License-Identifier: Apache-2.0
 * A run of a recording: the gateway's own code for calls, picks, attempts, verdicts, the cache and
 * the head (gateway_core), in a world that is made of the recording.
 *
 * The world takes the place of what stands around that code in a gateway: outside.c has its links,
 * its ledger, its clients' connections, its loop, under the names that the code calls.  Time is the
 * recording's: it stands still while something is done, and then goes to what is next.  What came
 * from nobody's doing (calls, ticks, links, views of the registry) comes when it came.  What a
 * supplier answered comes as long after the question as it did, to the same question.  So, where
 * nothing is changed, all is done again as it was, and the entries are the same.
 *
 * Nothing of it is a second way to pick, to retry or to keep. */
#ifndef RELAY_SIM_SIM_H
#define RELAY_SIM_SIM_H

#include "relay/gateway/internal.h"
#include "relay/sim/faults.h"
#include "relay/sim/recording.h"

struct sim;

/* --- what is due (due.c) --- */

struct due {
	usec_t at_us; /* since the head's clock */
	size_t order; /* of two at the same time: the place in the recording */
	const struct entry *entry;
	struct flight *flight; /* what it is an answer to; NULL: nothing */
	bool is_alarm, is_cut;
	uint64_t alarm; /* which one: those before it are off */
};

/* A binary heap; zero-initialised is empty. */
struct due_list {
	struct due *v;
	size_t n, cap;
};
void due_add(struct due_list *list, const struct due *due);
/* False: there is none. */
MUST_USE bool due_next(struct due_list *list, struct due *ret);
void due_finish(struct due_list *list);

/* --- what suppliers did (told.c) --- */

/* To whom, and what: a RELAY's encoding, or the session that a SESSION names. */
struct question {
	struct key_id supplier;
	uint8_t what[32];
};

/* One question of the recording and what came of it. */
struct told {
	struct question question;
	usec_t at_us;
	size_t n, cap;
	const struct entry **answers; /* in their order */
	struct told *next;	      /* of the same question */
	struct told *next_same;	      /* of the same `what`, whoever was asked */
};

struct told_table;

/* All questions of a recording. */
struct told_table *told_table_create(const struct recording *recording);
void told_table_destroy(struct told_table *table);
/* What is to come of a question: the first that was not used yet, of this supplier; or else the
 * last that was; or what another supplier told.  NULL: nobody was ever asked this. */
struct told *told_find(struct told_table *table, const struct question *question);
/* Whether the Nth entry came of a question: it is found in its struct told. */
bool told_is_answer(const struct told_table *table, size_t n);
/* The digest of a request's encoding as it stands in `sent`, for struct question. */
void told_request(struct view encoding, uint8_t ret[32]);

/* --- the world (world.c) --- */

/* A question that is on its way, or answered, on a link of this run. */
struct flight {
	struct link *link;
	uint32_t stream; /* the relay's number, or the session's handle */
	const struct told *told;
	const struct fault *fault; /* NULL: none */
	struct leaf_taken *taken;  /* leaves on their way into the ledger */
	size_t taken_n;
	LIST_ENTRY(flight) all;
};

struct link {
	struct sim *sim;
	struct frame_hello hello;
	unsigned number; /* in the recording */
	size_t supplier; /* the Nth whose link came up */
	bool up;
	struct buf out;
	LIST_ENTRY(link) all;
};

struct pool {
	struct sim *sim;
	const struct link_callbacks *cbs;
	void *arg;
};

struct registry {
	struct registry_view *view; /* newest */
};

/* An address of clients. */
struct source {
	uint64_t number; /* in the recording */
};

/* A client's connection with its one request. */
struct connection {
	struct client client;
	struct source source;
	struct evhttp_request *http;
	LIST_ENTRY(connection) all;
};

struct sim {
	const struct recording *recording;
	const struct faults *faults; /* NULL: as it was */
	struct gateway gateway;
	struct config *config;
	struct registry registry;
	struct worker *worker;
	struct pool pool;
	struct told_table *told;
	struct due_list due;
	usec_t now_us;	/* since the head's clock */
	msec_t skew_ms; /* of the wall clock against it */
	LIST_HEAD(, link) links;
	LIST_HEAD(, flight) flights;
	LIST_HEAD(, connection) connections;
	struct key_id suppliers[256]; /* in the order of their first links */
	size_t supplier_count;
	size_t next_alarm, next_cut; /* entries before these are done */
	uint64_t alarms;
	bool cut_is_due;
	size_t unknown;	    /* relays whose question nobody was ever asked */
	struct buf entries; /* what the run has told */
	size_t told_n;	    /* entries so far */
	bool differs;	    /* entry `told_n` is not the recording's */
	struct buf other;   /* ... but this */
};

/* Runs a recording; faults NULL: as it was, until the first difference.
 * Errors: ERR_FORMAT, ERR_CONFIG, ERR_REGISTRY: the recording cannot be run. */
MUST_USE bool sim_run(const struct recording *recording, const struct faults *faults,
		      struct sim **ret, struct err *err);
void sim_destroy(struct sim *sim);
DEFINE_CLEANUP(struct sim *, sim_destroy)

/* --- between world.c, supplier.c and outside.c --- */

/* The run of this thread. */
struct sim *sim_of_thread(void);
/* Sets the gateway's clock. */
void sim_set_time(struct sim *sim, usec_t at_us, msec_t skew_ms);
/* A frame of the gateway's to a supplier. */
void sim_on_frame(struct link *link, const struct frame *frame);
/* What was due comes from a supplier: see due->flight. */
void sim_give_answer(const struct due *due);
/* A frame comes on a link, if it is up. */
void sim_give_frame(struct link *link, uint8_t type, uint8_t flags, uint32_t stream,
		    struct view payload);
/* The gateway's end of a link; NULL: it has none. */
struct peer *sim_peer_of(const struct link *link);
/* What was read of the world at this very point of the recording, if it is of this kind; NULL: it
 * is not, or a script has led elsewhere. */
const struct entry *sim_read(const struct sim *sim, enum entry_kind kind);

/* --- a run's numbers (tally.c) --- */

struct tally {
	usec_t us;
	uint64_t requests, answers, failed, own, hit, shared, made, head, recomputed, sent, retries,
		hedges, aside, broken;
};
/* Counts entries. */
void tally_add(struct tally *tally, const struct entry *entry);

#endif
