/* SPDX-License-Identifier: Apache-2.0
 * Fixed pieces of work for tests/bench/guard, which counts their instructions.
 * bench_guard NAME COUNT does one of them COUNT times; without arguments it prints the names. */
#include <poll.h>
#include <stdio.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/ledger/ledger.h"
#include "relay/link/frame.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"
#include "relay/rpc/encoding.h"
#include "session/pick.h"

#define REQUEST_BYTES 150 /* an eth_getBalance and its encoding */
#define RESPONSE_BYTES 110
#define TURN 16 /* leaves of a batch */
#define MEMBERS 5

static const uint8_t bytes[REQUEST_BYTES];
static const struct lane_id lane_id;
static const struct salt salt;
static uint8_t leaf_bytes[LEAF_SIZE];
static struct hash hash;

static void must(bool fine)
{
	if (!fine)
		abort();
}

/* A leaf from its two encodings to its hash in the tree. */
static void do_leaf(uint64_t count)
{
	struct view request = VIEW(bytes, REQUEST_BYTES), response = VIEW(bytes, RESPONSE_BYTES);
	struct leaf leaf = {.kind = LEAF_ANSWER, .status = 200, .cu = 10, .block = 5}, back;

	for (uint64_t i = 0; i < count; i++) {
		leaf.seq = i & (LEDGER_LANE_LEAVES - 1);
		leaf_request_hash(&lane_id, &salt, &request, 1, &leaf.request_hash);
		leaf_response_hash(&lane_id, &salt, 0, &response, 1, &leaf.response_hash);
		leaf_encode(&leaf, leaf_bytes);
		leaf_hash(leaf_bytes, &hash);
		must(leaf_decode(leaf_bytes, &back) == LEAF_FINE &&
		     leaf_check(&back, 10, 0) == LEAF_FINE);
	}
}

static void do_tree(uint64_t count)
{
	struct tree tree;
	struct hash root;

	tree_init(&tree);
	for (uint64_t i = 0; i < count; i++) {
		tree_append(&tree, &hash);
		if (i % TURN == 0)
			tree_root(&tree, &root);
	}
}

/* A call through the gateway's eyes: scanned, encoded, its answer scanned. */
static void do_scanner(uint64_t count)
{
	static const struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 1};
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\","
				   "\"params\":[\"0x00000000219ab540356cbb839cbe05303d7705fa\","
				   "\"latest\"]}";
	static const char answer[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":"
				     "\"0x00000000000000000de0b6b3a7640000\"}";
	const struct service_name eth = {"eth"};
	struct buf out = {0};

	for (uint64_t i = 0; i < count; i++) {
		struct rpc_request request;
		struct rpc_answer a;
		struct err err;

		must(rpc_request_scan(VIEW_STR(call), &limits, &request, &err));
		out.n = 0;
		request_encoding_put_call(&out, &eth, &request.one);
		must(rpc_answer_scan(VIEW_STR(answer), &a, &err));
		rpc_request_finish(&request);
	}
	buf_finish(&out);
}

static void put_batch(struct buf *out)
{
	static const struct signature signature;
	size_t begun = frame_batch_begin(out, &lane_id, 0, TURN);

	for (uint32_t i = 1; i <= TURN; i++)
		frame_batch_add(out, i, leaf_bytes, VIEW(bytes, RESPONSE_BYTES));
	frame_batch_end(out, begun, &hash, &signature);
}

static void take_frame(const struct buf *in, struct frame *ret)
{
	struct err err;
	size_t used;

	must(frame_scan(buf_view(in), 1 << 22, ret, &used, &err) == FRAME_SCAN_ONE);
}

/* A relay across the link and back, TURN answers a batch: written and read. */
static void do_frame(uint64_t count)
{
	static struct frame_batch batch;
	const struct frame_relay relay = {
		.session = 1, .deadline_ms = 1000, .request = VIEW(bytes, REQUEST_BYTES)};
	struct frame_relay back;
	struct buf out = {0};
	struct frame f;
	struct err err;

	for (uint64_t i = 0; i < count; i++) {
		out.n = 0;
		frame_put_relay(&out, 1, &relay);
		take_frame(&out, &f);
		must(frame_read_relay(&f, &back, &err));
		if (i % TURN != 0)
			continue;
		out.n = 0;
		put_batch(&out);
		take_frame(&out, &f);
		must(frame_read_batch(&f, &batch, &err));
	}
	buf_finish(&out);
}

static void do_pick(uint64_t count)
{
	struct pick_member members[MEMBERS];
	struct session_id session = {{7}};
	struct key_id gateway = {{8}};
	struct pick pick;
	struct err err;

	for (size_t i = 0; i < MEMBERS; i++)
		members[i] =
			(struct pick_member){.weight = i + 1, .price = 1, .health = PICK_HEALTHY};
	for (uint64_t i = 0; i < count; i++)
		must(pick_member(&session, &gateway, 0, i, PICK_BY_STAKE, members, MEMBERS, &pick,
				 &err));
}

/* --- the ledger --- */

struct book {
	struct ledger *ledger;
	struct ledger_port *port;
	struct ledger_tab *tab;
	struct ledger_lane *lane;
	struct key_id peer;
	uint64_t size;
	bool waits;
};

static void on_done(void *arg, const struct err *err)
{
	struct book *book = arg;

	must(err == NULL);
	book->waits = false;
}

static void book_wait(struct book *book)
{
	while (book->waits) {
		struct pollfd p = {.fd = ledger_port_fd(book->port), .events = POLLIN};

		poll(&p, 1, 1000);
		ledger_port_reap(book->port);
	}
}

static void book_append(struct book *book, unsigned n)
{
	struct ledger_batch *batch = ledger_batch_create(book->port);
	struct ledger_head head = {.size = book->size + n};

	put_be32(leaf_bytes + 56, 1);
	for (unsigned i = 0; i < n; i++) {
		must(ledger_tab_reserve(book->tab, 1, UINT64_MAX, UINT64_MAX) == LEDGER_ROOM);
		put_be64(leaf_bytes + 8, book->size + i);
		ledger_batch_add(batch, book->tab, leaf_bytes, &hash, &salt,
				 VIEW(bytes, REQUEST_BYTES), VIEW(bytes, RESPONSE_BYTES));
	}
	book->size = head.size;
	book->waits = true;
	ledger_append(book->port, book->lane, batch, &head, on_done, book);
	book_wait(book);
}

/* COUNT leaves in batches of n, each waited for. */
static void keep_book(uint64_t count, unsigned n)
{
	char dir[] = "/tmp/cf-guard-XXXXXX", remove[64];
	struct ledger_params params = {.dir = dir,
				       .role = LEDGER_SUPPLIER,
				       .evidence_max_bytes = 256 << 20,
				       .recent_ms = 60000};
	struct ledger_session session = {.service = {"eth"}};
	struct book book = {0};
	struct err err;

	must(mkdtemp(dir) != NULL && ledger_open(&params, &book.ledger, &err));
	book.port = ledger_port_create(book.ledger);
	book.tab = ledger_tab_open(book.ledger, &session, &book.peer);
	book.waits = true;
	must(ledger_lane_open(book.port, &lane_id, &book.peer, clock_day(clock_wall_ms()), on_done,
			      &book, &book.lane, &err));
	book_wait(&book);
	for (uint64_t i = 0; i < count; i += n)
		book_append(&book, n);
	ledger_tab_close(book.tab);
	ledger_drain(book.ledger);
	ledger_port_reap(book.port);
	ledger_port_destroy(book.port);
	ledger_close(book.ledger);
	snprintf(remove, sizeof(remove), "rm -rf '%s'", dir);
	must(system(remove) == 0);
}

static void do_ledger_alone(uint64_t count)
{
	keep_book(count, 1);
}

static void do_ledger_turn(uint64_t count)
{
	keep_book(count, TURN);
}

static const struct {
	const char *name;
	void (*work)(uint64_t count);
} works[] = {
	{"leaf", do_leaf},
	{"tree", do_tree},
	{"scanner", do_scanner},
	{"frame", do_frame},
	{"pick", do_pick},
	{"ledger_alone", do_ledger_alone},
	{"ledger_turn", do_ledger_turn},
};

int main(int argc, char **argv)
{
	uint64_t count;

	crypto_init();
	for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
		if (argc == 1)
			puts(works[i].name);
		if (argc != 3 || strcmp(argv[1], works[i].name) != 0 ||
		    !u64_parse(argv[2], strlen(argv[2]), &count))
			continue;
		works[i].work(count);
		return 0;
	}
	return argc == 1 ? 0 : 2;
}
