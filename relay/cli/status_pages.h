/* SPDX-License-Identifier: Apache-2.0
 * The page /admin/status of a gateway and of a node, which `counterfoil status' reads. */
#ifndef RELAY_CLI_STATUS_PAGES_H
#define RELAY_CLI_STATUS_PAGES_H

#include "relay/base/bytes.h"

struct gateway;
struct node;
struct node_books;

#define STATUS_PAGE_PATH "/admin/status"

/* Append the page; on the admin thread. */
void status_page_gateway(const struct gateway *gateway, struct buf *out);
void status_page_node(const struct node *node, struct node_books *books, struct buf *out);

#endif
