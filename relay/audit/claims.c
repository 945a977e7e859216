/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/claims.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "relay/audit/claims_inside.h"
#include "relay/base/mem.h"

static const char *const fate_names[] = {
	"paid",	      "recorded",	"forfeited",	    "claimable",   "window_closed",
	"not_listed", "over_allowance", "no_cosigned_head", "undelivered", "not_entitled",
	"free"};

const char *claims_fate_name(enum claims_fate fate)
{
	static_assert(ARRAY_SIZE(fate_names) == CLAIMS_FATE_COUNT, "a name each");
	return fate_names[fate];
}

void claims_find(const struct claims_audit *a, enum audit_weight weight, const char *kind,
		 const struct claims_entry *e, const struct lane_id *lane, uint64_t seq,
		 const char *fmt, ...)
{
	char text[ERR_MSG_MAX], id[65];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	audit_find(a->report, weight, kind, lane, seq, "claim %s: %s",
		   hex_encode(e->id.b, sizeof(e->id.b), id), text);
}

bool claims_terms(void *arg, const struct claim *c, height_t start, struct settle_terms *ret,
		  struct err *err)
{
	struct claims_audit *a = arg;
	const struct session_params *p = history_params(a->history, 0);
	const struct service_entry *service;

	if (!session_exists(p, start))
		return err_set(err, ERR_NO_SESSION, "no session starts at height %" PRIu64, start);
	if (!settle_book_terms(a->book, c, start, ret, err))
		return false;
	service = history_service(a->history, &c->service, session_snapshot_height(p, start));
	for (size_t i = 0; i < a->folders_n && ret->table == NULL && service != NULL; i++) {
		const struct method_table *table =
			audit_folder_methods(&a->folders[i], &c->service);

		if (table != NULL && ID_EQ(method_table_hash(table), &service->table))
			ret->table = table;
	}
	return true;
}

int claims_four_order(const struct claim *a, const struct claim *b)
{
	int order = memcmp(&a->supplier, &b->supplier, sizeof(a->supplier));

	order = order ? order : memcmp(&a->application, &b->application, sizeof(a->application));
	order = order ? order : memcmp(&a->gateway, &b->gateway, sizeof(a->gateway));
	return order ? order : strcmp(a->service.s, b->service.s);
}

int claims_order(const struct claim *a, const struct claim *b)
{
	int order = claims_four_order(a, b);

	if (order == 0 && a->from != b->from)
		order = a->from < b->from ? -1 : 1;
	return order;
}

static int entry_order(const void *x, const void *y)
{
	const struct claims_entry *a = *(const struct claims_entry *const *)x;
	const struct claims_entry *b = *(const struct claims_entry *const *)y;
	int order = claims_order(&a->claim, &b->claim);

	return order ? order : memcmp(a->id.b, b->id.b, sizeof(a->id.b));
}

static const struct claims_entry **sort_entries(const struct claims_file *file)
{
	const struct claims_entry **sorted = xcalloc(file->n, sizeof(*sorted));

	for (size_t i = 0; i < file->n; i++)
		sorted[i] = &file->v[i];
	if (file->n > 0)
		qsort(sorted, file->n, sizeof(*sorted), entry_order);
	return sorted;
}

/* Ranges do not overlap, or that is a finding: so it is the last one that begins by then. */
const struct claims_entry *claims_covering(const struct claims_audit *a, const struct claim *four,
					   height_t start)
{
	size_t low = 0, high = a->file->n;
	struct claim probe = *four;

	probe.from = start;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (claims_order(&a->sorted[mid]->claim, &probe) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || claims_four_order(&a->sorted[low - 1]->claim, four) != 0 ||
	    start >= a->sorted[low - 1]->claim.to)
		return NULL;
	return a->sorted[low - 1];
}

size_t claims_records(const struct claims_entry *e)
{
	return e->records.n / CLAIM_RECORD_SIZE;
}

bool claims_record(const struct claims_entry *e, size_t i, struct claim_record *ret)
{
	assert(i < claims_records(e));
	return claim_record_decode(e->records.p + i * CLAIM_RECORD_SIZE, ret);
}

void audit_claims(const struct audit_registry *registry, const struct claims_file *file,
		  const struct audit_folder *folders, size_t folders_n, struct audit_report *report,
		  struct audit_claims *ret)
{
	static const char *const counters[] = {"claims",	   "records",
					       "claims_right",	   "proofs_right",
					       "records_compared", "proof_leaves_same"};
	struct claims_audit a = {.history = registry->export.history,
				 .export = &registry->export,
				 .file = file,
				 .folders = folders,
				 .folders_n = folders_n,
				 .report = report,
				 .ret = ret};
	CLEANUP(xfree) struct claims_served *served = NULL;
	size_t n;

	*ret = (struct audit_claims){.height = 0};
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		audit_count(report, counters[i], 0);
	if (!ID_EQ(&file->network, history_network(a.history))) {
		audit_find(report, AUDIT_LOCAL, "network", NULL, AUDIT_NO_SEQ,
			   "the claims file is of another network");
		return;
	}
	a.sorted = sort_entries(file);
	a.book = settle_book_create(registry->export.history, &registry->export.seeds);
	claims_check_entries(&a);
	claims_check_money(&a);
	n = claims_check_lanes(&a, &served);
	claims_tell_fate(&a, served, n);
	settle_book_destroy(a.book);
	free(a.sorted);
}

void audit_claims_finish(struct audit_claims *claims)
{
	free(claims->rows);
	free(claims->owners);
	*claims = (struct audit_claims){.height = 0};
}

/* --- printing --- */

struct amount {
	const char *name;
	u128 value;
};

#define AMOUNTS 10

static void amounts_of(const struct audit_claims *c, struct amount ret[AMOUNTS])
{
	const struct history_books *m = &c->money;
	const struct amount all[AMOUNTS] = {{"deposits", m->deposits},
					    {"paid", m->spent},
					    {"burned", m->burned},
					    {"stakes", m->stakes},
					    {"escrow", m->escrow},
					    {"thawing", m->thawing_stakes + m->thawing_escrow},
					    {"left", m->left},
					    {"claims_paid", c->paid},
					    {"claims_burned", c->burned},
					    {"claims_open", c->open}};

	memcpy(ret, all, sizeof(all));
}

void audit_claims_put_text(const struct audit_claims *claims, struct buf *out)
{
	struct amount amounts[AMOUNTS];
	char cu[U128_TEXT_MAX], value[U128_TEXT_MAX];

	amounts_of(claims, amounts);
	buf_putf(out, "money at height %" PRIu64 "\n", claims->height);
	for (size_t i = 0; i < AMOUNTS; i++)
		buf_putf(out, "  %-22s %s\n", amounts[i].name, u128_text(amounts[i].value, value));
	for (size_t i = 0; i < claims->owners_n; i++) {
		buf_put_str(out, "owner ");
		buf_put_hex(out, claims->owners[i].owner.b, sizeof(claims->owners[i].owner.b));
		buf_putf(out, " was paid %s\n", u128_text(claims->owners[i].paid, value));
	}
	for (size_t i = 0; i < claims->rows_n; i++) {
		const struct claims_row *row = &claims->rows[i];

		if (i == 0 || !ID_EQ(&row->supplier, &row[-1].supplier) ||
		    !ID_EQ(&row->application, &row[-1].application) ||
		    strcmp(row->service.s, row[-1].service.s) != 0) {
			buf_put_str(out, "supplier ");
			buf_put_hex(out, row->supplier.b, sizeof(row->supplier.b));
			buf_putf(out, ", %s for ", row->service.s);
			buf_put_hex(out, row->application.b, sizeof(row->application.b));
			buf_put_str(out, "\n");
		}
		buf_putf(out, "  %-22s %s CU, %s\n", claims_fate_name(row->fate),
			 u128_text(row->cu, cu), u128_text(row->value, value));
	}
}

static void put_key(struct buf *out, const char *name, const void *p, size_t n)
{
	buf_putf(out, "\"%s\":\"", name);
	buf_put_hex(out, p, n);
	buf_put_str(out, "\",");
}

void audit_claims_put_json(const struct audit_claims *claims, struct buf *out)
{
	struct amount amounts[AMOUNTS];
	char cu[U128_TEXT_MAX], value[U128_TEXT_MAX];

	amounts_of(claims, amounts);
	buf_putf(out, "\"money\":{\"height\":%" PRIu64, claims->height);
	for (size_t i = 0; i < AMOUNTS; i++)
		buf_putf(out, ",\"%s\":\"%s\"", amounts[i].name,
			 u128_text(amounts[i].value, value));
	buf_put_str(out, "},\"owners\":[");
	for (size_t i = 0; i < claims->owners_n; i++) {
		buf_put_str(out, i ? ",{" : "{");
		put_key(out, "owner", claims->owners[i].owner.b, sizeof(claims->owners[i].owner.b));
		buf_putf(out, "\"paid\":\"%s\"}", u128_text(claims->owners[i].paid, value));
	}
	buf_put_str(out, "],\"cu\":[");
	for (size_t i = 0; i < claims->rows_n; i++) {
		const struct claims_row *row = &claims->rows[i];

		buf_put_str(out, i ? ",{" : "{");
		put_key(out, "supplier", row->supplier.b, sizeof(row->supplier.b));
		put_key(out, "application", row->application.b, sizeof(row->application.b));
		buf_putf(out, "\"service\":\"%s\",\"fate\":\"%s\",\"cu\":\"%s\",\"value\":\"%s\"}",
			 row->service.s, claims_fate_name(row->fate), u128_text(row->cu, cu),
			 u128_text(row->value, value));
	}
	buf_put_str(out, "]");
}
