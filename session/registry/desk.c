/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/desk.h"

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "session/registry/desk_url.h"
#include "session/registry/source.h"
#include "session/registry/store_claims.h"
#include "session/settle.h"

#define LIST_STEP 256 /* claims read before others may write */

/* One of the two. */
struct desk {
	struct store *store;
	struct desk_url *url;
};

static bool open_store(const char *path, const struct key_id *pinned, struct store **ret,
		       struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	bool sqlite;

	if (!source_is_sqlite(path, &sqlite, err))
		return false;
	if (!sqlite)
		return err_set(err, ERR_REGISTRY,
			       "%s is a registry file, which cannot take claims: give the registry "
			       "itself, or the URL of `registry serve'",
			       path);
	if (!store_open(path, &store, err))
		return false;
	if (pinned && !ID_EQ(pinned, store_key(store)))
		return err_set(err, ERR_REGISTRY,
			       "%s belongs to another registry key than the pinned", path);
	*ret = STEAL(store);
	return true;
}

bool desk_open(const char *source, const struct key_id *pinned, struct desk **ret, struct err *err)
{
	CLEANUP(desk_close) struct desk *desk = xcalloc(1, sizeof(*desk));

	if (!source_is_url(source)) {
		if (!open_store(source, pinned, &desk->store, err))
			return false;
	} else if (!pinned) {
		return err_set(err, ERR_REGISTRY, "the URL of a registry needs the registry key");
	} else {
		desk->url = desk_url_create(source, pinned);
	}
	*ret = STEAL(desk);
	return true;
}

void desk_close(struct desk *desk)
{
	if (!desk)
		return;
	store_close(desk->store);
	desk_url_destroy(desk->url);
	free(desk);
}

void desk_stop(struct desk *desk)
{
	if (desk->url)
		desk_url_stop(desk->url);
}

bool desk_claim(struct desk *desk, const struct claim *c, const struct signature *sig,
		struct view records, struct desk_claim *ret, struct err *err)
{
	if (records.n > (size_t)DESK_RECORDS_MAX * CLAIM_RECORD_SIZE)
		return err_set(err, ERR_CLAIM, "%s: a desk takes %d of one claim at most",
			       settle_fault_name(SETTLE_RECORDS), DESK_RECORDS_MAX);
	return desk->url ? desk_url_claim(desk->url, c, sig, records, ret, err)
			 : store_claim(desk->store, clock_now_ms(), c, sig, records, ret, err);
}

bool desk_prove(struct desk *desk, const struct claim_id *id, struct view proof,
		const struct signature *sig, struct desk_claim *ret, struct err *err)
{
	if (proof.n > CLAIM_PROOF_MAX)
		return err_set(err, ERR_CLAIM, "%s: over %d bytes", settle_fault_name(SETTLE_FORM),
			       CLAIM_PROOF_MAX);
	return desk->url ? desk_url_prove(desk->url, id, proof, sig, ret, err)
			 : store_prove(desk->store, clock_now_ms(), id, proof, sig, ret, err);
}

bool desk_look(struct desk *desk, const struct claim_id *id, struct desk_claim *ret,
	       struct err *err)
{
	return desk->url ? desk_url_look(desk->url, id, ret, err)
			 : store_look(desk->store, id, ret, err);
}

struct listing {
	desk_claim_fn *fn;
	void *arg;
	bool stopped;
};

static bool on_claim(void *arg, const struct claim *c, const struct desk_claim *state)
{
	struct listing *l = arg;

	l->stopped = !l->fn(l->arg, c, state);
	return !l->stopped;
}

bool desk_list(struct desk *desk, const struct key_id *supplier, height_t since, desk_claim_fn *fn,
	       void *arg, struct err *err)
{
	struct listing l = {fn, arg, false};
	struct store_place at = {0};
	bool more = true;

	if (desk->url)
		return desk_url_list(desk->url, supplier, since, fn, arg, err);
	while (more && !l.stopped)
		if (!store_list(desk->store, supplier, since, LIST_STEP, &at, &more, on_claim, &l,
				err))
			return false;
	return true;
}

bool desk_records(struct desk *desk, const struct claim *c, const struct desk_claim *state,
		  struct buf *ret, struct err *err)
{
	CLEANUP(buf_finish) struct buf records = {0};
	struct hash root;

	if (!(desk->url ? desk_url_records(desk->url, state, &records, err)
			: store_records(desk->store, &state->id, &records, err)))
		return false;
	if (records.n == 0 || records.n != (size_t)c->records * CLAIM_RECORD_SIZE)
		return err_set(err, ERR_REGISTRY, "the records of a claim are not there");
	claim_records_root(buf_view(&records), &root);
	if (!ID_EQ(&root, &c->root))
		return err_set(err, ERR_REGISTRY, "the records of a claim are not its own");
	buf_put(ret, records.p, records.n);
	return true;
}
