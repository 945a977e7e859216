/* SPDX-License-Identifier: Apache-2.0
 * The registry as gateways, nodes and auditors see it: one interface over a sqlite file, a signed
 * export in a file, or one behind a URL ([Y1], [Y2]).
 *
 * registry_open() reads once and starts a follower thread, which polls and publishes immutable,
 * counted views.  An event loop takes the current view without blocking, computes the height from
 * its own clock, and derives sessions from it; the stake tables in it were built by the follower,
 * once a service and snapshot however many applications there are.  When the source is out of reach
 * the last view stays: sessions that it can derive go on, later ones are ERR_REGISTRY_STALE
 * ([S11]).
 *
 * Not here: writing (store.h, for the keeper of a sqlite registry only), the export's form
 * (export.h). */
#ifndef SESSION_REGISTRY_REGISTRY_H
#define SESSION_REGISTRY_REGISTRY_H

#include "session/draw.h"
#include "session/history.h"

struct registry;
struct registry_view;

#define REGISTRY_FILE_MAX (64u << 20) /* bytes of an export that is read */
#define REGISTRY_FETCH_MS 10000	      /* a URL's answer is complete by then */

/* Opens a registry for reading.
 *
 * In:     source   "http://..." or "https://...": fetched, no redirects; else a path: a sqlite
 *                  registry or an export, told apart by their first bytes
 *         pinned   the registry key that signs exports; needed for a file or URL; for a sqlite
 *                  registry NULL, or compared with its own key
 * Out:    ret      a registry with a view, owned by the caller until registry_close()
 * Errors: ERR_REGISTRY (unreachable, not a registry, no pinned key), ERR_SIGNATURE, ERR_NOTE,
 *         ERR_FORMAT, ERR_RANGE, ERR_IO.
 */
MUST_USE bool registry_open(const char *source, const struct key_id *pinned, struct registry **ret,
			    struct err *err);
/* Stops the follower and frees; views that are still held stay valid. */
void registry_close(struct registry *registry);
DEFINE_CLEANUP(struct registry *, registry_close)

/* The current view with a ref of the caller's.  Never blocks on IO; never NULL. */
struct registry_view *registry_view_take(struct registry *registry);
struct registry_view *registry_view_ref(struct registry_view *view);
void registry_view_unref(struct registry_view *view);
DEFINE_CLEANUP(struct registry_view *, registry_view_unref)

/* A descriptor that turns readable (eventfd semantics) whenever a view was published; for one
 * reader.  Other threads may simply take the view once a second.  Owned by the registry. */
int registry_notify_fd(struct registry *registry);

/* How the follower fares, for health pages and metrics. */
struct registry_status {
	msec_t last_ok_ms; /* POSIX; of the last successful read */
	uint64_t reads;
	uint64_t failures;     /* since open */
	struct err last_error; /* ERR_NONE when the last read succeeded */
};
void registry_status(struct registry *registry, struct registry_status *ret);

/* --- a view --- */
const struct network_id *view_network(const struct registry_view *view);
const struct key_id *view_registry_key(const struct registry_view *view);
const struct session_clock *view_clock(const struct registry_view *view);
const struct history *view_history(const struct registry_view *view);
const struct seed_run *view_seeds(const struct registry_view *view);
/* The largest height whose seed the view holds. */
height_t view_last_seed(const struct registry_view *view);
/* Grows by one with each view that a registry publishes: "has anything changed?" is !=. */
uint64_t view_serial(const struct registry_view *view);
/* Height at a wall time, by the view's clock. */
height_t view_height(const struct registry_view *view, msec_t wall_ms);
/* The parameters of the session with this start (those of its snapshot); those of height 0 for a
 * start that does not exist. */
const struct session_params *view_params(const struct registry_view *view, height_t start);
/* start of the session that spans a height.  session_blocks is fixed: any height will do. */
height_t view_start(const struct registry_view *view, height_t height);

struct session_member {
	struct key_id key;
	struct owner_id owner;
	uint64_t weight;		 /* in the draw */
	uint64_t price;			 /* token units per CU */
	char endpoint[ENDPOINT_MAX + 1]; /* "host:port" or "unix:/path" */
};

/* A session, complete in itself: it holds no ref of the view. */
struct session_info {
	struct session_id id;
	struct key_id application;
	struct service_name service;
	height_t start;
	struct session_params params; /* of the snapshot */
	struct hash method_table;     /* SHA-256 of the service's method table ([M2]) */
	struct seed seed;
	uint64_t total; /* T of the table */
	size_t n;
	struct session_member members[]; /* in the order of drawing */
};

/* Derives the session of an application.
 *
 * Whether the application exists, and whether a gateway's grant is active, is view_allowance()'s
 * matter: a session is derived for any key.
 *
 * Out:    ret     freed with free()
 * Errors: ERR_NO_SESSION (no such start, service or supplier, or the keeper was down when its seed
 *         was due), ERR_REGISTRY_STALE (the seed is not known yet).
 * Cost:   the draw; the table is built once a service and start, usually by the follower already.
 */
MUST_USE bool view_session(const struct registry_view *view, const struct key_id *application,
			   const struct service_name *service, height_t start,
			   struct session_info **ret, struct err *err);

/* The member with this key, or NULL. */
const struct session_member *session_info_member(const struct session_info *s,
						 const struct key_id *key);

/* The allowance for each supplier of the session under the gateway's grant; as history_allowance(),
 * and ERR_REGISTRY_STALE like view_session(). */
MUST_USE bool view_allowance(const struct registry_view *view, const struct key_id *application,
			     const struct key_id *gateway, const struct service_name *service,
			     height_t start, u128 *ret, struct err *err);

/* The stake table of a service for a start, built now if need be; borrowed from the view. */
MUST_USE bool view_table(const struct registry_view *view, const struct service_name *service,
			 height_t start, const struct stake_table **ret, struct err *err);

#endif
