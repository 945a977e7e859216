/* SPDX-License-Identifier: Apache-2.0
 * What the gateway's code has around it, as far as it calls it, under its own names: links, the
 * ledger, clients' connections and the loop of a run.  Linked in place of relay/link, relay/ledger,
 * the follower of session/registry, and of what in relay/gateway is not gateway_core.
 *
 * Links carry frames to world.c.  The ledger has room for all, but where it had none in the
 * recording.  With a script clients read at once. */
#include "relay/sim/sim.h"

#include "relay/gateway/source.h"

#define KEY_TEXT ((size_t)64) /* hex digits of a key */

/* --- links --- */

void pool_params_default(struct pool_params *ret)
{
	*ret = (struct pool_params){.grace_us = 0};
}

struct pool *pool_create(struct event_base *base, struct tls *tls, const struct link_self *self,
			 const struct pool_params *params, const struct link_callbacks *cbs,
			 void *arg)
{
	struct pool *pool = &sim_of_thread()->pool;

	pool->cbs = cbs;
	pool->arg = arg;
	return pool;
}

void pool_destroy(struct pool *pool)
{
}

void pool_set_wanted(struct pool *pool, const struct pool_target *targets, size_t count)
{
}

size_t pool_up_count(const struct pool *pool)
{
	const struct link *link;
	size_t n = 0;

	LIST_FOREACH (link, &pool->sim->links, all)
		n += link->up;
	return n;
}

struct buf *link_out(struct link *link)
{
	return &link->out;
}

void link_sent(struct link *link)
{
	struct view left = buf_view(&link->out);
	struct frame frame;
	struct err err;
	size_t used;

	while (link->up && frame_scan(left, UINT32_MAX, &frame, &used, &err) == FRAME_SCAN_ONE) {
		sim_on_frame(link, &frame);
		left = VIEW(left.p + used, left.n - used);
	}
	link->out.n = 0;
}

void link_flush(struct link *link)
{
}

void link_hold(struct link *link, bool hold)
{
}

void link_goaway(struct link *link, enum err_code why, uint32_t drain_ms)
{
}

bool link_is_up(const struct link *link)
{
	return link->up;
}

const struct frame_hello *link_peer(const struct link *link)
{
	return &link->hello;
}

const char *link_address(const struct link *link)
{
	return "-";
}

struct recovery *recovery_create(const struct recovery_params *params)
{
	return NULL;
}

void recovery_destroy(struct recovery *recovery)
{
}

bool recovery_on_frame(struct recovery *recovery, const struct frame *frame, struct err *err)
{
	return true;
}

bool lane_on_batch(struct peer *peer, const struct frame *frame, struct err *err)
{
	return true;
}

void lanes_release(struct peer *peer)
{
}

void lane_cosign(struct lane *lane)
{
}

/* --- the registry --- */

struct registry_view *registry_view_take(struct registry *registry)
{
	return registry_view_ref(registry->view);
}

/* --- the ledger --- */

struct ledger_tab {
	struct key_id peer;
};

bool ledger_is_full(const struct ledger *ledger)
{
	return sim_read(sim_of_thread(), ENTRY_FULL) != NULL;
}

bool ledger_is_busy(const struct ledger *ledger)
{
	return false;
}

void ledger_drain(struct ledger *ledger)
{
}

uint32_t ledger_cosignatures(struct ledger *ledger, const struct key_id *peer)
{
	return 0;
}

/* With a script, what the ledger said last. */
static const struct entry *find_owed(const struct sim *sim)
{
	const struct recording *r = sim->recording;
	const struct entry *found = NULL;

	if (!sim->faults)
		return sim_read(sim, ENTRY_OWED);
	for (size_t i = 0; i < r->n && r->entries[i].at_us <= sim->now_us; i++) {
		if (r->entries[i].kind == ENTRY_OWED)
			found = &r->entries[i];
	}
	return found;
}

size_t ledger_unclosed_peers(struct ledger *ledger, struct key_id *ret, size_t max)
{
	const struct entry *e = find_owed(sim_of_thread());
	struct view left = e ? e->payload : VIEW(NULL, 0);
	size_t n = 0;

	while (left.n > KEY_TEXT && n < max &&
	       hex_decode((const char *)left.p, KEY_TEXT, ret[n].b, sizeof(ret[n].b))) {
		left = VIEW(left.p + KEY_TEXT + 1, left.n - KEY_TEXT - 1);
		n++;
	}
	return n;
}

struct ledger_tab *ledger_tab_open(struct ledger *ledger, const struct ledger_session *session,
				   const struct key_id *peer)
{
	struct ledger_tab *tab = xcalloc(1, sizeof(*tab));

	tab->peer = *peer;
	return tab;
}

void ledger_tab_close(struct ledger_tab *tab)
{
	free(tab);
}

enum ledger_room ledger_tab_reserve(struct ledger_tab *tab, cu_t cu, cu_t unpaid_max,
				    cu_t served_max)
{
	const struct entry *e = sim_read(sim_of_thread(), ENTRY_NO_ROOM);

	if (!e || memcmp(e->key, tab->peer.b, sizeof(e->key)) != 0)
		return LEDGER_ROOM;
	return view_eq(e->word[1], VIEW_STR(err_info(ERR_UNPAID)->name)) ? LEDGER_ROOM_UNPAID
									 : LEDGER_ROOM_ALLOWANCE;
}

void ledger_tab_release(struct ledger_tab *tab, cu_t cu)
{
}

struct ledger_port *ledger_port_create(struct ledger *ledger)
{
	return NULL;
}

void ledger_port_destroy(struct ledger_port *port)
{
}

size_t ledger_port_reap(struct ledger_port *port)
{
	return 0;
}

bool ledger_reader_open(const char *dir, struct ledger_reader **ret, struct err *err)
{
	*ret = NULL;
	return true;
}

void ledger_reader_close(struct ledger_reader *reader)
{
}

/* --- clients --- */

static struct connection *connection_of(const struct evhttp_request *http)
{
	struct connection *c;

	LIST_FOREACH (c, &sim_of_thread()->connections, all) {
		if (c->http == http)
			break;
	}
	return c;
}

/* Its request is over, and nothing more comes on it. */
static void end_connection(struct evhttp_request *http)
{
	struct connection *c = connection_of(http);

	LIST_REMOVE(c, all);
	evhttp_request_free(http);
	free(c);
}

bool http_open(struct worker *w, struct err *err)
{
	return true;
}

void http_stop(struct worker *w)
{
}

void http_finish(struct worker *w)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&w->requests); r; r = next) {
		struct evhttp_request *http = r->http;

		next = TAILQ_NEXT(r, all);
		for (size_t i = 0; i < r->count; i++)
			call_abandon(&r->calls[i]);
		request_destroy(r);
		end_connection(http);
	}
}

void http_read_on(struct evhttp_request *http)
{
}

/* The connection stays until the request that was on it has gone too. */
void http_lost(struct evhttp_request *http)
{
}

bool http_is_plain(struct evhttp_request *http)
{
	return false;
}

void http_reply_plain(struct evhttp_request *http, const struct iovec parts[2])
{
}

void http_reply(struct evhttp_request *http, int status, const char *text, struct evbuffer *body)
{
	end_connection(http);
}

void http_begin(struct evhttp_request *http, int status, const char *text)
{
}

void http_more(struct evhttp_request *http, struct evbuffer *more,
	       void (*on_drained)(struct evhttp_connection *, void *), void *arg)
{
	evbuffer_drain(more, evbuffer_get_length(more));
}

void http_end(struct evhttp_request *http)
{
	end_connection(http);
}

void http_cut(struct evhttp_request *http)
{
}

/* As it was, clients took what they took: all of it is known only where it was seen to be so. */
size_t http_waiting(struct evhttp_request *http)
{
	struct sim *sim = sim_of_thread();
	const struct entry *e = sim_read(sim, ENTRY_STALLED);
	const struct request *r = TAILQ_FIRST(&sim->worker->requests);

	while (e && r && r->number != e->number[0])
		r = TAILQ_NEXT(r, all);
	return !sim->faults && (!e || !r || r->http != http);
}

void client_on_gone(struct client *client, void (*on_gone)(void *arg), void *arg)
{
	client->on_gone = on_gone;
	client->arg = arg;
}

void client_set_hot(struct client *client, bool hot)
{
}

bool client_send(struct client *client, const struct iovec *parts, size_t count)
{
	return false;
}

/* The last that a request whose client went away says of it. */
void client_give_calls(struct client *client)
{
	struct connection *c = CONTAINER_OF(client, struct connection, client);

	if (client->on_gone)
		end_connection(c->http);
}

/* The clock was read again for it. */
static void set_time_of_gone(struct sim *sim, const struct request *r)
{
	const struct recording *rec = sim->recording;

	for (size_t i = 0; i < rec->n; i++) {
		const struct entry *e = &rec->entries[i];

		if (e->kind == ENTRY_GONE && e->number[0] == r->number && e->at_us > sim->now_us)
			sim_set_time(sim, e->at_us, e->wall_ms - e->at_us / 1000);
	}
}

void client_close(struct client *client, enum client_end end)
{
	struct sim *sim = sim_of_thread();

	if (!client->on_gone)
		return;
	if (!sim->faults)
		set_time_of_gone(sim, client->arg);
	client->on_gone(client->arg);
}

uint64_t source_address_key(const struct source *source)
{
	return source->number;
}

size_t gateway_connections(const struct gateway *gateway)
{
	return 0;
}

/* --- the loop --- */

bool loop_open(struct worker *w, struct err *err)
{
	return true;
}

void loop_begin(struct worker *w)
{
}

void loop_close(struct worker *w)
{
}

void loop_end(struct worker *w)
{
}
