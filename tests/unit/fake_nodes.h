/* SPDX-License-Identifier: Apache-2.0
 * A real gateway with nodes that misbehave on order: they are made of the link layer, sign what
 * they are told to sign, and count what they were asked. */
#ifndef TESTS_UNIT_FAKE_NODES_H
#define TESTS_UNIT_FAKE_NODES_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "chains/evm/keccak.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/base/rng.h"
#include "relay/crypto/digest.h"
#include "relay/gateway/gateway.h"
#include "relay/gateway/inbound.h"
#include "relay/link/listener.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"
#include "relay/rpc/encoding.h"
#include "tests/support/network.h"

#define NODES 2
#define REFUSALS 4 /* of those that then answer */
#define READ "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_getBalance\",\"params\":[]}"

/* What a node does with a relay. */
enum way {
	ANSWER,
	ANSWER_WRONG_ID,
	LIE_HASH,      /* the answer is not what its leaf says */
	LIE_ROOT,      /* the root is not that of the leaves */
	LIE_SIGNATURE, /* signed by nobody */
	LIE_CU,	       /* dearer than the table: provable */
	LIE_RELAY,     /* an answer to what was not asked */
	REFUSE_OVERLOAD,
	REFUSE_UPSTREAM,
	REFUSE_NO_BACKEND,
	REFUSE_UNPAID, /* a few times, then it answers */
	REFUSE_OVER,   /* likewise: its clock is behind or ahead of ours */
	ERROR_FRAME,
	ERROR_UNPAID,	/* a few times, then it answers */
	ERROR_SHUTDOWN, /* a few times, then it answers */
	SILENT,
	BEGIN_AND_REST,	 /* part 0 of a stream, and nothing more */
	BEGIN_AND_ERROR, /* ..., and that it broke off */
	BEGIN_AND_LEAVE, /* ..., and the link is closed */
	HANG_UP,
	NEW_LANE, /* each answer is in a lane of its own */
	SAY_NULL,
	SAY_HEADER_ONCE, /* that it has no such header, the first time */
	SAY_HEADER,
	SAY_RATE, /* these are errors of the backend */
	SAY_PARAMS,
	SAY_REVERT,
	SAY_FUNDS,
	SAY_KNOWN,
	SAY_NONCE,	 /* and has the transaction when it is looked for */
	SAY_NONCE_TAKEN, /* by another one */
};

struct world;

struct fake {
	struct world *world;
	const struct relay_key *key;
	struct link_self self;
	struct listener *listener;
	struct link *link;
	struct lane_id lane;
	struct checkpoint_lane names;
	struct tree tree;
	uint64_t cu;
	struct session_id session;
	bool comes_late;   /* agrees to its session when the other node has been asked ... */
	bool never_comes;  /* ... or not at all */
	uint32_t withheld; /* that session's handle; 0: none */
	_Atomic int way;
	_Atomic unsigned asked, cancelled, cosigned;
	_Atomic int why_down; /* the last error of its link */
};

struct world {
	struct network *net;
	struct event_base *base;
	struct tls *tls;
	struct fake nodes[NODES];
	_Atomic bool stops;
	pthread_t nodes_thread, gateway_thread;
	struct config *config;
	struct gateway *gateway;
	struct buf body;
	char url[64];
	unsigned attempts; /* of the gateway's configuration */
	int64_t hedges_before;
};

/* The error that a node refuses with; ERR_NONE: it does not refuse. */
static inline enum err_code refusal_of(enum way way)
{
	switch ((int)way) {
	case REFUSE_OVERLOAD:
		return ERR_OVERLOAD;
	case REFUSE_UPSTREAM:
		return ERR_UPSTREAM;
	case REFUSE_NO_BACKEND:
		return ERR_NO_BACKEND;
	case REFUSE_UNPAID:
	case ERROR_UNPAID:
		return ERR_UNPAID;
	case REFUSE_OVER:
		return ERR_SESSION_OVER;
	case ERROR_SHUTDOWN:
		return ERR_SHUTDOWN;
	case ERROR_FRAME:
		return ERR_LEDGER;
	default:
		return ERR_NONE;
	}
}

/* The backend's error, without its braces; NULL: a result. */
static inline const char *error_of(enum way way)
{
	switch ((int)way) {
	case SAY_HEADER:
		return "\"code\":-32000,\"message\":\"header not found\"";
	case SAY_RATE:
		return "\"code\":-32005,\"message\":\"rate limit exceeded\"";
	case SAY_PARAMS:
		return "\"code\":-32602,\"message\":\"invalid argument 0\"";
	case SAY_REVERT:
		return "\"code\":3,\"message\":\"execution reverted\",\"data\":\"0x01\"";
	case SAY_FUNDS:
		return "\"code\":-32000,\"message\":\"insufficient funds for gas\"";
	case SAY_KNOWN:
		return "\"code\":-32000,\"message\":\"already known\"";
	case SAY_NONCE:
	case SAY_NONCE_TAKEN:
		return "\"code\":-32000,\"message\":\"nonce too low\"";
	default:
		return NULL;
	}
}

static const struct {
	const char *name;
	uint32_t id, cu;
} methods[] = {
	{"eth_getBalance", 20, 20},
	{"eth_getTransactionByHash", 60, 20},
	{"eth_getTransactionReceipt", 67, 20},
	{"eth_getBlockTransactionCountByNumber", 45, 10},
	{"eth_sendRawTransaction", 80, 40},
	{"eth_sendPrivateTransaction", 83, 40},
};

static inline size_t method_of(struct view request)
{
	size_t i = 0;

	while (!memmem(request.p, request.n, methods[i].name, strlen(methods[i].name)))
		assert_true(++i < ARRAY_SIZE(methods));
	return i;
}

static inline void fill_leaf(struct fake *n, const struct frame_relay *relay, enum way way,
			     struct view response, uint16_t status, struct leaf *leaf)
{
	bool refused = refusal_of(way) != ERR_NONE;
	bool failed = error_of(way) != NULL;
	size_t method = method_of(relay->request);

	*leaf = (struct leaf){
		.kind = refused	 ? LEAF_REFUSAL
			: failed ? LEAF_RPC_ERROR
				 : LEAF_ANSWER,
		.status = status,
		.seq = n->tree.size,
		.session = n->session,
		.cu_before = n->cu,
		.cu = refused || (failed && way != SAY_REVERT) ? 0
		      : way == LIE_CU			       ? 41
							       : methods[method].cu,
		.method = methods[method].id,
		.time_ms = (uint64_t)clock_wall_ms(),
		.block = LEAF_BLOCK_UNKNOWN,
	};
	leaf_request_hash(&n->lane, &relay->salt, &relay->request, 1, &leaf->request_hash);
	leaf_response_hash(&n->lane, &relay->salt, 0, &response, 1, &leaf->response_hash);
}

static inline bool begins(enum way way)
{
	return way == BEGIN_AND_REST || way == BEGIN_AND_ERROR || way == BEGIN_AND_LEAVE;
}

/* What the backend says of a call. */
static inline void put_body(enum way way, struct buf *out)
{
	if (error_of(way))
		buf_putf(out, "{\"id\":1,\"error\":{%s}}", error_of(way));
	else if (way == SAY_NULL)
		buf_put_str(out, "{\"id\":1,\"result\":null}");
	else
		buf_putf(out, "{\"id\":%d,\"result\":\"%s\"}", way == ANSWER_WRONG_ID ? 2 : 1,
			 way == ANSWER ? "0x5" : "0xbad");
}

/* ... and of one that looks for the transaction that had to be sent. */
static inline void put_lookup(enum way way, struct view request, struct buf *out)
{
	const char *hash = memmem(request.p, request.n, "[\"0x", 4);

	if (way == SAY_NONCE)
		buf_putf(out, "{\"id\":1,\"result\":{\"hash\":\"%.66s\"}}", hash + 2);
	else
		buf_put_str(out, "{\"id\":1,\"result\":null}");
}

static inline void put_response(enum way way, struct view request, struct buf *out,
				uint16_t *ret_status)
{
	static char part[INBOUND_PART_BYTES];
	CLEANUP(buf_finish) struct buf body = {0};
	struct response_encoding response = {
		.status = 200,
		.content_type = VIEW_STR(RESPONSE_JSON_TYPE),
	};

	if (strcmp(methods[method_of(request)].name, "eth_getTransactionByHash") == 0)
		put_lookup(way, request, &body);
	else
		put_body(way, &body);
	response.body = buf_view(&body);
	*ret_status = 200;
	if (begins(way)) {
		memset(part, 'a', sizeof(part));
		memcpy(part, "{\"id\":1,\"result\":\"", 18);
		response.body = VIEW(part, sizeof(part));
	}
	if (refusal_of(way) != ERR_NONE) {
		response_encoding_put_refusal(out, refusal_of(way));
		*ret_status = err_info(refusal_of(way))->wire;
	} else {
		response_encoding_put(out, &response);
	}
}

static inline void send_batch(struct fake *n, uint32_t number, const struct frame_relay *relay,
			      enum way way)
{
	CLEANUP(buf_finish) struct buf response = {0};
	struct checkpoint head = {0};
	uint8_t bytes[LEAF_SIZE];
	struct hash hash;
	struct leaf leaf;
	uint16_t status;
	size_t begun;

	put_response(way, relay->request, &response, &status);
	if (strcmp(methods[method_of(relay->request)].name, "eth_getTransactionByHash") == 0)
		way = ANSWER; /* a lookup is no error, whatever sending was */
	fill_leaf(n, relay, way, buf_view(&response), status, &leaf);
	if (begins(way)) {
		leaf.kind = LEAF_PART;
		leaf.stream = number;
	}
	if (way == LIE_HASH)
		leaf.response_hash.b[5] ^= 1;
	leaf_encode(&leaf, bytes);
	leaf_hash(bytes, &hash);
	tree_append(&n->tree, &hash);
	n->cu += leaf.cu;
	head.size = n->tree.size;
	tree_root(&n->tree, &head.root);
	if (way == LIE_ROOT)
		head.root.b[0] ^= 1;
	checkpoint_sign(&n->names, n->key, &head);
	if (way == LIE_SIGNATURE)
		head.supplier_sig.b[3] ^= 1;
	begun = frame_batch_begin(link_out(n->link), &n->lane, leaf.seq, 1);
	frame_batch_add(link_out(n->link), way == LIE_RELAY ? number + 1 : number, bytes,
			buf_view(&response));
	frame_batch_end(link_out(n->link), begun, &head.root, &head.supplier_sig);
	link_sent(n->link);
}

static inline void begin_lane(struct fake *n)
{
	struct checkpoint_origin origin = {
		.network = n->self.network,
		.gateway = link_peer(n->link)->key,
		.supplier = n->self.id,
	};

	rng_bytes(n->lane.b, sizeof(n->lane.b));
	origin.lane = n->lane;
	checkpoint_lane_init(&n->names, &origin);
	tree_init(&n->tree);
	n->cu = 0;
}

static inline bool on_relay(struct fake *n, const struct frame *f, struct err *err)
{
	enum way way = (enum way)atomic_load(&n->way);
	struct frame_relay relay;

	if (!frame_read_relay(f, &relay, err))
		return false;
	if (atomic_fetch_add(&n->asked, 1) >= REFUSALS &&
	    (way == REFUSE_UNPAID || way == REFUSE_OVER || way == ERROR_UNPAID ||
	     way == ERROR_SHUTDOWN))
		way = ANSWER;
	if (way == SAY_HEADER_ONCE)
		way = atomic_load(&n->asked) == 1 ? SAY_HEADER : ANSWER;
	if (way == HANG_UP)
		return err_set(err, ERR_INTERNAL, "told to");
	if (way == SILENT)
		return true;
	if (way == ERROR_FRAME || way == ERROR_UNPAID || way == ERROR_SHUTDOWN) {
		frame_put_error(link_out(n->link), f->stream, FRAME_RELAY,
				err_info(refusal_of(way))->wire, "told to");
		link_sent(n->link);
		return true;
	}
	if (way == NEW_LANE)
		begin_lane(n);
	send_batch(n, f->stream, &relay, way == NEW_LANE ? ANSWER : way);
	return true;
}

static inline void agree(struct fake *n)
{
	frame_put_session_ok(link_out(n->link), n->withheld, 1000);
	link_sent(n->link);
	n->withheld = 0;
}

static inline bool on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	struct fake *n = arg;
	struct frame_session s;

	if (f->type == FRAME_RELAY)
		return on_relay(n, f, err);
	if (f->type == FRAME_CANCEL)
		atomic_fetch_add(&n->cancelled, 1);
	if (f->type == FRAME_COSIGN)
		atomic_fetch_add(&n->cosigned, 1);
	if (f->type != FRAME_SESSION)
		return true;
	if (!frame_read_session(f, &s, err))
		return false;
	n->session = s.session; /* one session is all that these tests have */
	n->withheld = f->stream;
	if (!n->comes_late)
		agree(n);
	return true;
}

static inline bool on_up(struct link *link, void *arg, struct err *err)
{
	struct fake *n = arg;

	n->link = link;
	begin_lane(n);
	return true;
}

static inline void on_down(struct link *link, enum link_reason reason, const struct err *err,
			   void *arg)
{
	struct fake *n = arg;

	if (n->link == link) {
		n->link = NULL;
		n->withheld = 0;
	}
	atomic_store(&n->why_down, (int)err->code);
	link_destroy(link);
}

static const struct link_callbacks node_callbacks = {
	.on_up = on_up, .on_frame = on_frame, .on_down = on_down};

static inline void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct world *w = arg;

	clock_tick();
	if (w->nodes[1].withheld && !w->nodes[1].never_comes && atomic_load(&w->nodes[0].asked) > 0)
		agree(&w->nodes[1]);
	if (atomic_load(&w->stops))
		event_base_loopbreak(w->base);
}

static inline void *nodes_main(void *arg)
{
	struct world *w = arg;
	struct event *tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	struct timeval tv = {0, 3000};

	event_add(tick, &tv);
	event_base_dispatch(w->base);
	event_free(tick);
	for (size_t i = 0; i < NODES; i++) {
		link_destroy(w->nodes[i].link);
		listener_destroy(w->nodes[i].listener);
	}
	return NULL;
}

static inline void start_nodes(struct world *w)
{
	CLEANUP(registry_view_unref)
	struct registry_view *view = registry_view_take(w->net->registry);
	struct listener_params params;
	struct err err;

	listener_params_default(&params);
	w->base = event_base_new();
	assert_ok(tls_create(&w->tls, &err), err);
	for (size_t i = 0; i < NODES; i++) {
		struct fake *n = &w->nodes[i];
		CLEANUP(xfree) char *address = NULL;

		n->world = w;
		n->key = i ? w->net->more[i] : w->net->supplier;
		n->self = (struct link_self){
			.key = n->key,
			.id = *relay_key_public(n->key),
			.role = FRAME_ROLE_SUPPLIER,
			.network = *view_network(view),
			.height = 1000,
			.frame_max = 20 << 20,
			.in_flight_max = 100,
			.max_unpaid_cu = 1000000,
		};
		address = i ? xasprintf("unix:%s/node%zu.sock", w->net->dir, i)
			    : xstrdup(w->net->endpoint);
		assert_ok(listener_create(w->base, w->tls, &n->self, &params, address,
					  &node_callbacks, n, &n->listener, &err),
			  err);
	}
	pthread_create(&w->nodes_thread, NULL, nodes_main, w);
}

static inline void *gateway_main(void *arg)
{
	struct err err;

	if (!gateway_loop(((struct world *)arg)->gateway, &err))
		fprintf(stderr, "# gateway: %s\n", err.msg);
	return NULL;
}

static inline void start_gateway(struct world *w)
{
	struct config_source source = {.role = CONFIG_GATEWAY};
	CLEANUP(buf_finish) struct buf yaml = {0}, problems = {0};
	struct gateway_status status;
	char hex[65];
	struct err err;

	hex_encode(relay_key_public(w->net->application)->b, 32, hex);
	buf_putf(&yaml,
		 "gateway:\n  key: %s\n  listen: 127.0.0.1:0\n  application: \"%s\"\n"
		 "  attempts: %u\n  deadline: %s\n  drain: 100 ms\n  cosign_interval: 50 ms\n"
		 "  hedge_min: 20 ms\n  hedge_max: 100 ms\n  hedge_percent: 50\n"
		 "  second_opinion_wait: 1 s\n  missing_wait: 100 ms\n"
		 "  stall_timeout: 400 ms\n"
		 "  lanes_max: 2\n"
		 "  share: false\n  cache_bytes: 0 B\n" /* each call is a relay */
		 "registry:\n  source: %s\nledger:\n  dir: %s/gateway\n",
		 w->net->gateway_path, hex, w->attempts, w->nodes[1].comes_late ? "5 min" : "3 s",
		 w->net->registry_path, w->net->dir);
	assert_ok(config_load_text(&source, "test", buf_view(&yaml), &w->config, &problems, &err),
		  err);
	assert_ok(gateway_create(w->config, w->net->gateway, &w->gateway, &err), err);
	pthread_create(&w->gateway_thread, NULL, gateway_main, w);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/", gateway_port(w->gateway));
	for (int i = 0; i < 12000; i++) {
		gateway_status(w->gateway, &status);
		if (status.members_ready == (w->nodes[1].comes_late ? 1u : NODES))
			return;
		usleep(5000);
	}
	print_message("# %u of %u members ready: %s\n", status.members_ready, status.members,
		      status.last_error.msg);
	fail();
}

static inline struct world *make_world(enum way first, enum way second, bool comes_late,
				       bool never_comes, unsigned attempts)
{
	struct network_params params = NETWORK_PARAMS_DEFAULT;
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	crypto_init();
	w->hedges_before = metric_value_at(METRIC_GATEWAY_HEDGES, 0, 0);
	params.suppliers = NODES;
	params.block_ms = 100000; /* one session for the whole test */
	assert_ok(network_create(&params, &w->net, &err), err);
	atomic_store(&w->nodes[0].way, first);
	atomic_store(&w->nodes[1].way, second);
	w->nodes[1].comes_late = comes_late;
	w->nodes[1].never_comes = never_comes;
	w->attempts = attempts;
	start_nodes(w);
	start_gateway(w);
	return w;
}

static inline struct world *world_create(enum way first, enum way second)
{
	return make_world(first, second, false, false, 5);
}

static inline void world_destroy(struct world *w)
{
	gateway_stop(w->gateway);
	pthread_join(w->gateway_thread, NULL);
	gateway_destroy(w->gateway);
	config_destroy(w->config);
	atomic_store(&w->stops, true);
	pthread_join(w->nodes_thread, NULL);
	tls_destroy(w->tls);
	event_base_free(w->base);
	network_destroy(w->net);
	buf_finish(&w->body);
	free(w);
}

static inline size_t take(char *p, size_t size, size_t n, void *arg)
{
	buf_put(arg, p, size * n);
	return size * n;
}

static inline CURLcode try_post(struct world *w, const char *body)
{
	CURL *c = curl_easy_init();
	CURLcode code;

	w->body.n = 0;
	curl_easy_setopt(c, CURLOPT_URL, w->url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &w->body);
	code = curl_easy_perform(c);
	curl_easy_cleanup(c);
	return code;
}

static inline const char *post(struct world *w, const char *body)
{
	assert_int_equal(try_post(w, body), CURLE_OK);
	return buf_cstr(&w->body);
}

static inline unsigned asked(struct world *w)
{
	return atomic_load(&w->nodes[0].asked) + atomic_load(&w->nodes[1].asked);
}

static inline unsigned cancelled(struct world *w)
{
	return atomic_load(&w->nodes[0].cancelled) + atomic_load(&w->nodes[1].cancelled);
}

#endif
