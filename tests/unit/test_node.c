/* SPDX-License-Identifier: Apache-2.0
 * A real node with a real registry and ledger, asked over a real link by a gateway made of the link
 * layer and the gateway's own checker, in front of a scripted backend. */
#include "tests/unit/unit.h"

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
#define NODE_PART 65536 /* [R8] */

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

static void *node_thread(void *arg)
{
	struct world *w = arg;
	struct err err;

	if (!node_loop(w->node, &err))
		fprintf(stderr, "node: %s\n", err.msg);
	return NULL;
}

/* --- the gateway --- */

static struct inbound_relay *find(void *arg, uint32_t number)
{
	struct world *w = arg;

	return number >= 1 && number <= w->sent && !w->relays[number - 1].done
		       ? &w->relays[number - 1].sent
		       : NULL;
}

/* Makes room for more parts of a stream. */
static void grant(struct world *w, struct inbound_relay *relay, uint32_t bytes)
{
	relay->credit += bytes;
	frame_put_credit(link_out(w->link), relay->number, &(struct frame_credit){.bytes = bytes});
	link_sent(w->link);
}

static void note_beside(struct world *w)
{
	uint32_t parts = 0;

	for (size_t i = 0; i < w->batch.count; i++)
		parts += w->batch.answers[i].leaf.kind == LEAF_PART;
	if (parts < w->batch.count)
		w->beside = MAX(w->beside, parts);
}

static bool on_batch(struct world *w, const struct frame *f, struct err *err)
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

static bool on_error(struct world *w, const struct frame *f, struct err *err)
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

static bool on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	struct world *w = arg;

	if (f->type == FRAME_BATCH)
		return on_batch(w, f, err);
	if (f->type == FRAME_ERROR)
		return on_error(w, f, err);
	w->session_ok |= f->type == FRAME_SESSION_OK;
	return true;
}

static bool on_up(struct link *link, void *arg, struct err *err)
{
	((struct world *)arg)->up = true;
	return true;
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
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
static bool run_until(struct world *w, const bool *flag)
{
	usec_t end = clock_now_us() + PATIENCE_US;

	while (!*flag && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	return *flag;
}

static bool run_until_done(struct world *w, uint32_t n)
{
	usec_t end = clock_now_us() + PATIENCE_US;

	while (w->done < n && !w->down && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	if (w->down)
		print_message("# link down: %s\n", w->why.msg);
	return w->done >= n;
}

static void dial(struct world *w)
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

static void open_session(struct world *w)
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

static uint32_t send_relay(struct world *w, const char *body, uint32_t deadline_ms)
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

static const struct outcome *ask(struct world *w, const char *body)
{
	uint32_t i = send_relay(w, body, PATIENT_MS);

	assert_true(run_until_done(w, w->sent));
	return &w->relays[i];
}

/* A call of another method than the balance. */
static const struct outcome *ask_as(struct world *w, const char *method, const char *body)
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

static const struct outcome *ask_method(struct world *w, const char *method)
{
	CLEANUP(xfree)
	char *body =
		xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":[]}", method);

	return ask_as(w, method, body);
}

static void cosign(struct world *w)
{
	struct checkpoint_origin origin = {.network = w->self.network,
					   .gateway = w->self.id,
					   .supplier = *relay_key_public(w->net->supplier),
					   .lane = w->lane_id};
	CLEANUP(buf_finish) struct buf message = {0};
	struct frame_cosign out = {.lane = w->lane_id, .size = w->head.size, .root = w->head.root};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint_lane lane;
	size_t n;

	checkpoint_lane_init(&lane, &origin);
	n = checkpoint_text(&lane, w->head.size, &w->head.root, text);
	out.time_s = (uint64_t)clock_wall_ms() / 1000;
	note_put_cosigned(&message, out.time_s, VIEW(text, n));
	sign_bytes(w->net->gateway, message.p, message.n, &out.signature);
	frame_put_cosign(link_out(w->link), &out);
	link_sent(w->link);
	link_flush(w->link);
}

/* --- the world --- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
}

static struct world *world_create(const struct network_params *network)
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

static void world_start(struct world *w)
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
static void world_open(struct world *w)
{
	world_start(w);
	dial(w);
	assert_true(run_until(w, &w->up));
	open_session(w);
	assert_true(run_until(w, &w->session_ok));
}

static void node_end(struct world *w)
{
	if (!w->node)
		return;
	node_stop(w->node);
	pthread_join(w->thread, NULL);
	node_destroy(w->node);
	w->node = NULL;
}

static void world_destroy(struct world *w)
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

static void script(struct world *w, const char *json)
{
	struct err err;

	assert_ok(faultnode_script(w->backend, json, &err), err);
}

static void assert_refused(const struct outcome *o, enum err_code code)
{
	assert_int_equal(o->leaves, 1);
	assert_int_equal(o->leaf.kind, LEAF_REFUSAL);
	assert_int_equal(o->leaf.status, err_info(code)->wire);
	assert_int_equal(o->leaf.cu, 0);
	assert_int_equal(o->body.n, strlen(err_info(code)->name));
	assert_memory_equal(o->body.p, err_info(code)->name, o->body.n);
}

/* --- facts --- */

/* [F6] [F7] [L1] */
static void an_answer_is_receipted_with_the_methods_cu(void **state)
{
	static const char answer[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}";
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.kind, LEAF_ANSWER);
	assert_int_equal(o->leaf.status, 200);
	assert_int_equal(o->leaf.cu, BALANCE_CU);
	assert_int_equal(o->leaf.method, 20);
	assert_int_equal(o->body.n, strlen(answer));
	assert_memory_equal(o->body.p, answer, o->body.n);
	assert_true(view_eq(faultnode_last(w->backend), VIEW_STR(BALANCE)));
	world_destroy(w);
}

/* [F12] */
#define AT(block)                                                                                  \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\",\"params\":["                 \
	"\"0x0000000000000000000000000000000000000001\"," block "]}"
#define HASH_7 "\"0x0700000000000000000000000000000000000000000000000000000000000000\""

#define H1 "0x1111111111111111111111111111111111111111111111111111111111111111"
#define ZEROS_256 "0000000000000000000000000000000000000000000000000000000000000000"
/* A block of London's rules without transactions, and the hash of its fields. */
#define HEADER(gas)                                                                                \
	"{\"parentHash\":\"" H1 "\",\"miner\":\"0x1111111111111111111111111111111111111111\","     \
	"\"stateRoot\":\"0x2222222222222222222222222222222222222222222222222222222222222222\","    \
	"\"receiptsRoot\":\"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421\"," \
	"\"sha3Uncles\":\"0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347\","   \
	"\"logsBloom\":\"0x" ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 \
		ZEROS_256 "\",\"difficulty\":\"0x0\",\"gasLimit\":\"0x1c9c380\","                  \
	"\"timestamp\":\"0xa\",\"extraData\":\"0x\",\"mixHash\":"                                  \
	"\"0x2222222222222222222222222222222222222222222222222222222222222222\","                  \
	"\"nonce\":\"0x0000000000000000\",\"gasUsed\":\"" gas "\",\"transactionsRoot\":"           \
	"\"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421\","                  \
	"\"baseFeePerGas\":\"0x3b9aca00\",\"number\":\"0x1\",\"hash\":"                            \
	"\"0x65859a4cb16921f29068c4ad8f319d4160d920955d980730846ed2cefc24f9fb\","                  \
	"\"transactions\":[],\"uncles\":[]}"
#define BLOCK(number)                                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBlockByNumber\",\"params\":[\"" number  \
	"\",true]}"

/* [R13]: what follows from its hash is signed so, and nothing else. */
static void what_a_backend_says_is_signed_as_what_it_is(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"default\":{\"result\":" HEADER("0x0") "}}");
	assert_int_equal(ask_as(w, "eth_getBlockByNumber", BLOCK("0x1"))->leaf.flags,
			 LEAF_RECOMPUTED);
	assert_int_equal(ask_as(w, "eth_getBlockByNumber", BLOCK("0x2"))->leaf.flags, 0);
	script(w, "{\"default\":{\"result\":" HEADER("0x1") "}}");
	assert_int_equal(ask_as(w, "eth_getBlockByNumber", BLOCK("0x1"))->leaf.flags, 0);
	script(w, "{}");
	assert_int_equal(ask(w, BALANCE)->leaf.flags, 0);
	world_destroy(w);
}

/* [F14] [R11] [R12] */
static void a_pinned_relay_is_of_its_block_or_refused(void **state)
{
	static const struct hash zeros;
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	o = ask(w, AT("\"0x4d\""));
	assert_int_equal(o->leaf.flags, 0);
	assert_int_equal(o->leaf.block, 77); /* as the call says */
	assert_memory_equal(&o->leaf.block_hash, &zeros, 32);
	assert_int_equal(ask(w, AT("\"latest\""))->leaf.block, LEAF_BLOCK_UNKNOWN);
	w->pinned = true;
	w->pin_hash = (struct hash){{7}};
	o = ask(w, AT("{\"blockHash\":" HASH_7 ",\"requireCanonical\":true}"));
	assert_int_equal(o->leaf.flags, LEAF_PINNED);
	assert_int_equal(o->leaf.block, 77);
	assert_memory_equal(&o->leaf.block_hash, &w->pin_hash, 32);
	o = ask(w, AT("\"0x4d\""));
	assert_int_equal(o->leaf.flags, LEAF_PINNED);
	assert_int_equal(o->leaf.block, 77);
	assert_memory_equal(&o->leaf.block_hash, &zeros, 32);
	assert_refused(ask(w, AT("\"0x4e\"")), ERR_PROTOCOL);
	assert_refused(ask(w, AT("\"latest\"")), ERR_PROTOCOL);
	assert_refused(ask(w, BALANCE), ERR_PROTOCOL);
	w->pin_hash.b[31] = 1;
	assert_refused(ask(w, AT("{\"blockHash\":" HASH_7 "}")), ERR_PROTOCOL);
	world_destroy(w);
}

static void relays_of_a_burst_share_signatures(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	for (int i = 0; i < 500; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 500));
	assert_int_equal(w->head.size, 500);
	assert_true(w->batches < 250);
	world_destroy(w);
}

/* [R9] */
static void a_revert_is_charged_and_other_rpc_errors_are_not(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	script(w, "{\"queue\":[{\"error\":{\"code\":3,\"message\":\"execution "
		  "reverted\",\"data\":\"0x\"}},"
		  "{\"error\":{\"code\":-32602,\"message\":\"invalid argument 0\"}}]}");
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.kind, LEAF_RPC_ERROR);
	assert_int_equal(o->leaf.cu, BALANCE_CU);
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.kind, LEAF_RPC_ERROR);
	assert_int_equal(o->leaf.status, 200);
	assert_int_equal(o->leaf.cu, 0);
	world_destroy(w);
}

/* [E5] */
static void a_backend_that_cannot_be_believed_is_an_upstream_refusal(void **state)
{
	static const char *const faults[] = {
		"{\"default\":{\"id\":2}}",
		"{\"default\":{\"id\":\"1\"}}",
		"{\"default\":{\"body\":\"<html>busy</html>\",\"type\":\"text/html\"}}",
		"{\"default\":{\"body\":\"\"}}",
		"{\"default\":{\"body\":\"[]\"}}",
		"{\"default\":{\"status\":500,\"body\":\"no\"}}",
		"{\"default\":{\"cut\":\"half\"}}",
		"{\"default\":{\"cut\":\"before\"}}",
	};
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.upstream.breaker.failures_max = 100; /* it is asked each time */
	world_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		script(w, faults[i]);
		assert_refused(ask(w, BALANCE), ERR_UPSTREAM);
	}
	script(w, "{}");
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

static void a_dead_backend_is_a_refusal_that_says_that_nothing_was_sent(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct err why;

	w->params.upstream.breaker.open_us = 50000;
	world_open(w);
	faultnode_destroy(w->backend);
	w->backend = NULL;
	assert_refused(ask(w, BALANCE), ERR_NO_BACKEND);
	for (int i = 0; i < 1200 && node_is_ready(w->node, &why); i++)
		usleep(50000);
	assert_false(node_is_ready(w->node, &why));
	assert_int_equal(why.code, ERR_NO_BACKEND);
	assert_non_null(strstr(why.msg, "service eth"));
	world_destroy(w);
}

static void a_black_hole_is_refused_at_the_deadline(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"default\":{\"hang\":true}}");
	send_relay(w, BALANCE, 100);
	assert_true(run_until_done(w, 1));
	assert_refused(&w->relays[0], ERR_DEADLINE);
	world_destroy(w);
}

/* [R8] */
static void an_answer_over_64_KiB_is_a_stream_of_parts(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const size_t sizes[] = {65536, 65537, 200000, 2000000};

	world_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* the envelope around the result has 36 bytes */
		size_t inner = sizes[i] - 36, parts = (sizes[i] + 65535) / 65536;
		char text[64];
		const struct outcome *o;

		snprintf(text, sizeof(text), "{\"default\":{\"size\":%zu}}", inner);
		script(w, text);
		o = ask(w, BALANCE);
		assert_int_equal(o->body.n, sizes[i]);
		assert_int_equal(o->leaves, parts);
		assert_int_equal(o->leaf.kind, parts > 1 ? LEAF_PART : LEAF_ANSWER);
		for (size_t k = 34; k < sizes[i] - 2; k++)
			assert_int_equal(o->body.p[k], 'x');
	}
	world_destroy(w);
}

/* Turns the loop until so many bytes of parts have come. */
static void run_until_parts(struct world *w, size_t bytes)
{
	usec_t end = clock_now_us() + PATIENCE_US;

	while (w->part_bytes < bytes && !w->down && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_true(w->part_bytes >= bytes);
}

static void run_for(struct world *w, usec_t us)
{
	usec_t end = clock_now_us() + us;

	while (clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
}

/* [F10] */
static void a_stream_stops_where_its_room_ends_and_goes_on_with_more(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct inbound_relay *sent = &w->relays[0].sent;

	w->no_credit = true;
	world_open(w);
	script(w, "{\"default\":{\"size\":1999964}}"); /* 2,000,000 with its envelope */
	send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, FRAME_CREDIT_FIRST);
	run_for(w, 100000);
	assert_int_equal(w->part_bytes, FRAME_CREDIT_FIRST);
	assert_int_equal(w->relays[0].leaves, 4);
	grant(w, sent, NODE_PART - 1); /* less than a part: nothing goes */
	run_for(w, 50000);
	assert_int_equal(w->relays[0].leaves, 4);
	grant(w, sent, NODE_PART + 1);
	run_until_parts(w, 6 * NODE_PART);
	run_for(w, 50000);
	assert_int_equal(w->relays[0].leaves, 6);
	grant(w, sent, UINT32_MAX);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].body.n, 2000000);
	assert_int_equal(w->relays[0].leaf.flags, LEAF_LAST);
	world_destroy(w);
}

/* [R9] [F13] */
static void a_stream_without_room_ends_by_name(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->no_credit = true;
	w->params.credit_timeout_us = 300000;
	world_open(w);
	script(w, "{\"queue\":[{\"size\":3000000}]}");
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].error, err_info(ERR_STALLED)->wire);
	assert_int_equal(w->relays[0].leaves, 4);
	assert_int_equal(w->relays[0].leaf.flags, 0);
	while (faultnode_stats(w->backend)->open > 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->head.size, 5);
	world_destroy(w);
}

/* [R10] [F13]: what has no end that is known to be good has no last part. */
static void a_stream_that_turns_out_bad_has_no_last_part(void **state)
{
	static const struct {
		const char *script;
		enum err_code why;
	} cases[] = {
		{"{\"queue\":[{\"size\":900000,\"cut\":\"half\"}]}", ERR_UPSTREAM},
		{"{\"queue\":[{\"size\":900000,\"chunked\":true,\"cut\":\"half\"}]}", ERR_UPSTREAM},
		{"{\"queue\":[{\"size\":900000,\"after\":\"}\"}]}", ERR_UPSTREAM},
		{"{\"queue\":[{\"size\":900000,\"drip_bytes\":600000,\"drip_ms\":60000}]}",
		 ERR_STALLED},
		{"{\"queue\":[{\"size\":2000000,\"chunked\":true}]}", ERR_UPSTREAM_TOO_LARGE},
	};
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.upstream.body_max = 1000000;
	w->params.upstream.stall_us = 800000;
	world_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct outcome *o;

		script(w, cases[i].script);
		o = ask(w, BALANCE);
		assert_int_equal(o->error, err_info(cases[i].why)->wire);
		assert_true(o->leaves > 0 && o->body.n < 1000000);
		assert_int_equal(o->leaf.kind, LEAF_PART);
		assert_int_equal(o->leaf.flags & LEAF_LAST, 0);
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	}
	world_destroy(w);
}

/* [E5]: an id that is wrong where it can be seen is a refusal, one that comes last no last part. */
static void an_id_that_comes_last_is_looked_at_too(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	script(w, "{\"queue\":[{\"size\":300000,\"id_last\":true},{\"size\":300000,\"id\":7},"
		  "{\"size\":300000,\"id\":7,\"id_last\":true}]}");
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.flags, LEAF_LAST);
	assert_int_equal(o->body.n, 300036);
	assert_refused(ask(w, BALANCE), ERR_UPSTREAM);
	o = ask(w, BALANCE);
	assert_int_equal(o->error, err_info(ERR_UPSTREAM)->wire);
	assert_int_equal(o->leaf.flags & LEAF_LAST, 0);
	world_destroy(w);
}

/* [F10] [R9] */
static void a_cancelled_stream_ends_and_its_backend_is_let_go(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->no_credit = true;
	world_open(w);
	script(w, "{\"queue\":[{\"size\":9000000}]}");
	send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, FRAME_CREDIT_FIRST);
	frame_put_cancel(link_out(w->link), 1);
	link_sent(w->link);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].error, err_info(ERR_CANCELLED)->wire);
	assert_int_equal(w->relays[0].leaves, 4);
	while (faultnode_stats(w->backend)->open > 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	world_destroy(w);
}

/* [F7]: a turn is bounded with streams too, and what is small does not queue behind megabytes. */
static void small_answers_do_not_queue_behind_streams(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	size_t before, behind = 0;

	world_open(w);
	script(w, "{\"methods\":{\"eth_getBalance\":{\"size\":6000000}},\"default\":{}}");
	for (int i = 0; i < 8; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, 8 * NODE_PART);
	w->no_credit = true; /* from now on all room is there */
	for (int i = 0; i < 8; i++)
		grant(w, &w->relays[i].sent, UINT32_MAX);
	for (int i = 0; i < 20 && w->part_bytes < 40000000; i++) {
		before = w->part_bytes;
		assert_int_equal(ask_method(w, "eth_chainId")->leaf.kind, LEAF_ANSWER);
		behind = MAX(behind, w->part_bytes - before);
	}
	assert_int_equal(w->beside, 1);
	/* What the sockets hold, and a turn or two; 48 MB were ready to go. */
	print_message("# %zu bytes ahead of a small answer at most\n", behind);
	assert_true(behind < 16000000);
	assert_true(run_until_done(w, w->sent));
	for (int i = 0; i < 8; i++)
		assert_int_equal(w->relays[i].body.n, 6000036);
	assert_true(w->frame_max <= FRAME_BATCH_BYTES_MAX + 1024);
	world_destroy(w);
}

/* Streams of one link have the same share of it. */
static void streams_take_turns(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	uint32_t least = UINT32_MAX, most = 0;

	world_open(w);
	script(w, "{\"default\":{\"size\":6000000}}");
	for (int i = 0; i < 8; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, 16000000);
	for (int i = 0; i < 8; i++) {
		least = MIN(least, w->relays[i].leaves);
		most = MAX(most, w->relays[i].leaves);
	}
	assert_true(least > 0 && most < 4 * least);
	assert_true(run_until_done(w, 8));
	world_destroy(w);
}

/* [R8]: part 0 is in time or the relay is refused; the rest may take longer. */
static void a_deadline_is_one_until_part_0(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"default\":{\"size\":600000,\"drip_bytes\":100000,\"drip_ms\":400}}");
	send_relay(w, BALANCE, 1500);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].body.n, 600036);
	script(w, "{\"default\":{\"size\":600000,\"drip_bytes\":50000,\"drip_ms\":4000}}");
	send_relay(w, BALANCE, 1500);
	assert_true(run_until_done(w, 2));
	assert_refused(&w->relays[1], ERR_DEADLINE);
	world_destroy(w);
}

static void an_answer_over_the_limit_is_refused_by_name(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.upstream.body_max = 100000;
	world_open(w);
	script(w, "{\"default\":{\"size\":200000}}");
	assert_refused(ask(w, BALANCE), ERR_UPSTREAM_TOO_LARGE);
	world_destroy(w);
}

static void a_method_that_is_not_relayed_is_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	assert_refused(ask(w, ADMIN), ERR_METHOD);
	assert_refused(ask(w, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_chainId\"}"),
		       ERR_PROTOCOL);
	assert_refused(ask(w, "{\"jsonrpc\":\"2.0\",\"id\":1"), ERR_PROTOCOL);
	assert_int_equal(faultnode_stats(w->backend)->requests, 0);
	world_destroy(w);
}

/* [E4] */
static void a_notification_is_receipted_with_an_empty_answer(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	o = ask(w, "{\"jsonrpc\":\"2.0\",\"method\":\"eth_getBalance\",\"params\":[]}");
	assert_int_equal(o->leaf.kind, LEAF_ANSWER);
	assert_int_equal(o->body.n, 0);
	assert_int_equal(faultnode_stats(w->backend)->requests, 1);
	world_destroy(w);
}

/* [P5] */
static void an_unpaid_gateway_is_refused_until_it_cosigns(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	uint32_t max = method_table_cu_max(chain_table(chain_find("evm")));
	int served = 0;

	w->params.max_unpaid_cu = 1000; /* a new gateway gets the dearest method's CU */
	world_open(w);
	while (ask(w, BALANCE)->leaf.kind == LEAF_ANSWER)
		served++;
	assert_int_equal(served, max / BALANCE_CU);
	assert_refused(&w->relays[w->sent - 1], ERR_UNPAID);
	cosign(w);
	for (int i = 0; i < 300 && w->relays[w->sent - 1].leaf.kind != LEAF_ANSWER; i++) {
		usleep(100000); /* the cosignature is on its way to disk */
		ask(w, BALANCE);
	}
	assert_int_equal(w->relays[w->sent - 1].leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

/* [P4] */
static void a_relay_over_the_allowance_is_refused(void **state)
{
	struct network_params params = NETWORK_PARAMS_DEFAULT;
	struct world *w;

	params.price = 10;
	params.budget = (u128)session_params_default.session_suppliers * 10 * (5 * BALANCE_CU + 1);
	w = world_create(&params);
	world_open(w);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_refused(ask(w, BALANCE), ERR_ALLOWANCE);
	cosign(w); /* payment does not raise it */
	usleep(50000);
	assert_refused(ask(w, BALANCE), ERR_ALLOWANCE);
	world_destroy(w);
}

static void relays_over_the_limit_in_flight_are_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.in_flight_max = 4;
	world_open(w);
	script(w, "{\"default\":{\"delay_ms\":200}}");
	for (int i = 0; i < 6; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 6));
	for (int i = 0; i < 4; i++)
		assert_int_equal(w->relays[i].leaf.kind, LEAF_ANSWER);
	assert_refused(&w->relays[4], ERR_OVERLOAD);
	assert_refused(&w->relays[5], ERR_OVERLOAD);
	world_destroy(w);
}

/* [F9] */
static void more_than_64_refusals_of_a_turn_are_error_frames(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	unsigned leaves = 0, errors = 0;

	world_open(w);
	for (int i = 0; i < 100; i++)
		send_relay(w, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"admin_peers\"}",
			   PATIENT_MS);
	assert_true(run_until_done(w, 100));
	for (int i = 0; i < 100; i++) {
		leaves += w->relays[i].leaves;
		errors += w->relays[i].error == err_info(ERR_METHOD)->wire;
	}
	assert_int_equal(leaves, 64);
	assert_int_equal(errors, 36);
	world_destroy(w);
}

/* [F9] */
static void refusals_beyond_what_a_node_signs_are_said_and_then_end_the_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	unsigned leaves = 0, errors = 0;

	w->params.refusals_signed_max = 10;
	w->params.refusals_max = 40;
	world_open(w);
	for (int i = 0; i < 30; i++)
		send_relay(w, ADMIN, PATIENT_MS);
	assert_true(run_until_done(w, 30));
	for (int i = 0; i < 30; i++) {
		leaves += w->relays[i].leaves;
		errors += w->relays[i].error == err_info(ERR_METHOD)->wire;
	}
	assert_in_range(leaves, 10, 29); /* more than 10 when a second has passed meanwhile */
	assert_int_equal(leaves + errors, 30);
	for (int i = 0; i < 90; i++)
		send_relay(w, ADMIN, PATIENT_MS);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_LIMIT);
	world_destroy(w);
}

static void refused_sessions_count_as_refusals_too(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct frame_session s = {.service = {"eth"}, .start = 1 << 20};

	w->params.refusals_max = 40;
	w->params.refusals_signed_max = 10;
	world_open(w);
	for (uint32_t i = 0; i < 90; i++)
		frame_put_session(link_out(w->link), HANDLE + 1 + i, &s);
	link_sent(w->link);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_LIMIT);
	world_destroy(w);
}

static void sessions_over_the_limit_are_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct frame_session s = {.service = {"eth"}};

	w->params.sessions_max = 1;
	world_open(w);
	frame_put_session(link_out(w->link), HANDLE + 1, &s);
	link_sent(w->link);
	assert_true(run_until(w, &w->session_refused));
	assert_int_equal(w->session_error, err_info(ERR_LIMIT)->wire);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

static void a_gateway_that_never_cosigns_loses_its_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.heads_max = 5;
	world_open(w);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_false(w->down);
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_UNPAID);
	world_destroy(w);
}

/* [F10] */
static void a_cancelled_relay_gets_no_leaf(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"queue\":[{\"hang\":true}]}");
	send_relay(w, BALANCE, PATIENT_MS);
	while (faultnode_stats(w->backend)->requests == 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	frame_put_cancel(link_out(w->link), 1);
	link_sent(w->link);
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 2));
	assert_int_equal(w->relays[0].leaves, 0);
	assert_int_equal(w->relays[0].error, err_info(ERR_CANCELLED)->wire);
	assert_int_equal(w->relays[1].leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->head.size, 1);
	while (faultnode_stats(w->backend)->open > 1) /* its request was let go */
		event_base_loop(w->base, EVLOOP_ONCE);
	world_destroy(w);
}

/* [F5] */
static void sessions_that_do_not_hold_are_refused_by_name(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_start(w);
	dial(w);
	assert_true(run_until(w, &w->up));
	w->session->method_table.b[0] ^= 1;
	open_session(w);
	assert_true(run_until(w, &w->session_refused));
	w->session_refused = false;
	assert_int_equal(w->session_error, err_info(ERR_TABLE)->wire);
	w->session->method_table.b[0] ^= 1;
	w->session->id.b[0] ^= 1;
	open_session(w);
	assert_true(run_until(w, &w->session_refused));
	w->session_refused = false;
	assert_int_equal(w->session_error, err_info(ERR_NO_SESSION)->wire);
	w->session->id.b[0] ^= 1;
	send_relay(w, BALANCE, 1000);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].error, err_info(ERR_NO_SESSION)->wire);
	world_destroy(w);
}

/* [S10] */
static void a_session_of_another_time_is_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const height_t start = w->session->start;
	const height_t starts[] = {start + 120, start + 7, 0, UINT64_MAX - 3};

	world_start(w);
	dial(w);
	assert_true(run_until(w, &w->up));
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		w->session->start = starts[i];
		w->session_refused = false;
		open_session(w);
		assert_true(run_until(w, &w->session_refused));
		assert_int_equal(w->session_error,
				 err_info(i == 0 ? ERR_SESSION_OVER : ERR_NO_SESSION)->wire);
	}
	world_destroy(w);
}

static void relays_over_the_limit_of_memory_are_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.bytes_max = 250;
	world_open(w);
	script(w, "{\"default\":{\"delay_ms\":100}}");
	for (int i = 0; i < 5; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 5));
	assert_int_equal(w->relays[0].leaf.kind, LEAF_ANSWER);
	assert_refused(&w->relays[4], ERR_OVERLOAD);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

static void a_gateway_that_reads_slowly_gets_all_and_keeps_its_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.listener.link.out_max = 2 << 20;
	world_open(w);
	script(w, "{\"default\":{\"size\":500000}}");
	for (int i = 0; i < 30; i++) /* 15 MB: more than out_max and the sockets' buffers */
		send_relay(w, BALANCE, PATIENT_MS);
	while (faultnode_stats(w->backend)->requests < 30 && !w->down)
		event_base_loop(w->base, EVLOOP_ONCE);
	usleep(100000); /* the node goes on alone */
	assert_true(run_until_done(w, 30));
	assert_false(w->down);
	assert_int_equal(w->relays[29].body.n, 500036);
	world_destroy(w);
}

static void a_gateway_without_a_grant_may_not_come(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_start(w);
	relay_key_destroy(w->net->gateway);
	w->net->gateway = relay_key_generate(KEY_ROLE_GATEWAY);
	w->self.key = w->net->gateway;
	w->self.id = *relay_key_public(w->net->gateway);
	dial(w);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_GRANT);
	world_destroy(w);
}

static void a_relay_number_that_does_not_grow_closes_the_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct frame_relay relay = {.session = HANDLE, .deadline_ms = 1000};

	world_open(w);
	ask(w, BALANCE);
	relay.request = w->relays[0].sent.request;
	frame_put_relay(link_out(w->link), 1, &relay);
	link_sent(w->link);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_PROTOCOL);
	world_destroy(w);
}

/* [F8] */
static void a_cosignature_that_is_wrong_closes_the_link(void **state)
{
	struct world *w;

	for (int fault = 0; fault < 3; fault++) {
		w = world_create(&NETWORK_PARAMS_DEFAULT);
		world_open(w);
		ask(w, BALANCE);
		if (fault == 0)
			w->head.root.b[5] ^= 1; /* another root */
		else if (fault == 1)
			w->head.size = 7; /* a head that was not sent */
		else
			w->self.network.b[0] ^= 1; /* a signature over something else */
		cosign(w);
		assert_true(run_until(w, &w->down));
		assert_int_equal(w->why.code, ERR_PROTOCOL);
		world_destroy(w);
	}
}

/* [T2] */
static void a_full_lane_is_followed_by_another_and_cosigned_to_its_end(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct checkpoint old_head;
	struct lane_id old_lane;

	w->params.lane_leaves = 10;
	world_open(w);
	for (int i = 0; i < 10; i++)
		ask(w, BALANCE);
	assert_int_equal(w->lanes, 1);
	old_lane = w->lane_id;
	old_head = w->head;
	for (int i = 0; i < 15; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->lanes, 3);
	w->lane_id = old_lane;
	w->head = old_head;
	cosign(w);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_false(w->down);
	world_destroy(w);
}

static void lanes_that_are_never_cosigned_to_their_end_close_the_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.lane_leaves = 2;
	w->params.lanes_max = 2;
	world_open(w);
	for (int i = 0; i < 6; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->lanes, 3);
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_LIMIT);
	world_destroy(w);
}

static void what_was_answered_is_in_the_ledger(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = NULL;
	struct ledger_lane_info lane;
	char dir[96];
	struct err err;

	world_open(w);
	for (int i = 0; i < 3; i++)
		ask(w, BALANCE);
	snprintf(dir, sizeof(dir), "%s/node", w->net->dir);
	node_end(w);
	assert_ok(ledger_reader_open(dir, &reader, &err), err);
	assert_ok(ledger_lane_read(reader, &w->lane_id, &lane, &err), err);
	assert_int_equal(lane.head.size, 3);
	assert_memory_equal(&lane.head.root, &w->head.root, 32);
	ledger_reader_close(STEAL(reader));
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_receipted_with_the_methods_cu),
		cmocka_unit_test(a_pinned_relay_is_of_its_block_or_refused),
		cmocka_unit_test(what_a_backend_says_is_signed_as_what_it_is),
		cmocka_unit_test(relays_of_a_burst_share_signatures),
		cmocka_unit_test(a_revert_is_charged_and_other_rpc_errors_are_not),
		cmocka_unit_test(a_backend_that_cannot_be_believed_is_an_upstream_refusal),
		cmocka_unit_test(a_dead_backend_is_a_refusal_that_says_that_nothing_was_sent),
		cmocka_unit_test(a_black_hole_is_refused_at_the_deadline),
		cmocka_unit_test(an_answer_over_64_KiB_is_a_stream_of_parts),
		cmocka_unit_test(a_stream_stops_where_its_room_ends_and_goes_on_with_more),
		cmocka_unit_test(a_stream_without_room_ends_by_name),
		cmocka_unit_test(a_stream_that_turns_out_bad_has_no_last_part),
		cmocka_unit_test(an_id_that_comes_last_is_looked_at_too),
		cmocka_unit_test(a_cancelled_stream_ends_and_its_backend_is_let_go),
		cmocka_unit_test(small_answers_do_not_queue_behind_streams),
		cmocka_unit_test(streams_take_turns),
		cmocka_unit_test(a_deadline_is_one_until_part_0),
		cmocka_unit_test(an_answer_over_the_limit_is_refused_by_name),
		cmocka_unit_test(a_method_that_is_not_relayed_is_refused),
		cmocka_unit_test(a_notification_is_receipted_with_an_empty_answer),
		cmocka_unit_test(an_unpaid_gateway_is_refused_until_it_cosigns),
		cmocka_unit_test(a_relay_over_the_allowance_is_refused),
		cmocka_unit_test(relays_over_the_limit_in_flight_are_refused),
		cmocka_unit_test(more_than_64_refusals_of_a_turn_are_error_frames),
		cmocka_unit_test(refusals_beyond_what_a_node_signs_are_said_and_then_end_the_link),
		cmocka_unit_test(refused_sessions_count_as_refusals_too),
		cmocka_unit_test(sessions_over_the_limit_are_refused),
		cmocka_unit_test(a_gateway_that_never_cosigns_loses_its_link),
		cmocka_unit_test(a_cancelled_relay_gets_no_leaf),
		cmocka_unit_test(sessions_that_do_not_hold_are_refused_by_name),
		cmocka_unit_test(a_session_of_another_time_is_refused),
		cmocka_unit_test(relays_over_the_limit_of_memory_are_refused),
		cmocka_unit_test(a_gateway_that_reads_slowly_gets_all_and_keeps_its_link),
		cmocka_unit_test(a_gateway_without_a_grant_may_not_come),
		cmocka_unit_test(a_relay_number_that_does_not_grow_closes_the_link),
		cmocka_unit_test(a_cosignature_that_is_wrong_closes_the_link),
		cmocka_unit_test(a_full_lane_is_followed_by_another_and_cosigned_to_its_end),
		cmocka_unit_test(lanes_that_are_never_cosigned_to_their_end_close_the_link),
		cmocka_unit_test(what_was_answered_is_in_the_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
