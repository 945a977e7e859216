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
#include "session/session.h"

#define SQLITE_MAGIC "SQLite format 3"

/* Leaves that were adopted may be of sessions this much older than the oldest that is known. */
#define SESSIONS_BACK 10

void export_registry_finish(struct export_registry *registry)
{
	buf_finish(&registry->note);
	registry_export_finish(&registry->said);
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

/* First height whose seed a session from `from` on needs; `end`: the first without a seed. */
static height_t needed_from(const struct history *h, height_t from, height_t end)
{
	const struct session_params *p = history_params(h, 0);
	uint64_t back = p->snapshot_lag + SESSIONS_BACK * p->session_blocks;

	from = MIN(from, end);
	return from > back ? from - back : 0;
}

static bool sign_note(const struct store *store, const char *key_file,
		      const struct registry_export *said, struct buf *note, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;

	if (!cli_key_load(key_file, NULL, KEY_ROLE_REGISTRY, &key, err))
		return false;
	if (!ID_EQ(relay_key_public(key), store_key(store)))
		return err_set(err, ERR_KEY, "%s is not the key of this registry", key_file);
	registry_export_sign(said, key, note);
	return true;
}

/* SOURCE.key, where `registry init` and `up` put it, or registry.key beside SOURCE when only that
 * is there. */
static char *find_key(const char *source)
{
	const char *slash = strrchr(source, '/');
	int dir = slash ? (int)(slash - source) + 1 : 0;
	CLEANUP(xfree) char *own = xasprintf("%s.key", source);
	CLEANUP(xfree) char *beside = xasprintf("%.*sregistry.key", dir, source);

	if (access(own, F_OK) != 0 && access(beside, F_OK) == 0)
		return STEAL(beside);
	return STEAL(own);
}

static bool read_sqlite(const char *source, const char *key_option, height_t from,
			struct export_registry *ret, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(history_unref) struct history *history = NULL;
	CLEANUP(xfree)
	char *key_file = key_option ? xstrdup(key_option) : find_key(source);
	height_t last;

	if (!store_open_readonly(source, &store, err) || !store_history(store, &history, err) ||
	    !store_last_seed(store, &last, err) ||
	    !store_export(store, needed_from(history, from, last + 1), last + 1, &ret->said, err))
		return false;
	ret->network = *store_network(store);
	if (!sign_note(store, key_file, &ret->said, &ret->note, &ret->why))
		ret->note.n = 0;
	return true;
}

/* A note as it came: its own bytes are exported, its content is what we learn from. */
static bool take_note(const char *source, const struct config_key *pinned, height_t from,
		      struct export_registry *ret, struct err *err)
{
	const struct registry_export *said = &ret->said;

	if (!pinned->is_set)
		return err_set(err, ERR_REGISTRY, "registry.key must be set for %s", source);
	if (!registry_export_parse(buf_view(&ret->note), &pinned->id, &ret->said, err))
		return err_prefix(err, "%s", source);
	ret->network = *history_network(said->history);
	if (from != UINT64_MAX && session_exists(history_params(said->history, 0), from) &&
	    said->from > session_seed_height(history_params(said->history, 0), from))
		err_set(&ret->why, ERR_REGISTRY,
			"%s has seeds from height %" PRIu64 " on; older sessions need earlier ones",
			source, said->from);
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
	with_range = from == UINT64_MAX ? xstrdup(url)
					: xasprintf("%s%s%sfrom=%" PRIu64 "&to=%" PRIu64, url,
						    path ? "" : "/", strchr(url, '?') ? "&" : "?",
						    from, from + EXPORT_SEEDS_MAX);
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
		/* The lags are known only afterwards: 4096 heights are more than any in use. */
		ok = read_url(source,
			      from == UINT64_MAX ? from
			      : from > 4096	 ? from - 4096
						 : 0,
			      &ret->note, err) &&
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

static bool session_at(const struct export_registry *registry, const struct session_id *id,
		       height_t start, struct ledger_session *ret)
{
	const struct history *h = registry->said.history;
	const struct session_params *p = history_params(h, 0);
	size_t applications_n, services_n;
	const struct application_entry *apps = history_all_applications(h, &applications_n);
	const struct service_entry *services = history_all_services(h, &services_n);
	const struct seed *seed;

	if (!session_exists(p, start))
		return false;
	seed = seed_run_find(&registry->said.seeds, session_seed_height(p, start));
	for (size_t i = 0; seed != NULL && i < applications_n; i++)
		for (size_t k = 0; k < services_n; k++) {
			struct session_id derived = session_id_derive(
				&registry->network, &apps[i].key, &services[k].name, start, seed);

			if (!ID_EQ(&derived, id))
				continue;
			*ret = (struct ledger_session){.id = *id,
						       .application = apps[i].key,
						       .service = services[k].name,
						       .start = start};
			return true;
		}
	return false;
}

bool export_registry_session(const struct export_registry *registry, const struct session_id *id,
			     msec_t time_ms, struct ledger_session *ret)
{
	const struct history *h = registry->said.history;
	const struct session_params *p = history_params(h, 0);
	height_t start = session_start(p, session_clock_height(history_clock(h), time_ms));

	return session_at(registry, id, start, ret) ||
	       (start >= p->session_blocks &&
		session_at(registry, id, start - p->session_blocks, ret)) ||
	       session_at(registry, id, start + p->session_blocks, ret);
}
