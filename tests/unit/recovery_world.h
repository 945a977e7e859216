/* SPDX-License-Identifier: Apache-2.0
 * Recovery between two real ledgers over a real link.
 *
 * A lane is made on both sides from the same leaves, and one side is given fewer of them: for the
 * ledger that is what a power loss or a dropped link leaves behind. */
#ifndef TESTS_UNIT_RECOVERY_WORLD_H
#define TESTS_UNIT_RECOVERY_WORLD_H

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

static inline struct half *half_by_link(struct link *link)
{
	return link_peer(link)->role == FRAME_ROLE_SUPPLIER ? &the_world->gateway
							    : &the_world->node;
}

static inline bool rec_on_up(struct link *link, void *arg, struct err *err)
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

static inline void stats_add(struct half *half)
{
	const struct recovery_stats *s = recovery_stats(half->recovery);

	half->stats.closed += s->closed;
	half->stats.undelivered += s->undelivered;
	half->stats.adopted += s->adopted;
	half->stats.cosigned += s->cosigned;
	half->stats.failed += s->failed;
}

static inline void half_unlink(struct half *half)
{
	if (half->recovery)
		stats_add(half);
	recovery_destroy(half->recovery);
	half->recovery = NULL;
}

static inline bool rec_on_frame(struct link *link, const struct frame *f, void *arg,
				struct err *err)
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

static inline void rec_on_down(struct link *link, enum link_reason reason, const struct err *err,
			       void *arg)
{
	struct side *side = arg;

	half_unlink(side == &the_world->pair.node ? &the_world->node : &the_world->gateway);
	side_on_down(link, reason, err, arg);
}

static inline void on_port(evutil_socket_t fd, short what, void *arg)
{
	ledger_port_reap(((struct half *)arg)->port);
}

static inline void half_start(struct half *half)
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

static inline void half_stop(struct half *half)
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

static inline void half_init(struct world *w, struct half *half, struct side *side,
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

static inline int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	the_world = w;
	pair_init(&w->pair);
	half_init(w, &w->gateway, &w->pair.gateway, &w->pair.node, LEDGER_GATEWAY);
	half_init(w, &w->node, &w->pair.node, &w->pair.gateway, LEDGER_SUPPLIER);
	*state = w;
	return 0;
}

static inline void remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

static inline void unlink_both(struct world *w)
{
	half_unlink(&w->gateway);
	half_unlink(&w->node);
	link_destroy(w->pair.gateway.link);
	link_destroy(w->pair.node.link);
	w->pair.gateway.link = w->pair.node.link = NULL;
}

static inline int world_teardown(void **state)
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

static inline struct lane_id lane_of(uint8_t name)
{
	struct lane_id id;

	memset(id.b, name, sizeof(id.b));
	return id;
}

static inline void make_leaf(uint8_t name, uint64_t seq, uint8_t ret[LEAF_SIZE])
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

static inline struct salt make_salt(uint64_t seq)
{
	struct salt salt = {{0}};

	put_be64(salt.b, seq);
	return salt;
}

static inline void names_of(const struct world *w, uint8_t name, struct checkpoint_lane *ret)
{
	const struct checkpoint_origin origin = {
		.network = w->pair.node.self.network,
		.gateway = w->pair.gateway.self.id,
		.supplier = w->pair.node.self.id,
		.lane = lane_of(name),
	};

	checkpoint_lane_init(ret, &origin);
}

static inline void sign_head(const struct world *w, uint8_t name, const struct tree *tree,
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

static inline struct ledger_cosigned cosign_head(const struct world *w, uint8_t name,
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
static inline struct ledger_lane *half_lane(struct half *half, uint8_t name, uint64_t leaves,
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
static inline void lane_pair(struct world *w, uint8_t name, uint64_t node, uint64_t gateway)
{
	half_lane(&w->node, name, node, BATCH, 0, false);
	half_lane(&w->gateway, name, gateway, BATCH, 0, false);
}

static inline bool both_done(struct world *w)
{
	return w->gateway.recovery && w->node.recovery && recovery_is_done(w->gateway.recovery) &&
	       recovery_is_done(w->node.recovery);
}

static inline bool run_until_done(struct world *w)
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

static inline void lane_info(struct half *half, uint8_t name, struct ledger_lane_info *ret)
{
	struct lane_id id = lane_of(name);
	struct err err = {0};

	assert_ok(ledger_lane_read(half->reader, &id, ret, &err), err);
}

/* Both closed it at this size, with the same leaves and a cosignature over all of them. */
static inline void closed_on_both(struct world *w, uint8_t name, uint64_t final)
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

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif
