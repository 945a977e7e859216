/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/base/clock.h"

#define LOG_LINE_MAX 1024

static enum log_level min_level = LOG_LEVEL_INFO;
static int log_fd = STDERR_FILENO;
static char log_name[40];

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(enum log_level level, int fd, const char *name)
{
	min_level = level;
	log_fd = fd;
	snprintf(log_name, sizeof(log_name), "%s%s", name ? name : "", name ? " " : "");
}

bool log_level_parse(const char *s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_is_on(enum log_level level)
{
	return level >= min_level;
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[LOG_LINE_MAX], when[CLOCK_TEXT_MAX];
	va_list args;
	size_t n;

	if (level < min_level)
		return;
	n = (size_t)snprintf(line, sizeof(line), "%s %s%s %s ", clock_text(clock_now_ms(), when),
			     log_name, level_names[level], event);
	if (n < sizeof(line)) {
		va_start(args, fmt);
		n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, args);
		va_end(args);
	}
	n = MIN(n, sizeof(line) - 2);
	for (size_t i = 0; i < n; i++) /* one event is one line, whatever it quotes */
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	line[n++] = '\n';
	/* one write, so that lines of processes which share a descriptor do not mix */
	if (write(log_fd, line, n) < 0)
		return; /* nowhere left to say it */
}

bool log_every(struct log_gate *gate, usec_t interval_us, uint64_t *ret_suppressed)
{
	usec_t now = clock_mono_us();

	if (gate->next_us != 0 && now < gate->next_us) {
		gate->suppressed++;
		return false;
	}
	*ret_suppressed = gate->suppressed;
	gate->suppressed = 0;
	gate->next_us = now + interval_us;
	return true;
}
