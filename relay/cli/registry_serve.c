/* SPDX-License-Identifier: Apache-2.0
 * registry export, registry serve. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/cli/registry_args.h"
#include "relay/cli/registry_verbs.h"
#include "session/registry/keeper.h"
#include "session/registry/serve.h"
#include "session/registry/store_claims.h"

#define SERVE_LISTEN "127.0.0.1:8590"

/* Opens the registry with its key, which must be the one that the file names. */
static bool open_both(const char *path, const char *key_option, const char *passphrase_file,
		      struct store **ret_store, struct relay_key **ret_key, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	CLEANUP(xfree) char *key_path = NULL;
	const char *source;

	if (!registry_source(path, &source, err) || !registry_open_store(source, &store, err))
		return false;
	key_path = key_option ? xstrdup(key_option) : xasprintf("%s.key", source);
	if (!cli_key_load(key_path, passphrase_file, KEY_ROLE_REGISTRY, &key, err))
		return false;
	if (!ID_EQ(relay_key_public(key), store_key(store)))
		return err_set(err, ERR_KEY, "%s is not the key of this registry", key_path);
	*ret_store = STEAL(store);
	*ret_key = STEAL(key);
	return true;
}

static bool write_all(int fd, const char *name, const struct buf *b, struct err *err)
{
	for (size_t at = 0; at < b->n;) {
		ssize_t n = write(fd, b->p + at, b->n - at);

		if (n < 0 && errno != EINTR)
			return err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* A reader never sees half a file: it is written beside its place and moved there. */
static bool write_out(const char *path, const struct buf *note, struct err *err)
{
	CLEANUP(xfree) char *part = path ? xasprintf("%s.part", path) : NULL;
	bool ok;
	int fd;

	if (!path)
		return write_all(STDOUT_FILENO, "standard output", note, err);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", part, strerror(errno));
	ok = write_all(fd, part, note, err);
	if (ok && fsync(fd) != 0)
		ok = err_set(err, ERR_IO, "%s: %s", part, strerror(errno));
	close(fd);
	if (ok && rename(part, path) != 0)
		ok = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (!ok)
		unlink(part);
	return ok;
}

enum { EXPORT_KEY, EXPORT_FROM, EXPORT_TO, EXPORT_OUTPUT, EXPORT_PASSPHRASE, EXPORT_CLAIMS };

/* --from and --to, where they are given. */
static bool range_of(const struct cli_option *options, uint64_t *from, uint64_t *to,
		     struct err *err)
{
	if ((options[EXPORT_FROM].value &&
	     !registry_parse_number("--from", options[EXPORT_FROM].value, INT64_MAX, from, err)) ||
	    (options[EXPORT_TO].value &&
	     !registry_parse_number("--to", options[EXPORT_TO].value, INT64_MAX, to, err)))
		return false;
	if (*from > *to)
		return err_set(err, ERR_USAGE, "--from %" PRIu64 " is after --to %" PRIu64, *from,
			       *to);
	return true;
}

/* The claims of all heights, or of those that are given. */
static bool export_claims(const struct cli_option *options, struct store *store,
			  const struct relay_key *key, struct err *err)
{
	CLEANUP(claims_file_finish) struct claims_file file = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	uint64_t from = 0, to;
	height_t last;

	if (!store_last_seed(store, &last, err))
		return false;
	/* A claim is recorded at the height by the clock where that is ahead of the seeds. */
	to = MAX(last, session_clock_height(store_clock(store), clock_now_ms())) + 1;
	if (!range_of(options, &from, &to, err) ||
	    !store_claims_file(store, from, to, CLAIMS_FILE_MAX, &file, err))
		return false;
	claims_file_sign(&file, key, &note);
	return write_out(options[EXPORT_CLAIMS].value, &note, err);
}

static bool export(const struct cli_option *options, const char *path, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	CLEANUP(history_unref) struct history *h = NULL;
	CLEANUP(registry_export_finish) struct registry_export e = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	uint64_t from, to;
	height_t last;

	if (!open_both(path, options[EXPORT_KEY].value, options[EXPORT_PASSPHRASE].value, &store,
		       &key, err) ||
	    !store_last_seed(store, &last, err) || !registry_read(store, &h, err))
		return false;
	if (options[EXPORT_CLAIMS].value)
		return export_claims(options, store, key, err);
	from = history_seeds_from(h, last);
	to = last + 1;
	if (!range_of(options, &from, &to, err))
		return false;
	if (!store_export(store, from, to, &e, err))
		return false;
	registry_export_sign(&e, key, &note);
	return write_out(options[EXPORT_OUTPUT].value, &note, err);
}

int registry_run_export(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {
		[EXPORT_KEY] = {.name = "key"},
		[EXPORT_FROM] = {.name = "from"},
		[EXPORT_TO] = {.name = "to"},
		[EXPORT_OUTPUT] = {.name = "output"},
		[EXPORT_PASSPHRASE] = {.name = "passphrase-file"},
		[EXPORT_CLAIMS] = {.name = "claims"},
	};
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n > 1)
		return cli_usage(verb, "write: registry export [FILE]");
	if (options[EXPORT_CLAIMS].value && options[EXPORT_OUTPUT].value)
		return cli_usage(verb, "--claims and --output are two files: ask for one");
	return export(options, n == 1 ? argv[1] : NULL, &err) ? CLI_OK : cli_fail(&err);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	event_base_loopbreak(arg);
}

/* Runs until SIGINT or SIGTERM. */
static bool serve_until_stopped(struct event_base *base, struct err *err)
{
	struct event *stop[2] = {evsignal_new(base, SIGINT, on_signal, base),
				 evsignal_new(base, SIGTERM, on_signal, base)};
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(stop); i++)
		ok = ok && stop[i] && event_add(stop[i], NULL) == 0;
	if (!ok)
		err_set(err, ERR_IO, "no signals");
	else
		event_base_dispatch(base);
	for (size_t i = 0; i < ARRAY_SIZE(stop); i++)
		if (stop[i])
			event_free(stop[i]);
	return ok;
}

static bool serve(struct event_base *base, struct store *store, const struct relay_key *key,
		  const struct config_address *listen, struct err *err)
{
	CLEANUP(registry_server_destroy) struct registry_server *server = NULL;
	CLEANUP(registry_keeper_destroy) struct registry_keeper *keeper = NULL;
	char hex[65];

	if (!listen->host)
		return err_set(err, ERR_USAGE, "--listen: HOST:PORT");
	if (!registry_keeper_create(base, store, &keeper, err) ||
	    !registry_server_create(base, store, key, listen->host, listen->port,
				    &registry_server_limits, &server, err))
		return false;
	printf("registry at http://%s%s%s:%u/ key %s\n", strchr(listen->host, ':') ? "[" : "",
	       listen->host, strchr(listen->host, ':') ? "]" : "", registry_server_port(server),
	       hex_encode(store_key(store)->b, 32, hex));
	fflush(stdout);
	return serve_until_stopped(base, err);
}

int registry_run_serve(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	CLEANUP(xfree) char *memory = NULL;
	struct cli_option options[] = {
		{.name = "key"}, {.name = "listen"}, {.name = "passphrase-file"}};
	struct config_address listen;
	struct event_base *base;
	struct err err;
	bool ok;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n > 1)
		return cli_usage(verb, "write: registry serve [FILE]");
	log_init(LOG_LEVEL_INFO, STDERR_FILENO, "registry");
	if (!config_address_parse(options[1].value ? options[1].value : SERVE_LISTEN, &listen,
				  &memory, &err) ||
	    !open_both(n == 1 ? argv[1] : NULL, options[0].value, options[2].value, &store, &key,
		       &err))
		return cli_fail(&err);
	base = event_base_new();
	ok = base ? serve(base, store, key, &listen, &err) : err_set(&err, ERR_IO, "no event loop");
	if (base)
		event_base_free(base);
	return ok ? CLI_OK : cli_fail(&err);
}
