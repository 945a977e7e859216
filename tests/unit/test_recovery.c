/* SPDX-License-Identifier: Apache-2.0
 * Recovery between two real ledgers over a real link (protocol.md [L5] [L6] [L7] [L8] [L9]).
 *
 * A lane is made on both sides from the same leaves, and one side is given fewer of them: for the
 * ledger that is what a power loss or a dropped link leaves behind. */
#include "tests/unit/unit.h"

#include <sys/stat.h>

#include <event2/event_struct.h>
#include <sqlite3.h>

#include "relay/base/log.h"
#include "relay/link/recovery.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"
#include "tests/support/link_pair.h"

#define BATCH 4	  /* leaves of a batch of ours */
#define LEAF_CU 3 /* of each leaf */
#define DAY 20261123

struct half {
	struct side *side;
	struct key_id peer;
	char dir[64];
	struct ledger_params params;
	struct ledger *ledger;
	struct ledger_port *port;
	struct ledger_reader *reader;
	struct ledger_tab *tab;
	struct event ev_port;
	struct recovery *recovery;
	struct recovery_stats stats; /* of all recoveries so far */
	struct world *w;
};

struct world {
	struct pair pair;
	struct half gateway, node;
	usec_t refresh_us;
	/* one frame that comes to either side is changed ... */
	int tamper_type;
	size_t tamper_at;
	unsigned tampered;
	/* ... or is the last before both ends are gone */
	unsigned seen, cut_at;
	bool cut;
};

/* Callbacks find their half here: one world at a time. */
static struct world *the_world;

static struct half *half_by_link(struct link *link)
{
	return link_peer(link)->role == FRAME_ROLE_SUPPLIER ? &the_world->gateway
							    : &the_world->node;
}

static bool rec_on_up(struct link *link, void *arg, struct err *err)
{
	struct half *half = half_by_link(link);

	half->side->link = link;
	half->side->ups++;
	half->recovery = recovery_create(&(struct recovery_params){
		.link = link,
		.ledger = half->ledger,
		.port = half->port,
		.reader = half->reader,
		.refresh_us = half->w->refresh_us,
	});
	return true;
}

static void stats_add(struct half *half)
{
	const struct recovery_stats *s = recovery_stats(half->recovery);

	half->stats.closed += s->closed;
	half->stats.undelivered += s->undelivered;
	half->stats.adopted += s->adopted;
	half->stats.cosigned += s->cosigned;
	half->stats.failed += s->failed;
}

static void half_unlink(struct half *half)
{
	if (half->recovery)
		stats_add(half);
	recovery_destroy(half->recovery);
	half->recovery = NULL;
}

static bool rec_on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	struct half *half = half_by_link(link);
	struct world *w = half->w;
	CLEANUP(buf_finish) struct buf copy = {0};
	struct frame changed = *f;

	if (w->cut || ++w->seen == w->cut_at) {
		w->cut = true;
		return true;
	}
	if (f->type == w->tamper_type && !w->tampered && f->payload.n > 4) {
		buf_put(&copy, f->payload.p, f->payload.n);
		copy.p[w->tamper_at % copy.n] ^= 1;
		changed.payload = buf_view(&copy);
		w->tampered++;
	}
	return recovery_on_frame(half->recovery, &changed, err);
}

static void rec_on_down(struct link *link, enum link_reason reason, const struct err *err,
			void *arg)
{
	struct side *side = arg;

	half_unlink(side == &the_world->pair.node ? &the_world->node : &the_world->gateway);
	side_on_down(link, reason, err, arg);
}

/* --- halves --- */

static void on_port(evutil_socket_t fd, short what, void *arg)
{
	ledger_port_reap(((struct half *)arg)->port);
}

static void half_start(struct half *half)
{
	struct ledger_session session = {.start = 60};
	struct err err = {0};

	assert_ok(ledger_open(&half->params, &half->ledger, &err), err);
	half->port = ledger_port_create(half->ledger);
	assert_ok(ledger_reader_open(half->dir, &half->reader, &err), err);
	memset(session.id.b, 5, sizeof(session.id.b));
	memset(session.application.b, 6, sizeof(session.application.b));
	assert_true(service_name_parse("eth", 3, &session.service));
	half->tab = ledger_tab_open(half->ledger, &session, &half->peer);
	event_assign(&half->ev_port, half->w->pair.base, ledger_port_fd(half->port),
		     EV_READ | EV_PERSIST, on_port, half);
	event_add(&half->ev_port, NULL);
}

static void half_stop(struct half *half)
{
	half_unlink(half);
	event_del(&half->ev_port);
	ledger_tab_close(half->tab);
	ledger_drain(half->ledger);
	ledger_port_reap(half->port);
	ledger_port_destroy(half->port);
	ledger_reader_close(half->reader);
	ledger_close(half->ledger);
}

static void half_init(struct world *w, struct half *half, struct side *side,
		      const struct side *peer, enum ledger_role role)
{
	half->w = w;
	half->side = side;
	half->peer = peer->self.id;
	snprintf(half->dir, sizeof(half->dir), "/tmp/cf-recovery-XXXXXX");
	assert_non_null(mkdtemp(half->dir));
	half->params = (struct ledger_params){
		.dir = half->dir, .role = role, .self = side->self.id, .recent_ms = 60000};
	side->cbs = (struct link_callbacks){rec_on_up, rec_on_frame, NULL, rec_on_down};
	half_start(half);
}

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	the_world = w;
	pair_init(&w->pair);
	half_init(w, &w->gateway, &w->pair.gateway, &w->pair.node, LEDGER_GATEWAY);
	half_init(w, &w->node, &w->pair.node, &w->pair.gateway, LEDGER_SUPPLIER);
	*state = w;
	return 0;
}

static void remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

static void unlink_both(struct world *w)
{
	half_unlink(&w->gateway);
	half_unlink(&w->node);
	link_destroy(w->pair.gateway.link);
	link_destroy(w->pair.node.link);
	w->pair.gateway.link = w->pair.node.link = NULL;
}

static int world_teardown(void **state)
{
	struct world *w = *state;

	unlink_both(w);
	half_stop(&w->gateway);
	half_stop(&w->node);
	remove_dir(w->gateway.dir);
	remove_dir(w->node.dir);
	pair_finish(&w->pair);
	free(w);
	return 0;
}

/* --- lanes --- */

static struct lane_id lane_of(uint8_t name)
{
	struct lane_id id;

	memset(id.b, name, sizeof(id.b));
	return id;
}

static void make_leaf(uint8_t name, uint64_t seq, uint8_t ret[LEAF_SIZE])
{
	struct leaf leaf = {
		.kind = LEAF_ANSWER,
		.status = 200,
		.seq = seq,
		.cu_before = seq * LEAF_CU,
		.cu = LEAF_CU,
		.method = 1,
		.time_ms = 1795442000000 + seq,
		.block = LEAF_BLOCK_UNKNOWN,
	};

	memset(leaf.session.b, 5, sizeof(leaf.session.b));
	memset(leaf.request_hash.b, name, sizeof(leaf.request_hash.b));
	put_be64(leaf.response_hash.b, seq);
	leaf_encode(&leaf, ret);
}

static struct salt make_salt(uint64_t seq)
{
	struct salt salt = {{0}};

	put_be64(salt.b, seq);
	return salt;
}

static void names_of(const struct world *w, uint8_t name, struct checkpoint_lane *ret)
{
	const struct checkpoint_origin origin = {
		.network = w->pair.node.self.network,
		.gateway = w->pair.gateway.self.id,
		.supplier = w->pair.node.self.id,
		.lane = lane_of(name),
	};

	checkpoint_lane_init(ret, &origin);
}

static void sign_head(const struct world *w, uint8_t name, const struct tree *tree,
		      struct ledger_head *ret)
{
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint_lane names;
	size_t n;

	names_of(w, name, &names);
	ret->size = tree->size;
	tree_root(tree, &ret->root);
	n = checkpoint_text(&names, ret->size, &ret->root, text);
	sign_bytes(w->pair.node.key, text, n, &ret->signature);
}

static struct ledger_cosigned cosign_head(const struct world *w, uint8_t name,
					  const struct ledger_head *head)
{
	CLEANUP(buf_finish) struct buf msg = {0};
	struct ledger_cosigned ret = {.size = head->size, .root = head->root, .time = 1795442000};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint_lane names;

	names_of(w, name, &names);
	note_put_cosigned(&msg, ret.time,
			  VIEW(text, checkpoint_text(&names, head->size, &head->root, text)));
	sign_bytes(w->pair.gateway.key, msg.p, msg.n, &ret.signature);
	return ret;
}

/* A lane of `leaves` leaves in batches, whose head at `cosigned` leaves (0: none) is cosigned. */
static struct ledger_lane *half_lane(struct half *half, uint8_t name, uint64_t leaves,
				     size_t batch_size, uint64_t cosigned, bool live)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane *lane;
	struct ledger_head head;
	struct err err = {0};
	struct tree tree;

	tree_init(&tree);
	assert_ok(ledger_lane_open(half->port, &id, &half->peer, DAY, NULL, NULL, &lane, &err),
		  err);
	while (tree.size < leaves) {
		struct ledger_batch *batch = ledger_batch_create(half->port);

		for (size_t i = 0; i < batch_size && tree.size < leaves; i++) {
			struct salt salt = make_salt(tree.size);
			uint8_t leaf[LEAF_SIZE];
			struct hash hash;

			assert_int_equal(
				ledger_tab_reserve(half->tab, LEAF_CU, UINT64_MAX, UINT64_MAX),
				LEDGER_ROOM);
			make_leaf(name, tree.size, leaf);
			leaf_hash(leaf, &hash);
			tree_append(&tree, &hash);
			ledger_batch_add(batch, half->tab, leaf, &hash, &salt, VIEW("q", 1),
					 VIEW("a", 1));
		}
		sign_head(half->w, name, &tree, &head);
		ledger_append(half->port, lane, batch, &head, NULL, NULL);
		if (tree.size == cosigned) {
			struct ledger_cosigned c = cosign_head(half->w, name, &head);

			ledger_cosign(half->port, lane, &c, NULL, NULL);
		}
	}
	if (!live)
		ledger_lane_release(half->port, lane);
	ledger_drain(half->ledger);
	ledger_port_reap(half->port);
	return lane;
}

/* On both sides: how many leaves each has. */
static void lane_pair(struct world *w, uint8_t name, uint64_t node, uint64_t gateway)
{
	half_lane(&w->node, name, node, BATCH, 0, false);
	half_lane(&w->gateway, name, gateway, BATCH, 0, false);
}

/* --- running --- */

static bool both_done(struct world *w)
{
	return w->gateway.recovery && w->node.recovery && recovery_is_done(w->gateway.recovery) &&
	       recovery_is_done(w->node.recovery);
}

static bool run_until_done(struct world *w)
{
	usec_t end = clock_now_us() + PAIR_PATIENCE_MS * 1000;

	pair_dial(&w->pair, &w->pair.node.self.id);
	while (!both_done(w) && !w->cut && clock_now_us() < end) {
		event_base_loop(w->pair.base, EVLOOP_NONBLOCK);
		usleep(100);
		if (w->pair.gateway.downs > 0)
			return false;
	}
	return both_done(w);
}

static void lane_info(struct half *half, uint8_t name, struct ledger_lane_info *ret)
{
	struct lane_id id = lane_of(name);
	struct err err = {0};

	assert_ok(ledger_lane_read(half->reader, &id, ret, &err), err);
}

/* Both closed it at this size, with the same leaves and a cosignature over all of them. */
static void closed_on_both(struct world *w, uint8_t name, uint64_t final)
{
	struct lane_id id = lane_of(name);
	struct half *halves[] = {&w->node, &w->gateway};
	struct ledger_lane_info info;
	struct err err = {0};

	for (size_t h = 0; h < 2; h++) {
		uint8_t leaf[LEAF_SIZE], want[LEAF_SIZE];
		size_t n;

		lane_info(halves[h], name, &info);
		assert_int_equal(info.state, LEDGER_LANE_CLOSED);
		assert_int_equal(info.final_size, final);
		if (final > 0)
			assert_int_equal(info.cosigned.size, final);
		for (uint64_t seq = 0; seq < final; seq += final / 7 + 1) {
			assert_ok(ledger_leaves_read(halves[h]->reader, &id, seq, 1, leaf, NULL, &n,
						     &err),
				  err);
			make_leaf(name, seq, want);
			assert_memory_equal(leaf, want, LEAF_SIZE);
		}
	}
}

/* --- what is recovered --- */

static void lanes_alike_are_cosigned_and_closed(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 8, 8);
	assert_true(ledger_tab_unpaid(w->node.tab) == 8 * LEAF_CU);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 8);
	assert_int_equal(ledger_tab_unpaid(w->node.tab), 0);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 0);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 0);
}

static void what_the_gateway_never_got_is_undelivered_and_owed_for_now(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 20, 8);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 8);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 12);
	assert_int_equal(ledger_tab_unpaid(w->node.tab), 12 * LEAF_CU);
}

static void a_node_that_lost_its_tail_adopts_it_from_the_gateway(void **state)
{
	struct world *w = *state;
	struct ledger_lane_info info;

	lane_pair(w, 1, 8, 20);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 20);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 12);
	lane_info(&w->node, 1, &info);
	assert_int_equal(info.adopted_from, 8);
	assert_int_equal(info.head.size, 20);
}

static void a_node_that_lost_a_whole_lane_adopts_it(void **state)
{
	struct world *w = *state;

	half_lane(&w->gateway, 1, 12, BATCH, 8, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 12);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 12);
}

static void a_gateway_that_lost_what_it_cosigned_adopts_it(void **state)
{
	struct world *w = *state;

	half_lane(&w->node, 1, 20, BATCH, 16, false);
	half_lane(&w->gateway, 1, 8, BATCH, 0, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 16);
	assert_int_equal(recovery_stats(w->gateway.recovery)->adopted, 8);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 4);
}

static void a_gateway_that_lost_everything_adopts_what_it_cosigned(void **state)
{
	struct world *w = *state;

	half_lane(&w->node, 1, 20, BATCH, 12, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 12);
	assert_int_equal(recovery_stats(w->gateway.recovery)->adopted, 12);
}

static void a_lane_of_which_the_gateway_has_nothing_is_all_undelivered(void **state)
{
	struct world *w = *state;
	struct ledger_lane_info info;

	half_lane(&w->node, 1, 20, BATCH, 0, false);
	half_lane(&w->node, 2, 0, BATCH, 0, false);
	half_lane(&w->gateway, 3, 0, BATCH, 0, false);
	assert_true(run_until_done(w));
	lane_info(&w->node, 1, &info);
	assert_int_equal(info.state, LEDGER_LANE_CLOSED);
	assert_int_equal(info.final_size, 0);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 20);
	assert_int_equal(ledger_tab_unpaid(w->node.tab), 20 * LEAF_CU);
}

static void long_tails_come_in_pieces(void **state)
{
	struct world *w = *state;

	half_lane(&w->gateway, 1, 7000, 256, 0, false);
	half_lane(&w->node, 1, 2560, 256, 0, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 7000);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 4440);
}

static void small_frames_of_the_peer_are_kept_to(void **state)
{
	struct world *w = *state;

	w->pair.node.self.frame_max = 1024; /* four leaves or four lanes a frame */
	for (uint8_t name = 1; name <= 10; name++)
		lane_pair(w, name, 8, 20);
	assert_true(run_until_done(w));
	for (uint8_t name = 1; name <= 10; name++)
		closed_on_both(w, name, 20);
}

static void make_mixture(struct world *w)
{
	for (uint8_t i = 0; i < 12; i++)
		lane_pair(w, (uint8_t)(1 + i), 4u + 4u * (i % 4), 4u + 4u * (i / 4));
	half_lane(&w->node, 20, 12, BATCH, 8, false);
	half_lane(&w->gateway, 21, 12, BATCH, 8, false);
	half_lane(&w->node, 22, 12, BATCH, 8, false);
	half_lane(&w->gateway, 22, 4, BATCH, 4, false);
	half_lane(&w->node, 23, 4, BATCH, 0, false);
}

static void check_mixture(struct world *w)
{
	struct ledger_lane_info info;

	for (uint8_t i = 0; i < 12; i++)
		closed_on_both(w, (uint8_t)(1 + i), 4u + 4u * (i / 4));
	closed_on_both(w, 20, 8);
	closed_on_both(w, 21, 12);
	closed_on_both(w, 22, 8);
	lane_info(&w->node, 23, &info);
	assert_int_equal(info.final_size, 0);
	assert_int_equal(info.state, LEDGER_LANE_CLOSED);
	/* 52 leaves were denied [P5]; up to 96 were paid for, some of them after that */
	assert_in_range(ledger_tab_unpaid(w->node.tab), 52 * LEAF_CU - 96 * LEAF_CU / 16,
			52 * LEAF_CU);
}

static void many_lanes_of_all_kinds_end_well(void **state)
{
	struct world *w = *state;

	make_mixture(w);
	assert_true(run_until_done(w));
	check_mixture(w);
	assert_int_equal(recovery_stats(w->node.recovery)->failed, 0);
	assert_int_equal(recovery_stats(w->gateway.recovery)->failed, 0);
}

static void a_second_link_finds_nothing_left_to_do(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 20, 8);
	assert_true(run_until_done(w));
	unlink_both(w);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 8);
	assert_int_equal(recovery_stats(w->node.recovery)->closed, 0);
}

static void both_ledgers_start_anew_and_recover(void **state)
{
	struct world *w = *state;

	make_mixture(w);
	half_stop(&w->gateway);
	half_stop(&w->node);
	half_start(&w->gateway);
	half_start(&w->node);
	assert_true(run_until_done(w));
	check_mixture(w);
}

static void live_lanes_are_left_alone_until_their_link_ends(void **state)
{
	struct world *w = *state;
	struct ledger_lane_info info;
	struct ledger_lane *live;

	w->refresh_us = 30000;
	half_lane(&w->gateway, 1, 8, BATCH, 0, false);
	live = half_lane(&w->node, 1, 12, BATCH, 0, true);
	pair_dial(&w->pair, &w->pair.node.self.id);
	lane_info(&w->gateway, 1, &info);
	for (int i = 0; i < 3000 && info.cosigned.size == 0; i++) {
		pair_run(&w->pair, &(unsigned){0}, 1, 20);
		lane_info(&w->gateway, 1, &info);
	}
	pair_run(&w->pair, &(unsigned){0}, 1, 100); /* time enough to close it, too */
	lane_info(&w->gateway, 1, &info);
	assert_int_equal(info.state, LEDGER_LANE_UNCLOSED);
	assert_int_equal(info.cosigned.size, 8); /* it may cosign it already */
	ledger_lane_release(w->node.port, live);
	for (int i = 0; i < 3000 && !both_done(w); i++)
		pair_run(&w->pair, &(unsigned){0}, 1, 20);
	assert_true(both_done(w));
	closed_on_both(w, 1, 8);
}

/* Closes a lane at its end, as an earlier recovery did. */
static void half_close(struct half *half, uint8_t name, uint64_t final)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane *lane;

	assert_int_equal(ledger_lane_find(half->ledger, &id, &half->peer, &lane),
			 LEDGER_LANE_UNCLOSED);
	ledger_lane_close(half->port, lane, final, NULL, NULL);
	ledger_drain(half->ledger);
	ledger_port_reap(half->port);
}

static void a_gateway_with_an_older_copy_of_its_ledger_catches_up(void **state)
{
	struct world *w = *state;

	half_lane(&w->node, 1, 20, BATCH, 16, false);
	half_close(&w->node, 1, 16);
	half_lane(&w->gateway, 1, 8, BATCH, 8, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 16);
	assert_int_equal(recovery_stats(w->gateway.recovery)->adopted, 8);
}

static void a_node_with_an_older_copy_of_its_ledger_catches_up(void **state)
{
	struct world *w = *state;

	half_lane(&w->gateway, 1, 20, BATCH, 20, false);
	half_close(&w->gateway, 1, 20);
	half_lane(&w->node, 1, 8, BATCH, 8, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 20);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 12);
}

static void a_link_cut_at_any_step_recovers_on_the_next(void **state)
{
	unsigned cuts = 0;

	for (unsigned at = 1; at < 400; at += 5) {
		void *fresh;
		struct world *w;
		bool was_cut;

		world_setup(&fresh);
		w = fresh;
		make_mixture(w);
		w->cut_at = at;
		run_until_done(w);
		was_cut = w->cut;
		for (int again = 0; again < 2; again++) { /* and cut once more, elsewhere */
			unlink_both(w);
			w->cut = false;
			w->cut_at = again == 0 && was_cut ? w->seen + 1 + at / 2 : 0;
			pair_turns(&w->pair, 3);
			if (!run_until_done(w) && !w->cut)
				fail_msg("not recovered after a cut at frame %u", at);
			if (!w->cut)
				break;
		}
		assert_true(both_done(w));
		check_mixture(w);
		world_teardown(&fresh);
		cuts += was_cut;
		if (!was_cut)
			break;
	}
	assert_true(cuts > 5);
}

/* --- what is refused --- */

struct shape {
	uint64_t head, cosigned;
	enum ledger_lane_state state;
};

static struct shape shape_of(struct half *half, uint8_t name)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane_info info;
	struct err err;

	if (!ledger_lane_read(half->reader, &id, &info, &err))
		return (struct shape){0};
	return (struct shape){info.head.size, info.cosigned.size, info.state};
}

/* Changes one bit of a frame of this type, at `at`: the side that reads it must close the link and
 * its ledger stay as it is. */
static void tampered_is_refused(int type, size_t at, uint64_t node, uint64_t gateway,
				uint64_t cosigned)
{
	struct shape before, after;
	struct half *reader;
	void *fresh;
	struct world *w;

	world_setup(&fresh);
	w = fresh;
	half_lane(&w->node, 1, node, BATCH, cosigned, false);
	half_lane(&w->gateway, 1, gateway, BATCH, 0, false);
	w->tamper_type = type;
	w->tamper_at = at;
	reader = node < gateway ? &w->node : &w->gateway;
	before = shape_of(reader, 1);
	run_until_done(w);
	pair_run(&w->pair, &w->pair.node.downs, 1, PAIR_PATIENCE_MS);
	if (w->pair.node.downs + w->pair.gateway.downs < 1)
		fail_msg("a changed byte %zu of %s was taken", at, frame_type_name((uint8_t)type));
	assert_int_equal(w->tampered, 1);
	assert_true(w->pair.node.reason == LINK_REASON_PROTOCOL ||
		    w->pair.gateway.reason == LINK_REASON_PROTOCOL);
	after = shape_of(reader, 1);
	assert_int_equal(after.head, before.head);
	assert_int_equal(after.state, before.state);
	world_teardown(&fresh);
}

static void tampered_leaves_close_the_link_and_change_nothing(void **state)
{
	/* the lane; from; the count; a leaf's magic, seq, cu_before, hashes; another leaf; the
	 * signature.  Not the salts: nothing signed speaks of them. */
	static const size_t at[] = {
		0, 23, 27, 28, 28 + 15, 28 + 55, 28 + 150, 28 + 208 + 100, 28 + 208 * 12 + 5};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		tampered_is_refused(FRAME_LEAVES, at[i], 8, 20, 0); /* the node reads them */
		tampered_is_refused(FRAME_LEAVES, at[i] < 2000 ? at[i] : 28 + 208 * 8 + 5, 20, 8,
				    16); /* the gateway does */
	}
}

static void tampered_lanes_close_the_link_and_change_nothing(void **state)
{
	/* the count, and of the entry: lane, state, size, root, signature, cosigned size, its root,
	 * its time, its signature */
	static const size_t at[] = {3,	    4 + 5,   4 + 16,  4 + 24,  4 + 30,
				    4 + 70, 4 + 128, 4 + 140, 4 + 168, 4 + 200};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		tampered_is_refused(FRAME_LANES, at[i], 20, 8, 16);
}

static void a_tampered_cosign_closes_the_link(void **state)
{
	static const size_t at[] = {5, 23, 30, 60, 70};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		tampered_is_refused(FRAME_COSIGN, at[i], 8, 20, 0);
}

/* A frame given to one side's recovery as if the peer had sent it. */
static bool give(struct half *half, const struct buf *frame, struct err *err)
{
	struct frame f;
	size_t used;

	assert_int_equal(frame_scan(buf_view(frame), 1 << 22, &f, &used, err), FRAME_SCAN_ONE);
	return recovery_on_frame(half->recovery, &f, err);
}

static void what_was_not_asked_for_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_finish) struct buf frame = {0};
	struct lane_id id = lane_of(1);
	struct err err = {0};

	assert_true(run_until_done(w));
	frame_leaves_end(&frame, frame_leaves_begin(&frame, 1, &id, 0, 0), NULL);
	assert_false(give(&w->node, &frame, &err));
	assert_err(err, ERR_PROTOCOL);
	frame.n = 0;
	frame_put_cosign(&frame, &(struct frame_cosign){.lane = id, .size = 1});
	assert_false(give(&w->gateway, &frame, &err)); /* only gateways cosign */
	assert_err(err, ERR_PROTOCOL);
	assert_false(give(&w->node, &frame, &err)); /* and they sign it */
	assert_err(err, ERR_PROTOCOL);
	frame.n = 0;
	frame_put_lanes(&frame, FRAME_LANES_LAST | FRAME_LANES_ANSWER,
			&(struct frame_lane){.lane = id}, 1); /* state 0: closes nothing */
	assert_false(give(&w->node, &frame, &err));
	assert_err(err, ERR_PROTOCOL);
}

static void a_listing_without_end_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_finish) struct buf frame = {0};
	struct frame_lane *lanes = calloc(1000, sizeof(*lanes));
	struct half *const halves[] = {&w->gateway, &w->node};

	assert_true(run_until_done(w));
	frame_put_lanes(&frame, 0, lanes, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		struct err err = {0};
		unsigned taken = 0;

		while (taken < 100 && give(halves[i], &frame, &err))
			taken++;
		assert_int_equal(taken, RECOVERY_LANES_MAX / 1000);
		assert_err(err, ERR_PROTOCOL);
	}
	free(lanes);
}

static void leaves_of_other_gateways_are_not_given(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_finish) struct buf frame = {0};
	struct key_id own = w->node.peer;
	struct lane_id id = lane_of(9);
	struct frame_leaves leaves;
	struct err err = {0};
	struct frame f;
	size_t used, at;

	w->node.peer.b[0] ^= 1; /* a lane with somebody else */
	half_lane(&w->node, 9, 8, BATCH, 0, false);
	w->node.peer = own;
	assert_true(run_until_done(w));
	frame_put_fetch(&frame, 7, &(struct frame_fetch){.lane = id, .from = 0, .to = 8});
	at = link_out(w->pair.node.link)->n;
	assert_ok(give(&w->node, &frame, &err), err);
	assert_int_equal(frame_scan(VIEW(link_out(w->pair.node.link)->p + at,
					 link_out(w->pair.node.link)->n - at),
				    1 << 22, &f, &used, &err),
			 FRAME_SCAN_ONE);
	assert_ok(frame_read_leaves(&f, &leaves, &err), err);
	assert_int_equal(leaves.count, 0);
	assert_int_equal(shape_of(&w->node, 9).state, LEDGER_LANE_UNCLOSED);
}

/* --- a disk that changed what was written --- */

/* Stops a half, changes its files, and starts it again. */
static void meddle(struct half *half, const char *file, const char *sql)
{
	char path[128];
	sqlite3 *db = NULL;

	half_stop(half);
	snprintf(path, sizeof(path), "%s/%s", half->dir, file);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	half_start(half);
}

/* The same with one byte of the leaves of a turn. */
static void meddle_leaves(struct half *half, sqlite3_int64 turn, int at)
{
	char path[128];
	uint8_t byte;
	sqlite3_blob *blob = NULL;
	sqlite3 *db = NULL;

	half_stop(half);
	snprintf(path, sizeof(path), "%s/leaves-%d.db", half->dir, DAY);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_blob_open(db, "main", "turns", "leaves", turn, 1, &blob),
			 SQLITE_OK);
	assert_int_equal(sqlite3_blob_read(blob, &byte, 1, at), SQLITE_OK);
	byte ^= 1;
	assert_int_equal(sqlite3_blob_write(blob, &byte, 1, at), SQLITE_OK);
	assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
	sqlite3_close(db);
	half_start(half);
}

static enum ledger_lane_state lane_state_of(struct half *half, uint8_t name)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane *lane;

	return ledger_lane_find(half->ledger, &id, &half->peer, &lane);
}

/* Runs until lane 2 is closed on both sides; the link must not end over lane 1. */
static void run_until_the_other_lane_is_closed(struct world *w)
{
	usec_t end = clock_now_us() + PAIR_PATIENCE_MS * 1000;

	pair_dial(&w->pair, &w->pair.node.self.id);
	while (clock_now_us() < end && (lane_state_of(&w->node, 2) != LEDGER_LANE_CLOSED ||
					lane_state_of(&w->gateway, 2) != LEDGER_LANE_CLOSED)) {
		event_base_loop(w->pair.base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	pair_turns(&w->pair, 100);
	assert_int_equal(w->pair.gateway.downs + w->pair.node.downs, 0);
	closed_on_both(w, 2, 12);
}

/* Nobody is to blame for what a disk has done: the lane is given up by whoever has it broken, the
 * link stays, and other lanes are recovered over it. */
static void a_lane_that_a_disk_has_changed_costs_no_other_lane_and_no_link(void **state)
{
	static const struct {
		bool gateway; /* whose disk */
		const char *file, *sql;
		uint64_t node, gateway_has;
	} cases[] = {
		{false, "leaves-20261123.db",
		 "UPDATE turns SET root = zeroblob(32) WHERE id = 1 << 20 | 8", 12, 12},
		{true, "leaves-20261123.db",
		 "UPDATE turns SET root = zeroblob(32) WHERE id = 1 << 20 | 8", 12, 12},
		{false, "leaves-20261123.db",
		 "UPDATE turns SET signature = zeroblob(64) WHERE id = 1 << 20 | 8", 12, 12},
		{true, "leaves-20261123.db",
		 "UPDATE turns SET signature = zeroblob(64) WHERE id = 1 << 20 | 8", 12, 12},
		{false, "leaves-20261123.db",
		 "UPDATE turns SET root = zeroblob(32) WHERE id = 1 << 20 | 4", 12, 8},
		{false, "state.db",
		 "UPDATE lanes SET cosigned_size = 4, cosigned_root = zeroblob(32),"
		 " cosigned_time = 1, cosigned_signature = zeroblob(64) WHERE number = 1",
		 12, 12},
		{true, "state.db",
		 "UPDATE lanes SET cosigned_size = 4, cosigned_root = zeroblob(32),"
		 " cosigned_time = 1, cosigned_signature = zeroblob(64) WHERE number = 1",
		 12, 12},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct half *half;
		struct world *w;

		world_setup(state);
		w = *state;
		half = cases[i].gateway ? &w->gateway : &w->node;
		lane_pair(w, 1, cases[i].node, cases[i].gateway_has);
		lane_pair(w, 2, 12, 12);
		meddle(half, cases[i].file, cases[i].sql);
		run_until_the_other_lane_is_closed(w);
		assert_int_equal(lane_state_of(half, 1), LEDGER_LANE_BROKEN);
		world_teardown(state);
	}
}

/* What a full tile covers is not hashed again at open, so it shows when leaves are to be adopted on
 * top of it: they are not, and nobody is blamed. */
static void leaves_that_a_disk_has_changed_are_not_continued(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 300, 304);
	lane_pair(w, 2, 12, 12);
	meddle_leaves(&w->node, 1 << 20 | 4, LEAF_SIZE + 130); /* within a hash */
	run_until_the_other_lane_is_closed(w);
	for (int i = 0; i < 600000 && recovery_stats(w->node.recovery)->failed == 0; i++) {
		pair_turns(&w->pair, 1);
		usleep(100);
	}
	assert_true(recovery_stats(w->node.recovery)->failed > 0);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 0);
	assert_int_equal(lane_state_of(&w->node, 1), LEDGER_LANE_UNCLOSED);
	assert_int_equal(w->pair.gateway.downs + w->pair.node.downs, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lanes_alike_are_cosigned_and_closed),
		T(what_the_gateway_never_got_is_undelivered_and_owed_for_now),
		T(a_node_that_lost_its_tail_adopts_it_from_the_gateway),
		T(a_node_that_lost_a_whole_lane_adopts_it),
		T(a_gateway_that_lost_what_it_cosigned_adopts_it),
		T(a_gateway_that_lost_everything_adopts_what_it_cosigned),
		T(a_lane_of_which_the_gateway_has_nothing_is_all_undelivered),
		T(long_tails_come_in_pieces),
		T(small_frames_of_the_peer_are_kept_to),
		T(many_lanes_of_all_kinds_end_well),
		T(a_second_link_finds_nothing_left_to_do),
		T(both_ledgers_start_anew_and_recover),
		T(live_lanes_are_left_alone_until_their_link_ends),
		T(a_gateway_with_an_older_copy_of_its_ledger_catches_up),
		T(a_node_with_an_older_copy_of_its_ledger_catches_up),
		cmocka_unit_test(a_link_cut_at_any_step_recovers_on_the_next),
		cmocka_unit_test(tampered_leaves_close_the_link_and_change_nothing),
		cmocka_unit_test(tampered_lanes_close_the_link_and_change_nothing),
		cmocka_unit_test(a_tampered_cosign_closes_the_link),
		T(what_was_not_asked_for_is_refused),
		T(a_listing_without_end_is_refused),
		T(leaves_of_other_gateways_are_not_given),
		cmocka_unit_test(a_lane_that_a_disk_has_changed_costs_no_other_lane_and_no_link),
		T(leaves_that_a_disk_has_changed_are_not_continued),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
