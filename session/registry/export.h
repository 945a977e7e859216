/* SPDX-License-Identifier: Apache-2.0
 * The registry file: what a registry says, as one canonical signed note ([Y1], [Y2]).
 *
 * One registry state has one text: it is encoded from the model, and a text that is parsed must be
 * byte for byte the encoding of what it gave.  Pure but for memory; auditors link this without any
 * network code. */
#ifndef SESSION_REGISTRY_EXPORT_H
#define SESSION_REGISTRY_EXPORT_H

#include "relay/base/bytes.h"
#include "relay/crypto/key.h"
#include "session/history.h"

#define EXPORT_HEAD "counterfoil/registry/v1\n"
#define EXPORT_MAX (64u << 20)	  /* bytes of a file that is parsed */
#define EXPORT_SEEDS_MAX 1000000  /* seeds in one file */
#define EXPORT_TABLES_MAX 1000000 /* table commitments in one file */

/* What the registry commits to for one service and session ([S6]). */
struct table_commitment {
	struct service_name service;
	height_t start;
	struct hash root;
	uint64_t rows;
	uint64_t total; /* T */
};

struct registry_export {
	uint8_t network_tail[32]; /* the network id is that of kind 2 [K2] */
	height_t height;	  /* of the registry when the file was written */
	struct history *history;  /* sealed */
	height_t from, to;	  /* the seeds of [from, to) that exist are all there */
	struct seed_run seeds;
	size_t tables_n;
	struct table_commitment *tables; /* sorted by (service, start) */
};

/* Frees what the struct holds; a zeroed one is fine. */
void registry_export_finish(struct registry_export *e);
static inline void registry_export_finish_at(struct registry_export *e)
{
	registry_export_finish(e);
}

/* Appends the text: "counterfoil/registry/v1\n" and one line of JSON. */
void registry_export_encode(const struct registry_export *e, struct buf *out);

/* Appends the whole note, signed by the registry key. */
void registry_export_sign(const struct registry_export *e, const struct relay_key *key,
			  struct buf *out);

/* Reads a note.
 *
 * In:     bytes    the file; at most EXPORT_MAX
 *         pinned   the registry key that must have signed it
 * Out:    ret      finish it with registry_export_finish()
 * Errors: ERR_NOTE, ERR_SIGNATURE, ERR_FORMAT (names the member), ERR_RANGE.
 * The signatures of grants are not looked at: registry_export_check_grants().
 */
MUST_USE bool registry_export_parse(struct view bytes, const struct key_id *pinned,
				    struct registry_export *ret, struct err *err);

/* As above for the text of a note without its signatures: for tests and fuzzers. */
MUST_USE bool registry_export_parse_text(struct view text, struct registry_export *ret,
					 struct err *err);

/* Verifies the signature of every grant, about 40 us each.  Errors: ERR_SIGNATURE names the grant.
 */
MUST_USE bool registry_export_check_grants(const struct registry_export *e, struct err *err);

/* True iff each table commitment is what the entries give.  Errors: ERR_REGISTRY names the table.
 */
MUST_USE bool registry_export_check_tables(const struct registry_export *e, struct err *err);

#endif
