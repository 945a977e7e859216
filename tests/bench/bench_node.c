/* SPDX-License-Identifier: Apache-2.0
 * What a relay costs a node: a node in a process of its own, a gateway here that only asks (it
 * checks and commits nothing), a backend at URL.  bench_node URL [RELAYS [IN_FLIGHT]] */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/rng.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"
#include "relay/link/link.h"
#include "relay/node/node.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"
#include "relay/rpc/encoding.h"
#include "tests/support/network.h"

#define HANDLE 1

struct bench {
	struct network *net;
	struct session_info *session;
	struct event_base *base;
	struct link_self self;
	struct link *link;
	struct frame_batch batch;
	struct checkpoint_origin origin;
	uint64_t total, sent, done, refused, batches;
	unsigned in_flight;
	usec_t begun_us, cosigned_us, ended_us;
	uint64_t latency_us;
	usec_t *sent_us;
	bool down;
};

static int node_process(struct bench *b, const char *url, int report)
{
	CLEANUP(xfree) struct node_params *p = xcalloc(1, sizeof(*p));
	struct node *node = NULL;
	struct err err;
	char ledger[96];
	uint16_t port;
	bool ok;

	log_init(LOG_LEVEL_WARN, 2, "node");
	pthread_setname_np(pthread_self(), "node"); /* for perf */
	snprintf(ledger, sizeof(ledger), "%s/node", b->net->dir);
	node_params_default(p);
	p->key = b->net->supplier;
	p->registry = b->net->registry_path;
	p->listen = "127.0.0.1:0";
	p->ledger.dir = ledger;
	p->max_unpaid_cu = UINT64_C(1) << 40;
	p->services_n = 1;
	p->services[0] = (struct node_service_params){
		.name = {"eth"}, .family = "evm", .urls = {url}, .urls_n = 1};
	ok = node_create(p, &node, &err);
	port = ok ? node_port(node) : 0;
	if (write(report, &port, sizeof(port)) != sizeof(port) || !ok) {
		fprintf(stderr, "bench_node: %s\n", err.msg);
		return 1;
	}
	ok = node_run(node, &err);
	node_destroy(node);
	return ok ? 0 : 1;
}

static void send_one(struct bench *b)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct frame_relay relay = {.session = HANDLE, .deadline_ms = 10000};
	struct request_encoding request = {.kind = ENCODING_JSONRPC, .service = {"eth"}};
	char body[160];

	snprintf(body, sizeof(body),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\",\"params\":"
		 "[\"0x%040llx\",\"latest\"]}",
		 (unsigned long long)b->sent);
	request.body = VIEW_STR(body);
	request_encoding_put(&bytes, &request);
	relay.request = buf_view(&bytes);
	rng_bytes(&relay.salt, sizeof(relay.salt));
	b->sent_us[b->sent] = clock_now_us();
	frame_put_relay(link_out(b->link), (uint32_t)++b->sent, &relay);
}

static void cosign(struct bench *b)
{
	CLEANUP(buf_finish) struct buf message = {0};
	struct frame_cosign out = {.lane = b->batch.lane,
				   .size = b->batch.first + b->batch.count,
				   .root = b->batch.root};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint_lane lane;
	size_t n;

	b->origin.lane = b->batch.lane;
	checkpoint_lane_init(&lane, &b->origin);
	n = checkpoint_text(&lane, out.size, &out.root, text);
	out.time_s = (uint64_t)clock_wall_ms() / 1000;
	note_put_cosigned(&message, out.time_s, VIEW(text, n));
	sign_bytes(b->net->gateway, message.p, message.n, &out.signature);
	frame_put_cosign(link_out(b->link), &out);
	b->cosigned_us = clock_now_us();
}

static bool on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	struct bench *b = arg;
	usec_t now = clock_now_us();

	if (f->type == FRAME_SESSION_OK) {
		b->begun_us = now;
		for (unsigned i = 0; i < b->in_flight && b->sent < b->total; i++)
			send_one(b);
	} else if (f->type == FRAME_BATCH) {
		if (!frame_read_batch(f, &b->batch, err))
			return false;
		b->batches++;
		for (uint32_t i = 0; i < b->batch.count; i++) {
			b->refused += b->batch.answers[i].leaf[4] == LEAF_REFUSAL;
			b->latency_us +=
				(uint64_t)(now - b->sent_us[b->batch.answers[i].relay - 1]);
			if (b->sent < b->total)
				send_one(b);
		}
		b->done += b->batch.count;
		if (now - b->cosigned_us > 1000000)
			cosign(b);
	} else if (f->type == FRAME_ERROR) {
		return err_set(err, ERR_PROTOCOL, "the node refuses");
	}
	link_sent(link);
	if (b->done == b->total) {
		b->ended_us = now;
		event_base_loopbreak(b->base);
	}
	return true;
}

static bool on_up(struct link *link, void *arg, struct err *err)
{
	struct bench *b = arg;
	struct frame_session s = {
		.session = b->session->id,
		.application = b->session->application,
		.service = b->session->service,
		.start = b->session->start,
		.table = b->session->method_table,
	};

	frame_put_session(link_out(link), HANDLE, &s);
	link_sent(link);
	return true;
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
{
	struct bench *b = arg;

	fprintf(stderr, "bench_node: link down: %s\n", err->msg);
	b->down = true;
	event_base_loopbreak(b->base);
}

static const struct link_callbacks callbacks = {
	.on_up = on_up, .on_frame = on_frame, .on_down = on_down};

static bool drive(struct bench *b, uint16_t port, struct err *err)
{
	CLEANUP(registry_view_unref)
	struct registry_view *view = registry_view_take(b->net->registry);
	CLEANUP(tls_destroy) struct tls *tls = NULL;
	struct link_params params;
	struct address to;
	char text[32];

	b->base = event_base_new();
	b->self = (struct link_self){
		.key = b->net->gateway,
		.id = *relay_key_public(b->net->gateway),
		.role = FRAME_ROLE_GATEWAY,
		.network = *view_network(view),
		.frame_max = 20 << 20,
		.in_flight_max = 1024,
	};
	b->origin = (struct checkpoint_origin){.network = b->self.network,
					       .gateway = b->self.id,
					       .supplier = *relay_key_public(b->net->supplier)};
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	link_params_default(&params);
	if (!network_session(b->net, &b->session, err) || !tls_create(&tls, err) ||
	    !address_parse_numeric(text, &to, err))
		return false;
	b->link = link_dial(b->base, tls, &b->self, &params, &to, NULL, &callbacks, b);
	event_base_dispatch(b->base);
	link_destroy(b->link);
	event_base_free(b->base);
	return true;
}

static double cpu_us(const struct rusage *use)
{
	return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1e6 +
	       (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
}

static void report(const struct bench *b, pid_t child)
{
	double n = (double)b->done, wall;
	struct rusage use;
	int status;

	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	getrusage(RUSAGE_CHILDREN, &use);
	wall = (double)(b->ended_us - b->begun_us);
	printf("in flight %4u: %8.2f us CPU a relay in the node (user %.2f), %8.0f relays/s, %7.0f "
	       "us "
	       "mean, %5.1f a batch, %llu refused, %ld KiB\n",
	       b->in_flight, cpu_us(&use) / n,
	       ((double)use.ru_utime.tv_sec * 1e6 + (double)use.ru_utime.tv_usec) / n,
	       n * 1e6 / wall, (double)b->latency_us / n, n / (double)b->batches,
	       (unsigned long long)b->refused, use.ru_maxrss);
}

int main(int argc, char **argv)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	uint64_t in_flight = 32;
	struct err err;
	uint16_t port;
	int pipes[2];
	pid_t child;

	b->total = 100000;
	if (argc < 2 || (argc > 2 && !u64_parse(argv[2], strlen(argv[2]), &b->total)) ||
	    (argc > 3 && !u64_parse(argv[3], strlen(argv[3]), &in_flight)) || b->total == 0) {
		printf("usage: bench_node URL [RELAYS [IN_FLIGHT]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	crypto_init();
	b->in_flight = (unsigned)in_flight;
	b->sent_us = xcalloc(b->total, sizeof(*b->sent_us));
	if (!network_create(&NETWORK_PARAMS_DEFAULT, &b->net, &err) || pipe(pipes) != 0) {
		fprintf(stderr, "bench_node: %s\n", err.msg);
		return 1;
	}
	child = fork();
	if (child == 0)
		_exit(node_process(b, argv[1], pipes[1]));
	if (read(pipes[0], &port, sizeof(port)) != sizeof(port) || !drive(b, port, &err))
		return 1;
	report(b, child);
	free(b->session);
	network_destroy(b->net);
	free(b->sent_us);
	free(b);
	return 0;
}
