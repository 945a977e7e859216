/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil status`: sessions, suppliers, rates, latencies and money of running programs, live
 * on a terminal or once. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <curl/curl.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/cli/cli.h"
#include "relay/cli/status.h"

#define GUESS_FROM 8580 /* where `up` puts its admin addresses */
#define GUESSES 10
#define ONCE_US 1000000 /* between the two looks that a rate needs */
#define EVERY_MS 2000
#define EVERY_MS_MIN 200

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = 1;
}

static void fetch_all(struct status_source *sources, size_t n)
{
	for (size_t i = 0; i < n && !stopped; i++)
		status_fetch(&sources[i]);
}

/* Waits, unless a signal or, on a terminal, `q` ends it. */
static void pause_for(usec_t span, bool keys)
{
	usec_t until = clock_now_us() + span;
	char key;

	for (usec_t now = clock_now_us(); !stopped && now < until; now = clock_now_us()) {
		struct pollfd in = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};

		if (poll(&in, 1, (int)((until - now) / 1000) + 1) > 0 &&
		    (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
			stopped = 1;
	}
}

static bool any_answered(const struct status_source *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sources[i].why.code == ERR_NONE)
			return true;
	return false;
}

static int print(struct buf *out)
{
	struct err err;

	if (fwrite(buf_cstr(out), 1, out->n, stdout) == out->n && fflush(stdout) == 0)
		return CLI_OK;
	err_set(&err, ERR_IO, "standard output: %s", strerror(errno));
	return cli_fail(&err);
}

static int show_once(struct status_source *sources, size_t n, bool json)
{
	CLEANUP(buf_finish) struct buf out = {0};
	int status;

	fetch_all(sources, n);
	if (any_answered(sources, n)) {
		pause_for(ONCE_US, false);
		fetch_all(sources, n);
	}
	if (json)
		status_show_json(sources, n, &out);
	else
		status_show(sources, n, clock_now_ms(), &out);
	status = print(&out);
	return status != CLI_OK || any_answered(sources, n) ? status : CLI_FAILED;
}

/* --- live --- */

#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* another screen, no cursor */
#define SCREEN_END "\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define LINE_REST "\033[K"
#define SCREEN_REST "\033[J"

/* As much as fits: lines cut at the screen's width, and no more of them than it has. */
static void put_screen(struct buf *text, struct buf *out)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	const char *at = buf_cstr(text);

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	buf_put_str(out, SCREEN_HOME);
	for (unsigned row = 0; *at != 0 && row + 1 < size.ws_row; row++) {
		size_t n = strcspn(at, "\n");

		buf_put(out, at, MIN(n, (size_t)size.ws_col));
		buf_put_str(out, LINE_REST "\n");
		at += n + (at[n] != 0);
	}
	buf_put_str(out, SCREEN_REST);
}

/* Keys come one by one and are not shown; signals stay. */
static bool quiet_keys(struct termios *ret_was)
{
	struct termios now;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, ret_was) != 0)
		return false;
	now = *ret_was;
	now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

static int show_live(struct status_source *sources, size_t n, uint64_t every_ms)
{
	struct termios was;
	bool keys = quiet_keys(&was);
	int status = CLI_OK;

	fputs(SCREEN_BEGIN, stdout);
	while (!stopped && status == CLI_OK) {
		CLEANUP(buf_finish) struct buf text = {0};
		CLEANUP(buf_finish) struct buf out = {0};

		fetch_all(sources, n);
		status_show(sources, n, clock_now_ms(), &text);
		put_screen(&text, &out);
		status = print(&out);
		pause_for((usec_t)every_ms * 1000, keys);
	}
	fputs(SCREEN_END, stdout);
	fflush(stdout);
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
	return status;
}

/* --- the verb --- */

/* The addresses that are named, else those at which `up` has its own. */
static size_t name_sources(const struct cli_option *option, struct status_source *ret)
{
	static char guesses[GUESSES][32];
	size_t n = MIN(option->values_n, (size_t)STATUS_SOURCES_MAX);

	for (size_t i = 0; i < n; i++) {
		const char *admin = option->values[i];

		ret[i].admin = strncmp(admin, "http://", 7) == 0 ? admin + 7 : admin;
	}
	if (n > 0)
		return n;
	for (size_t i = 0; i < GUESSES; i++) {
		snprintf(guesses[i], sizeof(guesses[i]), "127.0.0.1:%zu", GUESS_FROM + i);
		ret[i].admin = guesses[i];
		ret[i].is_guess = true;
	}
	return GUESSES;
}

static int run_with(struct status_source *sources, size_t n, const struct cli_option *options,
		    uint64_t every_ms)
{
	const struct sigaction act = {.sa_handler = on_signal};
	bool once = options[1].value != NULL, json = options[2].value != NULL;
	int status;

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (once || json || !isatty(STDOUT_FILENO))
		status = show_once(sources, n, json);
	else
		status = show_live(sources, n, every_ms);
	for (size_t i = 0; i < n; i++)
		status_source_finish(&sources[i]);
	curl_global_cleanup();
	return status;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(xfree) const char **admins = xcalloc((size_t)argc + 1, sizeof(*admins));
	struct cli_option options[] = {{.name = "admin", .repeats = true, .values = admins},
				       {.name = "once", .is_flag = true},
				       {.name = "json", .is_flag = true},
				       {.name = "every"}};
	CLEANUP(xfree)
	struct status_source *sources = xcalloc(STATUS_SOURCES_MAX, sizeof(*sources));
	uint64_t every_ms = EVERY_MS;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 0)
		return cli_usage(verb, "write: status [--admin ADDRESS]...");
	if (options[0].values_n > STATUS_SOURCES_MAX)
		return cli_usage(verb, "at most %d addresses", STATUS_SOURCES_MAX);
	if (options[3].value != NULL &&
	    (!u64_parse(options[3].value, strlen(options[3].value), &every_ms) ||
	     every_ms < EVERY_MS_MIN || every_ms > 3600000))
		return cli_usage(verb, "--every is milliseconds, %d..3600000", EVERY_MS_MIN);
	return run_with(sources, name_sources(&options[0], sources), options, every_ms);
}

const struct verb verb_status = {
	.name = "status",
	.usage = "[--admin ADDRESS]... [--once] [--json] [--every MS]",
	.summary = "sessions, suppliers, rates, latencies and money, live",
	.help = "Looks at running programs by their admin addresses, and changes nothing.  On a\n"
		"terminal it goes on until Ctrl-C or `q'; else it looks twice, a second apart, "
		"and\n"
		"prints once.\n"
		"  --admin HOST:PORT | unix:PATH\n"
		"                 admin.listen of a gateway or a node; may be given again.  "
		"Without\n"
		"                 it those of `counterfoil up': what answers on 127.0.0.1:8580 to\n"
		"                 8589\n"
		"  --once         print once, on a terminal too\n"
		"  --json         the same for programs; amounts of tokens are strings\n"
		"  --every MS     between two looks; default 2000\n"
		"\n"
		"Of a gateway: calls, latencies, each supplier's quality; each application's\n"
		"spending by session, its escrow and how long that carries its grants at the\n"
		"present rate, and what kept and shared answers saved.  Of a node: relays,\n"
		"sessions, and its income.  Exit status 1: nobody answered.\n",
	.run = run,
};
