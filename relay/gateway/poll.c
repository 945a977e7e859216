/* SPDX-License-Identifier: Apache-2.0
 * Calls about filters: a new one, all logs of one, the end of one, and what polls are made of.  The
 * changes are told by changes.c. */
#include "relay/gateway/polls.h"

#include "chains/json.h"
#include "relay/gateway/source.h"

static struct filters *filters_of(const struct poll *p)
{
	return poll_worker(p)->gateway->filters;
}

static void destroy(struct work *work)
{
	struct poll *p = CONTAINER_OF(work, struct poll, work);

	whole_drop(&p->whole);
	logs_drop(&p->logs);
	track_finish(&p->fresh);
	if (p->lent)
		filters_give(filters_of(p), &p->id, &p->filter, clock_mono_us());
	filter_finish(&p->filter);
	free(p);
}

/* --- the end --- */

void poll_fail(struct poll *p, const struct err *why)
{
	struct call *call = p->call;
	const struct err err = *why;

	call_drop_work(call);
	call_fail(call, &err);
}

void poll_settle(struct poll *p)
{
	struct call *call = p->call;

	call_drop_work(call);
	call_settle(call);
}

struct buf *poll_begin_result(struct poll *p)
{
	made_begin(&p->call->made);
	return &p->call->made.body;
}

void poll_end_result(struct poll *p)
{
	made_end(&p->call->made);
	poll_settle(p);
}

void poll_nothing_new(struct poll *p)
{
	buf_put_str(poll_begin_result(p), "[]");
	poll_end_result(p);
}

/* --- asking --- */

void poll_ask(struct poll *p, const struct buf *text, void (*on_end)(struct whole *whole))
{
	const struct call *call = p->call;

	whole_drop(&p->whole);
	p->whole.on_end = on_end;
	whole_start(&p->whole, poll_worker(p), call->request->account, buf_view(text), NULL,
		    call->deadline_us, &p->sum);
}

void poll_ask_block(struct poll *p, const struct chain_ref *ref,
		    void (*on_end)(struct whole *whole))
{
	CLEANUP(buf_finish) struct buf text = {0};

	chain_block_call(p->chain, ref, &text);
	poll_ask(p, &text, on_end);
}

/* Notes the receipt.  False: it was no result, and the poll is over. */
bool poll_has_result(struct poll *p, struct whole *whole)
{
	struct made *made = &p->call->made;

	if (whole->err.code != ERR_NONE) {
		poll_fail(p, &whole->err);
		return false;
	}
	made_add(made, &whole->receipt);
	if (whole->answer.error.n == 0)
		return true;
	made->answer = whole->answer;
	made->body = whole_take(whole);
	poll_settle(p);
	return false;
}

/* --- logs --- */

/* The blocks that the filter is about, of those from `from` on that the chain has. */
void poll_bounds(const struct poll *p, uint64_t from, uint64_t *ret_first, uint64_t *ret_last)
{
	const struct chain_ref *ref = p->read.call.ref;

	*ret_first = from;
	*ret_last = p->head.number;
	if (ref[0].kind == CHAIN_REF_NUMBER)
		*ret_first = MAX(from, ref[0].number);
	if (ref[1].kind == CHAIN_REF_NUMBER)
		*ret_last = MIN(*ret_last, ref[1].number);
}

void poll_begin_logs(struct poll *p, uint64_t first, uint64_t last,
		     void (*on_end)(struct logs *logs))
{
	const struct call *call = p->call;

	p->logs = (struct logs){
		.on_end = on_end,
		.worker = poll_worker(p),
		.account = call->request->account,
		.chain = p->chain,
		.read = &p->read,
		.text = buf_view(&p->filter.text),
		.deadline_us = call->deadline_us,
		.sum = &p->sum,
	};
	logs_begin(&p->logs, first, last);
}

bool poll_has_logs(struct poll *p, struct logs *logs)
{
	struct made *made = &p->call->made;

	for (size_t i = 0; i < logs->made.count; i++)
		made_add(made, &logs->made.receipts[i]);
	if (logs->err.code != ERR_NONE) {
		poll_fail(p, &logs->err);
		return false;
	}
	if (logs->made.answer.error.n == 0)
		return true;
	made->answer = logs->made.answer;
	made->body = logs->made.body;
	logs->made.body = (struct buf){0};
	poll_settle(p);
	return false;
}

static struct poll *poll_of(struct whole *whole)
{
	return CONTAINER_OF(whole, struct poll, whole);
}

/* --- all logs of a filter --- */

static void on_all(struct logs *logs)
{
	struct poll *p = CONTAINER_OF(logs, struct poll, logs);
	struct made *made = &p->call->made;

	if (!poll_has_logs(p, logs))
		return;
	made->body = logs->made.body;
	made->answer = logs->made.answer;
	logs->made.body = (struct buf){0};
	poll_settle(p);
}

static void tell_all(struct poll *p)
{
	const struct chain_ref *ref = p->read.call.ref;
	bool earliest = ref[0].kind == CHAIN_REF_TAG && ref[0].tag == CHAIN_TAG_EARLIEST;
	uint64_t first, last;

	poll_bounds(p, earliest || ref[0].kind == CHAIN_REF_NUMBER ? 0 : p->head.number, &first,
		    &last);
	if (first <= last)
		poll_begin_logs(p, first, last, on_all);
	else
		poll_nothing_new(p);
}

/* --- a new filter --- */

static void keep(struct poll *p)
{
	const struct request *r = p->call->request;
	const struct filter_owner owner = {r->account->key.application, r->account->key.service};
	char text[FILTER_ID_TEXT];
	struct filter_id id;
	struct err err;

	track_add_block(&p->filter.told, p->head.number, &p->head.hash);
	if (!filters_add(filters_of(p), &owner, source_address_key(r->client->source), &p->filter,
			 clock_mono_us(), &id, &err)) {
		poll_fail(p, &err);
		return;
	}
	buf_putf(poll_begin_result(p), "\"%s\"", filter_id_text(&id, text));
	poll_end_result(p);
}

/* Blocks that a filter may begin and end with: later ones are told as they come. */
static bool bounds_are_plain(const struct chain_logs *read)
{
	for (size_t i = 0; i < 2; i++) {
		const struct chain_ref *ref = &read->call.ref[i];

		if (ref->kind != CHAIN_REF_NUMBER && ref->tag != CHAIN_TAG_LATEST &&
		    (i == 1 || ref->tag != CHAIN_TAG_EARLIEST))
			return false;
	}
	return true;
}

static bool read_new(struct poll *p, struct err *err)
{
	struct view params = p->call->rpc->params;

	p->filter.blocks = p->what == CHAIN_FILTER_NEW_BLOCKS;
	if (p->filter.blocks)
		return true;
	if (params.n > poll_worker(p)->cfg->gateway.filter_bytes_max)
		return err_set(err, ERR_PARAMS,
			       "the filter is larger than gateway.filter_bytes_max");
	if (!chain_logs_read_filter(p->chain, params, &p->read) || !bounds_are_plain(&p->read))
		return err_set(err, ERR_PARAMS,
			       "a filter has one object, whose blocks are numbers or `latest`");
	chain_logs_put_filter(p->chain, params, &p->filter.text);
	return true;
}

/* --- a call --- */

static void on_head(struct whole *whole)
{
	struct poll *p = poll_of(whole);
	struct err err;

	if (!poll_has_result(p, whole))
		return;
	if (!chain_block_read(p->chain, whole->answer.result, &p->head)) {
		err_set(&err, ERR_UPSTREAM, "the answer tells no block");
		poll_fail(p, &err);
	} else if (p->what == CHAIN_FILTER_CHANGES) {
		poll_tell_changes(p);
	} else if (p->what == CHAIN_FILTER_ALL) {
		tell_all(p);
	} else {
		keep(p);
	}
}

static void ask_head(struct poll *p)
{
	const struct chain_ref latest = {.kind = CHAIN_REF_TAG, .tag = CHAIN_TAG_LATEST};

	poll_ask_block(p, &latest, on_head);
}

static bool read_id(const struct call *call, struct filter_id *ret)
{
	struct json_walk walk = json_walk_of(call->rpc->params);
	struct view text;

	return call->rpc->params.n > 0 && json_walk_enter(&walk, '[') && json_walk_element(&walk) &&
	       json_token_text(json_walk_value(&walk), &text) && filter_id_parse(text, ret);
}

/* The call for all logs of the filter is the gateway's own text: its params stand at its end. */
static bool read_kept(struct poll *p)
{
	CLEANUP(buf_finish) struct buf empty = {0};
	struct view text = buf_view(&p->filter.text);

	if (p->filter.blocks)
		return p->what == CHAIN_FILTER_CHANGES;
	chain_logs_put_filter(p->chain, VIEW(NULL, 0), &empty);
	return chain_logs_read_filter(p->chain, VIEW(text.p + empty.n - 1, text.n - empty.n),
				      &p->read);
}

static enum filters_found take(struct poll *p, const struct filter_owner *owner)
{
	enum filters_found found = FILTERS_NONE;
	usec_t now = clock_mono_us();

	if (!read_id(p->call, &p->id))
		return FILTERS_NONE;
	if (p->what == CHAIN_FILTER_CHANGES) {
		found = filters_take(filters_of(p), owner, &p->id, now, &p->filter);
		p->lent = found == FILTERS_LENT;
	} else if (filters_look(filters_of(p), owner, &p->id, now, &p->filter)) {
		found = FILTERS_LENT;
	}
	return found == FILTERS_LENT && !read_kept(p) ? FILTERS_NONE : found;
}

static void begin_kept(struct poll *p, const struct filter_owner *owner)
{
	struct err err;

	switch (take(p, owner)) {
	case FILTERS_LENT:
		ask_head(p);
		break;
	case FILTERS_BUSY:
		poll_nothing_new(p); /* another call is being told it */
		break;
	case FILTERS_NONE:
		err_set(&err, ERR_FILTER, "%s", err_info(ERR_FILTER)->text);
		poll_fail(p, &err);
		break;
	}
}

static void end_filter(struct poll *p, const struct filter_owner *owner)
{
	bool was = read_id(p->call, &p->id) && filters_remove(filters_of(p), owner, &p->id);

	buf_put_str(poll_begin_result(p), was ? "true" : "false");
	poll_end_result(p);
}

static void begin(struct poll *p)
{
	const struct account *account = p->call->request->account;
	const struct filter_owner owner = {account->key.application, account->key.service};
	struct err err;

	switch (p->what) {
	case CHAIN_FILTER_NEW_LOGS:
	case CHAIN_FILTER_NEW_BLOCKS:
		if (read_new(p, &err))
			ask_head(p);
		else
			poll_fail(p, &err);
		break;
	case CHAIN_FILTER_CHANGES:
	case CHAIN_FILTER_ALL:
		begin_kept(p, &owner);
		break;
	case CHAIN_FILTER_END:
	case CHAIN_FILTER_NONE:
		end_filter(p, &owner);
		break;
	}
}

bool poll_start(struct call *call)
{
	struct request *r = call->request;
	char scratch[RPC_METHOD_MAX];
	const struct chain *chain = account_chain(r->worker, r->account);
	enum chain_filter_call what;
	struct view name;
	struct poll *p;

	if (!chain || !rpc_method(call->rpc, scratch, &name))
		return false;
	what = chain_filter_call(chain, name);
	if (what == CHAIN_FILTER_NONE || call->rpc->id_kind == RPC_ID_NONE)
		return false;
	p = xcalloc(1, sizeof(*p));
	p->work.destroy = destroy;
	p->call = call;
	p->chain = chain;
	p->what = what;
	call->work = &p->work;
	begin(p);
	return true;
}
