/* SPDX-License-Identifier: Apache-2.0 */
#include "session/history.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "session/history_inside.h"

#define HISTORY_ENTRIES_MAX (1u << 22) /* of one kind */

struct history *history_create(const struct network_id *network, const struct session_clock *clock)
{
	struct history *h = xcalloc(1, sizeof(*h));

	h->network = *network;
	h->clock = *clock;
	h->refs = 1;
	return h;
}

void history_set_tail(struct history *h, const uint8_t tail[32])
{
	memcpy(h->network_tail, tail, sizeof(h->network_tail));
}

struct history *history_ref(struct history *h)
{
	assert(h->sealed);
	__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
	return h;
}

void history_unref(struct history *h)
{
	struct supplier_entry *suppliers;

	if (!h || __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	suppliers = h->suppliers.v;
	for (size_t i = 0; i < h->suppliers.n; i++) {
		free(suppliers[i].services);
		free(suppliers[i].endpoint);
	}
	free(h->params.v);
	free(h->services.v);
	free(h->suppliers.v);
	free(h->applications.v);
	free(h->grants.v);
	free(h->pauses.v);
	free(h);
}

static bool add(struct history *h, struct entry_list *list, const void *entry, size_t size,
		height_t height, struct err *err)
{
	assert(!h->sealed);
	if (height > HEIGHT_MAX)
		return err_set(err, ERR_RANGE, "height %" PRIu64 " is over 2^62", height);
	if (list->n == HISTORY_ENTRIES_MAX)
		return err_set(err, ERR_RANGE, "more than %u entries of one kind",
			       HISTORY_ENTRIES_MAX);
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 8;
		list->v = xrealloc(list->v, list->cap * size);
	}
	memcpy((char *)list->v + list->n++ * size, entry, size);
	h->last_change = MAX(h->last_change, height);
	return true;
}

bool history_add_params(struct history *h, const struct params_entry *e, struct err *err)
{
	return session_params_check(&e->params, err) &&
	       add(h, &h->params, e, sizeof(*e), e->height, err);
}

bool history_add_service(struct history *h, const struct service_entry *e, struct err *err)
{
	assert(e->name.s[0]);
	return add(h, &h->services, e, sizeof(*e), e->height, err);
}

static bool amount_check(const char *name, u128 amount, struct err *err)
{
	if (amount > AMOUNT_MAX)
		return err_set(err, ERR_RANGE, "%s is over 2^96 - 1", name);
	return true;
}

static bool endpoint_check(const char *endpoint, struct err *err)
{
	size_t n = strlen(endpoint);

	if (n == 0 || n > ENDPOINT_MAX)
		return err_set(err, ERR_FORMAT, "an endpoint has 1 to %d bytes", ENDPOINT_MAX);
	for (size_t i = 0; i < n; i++)
		if (endpoint[i] < '!' || endpoint[i] > '~' || endpoint[i] == '"' ||
		    endpoint[i] == '\\')
			return err_set(err, ERR_FORMAT,
				       "an endpoint is printable ASCII without spaces, \" and \\");
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct service_name *)a)->s, ((const struct service_name *)b)->s);
}

static bool services_check(const struct service_name *sorted, size_t n, struct err *err)
{
	for (size_t i = 1; i < n; i++)
		if (by_name(&sorted[i - 1], &sorted[i]) == 0)
			return err_set(err, ERR_FORMAT, "service %s stands twice", sorted[i].s);
	return true;
}

bool history_add_supplier(struct history *h, const struct supplier_entry *e, struct err *err)
{
	struct supplier_entry copy = *e;

	if (!amount_check("stake", e->stake, err) || !amount_check("burned", e->burned, err) ||
	    !amount_check("burned_thaw", e->burned_thaw, err) || !endpoint_check(e->endpoint, err))
		return false;
	if (e->services_n > SERVICES_PER_SUPPLIER_MAX)
		return err_set(err, ERR_RANGE, "a supplier has at most %d services",
			       SERVICES_PER_SUPPLIER_MAX);
	copy.services = xmemdup(e->services, e->services_n * sizeof(*e->services));
	qsort(copy.services, e->services_n, sizeof(*copy.services), by_name);
	copy.endpoint = xstrdup(e->endpoint);
	if (services_check(copy.services, copy.services_n, err) &&
	    add(h, &h->suppliers, &copy, sizeof(copy), e->height, err))
		return true;
	free(copy.services);
	free(copy.endpoint);
	return false;
}

bool history_add_application(struct history *h, const struct application_entry *e, struct err *err)
{
	return amount_check("escrow", e->escrow, err) && amount_check("spent", e->spent, err) &&
	       amount_check("spent_thaw", e->spent_thaw, err) &&
	       add(h, &h->applications, e, sizeof(*e), e->height, err);
}

bool history_add_grant(struct history *h, const struct grant_entry *e, struct err *err)
{
	assert(e->service.s[0]);
	return amount_check("budget", e->budget, err) &&
	       add(h, &h->grants, e, sizeof(*e), e->height, err);
}

bool history_add_pause(struct history *h, const struct pause_entry *e, struct err *err)
{
	if (e->missed == 0 || e->missed >= e->height)
		return err_set(err, ERR_RANGE,
			       "a pause of %" PRIu64 " heights before height %" PRIu64, e->missed,
			       e->height);
	return add(h, &h->pauses, e, sizeof(*e), e->height, err);
}

const struct network_id *history_network(const struct history *h)
{
	return &h->network;
}

const uint8_t *history_network_tail(const struct history *h)
{
	return h->network_tail;
}

const struct session_clock *history_clock(const struct history *h)
{
	return &h->clock;
}

height_t history_last_change(const struct history *h)
{
	return h->last_change;
}

const struct session_params *history_params(const struct history *h, height_t height)
{
	const struct params_entry probe = {.height = height};
	const struct params_entry *e;

	assert(h->sealed);
	e = entry_list_last(&h->params, sizeof(*e), params_entry_cmp, &probe);
	return e ? &e->params : NULL;
}

const struct service_entry *history_service(const struct history *h,
					    const struct service_name *name, height_t height)
{
	const struct service_entry probe = {.height = height, .name = *name};
	const struct service_entry *e;

	assert(h->sealed);
	e = entry_list_last(&h->services, sizeof(*e), service_entry_cmp, &probe);
	return e && strcmp(e->name.s, name->s) == 0 ? e : NULL;
}

const struct supplier_entry *history_supplier(const struct history *h, const struct key_id *key,
					      height_t height)
{
	const struct supplier_entry probe = {.height = height, .key = *key};
	const struct supplier_entry *e;

	assert(h->sealed);
	e = entry_list_last(&h->suppliers, sizeof(*e), supplier_entry_cmp, &probe);
	return e && ID_EQ(&e->key, key) ? e : NULL;
}

const struct application_entry *history_application(const struct history *h,
						    const struct key_id *key, height_t height)
{
	const struct application_entry probe = {.height = height, .key = *key};
	const struct application_entry *e;

	assert(h->sealed);
	e = entry_list_last(&h->applications, sizeof(*e), application_entry_cmp, &probe);
	return e && ID_EQ(&e->key, key) ? e : NULL;
}

const struct grant_entry *history_grant(const struct history *h, const struct key_id *application,
					const struct key_id *gateway,
					const struct service_name *service, height_t height)
{
	const struct grant_entry probe = {.height = height,
					  .application = *application,
					  .gateway = *gateway,
					  .service = *service};
	const struct grant_entry *e;

	assert(h->sealed);
	e = entry_list_last(&h->grants, sizeof(*e), grant_entry_cmp, &probe);
	return e && grant_entry_same(e, &probe) ? e : NULL;
}

const struct params_entry *history_all_params(const struct history *h, size_t *ret_n)
{
	*ret_n = h->params.n;
	return h->params.v;
}

const struct service_entry *history_all_services(const struct history *h, size_t *ret_n)
{
	*ret_n = h->services.n;
	return h->services.v;
}

const struct supplier_entry *history_all_suppliers(const struct history *h, size_t *ret_n)
{
	*ret_n = h->suppliers.n;
	return h->suppliers.v;
}

const struct application_entry *history_all_applications(const struct history *h, size_t *ret_n)
{
	*ret_n = h->applications.n;
	return h->applications.v;
}

const struct grant_entry *history_all_grants(const struct history *h, size_t *ret_n)
{
	*ret_n = h->grants.n;
	return h->grants.v;
}

const struct pause_entry *history_all_pauses(const struct history *h, size_t *ret_n)
{
	*ret_n = h->pauses.n;
	return h->pauses.v;
}
