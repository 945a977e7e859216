/* SPDX-License-Identifier: Apache-2.0
 * Members of JSON objects with their errors, for the folder's files.  Of this layer only. */
#ifndef RELAY_AUDIT_JSON_H
#define RELAY_AUDIT_JSON_H

#include <jansson.h>

#include "relay/base/bytes.h"
#include "relay/base/err.h"

/* Each: the member is there and of that form, else ERR_FORMAT that names it. */

/* A string without NUL; the text is jansson's and lives as long as the object. */
MUST_USE bool audit_json_text(const json_t *object, const char *name, const char **ret,
			      struct err *err);
/* Exactly n bytes in lower-case hex. */
MUST_USE bool audit_json_hex(const json_t *object, const char *name, void *dst, size_t n,
			     struct err *err);
/* 0..2^63-1. */
MUST_USE bool audit_json_number(const json_t *object, const char *name, uint64_t *ret,
				struct err *err);
MUST_USE bool audit_json_array(const json_t *object, const char *name, const json_t **ret,
			       struct err *err);

#endif
