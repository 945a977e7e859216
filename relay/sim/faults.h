/* SPDX-License-Identifier: Apache-2.0
 * Faults that a script puts into a run: which suppliers do what, and when.
 *
 *	# FROM TO SUPPLIER FAULT
 *	2s 5s @1 silent				its answers do not come
 *	0s - 3f2a11 late 300ms			... come so much later
 *	1s 2s * error overload			... are ERROR frames, with a name of docs/errors.md
 *	0s - @2 lie				... have another last digit in their first 0x...
 *value
 *
 * Times are since the recording's beginning, in s or ms; - is its end.  A supplier is @N, the Nth
 * whose link came up, the first digits of a key, or * for all.  A relay meets the first fault that
 * is for its supplier at the time when it is sent.  Pure. */
#ifndef RELAY_SIM_FAULTS_H
#define RELAY_SIM_FAULTS_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define FAULTS_MAX 1000			   /* in a script */
#define FAULTS_BYTES_MAX ((size_t)1 << 20) /* of a script */

enum fault_kind { FAULT_SILENT, FAULT_LATE, FAULT_ERROR, FAULT_LIE };

struct fault {
	usec_t from_us, to_us; /* [from, to) */
	char supplier[65];     /* as written */
	enum fault_kind kind;
	usec_t late_us;
	enum err_code error;
};

struct faults {
	size_t n;
	struct fault *list;
};

/* Appends the faults of a script.  Errors: ERR_FORMAT with the line. */
MUST_USE bool faults_read(struct view script, struct faults *ret, struct err *err);
void faults_finish(struct faults *faults);
static inline void faults_finish_at(struct faults *faults)
{
	faults_finish(faults);
}
/* The first that is for the Nth supplier (from 1), with this key, now; NULL: none. */
const struct fault *faults_find(const struct faults *faults, usec_t now, size_t n,
				const struct key_id *key);
/* Changes what an answer says, if it says anything in digits. */
void fault_lie(struct buf *body);
/* The code with this name, as in docs/errors.md; false: there is none. */
MUST_USE bool error_by_name(struct view name, enum err_code *ret);

#endif
