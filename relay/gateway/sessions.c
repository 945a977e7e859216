/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/internal.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/log.h"
#include "session/budget.h"

#define PREPARE_MAX                                                                                \
	64 /* sessions derived ahead in one tick, so that calls need not wait for it               \
	    */

/* --- suppliers --- */

struct supplier *supplier_find(struct worker *w, const struct key_id *key)
{
	struct supplier *s;

	HASH_FIND(hh, w->suppliers, key, sizeof(*key), s);
	return s;
}

struct supplier *supplier_ref(struct worker *w, const struct key_id *key)
{
	struct supplier *s = supplier_find(w, key);

	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->key = *key;
		s->moved_us = clock_mono_us();
		hex_encode(key->b, sizeof(key->b), s->hex);
		s->label = metrics_label(METRIC_LABEL_SUPPLIER, s->hex);
		HASH_ADD(hh, w->suppliers, key, sizeof(s->key), s);
	}
	s->refs++;
	return s;
}

/* A peer that is still there keeps its supplier: peers hold a ref too. */
void supplier_unref(struct worker *w, struct supplier *s)
{
	assert(s->refs > 0);
	if (--s->refs > 0)
		return;
	HASH_DEL(w->suppliers, s);
	free(s);
}

/* --- members --- */

const struct session_member *member_info(const struct member *member)
{
	return &member->session->info->members[member - member->session->members];
}

bool member_is_ready(const struct member *member)
{
	return member->state == MEMBER_READY && member->peer == member->supplier->peer &&
	       !member->peer->draining && member->supplier->rests_until_us <= clock_mono_us() &&
	       member->peer->count < link_peer(member->peer->link)->in_flight_max;
}

void member_forget(struct member *member)
{
	if (member->state != MEMBER_IDLE)
		HASH_DEL(member->peer->members, member);
	member->state = MEMBER_IDLE;
	member->peer = NULL;
}

void member_name(struct member *member)
{
	const struct session_info *info = member->session->info;
	struct peer *peer = member->supplier->peer;
	struct frame_session frame;

	if (!peer || peer->draining || member->dropped)
		return;
	if (member->state != MEMBER_IDLE && member->peer == peer &&
	    (member->state != MEMBER_REFUSED || clock_mono_us() < member->again_us))
		return;
	member_forget(member);
	frame = (struct frame_session){
		.session = info->id,
		.application = info->application,
		.service = info->service,
		.start = info->start,
		.table = info->method_table,
	};
	member->peer = peer;
	member->handle = ++peer->next_handle;
	member->state = MEMBER_NAMED;
	HASH_ADD(hh, peer->members, handle, sizeof(member->handle), member);
	record_named(member);
	frame_put_session(link_out(peer->link), member->handle, &frame);
	link_sent(peer->link);
}

/* --- sessions --- */

struct session *session_ref(struct session *session)
{
	session->refs++;
	return session;
}

void session_unref(struct worker *w, struct session *session)
{
	if (!session || --session->refs > 0)
		return;
	for (size_t i = 0; i < session->count; i++) {
		struct member *m = &session->members[i];

		member_forget(m);
		ledger_tab_close(m->tab);
		standing_unref(m->standing, clock_mono_us());
		wanted_unref(w, m->supplier);
	}
	free(session->info);
	free(session);
	metric_move(METRIC_GATEWAY_SESSIONS, -1);
}

static void member_init(struct worker *w, struct session *s, size_t i, u128 allowance)
{
	const struct session_member *from = &s->info->members[i];
	struct ledger_session session = {
		.id = s->info->id,
		.application = s->info->application,
		.service = s->info->service,
		.start = s->info->start,
	};

	s->members[i] = (struct member){
		.session = s,
		.supplier = wanted_ref(w, from, s->info->start),
		.standing = quality_standing(w, s->serving, &from->key),
		.tab = ledger_tab_open(w->gateway->ledger, &session, &from->key),
		.served_max = budget_cu(allowance, from->price),
	};
}

/* Derives the session of an account with this start, with one ref. */
static bool session_derive(struct worker *w, const struct account *account, height_t start,
			   struct session **ret, struct err *err)
{
	const struct account_key *key = &account->key;
	struct session_info *info = NULL;
	const struct chain *chain;
	struct session *s;
	u128 allowance;

	if (!view_allowance(w->view, &key->application, &w->self.id, &key->service, start,
			    &allowance, err))
		return false;
	if (!view_session(w->view, &key->application, &key->service, start, &info, err))
		return false;
	chain = chain_of_table(&info->method_table);
	if (!chain || info->n == 0) {
		free(info);
		return chain ? err_set(err, ERR_NO_SESSION, "the session has no members")
			     : err_set(err, ERR_TABLE,
				       "service %s: this program does not have the "
				       "registry's method table",
				       key->service.s);
	}
	s = xcalloc(1, sizeof(*s) + info->n * sizeof(s->members[0]));
	s->refs = 1;
	s->info = info;
	s->chain = chain;
	s->serving = quality_serving(w, &info->service);
	s->serving->chain = chain;
	s->count = info->n;
	for (size_t i = 0; i < s->count; i++)
		member_init(w, s, i, allowance);
	metric_move(METRIC_GATEWAY_SESSIONS, 1);
	w->wanted_changed = true;
	*ret = s;
	return true;
}

static void session_name(struct session *s)
{
	for (size_t i = 0; s && i < s->count; i++)
		member_name(&s->members[i]);
}

/* --- accounts --- */

struct account *account_get(struct worker *w, const struct key_id *application,
			    const struct service_name *service, struct err *err)
{
	struct account_key key;
	struct account *a;

	memset(&key, 0, sizeof(key)); /* its bytes are hashed */
	key.application = *application;
	memcpy(key.service.s, service->s, strlen(service->s));
	HASH_FIND(hh, w->accounts, &key, sizeof(key), a);
	if (a)
		return a;
	if (HASH_COUNT(w->accounts) >= w->cfg->gateway.sessions_max) {
		err_set(err, ERR_LIMIT, "gateway.sessions_max is reached");
		return NULL;
	}
	a = xcalloc(1, sizeof(*a));
	a->key = key;
	a->label = metrics_label(METRIC_LABEL_SERVICE, service->s);
	a->pace = pace_of(w, service);
	HASH_ADD(hh, w->accounts, key, sizeof(a->key), a);
	return a;
}

static void account_drop(struct worker *w, struct session **session)
{
	session_unref(w, *session);
	*session = NULL;
}

/* Makes `current` the session of this start, if it can be. */
static bool account_roll(struct worker *w, struct account *a, height_t start, struct err *err)
{
	struct session *session = NULL;

	if (a->next && a->next->info->start == start) {
		session = a->next;
		a->next = NULL;
	} else if (!session_derive(w, a, start, &session, err)) {
		return false;
	}
	if (a->current)
		metric_add(METRIC_GATEWAY_ROLLOVERS, 1);
	session_unref(w, a->current);
	a->current = session;
	a->tried_serial = 0; /* now the one after it */
	w->prepare = true;
	w->wanted_changed = true;
	session_name(session);
	return true;
}

bool account_session(struct worker *w, struct account *a, struct session **ret, struct err *err)
{
	height_t height = view_height(w->view, clock_wall_ms());
	height_t start = view_start(w->view, height);

	a->used_start = start;
	if (!a->current || a->current->info->start != start) {
		if (a->failed && a->failed_start == start) {
			*err = a->why;
			return false;
		}
		if (!account_roll(w, a, start, err)) {
			a->failed = true;
			a->failed_start = start;
			a->why = *err;
			return false;
		}
		a->failed = false;
	}
	*ret = a->current;
	return true;
}

const struct chain *account_chain(struct worker *w, struct account *a)
{
	struct session *session;
	struct err err;

	if (account_session(w, a, &session, &err))
		return session->chain;
	return quality_serving(w, &a->key.service)->chain;
}

/* Not used for two sessions: its links may go. */
static bool account_is_idle(const struct account *a, height_t start, height_t next)
{
	return a->used_start + 2 * (next - start) < start;
}

static void account_refresh(struct worker *w, struct account *a, height_t start, height_t next)
{
	struct err err;

	a->failed = false;
	if (a == w->main_account)
		a->used_start = start;
	if (account_is_idle(a, start, next)) {
		account_drop(w, &a->current);
		account_drop(w, &a->next);
		return;
	}
	if (a->current && a->current->info->start >= start) {
		session_name(a->current); /* those that refused it before are asked again */
	} else if ((a->current || a->next || a == w->main_account) &&
		   !account_roll(w, a, start, &err)) {
		a->failed = true;
		a->failed_start = start;
		a->why = err;
	}
	if (a->next && a->next->info->start != next)
		account_drop(w, &a->next);
	session_name(a->next);
}

static height_t next_start(const struct worker *w, height_t start)
{
	return start + view_params(w->view, start)->session_blocks;
}

void sessions_refresh(struct worker *w)
{
	height_t start = view_start(w->view, w->height);
	height_t next = next_start(w, start);
	struct account *a, *tmp;

	HASH_ITER (hh, w->accounts, a, tmp)
		account_refresh(w, a, start, next);
	w->prepare = true;
}

/* Derives the next session, once a view: until its seed is known that fails. */
static bool account_prepare(struct worker *w, struct account *a, height_t next)
{
	struct err err;

	if (a->next || a->tried_serial == view_serial(w->view) ||
	    (a->current && a->current->info->start == next))
		return false;
	a->tried_serial = view_serial(w->view);
	if (session_derive(w, a, next, &a->next, &err))
		session_name(a->next);
	return true;
}

void sessions_prepare(struct worker *w)
{
	height_t start = view_start(w->view, w->height);
	height_t next = next_start(w, start);
	unsigned left = PREPARE_MAX;
	struct account *a, *tmp;

	HASH_ITER (hh, w->accounts, a, tmp) {
		if (left == 0)
			return; /* the others in the next tick */
		if (!account_is_idle(a, start, next))
			left -= account_prepare(w, a, next);
	}
	w->prepare = false;
}

void sessions_on_peer(struct peer *peer)
{
	struct worker *w = peer->worker;
	struct account *a, *tmp;

	HASH_ITER (hh, w->accounts, a, tmp) {
		struct session *both[] = {a->current, a->next};

		for (size_t k = 0; k < 2; k++) {
			for (size_t i = 0; both[k] && i < both[k]->count; i++) {
				if (both[k]->members[i].supplier == peer->supplier)
					member_name(&both[k]->members[i]);
			}
		}
	}
}

void supplier_drop(struct worker *w, const struct supplier *supplier)
{
	struct account *a, *tmp;

	quality_on_broken_rule(w, &supplier->key);
	HASH_ITER (hh, w->accounts, a, tmp) {
		for (size_t i = 0; a->current && i < a->current->count; i++) {
			if (a->current->members[i].supplier == supplier)
				a->current->members[i].dropped = true;
		}
	}
}

void sessions_finish(struct worker *w)
{
	struct account *a, *tmp;

	owed_finish(w);
	HASH_ITER (hh, w->accounts, a, tmp) {
		account_drop(w, &a->current);
		account_drop(w, &a->next);
		HASH_DEL(w->accounts, a);
		free(a);
	}
	w->main_account = NULL;
	paces_finish(w);
}
