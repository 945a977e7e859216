/* SPDX-License-Identifier: Apache-2.0
 * One lane of an export (docs/auditing.md, "What an export holds"). */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/cli/ledger_verbs.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/tile.h"

#define CHUNK 2048 /* leaves at once */

/* A lane on its way into the folder. */
struct lane_export {
	struct ledger_reader *reader;
	const struct export_registry *registry;
	const struct ledger_lane_info *lane;
	const struct ledger_fault *fault; /* its leaves come after those of the ledger; NULL */
	struct checkpoint_lane origin;
	struct folder *folder;
	char prefix[64];
	uint64_t size;
	struct export_sessions sessions;
	struct session_id last; /* of the leaf before: most follow their like */
	bool any;
};

void export_sessions_finish(struct export_sessions *sessions)
{
	free(sessions->list);
	*sessions = (struct export_sessions){0};
}

static bool sessions_have(const struct export_sessions *sessions, const struct session_id *id)
{
	for (size_t i = sessions->n; i > 0; i--) /* the newest are the likeliest */
		if (ID_EQ(&sessions->list[i - 1].id, id))
			return true;
	return false;
}

static void sessions_add(struct export_sessions *sessions, const struct ledger_session *session)
{
	if (sessions->n == sessions->cap) {
		sessions->cap = MAX(sessions->cap * 2, 64);
		sessions->list = xrealloc(sessions->list, sessions->cap * sizeof(*sessions->list));
	}
	sessions->list[sessions->n++] = *session;
}

static const char *lane_path(const struct lane_export *x, const char *name, char dst[160])
{
	snprintf(dst, 160, "%s/%s", x->prefix, name);
	return dst;
}

static bool lane_session(struct lane_export *x, const uint8_t *leaf, struct err *err)
{
	struct ledger_session session;
	struct session_id id;

	memcpy(id.b, leaf + 16, sizeof(id.b));
	if (x->any && ID_EQ(&id, &x->last))
		return true;
	x->any = true;
	x->last = id;
	if (sessions_have(&x->sessions, &id))
		return true;
	if (ledger_session_read(x->reader, &x->lane->id, &id, &session, err))
		/* NOLINTNEXTLINE(bugprone-branch-clone): by where it was found */
		sessions_add(&x->sessions, &session);
	else if (err->code != ERR_NOT_FOUND)
		return false;
	else if (export_registry_session(x->registry, &id, (msec_t)get_be64(leaf + 64), &session))
		sessions_add(&x->sessions, &session);
	return true;
}

static void progress(const char *what, uint64_t done, uint64_t all)
{
	if (all > 50000 && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s %" PRIu64 " of %" PRIu64 "%s", what, done, all,
			done == all ? "\n" : "");
}

static bool put_leaves(struct lane_export *x, bool with_salts, struct err *err)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)CHUNK * LEDGER_LEAF_BYTES);
	CLEANUP(xfree) uint8_t *salts = xmalloc((size_t)CHUNK * sizeof(struct salt));
	struct folder_file leaf_file, salt_file;
	bool ok = true;
	char path[160];
	size_t n;

	folder_file_open(x->folder, lane_path(x, "leaves.bin", path), &leaf_file);
	if (with_salts)
		folder_file_open(x->folder, lane_path(x, "salts.bin", path), &salt_file);
	for (uint64_t seq = 0; ok && seq < x->size; seq += n) {
		ok = ledger_leaves_read(x->reader, &x->lane->id, seq, MIN(CHUNK, x->size - seq),
					leaves, salts, &n, err);
		if (ok && n == 0)
			ok = err_set(err, ERR_LEDGER, "leaf %" PRIu64 " is missing", seq);
		for (size_t i = 0; ok && i < n; i++)
			ok = lane_session(x, leaves + i * LEDGER_LEAF_BYTES, err);
		if (!ok)
			break;
		folder_file_write(&leaf_file, leaves, n * LEDGER_LEAF_BYTES);
		if (with_salts)
			folder_file_write(&salt_file, salts, n * sizeof(struct salt));
		progress("leaves", seq + n, x->size);
	}
	for (uint32_t i = 0; ok && x->fault != NULL && i < x->fault->count; i++) {
		ok = lane_session(x, x->fault->leaves[i], err);
		folder_file_write(&leaf_file, x->fault->leaves[i], LEDGER_LEAF_BYTES);
	}
	if (!folder_file_close(&leaf_file, ok ? err : &leaf_file.err))
		ok = false;
	if (with_salts && !folder_file_close(&salt_file, ok ? err : &salt_file.err))
		ok = false;
	return ok;
}

struct evidence_files {
	struct folder_file data, index;
	uint64_t size;
};

static bool evidence_on_leaf(void *arg, uint64_t seq, struct view request, struct view response)
{
	struct evidence_files *files = arg;
	uint8_t row[32];

	if (seq % CHUNK == 0)
		progress("evidence", seq, files->size);
	put_be64(row, seq);
	put_be64(row + 8, files->data.bytes);
	put_be64(row + 16, request.n);
	put_be64(row + 24, response.n);
	folder_file_write(&files->index, row, sizeof(row));
	folder_file_write(&files->data, request.p, request.n);
	folder_file_write(&files->data, response.p, response.n);
	return files->data.err.code == ERR_NONE && files->index.err.code == ERR_NONE;
}

static bool put_evidence(struct lane_export *x, struct err *err)
{
	struct evidence_files files = {.size = x->size};
	char path[160];
	bool ok;

	folder_file_open(x->folder, lane_path(x, "evidence.bin", path), &files.data);
	folder_file_open(x->folder, lane_path(x, "evidence.idx", path), &files.index);
	ok = ledger_each_evidence(x->reader, &x->lane->id, 0, x->size, evidence_on_leaf, &files,
				  err);
	progress("evidence", x->size, x->size);
	if (!folder_file_close(&files.data, ok ? err : &files.data.err))
		ok = false;
	return folder_file_close(&files.index, ok ? err : &files.index.err) && ok;
}

static bool put_tiles(struct lane_export *x, struct err *err)
{
	struct hash hashes[TILE_WIDTH];
	char name[TILE_PATH_MAX], path[160];
	size_t n;

	for (unsigned level = 0; level < TILE_LEVELS; level++)
		for (uint64_t index = 0; tile_width(x->size, level, index) > 0; index++) {
			if (!ledger_tile_read(x->reader, &x->lane->id, x->size, level, index,
					      hashes, &n, err))
				return false;
			tile_path(level, index, (unsigned)n, name);
			if (!folder_put(x->folder, lane_path(x, name, path),
					VIEW(hashes, n * sizeof(*hashes)), err))
				return false;
		}
	return true;
}

/* The newest cosigned head, with the supplier's line as far as its turn is here. */
static bool put_final(struct lane_export *x, struct err *err)
{
	const struct ledger_cosigned *c = &x->lane->cosigned;
	CLEANUP(buf_finish) struct buf note = {0};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct ledger_head head;
	struct err ignored;
	char path[160];

	if (c->size == 0)
		return true;
	buf_put(&note, text, checkpoint_text(&x->origin, c->size, &c->root, text));
	buf_put_str(&note, "\n");
	if (ledger_head_read(x->reader, &x->lane->id, c->size, &head, &ignored) &&
	    ID_EQ(&head.root, &c->root))
		note_put_signature(&note, &x->origin.supplier, 0, &head.signature);
	note_put_signature(&note, &x->origin.gateway, c->time, &c->signature);
	return folder_put(x->folder, lane_path(x, "final", path), buf_view(&note), err);
}

static bool put_checkpoint(struct lane_export *x, struct err *err)
{
	const struct ledger_cosigned *c = &x->lane->cosigned;
	const struct ledger_head *h = &x->lane->head;
	CLEANUP(buf_finish) struct buf note = {0};
	struct checkpoint head = {.size = h->size, .root = h->root, .supplier_sig = h->signature};
	char path[160];

	if (h->size == 0)
		return true;
	if (c->size == h->size && ID_EQ(&c->root, &h->root)) {
		head.cosigned = true;
		head.cosign_time = c->time;
		head.gateway_sig = c->signature;
	}
	checkpoint_put_note(&x->origin, &head, &note);
	return folder_put(x->folder, lane_path(x, "checkpoint", path), buf_view(&note), err);
}

static void put_range(struct buf *json, const char *name, uint64_t from, uint64_t to)
{
	buf_putf(json, ",\"%s\":[", name);
	if (from < to)
		buf_putf(json, "[%" PRIu64 ",%" PRIu64 "]", from, to);
	buf_put_str(json, "]");
}

static int session_order(const void *a, const void *b)
{
	const struct ledger_session *x = a, *y = b;

	return memcmp(x->id.b, y->id.b, sizeof(x->id.b));
}

static bool put_about(struct lane_export *x, struct err *err)
{
	const struct ledger_lane_info *lane = x->lane;
	CLEANUP(buf_finish) struct buf json = {0};
	const char *state = lane->state == LEDGER_LANE_CLOSED ? "closed"
			    : lane->state == LEDGER_LANE_DEAD ? "dead"
							      : "unclosed";
	uint64_t final = lane->state == LEDGER_LANE_CLOSED ? lane->final_size : x->size;
	char path[160];

	buf_put_str(&json, "{\"gateway\":\"");
	buf_put_hex(&json, lane->gateway.b, sizeof(lane->gateway.b));
	buf_put_str(&json, "\",\"supplier\":\"");
	buf_put_hex(&json, lane->supplier.b, sizeof(lane->supplier.b));
	buf_putf(&json, "\",\"state\":\"%s\",\"size\":%" PRIu64, state, x->size);
	put_range(&json, "adopted", lane->adopted_from, x->size);
	put_range(&json, "undelivered", final, x->size);
	buf_put_str(&json, ",\"sessions\":[");
	if (x->sessions.n > 1)
		qsort(x->sessions.list, x->sessions.n, sizeof(*x->sessions.list), session_order);
	for (size_t i = 0; i < x->sessions.n; i++) {
		const struct ledger_session *s = &x->sessions.list[i];

		buf_putf(&json, "%s{\"id\":\"", i ? "," : "");
		buf_put_hex(&json, s->id.b, sizeof(s->id.b));
		buf_put_str(&json, "\",\"application\":\"");
		buf_put_hex(&json, s->application.b, sizeof(s->application.b));
		buf_putf(&json, "\",\"service\":\"%s\",\"start\":%" PRIu64 "}", s->service.s,
			 s->start);
	}
	buf_put_str(&json, "]}\n");
	return folder_put(x->folder, lane_path(x, "lane.json", path), buf_view(&json), err);
}

static void lane_begin(struct lane_export *x)
{
	const struct ledger_lane_info *lane = x->lane;
	struct checkpoint_origin origin = {.network = x->registry->network,
					   .gateway = lane->gateway,
					   .supplier = lane->supplier,
					   .lane = lane->id};
	char hex[2 * sizeof(lane->id.b) + 1];

	checkpoint_lane_init(&x->origin, &origin);
	snprintf(x->prefix, sizeof(x->prefix), "lanes/%s",
		 hex_encode(lane->id.b, sizeof(lane->id.b), hex));
}

static bool lane_end(struct lane_export *x, bool ok, struct export_sessions *all, struct err *err)
{
	for (size_t i = 0; ok && i < x->sessions.n; i++)
		if (!sessions_have(all, &x->sessions.list[i].id))
			sessions_add(all, &x->sessions.list[i]);
	export_sessions_finish(&x->sessions);
	return ok || err_prefix(err, "%s", x->prefix);
}

bool export_lane(struct ledger_reader *reader, const struct export_registry *registry,
		 const struct ledger_lane_info *lane, bool private_files, struct folder *folder,
		 struct export_sessions *all, struct err *err)
{
	struct lane_export x = {.reader = reader,
				.registry = registry,
				.lane = lane,
				.folder = folder,
				.size = lane->head.size};
	bool ok;

	lane_begin(&x);
	ok = put_leaves(&x, private_files, err) && (!private_files || put_evidence(&x, err)) &&
	     put_tiles(&x, err) && put_checkpoint(&x, err) && put_final(&x, err) &&
	     put_about(&x, err);
	return lane_end(&x, ok, all, err);
}

bool export_fault(struct ledger_reader *reader, const struct export_registry *registry,
		  const struct ledger_fault *fault, struct folder *folder,
		  struct export_sessions *all, struct err *err)
{
	struct ledger_lane_info lane;
	struct lane_export x = {.reader = reader,
				.registry = registry,
				.lane = &lane,
				.fault = fault,
				.folder = folder,
				.size = fault->first};
	bool ok;

	if (!ledger_lane_read(reader, &fault->lane, &lane, err))
		return false;
	if (lane.dropped || lane.head.size < fault->first)
		return err_set(err, ERR_NOT_FOUND, "the leaves ahead of it are gone");
	lane.head = fault->head;
	lane.state = LEDGER_LANE_DEAD;
	lane.adopted_from = UINT64_MAX;
	lane_begin(&x);
	ok = put_leaves(&x, false, err);
	x.size += fault->count;
	if (lane.cosigned.size > x.size)
		lane.cosigned = (struct ledger_cosigned){0};
	ok = ok && put_checkpoint(&x, err) && put_final(&x, err) && put_about(&x, err);
	return lane_end(&x, ok, all, err);
}
