/* SPDX-License-Identifier: Apache-2.0
 * One request from upstream_fetch() to its end: waiting for room, attempts at one URL after
 * another, their share of the time and the deadline over all of them.  What an attempt says of its
 * URL is backend.c's. */
#include <assert.h>
#include <stdio.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/upstream/internal.h"

#define SPARE_MAX 1024 /* idle easy handles of one pool, about 6 KiB each */

usec_t upstream_retry_after(struct view value)
{
	char text[64];
	uint64_t seconds;
	time_t at;

	if (value.n == 0 || value.n >= sizeof(text))
		return 0;
	if (u64_parse((const char *)value.p, value.n, &seconds))
		return (usec_t)MIN(seconds, (uint64_t)UPSTREAM_RETRY_AFTER_S) * 1000000;
	snprintf(text, sizeof(text), "%.*s", (int)value.n, (const char *)value.p);
	at = curl_getdate(text, NULL);
	if (at <= clock_wall_ms() / 1000)
		return 0;
	return MIN(at - clock_wall_ms() / 1000, (time_t)UPSTREAM_RETRY_AFTER_S) * 1000000;
}

/* --- calls --- */

static size_t bytes_max(const struct upstream_call *call)
{
	size_t max = call->pool->limits.body_max;

	return call->request.data ? max : MIN(max, (size_t)UPSTREAM_WHOLE_MAX);
}

bool upstream_call_expect(struct upstream_call *call, uint64_t length)
{
	size_t whole_max = call->request.data ? call->request.whole_max : SIZE_MAX;

	if (length > bytes_max(call)) {
		call->too_large = true;
		return false;
	}
	buf_reserve(&call->body, call->request.headroom + MIN((size_t)length, whole_max));
	return true;
}

static void deadline_arm(struct upstream_pool *pool, usec_t at_us);

/* From the first piece on there is no deadline, only a limit on standing still. */
static void call_set_stall(struct upstream_call *call)
{
	call->until_us = call->paused ? INT64_MAX : clock_mono_us() + call->pool->limits.stall_us;
	deadline_arm(call->pool, call->until_us);
}

static bool call_give(struct upstream_call *call, struct view data)
{
	if (!call->request.data(call->request.arg, data, &call->unfit))
		return false;
	call_set_stall(call);
	return true;
}

static bool status_is_well(int status)
{
	return status < 500 && status != 408 && status != 429;
}

static bool status_is_redirect(int status)
{
	return status >= 300 && status < 400;
}

/* What a status says that is no answer's. */
static enum upstream_fault status_fault(int status)
{
	if (status_is_redirect(status))
		return UPSTREAM_FAULT_REDIRECT;
	if (status == 429 || status == 503)
		return UPSTREAM_FAULT_LATER;
	return status >= 400 ? UPSTREAM_FAULT_STATUS : UPSTREAM_FAULT_ANSWER;
}

/* The body has become longer than what is given whole. */
static bool call_begin_stream(struct upstream_call *call)
{
	size_t headroom = call->request.headroom;
	bool ok;

	if (!status_is_well(call->status) || status_is_redirect(call->status))
		return err_set(&call->unfit, ERR_UPSTREAM, "HTTP status %d", call->status);
	call->streams = true;
	ok = call_give(call, VIEW(call->body.p + headroom, call->body.n - headroom));
	buf_finish(&call->body);
	return ok;
}

bool upstream_call_body(struct upstream_call *call, struct view data)
{
	size_t headroom = call->request.headroom;

	if (data.n > bytes_max(call) - call->got) {
		call->too_large = true;
		return false;
	}
	call->got += data.n;
	if (call->streams)
		return call_give(call, data);
	if (call->body.n == 0) {
		buf_reserve(&call->body, headroom + data.n);
		call->body.n = headroom;
	}
	buf_put(&call->body, data.p, data.n);
	return !call->request.data || call->got <= call->request.whole_max ||
	       call_begin_stream(call);
}

static struct upstream_calls *list_of(struct upstream_pool *pool, enum upstream_call_state state)
{
	switch (state) {
	case UPSTREAM_CALL_SPARE:
		return &pool->spare;
	case UPSTREAM_CALL_ASKING:
		return &pool->asking;
	case UPSTREAM_CALL_WAITING:
		return &pool->waiting;
	case UPSTREAM_CALL_REFUSED:
		return &pool->refused;
	}
	return NULL;
}

/* Which state may follow which; one bit each. */
static void call_set_state(struct upstream_call *call, enum upstream_call_state to)
{
	static const unsigned legal[] = {
		[UPSTREAM_CALL_SPARE] = 1u << UPSTREAM_CALL_ASKING | 1u << UPSTREAM_CALL_WAITING |
					1u << UPSTREAM_CALL_REFUSED,
		[UPSTREAM_CALL_ASKING] = 1u << UPSTREAM_CALL_ASKING | 1u << UPSTREAM_CALL_WAITING |
					 1u << UPSTREAM_CALL_SPARE,
		[UPSTREAM_CALL_WAITING] = 1u << UPSTREAM_CALL_ASKING | 1u << UPSTREAM_CALL_REFUSED |
					  1u << UPSTREAM_CALL_SPARE,
		[UPSTREAM_CALL_REFUSED] = 1u << UPSTREAM_CALL_ASKING | 1u << UPSTREAM_CALL_WAITING |
					  1u << UPSTREAM_CALL_SPARE,
	};
	struct upstream_pool *pool = call->pool;
	int waits = (to == UPSTREAM_CALL_WAITING) - (call->state == UPSTREAM_CALL_WAITING);

	assert(legal[call->state] >> to & 1u);
	TAILQ_REMOVE(list_of(pool, call->state), call, link);
	pool->waiting_n += (size_t)waits;
	if (waits)
		metric_move(METRIC_UPSTREAM_WAITING, waits);
	call->state = to;
	if (to == UPSTREAM_CALL_SPARE)
		TAILQ_INSERT_HEAD(&pool->spare, call, link); /* the warmest first */
	else
		TAILQ_INSERT_TAIL(list_of(pool, to), call, link);
}

/* A call for a request; it is still SPARE. */
static struct upstream_call *call_take(struct upstream_pool *pool,
				       const struct upstream_request *request)
{
	struct upstream_call *call = TAILQ_FIRST(&pool->spare);

	assert(request->done);
	if (!call) {
		call = xcalloc(1, sizeof(*call));
		call->pool = pool;
		call->url_set = -1;
		TAILQ_INSERT_HEAD(&pool->spare, call, link);
		pool->spare_n++;
	}
	pool->spare_n--;
	pool->in_flight++;
	call->request = *request;
	call->asked = 0;
	call->is_probe = false;
	call->sent = false;
	call->start_us = clock_mono_us();
	return call;
}

void upstream_call_destroy(struct upstream_call *call)
{
	if (call->easy)
		curl_easy_cleanup(call->easy);
	buf_finish(&call->body);
	free(call);
}

static void drop_kept(struct upstream_call *call)
{
	if (call->has_kept)
		buf_finish(&call->kept.body);
	call->has_kept = false;
}

static void call_give_back(struct upstream_call *call)
{
	struct upstream_pool *pool = call->pool;

	call_set_state(call, UPSTREAM_CALL_SPARE);
	pool->in_flight--;
	drop_kept(call);
	buf_finish(&call->body);
	if (++pool->spare_n <= SPARE_MAX)
		return;
	TAILQ_REMOVE(&pool->spare, call, link);
	pool->spare_n--;
	upstream_call_destroy(call);
}

static void call_end(struct upstream_call *call, struct upstream_result *result,
		     const struct err *err)
{
	struct upstream_request request = call->request;

	request.done(request.arg, result, err);
	if (result)
		buf_finish(&result->body);
	call_give_back(call);
}

static void call_answer(struct upstream_call *call, struct upstream_result *result)
{
	result->latency_us = clock_now_us() - call->start_us;
	call_end(call, result, NULL);
}

/* --- deadlines: one timer for all calls, since libcurl's own costs each of them --- */

static void deadline_arm(struct upstream_pool *pool, usec_t at_us)
{
	usec_t left = MAX(at_us - clock_mono_us(), (usec_t)0);
	struct timeval tv = {left / 1000000, left % 1000000};

	if (at_us >= pool->deadline_us)
		return;
	pool->deadline_us = at_us;
	evtimer_add(&pool->deadline, &tv);
}

/* When this attempt must be over: what could be asked elsewhere, too, gets a share of the time. */
static usec_t attempt_until(const struct upstream_call *call)
{
	usec_t deadline = call->request.deadline_us, now = clock_mono_us();
	unsigned others;

	if (!call->request.idempotent || call->is_probe || deadline <= now)
		return deadline;
	others = upstream_urls_left(call->pool, call->asked);
	return now + (deadline - now) / (1 + (usec_t)others);
}

/* Starts an attempt at a URL. */
static void call_start(struct upstream_call *call, unsigned url)
{
	call->url = url;
	call->asked |= 1u << url;
	call->attempt_us = clock_mono_us();
	call->until_us = attempt_until(call);
	call->later_us = 0;
	call->too_large = false;
	call->streams = call->paused = call->held = false;
	call->status = 0;
	call->got = 0;
	call->unfit.code = ERR_NONE;
	call->body.n = 0;
	call_set_state(call, UPSTREAM_CALL_ASKING);
	upstream_url_begin(call);
	deadline_arm(call->pool, call->until_us);
	if (call->pool->urls[url].plain)
		upstream_plain_start(call);
	else
		upstream_curl_start(call);
}

static void call_abort(struct upstream_call *call)
{
	bool sent = call->pool->urls[call->url].plain ? upstream_plain_abort(call)
						      : upstream_curl_abort(call);

	call->sent |= sent;
}

/* Asks the next URL or waits for one; false: there is none, or no room to wait. */
static bool call_dispatch(struct upstream_call *call, struct err *err)
{
	struct upstream_pool *pool = call->pool;
	unsigned url;

	switch (upstream_url_pick(pool, call->asked, !call->request.idempotent, &url)) {
	case UPSTREAM_PICK_GO:
		call_start(call, url);
		return true;
	case UPSTREAM_PICK_WAIT:
		if (pool->waiting_n >= pool->limits.queue_max)
			return err_set(err, ERR_OVERLOAD, "service %s: %zu requests wait already",
				       pool->name, pool->waiting_n);
		call->until_us = call->request.deadline_us;
		call_set_state(call, UPSTREAM_CALL_WAITING);
		deadline_arm(pool, call->until_us);
		return true;
	case UPSTREAM_PICK_NONE:
		break;
	}
	return err_set(err, ERR_NO_BACKEND, "service %s: all of its backends rest", pool->name);
}

/* Asks the next URL if the request may be sent again; false: this attempt was the last. */
static bool call_retry(struct upstream_call *call)
{
	struct err err;

	return !call->is_probe && (call->request.idempotent || !call->sent) &&
	       call->request.deadline_us > clock_mono_us() && call_dispatch(call, &err);
}

/* An attempt has failed: the next, or the end. */
static void call_fail(struct upstream_call *call, struct err *err)
{
	struct upstream_result kept = call->kept;

	if (call->streams) { /* what has been given cannot be taken back */
		call_end(call, NULL, err);
		return;
	}
	if (call_retry(call))
		return;
	if (call->has_kept) {
		call->has_kept = false;
		call_answer(call, &kept);
		return;
	}
	if (err->code == ERR_UPSTREAM && !call->sent)
		err->code = ERR_NO_BACKEND;
	call_end(call, NULL, err);
}

static void call_expire(struct upstream_call *call)
{
	struct err err;

	if (call->state == UPSTREAM_CALL_WAITING) {
		err_set(&err, ERR_OVERLOAD, "service %s: no backend had room in time",
			call->pool->name);
		call_fail(call, &err);
		return;
	}
	call_abort(call);
	if (call->streams)
		err_set(&err, ERR_STALLED, "%s stopped in the midst of its answer",
			call->pool->urls[call->url].text);
	else
		err_set(&err, ERR_DEADLINE, "%s did not answer in time",
			call->pool->urls[call->url].text);
	upstream_url_end(call, UPSTREAM_FAULT_SLOW, false, &err);
	call_fail(call, &err);
}

/* The first call of a list whose time is over, or NULL and the earliest time of all. */
static struct upstream_call *deadline_find(struct upstream_calls *calls, usec_t *earliest)
{
	struct upstream_call *call;
	usec_t now = clock_mono_us();

	TAILQ_FOREACH (call, calls, link) {
		if (call->until_us <= now)
			return call;
		*earliest = MIN(*earliest, call->until_us);
	}
	return NULL;
}

void upstream_pool_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_pool *pool = arg;
	struct upstream_call *call;
	usec_t earliest;

	clock_tick();
	pool->deadline_us = INT64_MAX;
	do {
		earliest = INT64_MAX;
		call = deadline_find(&pool->asking, &earliest);
		if (!call)
			call = deadline_find(&pool->waiting, &earliest);
		if (call)
			call_expire(call); /* its callback may change the lists */
	} while (call);
	deadline_arm(pool, earliest);
}

void upstream_pool_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_pool *pool = arg;
	struct upstream_call *call, *next;
	unsigned url;

	clock_tick();
	for (call = TAILQ_FIRST(&pool->waiting); call; call = next) {
		enum upstream_pick pick =
			upstream_url_pick(pool, call->asked, !call->request.idempotent, &url);

		next = TAILQ_NEXT(call, link);
		if (pick == UPSTREAM_PICK_GO) {
			call_start(call, url);
		} else if (pick == UPSTREAM_PICK_NONE) {
			err_set(&call->why, ERR_NO_BACKEND, "service %s: all of its backends rest",
				pool->name);
			call_set_state(call, UPSTREAM_CALL_REFUSED);
		} else if (call->asked == 0) {
			break; /* nor is there room for those behind it */
		}
	}
	while ((call = TAILQ_FIRST(&pool->refused))) {
		call_fail(call, &call->why); /* takes it off */
		ANALYZER_FACT(call != TAILQ_FIRST(&pool->refused));
	}
}

/* --- the ends of attempts --- */

/* What is wrong with an answer; *ret_fit: it may be passed on all the same. */
static enum upstream_fault answer_fault(struct upstream_call *call,
					const struct upstream_result *result, bool *ret_fit,
					struct err *err)
{
	int status = result->status;
	bool well = status_is_well(status);

	*ret_fit = false;
	if (status_is_redirect(status)) {
		err_set(err, ERR_UPSTREAM, "HTTP status %d: redirects are not followed", status);
		return UPSTREAM_FAULT_REDIRECT;
	}
	*ret_fit = call->request.check ? call->request.check(call->request.arg, result, err) : well;
	if (*ret_fit && well)
		return UPSTREAM_FAULT_NONE;
	if (status >= 400)
		err_set(err, ERR_UPSTREAM, "HTTP status %d", status);
	return status_fault(status);
}

void upstream_call_on_answer(struct upstream_call *call, int status, struct view type)
{
	struct upstream_result result = {.headroom = call->request.headroom,
					 .url_index = call->url};
	enum upstream_fault fault;
	struct err err;
	bool fit;

	if (call->body.n == 0 && !call->streams) {
		buf_reserve(&call->body, call->request.headroom);
		call->body.n = call->request.headroom;
	}
	result.streamed = call->streams;
	call->sent = true;
	result.status = status;
	result.content_type = type;
	result.body = call->body;
	fault = answer_fault(call, &result, &fit, &err);
	upstream_url_end(call, fault, fit, &err);
	if (!fit) {
		call_fail(call, &err);
		return;
	}
	call->body = (struct buf){0};
	if (fault == UPSTREAM_FAULT_NONE) {
		call_answer(call, &result);
		return;
	}
	/* A backend that is not well, with an answer to this call: a better one is looked for. */
	drop_kept(call);
	result.content_type = (struct view){0};
	call->kept = result;
	call->has_kept = true;
	call_fail(call, &err);
}

void upstream_call_on_failure(struct upstream_call *call, bool sent, const char *why)
{
	struct upstream_pool *pool = call->pool;
	enum upstream_fault fault = sent ? UPSTREAM_FAULT_CUT : UPSTREAM_FAULT_CONNECT;
	struct err err;

	call->sent |= sent;
	if (call->too_large) {
		err_set(&err, ERR_UPSTREAM_TOO_LARGE, "more than %zu bytes", pool->limits.body_max);
		upstream_url_end(call, UPSTREAM_FAULT_TOO_LARGE, false, &err);
		call_end(call, NULL, &err);
		return;
	}
	if (call->unfit.code != ERR_NONE) {
		err = call->unfit;
		fault = status_fault(call->status);
	} else if (call->until_us <= clock_mono_us()) {
		err_set(&err, ERR_DEADLINE, "%s did not answer in time",
			pool->urls[call->url].text);
		fault = UPSTREAM_FAULT_SLOW;
	} else {
		err_set(&err, ERR_UPSTREAM, "%s: %s", pool->urls[call->url].text, why);
	}
	upstream_url_end(call, fault, false, &err);
	call_fail(call, &err);
}

/* --- beginning and giving up --- */

struct upstream_call *upstream_fetch(struct upstream_pool *pool,
				     const struct upstream_request *request)
{
	struct upstream_call *call = call_take(pool, request);

	if (!call_dispatch(call, &call->why)) {
		call_set_state(call, UPSTREAM_CALL_REFUSED);
		upstream_pool_wake(pool);
	}
	return call;
}

struct upstream_call *upstream_probe_start(struct upstream_url *url,
					   const struct upstream_request *request)
{
	struct upstream_call *call = call_take(url->pool, request);

	call->is_probe = true;
	call_start(call, (unsigned)(url - url->pool->urls));
	return call;
}

void upstream_cancel(struct upstream_call *call)
{
	if (call->state == UPSTREAM_CALL_ASKING) {
		call_abort(call);
		upstream_url_forget(call);
	}
	call_give_back(call);
}

void upstream_pause(struct upstream_call *call)
{
	assert(call->streams);
	if (call->paused)
		return;
	call->paused = true;
	call->until_us = INT64_MAX;
	if (call->pool->urls[call->url].plain)
		upstream_plain_pause(call);
}

void upstream_resume(struct upstream_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	call_set_stall(call);
	if (call->pool->urls[call->url].plain)
		upstream_plain_resume(call);
	else
		upstream_curl_resume(call);
}
