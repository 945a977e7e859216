/* SPDX-License-Identifier: Apache-2.0
 * The books: whose a session is, when its ledger does not know. */
#include "relay/ledger/claims_inside.h"

#define GATEWAYS_MAX 64 /* that a supplier has lanes of one session with */

bool claims_each_nameless(struct claims *claims, claims_nameless_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_NAMELESS, err);
	struct session_id id;
	bool found = true, on = true;

	if (stmt == NULL)
		return false;
	while (on && found) {
		if (!claims_step(stmt, &found, err))
			return false;
		if (found && store_blob(stmt, 0, id.b, sizeof(id.b)))
			on = fn(arg, &id);
	}
	sqlite3_reset(stmt);
	return true;
}

/* The gateways of its lanes; more than GATEWAYS_MAX are named by the next call. */
static bool gateways_of(struct claims *claims, int64_t session, struct key_id *ret, size_t *ret_n,
			struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_SESSION_GATEWAYS, err);
	bool found = true;

	*ret_n = 0;
	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, session);
	while (found && *ret_n < GATEWAYS_MAX) {
		if (!claims_step(stmt, &found, err))
			return false;
		if (found && store_blob(stmt, 0, ret[*ret_n].b, sizeof(ret->b)))
			(*ret_n)++;
	}
	sqlite3_reset(stmt);
	return true;
}

static bool name_rows(struct claims *claims, int64_t number, const struct ledger_session *session,
		      const struct key_id *gateway, struct err *err)
{
	sqlite3_stmt *stmt;
	int64_t account;

	if (!claims_account(claims, &session->application, gateway, &session->service, &account,
			    err))
		return false;
	stmt = claims_sql(claims, SQL_EARNED_NAME, err);
	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, number);
	BIND_ID(stmt, 2, gateway);
	sqlite3_bind_int64(stmt, 3, account);
	sqlite3_bind_int64(stmt, 4, (int64_t)session->start);
	return claims_run(stmt, err);
}

static bool name_session(struct claims *claims, const struct ledger_session *session,
			 struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_SESSION_NAME, err);
	struct key_id gateways[GATEWAYS_MAX];
	int64_t number = 0;
	bool found;
	size_t n;

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, &session->id);
	BIND_ID(stmt, 2, &session->application);
	sqlite3_bind_text(stmt, 3, session->service.s, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, (int64_t)session->start);
	if (!claims_step(stmt, &found, err))
		return false;
	if (found)
		number = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	if (!found)
		return true;
	if (!gateways_of(claims, number, gateways, &n, err))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!name_rows(claims, number, session, &gateways[i], err))
			return false;
	return true;
}

bool claims_name_session(struct claims *claims, const struct ledger_session *session,
			 struct err *err)
{
	return claims_begin(claims, err) &&
	       claims_end(claims, name_session(claims, session, err), err);
}
