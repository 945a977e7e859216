/* SPDX-License-Identifier: Apache-2.0
 * What the steps of the writer share: writer.c (openings and leaves) and settle.c (the rest). */
#ifndef RELAY_LEDGER_WRITER_H
#define RELAY_LEDGER_WRITER_H

#include "relay/ledger/internal.h"

/* Marks an operation as failed; the first error stays. */
void op_fail(struct ledger_batch *op, const struct err *err);
void op_refuse(struct ledger_batch *op, enum err_code code, const char *why);
/* Runs a statement within the open transaction of state.db, beginning one when there is none. */
bool state_run(struct ledger *ledger, sqlite3_stmt *stmt);
/* The third step of a group: `first` and what follows it. */
void writer_phase_state(struct ledger *ledger, struct ledger_batch *first);

#endif
