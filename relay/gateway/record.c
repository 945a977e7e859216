/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/record.h"

#include <inttypes.h>

#include "relay/gateway/internal.h"
#include "relay/gateway/source.h"
#include "session/registry/export.h"

#define DIGEST_TEXT 16 /* bytes of a digest that are written */

/* An address that clients came from. */
struct client_number {
	uint64_t source;
	uint64_t number; /* from 1, in their order */
	UT_hash_handle hh;
};

struct record {
	record_put_fn *put;
	void *arg;
	struct buf entry;
	usec_t mono_us; /* of the head */
	msec_t wall_ms;
	uint64_t requests;
	struct client_number *clients;
	bool over;
};

struct record *record_create(record_put_fn *put, void *arg)
{
	struct record *record = xcalloc(1, sizeof(*record));

	record->put = put;
	record->arg = arg;
	return record;
}

void record_destroy(struct record *record)
{
	struct client_number *client, *tmp;

	if (!record)
		return;
	HASH_ITER (hh, record->clients, client, tmp) {
		HASH_DEL(record->clients, client);
		free(client);
	}
	buf_finish(&record->entry);
	free(record);
}

/* --- entries --- */

static struct record *record_of(const struct worker *w)
{
	struct record *record = w->gateway->record;

	return record && !record->over ? record : NULL;
}

bool record_is_on(const struct worker *w)
{
	return record_of(w) != NULL;
}

static struct buf *begin(struct record *record, const char *kind)
{
	record->entry.n = 0;
	buf_put_str(&record->entry, kind);
	return &record->entry;
}

/* With the time; NULL: nothing is recorded. */
static struct buf *begin_input(const struct worker *w, const char *kind)
{
	struct record *record = record_of(w);

	if (!record)
		return NULL;
	begin(record, kind);
	buf_putf(&record->entry, " %lld %lld", (long long)(clock_mono_us() - record->mono_us),
		 (long long)(clock_wall_ms() - record->wall_ms));
	return &record->entry;
}

static struct buf *begin_decision(const struct worker *w, const char *kind)
{
	struct record *record = record_of(w);

	return record ? begin(record, kind) : NULL;
}

static void end(const struct worker *w)
{
	struct record *record = w->gateway->record;

	buf_put_u8(&record->entry, '\n');
	record->over = !record->put(record->arg, buf_view(&record->entry));
}

static void end_with(const struct worker *w, struct view bytes)
{
	struct record *record = w->gateway->record;

	buf_putf(&record->entry, " %zu\n", bytes.n);
	buf_put(&record->entry, bytes.p, bytes.n);
	end(w);
}

static void put_supplier(struct buf *out, const struct supplier *supplier)
{
	buf_put_u8(out, ' ');
	buf_put_str(out, supplier->hex);
}

static void put_digest(struct buf *out, const struct hash *digest)
{
	buf_put_u8(out, ' ');
	buf_put_hex(out, digest->b, DIGEST_TEXT);
}

static void put_relay(struct buf *out, const struct relay *relay)
{
	buf_putf(out, " %u %" PRIu32, relay->link, relay->in.number);
}

/* --- the head --- */

static void put_view(struct worker *w)
{
	CLEANUP(buf_finish) struct buf text = {0};
	struct history *history = (struct history *)view_history(w->view);
	const struct seed_run *seeds = view_seeds(w->view);
	height_t last = view_last_seed(w->view);
	struct registry_export e = {
		.height = last,
		.history = history,
		.from = seeds->n > 0 ? seeds->v[0].height : last + 1,
		.to = last + 1,
		.seeds = *seeds,
	};

	memcpy(e.network_tail, history_network_tail(history), sizeof(e.network_tail));
	registry_export_encode(&e, &text);
	end_with(w, buf_view(&text));
}

static void put_hex_line(const struct worker *w, const char *kind, const uint8_t bytes[32])
{
	struct buf *out = begin_decision(w, kind);

	if (!out)
		return;
	buf_put_u8(out, ' ');
	buf_put_hex(out, bytes, 32);
	end(w);
}

void record_begin(struct worker *w)
{
	CLEANUP(buf_finish) struct buf words = {0};
	struct record *record = w->gateway->record;
	struct buf *out;

	if (!record)
		return;
	record->mono_us = clock_mono_us();
	record->wall_ms = clock_wall_ms();
	record->over = !record->put(record->arg, VIEW_STR(RECORD_HEAD));
	put_hex_line(w, "gateway", w->gateway->id.b);
	put_hex_line(w, "seed", w->gateway->seed.b);
	put_hex_line(w, "registry-key", view_registry_key(w->view)->b);
	out = begin_decision(w, "clock");
	if (out) {
		buf_putf(out, " %lld %lld", (long long)record->mono_us, (long long)record->wall_ms);
		end(w);
	}
	config_words(w->cfg, CONFIG_GATEWAY, &words);
	if (begin_decision(w, "config"))
		end_with(w, buf_view(&words));
	record_view(w);
}

/* --- what comes in --- */

static void put_time(const struct worker *w, const char *kind)
{
	if (begin_input(w, kind))
		end(w);
}

void record_tick(struct worker *w)
{
	put_time(w, "tick");
}

void record_alarm(struct worker *w)
{
	put_time(w, "alarm");
}

void record_cut(struct worker *w)
{
	put_time(w, "cut");
}

void record_kick(struct worker *w)
{
	put_time(w, "kick");
}

void record_end(struct worker *w)
{
	put_time(w, "end");
	if (w->gateway->record)
		w->gateway->record->over = true;
}

static void put_account(struct buf *out, const struct account *account)
{
	const struct account_key *key = &account->key;

	buf_putf(out, " %s ", key->service.s);
	buf_put_hex(out, key->application.b, sizeof(key->application.b));
}

void record_account(struct worker *w, const struct account *account)
{
	struct buf *out = begin_input(w, "account");

	if (!out)
		return;
	put_account(out, account);
	end(w);
}

/* Which client it is, without its address. */
static uint64_t number_of(struct record *record, const struct source *source)
{
	uint64_t key = source_address_key(source);
	struct client_number *client;

	if (key == 0)
		return 0;
	HASH_FIND(hh, record->clients, &key, sizeof(key), client);
	if (!client) {
		client = xcalloc(1, sizeof(*client));
		client->source = key;
		client->number = HASH_COUNT(record->clients) + 1;
		HASH_ADD(hh, record->clients, source, sizeof(client->source), client);
	}
	return client->number;
}

void record_request(struct request *r, struct view body)
{
	struct record *record = r->worker->gateway->record;
	struct buf *out = begin_input(r->worker, "request");

	if (!out)
		return;
	r->number = ++record->requests;
	buf_putf(out, " %" PRIu64, r->number);
	put_account(out, r->account);
	buf_putf(out, " %d %d %" PRIu64, r->fresh, r->debug, number_of(record, r->client->source));
	end_with(r->worker, body);
}

void record_gone(const struct request *r)
{
	struct buf *out = begin_input(r->worker, "gone");

	if (!out)
		return;
	buf_putf(out, " %" PRIu64, r->number);
	end(r->worker);
}

void record_up(const struct peer *peer)
{
	const struct frame_hello *hello = link_peer(peer->link);
	struct buf *out = begin_input(peer->worker, "up");

	if (!out)
		return;
	buf_putf(out, " %u", peer->ordinal);
	put_supplier(out, peer->supplier);
	buf_putf(out, " %" PRIu32 " %" PRIu32 " %" PRIu64, hello->frame_max, hello->in_flight_max,
		 (uint64_t)hello->max_unpaid_cu);
	end(peer->worker);
}

void record_down(const struct peer *peer, enum link_reason reason, const struct err *err)
{
	struct buf *out = begin_input(peer->worker, "down");

	if (!out)
		return;
	buf_putf(out, " %u %u %s", peer->ordinal, (unsigned)reason,
		 err ? err_info(err->code)->name : "-");
	end_with(peer->worker, VIEW_STR(err ? err->msg : ""));
}

void record_fault(const struct peer *peer)
{
	struct buf *out = begin_input(peer->worker, "fault");

	if (!out)
		return;
	buf_putf(out, " %u", peer->ordinal);
	end(peer->worker);
}

void record_frame(const struct peer *peer, const struct frame *frame)
{
	struct buf *out;

	if (frame->type != FRAME_SESSION_OK && frame->type != FRAME_ERROR &&
	    frame->type != FRAME_GOAWAY)
		return;
	out = begin_input(peer->worker, "frame");
	if (!out)
		return;
	buf_putf(out, " %u %u %u %" PRIu32, peer->ordinal, frame->type, frame->flags,
		 frame->stream);
	end_with(peer->worker, frame->payload);
}

void record_leaf(const struct relay *relay, const struct leaf_news *news)
{
	struct buf *out = begin_input(relay->worker, "leaf");

	if (!out)
		return;
	put_relay(out, relay);
	buf_putf(out, " %u %u %d", news->kind, news->status, news->last);
	end_with(relay->worker, news->body);
}

void record_committed(const struct relay *relay, const struct err *err)
{
	struct buf *out = begin_input(relay->worker, "committed");

	if (!out)
		return;
	put_relay(out, relay);
	buf_putf(out, " %s", err ? err_info(err->code)->name : "-");
	end_with(relay->worker, VIEW_STR(err ? err->msg : ""));
}

void record_view(struct worker *w)
{
	if (begin_decision(w, "view"))
		put_view(w);
}

void record_report(struct worker *w)
{
	if (begin_decision(w, "report"))
		end(w);
}

/* --- what was read --- */

void record_owed(struct worker *w, const struct key_id *keys, size_t n)
{
	CLEANUP(buf_finish) struct buf text = {0};

	if (n == 0 || !begin_decision(w, "owed"))
		return;
	for (size_t i = 0; i < n; i++) {
		buf_put_hex(&text, keys[i].b, sizeof(keys[i].b));
		buf_put_u8(&text, '\n');
	}
	end_with(w, buf_view(&text));
}

void record_full(struct worker *w)
{
	if (begin_decision(w, "full"))
		end(w);
}

void record_no_room(const struct member *member, enum err_code why)
{
	struct worker *w = member->peer->worker;
	struct buf *out = begin_decision(w, "noroom");

	if (!out)
		return;
	put_supplier(out, member->supplier);
	buf_putf(out, " %s", err_info(why)->name);
	end(w);
}

void record_stalled(const struct request *r)
{
	struct buf *out = begin_decision(r->worker, "stalled");

	if (!out)
		return;
	buf_putf(out, " %" PRIu64, r->number);
	end(r->worker);
}

/* --- what was done --- */

void record_named(const struct member *member)
{
	struct worker *w = member->peer->worker;
	struct buf *out = begin_decision(w, "named");

	if (!out)
		return;
	buf_putf(out, " %u %" PRIu32 " ", member->peer->ordinal, member->handle);
	buf_put_hex(out, member->session->info->id.b, sizeof(member->session->info->id.b));
	end(w);
}

void record_sent(const struct relay *relay)
{
	struct buf *out = begin_decision(relay->worker, "sent");
	const struct ask *ask = relay->ask;
	struct hash digest;

	if (!out)
		return;
	sha256(ask->encoding.p, ask->encoding.n, &digest);
	put_relay(out, relay);
	put_supplier(out, relay->member->supplier);
	buf_putf(out, " %s", ask->method->name);
	put_digest(out, &digest);
	end(relay->worker);
}

void record_retry(const struct worker *w, enum err_code why)
{
	struct buf *out = begin_decision(w, "retry");

	if (!out)
		return;
	buf_putf(out, " %s", err_info(why)->name);
	end(w);
}

void record_hedge(const struct relay *relay)
{
	struct buf *out = begin_decision(relay->worker, "hedge");

	if (!out)
		return;
	put_relay(out, relay);
	end(relay->worker);
}

void record_aside(const struct relay *relay, enum chain_error class)
{
	struct buf *out = begin_decision(relay->worker, "aside");

	if (!out)
		return;
	put_relay(out, relay);
	buf_putf(out, " %s", chain_error_info(class)->name);
	end(relay->worker);
}

static const char *how(const struct call *call)
{
	if (call->err.code != ERR_NONE)
		return err_info(call->err.code)->name;
	if (!call->has_answer)
		return "none";
	if (call->pin.replaced)
		return "head";
	if (call->reuse.body)
		return "hit";
	if (made_is_there(&call->made))
		return "made";
	return call->reuse.joined ? "shared" : "own";
}

static bool is_recomputed(const struct call *call)
{
	const struct relay *relay = call_relay(call);

	if (call->reuse.body)
		return (call->reuse.body->flags & LEAF_RECOMPUTED) != 0;
	return relay && relay->has_receipt && made_receipt_of(relay).recomputed;
}

static void put_answer(const struct call *call, const struct hash *digest)
{
	struct worker *w = call->request->worker;
	struct buf *out = begin_decision(w, "answer");

	if (!out)
		return;
	buf_putf(out, " %" PRIu64 " %zu %s", call->request->number,
		 (size_t)(call - call->request->calls), how(call));
	put_digest(out, digest);
	buf_put_str(out, is_recomputed(call) ? " recomputed " : " single ");
	if (call->pin.is_pinned || call->pin.replaced)
		buf_putf(out, "%" PRIu64,
			 call->pin.is_pinned ? call->pin.block.number : call->pin.number);
	else
		buf_put_str(out, "-");
	end(w);
}

void record_answers(const struct request *r)
{
	struct hash digest;

	if (!record_is_on(r->worker))
		return;
	for (size_t i = 0; i < r->count; i++) {
		const struct call *call = &r->calls[i];
		struct view body = VIEW(NULL, 0);

		if (call->stream)
			continue;
		if (call->err.code != ERR_NONE)
			body = VIEW_STR(call->err.msg);
		else if (call->has_answer)
			body = answer_body(call);
		sha256(body.p, body.n, &digest);
		put_answer(call, &digest);
	}
}

void record_long_answer(const struct call *call, const struct hash *digest)
{
	put_answer(call, digest);
}

void record_broken(const struct request *r, const struct err *why)
{
	struct buf *out = begin_decision(r->worker, "broken");

	if (!out)
		return;
	buf_putf(out, " %" PRIu64 " %s", r->number, err_info(why->code)->name);
	end(r->worker);
}
