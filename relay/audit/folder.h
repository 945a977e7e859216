/* SPDX-License-Identifier: Apache-2.0
 * An exported folder, read (docs/auditing.md, "What an export holds"): the manifest and its hashes,
 * the lanes, method tables and the registry file.
 *
 * Files are mapped, not copied: a lane may have 200 MB of leaves.  Nothing here says whether the
 * content of a lane is right. */
#ifndef RELAY_AUDIT_FOLDER_H
#define RELAY_AUDIT_FOLDER_H

#include "chains/table.h"
#include "relay/audit/report.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"

#define AUDIT_MANIFEST_MAX (256u << 20)
#define AUDIT_LANE_JSON_MAX (64u << 20)
#define AUDIT_EVIDENCE_ROW 32

enum audit_role { AUDIT_GATEWAY = 1, AUDIT_SUPPLIER = 2 };
enum audit_lane_state { AUDIT_UNCLOSED, AUDIT_CLOSED, AUDIT_DEAD };

struct audit_range {
	uint64_t from, to; /* half-open */
};

/* What a session id stands for, by the exporter's word. */
struct audit_session {
	struct session_id id;
	struct key_id application;
	struct service_name service;
	height_t start;
};

struct audit_lane {
	struct checkpoint_lane parties; /* origin: network, gateway, supplier, lane */
	enum audit_lane_state state;
	uint64_t size;	    /* leaves in the file */
	struct view leaves; /* LEAF_SIZE each */
	struct view salts;  /* 16 each; n = 0: not exported */
	struct view evidence;
	struct view evidence_index;
	struct view checkpoint; /* p = NULL: absent */
	struct view final;
	bool has_tiles;
	size_t adopted_n, undelivered_n, sessions_n;
	struct audit_range *adopted, *undelivered;
	struct audit_session *sessions; /* sorted by id */
};

struct audit_methods {
	struct service_name service;
	struct method_table *table;
};

struct audit_folder {
	char *path;
	struct network_id network;
	enum audit_role role;
	struct key_id self;
	size_t lanes_n, lanes_cap;
	struct audit_lane *lanes; /* sorted by id */
	size_t methods_n;
	struct audit_methods *methods; /* sorted by service */
	struct view registry;	       /* p = NULL: absent */
	size_t maps_n, maps_cap;
	struct view *maps; /* what must be unmapped */
};

/* Reads a folder.  What is wrong with a file of it (missing, changed, malformed) goes into the
 * report, and a lane that cannot be read is left out.
 *
 * Out:    ret     finish with audit_folder_finish(), also after a failure of a later check
 * Errors: ERR_IO, ERR_FORMAT when there is no manifest that can be read: nothing can be said then.
 */
MUST_USE bool audit_folder_open(const char *path, struct audit_report *report,
				struct audit_folder *ret, struct err *err);
void audit_folder_finish(struct audit_folder *folder);
static inline void audit_folder_finish_at(struct audit_folder *folder)
{
	audit_folder_finish(folder);
}

/* The lane with this id, or NULL. */
const struct audit_lane *audit_folder_lane(const struct audit_folder *folder,
					   const struct lane_id *id);
/* The method table of a service, or NULL. */
const struct method_table *audit_folder_methods(const struct audit_folder *folder,
						const struct service_name *service);
/* What a session id stands for in a lane, or NULL. */
const struct audit_session *audit_lane_session(const struct audit_lane *lane,
					       const struct session_id *id);
/* The 192 bytes of a leaf; seq < lane->size. */
const uint8_t *audit_lane_leaf(const struct audit_lane *lane, uint64_t seq);

/* Evidence of one leaf; false when none is there.  A row that points outside is no evidence. */
struct audit_evidence {
	uint64_t seq;
	struct view request; /* n = 0: not kept */
	struct view response;
};
size_t audit_lane_evidence_count(const struct audit_lane *lane);
/* The i-th row; false when it points outside evidence.bin. */
MUST_USE bool audit_lane_evidence_at(const struct audit_lane *lane, size_t i,
				     struct audit_evidence *ret);
/* That of a leaf; false when there is none. */
MUST_USE bool audit_lane_evidence_find(const struct audit_lane *lane, uint64_t seq,
				       struct audit_evidence *ret);

/* Maps a file read-only; an empty or missing one gives {NULL, 0} and sets *ret_missing.
 * Unmap with audit_unmap().  Errors: ERR_IO, ERR_RANGE when it is larger than max_bytes. */
MUST_USE bool audit_map(const char *path, uint64_t max_bytes, struct view *ret, bool *ret_missing,
			struct err *err);
void audit_unmap(struct view map);

#endif
