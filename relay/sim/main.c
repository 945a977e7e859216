/* SPDX-License-Identifier: Apache-2.0
 * counterfoil-simulate: runs a recording of a gateway again (docs/simulator.md).  Opens no
 * connection and no ledger. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/log.h"
#include "relay/sim/sim.h"

enum status { SAME = 0, DIFFERENT = 1, WRONG_USAGE = 3, FAILED = 4 };

static const char help[] =
	"usage: counterfoil-simulate [--faults FILE] [--entries FILE] RECORDING\n"
	"\n"
	"Runs a recording that a gateway wrote (gateway.record): the gateway's own code does all\n"
	"again, at the recording's times.  Says whether it did the same, or what came first that "
	"is\n"
	"not.  With faults in it, says what came of them.\n"
	"\n"
	"  --faults FILE    a script of what suppliers do instead\n"
	"  --entries FILE   write the entries of this run there: a recording itself\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 the same, or a run with faults; 1 different; 3 wrong usage; 4 a file "
	"cannot\n"
	"be read or written.  docs/simulator.md tells more.\n";

struct options {
	const char *faults;
	const char *entries;
	const char *recording;
};

static enum status usage(const char *fmt, ...) PRINTF(1, 2);

static enum status usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "counterfoil-simulate: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry `counterfoil-simulate --help'.\n");
	return WRONG_USAGE;
}

static enum status fail(const struct err *err)
{
	fprintf(stderr, "counterfoil-simulate: %s\n", err->msg);
	return FAILED;
}

/* --- files --- */

static bool read_file(const char *path, uint64_t max, struct buf *ret, struct err *err)
{
	FILE *file = fopen(path, "rb");
	size_t got;

	if (!file)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	do {
		buf_reserve(ret, 1 << 16);
		got = fread(ret->p + ret->n, 1, 1 << 16, file);
		ret->n += got;
	} while (got > 0 && ret->n <= max);
	if (ferror(file))
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	else if (ret->n > max)
		err_set(err, ERR_FORMAT, "%s: it is too large", path);
	else
		err->code = ERR_NONE;
	fclose(file);
	return err->code == ERR_NONE;
}

static bool write_file(const char *path, struct view bytes, struct err *err)
{
	FILE *file = fopen(path, "wb");
	bool fine = file && fwrite(bytes.p, 1, bytes.n, file) == bytes.n;

	if (file && fclose(file) != 0)
		fine = false;
	return fine || err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
}

/* --- what is said --- */

static void tally_text(struct view text, struct tally *ret)
{
	struct entry e = {.kind = ENTRY_TICK};
	struct err err;
	size_t used;

	for (text = VIEW(text.p + strlen(RECORD_HEAD), text.n - strlen(RECORD_HEAD));
	     entry_read(text, &e, &used, &err) && used > 0;
	     text = VIEW(text.p + used, text.n - used))
		tally_add(ret, &e);
}

static void print_tallies(const struct tally *then, const struct tally *now)
{
	const struct {
		const char *name;
		uint64_t then, now;
	} rows[] = {
		{"requests", then->requests, now->requests},
		{"answers", then->answers, now->answers},
		{"failed", then->failed, now->failed},
		{"broken off", then->broken, now->broken},
		{"of a relay", then->own, now->own},
		{"of the cache", then->hit, now->hit},
		{"shared", then->shared, now->shared},
		{"made of several", then->made, now->made},
		{"of the served head", then->head, now->head},
		{"recomputed", then->recomputed, now->recomputed},
		{"relays sent", then->sent, now->sent},
		{"retries", then->retries, now->retries},
		{"hedges", then->hedges, now->hedges},
		{"set aside", then->aside, now->aside},
	};

	printf("%-20s %12s %12s\n", "", "recorded", "this run");
	printf("%-20s %12.3f %12.3f\n", "seconds", (double)then->us / 1e6, (double)now->us / 1e6);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		printf("%-20s %12" PRIu64 " %12" PRIu64 "\n", rows[i].name, rows[i].then,
		       rows[i].now);
}

/* The first line of an entry. */
static void print_entry(const char *what, struct view text)
{
	const uint8_t *newline = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;

	printf("%s%.*s\n", what, newline ? (int)(newline - text.p) : 0, (const char *)text.p);
}

/* The input below which entry `at` stands. */
static const struct entry *input_of(const struct recording *r, size_t at)
{
	for (size_t i = MIN(at + 1, r->n); i-- > 0;) {
		if (r->entries[i].kind < ENTRY_INPUTS && i < at)
			return &r->entries[i];
	}
	return NULL;
}

static void print_difference(const struct recording *r, const struct sim *sim)
{
	const struct entry *input = input_of(r, sim->told_n);

	printf("\ndifferent at entry %zu of %zu\n", sim->told_n + 1, r->n);
	if (input)
		print_entry("  after      ", input->text);
	print_entry("  recorded   ",
		    sim->told_n < r->n ? r->entries[sim->told_n].text : VIEW_STR("nothing\n"));
	print_entry("  this run   ",
		    sim->other.n > 0 ? buf_view(&sim->other) : VIEW_STR("nothing\n"));
}

static void print_run(const struct recording *r, const struct sim *sim)
{
	struct tally then = {0}, now = {0};
	char hex[65];
	struct hash digest;

	for (size_t i = 0; i < r->n; i++)
		tally_add(&then, &r->entries[i]);
	tally_text(buf_view(&sim->entries), &now);
	print_tallies(&then, &now);
	sha256(sim->entries.p, sim->entries.n, &digest);
	hex_encode(digest.b, sizeof(digest.b), hex);
	printf("digest %s\n", hex);
	if (sim->unknown > 0)
		printf("%zu relays ask what nobody was asked: they got an error\n", sim->unknown);
	if (sim->differs)
		print_difference(r, sim);
	else if (!sim->faults)
		printf("the same, %zu entries\n", r->n);
}

/* --- the command line --- */

static bool load(const struct options *options, struct buf *text, struct buf *script,
		 struct recording *ret, struct faults *faults, struct err *err)
{
	if (!read_file(options->recording, RECORDING_BYTES_MAX, text, err))
		return false;
	if (!recording_read(buf_view(text), ret, err))
		return err_prefix(err, "%s", options->recording);
	if (!options->faults)
		return true;
	if (!read_file(options->faults, FAULTS_BYTES_MAX, script, err))
		return false;
	return faults_read(buf_view(script), faults, err) || err_prefix(err, "%s", options->faults);
}

static enum status simulate(const struct options *options)
{
	CLEANUP(buf_finish) struct buf text = {0};
	CLEANUP(buf_finish) struct buf script = {0};
	CLEANUP(recording_finish) struct recording recording = {.n = 0};
	CLEANUP(faults_finish) struct faults faults = {.n = 0};
	CLEANUP(sim_destroy) struct sim *sim = NULL;
	struct err err;

	if (!load(options, &text, &script, &recording, &faults, &err) ||
	    !sim_run(&recording, options->faults ? &faults : NULL, &sim, &err))
		return fail(&err);
	print_run(&recording, sim);
	if (options->entries && !write_file(options->entries, buf_view(&sim->entries), &err))
		return fail(&err);
	if (fflush(stdout) != 0) {
		err_set(&err, ERR_IO, "standard output: %s", strerror(errno));
		return fail(&err);
	}
	return sim->differs ? DIFFERENT : SAME;
}

int main(int argc, char **argv)
{
	struct options options = {.recording = NULL};

	log_init(LOG_LEVEL_ERROR, 2, "simulate");
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		bool faults = strcmp(word, "--faults") == 0;

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			fputs(help, stdout);
			return SAME;
		}
		if (strcmp(word, "--version") == 0) {
			puts("counterfoil-simulate " COUNTERFOIL_VERSION);
			return SAME;
		}
		if (faults || strcmp(word, "--entries") == 0) {
			if (++i == argc)
				return usage("%s needs a file", word);
			*(faults ? &options.faults : &options.entries) = argv[i];
		} else if (word[0] == '-' || options.recording) {
			return usage("unknown word %s", word);
		} else {
			options.recording = word;
		}
	}
	if (!options.recording)
		return usage("a recording is wanted");
	return simulate(&options);
}
