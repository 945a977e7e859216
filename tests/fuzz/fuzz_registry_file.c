/* SPDX-License-Identifier: Apache-2.0
 * Registry files from strangers: what is read is canonical, and stands up to the questions that a
 * gateway asks of it ([Y1], [Y2]). */
#include <stdlib.h>

#include "session/registry/export.h"
#include "session/registry/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct registry_export *e)
{
	static const struct key_id key = {{1}};
	struct registry_view *view =
		registry_view_create(e->history, &key, &e->seeds, e->height, NULL);
	size_t n;
	const struct service_entry *service = history_all_services(e->history, &n);
	const struct session_params *p = history_params(e->history, 0);
	height_t start = view_start(view, e->height);
	struct history_books b;

	for (size_t i = 0; i < n && i < 4; i++) {
		struct session_info *s;
		struct err err;
		u128 allowance;

		if (view_session(view, &key, &service[i].name, start, &s, &err)) {
			if (s->n < 1 || s->n > p->session_suppliers)
				abort();
			free(s);
		}
		if (view_allowance(view, &key, &key, &service[i].name, start, &allowance, &err) &&
		    allowance > AMOUNT_MAX)
			abort();
	}
	if (history_books(e->history, e->height, &b) &&
	    b.deposits != b.spent + b.burned + b.stakes + b.escrow + b.thawing_stakes +
				  b.thawing_escrow + b.left)
		abort();
	registry_view_unref(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct registry_export e;
	struct buf again = {0};
	struct err err;

	if (!registry_export_parse_text(VIEW(data, size), &e, &err)) {
		if (err.code == ERR_NONE)
			abort();
		return 0;
	}
	registry_export_encode(&e, &again);
	if (!view_eq(buf_view(&again), VIEW(data, size)))
		abort();
	ask(&e);
	buf_finish(&again);
	registry_export_finish(&e);
	return 0;
}
