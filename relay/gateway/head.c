/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/head.h"

#include <assert.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

#define PACE_FIRST_US 12000000 /* of a chain of which nothing is known */

/* One tag of one service. */
struct tip {
	pthread_mutex_t lock;
	struct head *head;
	usec_t asked_us;   /* when the newest round began */
	usec_t checked_us; /* when the newest round began that has told enough */
	usec_t wrote_us;   /* when a transaction was last sent */
	uint64_t checked_floor;
	uint64_t falls;
};

struct heads {
	usec_t interval_us; /* gateway.head_interval */
	size_t n;
	struct service {
		struct service_name name;
		unsigned label;
		struct tip tips[HEAD_TAGS];
	} services[];
};

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

struct heads *heads_create(const struct config *cfg, const struct service_name *services, size_t n)
{
	struct heads *heads = xcalloc(1, sizeof(*heads) + n * sizeof(heads->services[0]));

	heads->interval_us = cfg->gateway.head_interval;
	heads->n = n;
	for (size_t i = 0; i < n; i++) {
		struct service *service = &heads->services[i];

		service->name = services[i];
		service->label = metrics_label(METRIC_LABEL_SERVICE, services[i].s);
		for (size_t k = 0; k < HEAD_TAGS; k++) {
			pthread_mutex_init(&service->tips[k].lock, NULL);
			service->tips[k].head = head_create(PACE_FIRST_US);
		}
	}
	return heads;
}

void heads_destroy(struct heads *heads)
{
	for (size_t i = 0; heads && i < heads->n; i++) {
		for (size_t k = 0; k < HEAD_TAGS; k++) {
			pthread_mutex_destroy(&heads->services[i].tips[k].lock);
			head_destroy(heads->services[i].tips[k].head);
		}
	}
	free(heads);
}

/* Accounts are made for services of the gateway's own only. */
static size_t service_at(const struct heads *heads, const struct service_name *name)
{
	size_t i = 0;

	while (strcmp(heads->services[i].name.s, name->s) != 0) {
		i++;
		assert(i < heads->n);
	}
	return i;
}

static struct tip *tip_of(const struct worker *w, const struct service_name *name,
			  enum chain_tag tag)
{
	struct heads *heads = w->gateway->heads;

	return &heads->services[service_at(heads, name)].tips[tag];
}

/* --- what is known --- */

/* Something was told, or done, since it was last asked that makes it old. */
static bool is_overtaken(const struct tip *tip)
{
	const struct head_state *s = head_state(tip->head);

	return tip->checked_us <= tip->wrote_us ||
	       (s->pinnable && s->block.number < s->floor && tip->checked_floor < s->floor);
}

/* Fresh enough, and not overtaken. */
static bool is_good(const struct heads *heads, const struct tip *tip, usec_t now)
{
	const struct head_state *s = head_state(tip->head);
	usec_t span = MAX(heads->interval_us, s->block_us / 8);

	return s->known && now - tip->checked_us <= span && !is_overtaken(tip);
}

static void begin_round(struct watch *watch, size_t service, enum chain_tag tag, usec_t now);

/* A round may begin: this worker has none that is waited for, and nobody began one just now. */
static bool may_begin(struct tip *tip, const struct round *round, usec_t now)
{
	return (round->open == 0 || now - round->begun_us > HEAD_WAIT_US) &&
	       (tip->asked_us == 0 || now - tip->asked_us >= HEAD_ROUND_GAP_US);
}

bool head_ready(struct worker *w, const struct account *account, enum chain_tag tag, bool young,
		struct head_state *ret)
{
	struct heads *heads = w->gateway->heads;
	size_t service = service_at(heads, &account->key.service);
	struct tip *tip = &heads->services[service].tips[tag];
	usec_t now = clock_mono_us();
	bool good, again;

	pthread_mutex_lock(&tip->lock);
	good = is_good(heads, tip, now);
	*ret = *head_state(tip->head);
	if (!young)
		good = ret->known && (tip->checked_us == 0 || !is_overtaken(tip));
	again = good && young && now - tip->checked_us > heads->interval_us / 2 &&
		may_begin(tip, &w->watch->rounds[service][tag], now);
	pthread_mutex_unlock(&tip->lock);
	if (again) /* so that no call has to wait while calls come */
		begin_round(w->watch, service, tag, now);
	return good;
}

bool head_get(struct worker *w, const struct account *account, enum chain_tag tag,
	      struct head_state *ret)
{
	struct tip *tip = tip_of(w, &account->key.service, tag);

	pthread_mutex_lock(&tip->lock);
	*ret = *head_state(tip->head);
	pthread_mutex_unlock(&tip->lock);
	return ret->known;
}

/* --- what is told --- */

static void tell(struct worker *w, const struct member *member, struct tip *tip,
		 const struct head_report *report, unsigned label)
{
	const struct session_member *info = member_info(member);
	usec_t now = clock_mono_us();
	const struct head_state *s;

	pthread_mutex_lock(&tip->lock);
	head_join(tip->head, &info->key, &info->owner, info->weight, now);
	head_tell(tip->head, &info->key, report, now);
	s = head_state(tip->head);
	if (s->falls > tip->falls) {
		tip->falls = s->falls;
		metric_add_at(METRIC_GATEWAY_HEAD_FALLS, label, 0, 1);
		log_warn("gateway.head_fell", "service=%s height=%llu",
			 member->session->info->service.s, (unsigned long long)s->number);
	}
	pthread_mutex_unlock(&tip->lock);
}

void head_heard(struct worker *w, const struct member *member, enum chain_tag tag,
		const struct head_report *report)
{
	struct heads *heads = w->gateway->heads;
	struct service *service =
		&heads->services[service_at(heads, &member->session->info->service)];

	tell(w, member, &service->tips[tag], report, service->label);
}

void head_missed(struct worker *w, const struct member *member, enum chain_tag tag,
		 const struct hash *hash)
{
	struct tip *tip = tip_of(w, &member->session->info->service, tag);
	usec_t now = clock_mono_us();

	pthread_mutex_lock(&tip->lock);
	head_lack(tip->head, &member->supplier->key, hash, now);
	tip->wrote_us = now; /* whether there was a reorganisation is to be asked */
	pthread_mutex_unlock(&tip->lock);
}

void head_told(struct worker *w, const struct account *account, uint64_t number)
{
	struct tip *tip = tip_of(w, &account->key.service, CHAIN_TAG_LATEST);

	pthread_mutex_lock(&tip->lock);
	head_give(tip->head, number);
	pthread_mutex_unlock(&tip->lock);
}

void head_wrote(struct worker *w, const struct account *account)
{
	struct tip *tip = tip_of(w, &account->key.service, CHAIN_TAG_LATEST);

	pthread_mutex_lock(&tip->lock);
	tip->wrote_us = clock_mono_us();
	pthread_mutex_unlock(&tip->lock);
}

/* --- laggards --- */

static void refresh_lags(struct worker *w, struct session *session, usec_t now)
{
	struct tip *tip = tip_of(w, &session->info->service, CHAIN_TAG_LATEST);

	session->lags_us = now;
	pthread_mutex_lock(&tip->lock);
	for (size_t i = 0; i < session->count; i++)
		session->members[i].lag =
			head_lag(tip->head, &session->members[i].supplier->key, now);
	pthread_mutex_unlock(&tip->lock);
}

bool head_is_behind(struct worker *w, struct session *session, const struct member *member,
		    uint64_t below)
{
	usec_t now = clock_mono_us();

	if (session->lags_us == 0 || now - session->lags_us > HEAD_LAGS_US)
		refresh_lags(w, session, now);
	return member->lag > HEAD_GAP && member->lag > below;
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

/* Half of those that were asked have told, or nobody is left who may: it counts. */
static void look_at_round(struct watch *watch, size_t service, enum chain_tag tag, usec_t begun_us)
{
	struct heads *heads = watch->worker->gateway->heads;
	struct tip *tip = &heads->services[service].tips[tag];
	struct round *round = &watch->rounds[service][tag];
	usec_t now = clock_mono_us();
	bool good;

	if (begun_us != round->begun_us)
		return; /* of a round that was given up */
	pthread_mutex_lock(&tip->lock);
	if (round->told > 0 && (round->open == 0 || round->told * 2 > round->asked)) {
		head_look(tip->head, now);
		tip->checked_us = MAX(tip->checked_us, round->begun_us);
		if (round->open == 0)
			tip->checked_floor = round->floor;
	}
	good = is_good(heads, tip, now);
	metric_set_at(METRIC_GATEWAY_HEAD, heads->services[service].label, 0,
		      (int64_t)MIN(head_state(tip->head)->number, (uint64_t)INT64_MAX));
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

/* What is kept of answers goes by the same head. */
static void keep_head(const struct poll *poll, const struct head_report *report)
{
	struct gateway *g = poll->watch->worker->gateway;
	const struct service *service = &g->heads->services[poll->service];
	struct tip *tip = &g->heads->services[poll->service].tips[poll->tag];
	struct head_state head;

	pthread_mutex_lock(&tip->lock);
	head = *head_state(tip->head);
	pthread_mutex_unlock(&tip->lock);
	if (head.pinnable && report->has_hash && ID_EQ(&head.block.hash, &report->block.hash) &&
	    head.block.number == report->block.number)
		reuse_head(g->reuse, &service->name, report);
}

static void on_answer(struct asker *asker)
{
	struct poll *poll = CONTAINER_OF(asker, struct poll, asker);
	struct head_report report;
	bool told = read_poll(poll, &report);

	if (told) {
		head_heard(poll->watch->worker, ask_relay(asker->ask)->member, poll->tag, &report);
		if (poll->tag == CHAIN_TAG_LATEST)
			keep_head(poll, &report);
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
		.terms = {.attempts_max = 1, .below = UINT64_MAX, .only = member->supplier},
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

/* Asks every member of the default application's session that can be asked. */
static void begin_round(struct watch *watch, size_t service, enum chain_tag tag, usec_t now)
{
	struct worker *w = watch->worker;
	struct service *it = &w->gateway->heads->services[service];
	struct round *round = &watch->rounds[service][tag];
	struct account *account;
	struct session *session;
	struct err err;

	round->begun_us = now;
	round->asked = round->told = 0;
	round->open = 1; /* until all are asked: some may fail at once */
	pthread_mutex_lock(&it->tips[tag].lock);
	it->tips[tag].asked_us = now;
	round->floor = head_state(it->tips[tag].head)->floor;
	pthread_mutex_unlock(&it->tips[tag].lock);
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
	round->open--;
	look_at_round(watch, service, tag, now);
}

void head_await(struct call *call, enum chain_tag tag)
{
	struct worker *w = call->request->worker;
	struct heads *heads = w->gateway->heads;
	size_t service = service_at(heads, &call->request->account->key.service);
	struct tip *tip = &heads->services[service].tips[tag];
	struct round *round = &w->watch->rounds[service][tag];
	usec_t now = clock_mono_us();
	bool may;

	call->awaits = true;
	call->await_from_us = now;
	call->await_round = round;
	TAILQ_INSERT_TAIL(&round->calls, call, await);
	w->watch->waiting++;
	pthread_mutex_lock(&tip->lock);
	may = may_begin(tip, round, now);
	pthread_mutex_unlock(&tip->lock);
	if (may)
		begin_round(w->watch, service, tag, now);
}

void head_want(struct worker *w, const struct account *account)
{
	struct heads *heads = w->gateway->heads;
	size_t service = service_at(heads, &account->key.service);
	struct tip *tip = &heads->services[service].tips[CHAIN_TAG_LATEST];
	usec_t now = clock_mono_us();
	bool may;

	pthread_mutex_lock(&tip->lock);
	may = heads->interval_us > 0 &&
	      may_begin(tip, &w->watch->rounds[service][CHAIN_TAG_LATEST], now);
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
	bool good, may;

	if (!first)
		return;
	pthread_mutex_lock(&tip->lock);
	good = is_good(heads, tip, now);
	may = !good && may_begin(tip, round, now);
	pthread_mutex_unlock(&tip->lock);
	if (good || now - first->await_from_us > HEAD_WAIT_US)
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
