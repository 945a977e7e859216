/* SPDX-License-Identifier: Apache-2.0
 * Ids are one-field structs, so that mixing them up does not compile; scalars carry their unit in
 * the name of the type.  Sizes in bytes are those of docs/protocol.md. */
#ifndef RELAY_BASE_IDS_H
#define RELAY_BASE_IDS_H

#include <string.h>

#include "relay/base/compiler.h"

struct hash {
	uint8_t b[32];
}; /* SHA-256 */
struct key_id {
	uint8_t b[32];
}; /* Ed25519 public key */
struct signature {
	uint8_t b[64];
}; /* Ed25519 */
struct network_id {
	uint8_t b[32];
};
struct session_id {
	uint8_t b[32];
};
struct seed {
	uint8_t b[32];
}; /* of a height */
struct lane_id {
	uint8_t b[16];
};
struct salt {
	uint8_t b[16];
};
struct owner_id {
	uint8_t b[20];
}; /* who gets paid: an EVM address or any 20 bytes */

typedef uint64_t height_t; /* of the registry */
typedef uint64_t cu_t;	   /* compute units */
typedef int64_t usec_t;	   /* a span, or monotonic time */
typedef int64_t msec_t;	   /* POSIX time in ms */

#define ID_EQ(x, y) (sizeof(*(x)) == sizeof(*(y)) && memcmp((x)->b, (y)->b, sizeof((x)->b)) == 0)

#define SERVICE_NAME_MAX 32 /* [a-z0-9][a-z0-9-]{0,31} */

/* A service's name, NUL-terminated; made only by service_name_parse(). */
struct service_name {
	char s[SERVICE_NAME_MAX + 1];
};

/* True iff the n bytes are a service name ([S1]). */
MUST_USE bool service_name_parse(const char *s, size_t n, struct service_name *ret);

#endif
