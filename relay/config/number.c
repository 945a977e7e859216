/* SPDX-License-Identifier: Apache-2.0
 * Numbers with units: sizes, durations, counts. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "relay/config/internal.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: the shortest exact form is the first that divides. */
static const struct unit sizes[] = {
	{"GiB", UINT64_C(1) << 30},
	{"MiB", UINT64_C(1) << 20},
	{"KiB", UINT64_C(1) << 10},
	{"B", 1},
};
static const struct unit durations[] = {
	{"d", UINT64_C(86400000000)},
	{"h", UINT64_C(3600000000)},
	{"min", 60000000},
	{"s", 1000000},
	{"ms", 1000},
	{"us", 1},
};
static const struct unit ones[] = {{"", 1}};

static const struct unit *units_of(enum config_type type, size_t *ret_n)
{
	if (type == TYPE_SIZE) {
		*ret_n = ARRAY_SIZE(sizes);
		return sizes;
	}
	if (type == TYPE_DURATION) {
		*ret_n = ARRAY_SIZE(durations);
		return durations;
	}
	assert(type == TYPE_UINT || type == TYPE_LIST || type == TYPE_MAP);
	*ret_n = ARRAY_SIZE(ones);
	return ones;
}

bool value_number(enum config_type type, const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789"), n;
	const struct unit *units = units_of(type, &n);
	const char *unit = text + digits;
	uint64_t v;

	if (!u64_parse(text, digits, &v))
		return false;
	if (*unit == ' ')
		unit++;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		/* usec_t is signed: half of the range is enough for sizes too */
		if (v > INT64_MAX / units[i].factor)
			return false;
		*ret = v * units[i].factor;
		return true;
	}
	*ret = 0;
	return v == 0 && *unit == 0; /* nothing needs no unit */
}

void value_number_text(enum config_type type, uint64_t value, struct buf *out)
{
	size_t n;
	const struct unit *units = units_of(type, &n);
	size_t i = 0;

	while (i + 1 < n && (value == 0 || value % units[i].factor != 0))
		i++;
	buf_putf(out, "%" PRIu64 "%s%s", value / units[i].factor, *units[i].name ? " " : "",
		 units[i].name);
}
