/* SPDX-License-Identifier: Apache-2.0
 * A ledger in a fresh directory, with leaves, roots and evidence that fit together; for its tests.
 */
#ifndef TESTS_UNIT_LEDGER_WORLD_H
#define TESTS_UNIT_LEDGER_WORLD_H

#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/rng.h"
#include "relay/ledger/ledger.h"
#include "relay/ledger/reader.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"

struct world {
	char dir[64];
	struct ledger_params params;
	struct ledger *ledger;
	struct ledger_port *port;
	struct ledger_session session;
	struct key_id peer;
	struct ledger_tab *tab;
};

/* A lane as its caller knows it. */
struct world_lane {
	struct lane_id id;
	struct ledger_lane *handle;
	struct tree tree;
	cu_t cu_before;
};

/* How an operation ended. */
struct world_done {
	unsigned calls;
	bool ok;
	struct err err;
};

static inline void world_on_done(void *arg, const struct err *err)
{
	struct world_done *d = arg;

	d->calls++;
	d->ok = err == NULL;
	if (err != NULL)
		d->err = *err;
}

static inline void world_remove(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *path;

		if (entry->d_name[0] == '.')
			continue;
		path = xasprintf("%s/%s", dir, entry->d_name);
		if (unlink(path) != 0)
			world_remove(path);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

static inline void world_start(struct world *w)
{
	struct err err = {0};

	assert_ok(ledger_open(&w->params, &w->ledger, &err), err);
	w->port = ledger_port_create(w->ledger);
	w->tab = ledger_tab_open(w->ledger, &w->session, &w->peer);
}

static inline void world_stop(struct world *w)
{
	ledger_drain(w->ledger);
	while (ledger_port_reap(w->port) > 0)
		;
	ledger_tab_close(w->tab);
	ledger_port_destroy(w->port);
	ledger_close(w->ledger);
	w->ledger = NULL;
}

static inline void world_init(struct world *w, enum ledger_role role)
{
	*w = (struct world){0};
	snprintf(w->dir, sizeof(w->dir), "/tmp/cf-ledger-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->params = (struct ledger_params){
		.dir = w->dir, .role = role, .evidence_max_bytes = 16 << 20, .recent_ms = 3600000};
	memset(w->params.self.b, 0x5e, sizeof(w->params.self.b));
	memset(w->peer.b, 0x9e, sizeof(w->peer.b));
	memset(w->session.id.b, 0x33, sizeof(w->session.id.b));
	memset(w->session.application.b, 0xa9, sizeof(w->session.application.b));
	memcpy(w->session.service.s, "eth", 4);
	w->session.start = 600;
	world_start(w);
}

static inline void world_finish(struct world *w)
{
	if (w->ledger != NULL)
		world_stop(w);
	world_remove(w->dir);
}

static inline void world_reader(const struct world *w, struct ledger_reader **ret)
{
	struct err err = {0};

	assert_ok(ledger_reader_open(w->dir, ret, &err), err);
}

static inline void world_wait(struct world *w, struct world_done *done)
{
	while (done->calls == 0) {
		struct pollfd p = {.fd = ledger_port_fd(w->port), .events = POLLIN};

		assert_true(poll(&p, 1, 20000) > 0);
		ledger_port_reap(w->port);
	}
}

static inline void world_lane_open(struct world *w, struct world_lane *lane)
{
	struct world_done done = {0};
	struct err err = {0};

	*lane = (struct world_lane){0};
	rng_bytes(lane->id.b, sizeof(lane->id.b));
	tree_init(&lane->tree);
	assert_ok(ledger_lane_open(w->port, &lane->id, &w->peer, clock_day(clock_wall_ms()),
				   world_on_done, &done, &lane->handle, &err),
		  err);
	world_wait(w, &done);
	assert_true(done.ok);
}

/* The evidence of leaf `seq` of any lane. */
static inline size_t world_request(uint64_t seq, char dst[64])
{
	return (size_t)snprintf(dst, 64, "request %llu", (unsigned long long)seq);
}
static inline size_t world_response(uint64_t seq, char dst[64])
{
	return (size_t)snprintf(dst, 64, "response %llu", (unsigned long long)(seq * 7));
}
static inline void world_salt(uint64_t seq, struct salt *ret)
{
	memset(ret->b, 0x51, sizeof(ret->b));
	put_be64(ret->b, seq);
}

/* Adds the lane's next leaf, of 3 CU, to a batch and to the lane's tree. */
static inline void world_add(struct world *w, struct world_lane *lane, struct ledger_batch *batch,
			     struct ledger_tab *tab)
{
	struct leaf leaf = {.kind = LEAF_ANSWER,
			    .status = 200,
			    .seq = lane->tree.size,
			    .session = w->session.id,
			    .cu_before = lane->cu_before,
			    .cu = 3,
			    .method = 1,
			    .time_ms = (uint64_t)clock_wall_ms(),
			    .block = LEAF_BLOCK_UNKNOWN};
	uint8_t bytes[LEAF_SIZE];
	char request[64], response[64];
	struct view req = VIEW(request, world_request(leaf.seq, request));
	struct view res = VIEW(response, world_response(leaf.seq, response));
	struct salt salt;
	struct hash hash;

	world_salt(leaf.seq, &salt);
	leaf_request_hash(&lane->id, &salt, &req, 1, &leaf.request_hash);
	leaf_response_hash(&lane->id, &salt, 0, &res, 1, &leaf.response_hash);
	leaf_encode(&leaf, bytes);
	leaf_hash(bytes, &hash);
	tree_append(&lane->tree, &hash);
	lane->cu_before += leaf.cu;
	ledger_batch_add(batch, tab, bytes, &hash, &salt, req, res);
}

/* The head of the lane's tree now; the signature is a pattern: the ledger does not look at it. */
static inline void world_head(const struct world_lane *lane, struct ledger_head *ret)
{
	ret->size = lane->tree.size;
	tree_root(&lane->tree, &ret->root);
	memset(ret->signature.b, (int)(ret->size & 0xff), sizeof(ret->signature.b));
}

static inline void world_append_calling(struct world *w, struct world_lane *lane, size_t n,
					ledger_done_fn *done, void *arg)
{
	struct ledger_batch *batch = ledger_batch_create(w->port);
	struct ledger_head head;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(ledger_tab_reserve(w->tab, 3, UINT64_MAX, UINT64_MAX),
				 LEDGER_ROOM);
		world_add(w, lane, batch, w->tab);
	}
	world_head(lane, &head);
	ledger_append(w->port, lane->handle, batch, &head, done, arg);
}

static inline void world_append_async(struct world *w, struct world_lane *lane, size_t n,
				      struct world_done *done)
{
	world_append_calling(w, lane, n, world_on_done, done);
}

static inline void world_append(struct world *w, struct world_lane *lane, size_t n)
{
	struct world_done done = {0};

	world_append_async(w, lane, n, &done);
	world_wait(w, &done);
	if (!done.ok)
		print_message("# append: %s\n", done.err.msg);
	assert_true(done.ok);
}

static inline void world_cosign(struct world *w, struct world_lane *lane, uint64_t size,
				const struct hash *root, struct world_done *done)
{
	struct ledger_cosigned cosigned = {.size = size, .root = *root, .time = 1800000000};

	memset(cosigned.signature.b, 0xc0, sizeof(cosigned.signature.b));
	ledger_cosign(w->port, lane->handle, &cosigned, world_on_done, done);
	world_wait(w, done);
}

#endif
