/* SPDX-License-Identifier: Apache-2.0
 * A running node's income, for its metrics and its status page: read from the books on a connection
 * of its own, at most every few seconds.  For one thread, the admin's. */
#ifndef RELAY_CLI_NODE_BOOKS_H
#define RELAY_CLI_NODE_BOOKS_H

#include "relay/ledger/claims.h"

struct node_books; /* opaque */

/* Cannot fail: the books may come later.  dir is borrowed until it is destroyed. */
struct node_books *node_books_create(const char *dir, const struct key_id *self);
void node_books_destroy(struct node_books *books);
DEFINE_CLEANUP(struct node_books *, node_books_destroy)

/* Sets the gauges CLAIMS_* of metrics.def; leaves them alone while there are no books. */
void node_books_publish(struct node_books *books);
/* Appends "income":[...],... as members of an object. */
void node_books_put(struct node_books *books, struct buf *out);

#endif
