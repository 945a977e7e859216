/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/pool.h"

#include <assert.h>
#include <stdio.h>

#include <event2/dns.h>
#include <event2/event_struct.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/rng.h"
#include "relay/crypto/table.h"
#include "relay/link/link_private.h"

#define STABLE_US 5000000   /* a link up for so long starts its backoff anew */
#define OWN_FAULT_US 500000 /* longest backoff after an end that was not the peer's fault */

/* One supplier at one endpoint.  `current`: what the wanted set named last for this key, and in
 * the hash table; a slot that is not lives on in the list until its grace ends. */
struct pool_slot {
	struct pool_slot *next, **at;
	UT_hash_handle hh;
	struct pool *pool;
	struct key_id key;
	char endpoint[POOL_ENDPOINT_MAX + 1];
	struct address address;
	bool current;
	bool wanted;
	bool seen; /* by the pool_set_wanted() that runs */
	struct link *link;
	struct evdns_getaddrinfo_request *lookup;
	unsigned lookups; /* each takes the next of a name's addresses */
	struct event ev;  /* the next dial, or the end of grace */
	usec_t backoff_us;
	usec_t up_since_us;
	struct err err; /* why the last link ended */
};

struct pool {
	struct event_base *base;
	struct evdns_base *dns; /* made when the first name comes */
	struct tls *tls;
	const struct link_self *self;
	struct pool_params params;
	struct link_callbacks owner, cbs;
	void *arg;
	struct pool_slot *slots; /* all */
	struct pool_slot *table; /* the current ones, by key */
	size_t up_count;
};

void pool_params_default(struct pool_params *ret)
{
	*ret = (struct pool_params){
		.backoff_min_us = 100000,
		.backoff_max_us = 30000000,
		.grace_us = 60000000,
	};
	link_params_default(&ret->link);
}

static void slot_arm(struct pool_slot *slot, usec_t us)
{
	const struct timeval tv = {us / 1000000, us % 1000000};

	event_add(&slot->ev, &tv);
}

/* Half to one and a half of the backoff, which doubles: peers that lost the same node do not come
 * back in step. */
static void slot_retry(struct pool_slot *slot)
{
	usec_t us = slot->backoff_us;

	assert(!slot->link && !slot->lookup);
	slot->backoff_us = MIN(2 * us, slot->pool->params.backoff_max_us);
	slot_arm(slot, us / 2 + (usec_t)rng_below((uint64_t)us + 1));
}

static void slot_dial(struct pool_slot *slot)
{
	struct pool *pool = slot->pool;

	slot->link = link_dial(pool->base, pool->tls, pool->self, &pool->params.link,
			       &slot->address, &slot->key, &pool->cbs, pool->arg);
	slot->link->holder = slot;
}

/* A name with several addresses: one of them may be out of reach. */
static const struct evutil_addrinfo *nth_address(const struct evutil_addrinfo *found, unsigned n)
{
	const struct evutil_addrinfo *one;
	unsigned count = 0;

	for (one = found; one; one = one->ai_next)
		count++;
	one = found;
	for (n %= count; n > 0; n--)
		one = one->ai_next;
	return one;
}

static void on_lookup(int result, struct evutil_addrinfo *found, void *arg)
{
	struct pool_slot *slot = arg;

	if (result == EVUTIL_EAI_CANCEL)
		return; /* the slot is gone */
	slot->lookup = NULL;
	if (result == 0 && found) {
		const struct evutil_addrinfo *one = nth_address(found, slot->lookups++);

		address_resolved(&slot->address, one->ai_addr, (socklen_t)one->ai_addrlen);
		slot_dial(slot);
	} else {
		err_set(&slot->err, ERR_LINK, "%s: %s", slot->endpoint,
			evutil_gai_strerror(result));
		slot_retry(slot);
	}
	if (found)
		evutil_freeaddrinfo(found);
}

static void slot_lookup(struct pool_slot *slot)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct pool *pool = slot->pool;
	struct evdns_getaddrinfo_request *lookup;

	if (!pool->dns) {
		pool->dns = evdns_base_new(pool->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		assert(pool->dns);
		/* without name servers the hosts file still counts */
		(void)evdns_base_resolv_conf_parse(pool->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	}
	lookup = evdns_getaddrinfo(pool->dns, slot->address.name, NULL, &hints, on_lookup, slot);
	if (lookup) /* else on_lookup() was called already */
		slot->lookup = lookup;
}

static void slot_connect(struct pool_slot *slot)
{
	assert(!slot->link && !slot->lookup);
	if (slot->address.name[0] && slot->address.sa.ss_family == AF_UNSPEC)
		slot_lookup(slot);
	else
		slot_dial(slot);
}

static void slot_drop(struct pool_slot *slot)
{
	struct pool *pool = slot->pool;

	event_del(&slot->ev);
	if (slot->lookup)
		evdns_getaddrinfo_cancel(slot->lookup);
	pool->up_count -= slot->up_since_us != 0;
	link_destroy(slot->link);
	if (slot->current)
		HASH_DEL(pool->table, slot);
	if (slot->next)
		slot->next->at = slot->at;
	*slot->at = slot->next;
	free(slot);
}

static void slot_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pool_slot *slot = arg;
	struct err err = {0};

	clock_tick();
	if (slot->wanted) {
		slot_connect(slot);
	} else if (slot->link && link_is_up(slot->link)) {
		err_set(&err, ERR_SHUTDOWN, "no longer in a session with this supplier");
		link_close(slot->link, &err); /* on_down drops the slot */
	} else if (slot->up_since_us == 0) {
		slot_drop(slot);
	} /* else it has just ended: its owner knows it, and hears of that by on_down */
}

static bool on_up(struct link *link, void *arg, struct err *err)
{
	struct pool_slot *slot = link->holder;
	struct pool *pool = slot->pool;

	slot->up_since_us = clock_mono_us();
	pool->up_count++;
	return !pool->owner.on_up || pool->owner.on_up(link, arg, err);
}

/* Our ledger could not record what came over the link. */
static bool is_own_fault(enum link_reason reason, const struct err *err)
{
	return reason == LINK_REASON_LOCAL &&
	       (err->code == ERR_LEDGER || err->code == ERR_LEDGER_FULL);
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
{
	struct pool_slot *slot = link->holder;
	struct pool *pool = slot->pool;
	struct address address;
	struct err ignored;

	slot->err = *err;
	slot->link = NULL;
	if (slot->up_since_us) {
		pool->up_count--;
		if (clock_mono_us() - slot->up_since_us >= STABLE_US)
			slot->backoff_us = pool->params.backoff_min_us;
		slot->up_since_us = 0;
	}
	if (is_own_fault(reason, err))
		slot->backoff_us = MIN(slot->backoff_us, OWN_FAULT_US);
	/* a name is looked up anew: its address may be another one by now */
	if (address_parse(slot->endpoint, &address, &ignored))
		slot->address = address;
	if (slot->wanted)
		slot_retry(slot);
	else
		slot_drop(slot);
	if (pool->owner.on_down)
		pool->owner.on_down(link, reason, err, arg);
	link_destroy(link);
}

struct pool *pool_create(struct event_base *base, struct tls *tls, const struct link_self *self,
			 const struct pool_params *params, const struct link_callbacks *cbs,
			 void *arg)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));

	assert(params->backoff_min_us > 0 && params->backoff_max_us >= params->backoff_min_us);
	pool->base = base;
	pool->tls = tls;
	pool->self = self;
	pool->params = *params;
	pool->owner = pool->cbs = *cbs;
	pool->cbs.on_up = on_up;
	pool->cbs.on_down = on_down;
	pool->arg = arg;
	return pool;
}

void pool_destroy(struct pool *pool)
{
	if (!pool)
		return;
	for (struct pool_slot *slot; (slot = pool->slots) != NULL;) {
		slot_drop(slot); /* takes it off */
		ANALYZER_FACT(slot != pool->slots);
	}
	if (pool->dns)
		evdns_base_free(pool->dns, 0);
	free(pool);
}

static struct pool_slot *slot_add(struct pool *pool, const struct pool_target *target)
{
	struct pool_slot *slot = xcalloc(1, sizeof(*slot));

	slot->pool = pool;
	slot->key = target->key;
	memcpy(slot->endpoint, target->endpoint, sizeof(slot->endpoint));
	slot->endpoint[POOL_ENDPOINT_MAX] = '\0';
	slot->backoff_us = pool->params.backoff_min_us;
	event_assign(&slot->ev, pool->base, -1, 0, slot_on_timer, slot);
	slot->next = pool->slots;
	slot->at = &pool->slots;
	if (slot->next)
		slot->next->at = &slot->next;
	pool->slots = slot;
	slot->current = true;
	HASH_ADD(hh, pool->table, key, sizeof(slot->key), slot);
	return slot;
}

/* Starts or ends what the wanted set says of a slot. */
static void slot_set_wanted(struct pool_slot *slot, bool wanted)
{
	if (slot->wanted == wanted)
		return;
	slot->wanted = wanted;
	event_del(&slot->ev);
	if (!wanted)
		slot_arm(slot, slot->link ? slot->pool->params.grace_us : 0);
	else if (!slot->link && !slot->lookup)
		slot_connect(slot);
}

static void want(struct pool *pool, const struct pool_target *target)
{
	struct pool_slot *slot;
	struct err err = {0};

	HASH_FIND(hh, pool->table, &target->key, sizeof(target->key), slot);
	if (slot && strcmp(slot->endpoint, target->endpoint) != 0) {
		HASH_DEL(pool->table, slot); /* the old place: calls in flight end there */
		slot->current = false;
		slot_set_wanted(slot, false);
		slot = NULL;
	}
	if (!slot) {
		slot = slot_add(pool, target);
		if (!address_parse(slot->endpoint, &slot->address, &err)) {
			slot->err = err; /* known, never dialled: the registry has nonsense */
			slot->seen = true;
			return;
		}
	}
	slot->seen = true;
	slot_set_wanted(slot, true);
}

void pool_set_wanted(struct pool *pool, const struct pool_target *targets, size_t count)
{
	for (struct pool_slot *slot = pool->slots; slot; slot = slot->next)
		slot->seen = false;
	for (size_t i = 0; i < count; i++)
		want(pool, &targets[i]);
	for (struct pool_slot *slot = pool->slots, *next; slot; slot = next) {
		next = slot->next;
		if (slot->seen)
			continue;
		if (slot->wanted)
			slot_set_wanted(slot, false);
		else if (slot->current && !slot->link &&
			 !event_pending(&slot->ev, EV_TIMEOUT, NULL))
			slot_drop(slot); /* the one with nonsense for an endpoint */
	}
}

static struct link *usable(const struct pool_slot *slot)
{
	return slot->link && link_is_up(slot->link) && !link_is_draining(slot->link) ? slot->link
										     : NULL;
}

struct link *pool_get(const struct pool *pool, const struct key_id *key)
{
	struct pool_slot *slot;
	struct link *link;

	HASH_FIND(hh, pool->table, key, sizeof(*key), slot);
	if (!slot)
		return NULL;
	link = usable(slot);
	/* moved to another endpoint, and not there yet: the old link still serves */
	for (struct pool_slot *old = pool->slots; !link && old; old = old->next)
		if (!old->current && ID_EQ(&old->key, key))
			link = usable(old);
	return link;
}

bool pool_last_error(const struct pool *pool, const struct key_id *key, struct err *ret)
{
	struct pool_slot *slot;

	HASH_FIND(hh, pool->table, key, sizeof(*key), slot);
	if (!slot)
		return false;
	*ret = slot->err;
	if (ret->code == ERR_NONE)
		err_set(ret, ERR_LINK, "%s: not connected yet", slot->endpoint);
	return true;
}

size_t pool_up_count(const struct pool *pool)
{
	return pool->up_count;
}

size_t pool_wanted_count(const struct pool *pool)
{
	size_t count = 0;

	for (const struct pool_slot *slot = pool->slots; slot; slot = slot->next)
		count += slot->wanted;
	return count;
}
