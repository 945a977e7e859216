/* SPDX-License-Identifier: Apache-2.0
 * C2SP signed notes (https://c2sp.org/signed-note) and cosignature/v1
 * (https://c2sp.org/tlog-cosignature): parse, check, build.  A note is a text, an empty line, and
 * signature lines.
 *
 * Pure; parsing borrows the caller's bytes and allocates nothing.  What a checkpoint's three lines
 * mean is in checkpoint.h; the text of a registry file is not looked at here either. */
#ifndef RELAY_RECEIPT_NOTE_H
#define RELAY_RECEIPT_NOTE_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define NOTE_SIGS_MAX 16       /* [N5] */
#define NOTE_NAME_MAX 127      /* of a key: bytes; ours have 85 */
#define NOTE_SIG_TEXT_MAX 4096 /* base64 of one signature line (post-quantum ones are long) */
#define NOTE_VKEY_MAX (NOTE_NAME_MAX + 1 + 8 + 1 + 44 + 1) /* text of a verifier key and a NUL */

/* Types of signatures that we know; others are skipped as unknown keys. */
enum note_type {
	NOTE_ED25519 = 0x01,
	NOTE_COSIGNATURE = 0x04, /* cosignature/v1: u64 time || Ed25519 */
};

/* A key that signatures are checked with. */
struct note_key {
	enum note_type type;
	uint8_t id[4]; /* [N3] */
	struct key_id key;
	char name[NOTE_NAME_MAX + 1];
};

/* One signature line. */
struct note_sig {
	struct view name;
	uint8_t id[4];
	struct view base64; /* of id || signature, strict */
};

/* A parsed note; all views point into the bytes that were parsed. */
struct note {
	struct view text; /* with its last newline, without the empty line */
	size_t sig_count;
	struct note_sig sig[NOTE_SIGS_MAX];
};

/* What note_check() found of one key. */
struct note_seen {
	bool signed_;	      /* a signature of this key is there, and verifies */
	uint64_t time;	      /* NOTE_COSIGNATURE: the largest time signed, POSIX seconds */
	struct signature sig; /* the Ed25519 part of that signature */
};

/* Makes a key from its parts and computes its id: name has 1..NOTE_NAME_MAX bytes, UTF-8, without
 * spaces, controls or '+'.  Errors: ERR_NOTE. */
MUST_USE bool note_key_make(enum note_type type, const char *name, const struct key_id *key,
			    struct note_key *ret, struct err *err);

/* "counterfoil/<role>/<key hex>" keys of [N2] and [Y1]; role is "supplier", "gateway" or
 * "registry". A gateway's is of type NOTE_COSIGNATURE, the others are NOTE_ED25519. */
void note_key_of_role(const char *role, const struct key_id *key, struct note_key *ret);

/* Verifier key text `<name>+<id hex>+<base64(type || key)>`, to dst, which has NOTE_VKEY_MAX bytes;
 * returns dst. */
char *note_key_text(const struct note_key *key, char dst[NOTE_VKEY_MAX]);
/* Strict: the id must be that of name, type and key.  Errors: ERR_NOTE. */
MUST_USE bool note_key_parse(struct view text, struct note_key *ret, struct err *err);

/* Parses a note, strictly: valid UTF-8 without controls but newline, text not empty and ending in
 * a newline, at least one and at most NOTE_SIGS_MAX well-formed signature lines, nothing after.
 * In: max_bytes  the limit on all of it.  Errors: ERR_NOTE, naming the fault. */
MUST_USE bool note_parse(struct view bytes, size_t max_bytes, struct note *ret, struct err *err);

/* Checks all signatures of the keys given ([N4]): signatures of other keys are ignored; if any of a
 * known key fails the whole note is refused.  ret_seen[i] tells of keys[i]; a key that did not
 * sign is no error here.  Errors: ERR_SIGNATURE. */
MUST_USE bool note_check(const struct note *note, const struct note_key *keys, size_t count,
			 struct note_seen *ret_seen, struct err *err);

/* Appends a signature line of this key; `time` counts for cosignatures only.  A note is built as
 * its text, a "\n", and lines of these. */
void note_put_signature(struct buf *buf, const struct note_key *key, uint64_t time,
			const struct signature *sig);

/* Appends the bytes that a cosignature/v1 signs: "cosignature/v1\ntime <time>\n" || text. */
void note_put_cosigned(struct buf *buf, uint64_t time, struct view text);

#endif
