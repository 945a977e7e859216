/* SPDX-License-Identifier: Apache-2.0
 * The processes of `counterfoil up`. */
#include "relay/cli/up.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"

#define RESTART_MIN_MS 100
#define RESTART_MAX_MS 10000
#define RESTART_CALM_US 30000000 /* a child that ran this long starts anew with a short wait */
#define START_FAILURES_MAX 3	 /* ends before the network was ever ready */
#define STOP_PATIENCE_S 20	 /* from SIGTERM to SIGKILL; longer than the programs' drain */
#define LOG_MAX (8 << 20)	 /* bytes at which a log is set aside at the start */
#define EXPLAIN_BYTES 1500

/* Options that `up` decides: what the environment says of them is not for its children. */
static const char *const decided[] = {
	"COUNTERFOIL_GATEWAY_KEY",	   "COUNTERFOIL_GATEWAY_LISTEN",
	"COUNTERFOIL_GATEWAY_APPLICATION", "COUNTERFOIL_GATEWAY_SERVICE",
	"COUNTERFOIL_GATEWAY_SERVICES",	   "COUNTERFOIL_NODE_KEY",
	"COUNTERFOIL_NODE_LISTEN",	   "COUNTERFOIL_NODE_SERVICES",
	"COUNTERFOIL_REGISTRY_SOURCE",	   "COUNTERFOIL_REGISTRY_KEY",
	"COUNTERFOIL_LEDGER_DIR",	   "COUNTERFOIL_ADMIN_LISTEN",
	"COUNTERFOIL_PASSPHRASE",
};

static size_t children_n(const struct up *up)
{
	return 1 + up->nodes;
}

static int open_log(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size > LOG_MAX) {
		CLEANUP(xfree) char *old = xasprintf("%s.1", path);

		if (rename(path, old) != 0)
			return -1;
	}
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* In the child.  It dies with its parent, whatever happens to that one; it is in a group of its
 * own, so that Ctrl-C reaches the parent alone, which stops things in their order. */
static NORETURN void become(const struct up_child *child, int log, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(126);
	if (setpgid(0, 0) != 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(126);
	for (size_t i = 0; i < ARRAY_SIZE(decided); i++)
		unsetenv(decided[i]);
	execl("/proc/self/exe", "counterfoil", child->verb, "--config", child->config,
	      (char *)NULL);
	_exit(127);
}

static bool child_start(struct up_child *child, struct err *err)
{
	pid_t parent = getpid();
	int log = open_log(child->log);
	pid_t pid;

	if (log < 0)
		return err_set(err, ERR_IO, "%s: %s", child->log, strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(child, log, parent);
	close(log);
	if (pid < 0)
		return err_set(err, ERR_IO, "no process for %s: %s", child->name, strerror(errno));
	child->pid = pid;
	child->started_us = clock_now_us();
	return true;
}

static void on_restart(evutil_socket_t fd, short what, void *arg)
{
	struct up_child *child = arg;
	struct err err;

	if (!child_start(child, &err)) {
		const struct timeval later = {.tv_sec = RESTART_MAX_MS / 1000};

		fprintf(stderr, "counterfoil up: %s\n", err.msg);
		evtimer_add(child->restart, &later);
	}
}

bool up_children_start(struct up *up, struct err *err)
{
	for (size_t i = 0; i < children_n(up); i++) {
		struct up_child *child = &up->children[i];

		if (i == 0)
			snprintf(child->name, sizeof(child->name), "gateway");
		else
			snprintf(child->name, sizeof(child->name), "node%zu", i);
		child->verb = i == 0 ? "gateway" : "node";
		child->config = up_path(up, "%s.yaml", child->name);
		child->log = up_path(up, "log/%s.log", child->name);
		child->restart = evtimer_new(up->base, on_restart, child);
		if (!child->restart)
			return err_set(err, ERR_IO, "no timer for %s", child->name);
	}
	/* Nodes first: the gateway finds them listening. */
	for (size_t i = children_n(up); i-- > 0;)
		if (!child_start(&up->children[i], err))
			return false;
	return true;
}

void up_children_explain(const struct up_child *child)
{
	char text[EXPLAIN_BYTES + 1];
	int fd = open(child->log, O_RDONLY | O_CLOEXEC);
	const char *from = text;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0) {
		n = pread(fd, text, EXPLAIN_BYTES, MAX(st.st_size - EXPLAIN_BYTES, (off_t)0));
		text[MAX(n, (ssize_t)0)] = 0;
		if (st.st_size > EXPLAIN_BYTES && strchr(text, '\n'))
			from = strchr(text, '\n') + 1;
		fprintf(stderr, "the end of %s:\n%s", child->log, from);
	}
	close(fd);
}

static void print_end(const struct up_child *child, int status, unsigned wait_ms)
{
	if (WIFSIGNALED(status))
		fprintf(stderr, "counterfoil up: %s was ended by signal %d", child->name,
			WTERMSIG(status));
	else
		fprintf(stderr, "counterfoil up: %s ended with exit status %d", child->name,
			WEXITSTATUS(status));
	fprintf(stderr, "; starting it again in %u ms (log: %s)\n", wait_ms, child->log);
}

/* A child ended that should run: it starts again, later each time; one that never managed to run
 * while the network was coming up ends it all. */
static void child_ended(struct up *up, struct up_child *child, int status)
{
	unsigned wait_ms = RESTART_MAX_MS;
	struct timeval tv;

	if (clock_now_us() - child->started_us > RESTART_CALM_US)
		child->failures = 0;
	if (child->failures < 7)
		wait_ms = MIN(RESTART_MIN_MS << child->failures, RESTART_MAX_MS);
	child->failures++;
	if (!up->ready && !WIFSIGNALED(status) && child->failures >= START_FAILURES_MAX) {
		fprintf(stderr, "counterfoil up: %s does not start\n", child->name);
		up_children_explain(child);
		up->failed = true;
		up_children_stop(up);
		return;
	}
	print_end(child, status, wait_ms);
	tv = (struct timeval){wait_ms / 1000, (suseconds_t)(wait_ms % 1000) * 1000};
	evtimer_add(child->restart, &tv);
}

static bool any_runs(const struct up *up)
{
	for (size_t i = 0; i < children_n(up); i++)
		if (up->children[i].pid != 0)
			return true;
	return false;
}

static void signal_all(const struct up *up, int number, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (up->children[i].pid != 0)
			kill(up->children[i].pid, number);
}

static void on_patience_over(evutil_socket_t fd, short what, void *arg)
{
	struct up *up = arg;

	fprintf(stderr, "counterfoil up: ending what did not end by itself\n");
	signal_all(up, SIGKILL, 0, children_n(up));
}

/* The next step of stopping. */
static void stop_further(struct up *up)
{
	if (!any_runs(up)) {
		event_base_loopbreak(up->base);
		return;
	}
	if (up->stop_requests == 1 && up->children[0].pid == 0)
		signal_all(up, SIGTERM, 1, children_n(up));
}

void up_children_stop(struct up *up)
{
	const struct timeval patience = {.tv_sec = STOP_PATIENCE_S};

	for (size_t i = 0; i < children_n(up); i++)
		if (up->children[i].restart)
			evtimer_del(up->children[i].restart);
	if (++up->stop_requests == 1) {
		up->stop_timer = evtimer_new(up->base, on_patience_over, up);
		if (up->stop_timer)
			evtimer_add(up->stop_timer, &patience);
		signal_all(up, SIGTERM, 0, 1);
	} else {
		signal_all(up, SIGKILL, 0, children_n(up));
	}
	stop_further(up);
}

void up_children_reap(struct up *up)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < children_n(up); i++) {
			struct up_child *child = &up->children[i];

			if (child->pid != pid)
				continue;
			child->pid = 0;
			if (up->stop_requests == 0)
				child_ended(up, child, status);
		}
	}
	if (up->stop_requests > 0)
		stop_further(up);
}

void up_children_finish(struct up *up)
{
	signal_all(up, SIGKILL, 0, children_n(up));
	for (size_t i = 0; i < children_n(up); i++) {
		struct up_child *child = &up->children[i];

		if (child->pid != 0)
			waitpid(child->pid, NULL, 0);
		if (child->restart)
			event_free(child->restart);
		free(child->config);
		free(child->log);
	}
	if (up->stop_timer)
		event_free(up->stop_timer);
}
