/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/repeats.h"

#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/crypto/table.h"

/* One request, by the hash of its bytes. */
struct asked {
	struct {
		struct service_name service;
		uint32_t method;
		struct hash request;
	} key;
	uint64_t relays;
	UT_hash_handle hh;
};

/* One request at one block. */
struct answered {
	struct {
		struct hash request;
		uint64_t block;
	} key;
	UT_hash_handle hh;
};

struct counting {
	struct asked *asked;
	struct answered *answered;
	struct repeats *ret;
};

static bool same_method(const struct repeat_row *row, const struct asked *asked)
{
	return row->method == asked->key.method &&
	       strcmp(row->service.s, asked->key.service.s) == 0;
}

/* Requests are few beside methods: rows are found by looking through them. */
static struct repeat_row *row_of(struct counting *c, const struct audit_folder *folder,
				 const struct asked *asked)
{
	struct repeats *r = c->ret;

	for (size_t i = r->n; i-- > 0;)
		if (same_method(&r->rows[i], asked))
			return &r->rows[i];
	const struct method_table *table = audit_folder_methods(folder, &asked->key.service);
	const struct method_entry *entry =
		table ? method_table_find(table, asked->key.method) : NULL;
	r->rows = xrealloc(r->rows, (r->n + 1) * sizeof(*r->rows));
	r->rows[r->n] = (struct repeat_row){.service = asked->key.service,
					    .method = asked->key.method,
					    .name = entry ? entry->name : "?"};
	return &r->rows[r->n++];
}

/* True iff the request was answered at this block before; remembers that it was now. */
static bool answered_before(struct counting *c, const struct hash *request, uint64_t block)
{
	struct answered probe, *found;

	memset(&probe.key, 0, sizeof(probe.key));
	probe.key.request = *request;
	probe.key.block = block;
	HASH_FIND(hh, c->answered, &probe.key, sizeof(probe.key), found);
	if (found != NULL)
		return true;
	found = xcalloc(1, sizeof(*found));
	found->key = probe.key;
	HASH_ADD(hh, c->answered, key, sizeof(found->key), found);
	return false;
}

static void count_request(struct counting *c, const struct audit_folder *folder,
			  const struct audit_lane *lane, const struct leaf *leaf,
			  const struct view *request)
{
	const struct audit_session *session = audit_lane_session(lane, &leaf->session);
	const char *service = session ? session->service.s : "?";
	struct asked probe, *found;
	struct repeat_row *row;

	memset(&probe.key, 0, sizeof(probe.key));
	memcpy(probe.key.service.s, service, strlen(service));
	probe.key.method = leaf->method;
	sha256(request->p, request->n, &probe.key.request);
	HASH_FIND(hh, c->asked, &probe.key, sizeof(probe.key), found);
	if (found == NULL) {
		found = xcalloc(1, sizeof(*found));
		found->key = probe.key;
		HASH_ADD(hh, c->asked, key, sizeof(found->key), found);
	}
	row = row_of(c, folder, found);
	found->relays++;
	row->relays++;
	row->distinct += found->relays == 1;
	row->most = MAX(row->most, found->relays);
	if (leaf->kind != LEAF_REFUSAL && leaf->block != LEAF_BLOCK_UNKNOWN &&
	    answered_before(c, &found->key.request, leaf->block))
		row->same_block++;
}

static void count_lane(struct counting *c, const struct audit_folder *folder,
		       const struct audit_lane *lane)
{
	size_t n = audit_lane_evidence_count(lane);
	struct audit_evidence evidence;
	struct leaf leaf;

	for (size_t i = 0; i < n; i++)
		if (audit_lane_evidence_at(lane, i, &evidence) && evidence.request.n > 0 &&
		    leaf_decode(audit_lane_leaf(lane, evidence.seq), &leaf) == LEAF_FINE)
			count_request(c, folder, lane, &leaf, &evidence.request);
}

static int row_order(const void *x, const void *y)
{
	const struct repeat_row *a = x, *b = y;
	int order = strcmp(a->service.s, b->service.s);

	if (order == 0 && a->method != b->method)
		order = a->method < b->method ? -1 : 1;
	return order;
}

void audit_repeats(const struct audit_folder *folder, struct repeats *ret)
{
	struct counting c = {.ret = ret};
	struct asked *asked, *next_asked;
	struct answered *answered, *next_answered;

	*ret = (struct repeats){.n = 0};
	for (size_t i = 0; i < folder->lanes_n; i++)
		count_lane(&c, folder, &folder->lanes[i]);
	HASH_ITER (hh, c.asked, asked, next_asked) {
		HASH_DEL(c.asked, asked);
		free(asked);
	}
	HASH_ITER (hh, c.answered, answered, next_answered) {
		HASH_DEL(c.answered, answered);
		free(answered);
	}
	if (ret->n > 0)
		qsort(ret->rows, ret->n, sizeof(*ret->rows), row_order);
}

void audit_repeats_finish(struct repeats *repeats)
{
	free(repeats->rows);
	*repeats = (struct repeats){.n = 0};
}

void audit_repeats_put_text(const struct repeats *repeats, struct buf *out)
{
	if (repeats->n == 0)
		return;
	buf_put_str(out, "  relays distinct     most same block  kept requests of\n");
	for (size_t i = 0; i < repeats->n; i++) {
		const struct repeat_row *row = &repeats->rows[i];

		buf_putf(out, "%8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64 "  %s %s\n",
			 row->relays, row->distinct, row->most, row->same_block, row->service.s,
			 row->name);
	}
}

void audit_repeats_put_json(const struct repeats *repeats, struct buf *out)
{
	buf_put_str(out, "[");
	for (size_t i = 0; i < repeats->n; i++) {
		const struct repeat_row *row = &repeats->rows[i];

		buf_putf(out,
			 "%s{\"service\":\"%s\",\"method\":\"%s\",\"id\":%" PRIu32
			 ",\"relays\":%" PRIu64 ",\"distinct\":%" PRIu64 ",\"most\":%" PRIu64
			 ",\"same_block\":%" PRIu64 "}",
			 i ? "," : "", row->service.s, row->name, row->method, row->relays,
			 row->distinct, row->most, row->same_block);
	}
	buf_put_str(out, "]");
}
