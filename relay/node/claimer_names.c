/* SPDX-License-Identifier: Apache-2.0
 * Whose sessions are of which only adopted leaves are left ([L8]): a leaf names its session by an
 * id that is made of the application, the service, the start and a seed, so all there are are
 * tried. */
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/crypto/table.h"
#include "relay/node/claimer_private.h"
#include "session/session.h"

#define NAMES_MAX 1024	  /* sessions looked for at once */
#define AGAIN_US 60000000 /* from one search that left some to the next */

struct nameless {
	struct session_id id;
	UT_hash_handle hh;
};

struct search {
	struct claimer *claimer;
	struct nameless *left;
	size_t n;
	bool failed;
};

static bool on_nameless(void *arg, const struct session_id *id)
{
	struct search *s = arg;
	struct nameless *one = xcalloc(1, sizeof(*one));

	one->id = *id;
	HASH_ADD(hh, s->left, id, sizeof(one->id), one);
	return ++s->n < NAMES_MAX;
}

static void found(struct search *s, struct nameless *one, const struct ledger_session *session,
		  struct err *err)
{
	char hex[65];

	s->failed = s->failed || !claims_name_session(s->claimer->book, session, err);
	log_info("claims.session_found", "session=%s start=%" PRIu64,
		 hex_encode(session->id.b, 32, hex), session->start);
	HASH_DEL(s->left, one);
	free(one);
}

/* All sessions of one application and service that the seeds allow. */
static void try_pair(struct search *s, const struct key_id *application,
		     const struct service_name *service, struct err *err)
{
	const struct registry_view *view = s->claimer->view;
	const struct session_params *p = view_params(view, 0);
	const struct seed_run *seeds = view_seeds(view);

	for (size_t i = 0; i < seeds->n && s->left && !s->failed; i++) {
		struct ledger_session session = {.application = *application,
						 .service = *service,
						 .start = seeds->v[i].height + p->seed_lag};
		struct nameless *one;

		if (!session_exists(p, session.start))
			continue;
		session.id = session_id_derive(view_network(view), application, service,
					       session.start, &seeds->v[i].seed);
		HASH_FIND(hh, s->left, &session.id, sizeof(session.id), one);
		if (one)
			found(s, one, &session, err);
	}
}

static void try_all(struct search *s, struct err *err)
{
	size_t grants_n;
	const struct history *h = view_history(s->claimer->view);
	const struct grant_entry *grants = history_all_grants(h, &grants_n);

	for (size_t i = 0; i < grants_n; i++) {
		const struct grant_entry *g = &grants[i];

		/* sorted by application, gateway, service: neighbours may say the same */
		if (i == 0 || !ID_EQ(&g->application, &grants[i - 1].application) ||
		    strcmp(g->service.s, grants[i - 1].service.s) != 0)
			try_pair(s, &g->application, &g->service, err);
	}
}

bool claimer_find_names(struct claimer *c, struct err *err)
{
	struct search s = {.claimer = c};
	struct nameless *one, *tmp;
	bool ok;

	ok = claims_each_nameless(c->book, on_nameless, &s, err);
	if (ok && s.n > 0 && (s.n != c->nameless || clock_now_us() >= c->names_us)) {
		try_all(&s, err);
		ok = !s.failed;
		c->names_us = clock_now_us() + AGAIN_US;
	}
	c->nameless = HASH_COUNT(s.left);
	HASH_ITER (hh, s.left, one, tmp) {
		HASH_DEL(s.left, one);
		free(one);
	}
	return ok;
}
