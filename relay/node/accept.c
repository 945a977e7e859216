/* SPDX-License-Identifier: Apache-2.0
 * Links of gateways and the sessions on them. */
#include <assert.h>
#include <inttypes.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/node/internal.h"
#include "session/budget.h"
#include "session/session.h"

void node_link_error(struct node_link *nl, uint32_t stream, uint8_t type, const struct err *err)
{
	if (!nl->link)
		return;
	frame_put_error(link_out(nl->link), stream, type, err_info(err->code)->wire, err->msg);
	link_sent(nl->link);
}

enum refusal_way node_link_refuse(struct node_link *nl)
{
	const struct node_params *p = &nl->worker->node->p;
	struct err err;

	if (clock_mono_us() - nl->second_us >= 1000000) {
		nl->second_us = clock_mono_us();
		nl->second_refusals = 0;
	}
	nl->second_refusals++;
	if (nl->second_refusals <= p->refusals_signed_max)
		return REFUSAL_SIGNED;
	if (nl->second_refusals <= p->refusals_max)
		return REFUSAL_SAID;
	if (nl->link && link_is_up(nl->link)) {
		err_set(&err, ERR_LIMIT, "%u refusals in a second", nl->second_refusals);
		link_close(nl->link, &err);
	}
	return REFUSAL_ENDS;
}

/* --- sessions --- */

static void session_destroy(struct node_link *nl, struct node_session *s)
{
	assert(s->relays == 0);
	HASH_DELETE(by_handle, nl->sessions, s);
	HASH_DELETE(by_id, nl->sessions_id, s);
	ledger_tab_close(s->tab);
	metric_move(METRIC_NODE_SESSIONS, -1);
	free(s);
}

void node_link_expire(struct node_link *nl)
{
	struct node_session *s, *next;

	flow_expire(nl);
	HASH_ITER (by_handle, nl->sessions, s, next) {
		if (s->relays == 0 && nl->worker->height >= session_gone(&s->params, s->start))
			session_destroy(nl, s);
	}
}

static const struct node_service *service_find(const struct worker *w,
					       const struct service_name *name)
{
	for (size_t i = 0; i < w->services_n; i++) {
		if (strcmp(w->services[i].name.s, name->s) == 0)
			return &w->services[i];
	}
	return NULL;
}

/* Is this a time for the session?  Asked first, so that no table is made for any other. */
static bool session_check_time(const struct worker *w, height_t start, struct err *err)
{
	const struct session_params *p = view_params(w->view, start);

	if (!session_exists(p, start))
		return err_set(err, ERR_NO_SESSION, "no session starts at height %" PRIu64, start);
	if (w->height >= session_gone(p, start))
		return err_set(err, ERR_SESSION_OVER, "the session is over since height %" PRIu64,
			       session_end(p, start));
	if (start > w->height + p->session_blocks + 1)
		return err_set(err, ERR_SESSION_OVER, "the session has not begun");
	return true;
}

/* Is the gateway entitled to this session, as the registry has it? */
static bool session_check(struct node_link *nl, const struct frame_session *in,
			  const struct session_info *info, const struct node_service *service,
			  struct err *err)
{
	const struct hash *table = method_table_hash(chain_table(service->chain));
	const struct worker *w = nl->worker;

	if (!ID_EQ(&info->id, &in->session))
		return err_set(err, ERR_NO_SESSION, "the session's id is another here");
	if (!ID_EQ(&info->method_table, &in->table) || !ID_EQ(table, &in->table))
		return err_set(err, ERR_TABLE, "the method tables of %s differ", in->service.s);
	if (!session_info_member(info, &w->self.id))
		return err_set(err, ERR_NOT_MEMBER, "this supplier is not a member");
	return true;
}

static struct node_session *session_create(struct node_link *nl, uint32_t handle,
					   const struct session_info *info,
					   const struct node_service *service, u128 allowance)
{
	const struct session_member *self = session_info_member(info, &nl->worker->self.id);
	struct node_session *s = xcalloc(1, sizeof(*s));
	struct ledger_session session = {
		.id = info->id,
		.application = info->application,
		.service = info->service,
		.start = info->start,
	};

	s->handle = handle;
	s->id = info->id;
	s->start = info->start;
	s->params = info->params;
	s->service = service;
	s->served_max = budget_cu(allowance, self->price);
	s->tab = ledger_tab_open(nl->worker->node->ledger, &session, &nl->gateway);
	HASH_ADD(by_handle, nl->sessions, handle, sizeof(s->handle), s);
	HASH_ADD(by_id, nl->sessions_id, id, sizeof(s->id), s);
	metric_move(METRIC_NODE_SESSIONS, 1);
	return s;
}

static bool session_open(struct node_link *nl, uint32_t handle, const struct frame_session *in,
			 struct err *err)
{
	const struct node_service *service = service_find(nl->worker, &in->service);
	const struct registry_view *view = nl->worker->view;
	struct session_info *info = NULL;
	struct node_session *s = NULL;
	u128 allowance = 0;
	bool ok;

	HASH_FIND(by_id, nl->sessions_id, &in->session, sizeof(in->session), s);
	if (s)
		return err_set(err, ERR_PROTOCOL, "the session is open with handle %u", s->handle);
	if (HASH_CNT(by_handle, nl->sessions) >= nl->worker->node->p.sessions_max)
		return err_set(err, ERR_LIMIT, "%u sessions are open",
			       nl->worker->node->p.sessions_max);
	if (!service)
		return err_set(err, ERR_NO_SESSION, "service %s is not offered here",
			       in->service.s);
	if (!session_check_time(nl->worker, in->start, err) ||
	    !view_session(view, &in->application, &in->service, in->start, &info, err))
		return false;
	ok = session_check(nl, in, info, service, err) &&
	     view_allowance(view, &in->application, &nl->gateway, &in->service, in->start,
			    &allowance, err);
	if (ok)
		session_create(nl, handle, info, service, allowance);
	free(info);
	return ok;
}

static bool session_on_frame(struct node_link *nl, const struct frame *f, struct err *err)
{
	struct node_session *s = NULL;
	struct frame_session in;
	struct err why;

	if (!frame_read_session(f, &in, err))
		return false;
	HASH_FIND(by_handle, nl->sessions, &f->stream, sizeof(f->stream), s);
	if (s)
		return err_set(err, ERR_PROTOCOL, "session handle %u is in use", f->stream);
	if (nl->worker->draining) {
		err_set(&why, ERR_SHUTDOWN, "the node is stopping");
		node_link_error(nl, f->stream, FRAME_SESSION, &why);
		return true;
	}
	if (!session_open(nl, f->stream, &in, &why)) {
		log_debug("node.session_refused", "gateway=%s why=\"%s\"", link_address(nl->link),
			  why.msg);
		if (node_link_refuse(nl) != REFUSAL_ENDS)
			node_link_error(nl, f->stream, FRAME_SESSION, &why);
		return true;
	}
	frame_put_session_ok(link_out(nl->link), f->stream, nl->worker->height);
	link_sent(nl->link);
	return true;
}

/* --- links --- */

/* Does any application let this gateway spend, now or soon? */
static bool gateway_is_known(const struct registry_view *view, const struct key_id *gateway)
{
	size_t n = 0;
	const struct grant_entry *grants = history_all_grants(view_history(view), &n);

	for (size_t i = 0; i < n; i++) {
		if (ID_EQ(&grants[i].gateway, gateway))
			return true;
	}
	return false;
}

static bool on_up(struct link *link, void *arg, struct err *err)
{
	struct worker *w = arg;
	const struct frame_hello *peer = link_peer(link);
	struct recovery_params recovery = {
		.link = link,
		.ledger = w->node->ledger,
		.port = w->port,
		.reader = w->reader,
		.refresh_us = RECOVERY_REFRESH_US,
	};
	struct node_link *nl;

	worker_tick(w);
	if (peer->frame_max < NODE_PEER_FRAME_MIN)
		return err_set(err, ERR_LIMIT, "frame_max %u is under %d", peer->frame_max,
			       NODE_PEER_FRAME_MIN);
	if (!gateway_is_known(w->view, &peer->key))
		return err_set(err, ERR_GRANT, "no application has granted this gateway anything");
	nl = xcalloc(1, sizeof(*nl));
	nl->worker = w;
	nl->link = link;
	nl->gateway = peer->key;
	nl->batch_max = MIN((size_t)FRAME_BATCH_BYTES_MAX, (size_t)peer->frame_max - 1024);
	nl->cosignatures = ledger_cosignatures(w->node->ledger, &peer->key);
	TAILQ_INIT(&nl->asked);
	TAILQ_INIT(&nl->ready);
	TAILQ_INIT(&nl->flowing);
	LIST_INIT(&nl->retired);
	LIST_INSERT_HEAD(&w->links, nl, entry);
	metric_move_at(METRIC_NODE_WORKER_LINKS, w->label, 0, 1);
	link_set_user(link, nl);
	nl->recovery = recovery_create(&recovery);
	log_info("node.link_up", "gateway=%s worker=%u", link_address(link), w->index);
	return true;
}

static bool on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	struct worker *w = arg;
	struct node_link *nl = link_user(link);
	struct frame_credit credit;

	worker_tick(w);
	switch (f->type) {
	case FRAME_RELAY:
		return relay_on_frame(nl, f, err);
	case FRAME_SESSION:
		return session_on_frame(nl, f, err);
	case FRAME_COSIGN:
		return settle_on_cosign(nl, f, err);
	case FRAME_LANES:
	case FRAME_FETCH:
	case FRAME_LEAVES:
		return recovery_on_frame(nl->recovery, f, err);
	case FRAME_CANCEL:
		if (!frame_read_cancel(f, err))
			return false;
		relay_on_cancel(nl, f->stream);
		return true;
	case FRAME_CREDIT:
		if (!frame_read_credit(f, &credit, err))
			return false;
		flow_on_credit(nl, f->stream, credit.bytes);
		return true;
	case FRAME_GOAWAY: /* the gateway closes when it has its answers */
	case FRAME_ERROR:
		return true;
	default:
		return err_set(err, ERR_PROTOCOL, "a gateway does not send %s",
			       frame_type_name(f->type));
	}
}

void node_link_maybe_free(struct node_link *nl)
{
	if (nl->link || nl->commits > 0)
		return;
	LIST_REMOVE(nl, entry);
	free(nl);
}

void node_link_end(struct node_link *nl)
{
	struct node_session *s, *next;
	struct relay *relay;

	while ((relay = TAILQ_FIRST(&nl->asked)))
		relay_drop(relay);
	while ((relay = TAILQ_FIRST(&nl->ready)) || (relay = TAILQ_FIRST(&nl->flowing)))
		relay_drop(relay);
	HASH_ITER (by_handle, nl->sessions, s, next)
		session_destroy(nl, s);
	recovery_destroy(nl->recovery);
	nl->recovery = NULL;
	settle_release(nl);
	if (nl->is_dirty)
		TAILQ_REMOVE(&nl->worker->dirty, nl, dirty);
	nl->is_dirty = false;
	link_destroy(nl->link);
	nl->link = NULL;
	metric_move_at(METRIC_NODE_WORKER_LINKS, nl->worker->label, 0, -1);
	node_link_maybe_free(nl);
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
{
	struct worker *w = arg;
	struct node_link *nl = link_user(link);

	worker_tick(w);
	if (nl)
		node_link_end(nl);
	else
		link_destroy(link); /* on_up refused it */
}

const struct link_callbacks node_link_callbacks = {
	.on_up = on_up,
	.on_frame = on_frame,
	.on_down = on_down,
};
