/* SPDX-License-Identifier: Apache-2.0
 * A real node with a real registry and ledger, asked over a real link by a gateway made of the link
 * layer and the gateway's own checker, in front of a scripted backend. */
#ifndef TESTS_UNIT_NODE_WORLD_H
#define TESTS_UNIT_NODE_WORLD_H

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/rng.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"
#include "relay/gateway/inbound.h"
#include "relay/ledger/reader.h"
#include "relay/link/link.h"
#include "relay/node/node.h"
#include "tests/support/faultnode.h"
#include "tests/support/network.h"

#define HANDLE 5
#define ADMIN "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"admin_peers\"}"
#define RELAYS_MAX 600
#define BALANCE "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\",\"params\":[]}"
#define BALANCE_CU 20

/* What became of a relay. */
struct outcome {
	struct inbound_relay sent;
	struct buf request;
	struct leaf leaf; /* of the last part */
	struct buf body;  /* of all parts */
	uint16_t error;	  /* wire code of an ERROR frame */
	unsigned leaves;
	bool done;
};

struct world {
	struct network *net;
	struct faultnode *backend;
	struct node_params params;
	struct node *node;
	pthread_t thread;
	struct event_base *base;
	struct event *ticker;
	struct tls *tls;
	struct link_self self;
	struct link *link;
	struct session_info *session;
	struct inbound_lane *lane;
	struct inbound_batch batch;
	struct outcome relays[RELAYS_MAX];
	uint32_t sent, done, batches, lanes;
	bool pinned; /* relays are, to block 77 with this hash [F14] */
	struct hash pin_hash;
	bool no_credit;	   /* streams get no more room than they begin with */
	size_t part_bytes; /* of all parts that have come */
	uint32_t beside;   /* the most parts in a turn that had something small too */
	size_t frame_max;  /* the largest BATCH */
	bool up, down, session_ok, session_refused;
	uint16_t session_error;
	struct err why;
	struct checkpoint head;
	struct lane_id lane_id;
};

static inline void *node_thread(void *arg)
{
	struct world *w = arg;
	struct err err;

	if (!node_loop(w->node, &err))
		fprintf(stderr, "node: %s\n", err.msg);
	return NULL;
}

static inline struct inbound_relay *find(void *arg, uint32_t number)
{
	struct world *w = arg;

	return number >= 1 && number <= w->sent && !w->relays[number - 1].done
		       ? &w->relays[number - 1].sent
		       : NULL;
}

/* Makes room for more parts of a stream. */
static inline void grant(struct world *w, struct inbound_relay *relay, uint32_t bytes)
{
	relay->credit += bytes;
	frame_put_credit(link_out(w->link), relay->number, &(struct frame_credit){.bytes = bytes});
	link_sent(w->link);
}

static inline void note_beside(struct world *w)
{
	uint32_t parts = 0;

	for (size_t i = 0; i < w->batch.count; i++)
		parts += w->batch.answers[i].leaf.kind == LEAF_PART;
	if (parts < w->batch.count)
		w->beside = MAX(w->beside, parts);
}

static inline bool on_batch(struct world *w, const struct frame *f, struct err *err)
{
	static struct frame_batch batch;
	struct checkpoint_origin origin = {.network = w->self.network,
					   .gateway = w->self.id,
					   .supplier = *relay_key_public(w->net->supplier)};

	if (!frame_read_batch(f, &batch, err))
		return false;
	w->frame_max = MAX(w->frame_max, f->payload.n);
	origin.lane = w->lane_id = batch.lane;
	if (w->lane && !ID_EQ(&inbound_lane_names(w->lane)->origin.lane, &batch.lane)) {
		inbound_lane_destroy(w->lane);
		w->lane = NULL;
	}
	if (!w->lane) {
		w->lane = inbound_lane_create(&origin);
		w->lanes++;
	}
	if (inbound_check(w->lane, &batch, find, w, &w->batch, err) != INBOUND_GOOD)
		return false;
	w->batches++;
	w->head = w->batch.head;
	note_beside(w);
	for (size_t i = 0; i < w->batch.count; i++) {
		const struct inbound_answer *a = &w->batch.answers[i];
		struct outcome *o = &w->relays[a->relay->number - 1];

		o->leaf = a->leaf;
		o->leaves++;
		buf_put(&o->body, a->response.body.p, a->response.body.n);
		if (a->leaf.kind == LEAF_PART) {
			w->part_bytes += a->response.body.n;
			if (!w->no_credit)
				grant(w, a->relay, (uint32_t)a->response.body.n);
		}
		o->done = a->last;
		w->done += a->last;
	}
	return true;
}

static inline bool on_error(struct world *w, const struct frame *f, struct err *err)
{
	struct frame_error e;

	if (!frame_read_error(f, &e, err))
		return false;
	if (e.type == FRAME_SESSION) {
		w->session_error = e.code;
		w->session_refused = true;
	} else if (e.type == FRAME_RELAY) {
		w->relays[f->stream - 1].error = e.code;
		w->relays[f->stream - 1].done = true;
		w->done++;
	}
	return true;
}

static inline bool on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	struct world *w = arg;

	if (f->type == FRAME_BATCH)
		return on_batch(w, f, err);
	if (f->type == FRAME_ERROR)
		return on_error(w, f, err);
	w->session_ok |= f->type == FRAME_SESSION_OK;
	return true;
}

static inline bool on_up(struct link *link, void *arg, struct err *err)
{
	((struct world *)arg)->up = true;
	return true;
}

static inline void on_down(struct link *link, enum link_reason reason, const struct err *err,
			   void *arg)
{
	struct world *w = arg;

	w->down = true;
	w->why = *err;
	link_destroy(link);
	w->link = NULL;
}

static const struct link_callbacks gateway = {
	.on_up = on_up, .on_frame = on_frame, .on_down = on_down};

#define PATIENT_MS 50000     /* a relay's deadline that only what hangs meets */
#define PATIENCE_US 60000000 /* for what must happen; only what hangs takes so long */

/* Turns the loop until *flag. */
static inline bool run_until(struct world *w, const bool *flag)
{
	usec_t end = clock_now_us() + PATIENCE_US;

	while (!*flag && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	return *flag;
}

static inline bool run_until_done(struct world *w, uint32_t n)
{
	usec_t end = clock_now_us() + PATIENCE_US;

	while (w->done < n && !w->down && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	if (w->down)
		print_message("# link down: %s\n", w->why.msg);
	return w->done >= n;
}

static inline void dial(struct world *w)
{
	struct link_params params;
	struct address to;
	char text[32];
	struct err err;

	link_params_default(&params);
	snprintf(text, sizeof(text), "127.0.0.1:%u", node_port(w->node));
	assert_ok(address_parse_numeric(text, &to, &err), err);
	w->link = link_dial(w->base, w->tls, &w->self, &params, &to,
			    relay_key_public(w->net->supplier), &gateway, w);
}

static inline void open_session(struct world *w)
{
	struct frame_session s = {
		.session = w->session->id,
		.application = w->session->application,
		.service = w->session->service,
		.start = w->session->start,
		.table = w->session->method_table,
	};

	frame_put_session(link_out(w->link), HANDLE, &s);
	link_sent(w->link);
}

static inline uint32_t send_relay(struct world *w, const char *body, uint32_t deadline_ms)
{
	struct outcome *o = &w->relays[w->sent++];
	struct frame_relay relay = {.session = HANDLE,
				    .deadline_ms = deadline_ms,
				    .pinned = w->pinned,
				    .pin_block = 77,
				    .pin_hash = w->pin_hash};
	struct request_encoding request = {
		.kind = ENCODING_JSONRPC, .service = {"eth"}, .body = VIEW_STR(body)};

	assert_true(w->sent <= RELAYS_MAX);
	rng_bytes(&relay.salt, sizeof(relay.salt));
	request_encoding_put(&o->request, &request);
	o->sent = (struct inbound_relay){
		.number = w->sent,
		.session = w->session->id,
		.salt = relay.salt,
		.request = buf_view(&o->request),
		.notification = !strstr(body, "\"id\""),
		.chain = chain_find("evm"),
		.method = strstr(body, "eth_getBalance") ? 20 : 0,
		.cu = BALANCE_CU,
		.credit = FRAME_CREDIT_FIRST,
		.pinned = w->pinned,
		.pinned_by_hash = strstr(body, "blockHash") != NULL,
		.pin_block = 77,
		.pin_hash = w->pin_hash,
	};
	relay.request = o->sent.request;
	frame_put_relay(link_out(w->link), w->sent, &relay);
	link_sent(w->link);
	return w->sent - 1;
}

static inline const struct outcome *ask(struct world *w, const char *body)
{
	uint32_t i = send_relay(w, body, PATIENT_MS);

	assert_true(run_until_done(w, w->sent));
	return &w->relays[i];
}

/* A call of another method than the balance. */
static inline const struct outcome *ask_as(struct world *w, const char *method, const char *body)
{
	const struct chain_method *m;
	uint32_t i = send_relay(w, body, PATIENT_MS);
	struct err err;
	usec_t end = clock_now_us() + PATIENCE_US;

	assert_ok(chain_method_find(chain_find("evm"), VIEW_STR(method), &m, &err), err);
	w->relays[i].sent.method = m->id;
	w->relays[i].sent.cu = m->cu;
	while (!w->relays[i].done && !w->down && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	return &w->relays[i];
}

static inline void on_tick(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
}

static inline struct world *world_create(const struct network_params *network)
{
	struct world *w = xcalloc(1, sizeof(*w));
	static const struct timeval ms = {0, 2000};
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	crypto_init();
	w->base = event_base_new();
	w->ticker = event_new(w->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(w->ticker, &ms);
	assert_ok(network_create(network, &w->net, &err), err);
	assert_ok(faultnode_create(w->base, 0, &w->backend, &err), err);
	assert_ok(network_session(w->net, &w->session, &err), err);
	assert_ok(tls_create(&w->tls, &err), err);
	node_params_default(&w->params);
	w->self = (struct link_self){
		.key = w->net->gateway,
		.id = *relay_key_public(w->net->gateway),
		.role = FRAME_ROLE_GATEWAY,
		.frame_max = 20 << 20,
		.in_flight_max = 1024,
	};
	return w;
}

static inline void world_start(struct world *w)
{
	CLEANUP(registry_view_unref)
	struct registry_view *view = registry_view_take(w->net->registry);
	char ledger[96], url[64];
	struct err err;

	snprintf(ledger, sizeof(ledger), "%s/node", w->net->dir);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", faultnode_port(w->backend));
	w->params.key = w->net->supplier;
	w->params.registry = w->net->registry_path;
	w->params.listen = "127.0.0.1:0";
	w->params.ledger.dir = ledger;
	w->params.drain_us = 100000;
	w->params.services_n = 1;
	w->params.services[0] = (struct node_service_params){
		.name = {"eth"}, .family = "evm", .urls = {url}, .urls_n = 1};
	w->self.network = *view_network(view);
	assert_ok(node_create(&w->params, &w->node, &err), err);
	pthread_create(&w->thread, NULL, node_thread, w);
}

/* A node with a link and a session. */
static inline void world_open(struct world *w)
{
	world_start(w);
	dial(w);
	assert_true(run_until(w, &w->up));
	open_session(w);
	assert_true(run_until(w, &w->session_ok));
}

static inline void node_end(struct world *w)
{
	if (!w->node)
		return;
	node_stop(w->node);
	pthread_join(w->thread, NULL);
	node_destroy(w->node);
	w->node = NULL;
}

static inline void world_destroy(struct world *w)
{
	link_destroy(w->link);
	node_end(w);
	for (uint32_t i = 0; i < w->sent; i++) {
		buf_finish(&w->relays[i].request);
		buf_finish(&w->relays[i].body);
	}
	inbound_lane_destroy(w->lane);
	faultnode_destroy(w->backend);
	free(w->session);
	tls_destroy(w->tls);
	network_destroy(w->net);
	event_free(w->ticker);
	event_base_free(w->base);
	free(w);
}

static inline void script(struct world *w, const char *json)
{
	struct err err;

	assert_ok(faultnode_script(w->backend, json, &err), err);
}

static inline void assert_refused(const struct outcome *o, enum err_code code)
{
	assert_int_equal(o->leaves, 1);
	assert_int_equal(o->leaf.kind, LEAF_REFUSAL);
	assert_int_equal(o->leaf.status, err_info(code)->wire);
	assert_int_equal(o->leaf.cu, 0);
	assert_int_equal(o->body.n, strlen(err_info(code)->name));
	assert_memory_equal(o->body.p, err_info(code)->name, o->body.n);
}

#endif
