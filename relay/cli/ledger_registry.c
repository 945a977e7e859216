/* SPDX-License-Identifier: Apache-2.0
 * The registry file of an export: copied from a file, fetched from a URL, or written anew from the
 * sqlite registry when its key is at hand. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/cli/ledger_verbs.h"
#include "session/registry/source.h"
#include "session/registry/store.h"

#define SQLITE_MAGIC "SQLite format 3"

void export_registry_finish(struct export_registry *registry)
{
	buf_finish(&registry->note);
	history_unref(registry->history);
	*registry = (struct export_registry){0};
}

static bool read_file(const char *path, struct buf *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	while (n > 0 && ret->n <= EXPORT_MAX) {
		buf_reserve(ret, 1 << 16);
		n = read(fd, ret->p + ret->n, 1 << 16);
		ret->n += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return n == 0 || err_set(err, ERR_IO, "%s: %s", path,
				 n < 0 ? strerror(errno) : "is too large for a registry file");
}

static bool is_sqlite(const char *path, bool *ret, struct err *err)
{
	char magic[sizeof(SQLITE_MAGIC)];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	*ret = read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, SQLITE_MAGIC, sizeof(magic)) == 0;
	close(fd);
	return true;
}

/* First height whose seed or snapshot a session from `from` on needs. */
static height_t needed_from(const struct history *h, height_t from)
{
	uint64_t lag = history_params(h, 0)->snapshot_lag;

	return from > lag ? from - lag : 0;
}

static bool sign_sqlite(struct store *store, const char *key_file, height_t from, struct buf *note,
			struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export e = {0};
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	height_t last;

	if (!cli_key_load(key_file, NULL, KEY_ROLE_REGISTRY, &key, err))
		return false;
	if (!ID_EQ(relay_key_public(key), store_key(store)))
		return err_set(err, ERR_KEY, "%s is not the key of this registry", key_file);
	if (!store_last_seed(store, &last, err) ||
	    !store_export(store, MIN(from, last + 1), last + 1, &e, err))
		return false;
	registry_export_sign(&e, key, note);
	return true;
}

static bool read_sqlite(const char *source, const char *key_option, height_t from,
			struct export_registry *ret, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(xfree)
	char *key_file = key_option ? xstrdup(key_option) : xasprintf("%s.key", source);

	if (!store_open_readonly(source, &store, err) || !store_history(store, &ret->history, err))
		return false;
	ret->network = *store_network(store);
	if (!sign_sqlite(store, key_file, needed_from(ret->history, from), &ret->note, &ret->why))
		ret->note.n = 0;
	return true;
}

/* A note as it came: its own bytes are exported, its content is what we learn from. */
static bool take_note(const char *source, const struct config_key *pinned, height_t from,
		      struct export_registry *ret, struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export e = {0};

	if (!pinned->is_set)
		return err_set(err, ERR_REGISTRY, "registry.key must be set for %s", source);
	if (!registry_export_parse(buf_view(&ret->note), &pinned->id, &e, err))
		return err_prefix(err, "%s", source);
	ret->history = history_ref(e.history);
	ret->network = *history_network(e.history);
	if (e.from > needed_from(e.history, from))
		err_set(&ret->why, ERR_REGISTRY,
			"%s has seeds from height %" PRIu64 " on; older sessions need earlier ones",
			source, e.from);
	return true;
}

static bool read_url(const char *url, height_t from, struct buf *ret, struct err *err)
{
	CLEANUP(xfree) char *with_range = NULL;
	static const atomic_bool never;
	const char *path = strstr(url, "://");
	struct fetch *fetch;
	struct view body;
	bool changed, ok;

	path = path ? strchr(path + 3, '/') : NULL;
	/* To the end of what is known: the server cuts the range to its own last height. */
	with_range = xasprintf("%s%s%sfrom=%" PRIu64 "&to=%" PRIu64, url, path ? "" : "/",
			       strchr(url, '?') ? "&" : "?", from, from + EXPORT_SEEDS_MAX);
	fetch = fetch_create(with_range, &never);
	ok = fetch_get(fetch, &body, &changed, err);
	if (ok)
		buf_put(ret, body.p, body.n);
	fetch_destroy(fetch);
	return ok;
}

bool export_registry_read(const char *source, const struct config_key *pinned, const char *key_file,
			  height_t from, struct export_registry *ret, struct err *err)
{
	bool sqlite = false, ok;

	*ret = (struct export_registry){0};
	if (strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0)
		/* Snapshots lie before sessions; 4096 heights are more than any lag in use. */
		ok = read_url(source, from > 4096 ? from - 4096 : 0, &ret->note, err) &&
		     take_note(source, pinned, from, ret, err);
	else if (!is_sqlite(source, &sqlite, err))
		ok = false;
	else if (sqlite)
		ok = read_sqlite(source, key_file, from, ret, err);
	else
		ok = read_file(source, &ret->note, err) &&
		     take_note(source, pinned, from, ret, err);
	if (!ok)
		export_registry_finish(ret);
	return ok;
}
