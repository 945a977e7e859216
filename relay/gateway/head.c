/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/head.h"

#include <assert.h>

#include "relay/base/log.h"
#include "relay/gateway/head_private.h"
#include "relay/gateway/internal.h"

#define PACE_FIRST_US 12000000 /* of a chain of which nothing is known */

struct heads *heads_create(const struct config *cfg, const struct service_name *services, size_t n)
{
	struct heads *heads = xcalloc(1, sizeof(*heads) + n * sizeof(heads->services[0]));

	heads->interval_us = cfg->gateway.head_interval;
	heads->n = n;
	for (size_t i = 0; i < n; i++) {
		struct service *service = &heads->services[i];

		service->name = services[i];
		service->label = metrics_label(METRIC_LABEL_SERVICE, services[i].s);
		for (size_t k = 0; k < HEAD_TAGS; k++) {
			pthread_mutex_init(&service->tips[k].lock, NULL);
			service->tips[k].head = head_create(PACE_FIRST_US);
		}
	}
	return heads;
}

void heads_destroy(struct heads *heads)
{
	for (size_t i = 0; heads && i < heads->n; i++) {
		for (size_t k = 0; k < HEAD_TAGS; k++) {
			pthread_mutex_destroy(&heads->services[i].tips[k].lock);
			head_destroy(heads->services[i].tips[k].head);
		}
	}
	free(heads);
}

size_t heads_at(const struct heads *heads, const struct service_name *name)
{
	size_t i = 0;

	while (strcmp(heads->services[i].name.s, name->s) != 0) {
		i++;
		assert(i < heads->n);
	}
	return i;
}

static struct tip *tip_of(const struct worker *w, const struct service_name *name,
			  enum chain_tag tag)
{
	struct heads *heads = w->gateway->heads;

	return &heads->services[heads_at(heads, name)].tips[tag];
}

/* --- what is known --- */

bool tip_is_overtaken(const struct tip *tip)
{
	const struct head_state *s = head_state(tip->head);

	return tip->checked_us <= tip->wrote_us ||
	       (s->pinnable && s->block.number < s->floor && tip->checked_floor < s->floor);
}

bool tip_is_good(const struct heads *heads, const struct tip *tip, usec_t now)
{
	const struct head_state *s = head_state(tip->head);
	usec_t span = MAX(heads->interval_us, s->block_us / 8);

	return s->known && now - tip->checked_us <= span && !tip_is_overtaken(tip);
}

/* Nothing is pinned for ever to what nobody confirms, or the chain would stand still for clients
 * when questions about heads are all that fails. */
struct head_state tip_state(const struct heads *heads, const struct tip *tip, usec_t now)
{
	struct head_state s = *head_state(tip->head);
	usec_t span = MAX(heads->interval_us, s.block_us);

	s.pinnable = s.pinnable && now - tip->told_us <= span + HEAD_STALE_US;
	return s;
}

bool head_get(struct worker *w, const struct account *account, enum chain_tag tag,
	      struct head_state *ret)
{
	struct tip *tip = tip_of(w, &account->key.service, tag);

	pthread_mutex_lock(&tip->lock);
	*ret = tip_state(w->gateway->heads, tip, clock_mono_us());
	pthread_mutex_unlock(&tip->lock);
	return ret->known;
}

/* --- what is told --- */

void service_keep_head(struct service *service, struct reuse *reuse,
		       const struct head_report *report)
{
	struct tip *tip = &service->tips[CHAIN_TAG_LATEST];
	const struct head_state *s = head_state(tip->head);
	const struct head_report alone = {.has_hash = true, .block = s->block};

	if (!s->pinnable)
		return;
	if (report && report->has_hash && ID_EQ(&report->block.hash, &s->block.hash) &&
	    report->block.number == s->block.number)
		reuse_head(reuse, &service->name, report);
	else if (!ID_EQ(&tip->kept, &s->block.hash))
		reuse_head(reuse, &service->name, &alone);
	tip->kept = s->block.hash;
}

void service_show_head(const struct service *service)
{
	const struct head_state *s = head_state(service->tips[CHAIN_TAG_LATEST].head);

	metric_set_at(METRIC_GATEWAY_HEAD, service->label, 0,
		      (int64_t)MIN(s->number, (uint64_t)INT64_MAX));
}

void head_heard(struct worker *w, const struct member *member, enum chain_tag tag,
		const struct head_report *report)
{
	const struct session_member *info = member_info(member);
	struct heads *heads = w->gateway->heads;
	struct service *service =
		&heads->services[heads_at(heads, &member->session->info->service)];
	struct tip *tip = &service->tips[tag];
	usec_t now = clock_mono_us();
	const struct head_state *s;

	pthread_mutex_lock(&tip->lock);
	head_join(tip->head, &info->key, &info->owner, info->weight, now);
	head_tell(tip->head, &info->key, report, now);
	s = head_state(tip->head);
	if (s->falls > tip->falls) {
		tip->falls = s->falls;
		metric_add_at(METRIC_GATEWAY_HEAD_FALLS, service->label, 0, 1);
		log_warn("gateway.head_fell", "service=%s height=%llu", service->name.s,
			 (unsigned long long)s->number);
	}
	if (tag == CHAIN_TAG_LATEST) {
		service_keep_head(service, w->gateway->reuse, report);
		service_show_head(service);
	}
	pthread_mutex_unlock(&tip->lock);
}

void head_missed(struct worker *w, const struct member *member, enum chain_tag tag,
		 const struct hash *hash)
{
	struct heads *heads = w->gateway->heads;
	struct service *service =
		&heads->services[heads_at(heads, &member->session->info->service)];
	struct tip *tip = &service->tips[tag];
	usec_t now = clock_mono_us();

	pthread_mutex_lock(&tip->lock);
	head_lack(tip->head, &member->supplier->key, hash, now);
	if (tag == CHAIN_TAG_LATEST)
		service_keep_head(service, w->gateway->reuse, NULL);
	tip->wrote_us = now; /* whether there was a reorganisation is to be asked */
	pthread_mutex_unlock(&tip->lock);
}

void head_told(struct worker *w, const struct account *account, uint64_t number)
{
	struct tip *tip = tip_of(w, &account->key.service, CHAIN_TAG_LATEST);

	pthread_mutex_lock(&tip->lock);
	head_give(tip->head, number);
	pthread_mutex_unlock(&tip->lock);
}

void head_wrote(struct worker *w, const struct account *account)
{
	struct tip *tip = tip_of(w, &account->key.service, CHAIN_TAG_LATEST);

	pthread_mutex_lock(&tip->lock);
	tip->wrote_us = clock_mono_us();
	pthread_mutex_unlock(&tip->lock);
}

/* A block that may well be there, though it is not known who has it. */
static bool is_just_beyond(const struct head_state *head, uint64_t number)
{
	return number > head->reached && number - head->reached <= HEAD_GAP;
}

bool head_asked(struct worker *w, const struct account *account, uint64_t number)
{
	struct tip *tip = tip_of(w, &account->key.service, CHAIN_TAG_LATEST);
	const struct head_state *s;
	bool known;

	pthread_mutex_lock(&tip->lock);
	s = head_state(tip->head);
	known = s->known && number <= s->reached;
	if (tip->asked_for > s->reached && !is_just_beyond(s, tip->asked_for))
		tip->asked_for = 0; /* of a chain that was left */
	if (is_just_beyond(s, number) && number > tip->asked_for) {
		tip->asked_for = number;
		tip->wrote_us = clock_mono_us();
	}
	pthread_mutex_unlock(&tip->lock);
	return known;
}

/* --- laggards --- */

static void refresh_lags(struct worker *w, struct session *session, usec_t now)
{
	struct tip *tip = tip_of(w, &session->info->service, CHAIN_TAG_LATEST);

	session->lags_us = now;
	session->has_max = 0;
	pthread_mutex_lock(&tip->lock);
	for (size_t i = 0; i < session->count; i++) {
		struct member *m = &session->members[i];

		m->lag = head_lag(tip->head, &m->supplier->key, now);
		m->has = head_has(tip->head, &m->supplier->key);
		session->has_max = MAX(session->has_max, m->has);
	}
	pthread_mutex_unlock(&tip->lock);
	for (size_t i = 0; i < session->count; i++)
		quality_set_lag(&session->members[i].standing->q, session->members[i].lag);
}

void head_look_at_lags(struct worker *w, struct session *session, uint64_t newest, usec_t now)
{
	if (session->lags_us == 0 || now - session->lags_us > HEAD_LAGS_US ||
	    newest > session->has_max)
		refresh_lags(w, session, now);
}

uint64_t head_newest(const struct head_state *head, uint64_t last)
{
	if (!head->known || (last < head->reached && head->reached - last > HEAD_NEAR))
		return 0;
	return is_just_beyond(head, last) ? last : MIN(last, MAX(head->reached, head->floor));
}

/* The two are measured from heights of two moments, between which a block or two may have come. */
bool head_is_behind(const struct member *member, uint64_t below)
{
	return member->lag > HEAD_GAP && member->lag > below - MIN(below, HEAD_GAP);
}
