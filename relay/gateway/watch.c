/* SPDX-License-Identifier: Apache-2.0
 * A worker's rounds of questions for heads, and the calls that wait for them. */
#include <assert.h>

#include "relay/gateway/head_private.h"
#include "relay/gateway/internal.h"

TAILQ_HEAD(waiting_calls, call);

/* A worker's newest round of a tag. */
struct round {
	unsigned open;	/* questions that are not answered yet */
	unsigned asked; /* in all */
	unsigned told;	/* answered */
	usec_t begun_us;
	uint64_t floor; /* when it began */
	struct waiting_calls calls;
};

/* One question of a round. */
struct poll {
	struct asker asker;
	struct watch *watch;
	const struct supplier *supplier; /* compared only */
	size_t service;
	enum chain_tag tag;
	usec_t begun_us; /* of its round */
	LIST_ENTRY(poll) entry;
};

struct watch {
	struct worker *worker;
	LIST_HEAD(, poll) polls;
	unsigned waiting; /* calls, of all rounds */
	struct round rounds[][HEAD_TAGS];
};

/* --- when --- */

/* Rounds tell nothing, of a backend that has no blocks or cannot say: calls do not wait for them.
 */
static bool is_vain(const struct tip *tip)
{
	return tip->vain >= HEAD_VAIN_ROUNDS;
}

static void end_round(struct tip *tip, bool in_vain)
{
	tip->vain = in_vain ? MIN(tip->vain + 1, (unsigned)HEAD_VAIN_ROUNDS) : 0;
}

/* A round may begin: this worker has none that is waited for, and nobody began one just now. */
static bool may_begin(const struct heads *heads, const struct tip *tip, const struct round *round,
		      usec_t now)
{
	usec_t gap = is_vain(tip) ? MIN(heads->interval_us, (usec_t)HEAD_AGAIN_US) : 0;

	return (round->open == 0 || now - round->begun_us > HEAD_WAIT_US) &&
	       (tip->asked_us == 0 || now - tip->asked_us >= MAX(gap, (usec_t)HEAD_ROUND_GAP_US));
}

static void begin_round(struct watch *watch, size_t service, enum chain_tag tag, usec_t now);

bool head_ready(struct worker *w, const struct account *account, enum chain_tag tag, bool young,
		struct head_state *ret)
{
	struct heads *heads = w->gateway->heads;
	size_t service = heads_at(heads, &account->key.service);
	struct tip *tip = &heads->services[service].tips[tag];
	usec_t now = clock_mono_us();
	bool good, again;

	pthread_mutex_lock(&tip->lock);
	good = tip_is_good(heads, tip, now);
	*ret = tip_state(heads, tip, now);
	if (!young)
		good = ret->known && (tip->checked_us == 0 || !tip_is_overtaken(tip));
	again = good && young && now - tip->checked_us > heads->interval_us / 2 &&
		may_begin(heads, tip, &w->watch->rounds[service][tag], now);
	pthread_mutex_unlock(&tip->lock);
	if (again) /* so that no call has to wait while calls come */
		begin_round(w->watch, service, tag, now);
	return good;
}

/* --- rounds --- */

/* Those that have waited since then, or longer, go on: with what is known now. */
static void release(struct watch *watch, struct round *round, usec_t since)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&round->calls)) && call->await_from_us <= since) {
		TAILQ_REMOVE(&round->calls, call, await);
		call->awaits = false;
		watch->waiting--;
		pin_go(call);
	}
}

/* Half of those that were asked have told and agree, or nobody is left who may: it counts. */
static bool is_told(const struct tip *tip, const struct round *round)
{
	return round->open == 0 || (round->told * 2 > round->asked && !head_state(tip->head)->tied);
}

static void look_at_round(struct watch *watch, size_t service, enum chain_tag tag, usec_t begun_us)
{
	struct heads *heads = watch->worker->gateway->heads;
	struct tip *tip = &heads->services[service].tips[tag];
	struct round *round = &watch->rounds[service][tag];
	usec_t now = clock_mono_us();
	bool told, good;

	if (begun_us != round->begun_us)
		return; /* of a round that was given up */
	pthread_mutex_lock(&tip->lock);
	told = is_told(tip, round);
	if (told && round->told > 0) {
		head_settle(tip->head, now);
		if (tag == CHAIN_TAG_LATEST)
			service_keep_head(&heads->services[service], watch->worker->gateway->reuse,
					  NULL);
		tip->checked_us = MAX(tip->checked_us, round->begun_us);
		if (round->open == 0)
			tip->checked_floor = round->floor;
	}
	if (told && round->asked > 0)
		end_round(tip, round->told == 0 || !head_state(tip->head)->known);
	good = tip_is_good(heads, tip, now) || is_vain(tip);
	if (tag == CHAIN_TAG_LATEST)
		service_show_head(&heads->services[service]);
	pthread_mutex_unlock(&tip->lock);
	if (good)
		release(watch, round, now);
	else if (round->open == 0)
		release(watch, round, begun_us); /* who came later waits for the next one */
}

static void poll_destroy(struct poll *poll)
{
	LIST_REMOVE(poll, entry);
	ask_leave(&poll->asker);
	free(poll);
}

static void end_poll(struct poll *poll, bool told)
{
	struct watch *watch = poll->watch;
	struct round *round = &watch->rounds[poll->service][poll->tag];
	size_t service = poll->service;
	enum chain_tag tag = poll->tag;
	usec_t begun_us = poll->begun_us;

	poll_destroy(poll);
	if (begun_us == round->begun_us) {
		round->open--;
		round->told += told;
	}
	metric_add_at(METRIC_GATEWAY_HEAD_POLLS, told ? ERR_NONE : ERR_UPSTREAM, 0, 1);
	look_at_round(watch, service, tag, begun_us);
}

/* What an answer to the question tells; false: nothing. */
static bool read_poll(const struct poll *poll, struct head_report *ret)
{
	const struct ask *ask = poll->asker.ask;
	const struct relay *relay = ask_relay(ask);
	const struct chain *chain = relay->session->chain;
	struct chain_answer answer;
	struct chain_call call;

	chain_call_read(chain, ask->method, chain_head_params(chain, poll->tag), &call);
	if (ask_answer(ask)->result.n == 0)
		return false;
	chain_answer_read(chain, &call, ask_answer(ask)->result, &answer);
	if (!answer.number_known)
		return false;
	*ret = (struct head_report){
		.is_newest = true,
		.has_hash = answer.hash_known,
		.has_parent = answer.hash_known && answer.parent_known,
		.block = {answer.number, answer.hash},
		.parent = answer.parent,
	};
	return true;
}

static void note_told(const struct poll *poll)
{
	struct heads *heads = poll->watch->worker->gateway->heads;
	struct tip *tip = &heads->services[poll->service].tips[poll->tag];

	pthread_mutex_lock(&tip->lock);
	tip->told_us = clock_mono_us();
	pthread_mutex_unlock(&tip->lock);
}

static void on_answer(struct asker *asker)
{
	struct poll *poll = CONTAINER_OF(asker, struct poll, asker);
	struct head_report report;
	bool told = read_poll(poll, &report);

	if (told) {
		head_heard(poll->watch->worker, ask_relay(asker->ask)->member, poll->tag, &report);
		note_told(poll);
	}
	end_poll(poll, told);
}

static void on_failed(struct asker *asker, const struct err *why)
{
	end_poll(CONTAINER_OF(asker, struct poll, asker), false);
}

/* No head is as long as a stream: whoever says so lies. */
static bool on_part(struct asker *asker, struct buf *part, bool last, struct err *err)
{
	return err_set(err, ERR_UPSTREAM, "a head of more than one part");
}

static bool on_broken(struct asker *asker, const struct err *why)
{
	return true;
}

static void on_alone(struct asker *asker)
{
	assert(false); /* nobody joins the ask of a round */
}

static const struct asker_ops poll_ops = {
	.on_answer = on_answer,
	.on_failed = on_failed,
	.on_part = on_part,
	.on_broken = on_broken,
	.on_alone = on_alone,
};

static void ask_member(struct watch *watch, size_t service, enum chain_tag tag,
		       struct account *account, const struct member *member)
{
	static const struct rpc_limits one = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	struct worker *w = watch->worker;
	struct round *round = &watch->rounds[service][tag];
	struct poll *poll = xcalloc(1, sizeof(*poll));
	struct rpc_request request;
	struct ask_params params;
	struct err err;
	bool ok = rpc_request_scan(chain_head_call(member->session->chain, tag), &one, &request,
				   &err);

	assert(ok);
	poll->asker.ops = &poll_ops;
	poll->watch = watch;
	poll->supplier = member->supplier;
	LIST_INSERT_HEAD(&watch->polls, poll, entry);
	poll->service = service;
	poll->tag = tag;
	poll->begun_us = round->begun_us;
	round->asked++;
	round->open++;
	params = (struct ask_params){
		.account = account,
		.call = &request.one,
		.deadline_us = clock_mono_us() + w->cfg->gateway.deadline,
		.terms = {.attempts_max = 1,
			  .below = UINT64_MAX,
			  .oldest = UINT64_MAX,
			  .only = member->supplier},
	};
	ask_start(&poll->asker, w, &params);
}

/* A member that still owes an answer is not asked for another. */
static bool may_be_asked(const struct watch *watch, size_t service, enum chain_tag tag,
			 const struct member *member)
{
	const struct poll *poll;

	if (!member_is_ready(member) || member->dropped)
		return false;
	LIST_FOREACH (poll, &watch->polls, entry) {
		if (poll->supplier == member->supplier && poll->service == service &&
		    poll->tag == tag)
			return false;
	}
	return true;
}

/* Nobody could be asked: that was no round, and the next call need not wait for the time of one. */
static void unask(struct tip *tip, usec_t now, usec_t before_us)
{
	pthread_mutex_lock(&tip->lock);
	if (tip->asked_us == now)
		tip->asked_us = before_us;
	pthread_mutex_unlock(&tip->lock);
}

/* Asks every member of the default application's session that can be asked. */
static void begin_round(struct watch *watch, size_t service, enum chain_tag tag, usec_t now)
{
	struct worker *w = watch->worker;
	struct service *it = &w->gateway->heads->services[service];
	struct tip *tip = &it->tips[tag];
	struct round *round = &watch->rounds[service][tag];
	struct account *account;
	struct session *session;
	usec_t before_us;
	struct err err;

	pthread_mutex_lock(&tip->lock);
	if (round->open > 0) /* it is given up */
		end_round(tip, round->told == 0);
	before_us = tip->asked_us;
	tip->asked_us = now;
	round->floor = head_state(tip->head)->floor;
	pthread_mutex_unlock(&tip->lock);
	round->begun_us = now;
	round->asked = round->told = 0;
	round->open = 1; /* until all are asked: some may fail at once */
	account = account_get(w, &w->cfg->gateway.application.id, &it->name, &err);
	if (account && account_session(w, account, &session, &err) &&
	    chain_head_call(session->chain, tag).n > 0) {
		session_ref(session);
		for (size_t i = 0; i < session->count; i++) {
			const struct member *m = &session->members[i];

			if (may_be_asked(watch, service, tag, m))
				ask_member(watch, service, tag, account, m);
		}
		session_unref(w, session);
	}
	if (round->asked == 0)
		unask(tip, now, before_us);
	round->open--;
	look_at_round(watch, service, tag, now);
}

static void enqueue(struct watch *watch, struct round *round, struct call *call, usec_t now)
{
	call->awaits = true;
	call->await_from_us = now;
	call->await_round = round;
	TAILQ_INSERT_TAIL(&round->calls, call, await);
	watch->waiting++;
	metric_add(METRIC_GATEWAY_HEAD_WAITS, 1);
}

void head_await(struct call *call, enum chain_tag tag)
{
	struct worker *w = call->request->worker;
	struct heads *heads = w->gateway->heads;
	size_t service = heads_at(heads, &call->request->account->key.service);
	struct tip *tip = &heads->services[service].tips[tag];
	struct round *round = &w->watch->rounds[service][tag];
	usec_t now = clock_mono_us();
	bool may, vain;

	pthread_mutex_lock(&tip->lock);
	may = may_begin(heads, tip, round, now);
	vain = is_vain(tip);
	pthread_mutex_unlock(&tip->lock);
	if (!vain)
		enqueue(w->watch, round, call, now);
	if (may)
		begin_round(w->watch, service, tag, now);
	if (vain)
		pin_go(call);
}

void head_want(struct worker *w, const struct account *account)
{
	struct heads *heads = w->gateway->heads;
	size_t service = heads_at(heads, &account->key.service);
	struct tip *tip = &heads->services[service].tips[CHAIN_TAG_LATEST];
	usec_t now = clock_mono_us();
	bool may;

	pthread_mutex_lock(&tip->lock);
	may = heads->interval_us > 0 &&
	      may_begin(heads, tip, &w->watch->rounds[service][CHAIN_TAG_LATEST], now);
	pthread_mutex_unlock(&tip->lock);
	if (may)
		begin_round(w->watch, service, CHAIN_TAG_LATEST, now);
}

void head_leave(struct call *call)
{
	if (!call->awaits)
		return;
	call->awaits = false;
	call->request->worker->watch->waiting--;
	TAILQ_REMOVE(&call->await_round->calls, call, await);
}

/* A round in which somebody does not answer is not waited for for ever, and one that another worker
 * has begun serves this one's calls too. */
static void look_at(struct watch *watch, size_t service, enum chain_tag tag, usec_t now)
{
	struct heads *heads = watch->worker->gateway->heads;
	struct tip *tip = &heads->services[service].tips[tag];
	struct round *round = &watch->rounds[service][tag];
	struct call *first = TAILQ_FIRST(&round->calls);
	bool good, may, over;

	if (!first)
		return;
	pthread_mutex_lock(&tip->lock);
	good = tip_is_good(heads, tip, now) || is_vain(tip);
	may = !good && may_begin(heads, tip, round, now);
	over = good || now - first->await_from_us > HEAD_WAIT_US;
	if (over)
		head_settle(tip->head, now);
	pthread_mutex_unlock(&tip->lock);
	if (over)
		release(watch, round, good ? now : now - HEAD_WAIT_US);
	else if (may)
		begin_round(watch, service, tag, now);
}

void watch_look(struct watch *watch, usec_t now)
{
	struct heads *heads = watch->worker->gateway->heads;

	for (size_t i = 0; i < heads->n && watch->waiting > 0; i++) {
		for (unsigned tag = 0; tag < HEAD_TAGS; tag++)
			look_at(watch, i, (enum chain_tag)tag, now);
	}
}

struct watch *watch_create(struct worker *w)
{
	size_t n = w->gateway->heads->n;
	struct watch *watch = xcalloc(1, sizeof(*watch) + n * sizeof(watch->rounds[0]));

	watch->worker = w;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < HEAD_TAGS; k++)
			TAILQ_INIT(&watch->rounds[i][k].calls);
	}
	return watch;
}

void watch_destroy(struct watch *watch)
{
	struct poll *poll;

	if (!watch)
		return;
	assert(watch->waiting == 0);
	while ((poll = LIST_FIRST(&watch->polls))) {
		poll_destroy(poll);
		ANALYZER_FACT(poll != LIST_FIRST(&watch->polls));
	}
	free(watch);
}
