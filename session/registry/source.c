/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "session/registry/store.h"

#define SQLITE_MAGIC "SQLite format 3"

struct source {
	enum { SOURCE_SQLITE, SOURCE_FILE, SOURCE_URL } kind;
	char *where;
	struct key_id key;
	struct store *store; /* SOURCE_SQLITE */
	uint64_t data_version;
	bool read_once;
	struct stat seen;	 /* SOURCE_FILE: of the last successful reading */
	struct fetch *fetch;	 /* SOURCE_URL */
	struct history *checked; /* the grants of this one are verified */
};

void source_state_finish(struct source_state *state)
{
	history_unref(state->history);
	seed_run_finish(&state->seeds);
	*state = (struct source_state){0};
}

bool source_is_url(const char *where)
{
	return strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0;
}

bool source_is_sqlite(const char *path, bool *ret, struct err *err)
{
	char head[sizeof(SQLITE_MAGIC)] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_set(err, ERR_REGISTRY, "registry %s: %s", path, strerror(errno));
	n = read(fd, head, sizeof(head) - 1);
	close(fd);
	if (n < 0)
		return err_set(err, ERR_REGISTRY, "registry %s: %s", path, strerror(errno));
	*ret = strcmp(head, SQLITE_MAGIC) == 0;
	return true;
}

static bool open_sqlite(struct source *s, const struct key_id *pinned, struct err *err)
{
	s->kind = SOURCE_SQLITE;
	if (!store_open_readonly(s->where, &s->store, err))
		return false;
	s->key = *store_key(s->store);
	if (pinned && !ID_EQ(pinned, &s->key))
		return err_set(err, ERR_REGISTRY,
			       "%s belongs to another registry key than the pinned", s->where);
	return true;
}

bool source_open(const char *where, const struct key_id *pinned, const atomic_bool *stop,
		 struct source **ret, struct err *err)
{
	CLEANUP(source_close) struct source *s = xcalloc(1, sizeof(*s));
	bool sqlite = false;

	s->where = xstrdup(where);
	s->kind = source_is_url(where) ? SOURCE_URL : SOURCE_FILE;
	if (s->kind == SOURCE_FILE && !source_is_sqlite(where, &sqlite, err))
		return false;
	if (sqlite) {
		if (!open_sqlite(s, pinned, err))
			return false;
	} else if (!pinned) {
		return err_set(err, ERR_REGISTRY, "a registry file or URL needs the registry key");
	} else {
		s->key = *pinned;
	}
	if (s->kind == SOURCE_URL)
		s->fetch = fetch_create(where, stop);
	*ret = STEAL(s);
	return true;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	store_close(s->store);
	fetch_destroy(s->fetch);
	history_unref(s->checked);
	free(s->where);
	free(s);
}

const struct key_id *source_key(const struct source *s)
{
	return &s->key;
}

msec_t source_poll_ms(const struct source *s, uint64_t block_ms)
{
	switch (s->kind) {
	case SOURCE_SQLITE:
		return (msec_t)MAX(MIN(block_ms / 4, (uint64_t)250), (uint64_t)10);
	case SOURCE_FILE:
		return 500;
	case SOURCE_URL:
		return (msec_t)MAX(MIN(block_ms / 2, (uint64_t)5000), (uint64_t)100);
	}
	return 1000;
}

static bool read_sqlite(struct source *s, height_t from, struct source_state *ret,
			bool *ret_changed, struct err *err)
{
	CLEANUP(source_state_finish) struct source_state state = {0};
	uint64_t version;

	if (!store_data_version(s->store, &version, err))
		return false;
	*ret_changed = !s->read_once || version != s->data_version;
	if (!*ret_changed)
		return true;
	if (!store_follow(s->store, from, &state.history, &state.seeds, &state.last_seed, err))
		return false;
	s->data_version = version;
	s->read_once = true;
	*ret = state;
	memset(&state, 0, sizeof(state));
	return true;
}

/* True iff the same grant stood in what was verified before. */
static bool grant_is_known(const struct history *checked, const struct grant_entry *g)
{
	const struct grant_entry *old =
		history_grant(checked, &g->application, &g->gateway, &g->service, g->height);

	return old && old->height == g->height && old->nonce == g->nonce &&
	       old->budget == g->budget && ID_EQ(&old->signature, &g->signature);
}

/* A registry file is signed as a whole; the grants in it are checked all the same, each once. */
static bool check_new_grants(struct source *s, struct history *h, struct err *err)
{
	size_t n;
	const struct grant_entry *g = history_all_grants(h, &n);

	for (size_t i = 0; i < n; i++)
		if ((!s->checked || !grant_is_known(s->checked, &g[i])) &&
		    !grant_verify(history_network(h), &g[i]))
			return err_set(err, ERR_SIGNATURE,
				       "%s: a grant is not signed by its application", s->where);
	history_unref(s->checked);
	s->checked = history_ref(h);
	return true;
}

static bool parse(struct source *s, struct view bytes, struct source_state *ret, struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export e = {0};
	height_t last;

	if (!registry_export_parse(bytes, &s->key, &e, err) || !check_new_grants(s, e.history, err))
		return err_prefix(err, "%s", s->where);
	/* Of seeds beyond the file's range it says nothing. */
	last = e.to > e.height ? e.height : e.to - (e.to > 0);
	*ret = (struct source_state){e.history, e.seeds, last};
	e.history = NULL;
	e.seeds = (struct seed_run){0};
	return true;
}

static bool read_whole(const char *path, int fd, size_t size, struct buf *out, struct err *err)
{
	buf_reserve(out, size);
	while (out->n < size) {
		ssize_t n = read(fd, out->p + out->n, size - out->n);

		if (n < 0)
			return err_set(err, ERR_REGISTRY, "registry %s: %s", path, strerror(errno));
		if (n == 0)
			break;
		out->n += (size_t)n;
	}
	return true;
}

static bool read_file(struct source *s, struct source_state *ret, bool *ret_changed,
		      struct err *err)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct stat st;
	int fd = open(s->where, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err_set(err, ERR_REGISTRY, "registry %s: %s", s->where, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	*ret_changed = !s->read_once || st.st_ino != s->seen.st_ino ||
		       st.st_size != s->seen.st_size ||
		       st.st_mtim.tv_sec != s->seen.st_mtim.tv_sec ||
		       st.st_mtim.tv_nsec != s->seen.st_mtim.tv_nsec;
	if (!*ret_changed) {
		close(fd);
		return true;
	}
	ok = st.st_size <= (off_t)EXPORT_MAX;
	if (!ok)
		err_set(err, ERR_REGISTRY, "registry %s: over %u bytes", s->where, EXPORT_MAX);
	ok = ok && read_whole(s->where, fd, (size_t)st.st_size, &bytes, err) &&
	     parse(s, buf_view(&bytes), ret, err);
	close(fd);
	if (ok) {
		s->seen = st;
		s->read_once = true;
	}
	return ok;
}

bool source_read(struct source *s, height_t from, struct source_state *ret, bool *ret_changed,
		 struct err *err)
{
	struct view body;

	switch (s->kind) {
	case SOURCE_SQLITE:
		return read_sqlite(s, from, ret, ret_changed, err);
	case SOURCE_FILE:
		return read_file(s, ret, ret_changed, err);
	case SOURCE_URL:
		if (!fetch_get(s->fetch, &body, ret_changed, err))
			return false;
		return !*ret_changed || parse(s, body, ret, err);
	}
	return err_set(err, ERR_INTERNAL, "an unknown kind of registry");
}
