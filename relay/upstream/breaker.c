/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/breaker.h"

#include <assert.h>

static void breaker_set_state(struct breaker *b, enum breaker_state to)
{
	static const unsigned legal[] = {
		[BREAKER_CLOSED] = 1u << BREAKER_OPEN | 1u << BREAKER_BARRED,
		[BREAKER_OPEN] = 1u << BREAKER_HALF_OPEN | 1u << BREAKER_BARRED,
		[BREAKER_HALF_OPEN] =
			1u << BREAKER_CLOSED | 1u << BREAKER_OPEN | 1u << BREAKER_BARRED,
		[BREAKER_BARRED] = 1u << BREAKER_HALF_OPEN,
	};

	assert(legal[b->state] >> to & 1u);
	b->state = to;
	b->epoch++;
	b->in_row = 0;
	b->trials = 0;
	b->window_requests = b->window_failures = 0;
}

void breaker_init(struct breaker *b, const struct breaker_limits *limits, bool probed)
{
	*b = (struct breaker){.limits = limits, .probed = probed, .rest_us = limits->open_us};
}

const char *breaker_state_name(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED:
		return "closed";
	case BREAKER_OPEN:
		return "open";
	case BREAKER_HALF_OPEN:
		return "half_open";
	case BREAKER_BARRED:
		return "barred";
	}
	return "";
}

/* --- the edges --- */

static void to_open(struct breaker *b, usec_t rest_us, usec_t now)
{
	breaker_set_state(b, BREAKER_OPEN);
	b->open_until_us = now + rest_us;
}

/* Rests, each time in a row twice as long. */
static void rest(struct breaker *b, usec_t now)
{
	to_open(b, b->rest_us, now);
	b->rest_us = MIN(b->rest_us * 2, b->limits->open_max_us);
}

static void count_good(struct breaker *b, usec_t now)
{
	b->answered_us = now;
	if (b->state == BREAKER_CLOSED) {
		b->in_row = 0;
	} else if (b->state == BREAKER_HALF_OPEN && ++b->in_row >= b->limits->trials) {
		breaker_set_state(b, BREAKER_CLOSED);
		b->rest_us = b->limits->open_us;
	}
}

static void count_bad(struct breaker *b, usec_t now)
{
	const struct breaker_limits *limits = b->limits;

	if (b->state == BREAKER_HALF_OPEN) {
		rest(b, now);
		return;
	}
	b->window_failures++;
	b->in_row++;
	if (b->in_row >= limits->failures_max ||
	    (b->window_requests >= BREAKER_WINDOW_MIN &&
	     b->window_failures * 100 >= b->window_requests * limits->failure_percent))
		rest(b, now);
}

static void count_later(struct breaker *b, usec_t later_us, usec_t now)
{
	later_us = MIN(later_us, b->limits->later_max_us);
	if (later_us > 0)
		to_open(b, later_us, now);
	else
		count_bad(b, now);
}

/* --- requests --- */

enum breaker_verdict breaker_ask(const struct breaker *b, usec_t now)
{
	switch (b->state) {
	case BREAKER_CLOSED:
		return BREAKER_GO;
	case BREAKER_OPEN:
		return !b->probed && now >= b->open_until_us ? BREAKER_GO : BREAKER_NO;
	case BREAKER_HALF_OPEN:
		return b->trials < b->limits->trials ? BREAKER_GO : BREAKER_WAIT;
	case BREAKER_BARRED:
		return BREAKER_NO;
	}
	return BREAKER_NO;
}

unsigned breaker_begin(struct breaker *b, usec_t now)
{
	assert(breaker_ask(b, now) == BREAKER_GO);
	if (b->state == BREAKER_OPEN)
		breaker_set_state(b, BREAKER_HALF_OPEN);
	if (b->state == BREAKER_HALF_OPEN)
		b->trials++;
	if (now - b->window_begun_us >= b->limits->window_us) {
		b->window_begun_us = now;
		b->window_requests = b->window_failures = 0;
	}
	b->window_requests++;
	return b->epoch;
}

/* A request of this epoch has come back; false: it is of another. */
static bool is_back(struct breaker *b, unsigned epoch)
{
	if (epoch != b->epoch)
		return false;
	if (b->state == BREAKER_HALF_OPEN) {
		assert(b->trials > 0);
		b->trials--;
	}
	return true;
}

void breaker_on_answer(struct breaker *b, unsigned epoch, usec_t now)
{
	if (is_back(b, epoch))
		count_good(b, now);
}

void breaker_on_failure(struct breaker *b, unsigned epoch, usec_t now)
{
	if (is_back(b, epoch))
		count_bad(b, now);
}

void breaker_on_silence(struct breaker *b, unsigned epoch, usec_t begun_us, usec_t now)
{
	if (is_back(b, epoch) && now - begun_us >= b->limits->slow_us && b->answered_us <= begun_us)
		count_bad(b, now);
}

void breaker_on_later(struct breaker *b, unsigned epoch, usec_t later_us, usec_t now)
{
	if (is_back(b, epoch))
		count_later(b, later_us, now);
}

void breaker_on_nothing(struct breaker *b, unsigned epoch)
{
	(void)is_back(b, epoch);
}

/* --- probes --- */

/* It rests on, longer. */
static void rest_on(struct breaker *b, usec_t later_us, usec_t now)
{
	later_us = MIN(later_us, b->limits->later_max_us);
	b->open_until_us = now + MAX(later_us, b->rest_us);
	b->rest_us = MIN(b->rest_us * 2, b->limits->open_max_us);
}

void breaker_on_probe(struct breaker *b, bool good, usec_t later_us, usec_t now)
{
	switch (b->state) {
	case BREAKER_OPEN:
	case BREAKER_BARRED:
		if (good)
			breaker_set_state(b, BREAKER_HALF_OPEN);
		else if (b->state == BREAKER_OPEN)
			rest_on(b, later_us, now);
		break;
	case BREAKER_CLOSED:
	case BREAKER_HALF_OPEN:
		if (good)
			count_good(b, now);
		else
			count_later(b, later_us, now);
		break;
	}
}

void breaker_trip(struct breaker *b, usec_t now)
{
	if (b->state == BREAKER_CLOSED || b->state == BREAKER_HALF_OPEN)
		rest(b, now);
}

void breaker_bar(struct breaker *b)
{
	if (b->state != BREAKER_BARRED)
		breaker_set_state(b, BREAKER_BARRED);
}
