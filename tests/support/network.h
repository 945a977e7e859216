/* SPDX-License-Identifier: Apache-2.0
 * A private network for tests: a sqlite registry in a folder of its own, with one service `eth`,
 * one supplier or more, one application and one gateway that it has granted, all from height 0. */
#ifndef TESTS_SUPPORT_NETWORK_H
#define TESTS_SUPPORT_NETWORK_H

#include "relay/crypto/key.h"
#include "session/registry/registry.h"

#define NETWORK_SUPPLIERS_MAX 4

struct network_params {
	u128 budget; /* tokens a session */
	uint64_t price;
	uint64_t block_ms;
	uint64_t session_blocks;
	size_t suppliers; /* 0: one */
};
/* 10^15 tokens, price 1, 1 s, 60 heights */
extern const struct network_params NETWORK_PARAMS_DEFAULT;

struct network {
	char dir[64]; /* removed by network_destroy() */
	char registry_path[96];
	char supplier_path[96]; /* key file */
	char gateway_path[96];	/* key file */
	char endpoint[96];	/* of the supplier in the registry: unix:DIR/node.sock */
	struct relay_key *registry_key;
	struct relay_key *application;
	struct relay_key *gateway;
	struct relay_key *supplier; /* the first */
	struct relay_key
		*more[NETWORK_SUPPLIERS_MAX]; /* from 1 on; endpoints unix:DIR/nodeN.sock */
	struct registry *registry;
};

MUST_USE bool network_create(const struct network_params *p, struct network **ret, struct err *err);
void network_destroy(struct network *network);

/* The session of now. */
MUST_USE bool network_session(struct network *network, struct session_info **ret, struct err *err);

#endif
