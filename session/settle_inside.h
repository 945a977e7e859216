/* SPDX-License-Identifier: Apache-2.0
 * What the two checks share, for session/settle*.c alone. */
#ifndef SESSION_SETTLE_INSIDE_H
#define SESSION_SETTLE_INSIDE_H

#include "session/settle.h"

/* Sets *ret, and ERR_CLAIM with the fault's name before the text; returns false. */
bool settle_refuse(enum settle_fault *ret, struct err *err, enum settle_fault fault,
		   const char *fmt, ...) PRINTF(4, 5);

#endif
