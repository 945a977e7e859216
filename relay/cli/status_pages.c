/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/status_pages.h"

#include <inttypes.h>

#include "relay/base/clock.h"
#include "relay/base/err.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/cli/claim_verbs.h"
#include "relay/cli/cli.h"
#include "relay/cli/node_books.h"
#include "relay/gateway/gateway.h"
#include "relay/node/node.h"
#include "session/registry/registry.h"

#define SESSIONS_MAX 256 /* of a node on the page: the newest */

/* All cells of a counter together. */
static uint64_t sum_of(enum metric metric, unsigned a_max, unsigned b_max)
{
	uint64_t sum = 0;

	for (unsigned a = 0; a <= a_max; a++)
		for (unsigned b = 0; b <= b_max; b++)
			sum += (uint64_t)metric_value_at(metric, a, b);
	return sum;
}

static void put_time(enum metric metric, struct buf *out)
{
	const struct hist *hist = metric_hist_at(metric, 0, 0);

	buf_putf(out, ",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64, hist_quantile(hist, 0.5),
		 hist_quantile(hist, 0.99));
}

/* What both have: who it is, and when. */
static void put_head(const char *role, const struct key_id *key, struct registry *registry,
		     struct buf *out)
{
	CLEANUP(registry_view_unref) struct registry_view *view = registry_view_take(registry);
	const struct session_clock *clock = view_clock(view);
	height_t height = view_height(view, clock_wall_ms());
	height_t start = view_start(view, height);
	struct registry_status status;

	registry_status(registry, &status);
	buf_putf(out, "{\"role\":\"%s\",\"version\":\"%s\",", role, COUNTERFOIL_VERSION);
	claim_put_id("key", key->b, sizeof(key->b), out);
	buf_putf(out,
		 ",\"height\":%" PRIu64 ",\"session\":%" PRIu64 ",\"session_blocks\":%" PRIu64
		 ",\"block_ms\":%" PRIu64 ",\"genesis_ms\":%" PRId64
		 ",\"registry_age_ms\":%" PRId64,
		 height, start, view_params(view, start)->session_blocks, clock->block_ms,
		 clock->genesis_ms, clock_wall_ms() - status.last_ok_ms);
}

static void put_ready(bool ready, const struct err *why, struct buf *out)
{
	buf_putf(out, ",\"ready\":%s", ready ? "true" : "false");
	if (!ready)
		buf_putf(out, ",\"why\":\"%s\"", err_info(why->code)->name);
}

void status_page_gateway(const struct gateway *gateway, struct buf *out)
{
	struct gateway_status status;
	struct err why = {.code = ERR_NONE};
	uint64_t calls = sum_of(METRIC_GATEWAY_CALLS, METRICS_VALUES_MAX, ERR_COUNT - 1);
	uint64_t good = 0;
	bool ready = gateway_is_ready(gateway, &why);

	for (unsigned a = 0; a <= METRICS_VALUES_MAX; a++)
		good += (uint64_t)metric_value_at(METRIC_GATEWAY_CALLS, a, ERR_NONE);
	gateway_status(gateway, &status);
	put_head("gateway", gateway_id(gateway), gateway_registry(gateway), out);
	put_ready(ready, &why, out);
	buf_putf(out,
		 ",\"calls\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"kept\":%" PRId64
		 ",\"shared\":%" PRId64 ",\"in_flight\":%u,\"connections\":%zu,\"sessions\":%u,"
		 "\"suppliers\":%u,\"links\":%u",
		 calls, calls - good, metric_value_at(METRIC_GATEWAY_CACHE_HITS, 0, 0),
		 metric_value_at(METRIC_GATEWAY_CALLS_SHARED, 0, 0), status.in_flight,
		 gateway_connections(gateway), status.sessions, status.suppliers, status.links_up);
	put_time(METRIC_GATEWAY_CALL_TIME, out);
	buf_put_str(out, ",\"spending\":");
	gateway_spending(gateway, out);
	buf_put_str(out, ",\"quality\":");
	gateway_suppliers(gateway, out);
	buf_put_str(out, "}\n");
}

static int newest_first(const void *a, const void *b)
{
	const struct ledger_tab_info *x = a, *y = b;

	if (x->session.start != y->session.start)
		return x->session.start < y->session.start ? 1 : -1;
	return memcmp(&x->session.id, &y->session.id, sizeof(x->session.id));
}

static void put_sessions(const struct node *node, struct buf *out)
{
	struct ledger_tab_info *tabs;
	size_t n;

	ledger_tabs(node_ledger(node), &tabs, &n);
	if (n > 0)
		qsort(tabs, n, sizeof(*tabs), newest_first);
	buf_put_str(out, ",\"sessions\":[");
	for (size_t i = 0; i < MIN(n, (size_t)SESSIONS_MAX); i++) {
		const struct ledger_tab_info *tab = &tabs[i];

		buf_put_str(out, i ? ",\n{" : "{");
		claim_put_id("session", tab->session.id.b, sizeof(tab->session.id.b), out);
		buf_putf(out, ",\"service\":\"%s\",\"start\":%" PRIu64 ",", tab->session.service.s,
			 tab->session.start);
		claim_put_id("application", tab->session.application.b,
			     sizeof(tab->session.application.b), out);
		buf_put_str(out, ",");
		claim_put_id("gateway", tab->peer.b, sizeof(tab->peer.b), out);
		buf_putf(out, ",\"cu\":%" PRIu64 "}", tab->served);
	}
	buf_putf(out, "],\"sessions_all\":%zu", n);
	free(tabs);
}

void status_page_node(const struct node *node, struct node_books *books, struct buf *out)
{
	struct node_status status;
	struct err why = {.code = ERR_NONE};
	bool ready = node_is_ready(node, &why);

	node_status(node, &status);
	put_head("node", node_id(node), node_registry(node), out);
	put_ready(ready, &why, out);
	buf_putf(out,
		 ",\"relays\":%" PRIu64 ",\"cu\":%" PRIu64 ",\"refused\":%" PRIu64
		 ",\"in_flight\":%zu,\"unpaid_cu\":%" PRIu64 ",\"links\":%" PRId64,
		 sum_of(METRIC_NODE_RELAYS, METRICS_VALUES_MAX, 4),
		 sum_of(METRIC_NODE_CU, METRICS_VALUES_MAX, 0),
		 sum_of(METRIC_NODE_REFUSALS, ERR_COUNT - 1, 0), status.in_flight, status.unpaid,
		 metric_value_at(METRIC_LINK_OPEN, 0, 0));
	put_time(METRIC_NODE_RELAY_TIME, out);
	put_sessions(node, out);
	buf_put_str(out, ",");
	node_books_put(books, out);
	buf_put_str(out, "}\n");
}
