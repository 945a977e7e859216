/* SPDX-License-Identifier: Apache-2.0
 * What folder.c and folder_lane.c share.  Of this layer only. */
#ifndef RELAY_AUDIT_FOLDER_INSIDE_H
#define RELAY_AUDIT_FOLDER_INSIDE_H

#include "relay/audit/folder.h"

/* Maps a file of the folder until the folder is finished; as audit_map(). */
MUST_USE bool audit_folder_map(struct audit_folder *folder, const char *relative,
			       uint64_t max_bytes, struct view *ret, bool *ret_missing,
			       struct err *err);

/* Reads lanes/<id>/ into a zeroed lane.  The folder's network is known.  Errors: ERR_FORMAT,
 * ERR_IO, ERR_RANGE; the lane must then be finished too. */
MUST_USE bool audit_folder_read_lane(struct audit_folder *folder, const struct lane_id *id,
				     struct audit_lane *lane, struct err *err);
void audit_lane_finish(struct audit_lane *lane);

#endif
