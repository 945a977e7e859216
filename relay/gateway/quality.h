/* SPDX-License-Identifier: Apache-2.0
 * How what was seen of suppliers weighs in the picks, and what is seen.  Private to relay/gateway.
 */
#ifndef RELAY_GATEWAY_QUALITY_H
#define RELAY_GATEWAY_QUALITY_H

#include "relay/base/err.h"
#include "relay/gateway/standing.h"
#include "session/pick.h"

struct ask;
struct relay;
struct worker;

/* The standing of a supplier at a service; give it back with standing_unref(). */
struct standing *quality_standing(struct worker *w, const struct service_name *service,
				  const struct key_id *supplier);

/* Fills in weight, price and health of all members of the ask's session, and who has been asked. */
void quality_weigh(const struct ask *ask, usec_t now, struct pick_member members[]);
/* A relay is on its way. */
void quality_on_sent(struct relay *relay);
/* Its attempt is over; the first word about a relay counts. */
void quality_on_end(struct relay *relay, enum quality_outcome outcome);
/* It has brought an answer, which may be an RPC error that no healthy backend gives. */
void quality_on_answer(struct relay *relay);
/* How an attempt that failed so is counted. */
enum quality_outcome quality_outcome_of(enum err_code code);

#endif
