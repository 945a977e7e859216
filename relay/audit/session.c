/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/session.h"

#include <inttypes.h>

#include "relay/audit/registry.h"
#include "relay/base/mem.h"
#include "relay/crypto/table.h"
#include "session/budget.h"

/* One session between two parties, over all lanes of the folder. */
struct served {
	struct {
		struct session_id session;
		struct key_id gateway;
		struct key_id supplier;
	} key;
	bool bounded;	/* allowance and price are known */
	bool refused;	/* the allowance was passed, and that was said */
	u128 allowance; /* tokens */
	uint64_t price;
	u128 cu;
	UT_hash_handle hh;
};

struct sessions {
	const struct audit_folder *folder;
	struct audit_report *report;
	const struct registry_view *view;
	struct served *served;
};

static struct served *served_of(struct sessions *s, const struct audit_lane *lane,
				const struct session_id *id)
{
	struct served *found, probe;

	memset(&probe.key, 0, sizeof(probe.key));
	probe.key.session = *id;
	probe.key.gateway = lane->parties.origin.gateway;
	probe.key.supplier = lane->parties.origin.supplier;
	HASH_FIND(hh, s->served, &probe.key, sizeof(probe.key), found);
	if (found != NULL)
		return found;
	found = xcalloc(1, sizeof(*found));
	found->key = probe.key;
	HASH_ADD(hh, s->served, key, sizeof(found->key), found);
	return found;
}

/* True iff the session can be derived, is the one that the leaves name, and has the supplier as a
 * member, whose price it gives. */
static bool check_member(const struct sessions *s, const struct audit_lane *lane,
			 const struct audit_session *session, uint64_t *ret_price)
{
	const struct lane_id *id = &lane->parties.origin.lane;
	CLEANUP(xfree) struct session_info *info = NULL;
	struct err err;

	if (!view_session(s->view, &session->application, &session->service, session->start, &info,
			  &err)) {
		bool stale = err.code == ERR_REGISTRY_STALE;

		audit_find(s->report, stale ? AUDIT_OPEN : AUDIT_LOCAL,
			   stale ? "seed" : "no_session", id, AUDIT_NO_SEQ,
			   "session of %s at %" PRIu64 ": %s", session->service.s, session->start,
			   err.msg);
		return false;
	}
	if (!ID_EQ(&info->id, &session->id)) {
		audit_find(s->report, AUDIT_LOCAL, "session_id", id, AUDIT_NO_SEQ,
			   "the session of %s at %" PRIu64 " has another id", session->service.s,
			   session->start);
		return false;
	}
	const struct method_table *methods = audit_folder_methods(s->folder, &session->service);
	if (methods != NULL && !ID_EQ(method_table_hash(methods), &info->method_table))
		audit_find(s->report, AUDIT_LOCAL, "methods", id, AUDIT_NO_SEQ,
			   "the method table of %s is not the registry's at %" PRIu64,
			   session->service.s, session->start);
	const struct session_member *member =
		session_info_member(info, &lane->parties.origin.supplier);
	if (member == NULL) {
		audit_find(s->report, AUDIT_LOCAL, "not_member", id, AUDIT_NO_SEQ,
			   "the supplier was not drawn for the session of %s at %" PRIu64,
			   session->service.s, session->start);
		return false;
	}
	*ret_price = member->price;
	return true;
}

/* Checks one session of a lane against the registry. */
static void check_session(struct sessions *s, const struct audit_lane *lane,
			  const struct audit_session *session)
{
	const struct lane_id *id = &lane->parties.origin.lane;
	struct served *served = served_of(s, lane, &session->id);
	struct err err;

	audit_count(s->report, "sessions", 1);
	if (!check_member(s, lane, session, &served->price))
		return;
	if (!view_allowance(s->view, &session->application, &lane->parties.origin.gateway,
			    &session->service, session->start, &served->allowance, &err)) {
		bool stale = err.code == ERR_REGISTRY_STALE;

		audit_find(s->report, stale ? AUDIT_OPEN : AUDIT_LOCAL, stale ? "seed" : "grant",
			   id, AUDIT_NO_SEQ, "session of %s at %" PRIu64 ": %s", session->service.s,
			   session->start, err.msg);
		return;
	}
	served->bounded = true;
	audit_count(s->report, "entitled", 1);
}

/* Adds a leaf's CU to what was served in its session, and compares with the allowance ([P4]).  What
 * was never delivered was not paid for either, but it was served. */
static void add_leaf(struct sessions *s, const struct audit_lane *lane, uint64_t seq,
		     struct served **last)
{
	const struct lane_id *id = &lane->parties.origin.lane;
	struct leaf leaf;

	if (leaf_decode(audit_lane_leaf(lane, seq), &leaf) != LEAF_FINE)
		return; /* verify says so */
	if (*last == NULL || !ID_EQ(&(*last)->key.session, &leaf.session)) {
		*last = served_of(s, lane, &leaf.session);
		if (audit_lane_session(lane, &leaf.session) == NULL)
			audit_find(s->report, AUDIT_OPEN, "session_unknown", id, seq,
				   "the export does not say what its session is");
	}
	struct served *served = *last;
	served->cu += leaf.cu;
	if (!served->bounded || served->refused || served->cu == 0)
		return;
	cu_t cu = served->cu > UINT64_MAX ? UINT64_MAX : (cu_t)served->cu;
	if (!budget_may_serve(served->allowance, served->price, 0, cu)) {
		audit_find(s->report, AUDIT_LOCAL, "allowance", id, seq,
			   "with this leaf its session costs more than the grant allows");
		served->refused = true;
	}
}

static void check_lane(struct sessions *s, const struct audit_lane *lane)
{
	struct served *last = NULL;

	for (size_t i = 0; i < lane->sessions_n; i++)
		check_session(s, lane, &lane->sessions[i]);
	for (uint64_t seq = 0; seq < lane->size; seq++)
		add_leaf(s, lane, seq, &last);
}

void audit_sessions(const struct audit_folder *folder, struct view registry,
		    const struct key_id *pinned, struct audit_report *report)
{
	CLEANUP(audit_registry_finish) struct audit_registry opened = {.view = NULL};
	struct sessions s = {.folder = folder, .report = report};
	struct served *served, *next;

	audit_count(report, "lanes", folder->lanes_n);
	audit_count(report, "sessions", 0);
	audit_count(report, "entitled", 0);
	if (registry.p == NULL) {
		audit_find(report, AUDIT_OPEN, "no_registry", NULL, AUDIT_NO_SEQ,
			   "the folder has no registry file and none was given");
		return;
	}
	if (!audit_registry_open(registry, pinned, &folder->network, report, &opened))
		return;
	s.view = opened.view;
	for (size_t i = 0; i < folder->lanes_n; i++)
		check_lane(&s, &folder->lanes[i]);
	HASH_ITER (hh, s.served, served, next) {
		HASH_DEL(s.served, served);
		free(served);
	}
}
