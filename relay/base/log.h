/* SPDX-License-Identifier: Apache-2.0
 * Logs: one line an event, logfmt, a stable event name first:
 *	log_warn("upstream.timeout", "node=%s ms=%" PRIu64, name, ms);
 * gives  2026-11-23T13:37:00Z warn upstream.timeout node=n1 ms=5000
 * Layers L0-L3 do not log.  No secret, salt, request, answer or client address is ever logged. */
#ifndef RELAY_BASE_LOG_H
#define RELAY_BASE_LOG_H

#include "relay/base/ids.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines at or above `level` go to descriptor `fd` (default: info, 2).  `name` (may be NULL) is the
 * part of the program that speaks, "gateway" or "node-1", and stands in each line. */
void log_init(enum log_level level, int fd, const char *name);
MUST_USE bool log_level_parse(const char *s, enum log_level *ret);
bool log_is_on(enum log_level level);
void log_line(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);

#define log_debug(event, ...)                                                                      \
	do {                                                                                       \
		if (log_is_on(LOG_LEVEL_DEBUG))                                                    \
			log_line(LOG_LEVEL_DEBUG, event, __VA_ARGS__);                             \
	} while (0)
#define log_info(event, ...) log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)

/* A place that may repeat: struct log_gate g = {0}; if (log_every(&g, 1000000, &n)) log_warn(...).
 * True at most once every interval_us; *ret_suppressed is how many were held back since. */
struct log_gate {
	usec_t next_us;
	uint64_t suppressed;
};
bool log_every(struct log_gate *gate, usec_t interval_us, uint64_t *ret_suppressed);

#endif
