/* SPDX-License-Identifier: Apache-2.0
 * The only place that reads a clock.  Monotonic time for deadlines, wall time for receipts.
 * Programs with a loop call clock_tick() once a turn; reads in between cost nothing. */
#ifndef RELAY_BASE_CLOCK_H
#define RELAY_BASE_CLOCK_H

#include "relay/base/ids.h"

/* Reads both clocks into this thread's cache.  The first read of a thread ticks by itself. */
void clock_tick(void);
/* Monotonic microseconds of this thread's last tick. */
usec_t clock_mono_us(void);
/* POSIX milliseconds of this thread's last tick. */
msec_t clock_wall_ms(void);
/* Fresh monotonic microseconds, cache untouched: for latencies. */
usec_t clock_now_us(void);
/* Fresh POSIX milliseconds, cache untouched: for log lines of threads without a loop. */
msec_t clock_now_ms(void);
/* Stops the clock of this thread at these values until clock_fake_off(); for tests. */
void clock_fake(usec_t mono_us, msec_t wall_ms);
void clock_fake_off(void);
/* "2026-11-23T13:37:00Z" into dst[21]; returns dst. */
#define CLOCK_TEXT_MAX 21
char *clock_text(msec_t wall_ms, char dst[CLOCK_TEXT_MAX]);
/* UTC day as yyyymmdd. */
uint32_t clock_day(msec_t wall_ms);

#endif
