/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil ledger`: what a ledger says, beside the running program or on a stopped one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/cli/ledger_verbs.h"
#include "relay/receipt/leaf.h"

static const char *state_name(const struct ledger_lane_info *lane)
{
	if (lane->dropped)
		return "dropped";
	if (lane->state == LEDGER_LANE_CLOSED)
		return "closed";
	return lane->state == LEDGER_LANE_DEAD ? "dead" : "unclosed";
}

struct config *ledger_verb_config(const struct verb *verb, const char *path, const char *role,
				  int *ret_exit)
{
	CLEANUP(buf_finish) struct buf problems = {0};
	struct config_source source = {
		.role = CONFIG_ANY, .path = path, .env = (const char *const *)environ};
	struct config *config = NULL;
	struct err err;

	*ret_exit = CLI_USAGE;
	if (role != NULL && strcmp(role, "gateway") != 0 && strcmp(role, "node") != 0) {
		cli_usage(verb, "a role is gateway or node");
		return NULL;
	}
	if (role != NULL)
		source.role = strcmp(role, "gateway") == 0 ? CONFIG_GATEWAY : CONFIG_NODE;
	*ret_exit = CLI_FAILED;
	if (config_load(&source, &config, &problems, &err))
		return config;
	fprintf(stderr, "%scounterfoil: %s\n", buf_cstr(&problems), err.msg);
	return NULL;
}

struct ledger_reader *ledger_verb_open(const char *dir, const struct config *config, int *ret_exit)
{
	struct ledger_reader *reader = NULL;
	struct err err;

	*ret_exit = CLI_FAILED;
	if (dir == NULL)
		dir = config->ledger.dir;
	if (dir == NULL)
		err_set(&err, ERR_USAGE, "which ledger? --dir DIR, or --config FILE");
	else if (ledger_reader_open(dir, &reader, &err))
		return reader;
	cli_fail(&err);
	return NULL;
}

/* --- list --- */

struct listing {
	bool json;
	size_t n;
};

static void put_lane_json(const struct ledger_lane_info *lane, struct buf *out)
{
	uint64_t end = lane->state == LEDGER_LANE_CLOSED ? lane->final_size : lane->head.size;

	buf_put_str(out, "{\"lane\":\"");
	buf_put_hex(out, lane->id.b, sizeof(lane->id.b));
	buf_put_str(out, "\",\"gateway\":\"");
	buf_put_hex(out, lane->gateway.b, sizeof(lane->gateway.b));
	buf_put_str(out, "\",\"supplier\":\"");
	buf_put_hex(out, lane->supplier.b, sizeof(lane->supplier.b));
	buf_putf(out,
		 "\",\"day\":%" PRIu32 ",\"state\":\"%s\",\"size\":%" PRIu64
		 ",\"cosigned\":%" PRIu64 ",\"undelivered\":%" PRIu64 ",\"adopted\":%" PRIu64 "}",
		 lane->day, state_name(lane), lane->head.size, lane->cosigned.size,
		 lane->head.size > end ? lane->head.size - end : 0,
		 lane->head.size > lane->adopted_from ? lane->head.size - lane->adopted_from : 0);
}

static bool list_on_lane(void *arg, const struct ledger_lane_info *lane)
{
	CLEANUP(buf_finish) struct buf line = {0};
	struct listing *l = arg;
	char id[33], gateway[17], supplier[17];

	if (l->json) {
		put_lane_json(lane, &line);
		printf("%s%s", l->n ? ",\n" : "[\n", buf_cstr(&line));
	} else {
		if (l->n == 0)
			printf("%-32s  %-8s  %-16s  %-16s  %-8s  %8s  %8s\n", "lane", "day",
			       "gateway", "supplier", "state", "leaves", "cosigned");
		printf("%-32s  %08" PRIu32 "  %-16s  %-16s  %-8s  %8" PRIu64 "  %8" PRIu64 "\n",
		       hex_encode(lane->id.b, 16, id), lane->day,
		       hex_encode(lane->gateway.b, 8, gateway),
		       hex_encode(lane->supplier.b, 8, supplier), state_name(lane), lane->head.size,
		       lane->cosigned.size);
	}
	l->n++;
	return true;
}

static int list(struct ledger_reader *reader, bool json)
{
	struct listing l = {.json = json};
	struct err err;

	if (!ledger_each_lane(reader, list_on_lane, &l, &err))
		return cli_fail(&err);
	if (json)
		printf("%s", l.n ? "\n]\n" : "[]\n");
	else if (l.n == 0)
		printf("no lane yet\n");
	return CLI_OK;
}

/* --- show --- */

static void put_leaf_json(const struct ledger_receipt *r, const struct leaf *leaf, struct buf *out)
{
	put_lane_json(&r->lane, out);
	out->n--; /* its last brace */
	buf_putf(out, ",\"seq\":%" PRIu64 ",\"kind\":%u,\"flags\":%u,\"status\":%u,\"session\":\"",
		 leaf->seq, leaf->kind, leaf->flags, leaf->status);
	buf_put_hex(out, leaf->session.b, sizeof(leaf->session.b));
	buf_putf(out,
		 "\",\"cu_before\":%" PRIu64 ",\"cu\":%" PRIu32 ",\"method\":%" PRIu32
		 ",\"time_ms\":%" PRIu64 ",\"latency_us\":%" PRIu32 ",\"stream\":%" PRIu32
		 ",\"part\":%" PRIu32 ",\"evidence\":%s,\"leaf\":\"",
		 leaf->cu_before, leaf->cu, leaf->method, leaf->time_ms, leaf->latency_us,
		 leaf->stream, leaf->part, r->has_evidence ? "true" : "false");
	buf_put_hex(out, r->leaf, sizeof(r->leaf));
	buf_put_str(out, "\"}\n");
}

static void print_leaf(const struct ledger_receipt *r, const struct leaf *leaf)
{
	static const char *const kinds[] = {"?", "answer", "RPC error", "refusal", "part"};
	char hex[65], time[CLOCK_TEXT_MAX];

	printf("kind        %s%s%s\n", leaf->kind <= 4 ? kinds[leaf->kind] : "?",
	       r->undelivered ? ", undelivered" : "", r->adopted ? ", adopted" : "");
	printf("time        %s\n", clock_text((msec_t)leaf->time_ms, time));
	printf("latency     %" PRIu32 " us\n", leaf->latency_us);
	printf("session     %s\n", hex_encode(leaf->session.b, sizeof(leaf->session.b), hex));
	printf("units       %" PRIu32 ", after %" PRIu64 " of the session in this lane\n", leaf->cu,
	       leaf->cu_before);
	printf("method      %" PRIu32 ", status %u\n", leaf->method, leaf->status);
	if (leaf->stream != 0)
		printf("stream      %" PRIu32 ", part %" PRIu32 "%s\n", leaf->stream, leaf->part,
		       leaf->flags & LEAF_LAST ? ", the last" : "");
	printf("request     SHA-256 %s\n", hex_encode(leaf->request_hash.b, 32, hex));
	printf("response    SHA-256 %s\n", hex_encode(leaf->response_hash.b, 32, hex));
	printf("evidence    %s\n", r->has_evidence ? "kept" : "not kept");
	printf("covered by  a head of %" PRIu64 " leaves%s\n", r->head.size,
	       r->head_is_cosigned ? ", cosigned" : "");
}

static int show_leaf(struct ledger_reader *reader, const struct lane_id *lane, uint64_t seq,
		     bool json)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct ledger_receipt r;
	struct leaf leaf;
	struct err err;
	bool fine;

	if (!ledger_receipt_read(reader, lane, seq, &r, &err))
		return cli_fail(&err);
	fine = leaf_decode(r.leaf, &leaf) == LEAF_FINE ||
	       err_set(&err, ERR_LEDGER, "the leaf is malformed");
	if (fine && json)
		put_leaf_json(&r, &leaf, &out);
	else if (fine)
		print_leaf(&r, &leaf);
	ledger_receipt_finish(&r);
	if (!fine)
		return cli_fail(&err);
	if (fwrite(buf_cstr(&out), 1, out.n, stdout) == out.n)
		return CLI_OK;
	err_set(&err, ERR_IO, "standard output: %s", strerror(errno));
	return cli_fail(&err);
}

static int show_lane(struct ledger_reader *reader, const struct lane_id *id, bool json)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct ledger_lane_info lane;
	char hex[65], time[CLOCK_TEXT_MAX];
	struct err err;

	if (!ledger_lane_read(reader, id, &lane, &err))
		return cli_fail(&err);
	if (json) {
		put_lane_json(&lane, &out);
		printf("%s\n", buf_cstr(&out));
		return CLI_OK;
	}
	printf("gateway   %s\n", hex_encode(lane.gateway.b, 32, hex));
	printf("supplier  %s\n", hex_encode(lane.supplier.b, 32, hex));
	printf("opened    %s\n", clock_text(lane.opened_ms, time));
	printf("state     %s\n", state_name(&lane));
	printf("leaves    %" PRIu64 "\n", lane.head.size);
	printf("root      %s\n", hex_encode(lane.head.root.b, 32, hex));
	printf("cosigned  %" PRIu64, lane.cosigned.size);
	if (lane.cosigned.size > 0)
		printf(" at %s", clock_text((msec_t)lane.cosigned.time * 1000, time));
	printf("\n");
	if (lane.state == LEDGER_LANE_CLOSED)
		printf("final     %" PRIu64 ", %" PRIu64 " undelivered\n", lane.final_size,
		       lane.head.size > lane.final_size ? lane.head.size - lane.final_size : 0);
	return CLI_OK;
}

/* LANE, LANE/SEQ, or the value of a Counterfoil-Receipt header, LANE/SEQ/SALT. */
static int show(const struct verb *verb, struct ledger_reader *reader, const char *what, bool json)
{
	const char *slash = strchr(what, '/');
	size_t n = slash ? (size_t)(slash - what) : strlen(what);
	struct lane_id lane;
	uint64_t seq;

	if (!hex_decode(what, n, lane.b, sizeof(lane.b)))
		return cli_usage(verb, "a lane is 32 hex digits");
	if (slash == NULL)
		return show_lane(reader, &lane, json);
	if (!u64_parse(slash + 1, strcspn(slash + 1, "/"), &seq))
		return cli_usage(verb, "write: ledger show LANE/SEQ");
	return show_leaf(reader, &lane, seq, json);
}

/* --- the verb --- */

static int run_list_or_show(const struct verb *verb, int argc, char **argv, bool shows)
{
	struct cli_option options[] = {{.name = "config"},
				       {.name = "dir"},
				       {.name = "role"},
				       {.name = "json", .is_flag = true}};
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = NULL;
	CLEANUP(config_destroy) struct config *config = NULL;
	int n, status;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != (shows ? 1 : 0))
		return cli_usage(verb,
				 shows ? "write: ledger show LANE[/SEQ]" : "write: ledger list");
	config = ledger_verb_config(verb, options[0].value, options[2].value, &status);
	if (config == NULL)
		return status;
	reader = ledger_verb_open(options[1].value, config, &status);
	if (reader == NULL)
		return status;
	return shows ? show(verb, reader, argv[1], options[3].value != NULL)
		     : list(reader, options[3].value != NULL);
}

static int run_list(const struct verb *verb, int argc, char **argv)
{
	return run_list_or_show(verb, argc, argv, false);
}

static int run_show(const struct verb *verb, int argc, char **argv)
{
	return run_list_or_show(verb, argc, argv, true);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static const struct cli_action actions[] = {{"list", run_list},
						    {"show", run_show},
						    {"totals", ledger_run_totals},
						    {"export", ledger_run_export}};

	return cli_dispatch(verb, actions, ARRAY_SIZE(actions), argc, argv);
}

const struct verb verb_ledger = {
	.name = "ledger",
	.usage = "list | show LANE[/SEQ] | totals [--income] | export --audit DIR",
	.summary = "what a ledger holds, and a copy of it for an auditor",
	.help = "Reads the ledger of a gateway or a node, beside the running program or when it\n"
		"is stopped; never changes it.  Which ledger:\n"
		"  --config FILE    the one that a configuration names (or its environment does)\n"
		"  --role ROLE      check the configuration as that of a gateway or a node\n"
		"  --dir DIR        this one\n"
		"  --json           for programs\n"
		"\n"
		"ledger list        its lanes, oldest first\n"
		"ledger show LANE   one lane; LANE/SEQ (as in a Counterfoil-Receipt header): one\n"
		"                   receipt, without its salt\n"
		"ledger totals      leaves and compute units by service and peer; of a node, also\n"
		"                   what they earned, by service and application\n"
		"ledger totals --income  only that: earned, paid, claimed, to be claimed, at "
		"risk,\n"
		"                   and lost with the reason; with --json for programs\n"
		"\n"
		"ledger export --audit DIR\n"
		"  Writes the folder that counterfoil-audit reads; DIR must not exist or be "
		"empty,\n"
		"  and is there only when it is whole.\n"
		"  --private             salts, requests and answers too, which are left out "
		"otherwise\n"
		"  --faults              of a gateway: not its lanes, but those that ended in a\n"
		"                        signed batch that it did not accept, with that batch\n"
		"  --registry-key FILE   signs the registry file of a sqlite registry; default:\n"
		"                        REGISTRY.key, or registry.key beside it.  A registry that "
		"is\n"
		"                        a file or a URL needs none.\n",
	.run = run,
};
