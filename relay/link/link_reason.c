/* SPDX-License-Identifier: Apache-2.0
 * Names of the reasons why links end. */
#include <assert.h>

#include "relay/link/link.h"

const char *link_reason_name(enum link_reason reason)
{
	static const char *const names[LINK_REASON_COUNT] = {
		[LINK_REASON_LOCAL] = "local",
		[LINK_REASON_CONNECT] = "connect",
		[LINK_REASON_HANDSHAKE] = "handshake",
		[LINK_REASON_HANDSHAKE_SLOW] = "handshake_slow",
		[LINK_REASON_VERSION] = "version",
		[LINK_REASON_IDENTITY] = "identity",
		[LINK_REASON_PROTOCOL] = "protocol",
		[LINK_REASON_FRAME_TOO_LARGE] = "frame_too_large",
		[LINK_REASON_IDLE] = "idle",
		[LINK_REASON_NOT_READING] = "not_reading",
		[LINK_REASON_EOF] = "eof",
		[LINK_REASON_RESET] = "reset",
		[LINK_REASON_PEER_ERROR] = "peer_error",
	};

	assert(reason < LINK_REASON_COUNT);
	return names[reason];
}
