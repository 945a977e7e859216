/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "relay/audit/folder_inside.h"
#include "relay/audit/json.h"
#include "relay/base/mem.h"

#define EVIDENCE_MAX (UINT64_C(1) << 40)

static bool read_ranges(const json_t *lane, const char *name, uint64_t size,
			struct audit_range **ret, size_t *ret_n, struct err *err)
{
	const json_t *list;
	uint64_t end = 0;

	if (!audit_json_array(lane, name, &list, err))
		return false;
	*ret = xcalloc(json_array_size(list) + 1, sizeof(**ret));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i);
		json_int_t from = json_integer_value(json_array_get(pair, 0));
		json_int_t to = json_integer_value(json_array_get(pair, 1));

		if (json_array_size(pair) != 2 || from < 0 || to <= from ||
		    (uint64_t)from < end + (i > 0) || (uint64_t)to > size)
			return err_set(err, ERR_FORMAT,
				       "\"%s\" is not a list of ranges in order within the lane",
				       name);
		end = (uint64_t)to;
		(*ret)[i] = (struct audit_range){(uint64_t)from, end};
		*ret_n = i + 1;
	}
	return true;
}

static int session_cmp(const void *a, const void *b)
{
	const struct audit_session *x = a, *y = b;

	return memcmp(x->id.b, y->id.b, sizeof(x->id.b));
}

static bool read_sessions(const json_t *json, struct audit_lane *lane, struct err *err)
{
	const json_t *list;

	if (!audit_json_array(json, "sessions", &list, err))
		return false;
	lane->sessions = xcalloc(json_array_size(list) + 1, sizeof(*lane->sessions));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		struct audit_session *session = &lane->sessions[i];
		const char *service;

		if (!audit_json_hex(row, "id", session->id.b, 32, err) ||
		    !audit_json_hex(row, "application", session->application.b, 32, err) ||
		    !audit_json_text(row, "service", &service, err) ||
		    !audit_json_number(row, "start", &session->start, err))
			return err_prefix(err, "session %zu", i);
		if (!service_name_parse(service, strlen(service), &session->service))
			return err_set(err, ERR_FORMAT, "session %zu: not a service", i);
		lane->sessions_n = i + 1;
	}
	qsort(lane->sessions, lane->sessions_n, sizeof(*lane->sessions), session_cmp);
	return true;
}

static bool read_state(const json_t *json, struct audit_lane *lane, struct err *err)
{
	const char *state;

	if (!audit_json_text(json, "state", &state, err))
		return false;
	if (strcmp(state, "unclosed") == 0)
		lane->state = AUDIT_UNCLOSED;
	else if (strcmp(state, "closed") == 0)
		lane->state = AUDIT_CLOSED;
	else if (strcmp(state, "dead") == 0)
		lane->state = AUDIT_DEAD;
	else
		return err_set(err, ERR_FORMAT, "\"state\" is not unclosed, closed or dead");
	return true;
}

static bool read_lane_json(struct audit_folder *folder, const json_t *json,
			   const struct lane_id *id, struct audit_lane *lane, struct err *err)
{
	struct checkpoint_origin origin = {.network = folder->network, .lane = *id};

	if (!json_is_object(json))
		return err_set(err, ERR_FORMAT, "not a JSON object");
	if (!audit_json_hex(json, "gateway", origin.gateway.b, 32, err) ||
	    !audit_json_hex(json, "supplier", origin.supplier.b, 32, err) ||
	    !audit_json_number(json, "size", &lane->size, err) || !read_state(json, lane, err))
		return false;
	if (lane->size > CHECKPOINT_SIZE_MAX)
		return err_set(err, ERR_FORMAT, "a lane of %" PRIu64 " leaves", lane->size);
	const struct key_id *own =
		folder->role == AUDIT_GATEWAY ? &origin.gateway : &origin.supplier;
	if (!ID_EQ(own, &folder->self))
		return err_set(err, ERR_FORMAT, "a lane of which the exporter is no party");
	checkpoint_lane_init(&lane->parties, &origin);
	return read_ranges(json, "adopted", lane->size, &lane->adopted, &lane->adopted_n, err) &&
	       read_ranges(json, "undelivered", lane->size, &lane->undelivered,
			   &lane->undelivered_n, err) &&
	       read_sessions(json, lane, err);
}

bool audit_folder_read_lane(struct audit_folder *folder, const struct lane_id *id,
			    struct audit_lane *lane, struct err *err)
{
	const struct {
		const char *name;
		struct view *view;
		uint64_t max_bytes;
	} files[] = {
		{"leaves.bin", &lane->leaves, CHECKPOINT_SIZE_MAX * LEAF_SIZE},
		{"salts.bin", &lane->salts, CHECKPOINT_SIZE_MAX * 16},
		{"checkpoint", &lane->checkpoint, 1 << 16},
		{"final", &lane->final, 1 << 16},
		{"evidence.bin", &lane->evidence, EVIDENCE_MAX},
		{"evidence.idx", &lane->evidence_index, CHECKPOINT_SIZE_MAX * AUDIT_EVIDENCE_ROW},
	};
	char hex[33], path[96];
	json_error_t why;
	struct view map;
	struct stat st;
	bool missing;

	hex_encode(id->b, sizeof(id->b), hex);
	snprintf(path, sizeof(path), "lanes/%s/lane.json", hex);
	if (!audit_folder_map(folder, path, AUDIT_LANE_JSON_MAX, &map, &missing, err))
		return false;
	json_t *json = json_loadb((const char *)map.p, map.n, JSON_REJECT_DUPLICATES, &why);
	if (json == NULL)
		return err_set(err, ERR_FORMAT, "lane.json: line %d: %s", why.line, why.text);
	bool fine = read_lane_json(folder, json, id, lane, err);
	json_decref(json);
	if (!fine)
		return err_prefix(err, "lane.json");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "lanes/%s/%s", hex, files[i].name);
		if (!audit_folder_map(folder, path, files[i].max_bytes, files[i].view, &missing,
				      err))
			return false;
	}
	if (lane->leaves.n != lane->size * LEAF_SIZE)
		return err_set(err, ERR_FORMAT, "leaves.bin has %zu bytes for %" PRIu64 " leaves",
			       lane->leaves.n, lane->size);
	if (lane->salts.n != 0 && lane->salts.n != lane->size * 16)
		return err_set(err, ERR_FORMAT, "salts.bin has %zu bytes for %" PRIu64 " leaves",
			       lane->salts.n, lane->size);
	if (lane->evidence_index.n % AUDIT_EVIDENCE_ROW != 0)
		return err_set(err, ERR_FORMAT, "evidence.idx ends within a row");
	CLEANUP(xfree) char *tiles = xasprintf("%s/lanes/%s/tile", folder->path, hex);
	lane->has_tiles = stat(tiles, &st) == 0;
	return true;
}

void audit_lane_finish(struct audit_lane *lane)
{
	free(lane->adopted);
	free(lane->undelivered);
	free(lane->sessions);
	memset(lane, 0, sizeof(*lane));
}

const struct audit_session *audit_lane_session(const struct audit_lane *lane,
					       const struct session_id *id)
{
	struct audit_session key = {.id = *id};

	if (lane->sessions_n == 0)
		return NULL;
	return bsearch(&key, lane->sessions, lane->sessions_n, sizeof(key), session_cmp);
}

const uint8_t *audit_lane_leaf(const struct audit_lane *lane, uint64_t seq)
{
	assert(seq < lane->size);
	return lane->leaves.p + seq * LEAF_SIZE;
}

size_t audit_lane_evidence_count(const struct audit_lane *lane)
{
	return lane->evidence_index.n / AUDIT_EVIDENCE_ROW;
}

bool audit_lane_evidence_at(const struct audit_lane *lane, size_t i, struct audit_evidence *ret)
{
	const uint8_t *row = lane->evidence_index.p + i * AUDIT_EVIDENCE_ROW;
	uint64_t all = lane->evidence.n;

	assert(i < audit_lane_evidence_count(lane));
	uint64_t at = get_be64(row + 8);
	uint64_t request = get_be64(row + 16);
	uint64_t response = get_be64(row + 24);
	ret->seq = get_be64(row);
	if (ret->seq >= lane->size || at > all || request > all - at ||
	    response > all - at - request)
		return false;
	ret->request = VIEW(lane->evidence.p + at, (size_t)request);
	ret->response = VIEW(lane->evidence.p + at + request, (size_t)response);
	return true;
}

bool audit_lane_evidence_find(const struct audit_lane *lane, uint64_t seq,
			      struct audit_evidence *ret)
{
	size_t low = 0, high = audit_lane_evidence_count(lane);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (get_be64(lane->evidence_index.p + middle * AUDIT_EVIDENCE_ROW) < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low < audit_lane_evidence_count(lane) && audit_lane_evidence_at(lane, low, ret) &&
	       ret->seq == seq;
}
