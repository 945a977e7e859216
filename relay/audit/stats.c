/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/stats.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/base/wilson.h"
#include "relay/crypto/table.h"

struct stat_key {
	struct service_name service;
	uint32_t method;
	struct key_id supplier;
};

struct stat_row {
	struct stat_key key;
	struct audit_stat stat;
	UT_hash_handle hh;
};

/* --- counting --- */

static const char *method_name(const struct audit_folder *folder,
			       const struct service_name *service, uint32_t method)
{
	const struct method_table *table = audit_folder_methods(folder, service);
	const struct method_entry *entry = table ? method_table_find(table, method) : NULL;

	return entry ? entry->name : "?";
}

static struct audit_stat *row_of(struct stat_row **rows, const struct audit_folder *folder,
				 const struct audit_lane *lane, const struct leaf *leaf)
{
	const struct audit_session *session = audit_lane_session(lane, &leaf->session);
	const char *service = session ? session->service.s : "?";
	struct stat_key key;
	struct stat_row *row;

	memset(&key, 0, sizeof(key)); /* its bytes are hashed */
	memcpy(key.service.s, service, strlen(service));
	key.method = leaf->method;
	key.supplier = lane->parties.supplier.key;
	HASH_FIND(hh, *rows, &key, sizeof(key), row);
	if (row == NULL) {
		row = xcalloc(1, sizeof(*row));
		row->key = key;
		row->stat.service = key.service;
		row->stat.method = key.method;
		row->stat.supplier = key.supplier;
		row->stat.name = method_name(folder, &key.service, key.method);
		HASH_ADD(hh, *rows, key, sizeof(row->key), row);
	}
	return &row->stat;
}

/* Refusals that say nothing about the call: there was no room, no money, or no session any more. */
static bool is_excused(uint16_t wire)
{
	switch ((int)err_from_wire(wire)) {
	case ERR_NO_SESSION:
	case ERR_SESSION_OVER:
	case ERR_NOT_MEMBER:
	case ERR_GRANT:
	case ERR_ALLOWANCE:
	case ERR_UNPAID:
	case ERR_REGISTRY_STALE:
	case ERR_TABLE:
	case ERR_OVERLOAD:
	case ERR_SHUTDOWN:
	case ERR_LIMIT:
	case ERR_CANCELLED:
		return true;
	default:
		return false;
	}
}

static void count_leaf(struct stat_row **rows, const struct audit_folder *folder,
		       const struct audit_lane *lane, const struct leaf *leaf)
{
	struct audit_stat *stat;

	if (leaf->kind == LEAF_PART && leaf->part > 0)
		return;
	stat = row_of(rows, folder, lane, leaf);
	switch (leaf->kind) {
	case LEAF_ANSWER:
	case LEAF_PART:
		stat->answers++;
		break;
	case LEAF_RPC_ERROR:
		*(leaf->cu > 0 ? &stat->reverted : &stat->errors) += 1;
		break;
	case LEAF_REFUSAL:
		*(is_excused(leaf->status) ? &stat->excused : &stat->refused) += 1;
		break;
	default:
		break; /* no kind at all: `verify` tells */
	}
}

static int row_order(const struct stat_row *a, const struct stat_row *b)
{
	int order = strcmp(a->key.service.s, b->key.service.s);

	if (order == 0 && a->key.method != b->key.method)
		order = a->key.method < b->key.method ? -1 : 1;
	return order ? order : memcmp(&a->key.supplier, &b->key.supplier, sizeof(struct key_id));
}

void audit_stats(const struct audit_folder *folder, struct audit_stats *ret)
{
	struct stat_row *rows = NULL, *row, *tmp;
	struct leaf leaf;

	for (size_t i = 0; i < folder->lanes_n; i++) {
		const struct audit_lane *lane = &folder->lanes[i];

		for (uint64_t seq = 0; seq < lane->size; seq++) {
			if (leaf_decode(audit_lane_leaf(lane, seq), &leaf) == LEAF_FINE)
				count_leaf(&rows, folder, lane, &leaf);
		}
	}
	HASH_SORT(rows, row_order);
	*ret = (struct audit_stats){0};
	ret->rows = xcalloc(HASH_COUNT(rows) + 1, sizeof(*ret->rows));
	HASH_ITER (hh, rows, row, tmp) {
		ret->rows[ret->n++] = row->stat;
		HASH_DEL(rows, row);
		free(row);
	}
}

void audit_stats_finish(struct audit_stats *stats)
{
	free(stats->rows);
	*stats = (struct audit_stats){0};
}

/* --- rates --- */

uint64_t audit_stat_judged(const struct audit_stat *row)
{
	return row->answers + row->reverted + row->errors + row->refused;
}

uint64_t audit_stat_unanswered(const struct audit_stat *row)
{
	return row->errors + row->refused;
}

struct rates {
	uint64_t judged, unanswered;
	uint64_t others_judged, others_unanswered;
	struct wilson own, others;
	bool apart; /* more than the others, beyond chance */
};

static struct rates rates_of(const struct audit_stats *stats, size_t at)
{
	const struct audit_stat *row = &stats->rows[at];
	struct rates r = {.judged = audit_stat_judged(row),
			  .unanswered = audit_stat_unanswered(row)};

	for (size_t i = 0; i < stats->n; i++) {
		const struct audit_stat *other = &stats->rows[i];

		if (i == at || other->method != row->method ||
		    strcmp(other->service.s, row->service.s) != 0)
			continue;
		r.others_judged += audit_stat_judged(other);
		r.others_unanswered += audit_stat_unanswered(other);
	}
	r.own = wilson_of(r.unanswered, r.judged, WILSON_Z95);
	r.others = wilson_of(r.others_unanswered, r.others_judged, WILSON_Z95);
	r.apart = r.judged > 0 && r.others_judged > 0 && r.own.low > r.others.high;
	return r;
}

static double percent_of(uint64_t part, uint64_t whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

void audit_stats_put_text(const struct audit_stats *stats, struct buf *out)
{
	char key[65];

	buf_put_str(out, "  relays answers reverted errors refused excused  unanswered, 95 % within"
			 "  others   supplier\n");
	for (size_t i = 0; i < stats->n; i++) {
		const struct audit_stat *s = &stats->rows[i];
		struct rates r = rates_of(stats, i);

		if (i == 0 || s->method != s[-1].method ||
		    strcmp(s->service.s, s[-1].service.s) != 0)
			buf_putf(out, "%s %s\n", s->service.s, s->name);
		buf_putf(out,
			 "%c %6" PRIu64 " %7" PRIu64 " %8" PRIu64 " %6" PRIu64 " %7" PRIu64
			 " %7" PRIu64 "   %6.2f %%, %6.2f..%6.2f %6.2f %%  %s\n",
			 r.apart ? '!' : ' ', r.judged + s->excused, s->answers, s->reverted,
			 s->errors, s->refused, s->excused, percent_of(r.unanswered, r.judged),
			 100 * r.own.low, 100 * r.own.high,
			 percent_of(r.others_unanswered, r.others_judged),
			 hex_encode(s->supplier.b, sizeof(s->supplier.b), key));
	}
}

void audit_stats_put_json(const struct audit_stats *stats, struct buf *out)
{
	char key[65];

	buf_put_str(out, "[");
	for (size_t i = 0; i < stats->n; i++) {
		const struct audit_stat *s = &stats->rows[i];
		struct rates r = rates_of(stats, i);

		buf_putf(out,
			 "%s{\"service\":\"%s\",\"method\":\"%s\",\"id\":%" PRIu32
			 ",\"supplier\":\"%s\",\"answers\":%" PRIu64 ",\"reverted\":%" PRIu64
			 ",\"errors\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"excused\":%" PRIu64,
			 i ? "," : "", s->service.s, s->name, s->method,
			 hex_encode(s->supplier.b, sizeof(s->supplier.b), key), s->answers,
			 s->reverted, s->errors, s->refused, s->excused);
		buf_putf(out,
			 ",\"judged\":%" PRIu64 ",\"unanswered\":%" PRIu64
			 ",\"low\":%.6f,\"high\":%.6f,\"others_judged\":%" PRIu64
			 ",\"others_unanswered\":%" PRIu64 ",\"apart\":%s}",
			 r.judged, r.unanswered, r.own.low, r.own.high, r.others_judged,
			 r.others_unanswered, r.apart ? "true" : "false");
	}
	buf_put_str(out, "]");
}
