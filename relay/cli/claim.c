/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil claim`: what a supplier's books say, beside the running node or when it is stopped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/clock.h"
#include "relay/cli/claim_verbs.h"
#include "relay/cli/ledger_verbs.h"

bool claim_books_open(const struct ledger_reader *reader, const char *dir, struct claim_books *ret,
		      struct err *err)
{
	struct ledger_identity identity;
	struct err why = {0};

	ledger_reader_identity(reader, &identity);
	if (identity.role != LEDGER_SUPPLIER)
		return err_set(err, ERR_NOT_FOUND, "a gateway earns nothing: it has no books");
	if (!claims_open(dir, &identity.self, true, &ret->claims, err))
		return false;
	ret->has_clock = claims_clock(ret->claims, &ret->clock, &why);
	return true;
}

const char *claim_height_text(const struct claim_books *books, height_t height,
			      char dst[CLAIM_HEIGHT_TEXT_MAX])
{
	char time[CLOCK_TEXT_MAX];

	if (height == 0)
		snprintf(dst, CLAIM_HEIGHT_TEXT_MAX, "-");
	else if (!books->has_clock)
		snprintf(dst, CLAIM_HEIGHT_TEXT_MAX, "%" PRIu64, height);
	else
		snprintf(dst, CLAIM_HEIGHT_TEXT_MAX, "%" PRIu64 " (%s)", height,
			 clock_text(session_clock_ms(&books->clock, height), time));
	return dst;
}

void claim_put_height(const struct claim_books *books, const char *name, height_t height,
		      struct buf *out)
{
	char time[CLOCK_TEXT_MAX];

	if (height == 0)
		return;
	buf_putf(out, ",\"%s\":%" PRIu64, name, height);
	if (books->has_clock)
		buf_putf(out, ",\"%s_time\":\"%s\"", name,
			 clock_text(session_clock_ms(&books->clock, height), time));
}

void claim_put_id(const char *name, const void *bytes, size_t n, struct buf *out)
{
	buf_putf(out, "\"%s\":\"", name);
	buf_put_hex(out, bytes, n);
	buf_put_str(out, "\"");
}

void claim_put_amount(const char *name, u128 value, struct buf *out)
{
	char text[U128_TEXT_MAX];

	buf_putf(out, ",\"%s\":\"%s\"", name, u128_text(value, text));
}

int claim_print(struct buf *out)
{
	struct err err;

	if (fwrite(buf_cstr(out), 1, out->n, stdout) == out->n && fflush(stdout) == 0)
		return CLI_OK;
	err_set(&err, ERR_IO, "standard output: %s", strerror(errno));
	return cli_fail(&err);
}

void claim_put_row(const struct claim_books *books, const struct claims_row *row, struct buf *out)
{
	char time[CLOCK_TEXT_MAX];

	claim_put_id("claim", row->id.b, sizeof(row->id.b), out);
	buf_putf(out, ",\"service\":\"%s\",", row->service.s);
	claim_put_id("application", row->application.b, sizeof(row->application.b), out);
	buf_put_str(out, ",");
	claim_put_id("gateway", row->gateway.b, sizeof(row->gateway.b), out);
	buf_putf(out, ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"records\":%" PRIu32, row->from,
		 row->to, row->records);
	buf_putf(out, ",\"cu\":%" PRIu64, row->cu);
	claim_put_amount("value", row->value, out);
	buf_putf(out, ",\"state\":\"%s\",\"prepared_time\":\"%s\"", claims_state_name(row->state),
		 clock_text(row->prepared_ms, time));
	buf_putf(out, ",\"changed_time\":\"%s\"", clock_text(row->changed_ms, time));
	claim_put_height(books, "closes", row->closes, out);
	claim_put_height(books, "recorded", row->recorded, out);
	claim_put_height(books, "challenge", row->challenge, out);
	claim_put_height(books, "due", row->due, out);
	claim_put_height(books, "settled", row->settled, out);
	if (row->state == CLAIMS_FORFEITED)
		claim_put_amount("burned", row->burned, out);
	if (row->reason[0] != 0) /* a word of ours or of the registry: nothing to escape */
		buf_putf(out, ",\"reason\":\"%s\"", row->reason);
}

static int run_either(const struct verb *verb, int argc, char **argv, bool shows)
{
	struct cli_option options[] = {{.name = "config"},
				       {.name = "dir"},
				       {.name = "json", .is_flag = true},
				       {.name = "lost", .is_flag = true}};
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = NULL;
	CLEANUP(config_destroy) struct config *config = NULL;
	struct claim_books books = {0};
	struct err err;
	int n, status;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != (shows ? 1 : 0))
		return cli_usage(verb, shows ? "write: claim show CLAIM" : "write: claim list");
	config = ledger_verb_config(verb, options[0].value, NULL, &status);
	if (config == NULL)
		return status;
	reader = ledger_verb_open(options[1].value, config, &status);
	if (reader == NULL)
		return status;
	if (!claim_books_open(reader, options[1].value ? options[1].value : config->ledger.dir,
			      &books, &err))
		return cli_fail(&err);
	status = shows ? claim_show(verb, &books, argv[1], options[2].value != NULL)
		       : claim_list(&books, options[2].value != NULL, options[3].value != NULL);
	claims_close(books.claims);
	return status;
}

static int run_list(const struct verb *verb, int argc, char **argv)
{
	return run_either(verb, argc, argv, false);
}

static int run_show(const struct verb *verb, int argc, char **argv)
{
	return run_either(verb, argc, argv, true);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static const struct cli_action actions[] = {{"list", run_list}, {"show", run_show}};

	return cli_dispatch(verb, actions, ARRAY_SIZE(actions), argc, argv);
}

const struct verb verb_claim = {
	.name = "claim",
	.usage = "list [--lost] | show CLAIM",
	.summary = "what a node has claimed, was paid and has lost",
	.help = "Reads the books of a node (claims.db in ledger.dir), beside the running program\n"
		"or when it is stopped; never changes them: the node claims by itself.  Which:\n"
		"  --config FILE    those beside the ledger that a configuration names\n"
		"  --dir DIR        those in this ledger's directory\n"
		"  --json           for programs; amounts of tokens are strings\n"
		"\n"
		"claim list         every claim with its state, value and what comes next, by "
		"height\n"
		"                   and time; then the sessions that are not claimed yet\n"
		"claim list --lost  each run of units that will never be paid, with the reason\n"
		"claim show CLAIM   one claim, all its heights and records; the beginning of its "
		"id\n"
		"                   will do\n"
		"\n"
		"States: prepared (signed, on its way), recorded (the registry has it; its "
		"challenge\n"
		"is drawn later), proved (the proof is on its way), paid, forfeited (no right "
		"proof\n"
		"in time: the value and as much of the stake are gone), lost (refused for good).\n"
		"`counterfoil ledger totals' sums up; docs/operating.md, \"Income\", has the "
		"reasons.\n",
	.run = run,
};
