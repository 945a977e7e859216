/* SPDX-License-Identifier: Apache-2.0
 * Members of a JSON object whose values are all strings ([Y3], [Y4]), each read with its type and
 * range.  The first fault stays and names the member; what comes after it reads as zeros, so one
 * look at `bad` behind the last member is enough. */
#ifndef SESSION_REGISTRY_FIELDS_H
#define SESSION_REGISTRY_FIELDS_H

#include <jansson.h>

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

struct fields {
	const char *file; /* what all of it is, for messages */
	const json_t *object;
	const char *what; /* "grants" of "grants[3]" */
	size_t index;
	struct err *err;
	bool bad;
};

/* `bad` at once when it is not an object. */
struct fields fields_in(const char *file, const json_t *object, const char *what, size_t index,
			struct err *err);

/* Notes a fault of a member, ERR_FORMAT; false. */
bool field_bad(struct fields *f, const char *name, const char *why);

/* A string, which must be there; "" after a fault. */
const char *field_text(struct fields *f, const char *name, size_t *ret_n);
/* Whole decimal numbers; 0 after a fault. */
u128 field_u128(struct fields *f, const char *name);
uint64_t field_u64(struct fields *f, const char *name);
/* A number that is left out while it is 0. */
u128 field_sum(struct fields *f, const char *name);
/* Exactly `bytes` bytes in lower-case hex. */
void field_hex(struct fields *f, const char *name, uint8_t *dst, size_t bytes);
/* Appends the bytes of a text in hex or base64, at most `max`. */
void field_hex_bytes(struct fields *f, const char *name, size_t max, struct buf *dst);
void field_base64(struct fields *f, const char *name, size_t max, struct buf *dst);
void field_service(struct fields *f, const char *name, struct service_name *dst);

#endif
