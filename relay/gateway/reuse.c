/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/reuse.h"

#include "relay/base/rng.h"
#include "relay/gateway/internal.h"

#define REUSE_PARAMS_MAX 16384 /* bytes of parameters; longer calls are asked alone */

struct reuse {
	bool shares;
	uint64_t final_depth; /* blocks that a chain may go back */
	struct cache_secret secret;
	pthread_mutex_t lock;
	struct cache *cache;	  /* NULL: nothing is kept */
	struct cache_counts told; /* in the metrics */
};

struct reuse *reuse_create(const struct config *cfg)
{
	struct cache_options options = {
		.bytes_max = MAX(cfg->gateway.cache_bytes, CACHE_BYTES_MIN),
		.chains_max = CACHE_CHAINS_MAX,
		.fresh_us = cfg->gateway.cache_fresh,
		.realtime_us = cfg->gateway.cache_realtime,
	};
	struct reuse *reuse = xcalloc(1, sizeof(*reuse));

	reuse->shares = cfg->gateway.share;
	reuse->final_depth = cfg->gateway.final_depth;
	rng_bytes(reuse->secret.b, sizeof(reuse->secret.b));
	pthread_mutex_init(&reuse->lock, NULL);
	if (cfg->gateway.cache_bytes > 0)
		reuse->cache = cache_create(&options);
	return reuse;
}

void reuse_destroy(struct reuse *reuse)
{
	if (!reuse)
		return;
	cache_destroy(reuse->cache);
	pthread_mutex_destroy(&reuse->lock);
	free(reuse);
}

/* --- what a call is --- */

/* Whether the text of a call does not tell its block: after a reorganisation its number would be
 * that of another, and of what the answer is cannot be seen. */
static bool hides_its_block(const struct call *call, const struct chain_traits *traits)
{
	return call->pin.is_pinned && !call->pin.by_hash && traits->shape != CHAIN_SHAPE_BLOCK;
}

static void make_key(struct call *call, const struct chain_method *method,
		     const struct chain_traits *traits, struct view params)
{
	struct request *request = call->request;
	struct worker *w = request->worker;
	struct view text;

	w->text.n = 0;
	chain_call_key(method, params, &w->text);
	text = buf_view(&w->text);
	cache_key_make(&w->gateway->reuse->secret, &request->account->key.service,
		       hides_its_block(call, traits) ? &call->pin.block.hash : NULL, &text, 1,
		       &call->reuse.key);
}

/* The method of a call that could be answered with another's answer: one that only reads, and is
 * known to. */
static const struct chain_method *find_method(const struct call *call, const struct chain **ret)
{
	const struct chain_method *method;
	char scratch[RPC_METHOD_MAX];
	struct session *session;
	struct view name;
	struct err err;

	if (call->chain) { /* pin.c has looked already */
		*ret = call->chain;
		method = call->pin.method;
		return method->id != 0 && method->effect == CHAIN_READ ? method : NULL;
	}
	if (!account_session(call->request->worker, call->request->account, &session, &err) ||
	    !rpc_method(call->rpc, scratch, &name) ||
	    !chain_method_find(session->chain, name, &method, &err))
		return NULL; /* whoever asks says what is wrong */
	*ret = session->chain;
	return method->id != 0 && method->effect == CHAIN_READ ? method : NULL;
}

/* What may be done about the call; its key, if anything. */
static void look_at(struct call *call, struct view params)
{
	const struct reuse *reuse = call->request->worker->gateway->reuse;
	const struct chain_method *method;
	const struct chain_traits *traits;
	const struct chain *family;

	call->reuse.shares = call->reuse.keeps = false;
	if (!(reuse->shares || reuse->cache) || call->request->fresh ||
	    call->rpc->id_kind == RPC_ID_NONE || params.n > REUSE_PARAMS_MAX ||
	    !(method = find_method(call, &family)))
		return;
	call->reuse.cu = method->cu;
	traits = chain_traits(family, method);
	/* A height would be the head's, and clients may have been told of a later one. */
	call->reuse.keeps = reuse->cache && traits->life != CHAIN_LIFE_NEVER &&
			    traits->shape != CHAIN_SHAPE_HEIGHT;
	call->reuse.shares = reuse->shares && !call->reuse.alone &&
			     (traits->send == CHAIN_SEND_HEDGE || traits->send == CHAIN_SEND_AGAIN);
	if (call->reuse.keeps || call->reuse.shares)
		make_key(call, method, traits, params);
}

static bool find_kept(struct call *call)
{
	struct worker *w = call->request->worker;
	struct reuse *reuse = w->gateway->reuse;
	struct cache_chain *chain;
	bool wants_head;

	pthread_mutex_lock(&reuse->lock);
	chain = cache_chain(reuse->cache, &call->request->account->key.service);
	call->reuse.body = cache_find(chain, &call->reuse.key, clock_mono_us());
	call->reuse.head_serial = cache_head_serial(chain);
	wants_head = cache_wants_head(chain);
	pthread_mutex_unlock(&reuse->lock);
	if (wants_head)
		head_want(w, call->request->account);
	return call->reuse.body != NULL;
}

void reuse_ask(struct call *call, const struct ask_params *params)
{
	struct ask_params mine = *params;

	call->reuse.joined = false;
	look_at(call, params->call->params);
	if (call->reuse.keeps && find_kept(call)) {
		reuse_saved(call);
		call_settle(call);
		return;
	}
	mine.key = call->reuse.shares ? &call->reuse.key : NULL;
	/* If it asks by itself it may be over, and gone, when this returns. */
	if (!ask_start(&call->asker, call->request->worker, &mine))
		call->reuse.joined = true;
}

bool reuse_take(struct call *call)
{
	struct reuse *reuse = call->request->worker->gateway->reuse;
	struct cache_chain *chain;

	look_at(call, call->rpc->params);
	if (!call->reuse.keeps)
		return false;
	pthread_mutex_lock(&reuse->lock);
	chain = cache_chain(reuse->cache, &call->request->account->key.service);
	call->reuse.body = cache_peek(chain, &call->reuse.key, clock_mono_us());
	pthread_mutex_unlock(&reuse->lock);
	return call->reuse.body != NULL;
}

void reuse_saved(const struct call *call)
{
	metric_add_at(METRIC_GATEWAY_SAVED_CU, call->request->account->label, 0, call->reuse.cu);
}

void reuse_leave(struct call *call)
{
	cache_unref(call->reuse.body);
	call->reuse.body = NULL;
}

/* --- what an answer is --- */

static enum cache_content content_of(const struct rpc_answer *answer,
				     const struct chain_answer *told)
{
	if (answer->error.n > 0)
		return CACHE_ERROR;
	if (told->null || told->missing)
		return CACHE_NULL;
	return told->empty ? CACHE_EMPTY : CACHE_VALUE;
}

static void put_block(struct cache_answer *ret, const struct chain_answer *told, bool holds)
{
	ret->has_number = told->number_known;
	ret->has_hash = told->hash_known;
	ret->block = (struct block_claim){
		.hash = told->hash,
		.parent = told->parent,
		.has_parent = told->parent_known,
		.number = told->number,
		.sure = holds,
	};
}

/* An answer about the block, or the blocks, that the call names.  A tag names another block with
 * each head, `finalized` too. */
static bool describe_named(const struct chain_call *call, struct cache_answer *ret)
{
	const struct chain_ref *last = &call->ref[call->refs > 0 ? call->refs - 1 : 0];

	if (call->odd || call->refs == 0)
		return false;
	for (size_t i = 0; i < call->refs; i++) {
		if (call->ref[i].kind != CHAIN_REF_TAG)
			continue;
		if (call->ref[i].tag == CHAIN_TAG_PENDING || call->ref[i].tag == CHAIN_TAG_EARLIEST)
			return false;
		ret->life = call->ref[i].tag == CHAIN_TAG_LATEST ? CACHE_REALTIME : CACHE_HEAD;
		/* The newest block, or what holds in it: only if the answer says which that was. */
		return call->refs == 1 && (ret->life == CACHE_HEAD || ret->has_number);
	}
	ret->life = CACHE_BLOCK;
	if (call->refs == 1 || last->kind != CHAIN_REF_NUMBER)
		return true;
	ret->has_hash =
		false; /* a range: what is known of its last block says nothing of the others */
	ret->has_number = true;
	ret->block.number = last->number;
	return true;
}

/* False: it is of no kind that is kept. */
static bool describe_life(const struct chain_call *call, struct cache_answer *ret)
{
	switch (call->traits->life) {
	case CHAIN_LIFE_NEVER:
		return false;
	case CHAIN_LIFE_HEAD:
		ret->life = CACHE_REALTIME;
		return true;
	case CHAIN_LIFE_BLOCK:
		return describe_named(call, ret);
	case CHAIN_LIFE_ITEM:
		ret->life = CACHE_BLOCK;
		return !call->odd && ret->has_number && ret->has_hash;
	case CHAIN_LIFE_FOREVER:
		ret->life = CACHE_FOREVER;
		return true;
	}
	return false;
}

/* An answer about the block that the call was pinned to, or about blocks up to that. */
static void describe_pinned(const struct call *call, const struct chain_call *asked,
			    struct cache_answer *ret)
{
	bool told = ret->has_hash && ID_EQ(&ret->block.hash, &call->pin.block.hash);

	/* By a number alone it may have been another block of that number. */
	ret->life = asked->refs == 1 && (told || call->pin.by_hash) ? CACHE_BLOCK : CACHE_HEAD;
	ret->has_number = ret->has_hash = true;
	if (!told || !ret->block.sure)
		ret->block.has_parent = false; /* it told nothing of its block */
	ret->block.number = call->pin.block.number;
	ret->block.hash = call->pin.block.hash;
	ret->block.sure = true; /* the head was */
	ret->named = call->pin.by_hash;
}

static bool describe(const struct call *call, struct cache_answer *ret)
{
	const struct rpc_answer *answer = ask_answer(call->asker.ask);
	const struct chain *family;
	const struct chain_method *method = find_method(call, &family);
	struct chain_answer told;
	struct chain_call asked;

	if (!method)
		return false;
	chain_call_read(family, method, call->rpc->params, &asked);
	if (answer->error.n > 0)
		told = (struct chain_answer){0};
	else
		chain_answer_read(family, &asked, answer->result, &told);
	ret->content = content_of(answer, &told);
	ret->named = asked.refs == 1 && asked.ref[0].kind == CHAIN_REF_HASH;
	put_block(ret, &told, call->asker.ask->block_holds);
	if (!call->pin.is_pinned)
		return describe_life(&asked, ret);
	describe_pinned(call, &asked, ret);
	return true;
}

void reuse_keep(const struct call *call)
{
	struct reuse *reuse = call->request->worker->gateway->reuse;
	const struct ask *ask = call->asker.ask;
	const struct relay *relay = ask_relay(ask);
	struct view body = ask_body(ask);
	struct cache_answer answer = {.body = body,
				      .lane = relay->lane,
				      .seq = relay->seq,
				      .head_serial = call->reuse.head_serial};
	struct cache_chain *chain;

	if (call->reuse.joined) {
		metric_add(METRIC_GATEWAY_CALLS_SHARED, 1);
		reuse_saved(call);
	}
	if (call->reuse.joined || !call->reuse.keeps || !relay->has_receipt ||
	    !describe(call, &answer))
		return;
	answer.id_at = (uint32_t)(ask_answer(ask)->id.p - body.p);
	answer.supplier = relay->member->supplier->key;
	answer.owner = member_info(relay->member)->owner;
	answer.vouched = ask->recomputed && !ask->rides;
	answer.flags = ask->recomputed ? LEAF_RECOMPUTED : 0;
	pthread_mutex_lock(&reuse->lock);
	chain = cache_chain(reuse->cache, &call->request->account->key.service);
	cache_fill(chain, &call->reuse.key, &answer);
	pthread_mutex_unlock(&reuse->lock);
}

/* --- calls that have joined --- */

static bool may_ask_again(struct call *call)
{
	if (!call->reuse.joined || call->reuse.again || clock_mono_us() >= call->deadline_us)
		return false;
	call->reuse.again = true;
	return true;
}

bool reuse_may_ask_again(struct call *call, const struct err *why)
{
	return (why->code == ERR_DEADLINE || err_info(why->code)->retry) && may_ask_again(call);
}

bool reuse_may_ask_after_error(struct call *call)
{
	const struct ask *ask = call->asker.ask;
	const struct rpc_answer *answer = ask_answer(ask);
	const struct chain *family;
	enum chain_error error;

	if (!call->reuse.joined || answer->error.n == 0 || !find_method(call, &family))
		return false;
	error = chain_error_class(family, answer->error_code, answer->error_message,
				  answer->error_data);
	return chain_error_info(error)->next != CHAIN_NEXT_ANSWER && may_ask_again(call);
}

void reuse_head(struct reuse *reuse, const struct service_name *service,
		const struct head_report *head)
{
	const struct block_claim block = {
		.hash = head->block.hash,
		.parent = head->parent,
		.has_parent = head->has_parent,
		.number = head->block.number,
		.sure = true,
	};
	struct cache_chain *chain;

	if (!reuse->cache)
		return;
	pthread_mutex_lock(&reuse->lock);
	chain = cache_chain(reuse->cache, service);
	if (cache_head(chain, &block, clock_mono_us()) && block.number >= reuse->final_depth)
		cache_final(chain, block.number - reuse->final_depth);
	pthread_mutex_unlock(&reuse->lock);
}

/* --- metrics --- */

static void tell(enum metric metric, unsigned label, uint64_t now, uint64_t *told)
{
	if (now != *told)
		metric_add_at(metric, label, 0, now - *told);
	*told = now;
}

void reuse_publish(struct reuse *reuse)
{
	struct cache_counts *told = &reuse->told, now;

	if (!reuse->cache)
		return;
	pthread_mutex_lock(&reuse->lock);
	now = *cache_counts(reuse->cache);
	pthread_mutex_unlock(&reuse->lock);
	tell(METRIC_GATEWAY_CACHE_HITS, 0, now.hits, &told->hits);
	for (unsigned i = 0; i < CACHE_MISSES; i++)
		tell(METRIC_GATEWAY_CACHE_MISSES, i, now.misses[i], &told->misses[i]);
	for (unsigned i = 0; i < CACHE_VERDICTS; i++)
		tell(METRIC_GATEWAY_CACHE_FILLS, i, now.fills[i], &told->fills[i]);
	for (unsigned i = 0; i < CACHE_EVICTIONS; i++)
		tell(METRIC_GATEWAY_CACHE_EVICTIONS, i, now.evictions[i], &told->evictions[i]);
	metric_set(METRIC_GATEWAY_CACHE_ANSWERS, (int64_t)now.entries);
	metric_set(METRIC_GATEWAY_CACHE_SIZE, (int64_t)now.bytes);
}
