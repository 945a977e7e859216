/* SPDX-License-Identifier: Apache-2.0
 * Kept answers, given before a request is read as HTTP at length.  Private to relay/gateway. */
#ifndef RELAY_GATEWAY_QUICK_H
#define RELAY_GATEWAY_QUICK_H

#include <stdbool.h>

#include "relay/base/bytes.h"

struct client;

/* A client_shortcut of the worker `arg`. */
bool quick_answer(void *arg, struct client *client, struct view bytes);

#endif
