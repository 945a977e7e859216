/* SPDX-License-Identifier: Apache-2.0 */
#include "session/reach.h"

static struct reach_row *find(const struct reach *reach, uint32_t method)
{
	for (size_t i = 0; i < reach->n; i++) {
		if (reach->rows[i].method == method)
			return (struct reach_row *)&reach->rows[i];
	}
	return NULL;
}

static struct reach_row *add(struct reach *reach, uint32_t method)
{
	struct reach_row *row = &reach->rows[0];

	if (reach->n < REACH_METHODS_MAX) {
		row = &reach->rows[reach->n++];
	} else {
		for (size_t i = 1; i < reach->n; i++) {
			if (reach->rows[i].lacked_us < row->lacked_us)
				row = &reach->rows[i];
		}
	}
	*row = (struct reach_row){.method = method};
	return row;
}

static bool is_old(const struct reach_row *row, usec_t now)
{
	return now - row->lacked_us >= REACH_US;
}

void reach_lack(struct reach *reach, uint32_t method, uint64_t number, uint64_t below, usec_t now)
{
	struct reach_row *row;

	if (below < REACH_NEAR || number == UINT64_MAX)
		return;
	row = find(reach, method);
	if (!row)
		row = add(reach, method);
	if (is_old(row, now))
		row->least = 0;
	row->least = MAX(row->least, number + 1);
	row->lacked_us = now;
}

void reach_serve(struct reach *reach, uint32_t method, uint64_t number)
{
	struct reach_row *row = find(reach, method);

	if (row)
		row->least = MIN(row->least, number);
}

bool reach_lacks(const struct reach *reach, uint32_t method, uint64_t number, usec_t now)
{
	const struct reach_row *row = find(reach, method);

	return row && number < row->least && !is_old(row, now);
}
