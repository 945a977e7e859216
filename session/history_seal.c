/* SPDX-License-Identifier: Apache-2.0
 * Sorting of a history, the checks that only the whole allows, and the searches over it. */
#include "session/history_inside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static int height_cmp(height_t a, height_t b)
{
	return a < b ? -1 : a > b;
}

int params_entry_cmp(const void *a, const void *b)
{
	return height_cmp(((const struct params_entry *)a)->height,
			  ((const struct params_entry *)b)->height);
}

int service_entry_cmp(const void *a, const void *b)
{
	const struct service_entry *x = a, *y = b;
	int c = strcmp(x->name.s, y->name.s);

	return c ? c : height_cmp(x->height, y->height);
}

int supplier_entry_cmp(const void *a, const void *b)
{
	const struct supplier_entry *x = a, *y = b;
	int c = memcmp(x->key.b, y->key.b, sizeof(x->key.b));

	return c ? c : height_cmp(x->height, y->height);
}

int application_entry_cmp(const void *a, const void *b)
{
	const struct application_entry *x = a, *y = b;
	int c = memcmp(x->key.b, y->key.b, sizeof(x->key.b));

	return c ? c : height_cmp(x->height, y->height);
}

static int grant_subject_cmp(const struct grant_entry *x, const struct grant_entry *y)
{
	int c = memcmp(x->application.b, y->application.b, sizeof(x->application.b));

	if (c == 0)
		c = memcmp(x->gateway.b, y->gateway.b, sizeof(x->gateway.b));
	return c ? c : strcmp(x->service.s, y->service.s);
}

int grant_entry_cmp(const void *a, const void *b)
{
	const struct grant_entry *x = a, *y = b;
	int c = grant_subject_cmp(x, y);

	return c ? c : height_cmp(x->height, y->height);
}

int pause_entry_cmp(const void *a, const void *b)
{
	return height_cmp(((const struct pause_entry *)a)->height,
			  ((const struct pause_entry *)b)->height);
}

bool grant_entry_same(const struct grant_entry *a, const struct grant_entry *b)
{
	return grant_subject_cmp(a, b) == 0;
}

size_t entry_list_first(const struct entry_list *list, size_t size, entry_cmp cmp,
			const void *probe)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp((const char *)list->v + mid * size, probe) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const void *entry_list_last(const struct entry_list *list, size_t size, entry_cmp cmp,
			    const void *probe)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp((const char *)list->v + mid * size, probe) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low == 0 ? NULL : (const char *)list->v + (low - 1) * size;
}

/* Sorts; two entries about one thing with one height would leave open which of them counts. */
static bool sort(struct entry_list *list, size_t size, entry_cmp cmp, const char *what,
		 struct err *err)
{
	const char *v = list->v;

	if (list->n > 1)
		qsort(list->v, list->n, size, cmp);
	for (size_t i = 1; i < list->n; i++)
		if (cmp(v + (i - 1) * size, v + i * size) == 0)
			return err_set(err, ERR_FORMAT, "two %s entries for one thing and height",
				       what);
	return true;
}

static bool params_agree(const struct history *h, struct err *err)
{
	const struct params_entry *e = h->params.v;

	if (h->params.n == 0 || e[0].height != 0)
		return err_set(err, ERR_FORMAT, "there are no parameters for height 0");
	for (size_t i = 1; i < h->params.n; i++)
		if (!session_params_same_network(&e[0].params, &e[i].params))
			return err_set(err, ERR_FORMAT,
				       "the parameters of height %" PRIu64
				       " change what is fixed for the network",
				       e[i].height);
	return true;
}

/* Grants of one application stand together, those of one subject in the order of heights. */
static bool grants_agree(const struct history *h, struct err *err)
{
	const struct grant_entry *e = h->grants.v;
	size_t subjects = 0;

	for (size_t i = 0; i < h->grants.n; i++) {
		bool same = i > 0 && grant_entry_same(&e[i - 1], &e[i]);

		if (i == 0 || !ID_EQ(&e[i - 1].application, &e[i].application))
			subjects = 0;
		if (same && e[i].nonce <= e[i - 1].nonce)
			return err_set(err, ERR_FORMAT, "the nonces of a grant do not increase");
		if (!same && ++subjects > GRANTS_PER_APPLICATION_MAX)
			return err_set(err, ERR_RANGE, "an application has more than %d grants",
				       GRANTS_PER_APPLICATION_MAX);
	}
	return true;
}

/* Payments and penalties are summed up and never taken back. */
static bool sums_agree(const struct history *h, struct err *err)
{
	const struct application_entry *a = h->applications.v;
	const struct supplier_entry *s = h->suppliers.v;

	for (size_t i = 1; i < h->applications.n; i++)
		if (ID_EQ(&a[i - 1].key, &a[i].key) &&
		    (a[i].spent < a[i - 1].spent || a[i].spent_thaw < a[i - 1].spent_thaw))
			return err_set(err, ERR_FORMAT, "what an application has spent falls");
	for (size_t i = 1; i < h->suppliers.n; i++)
		if (ID_EQ(&s[i - 1].key, &s[i].key) &&
		    (s[i].burned < s[i - 1].burned || s[i].burned_thaw < s[i - 1].burned_thaw))
			return err_set(err, ERR_FORMAT, "what a supplier has burned falls");
	return true;
}

/* The keeper was there between two pauses; counts what was missed. */
static bool pauses_agree(struct history *h, struct err *err)
{
	struct pause_entry *e = h->pauses.v;

	for (size_t i = 0; i < h->pauses.n; i++) {
		e[i].before = i > 0 ? e[i - 1].before + e[i - 1].missed : 0;
		if (i > 0 && e[i].height - e[i].missed <= e[i - 1].height)
			return err_set(err, ERR_FORMAT,
				       "the pause before height %" PRIu64 " overlaps another",
				       e[i].height);
	}
	return true;
}

bool history_seal(struct history *h, struct err *err)
{
	assert(!h->sealed);
	if (!session_clock_check(&h->clock, err) ||
	    !sort(&h->params, sizeof(struct params_entry), params_entry_cmp, "parameter", err) ||
	    !sort(&h->services, sizeof(struct service_entry), service_entry_cmp, "service", err) ||
	    !sort(&h->suppliers, sizeof(struct supplier_entry), supplier_entry_cmp, "supplier",
		  err) ||
	    !sort(&h->applications, sizeof(struct application_entry), application_entry_cmp,
		  "application", err) ||
	    !sort(&h->grants, sizeof(struct grant_entry), grant_entry_cmp, "grant", err) ||
	    !sort(&h->pauses, sizeof(struct pause_entry), pause_entry_cmp, "pause", err) ||
	    !params_agree(h, err) || !grants_agree(h, err) || !sums_agree(h, err) ||
	    !pauses_agree(h, err))
		return false;
	h->sealed = true;
	return true;
}
