/* SPDX-License-Identifier: Apache-2.0
 * Tabs: served CU of a session with a peer, unpaid CU of an application with a peer ([P4], [P5]).
 * Counting is lock-free; only opening and closing take the lock. */
#include "relay/ledger/internal.h"
#include "session/budget.h"

#define SWEEP_US 10000000 /* idle tabs are looked for this often */

static struct account *account_get(struct ledger *ledger, const struct key_id *application,
				   const struct key_id *peer)
{
	struct account_key key;
	struct account *account;

	key.application = *application;
	key.peer = *peer;
	HASH_FIND(hh, ledger->accounts, &key, sizeof(key), account);
	if (account == NULL) {
		account = xcalloc(1, sizeof(*account));
		account->key = key;
		HASH_ADD(hh, ledger->accounts, key, sizeof(key), account);
	}
	account->tabs++;
	return account;
}

static void tab_free(struct ledger *ledger, struct ledger_tab *tab)
{
	struct account *account = tab->account;

	HASH_DEL(ledger->tabs, tab);
	free(tab);
	if (--account->tabs == 0 && atomic_load(&account->denied) == 0) {
		HASH_DEL(ledger->accounts, account);
		free(account);
	}
}

/* A tab outlives its last user by recent_ms: a session's served CU must not be forgotten because a
 * link dropped. */
static void tabs_sweep(struct ledger *ledger)
{
	usec_t now = clock_now_us();
	struct ledger_tab *tab, *tmp;

	if (now < ledger->tabs_swept_us + SWEEP_US)
		return;
	ledger->tabs_swept_us = now;
	HASH_ITER (hh, ledger->tabs, tab, tmp) {
		if (atomic_load(&tab->refs) == 0 &&
		    tab->idle_since_us + ledger->p.recent_ms * 1000 < now)
			tab_free(ledger, tab);
	}
}

struct ledger_tab *ledger_tab_open(struct ledger *ledger, const struct ledger_session *session,
				   const struct key_id *peer)
{
	struct ledger_tab *tab;
	struct tab_key key;

	key.session = session->id;
	key.peer = *peer;
	pthread_mutex_lock(&ledger->tabs_lock);
	tabs_sweep(ledger);
	HASH_FIND(hh, ledger->tabs, &key, sizeof(key), tab);
	if (tab == NULL) {
		tab = xcalloc(1, sizeof(*tab));
		tab->key = key;
		tab->session = *session;
		tab->ledger = ledger;
		tab->account = account_get(ledger, &session->application, peer);
		HASH_ADD(hh, ledger->tabs, key, sizeof(key), tab);
	}
	atomic_fetch_add(&tab->refs, 1);
	pthread_mutex_unlock(&ledger->tabs_lock);
	return tab;
}

void ledger_tab_ref(struct ledger_tab *tab)
{
	atomic_fetch_add_explicit(&tab->refs, 1, memory_order_relaxed);
}

void ledger_tab_close(struct ledger_tab *tab)
{
	struct ledger *ledger;
	size_t refs;

	if (tab == NULL)
		return;
	/* Not the last one: no lock.  The last one is dropped under the lock, so that a sweep never
	 * frees a tab between the count and the time. */
	refs = atomic_load(&tab->refs);
	while (refs > 1)
		if (atomic_compare_exchange_weak(&tab->refs, &refs, refs - 1))
			return;
	ledger = tab->ledger;
	pthread_mutex_lock(&ledger->tabs_lock);
	tab->idle_since_us = clock_now_us();
	atomic_fetch_sub(&tab->refs, 1);
	pthread_mutex_unlock(&ledger->tabs_lock);
}

const struct ledger_session *ledger_tab_session(const struct ledger_tab *tab)
{
	return &tab->session;
}

void ledger_tabs(struct ledger *ledger, struct ledger_tab_info **ret, size_t *ret_n)
{
	struct ledger_tab *tab, *tmp;
	size_t n = 0;

	pthread_mutex_lock(&ledger->tabs_lock);
	*ret = xcalloc(HASH_COUNT(ledger->tabs) + 1, sizeof(**ret));
	HASH_ITER (hh, ledger->tabs, tab, tmp)
		(*ret)[n++] = (struct ledger_tab_info){tab->session, tab->key.peer,
						       atomic_load(&tab->served)};
	pthread_mutex_unlock(&ledger->tabs_lock);
	*ret_n = n;
}

/* Adds cu unless the sum would pass max. */
static bool counter_reserve(_Atomic cu_t *counter, cu_t cu, cu_t max)
{
	cu_t now = atomic_load_explicit(counter, memory_order_relaxed);

	do {
		if (!budget_fits(now, cu, max))
			return false;
	} while (!atomic_compare_exchange_weak(counter, &now, now + cu));
	return true;
}

static void counter_sub(_Atomic cu_t *counter, cu_t cu)
{
	cu_t before = atomic_fetch_sub(counter, cu);

	assert(before >= cu);
	(void)before;
}

enum ledger_room ledger_tab_reserve(struct ledger_tab *tab, cu_t cu, cu_t unpaid_max,
				    cu_t served_max)
{
	if (cu == 0)
		return LEDGER_ROOM;
	if (!counter_reserve(&tab->account->unpaid, cu, unpaid_max))
		return LEDGER_ROOM_UNPAID;
	if (!counter_reserve(&tab->served, cu, served_max)) {
		counter_sub(&tab->account->unpaid, cu);
		return LEDGER_ROOM_ALLOWANCE;
	}
	return LEDGER_ROOM;
}

void ledger_tab_release(struct ledger_tab *tab, cu_t cu)
{
	counter_sub(&tab->account->unpaid, cu);
	counter_sub(&tab->served, cu);
}

void ledger_tab_paid(struct ledger_tab *tab, cu_t cu)
{
	counter_sub(&tab->account->unpaid, cu);
}

void ledger_tab_deny(struct ledger_tab *tab, cu_t cu)
{
	atomic_fetch_add(&tab->account->denied, cu);
}

cu_t ledger_tab_forgives(struct ledger_tab *tab, cu_t paid)
{
	struct account *account = tab->account;
	cu_t sum = account->forgiving + paid;

	if (atomic_load(&account->denied) == 0)
		return 0;
	account->forgiving = sum % BUDGET_DENIED_SHARE;
	return sum / BUDGET_DENIED_SHARE;
}

void ledger_tab_forgive(struct ledger_tab *tab, cu_t cu)
{
	cu_t most = MIN(cu, atomic_load(&tab->account->denied));

	counter_sub(&tab->account->denied, most);
	counter_sub(&tab->account->unpaid, most);
}

void ledger_denied_load(struct ledger *ledger, const struct key_id *application,
			const struct key_id *peer, cu_t cu)
{
	struct account *account;

	pthread_mutex_lock(&ledger->tabs_lock);
	account = account_get(ledger, application, peer);
	account->tabs--; /* no tab of it yet */
	atomic_fetch_add(&account->denied, cu);
	atomic_fetch_add(&account->unpaid, cu);
	pthread_mutex_unlock(&ledger->tabs_lock);
}

cu_t ledger_tab_unpaid(const struct ledger_tab *tab)
{
	return atomic_load_explicit(&tab->account->unpaid, memory_order_relaxed);
}

cu_t ledger_tab_served(const struct ledger_tab *tab)
{
	return atomic_load_explicit(&tab->served, memory_order_relaxed);
}

cu_t ledger_unpaid(struct ledger *ledger)
{
	struct account *account, *tmp;
	cu_t all = 0;

	pthread_mutex_lock(&ledger->tabs_lock);
	HASH_ITER (hh, ledger->accounts, account, tmp) {
		all += atomic_load(&account->unpaid);
	}
	pthread_mutex_unlock(&ledger->tabs_lock);
	return all;
}

struct peer *ledger_peer(struct ledger *ledger, const struct key_id *key)
{
	struct peer *peer;

	pthread_mutex_lock(&ledger->tabs_lock);
	HASH_FIND(hh, ledger->peers, key, sizeof(*key), peer);
	if (peer == NULL) {
		peer = xcalloc(1, sizeof(*peer));
		peer->key = *key;
		HASH_ADD(hh, ledger->peers, key, sizeof(*key), peer);
	}
	pthread_mutex_unlock(&ledger->tabs_lock);
	return peer;
}

uint32_t ledger_cosignatures(struct ledger *ledger, const struct key_id *peer)
{
	return atomic_load(&ledger_peer(ledger, peer)->cosignatures);
}

void ledger_tabs_finish(struct ledger *ledger)
{
	struct ledger_tab *tab, *tab_tmp;
	struct account *account, *account_tmp;
	struct peer *peer, *peer_tmp;

	HASH_ITER (hh, ledger->tabs, tab, tab_tmp) {
		tab_free(ledger, tab);
	}
	HASH_ITER (hh, ledger->accounts, account, account_tmp) {
		HASH_DEL(ledger->accounts, account);
		free(account);
	}
	HASH_ITER (hh, ledger->peers, peer, peer_tmp) {
		HASH_DEL(ledger->peers, peer);
		free(peer);
	}
}
