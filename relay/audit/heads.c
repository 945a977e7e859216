/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "relay/audit/verify.h"
#include "relay/base/mem.h"
#include "relay/receipt/tile.h"

/* Where the tiles of a lane lie, and how many of them are wrong. */
struct tile_files {
	const struct audit_folder *folder;
	const struct audit_lane *lane;
	struct audit_report *report;
};

/* A tile as the leaves give it: the file must be the same.  Never fails: that is a finding. */
static bool compare_tile(void *arg, unsigned level, uint64_t index, unsigned width,
			 const struct hash *hashes, struct err *err)
{
	struct tile_files *files = arg;
	const struct lane_id *id = &files->lane->parties.origin.lane;
	char hex[33], name[TILE_PATH_MAX];
	struct view map;
	bool missing;

	tile_path(level, index, width, name);
	CLEANUP(xfree)
	char *path = xasprintf("%s/lanes/%s/%s", files->folder->path,
			       hex_encode(id->b, sizeof(id->b), hex), name);
	if (!audit_map(path, TILE_WIDTH * sizeof(*hashes), &map, &missing, err)) {
		audit_find(files->report, AUDIT_LOCAL, "tile", id, AUDIT_NO_SEQ, "%s", err->msg);
		return true;
	}
	if (missing)
		audit_find(files->report, AUDIT_LOCAL, "tile", id, AUDIT_NO_SEQ, "%s is missing",
			   name);
	else if (!view_eq(map, VIEW(hashes, width * sizeof(*hashes))))
		audit_find(files->report, AUDIT_LOCAL, "tile", id, AUDIT_NO_SEQ,
			   "%s is not what the leaves give", name);
	else
		audit_count(files->report, "tiles", 1);
	audit_unmap(map);
	return true;
}

/* The roots of the leaves at two sizes, each within the lane, and the tiles on the way. */
static void rebuild(const struct audit_folder *folder, const struct audit_lane *lane,
		    struct audit_report *report, uint64_t size_a, struct hash *root_a,
		    uint64_t size_b, struct hash *root_b)
{
	struct tile_files files = {folder, lane, report};
	struct tile_edge *edge = xmalloc(sizeof(*edge));
	struct tree tree;
	struct err err;

	tree_init(&tree);
	tile_edge_init(edge);
	for (uint64_t i = 0; i < lane->size; i++) {
		struct hash hash;

		leaf_hash(audit_lane_leaf(lane, i), &hash);
		tree_append(&tree, &hash);
		if (tree.size == size_a)
			tree_root(&tree, root_a);
		if (tree.size == size_b)
			tree_root(&tree, root_b);
		if (lane->has_tiles && !tile_edge_append(edge, &hash, compare_tile, &files, &err))
			break;
	}
	if (lane->has_tiles && lane->size > 0 && !tile_edge_flush(edge, compare_tile, &files, &err))
		audit_find(report, AUDIT_LOCAL, "tile", &lane->parties.origin.lane, AUDIT_NO_SEQ,
			   "%s", err.msg);
	free(edge);
}

/* Opens `checkpoint`; false when there is nothing that counts. */
static bool open_newest(const struct audit_lane *lane, struct audit_report *report,
			struct checkpoint *ret)
{
	const struct lane_id *id = &lane->parties.origin.lane;
	struct err err;

	if (lane->checkpoint.p == NULL) {
		if (lane->size > 0)
			audit_find(report, AUDIT_LOCAL, "checkpoint", id, AUDIT_NO_SEQ,
				   "leaves without a checkpoint");
		return false;
	}
	if (!checkpoint_open(&lane->parties, lane->checkpoint, ret, &err)) {
		audit_find(report, AUDIT_LOCAL,
			   err.code == ERR_SIGNATURE ? "signature" : "checkpoint", id, AUDIT_NO_SEQ,
			   "checkpoint: %s", err.msg);
		return false;
	}
	audit_count(report, "signatures", 1 + ret->cosigned);
	if (ret->size == lane->size)
		return true;
	audit_find(report, AUDIT_LOCAL, "size", id, AUDIT_NO_SEQ,
		   "the checkpoint has %" PRIu64 " leaves, the folder %" PRIu64, ret->size,
		   lane->size);
	return false;
}

/* Opens `final`; false when there is nothing that counts. */
static bool open_final(const struct audit_lane *lane, struct audit_report *report,
		       struct checkpoint *ret, bool *ret_supplier)
{
	const struct lane_id *id = &lane->parties.origin.lane;
	struct err err;

	if (lane->final.p == NULL)
		return false;
	if (!checkpoint_open_cosigned(&lane->parties, lane->final, ret, ret_supplier, &err)) {
		audit_find(report, AUDIT_LOCAL,
			   err.code == ERR_SIGNATURE ? "signature" : "checkpoint", id, AUDIT_NO_SEQ,
			   "final: %s", err.msg);
		return false;
	}
	audit_count(report, "signatures", 1u + *ret_supplier);
	if (ret->size <= lane->size)
		return true;
	/* The exporter lost leaves that were cosigned (power loss): [L7] brings them back. */
	audit_find(report, AUDIT_OPEN, "absent", id, AUDIT_NO_SEQ,
		   "%" PRIu64 " leaves are cosigned, the folder has %" PRIu64, ret->size,
		   lane->size);
	return false;
}

/* The leaves do not lead to the root of `final`. */
static void tell_final(const struct audit_heads *heads, const struct checkpoint *final,
		       bool supplier, const struct lane_id *id, struct audit_report *report)
{
	/* They lead to one signed root and not to the other: the supplier signed two trees. */
	if (heads->signed_ && supplier)
		audit_find(report, AUDIT_PROVABLE, "heads", id, AUDIT_NO_SEQ,
			   "the supplier signed heads of %" PRIu64 " and %" PRIu64
			   " leaves that are not of one tree",
			   final->size, heads->newest.size);
	else
		audit_find(report, AUDIT_LOCAL, "root", id, AUDIT_NO_SEQ,
			   "the leaves do not give the root that the gateway cosigned");
}

void audit_check_heads(const struct audit_folder *folder, const struct audit_lane *lane,
		       struct audit_report *report, struct audit_heads *ret)
{
	const struct lane_id *id = &lane->parties.origin.lane;
	struct hash root = {{0}}, final_root = {{0}};
	struct checkpoint final;
	bool supplier = false;

	memset(ret, 0, sizeof(*ret));
	memset(&final, 0, sizeof(final));
	bool newest = open_newest(lane, report, &ret->newest);
	bool has_final = open_final(lane, report, &final, &supplier);
	rebuild(folder, lane, report, newest ? ret->newest.size : 0, &root,
		has_final ? final.size : 0, &final_root);
	ret->signed_ = newest && ID_EQ(&root, &ret->newest.root);
	if (newest && !ret->signed_)
		audit_find(report, AUDIT_LOCAL, "root", id, AUDIT_NO_SEQ,
			   "the leaves do not give the root that the supplier signed");
	if (has_final && !ID_EQ(&final_root, &final.root)) {
		tell_final(ret, &final, supplier, id, report);
		has_final = false;
	}
	if (ret->signed_ && ret->newest.cosigned) {
		ret->cosigned = true;
		ret->cosigned_head = ret->newest;
	} else if (has_final) {
		ret->cosigned = true;
		ret->cosigned_head = final;
	}
}
