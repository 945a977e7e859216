/* SPDX-License-Identifier: Apache-2.0
 * The thread of the claim machine: one step each height, and what it tells of itself. */
#include "relay/node/claimer_private.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>

#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/base/point.h"

#define SLICE_US 20000		  /* of counting, after which a stop is heeded */
#define PAUSE_MIN_US 20000	  /* from step to step */
#define PAUSE_MAX_US 1000000	  /* however long heights are: new heads are counted as they come */
#define TOLD_US (600 * 1000000LL) /* what is at risk is logged again after so long */

void claimer_count(enum claimer_step step)
{
	metric_add_at(METRIC_NODE_CLAIM_STEPS, (unsigned)step, 0, 1);
}

void claimer_books_failed(struct claimer *c, const struct err *err)
{
	uint64_t more;

	if (log_every(&c->books_gate, 10000000, &more))
		log_error("claims.books", "error=\"%s\" more=%" PRIu64, err->msg, more);
}

/* --- what it tells --- */

static void put_notes(struct claimer *c, struct buf *out)
{
	const struct claimer_risk *r = &c->risk;

	if (c->pause_us > 0 || !c->listed)
		buf_putf(out, "rewards: the registry does not answer: %s\n",
			 c->pause_us > 0 ? c->desk_why.msg : "it was not asked yet");
	if (r->sessions > 0)
		buf_putf(out,
			 "rewards: %" PRIu64 " sessions with %" PRIu64
			 " CU are not claimed, of the "
			 "first the window closes at height %" PRIu64 ", now is %" PRIu64 "\n",
			 r->sessions, r->value_cu, r->closes, c->height);
	if (r->claims > 0)
		buf_putf(out,
			 "rewards: %" PRIu64
			 " claims are overdue, the first is lost at height %" PRIu64
			 ", now is %" PRIu64 "\n",
			 r->claims, r->closes, c->height);
	if (r->lanes > 0)
		buf_putf(out,
			 "rewards: %" PRIu64 " lanes lack the last cosigned head of a session that "
			 "is over, for %" PRIu64 " CU\n",
			 r->lanes, r->lanes_cu);
}

/* When it gets worse, and now and then while it lasts. */
static void log_risk(struct claimer *c)
{
	const struct claimer_risk *r = &c->risk;
	usec_t now = clock_now_us();
	bool worse = r->sessions > c->told.sessions || r->claims > c->told.claims ||
		     r->lanes > c->told.lanes;
	bool any = r->sessions + r->claims + r->lanes > 0;

	if (worse || (any && now >= c->told_us + TOLD_US)) {
		c->told_us = now;
		log_warn("claims.at_risk",
			 "sessions=%" PRIu64 " cu=%" PRIu64 " claims=%" PRIu64 " closes=%" PRIu64
			 " height=%" PRIu64 " lanes_without_head=%" PRIu64 " their_cu=%" PRIu64,
			 r->sessions, r->value_cu, r->claims, any ? r->closes : 0, c->height,
			 r->lanes, r->lanes_cu);
	}
	c->told = *r;
}

static void tell(struct claimer *c)
{
	metric_set(METRIC_NODE_CLAIM_RISK, (int64_t)(c->risk.sessions + c->risk.claims));
	metric_set(METRIC_NODE_LANES_WITHOUT_HEAD, (int64_t)c->risk.lanes);
	log_risk(c);
	pthread_mutex_lock(&c->lock);
	c->notes.n = 0;
	put_notes(c, &c->notes);
	pthread_mutex_unlock(&c->lock);
}

void claimer_notes(struct claimer *c, struct buf *out)
{
	pthread_mutex_lock(&c->lock);
	buf_put(out, c->notes.p, c->notes.n);
	pthread_mutex_unlock(&c->lock);
}

/* --- a step --- */

static bool is_stopped(struct claimer *c)
{
	bool stop;

	pthread_mutex_lock(&c->lock);
	stop = c->stop;
	pthread_mutex_unlock(&c->lock);
	return stop;
}

/* Counts all that has come under cosigned heads. */
static bool count_all(struct claimer *c, struct err *err)
{
	bool more = true;

	while (more && !is_stopped(c)) {
		if (!claims_tally(c->book, c->reader, SLICE_US, &more, err))
			return false;
		POINT("claims.counted");
	}
	c->counted = !more;
	return true;
}

static bool release_days(struct claimer *c, struct err *err)
{
	uint32_t day;

	if (!c->listed)
		return true; /* the registry may have claims that the books have lost */
	if (!claims_needed_day(c->book, &day, err))
		return false;
	ledger_release_days(c->p.ledger, day);
	return true;
}

static bool at_height(struct claimer *c, struct err *err)
{
	c->risk = (struct claimer_risk){.closes = UINT64_MAX};
	if (!c->clock_told && !claims_set_clock(c->book, view_clock(c->view), err))
		return false;
	c->clock_told = true;
	if (!claimer_find_names(c, err) || !claims_join_late(c->book, err) ||
	    !claimer_plan(c, err) || !claimer_push(c, err) || !release_days(c, err))
		return false;
	c->planned = c->height;
	tell(c);
	return true;
}

static void step(struct claimer *c)
{
	struct err err = {0};

	clock_tick();
	c->counted = false;
	c->view = registry_view_take(c->p.registry);
	c->height = view_height(c->view, clock_wall_ms());
	if (!count_all(c, &err) || (c->counted && c->height != c->planned && !at_height(c, &err)))
		claimer_books_failed(c, &err);
	registry_view_unref(c->view);
	c->view = NULL;
}

/* Until the next height begins, as the wall clock has it. */
static usec_t until_next(struct claimer *c)
{
	CLEANUP(registry_view_unref)
	struct registry_view *view = registry_view_take(c->p.registry);
	msec_t now_ms = clock_now_ms();
	msec_t next_ms = session_clock_ms(view_clock(view), view_height(view, now_ms) + 1);

	return MIN(MAX((usec_t)(next_ms - now_ms) * 1000, (usec_t)PAUSE_MIN_US),
		   (usec_t)PAUSE_MAX_US);
}

/* Sleeps; false at the end. */
static bool rest(struct claimer *c)
{
	usec_t pause_us = until_next(c);
	struct timespec until;
	bool on;

	clock_gettime(CLOCK_REALTIME, &until); /* allowed: what a condition variable waits by */
	until.tv_sec += (time_t)(pause_us / 1000000);
	until.tv_nsec += (long)(pause_us % 1000000) * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&c->lock);
	if (!c->stop)
		pthread_cond_timedwait(&c->cond, &c->lock, &until);
	on = !c->stop;
	pthread_mutex_unlock(&c->lock);
	return on;
}

static void *claimer_main(void *arg)
{
	struct claimer *c = arg;

	do
		step(c);
	while (rest(c));
	return NULL;
}

/* --- life --- */

bool claimer_create(const struct claimer_params *p, struct claimer **ret, struct err *err)
{
	CLEANUP(claimer_destroy) struct claimer *c = xcalloc(1, sizeof(*c));

	assert(p->batch_sessions >= 1 && p->pause_min_us > 0 && p->pause_min_us <= p->pause_max_us);
	c->p = *p;
	c->p.ledger_dir = xstrdup(p->ledger_dir);
	c->p.source = xstrdup(p->source);
	if (p->registry_key)
		c->registry_key = *p->registry_key;
	c->p.registry_key = p->registry_key ? &c->registry_key : NULL;
	c->self = *relay_key_public(p->key);
	c->planned = UINT64_MAX;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->cond, NULL);
	if (!ledger_reader_open(p->ledger_dir, &c->reader, err) ||
	    !claims_open(p->ledger_dir, &c->self, false, &c->book, err))
		return err_prefix(err, "claims");
	*ret = STEAL(c);
	return true;
}

bool claimer_start(struct claimer *c, struct err *err)
{
	sigset_t all, was;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was); /* signals are for the program's own thread */
	failed = pthread_create(&c->thread, NULL, claimer_main, c);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	c->runs = failed == 0;
	return c->runs || err_set(err, ERR_INTERNAL, "claims: a thread: %s", strerror(failed));
}

void claimer_stop(struct claimer *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	if (c->desk)
		desk_stop(c->desk);
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
	if (c->runs)
		pthread_join(c->thread, NULL);
	c->runs = false;
}

void claimer_destroy(struct claimer *c)
{
	if (c == NULL)
		return;
	assert(!c->runs);
	desk_close(c->desk);
	claims_close(c->book);
	ledger_reader_close(c->reader);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->cond);
	buf_finish(&c->notes);
	free((char *)c->p.ledger_dir);
	free((char *)c->p.source);
	free(c);
}
