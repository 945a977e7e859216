/* SPDX-License-Identifier: Apache-2.0
 * HELLO: who stands at the other end of a TLS connection (protocol.md [F4]).
 *
 * Each side signs the connection's exporter value with its relay key, so a HELLO is worth nothing
 * on another connection.  Pure but for the signature.  Whether the key may be served here (staked,
 * granted) is the caller's to ask. */
#ifndef RELAY_LINK_HELLO_H
#define RELAY_LINK_HELLO_H

#include "relay/crypto/sign.h"
#include "relay/link/frame.h"
#include "relay/link/tls.h"

/* What this side says of itself on all its links; borrowed by them, and it outlives them.  `height`
 * may be changed at any time by the owner's thread. */
struct link_self {
	const struct relay_key *key;
	struct key_id id; /* public half of key */
	enum frame_role role;
	struct network_id network;
	height_t height;
	uint32_t frame_max;
	uint32_t in_flight_max;
	cu_t max_unpaid_cu; /* of a supplier; 0 for a gateway */
	uint32_t worker;
};

/* Fills a HELLO for the connection that has this exporter value. */
void hello_build(const struct link_self *self, const uint8_t exporter[TLS_EXPORTER_BYTES],
		 struct frame_hello *ret);

/* Checks the peer's.  expected: the key that the registry gives for the endpoint, NULL when any may
 * come.  Errors: ERR_VERSION another version; ERR_IDENTITY own role, own key, another network, not
 * the key expected, or a signature that does not verify; ERR_PROTOCOL frame_max under 1 KiB. */
MUST_USE bool hello_check(const struct frame_hello *hello, const struct link_self *self,
			  const struct key_id *expected, const uint8_t exporter[TLS_EXPORTER_BYTES],
			  struct err *err);

#endif
