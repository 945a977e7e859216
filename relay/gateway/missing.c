/* SPDX-License-Identifier: Apache-2.0
 * What suppliers do not have.  Most of it is not there at all, or not yet: a client that waits for
 * a receipt asks for it every second or two, and nearly all of its answers are null.  Two suppliers
 * are asked the first time, and one after that, until about a block later.  What must be there, or
 * is about to be, is another matter: a recent block that suppliers lack is on its way to them, so
 * they are asked once more; and a block under the head is there, whoever says that it is not. */
#include "relay/gateway/internal.h"

/* Of the chain, as learned. */
static usec_t block_time(const struct ask *ask, struct head_state *ret_head, bool *ret_known)
{
	*ret_known = head_get(ask->worker, ask->account, CHAIN_TAG_LATEST, ret_head);
	return ret_head->block_us;
}

/* --- what is known not to be there --- */

static struct missing *slot_of(const struct ask *ask, uint64_t *ret_key)
{
	const struct hash *seed = &ask->worker->gateway->seed;
	const struct view parts[] = {VIEW(seed->b, sizeof(seed->b)), buf_view(&ask->encoding)};
	struct hash hash;

	sha256_parts(parts, ARRAY_SIZE(parts), &hash);
	*ret_key = get_be64(hash.b);
	return &ask->worker->missing[*ret_key % MISSING_SLOTS];
}

bool missing_is_known(const struct ask *ask)
{
	uint64_t key;
	const struct missing *m = slot_of(ask, &key);

	return m->key == key && clock_mono_us() < m->until_us;
}

void missing_remember(const struct ask *ask)
{
	struct head_state head;
	bool known;
	usec_t block_us = block_time(ask, &head, &known);
	uint64_t key;
	struct missing *m = slot_of(ask, &key);

	m->key = key;
	m->until_us =
		clock_mono_us() + MIN(block_us, (usec_t)ask->worker->cfg->gateway.missing_memory);
}

/* --- what is there --- */

bool missing_is_there(const struct ask *ask)
{
	enum chain_shape shape = ask->traits->shape;

	return !ask->terms.pinned && ask->terms.oldest != UINT64_MAX &&
	       (shape == CHAIN_SHAPE_BLOCK || shape == CHAIN_SHAPE_ITEMS) &&
	       view_eq(ask->answer.result, VIEW_STR("null"));
}

bool missing_is_near(const struct ask *ask)
{
	struct head_state head;
	bool known;

	block_time(ask, &head, &known);
	return known && missing_is_there(ask) && ask->terms.oldest <= head.number &&
	       head.number - ask->terms.oldest < REACH_NEAR;
}

/* --- what will be there --- */

/* Whether a block is so recent that some have it and others do not yet.  An error says that the
 * block is missing.  A null may be the truth about a block that nobody has announced, and about
 * what is looked for in a block. */
static bool is_recent(const struct chain_ref *ref, const struct head_state *head, bool known,
		      bool error)
{
	switch (ref->kind) {
	case CHAIN_REF_HASH:
		return error; /* a client has it from somebody */
	case CHAIN_REF_NUMBER:
		return known &&
		       head->number <= ref->number + MIN(HEAD_GAP, UINT64_MAX - ref->number) &&
		       ref->number <=
			       head->number +
				       (error ? MIN(HEAD_GAP, UINT64_MAX - head->number) : 0);
	case CHAIN_REF_TAG:
		return false;
	}
	return false;
}

bool missing_comes(const struct ask *ask, const struct chain *chain, usec_t *ret_at_us)
{
	bool error = ask->answer.error.n > 0, recent = false, known;
	enum chain_shape shape = ask->traits->shape;
	struct head_state head;
	usec_t block_us = block_time(ask, &head, &known);
	usec_t wait_us = MIN(block_us, (usec_t)ask->worker->cfg->gateway.missing_wait);
	struct chain_call call;

	if (wait_us == 0 || ask->terms.pinned || /* another pin is tried sooner (pin.c) */
	    (!error && shape != CHAIN_SHAPE_BLOCK && shape != CHAIN_SHAPE_ITEMS))
		return false;
	chain_call_read(chain, ask->method, ask_params_text(ask), &call);
	for (size_t i = 0; i < call.refs; i++)
		recent |= is_recent(&call.ref[i], &head, known, error);
	*ret_at_us = clock_mono_us() + wait_us;
	return recent && *ret_at_us < ask->last_us;
}
