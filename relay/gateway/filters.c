/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/filters.h"

#include <assert.h>
#include <pthread.h>
#include <sys/queue.h>

#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/crypto/table.h"

struct source_count {
	uint64_t source;
	size_t count;
	UT_hash_handle hh;
};

struct entry {
	struct filter_id id;
	struct filter_owner owner;
	struct source_count *source; /* NULL: not limited */
	struct filter filter;	     /* without what it has told while it is lent */
	bool lent;
	usec_t used_us;
	TAILQ_ENTRY(entry) by_use;
	UT_hash_handle hh;
};

struct filters {
	pthread_mutex_t lock;
	struct filters_limits limits;
	uint64_t drawn;		      /* ids so far */
	struct entry *all;	      /* by id */
	struct source_count *sources; /* those that have any */
	TAILQ_HEAD(, entry) by_use;   /* the one not used for longest first */
};

void filter_finish(struct filter *filter)
{
	buf_finish(&filter->text);
	track_finish(&filter->told);
	*filter = (struct filter){0};
}

/* --- ids --- */

char *filter_id_text(const struct filter_id *id, char dst[FILTER_ID_TEXT])
{
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the digits end the text */
	memcpy(dst, "0x", 2);
	hex_encode(id->b, sizeof(id->b), dst + 2);
	return dst;
}

bool filter_id_parse(struct view text, struct filter_id *ret)
{
	struct filter_id id;

	if (text.n != FILTER_ID_TEXT - 1 || memcmp(text.p, "0x", 2) != 0 ||
	    !hex_decode_either((const char *)text.p + 2, text.n - 2, id.b, sizeof(id.b)))
		return false;
	*ret = id;
	return true;
}

/* As a quantity it has no leading zero, which some clients would drop. */
static void draw_id(struct filters *f, struct filter_id *ret)
{
	struct hash hash;
	uint8_t n[8];

	do {
		const struct view parts[] = {VIEW(f->limits.secret.b, sizeof(f->limits.secret.b)),
					     VIEW(n, sizeof(n))};

		put_be64(n, ++f->drawn);
		sha256_parts(parts, ARRAY_SIZE(parts), &hash);
		memcpy(ret->b, hash.b, sizeof(ret->b));
	} while (ret->b[0] < 0x10);
}

/* --- the table --- */

struct filters *filters_create(const struct filters_limits *limits)
{
	struct filters *f = xcalloc(1, sizeof(*f));

	f->limits = *limits;
	pthread_mutex_init(&f->lock, NULL);
	TAILQ_INIT(&f->by_use);
	return f;
}

static void entry_destroy(struct filters *f, struct entry *e)
{
	struct source_count *source = e->source;

	if (source && --source->count == 0) {
		HASH_DELETE(hh, f->sources, source);
		free(source);
	}
	TAILQ_REMOVE(&f->by_use, e, by_use);
	HASH_DELETE(hh, f->all, e);
	filter_finish(&e->filter);
	free(e);
	metric_move(METRIC_GATEWAY_FILTERS, -1);
}

void filters_destroy(struct filters *f)
{
	struct entry *e;

	if (!f)
		return;
	while ((e = TAILQ_FIRST(&f->by_use))) {
		entry_destroy(f, e);
		ANALYZER_FACT(e != TAILQ_FIRST(&f->by_use));
	}
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct source_count *source_of(struct filters *f, uint64_t key)
{
	struct source_count *source;

	HASH_FIND(hh, f->sources, &key, sizeof(key), source);
	if (!source) {
		source = xcalloc(1, sizeof(*source));
		source->source = key;
		HASH_ADD(hh, f->sources, source, sizeof(source->source), source);
	}
	return source;
}

static bool has_room(struct filters *f, uint64_t key, struct err *err)
{
	struct source_count *source;

	if (HASH_COUNT(f->all) >= f->limits.count_max)
		return err_set(err, ERR_LIMIT, "gateway.filters_max is reached");
	HASH_FIND(hh, f->sources, &key, sizeof(key), source);
	if (source && source->count >= f->limits.per_address_max)
		return err_set(err, ERR_LIMIT, "gateway.filters_per_address_max is reached");
	return true;
}

static void use(struct filters *f, struct entry *e, usec_t now)
{
	e->used_us = now;
	TAILQ_REMOVE(&f->by_use, e, by_use);
	TAILQ_INSERT_TAIL(&f->by_use, e, by_use);
}

static struct entry *find(struct filters *f, const struct filter_owner *owner,
			  const struct filter_id *id)
{
	struct entry *e;

	HASH_FIND(hh, f->all, id->b, sizeof(id->b), e);
	if (e && owner &&
	    (!ID_EQ(&e->owner.application, &owner->application) ||
	     strcmp(e->owner.service.s, owner->service.s) != 0))
		return NULL;
	return e;
}

bool filters_add(struct filters *f, const struct filter_owner *owner, uint64_t source,
		 struct filter *filter, usec_t now, struct filter_id *ret, struct err *err)
{
	struct entry *e;
	bool ok;

	pthread_mutex_lock(&f->lock);
	ok = has_room(f, source, err);
	if (ok) {
		e = xcalloc(1, sizeof(*e));
		draw_id(f, &e->id);
		e->owner = *owner;
		e->filter = *filter;
		e->used_us = now;
		*filter = (struct filter){0};
		if (source != 0) {
			e->source = source_of(f, source);
			e->source->count++;
		}
		TAILQ_INSERT_TAIL(&f->by_use, e, by_use);
		HASH_ADD(hh, f->all, id, sizeof(e->id), e);
		*ret = e->id;
		metric_move(METRIC_GATEWAY_FILTERS, 1);
	}
	pthread_mutex_unlock(&f->lock);
	return ok;
}

/* All but what it has told. */
static void copy(const struct filter *filter, struct filter *ret)
{
	*ret = (struct filter){.blocks = filter->blocks};
	buf_put(&ret->text, filter->text.p, filter->text.n);
}

enum filters_found filters_take(struct filters *f, const struct filter_owner *owner,
				const struct filter_id *id, usec_t now, struct filter *ret)
{
	enum filters_found found = FILTERS_NONE;
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, owner, id);
	if (e) {
		found = e->lent ? FILTERS_BUSY : FILTERS_LENT;
		use(f, e, now);
	}
	if (found == FILTERS_LENT) {
		copy(&e->filter, ret);
		ret->told = e->filter.told;
		e->filter.told = (struct track){0};
		e->lent = true;
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

bool filters_look(struct filters *f, const struct filter_owner *owner, const struct filter_id *id,
		  usec_t now, struct filter *ret)
{
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, owner, id);
	if (e) {
		use(f, e, now);
		copy(&e->filter, ret);
	}
	pthread_mutex_unlock(&f->lock);
	return e != NULL;
}

void filters_give(struct filters *f, const struct filter_id *id, struct filter *filter, usec_t now)
{
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, NULL, id);
	if (e) {
		assert(e->lent);
		e->lent = false;
		e->filter.told = filter->told;
		filter->told = (struct track){0};
		use(f, e, now);
	}
	pthread_mutex_unlock(&f->lock);
	filter_finish(filter);
}

bool filters_remove(struct filters *f, const struct filter_owner *owner, const struct filter_id *id)
{
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, owner, id);
	if (e)
		entry_destroy(f, e);
	pthread_mutex_unlock(&f->lock);
	return e != NULL;
}

void filters_expire(struct filters *f, usec_t now)
{
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	/* A call has no longer than its deadline: one that is lent is not the oldest for long. */
	while ((e = TAILQ_FIRST(&f->by_use)) && !e->lent && now - e->used_us > f->limits.idle_us) {
		entry_destroy(f, e);
		ANALYZER_FACT(e != TAILQ_FIRST(&f->by_use));
	}
	pthread_mutex_unlock(&f->lock);
}
