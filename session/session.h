/* SPDX-License-Identifier: Apache-2.0
 * What a session is: its id, its span of heights, and who may use it when ([S1] to [S3], [S10]).
 * Pure: heights are arguments.  Not here: who the members are (draw.h), where entries come from
 * (history.h, registry/). */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "session/params.h"

/* session_id ([S3]).  O(1). */
struct session_id session_id_derive(const struct network_id *network,
				    const struct key_id *application,
				    const struct service_name *service, height_t start,
				    const struct seed *seed);

/* network_id of a sqlite registry ([K2], kind 2): tail = 32 random bytes. */
struct network_id network_id_private(const uint8_t tail[32]);

/* network_id of a contract ([K2], kind 1). */
struct network_id network_id_contract(uint64_t chain_id, const uint8_t contract[20]);

/* The default owner of a supplier ([K4]). */
struct owner_id owner_default(const struct key_id *relay_key);

/* start of the session that spans a height. */
height_t session_start(const struct session_params *p, height_t height);

/* First height after the session; saturates. */
height_t session_end(const struct session_params *p, height_t start);

/* True iff start is a multiple of session_blocks and >= snapshot_lag ([S1], [S2]). */
bool session_exists(const struct session_params *p, height_t start);

/* Height of the snapshot of an existing session ([S2]). */
height_t session_snapshot_height(const struct session_params *p, height_t start);

/* Height of the seed of an existing session ([S2]). */
height_t session_seed_height(const struct session_params *p, height_t start);

/* True iff a gateway at `height` may open new relays in the session ([S10]). */
bool session_gateway_may_open(const struct session_params *p, height_t start, height_t height);

/* True iff a node at `height` accepts relays of the session: a skew of 1 both ways, and
 * grace_blocks after its end ([S10]). */
bool session_node_accepts(const struct session_params *p, height_t start, height_t height);

/* First height at which nobody may use the session any more. */
height_t session_gone(const struct session_params *p, height_t start);

#endif
