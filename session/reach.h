/* SPDX-License-Identifier: Apache-2.0
 * How far back a supplier can go: the least block of which it has what a method needs, as far as
 * its errors have shown.  Most nodes keep the state of few blocks and the receipts of many, so
 * methods are told apart.  What is known ages: an operator may have put an archive behind it. Pure:
 * time is an argument.  One a supplier and service; bounded. */
#ifndef SESSION_REACH_H
#define SESSION_REACH_H

#include "relay/base/ids.h"

#define REACH_METHODS_MAX 16 /* of one supplier; the one that lacked something longest ago goes */
#define REACH_NEAR 64	   /* blocks below the head that every node has: lack of them is no sign */
#define REACH_US 600000000 /* for so long after its last lack it is not asked for older ones */

struct reach_row {
	uint32_t method; /* id in the service's table */
	uint64_t least;	 /* block */
	usec_t lacked_us;
};

/* Zero-initialised: nothing is known to be lacking. */
struct reach {
	size_t n;
	struct reach_row rows[REACH_METHODS_MAX];
};

/* A block of this number, `below` blocks under the head, was asked for, and it does not have it
 * (any more). */
void reach_lack(struct reach *reach, uint32_t method, uint64_t number, uint64_t below, usec_t now);
/* It has that of this block. */
void reach_serve(struct reach *reach, uint32_t method, uint64_t number);
/* Whether it is known not to. */
bool reach_lacks(const struct reach *reach, uint32_t method, uint64_t number, usec_t now);

#endif
