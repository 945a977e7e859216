/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/pin.h"

#include "relay/gateway/internal.h"

static struct worker *worker_of(const struct call *call)
{
	return call->request->worker;
}

static const struct account *account_of(const struct call *call)
{
	return call->request->account;
}

/* --- before --- */

/* The one tag among the references that the head can stand for; false: none, or not one. */
static bool find_tag(const struct chain_call *about, enum chain_tag *ret)
{
	bool found = false;

	for (size_t i = 0; i < about->refs; i++) {
		const struct chain_ref *ref = &about->ref[i];

		if (ref->kind != CHAIN_REF_TAG || ref->tag == CHAIN_TAG_EARLIEST)
			continue;
		if (ref->tag == CHAIN_TAG_PENDING || (found && ref->tag != *ret))
			return false;
		found = true;
		*ret = ref->tag;
	}
	return found;
}

/* What the call is about.  False: nothing is known of it, and it is asked as it is. */
static bool read_call(struct call *call)
{
	const struct chain *chain = account_chain(worker_of(call), call->request->account);
	struct pin *pin = &call->pin;
	char scratch[RPC_METHOD_MAX];
	struct view name;
	struct err err;

	if (worker_of(call)->cfg->gateway.head_interval == 0 || !chain ||
	    !rpc_method(call->rpc, scratch, &name) ||
	    !chain_method_find(chain, name, &pin->method, &err))
		return false;
	call->chain = chain;
	chain_call_read(chain, pin->method, call->rpc->params, &pin->about);
	pin->is_read = !pin->about.odd;
	pin->needs_head =
		pin->is_read && (pin->about.traits->pin != CHAIN_PINNED_NONE
					 ? find_tag(&pin->about, &pin->tag)
					 : pin->about.traits->shape == CHAIN_SHAPE_HEIGHT);
	return pin->needs_head || pin->is_read;
}

bool pin_is_needless(struct call *call)
{
	return !read_call(call) || !call->pin.needs_head;
}

/* Is the call about the newest block, or about something of which only a hash says where it is? */
static bool may_be_new(const struct pin *pin)
{
	const struct chain_traits *traits = pin->about.traits;

	return pin->needs_head || traits->life == CHAIN_LIFE_HEAD ||
	       (traits->life == CHAIN_LIFE_ITEM && pin->about.refs == 0);
}

/* The last block of a range that the call is about, if it is written out.  Who does not have the
 * newest blocks of a range leaves out what is in them. */
static bool find_last(const struct chain_call *about, uint64_t *ret)
{
	bool found = false;

	if (about->traits->place != CHAIN_PLACE_FILTER)
		return false;
	for (size_t i = 0; i < about->refs; i++) {
		if (about->ref[i].kind != CHAIN_REF_NUMBER)
			continue;
		*ret = found ? MAX(*ret, about->ref[i].number) : about->ref[i].number;
		found = true;
	}
	return found;
}

/* Calls go to nobody who does not have the block yet that they are about, or not any more, as far
 * as they tell. */
static void set_reach(struct call *call, const struct head_state *head)
{
	struct pin *pin = &call->pin;
	uint64_t last;

	pin->below = may_be_new(pin) ? 0 : UINT64_MAX;
	pin->must_reach = pin->needs_head || pin->about.traits->life == CHAIN_LIFE_HEAD;
	pin->oldest = UINT64_MAX;
	pin->newest = find_last(&pin->about, &last) ? head_newest(head, last) : 0;
	if (head->pinnable)
		pin->seen = head->block.hash;
	for (size_t i = 0; i < pin->about.refs; i++) {
		const struct chain_ref *ref = &pin->about.ref[i];

		if (ref->kind == CHAIN_REF_NUMBER && ref->number <= head->number) {
			pin->below = MIN(pin->below, head->number - ref->number);
			pin->must_reach = true; /* some answer of blocks that they have not */
			pin->oldest = MIN(pin->oldest, ref->number);
		} else if (ref->kind == CHAIN_REF_NUMBER || ref->kind == CHAIN_REF_HASH) {
			pin->below = 0;
		}
	}
}

/* A call about the state at the number of the head is about the head: who has not seen a
 * reorganisation would tell that of another block.  What answers say of their blocks themselves
 * needs no pin. */
static bool names_head(const struct pin *pin, const struct head_state *head)
{
	const struct chain_ref *ref = &pin->about.ref[0];

	return pin->about.refs == 1 && ref->kind == CHAIN_REF_NUMBER &&
	       ref->number == head->block.number && pin->about.traits->pin == CHAIN_PINNED_HASH &&
	       pin->about.traits->shape == CHAIN_SHAPE_NONE;
}

static void set_pin(struct call *call, const struct head_state *head)
{
	struct pin *pin = &call->pin;
	bool again = pin->asks > 0 && ID_EQ(&pin->block.hash, &head->block.hash);

	pin->is_pinned = head->pinnable && !again &&
			 ((pin->needs_head && pin->about.traits->pin != CHAIN_PINNED_NONE) ||
			  names_head(pin, head));
	pin->by_hash = pin->about.traits->pin == CHAIN_PINNED_HASH;
	if (pin->is_pinned) {
		pin->block = head->block;
		if (pin->about.traits->place == CHAIN_PLACE_FILTER)
			pin->newest = MAX(pin->newest, head_newest(head, pin->block.number));
		pin->oldest = MIN(pin->oldest, pin->block.number);
	}
}

/* The call with its pin; false: it cannot be written so. */
static bool write_pinned(const struct call *call, struct buf *text, struct rpc_request *ret)
{
	static const struct rpc_limits one = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	const struct pin *pin = &call->pin;
	struct chain_pin pins[CHAIN_REFS_MAX] = {0};
	struct err err;

	for (size_t i = 0; i < pin->about.refs; i++) {
		const struct chain_ref *ref = &pin->about.ref[i];

		if (pin->needs_head ? ref->kind == CHAIN_REF_TAG && ref->tag == pin->tag
				    : ref->kind == CHAIN_REF_NUMBER)
			pins[i] = (struct chain_pin){
				.kind = pin->by_hash ? CHAIN_PIN_HASH : CHAIN_PIN_NUMBER,
				.number = pin->block.number,
				.hash = pin->block.hash,
			};
	}
	return chain_call_pin(call->chain, &pin->about, call->rpc->text, pins, text) &&
	       rpc_request_scan(buf_view(text), &one, ret, &err);
}

static void ask(struct call *call)
{
	CLEANUP(buf_finish) struct buf text = {0};
	struct worker *w = worker_of(call);
	struct pin *pin = &call->pin;
	struct rpc_request pinned;
	struct ask_params params = {
		.account = call->request->account,
		.call = call->rpc,
		.deadline_us = call->deadline_us,
		.terms.attempts_max =
			MAX(w->cfg->gateway.attempts, call->attempts + 1) - call->attempts,
		.terms.below = pin->is_read ? pin->below : UINT64_MAX,
		.terms.must_reach = pin->is_read && pin->must_reach,
		.terms.newest = pin->newest,
		.terms.oldest = pin->is_read ? pin->oldest : UINT64_MAX,
		.terms.seen = pin->seen,
	};

	if (pin->is_pinned)
		pin->is_pinned = write_pinned(call, &text, &pinned);
	if (pin->is_pinned) {
		params.call = &pinned.one;
		params.terms.pinned = true;
		params.terms.by_hash = pin->by_hash;
		params.terms.pin = pin->block;
	}
	if (pin->needs_head && pin->about.traits->pin != CHAIN_PINNED_NONE)
		metric_add_at(METRIC_GATEWAY_PINS, pin->is_pinned ? ERR_NONE : ERR_NO_NODE, 0, 1);
	pin->asks++;
	reuse_ask(call, &params);
}

/* A range that goes on to where nobody is known to have blocks, and it was not asked lately. */
static bool is_beyond(struct call *call)
{
	struct head_state head;
	uint64_t last;

	if (!find_last(&call->pin.about, &last) ||
	    head_asked(worker_of(call), account_of(call), last))
		return false;
	call->pin.tag = CHAIN_TAG_LATEST;
	return !head_ready(worker_of(call), account_of(call), CHAIN_TAG_LATEST, true, &head);
}

void pin_start(struct call *call)
{
	struct pin *pin = &call->pin;
	struct head_state head;

	if (!read_call(call)) {
		ask(call);
		return;
	}
	if (pin->needs_head) {
		if (!head_ready(worker_of(call), account_of(call), pin->tag,
				pin->about.traits->pin != CHAIN_PINNED_NONE, &head)) {
			head_await(call, pin->tag);
			return;
		}
	} else if (is_beyond(call)) {
		head_await(call, CHAIN_TAG_LATEST);
		return;
	} else if (!head_get(worker_of(call), account_of(call), CHAIN_TAG_LATEST, &head)) {
		pin->below = pin->oldest = UINT64_MAX;
		ask(call);
		return;
	}
	set_reach(call, &head);
	set_pin(call, &head);
	ask(call);
}

/* What a client may be told of the height: that of the block that calls are pinned to. */
static uint64_t height_of(const struct head_state *head)
{
	return head->pinnable ? head->block.number : head->number;
}

/* The height that is told is the served one, whatever this supplier says: so none is lower than one
 * before. */
static void settle_height(struct call *call)
{
	struct member *member = ask_relay(call->asker.ask)->member;
	struct pin *pin = &call->pin;
	struct head_state head;

	if (!head_get(worker_of(call), account_of(call), CHAIN_TAG_LATEST, &head))
		return;
	if (pin->number != height_of(&head)) {
		if (pin->number > height_of(&head))
			member->boast = pin->number;
		pin->replaced = true;
		pin->number = height_of(&head);
		metric_add(METRIC_GATEWAY_HEIGHTS_REPLACED, 1);
	}
	head_told(worker_of(call), account_of(call), pin->number);
}

void pin_go(struct call *call)
{
	struct pin *pin = &call->pin;
	struct head_state head;

	if (pin->held) {
		pin->held = false;
		settle_height(call);
		call_give(call);
		return;
	}
	pin->is_pinned = false;
	pin->below = pin->oldest = UINT64_MAX;
	pin->newest = 0;
	if (head_get(worker_of(call), account_of(call), pin->tag, &head)) {
		set_reach(call, &head);
		set_pin(call, &head);
	}
	ask(call);
}

void pin_alone(struct call *call)
{
	call->pin.asks--;
	ask(call);
}

void pin_leave(struct call *call)
{
	head_leave(call);
}

/* --- after --- */

/* The answer is not what the client may get: somebody else is asked, when the head is known anew.
 */
static bool ask_again(struct call *call, enum err_code why)
{
	struct pin *pin = &call->pin;

	if (pin->asks >= PIN_ASKS_MAX || clock_mono_us() >= call->deadline_us)
		return false;
	metric_add_at(METRIC_GATEWAY_RETRIES, why, 0, 1);
	record_retry(worker_of(call), why);
	call->attempts += call->asker.ask->attempts_made;
	ask_leave(&call->asker);
	if (pin->is_pinned)
		head_await(call, pin->tag);
	else
		pin_go(call);
	return true;
}

/* A pinned call that failed otherwise than by being run is asked once more, with a newer pin or
 * none: the pin may be why. */
static bool failed_by_pin(const struct call *call, const struct rpc_answer *answer)
{
	return call->pin.is_pinned &&
	       (!answer->error_code_known ||
		chain_error_class(call->chain, answer->error_code, answer->error_message,
				  answer->error_data) != CHAIN_ERROR_EXECUTION);
}

/* The answer to a call that was pinned by number is of the block that was meant. */
static bool is_of_pin(const struct pin *pin, const struct chain_answer *answer)
{
	if (answer->missing)
		return false;
	if (!answer->number_known || pin->about.refs != 1)
		return true;
	return answer->number == pin->block.number &&
	       (!answer->hash_known || ID_EQ(&answer->hash, &pin->block.hash));
}

/* A supplier that is behind, or beyond what can be, is not the only one that is asked; a new height
 * that others have not told yet is looked at first. */
static bool take_height(struct call *call, uint64_t number)
{
	const struct member *member = ask_relay(call->asker.ask)->member;
	struct pin *pin = &call->pin;
	struct head_state head;

	pin->number = number;
	if (!head_get(worker_of(call), account_of(call), CHAIN_TAG_LATEST, &head))
		return true;
	if ((number < height_of(&head) && height_of(&head) - number > HEAD_GAP) ||
	    number > head.number + MIN(HEAD_GAP, UINT64_MAX - head.number)) {
		if (ask_again(call, ERR_UPSTREAM))
			return false;
	} else if (number > height_of(&head) && number > member->boast) {
		pin->held = true;
		head_told(worker_of(call), account_of(call), number); /* so that it is waited for */
		head_await(call, CHAIN_TAG_LATEST);
		return false;
	}
	settle_height(call);
	return true;
}

static void learn(const struct call *call, const struct relay *relay,
		  const struct chain_answer *answer)
{
	bool newest = answer->head && !call->pin.is_pinned;
	const struct head_report report = {
		.is_newest = newest,
		.has_hash = newest && answer->hash_known,
		.has_parent = newest && answer->hash_known && answer->parent_known,
		.block = {answer->number, answer->hash},
		.parent = answer->parent,
	};

	head_heard(relay->worker, relay->member, CHAIN_TAG_LATEST, &report);
}

static bool take_result(struct call *call, const struct relay *relay, struct view result)
{
	struct pin *pin = &call->pin;
	struct chain_answer answer;

	if (pin->method->effect == CHAIN_WRITE)
		head_wrote(worker_of(call), account_of(call));
	if (pin->about.traits->shape == CHAIN_SHAPE_NONE)
		return true;
	chain_answer_read(call->chain, &pin->about, result, &answer);
	if (pin->is_pinned && !pin->by_hash && !is_of_pin(pin, &answer)) {
		head_missed(worker_of(call), relay->member, pin->tag, &pin->block.hash);
		if (ask_again(call, ERR_UPSTREAM))
			return false;
	}
	if (answer.empty || !answer.number_known)
		return true;
	if (pin->tag == CHAIN_TAG_LATEST || !pin->needs_head)
		learn(call, relay, &answer);
	if (pin->about.traits->shape == CHAIN_SHAPE_HEIGHT)
		return take_height(call, answer.number);
	head_told(worker_of(call), account_of(call), answer.number);
	return true;
}

bool pin_take(struct call *call)
{
	const struct relay *relay = ask_relay(call->asker.ask);
	const struct rpc_answer *answer = ask_answer(call->asker.ask);
	struct pin *pin = &call->pin;

	if (!pin->is_read || call->rpc->id_kind == RPC_ID_NONE)
		return true;
	if (answer->error.n == 0)
		return take_result(call, relay, answer->result);
	if (!failed_by_pin(call, answer))
		return true;
	head_missed(worker_of(call), relay->member, pin->tag, &pin->block.hash);
	return !ask_again(call, ERR_UPSTREAM);
}
