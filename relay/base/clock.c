/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/clock.h"

#include <time.h>

static _Thread_local usec_t mono_cached;
static _Thread_local msec_t wall_cached;
static _Thread_local bool ticked, fake;

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* allowed: this is the clock */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_tick(void)
{
	if (fake)
		return;
	mono_cached = read_us(CLOCK_MONOTONIC);
	wall_cached = read_us(CLOCK_REALTIME) / 1000;
	ticked = true;
}

usec_t clock_mono_us(void)
{
	if (!ticked)
		clock_tick();
	return mono_cached;
}

msec_t clock_wall_ms(void)
{
	if (!ticked)
		clock_tick();
	return wall_cached;
}

usec_t clock_now_us(void)
{
	return fake ? mono_cached : read_us(CLOCK_MONOTONIC);
}

msec_t clock_now_ms(void)
{
	return fake ? wall_cached : read_us(CLOCK_REALTIME) / 1000;
}

void clock_fake(usec_t mono_us, msec_t wall_ms)
{
	mono_cached = mono_us;
	wall_cached = wall_ms;
	fake = ticked = true;
}

void clock_fake_off(void)
{
	fake = ticked = false;
}

static void utc(msec_t wall_ms, struct tm *ret)
{
	time_t s = (time_t)(wall_ms / 1000);

	gmtime_r(&s, ret);
}

char *clock_text(msec_t wall_ms, char dst[CLOCK_TEXT_MAX])
{
	struct tm tm;

	utc(wall_ms, &tm);
	strftime(dst, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return dst;
}

uint32_t clock_day(msec_t wall_ms)
{
	struct tm tm;

	utc(wall_ms, &tm);
	return (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
}
