/* SPDX-License-Identifier: Apache-2.0
 * Named points at which a test kills the process, as a crash would: POINT("claims.sent") raises
 * SIGKILL when the environment's COUNTERFOIL_KILL_AT names it (docs/testing.md lists them).
 *
 * Only where meson's option `points` is on, as in the tests' builds; else it is nothing at all. */
#ifndef RELAY_BASE_POINT_H
#define RELAY_BASE_POINT_H

#ifdef POINTS
/* Does not return when COUNTERFOIL_KILL_AT is this name, or "NAME:N" and it is reached for the N-th
 * time (1 is the first) in this process.  Any thread. */
void point_reach(const char *name);
#define POINT(name) point_reach(name)
#else
#define POINT(name) ((void)0)
#endif

#endif
