/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil ledger totals`: leaves and compute units by service and peer; of a node, with what
 * they earned (ledger_income.c). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/mem.h"
#include "relay/cli/ledger_verbs.h"
#include "relay/receipt/leaf.h"

#define CHUNK 2048

struct total {
	struct service_name service; /* "" when the session is not known */
	struct key_id gateway, supplier;
	uint64_t leaves, refusals, undelivered;
	cu_t cu, uncosigned_cu;
};

struct totals {
	struct ledger_reader *reader;
	struct total *list;
	size_t n, cap;
	struct session_id last; /* of the leaf before, in this lane */
	struct service_name last_service;
	bool any;
	struct err err;
};

static struct total *total_get(struct totals *t, const struct service_name *service,
			       const struct ledger_lane_info *lane)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->list[i].service.s, service->s) == 0 &&
		    ID_EQ(&t->list[i].gateway, &lane->gateway) &&
		    ID_EQ(&t->list[i].supplier, &lane->supplier))
			return &t->list[i];
	if (t->n == t->cap) {
		t->cap = MAX(t->cap * 2, 16);
		t->list = xrealloc(t->list, t->cap * sizeof(*t->list));
	}
	t->list[t->n] = (struct total){
		.service = *service, .gateway = lane->gateway, .supplier = lane->supplier};
	return &t->list[t->n++];
}

static void total_leaf(struct totals *t, const struct ledger_lane_info *lane, const uint8_t *bytes,
		       uint64_t seq)
{
	struct ledger_session session = {0};
	struct session_id id;
	struct total *total;
	cu_t cu = get_be32(bytes + 56);
	struct err err;

	memcpy(id.b, bytes + 16, sizeof(id.b));
	if (!t->any || !ID_EQ(&id, &t->last)) {
		if (!ledger_session_read(t->reader, &lane->id, &id, &session, &err))
			session.service.s[0] = 0;
		t->any = true;
		t->last = id;
		t->last_service = session.service;
	}
	total = total_get(t, &t->last_service, lane);
	total->leaves++;
	total->refusals += bytes[4] == LEAF_REFUSAL;
	if (lane->state == LEDGER_LANE_CLOSED && seq >= lane->final_size) {
		total->undelivered++;
		return;
	}
	total->cu += cu;
	if (seq >= lane->cosigned.size)
		total->uncosigned_cu += cu;
}

static bool totals_on_lane(void *arg, const struct ledger_lane_info *lane)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)CHUNK * LEDGER_LEAF_BYTES);
	struct totals *t = arg;
	size_t n = 1;

	t->any = false;
	for (uint64_t seq = 0; n > 0 && seq < lane->head.size; seq += n) {
		if (!ledger_leaves_read(t->reader, &lane->id, seq, CHUNK, leaves, NULL, &n,
					&t->err))
			return false;
		for (size_t i = 0; i < n; i++)
			total_leaf(t, lane, leaves + i * LEDGER_LEAF_BYTES, seq + i);
	}
	return true;
}

static void put_total_json(const struct total *total, struct buf *out)
{
	buf_putf(out, "{\"service\":\"%s\",\"gateway\":\"", total->service.s);
	buf_put_hex(out, total->gateway.b, sizeof(total->gateway.b));
	buf_put_str(out, "\",\"supplier\":\"");
	buf_put_hex(out, total->supplier.b, sizeof(total->supplier.b));
	buf_putf(out,
		 "\",\"leaves\":%" PRIu64 ",\"refusals\":%" PRIu64 ",\"undelivered\":%" PRIu64
		 ",\"cu\":%" PRIu64 ",\"uncosigned_cu\":%" PRIu64 "}",
		 total->leaves, total->refusals, total->undelivered, total->cu,
		 total->uncosigned_cu);
}

static void print_totals(const struct totals *t, bool json)
{
	CLEANUP(buf_finish) struct buf out = {0};
	char gateway[17], supplier[17];

	if (!json && t->n > 0)
		printf("%-12s  %-16s  %-16s  %10s  %10s  %12s  %12s\n", "service", "gateway",
		       "supplier", "leaves", "refusals", "units", "uncosigned");
	for (size_t i = 0; i < t->n; i++) {
		const struct total *total = &t->list[i];

		if (json) {
			buf_put_str(&out, i ? ",\n" : "[\n");
			put_total_json(total, &out);
			continue;
		}
		printf("%-12s  %-16s  %-16s  %10" PRIu64 "  %10" PRIu64 "  %12" PRIu64
		       "  %12" PRIu64 "\n",
		       total->service.s[0] ? total->service.s : "(unknown)",
		       hex_encode(total->gateway.b, 8, gateway),
		       hex_encode(total->supplier.b, 8, supplier), total->leaves, total->refusals,
		       total->cu, total->uncosigned_cu);
	}
	if (json)
		printf("%s%s", buf_cstr(&out), t->n ? "\n]\n" : "[]\n");
	else if (t->n == 0)
		printf("no receipt yet\n");
}

static int run_receipts(struct ledger_reader *reader, bool json)
{
	struct totals t = {.reader = reader};
	struct err err;
	int status;

	if (!ledger_each_lane(reader, totals_on_lane, &t, &err))
		status = cli_fail(&err);
	else if (t.err.code != ERR_NONE)
		status = cli_fail(&t.err);
	else
		status = CLI_OK;
	if (status == CLI_OK) {
		print_totals(&t, json);
		fflush(stdout);
	}
	free(t.list);
	return status;
}

int ledger_run_totals(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "config"},
				       {.name = "dir"},
				       {.name = "role"},
				       {.name = "json", .is_flag = true},
				       {.name = "income", .is_flag = true}};
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = NULL;
	CLEANUP(config_destroy) struct config *config = NULL;
	const char *dir;
	int n, status;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 0)
		return cli_usage(verb, "write: ledger totals");
	config = ledger_verb_config(verb, options[0].value, options[2].value, &status);
	if (config == NULL)
		return status;
	reader = ledger_verb_open(options[1].value, config, &status);
	if (reader == NULL)
		return status;
	dir = options[1].value ? options[1].value : config->ledger.dir;
	if (options[4].value != NULL)
		return ledger_print_income(reader, dir, options[3].value != NULL, true);
	status = run_receipts(reader, options[3].value != NULL);
	if (status == CLI_OK && options[3].value == NULL)
		status = ledger_print_income(reader, dir, false, false);
	return status;
}
