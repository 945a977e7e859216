/* SPDX-License-Identifier: Apache-2.0
 * Clients' calls for the logs of many blocks: which of them are asked in parts, and of which
 * blocks. */
#include "relay/gateway/internal.h"

struct wide {
	struct work work;
	struct call *call;
	struct chain_logs read; /* of the call's bytes */
	struct whole height;	/* the block that a tag at the end means */
	struct logs logs;
	size_t sum;
};

static void destroy(struct work *work)
{
	struct wide *wide = CONTAINER_OF(work, struct wide, work);

	whole_drop(&wide->height);
	logs_drop(&wide->logs);
	free(wide);
}

/* The call ends, and this with it. */
static void end(struct wide *wide, const struct err *why)
{
	struct call *call = wide->call;
	struct err err = *why;

	call_drop_work(call);
	if (err.code != ERR_NONE)
		call_fail(call, &err);
	else
		call_settle(call);
}

static void on_logs(struct logs *logs)
{
	struct wide *wide = CONTAINER_OF(logs, struct wide, logs);

	wide->call->made = logs->made;
	logs->made = (struct made){0};
	end(wide, &logs->err);
}

static void on_height(struct whole *height)
{
	struct wide *wide = CONTAINER_OF(height, struct wide, height);
	struct made *made = &wide->call->made;
	uint64_t first = wide->read.call.ref[0].number;
	struct chain_block block;
	struct err err = height->err;

	if (err.code == ERR_NONE && height->answer.error.n > 0) {
		made->answer = height->answer;
		made->body = whole_take(height);
		made_add(made, &height->receipt);
	} else if (err.code == ERR_NONE) {
		if (chain_block_read(wide->logs.chain, height->answer.result, &block)) {
			whole_drop(height);
			/* What a backend lacks it says itself. */
			logs_begin(&wide->logs, first, MAX(first, block.number));
			return;
		}
		err_set(&err, ERR_UPSTREAM, "the answer tells no block");
	}
	end(wide, &err);
}

/* --- a call --- */

/* Reads the call, if it asks for logs from a block that is known on. */
static bool read_call(const struct call *call, const struct chain *chain, struct chain_logs *ret)
{
	const struct chain_method *method;
	char scratch[RPC_METHOD_MAX];
	struct chain_ref *from;
	struct view name;
	struct err err;

	if (call->rpc->id_kind == RPC_ID_NONE || !rpc_method(call->rpc, scratch, &name) ||
	    !chain_method_find(chain, name, &method, &err) ||
	    !chain_logs_read(chain, method, call->rpc->params, ret))
		return false;
	from = &ret->call.ref[0];
	if (from->kind == CHAIN_REF_TAG && from->tag == CHAIN_TAG_EARLIEST)
		from->number = 0;
	else if (from->kind != CHAIN_REF_NUMBER)
		return false;
	return true;
}

static bool is_range(const struct chain_logs *read)
{
	const struct chain_ref *ref = read->call.ref;

	return ref[1].kind == CHAIN_REF_NUMBER && ref[0].number <= ref[1].number;
}

static void begin(struct call *call, const struct chain *chain, const struct chain_logs *read,
		  uint64_t piece, bool many_terms)
{
	const struct chain_ref *ref = read->call.ref;
	CLEANUP(buf_finish) struct buf text = {0};
	struct request *r = call->request;
	struct wide *wide = xcalloc(1, sizeof(*wide));

	wide->work.destroy = destroy;
	wide->call = call;
	wide->read = *read;
	wide->height.on_end = on_height;
	wide->logs = (struct logs){
		.on_end = on_logs,
		.worker = r->worker,
		.account = r->account,
		.chain = chain,
		.read = &wide->read,
		.text = call->rpc->text,
		.deadline_us = call->deadline_us,
		.sum = &wide->sum,
		.piece = piece,
		.many_terms = many_terms,
	};
	call->work = &wide->work;
	if (is_range(read)) {
		logs_begin(&wide->logs, ref[0].number, ref[1].number);
		return;
	}
	chain_block_call(chain, &ref[1], &text);
	whole_start(&wide->height, r->worker, r->account, buf_view(&text), NULL, call->deadline_us,
		    &wide->sum);
}

bool wide_start(struct call *call)
{
	struct request *r = call->request;
	struct session *session;
	struct chain_logs read;
	uint64_t blocks;
	struct err err;

	if (!account_session(r->worker, r->account, &session, &err) ||
	    !read_call(call, session->chain, &read) || !is_range(&read))
		return false;
	blocks = read.call.ref[1].number - read.call.ref[0].number; /* but one */
	if (blocks < logs_chunk(r->worker, r->account, blocks))
		return false;
	begin(call, session->chain, &read, 0, false);
	return true;
}

bool wide_divide(struct call *call)
{
	struct ask *ask = call->asker.ask;
	const struct chain *chain = ask_relay(ask)->session->chain;
	const struct rpc_answer *answer = ask_answer(ask);
	const struct chain_ref *ref;
	struct chain_logs read;
	uint64_t piece = 0;
	bool many_terms;

	if (!logs_too_large(chain, answer) || !read_call(call, chain, &read))
		return false;
	ref = read.call.ref;
	if (is_range(&read))
		piece = logs_too_many_blocks(call->request->account, chain, answer,
					     ref[1].number - ref[0].number + 1);
	many_terms = logs_too_many_terms(chain, answer);
	ask_leave(&call->asker);
	call->reuse.joined = false; /* what it gets now is its own */
	begin(call, chain, &read, piece, many_terms);
	return true;
}
