/* SPDX-License-Identifier: Apache-2.0
 * Where a registry is read from: sqlite, a file, a URL.  For registry.c alone: one caller at a
 * time, which may be the follower thread. */
#ifndef SESSION_REGISTRY_SOURCE_H
#define SESSION_REGISTRY_SOURCE_H

#include <stdatomic.h>

#include "relay/base/bytes.h"
#include "session/history.h"

struct source;

/* What one reading gave. */
struct source_state {
	struct history *history; /* sealed, with a ref of the receiver's */
	struct seed_run seeds;	 /* at least those from the height that was asked for */
	height_t last_seed;
};

/* Frees what a read gave. */
void source_state_finish(struct source_state *state);
static inline void source_state_finish_at(struct source_state *state)
{
	source_state_finish(state);
}

/* Whether a source is a URL; else it is a path. */
bool source_is_url(const char *where);
/* Whether the file is a sqlite one.  Errors: ERR_REGISTRY when it cannot be read. */
MUST_USE bool source_is_sqlite(const char *path, bool *ret, struct err *err);

/* In: stop  when it turns true a fetch under way is given up.  Errors: as registry_open(). */
MUST_USE bool source_open(const char *where, const struct key_id *pinned, const atomic_bool *stop,
			  struct source **ret, struct err *err);
void source_close(struct source *source);
DEFINE_CLEANUP(struct source *, source_close)

/* The registry key: the pinned one, or that of the sqlite file. */
const struct key_id *source_key(const struct source *source);

/* How long to wait between two readings. */
msec_t source_poll_ms(const struct source *source, uint64_t block_ms);

/* Reads the seeds from a height on and the entries, unless nothing has changed since the last
 * successful reading; then *ret_changed is false and *ret untouched. */
MUST_USE bool source_read(struct source *source, height_t from, struct source_state *ret,
			  bool *ret_changed, struct err *err);

/* --- for source_url.c --- */
struct fetch;

/* A connection that is kept for all requests; nothing is sent yet.  The URL is copied. */
struct fetch *fetch_create(const char *url, const atomic_bool *stop);
void fetch_destroy(struct fetch *fetch);
/* Gets the URL unless its ETag is that of the last answer.  Out: ret_body borrowed until the next
 * call.  Errors: ERR_REGISTRY. */
MUST_USE bool fetch_get(struct fetch *fetch, struct view *ret_body, bool *ret_changed,
			struct err *err);

#endif
