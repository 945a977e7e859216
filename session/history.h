/* SPDX-License-Identifier: Apache-2.0
 * The model of a registry in memory: append-only entries, each with the height at which it takes
 * effect ([S12]), and what they say as of any height.
 *
 * Built by adding entries in any order, then sealed; from then on immutable and free to share among
 * threads.  Seeds are not in it: they grow by one each height and live in struct seed_run.  No IO:
 * session/registry reads and writes the entries. */
#ifndef SESSION_HISTORY_H
#define SESSION_HISTORY_H

#include "session/session.h"
#include "session/table.h"

#define ENDPOINT_MAX 255 /* bytes of text */
#define SERVICES_PER_SUPPLIER_MAX 32
#define GRANTS_PER_APPLICATION_MAX 4096

struct params_entry {
	height_t height; /* from which it counts */
	struct session_params params;
};

struct service_entry {
	height_t height;
	struct service_name name;
	struct hash table; /* SHA-256 of its method table ([M2]) */
};

struct supplier_entry {
	height_t height;
	struct key_id key;
	struct owner_id owner;
	u128 stake;	  /* 0: unstaked */
	u128 burned;	  /* of stake that stood, all penalties so far ([P6]) */
	u128 burned_thaw; /* of stake that was on its way out */
	uint64_t price;
	uint32_t services_n;
	struct service_name *services; /* sorted, distinct */
	char *endpoint;		       /* "host:port" or "unix:/path" */
};

struct application_entry {
	height_t height;
	struct key_id key;
	u128 escrow;	 /* not being withdrawn */
	u128 spent;	 /* of escrow that stood, all payments so far ([P6]) */
	u128 spent_thaw; /* of escrow that was on its way out */
};

struct grant_entry {
	height_t height;
	struct key_id application;
	struct key_id gateway;
	struct service_name service;
	u128 budget;		    /* tokens a session; 0: revoked */
	uint64_t nonce;		    /* each larger than the one before */
	struct signature signature; /* the application's, over grant_bytes() */
};

/* Heights at which nobody kept the registry ([Y3]). */
struct pause_entry {
	height_t height; /* at which the keeper was back */
	uint64_t missed; /* heights just before it, at which it was not there */
	uint64_t before; /* heights of all earlier pauses; history_seal() sets it */
};

struct history;

/* An empty history; until it is sealed entries may be added.  unref() frees it. */
struct history *history_create(const struct network_id *network, const struct session_clock *clock);
/* What its network's id is made of, if it is of kind 2 ([K2]): for whoever writes it down again. */
void history_set_tail(struct history *h, const uint8_t tail[32]);
/* Shares a sealed history; each ref needs its unref.  unref(NULL) is a no-op. */
struct history *history_ref(struct history *h);
void history_unref(struct history *h);
DEFINE_CLEANUP(struct history *, history_unref)

/* Adding copies the entry with all that it points to.  Values are checked here: ranges, names,
 * endpoint text (printable ASCII without spaces), parameters.  The signature of a grant is not
 * (grant_verify()).  Errors: ERR_RANGE or ERR_FORMAT. */
MUST_USE bool history_add_params(struct history *h, const struct params_entry *e, struct err *err);
MUST_USE bool history_add_service(struct history *h, const struct service_entry *e,
				  struct err *err);
MUST_USE bool history_add_supplier(struct history *h, const struct supplier_entry *e,
				   struct err *err);
MUST_USE bool history_add_application(struct history *h, const struct application_entry *e,
				      struct err *err);
MUST_USE bool history_add_grant(struct history *h, const struct grant_entry *e, struct err *err);
MUST_USE bool history_add_pause(struct history *h, const struct pause_entry *e, struct err *err);

/* Sorts, and checks what no single entry shows: parameters from height 0 on with the same fixed
 * ones; no two entries of one thing with the same height; nonces of a grant strictly increasing
 * with height; pauses apart from each other; bounds on counts.  Errors: ERR_FORMAT, ERR_RANGE. */
MUST_USE bool history_seal(struct history *h, struct err *err);

/* --- what a sealed history says --- */
const struct network_id *history_network(const struct history *h);
/* The 32 bytes of history_set_tail(); zeros when it was not called. */
const uint8_t *history_network_tail(const struct history *h);
const struct session_clock *history_clock(const struct history *h);
/* The largest height at which any entry takes effect. */
height_t history_last_change(const struct history *h);

/* What counts at a height; NULL when nothing does yet.  O(log n). */
const struct session_params *history_params(const struct history *h, height_t height);
const struct service_entry *history_service(const struct history *h,
					    const struct service_name *name, height_t height);
const struct supplier_entry *history_supplier(const struct history *h, const struct key_id *key,
					      height_t height);
const struct application_entry *history_application(const struct history *h,
						    const struct key_id *key, height_t height);
const struct grant_entry *history_grant(const struct history *h, const struct key_id *application,
					const struct key_id *gateway,
					const struct service_name *service, height_t height);

/* All entries, sorted as they are exported: by what they are about, then by height. */
const struct params_entry *history_all_params(const struct history *h, size_t *ret_n);
const struct service_entry *history_all_services(const struct history *h, size_t *ret_n);
const struct supplier_entry *history_all_suppliers(const struct history *h, size_t *ret_n);
const struct application_entry *history_all_applications(const struct history *h, size_t *ret_n);
const struct grant_entry *history_all_grants(const struct history *h, size_t *ret_n);
const struct pause_entry *history_all_pauses(const struct history *h, size_t *ret_n);

/* The stake table of a service as of a snapshot height; `index` of each row leads to
 * history_all_suppliers()[index].  Errors: ERR_NO_SESSION when there is no such service at that
 * height; as stake_table_create(). */
MUST_USE bool history_table(const struct history *h, const struct service_name *service,
			    height_t snapshot, struct stake_table **ret, struct err *err);

/* First height whose seed a gateway or a node may still need when the last one is `last_seed`: that
 * of the oldest session that can be unsettled, with one to spare. */
height_t history_seeds_from(const struct history *h, height_t last_seed);

/* True iff the tables of a service as of the two heights are the same because nothing that they are
 * made of changed in (a, b]; a <= b. */
bool history_table_same(const struct history *h, height_t a, height_t b);

/* What an application must have in escrow for its grants to be active in the session ([P3]):
 * claim_horizon x the sum of the largest budgets.  O(grants x horizon). */
u128 history_escrow_needed(const struct history *h, const struct key_id *application,
			   height_t start);

/* The allowance of a gateway in a session under its grant ([P1], [P3]).
 * Errors: ERR_NO_SESSION when start is not that of an existing session; ERR_GRANT, with the reason,
 * when there is no grant, it is revoked, or the escrow does not carry the application's grants. */
MUST_USE bool history_allowance(const struct history *h, const struct key_id *application,
				const struct key_id *gateway, const struct service_name *service,
				height_t start, u128 *ret, struct err *err);

/* First height whose withdrawals are on their way out as of a height: a claim of a session whose
 * snapshot was earlier than they can still be open ([P6]).  Never falls as heights grow, whatever
 * parameters and pauses follow.  O(parameters x log pauses). */
height_t history_thaw_from(const struct history *h, height_t height);

/* Tokens that were unstaked, or taken out of escrow, and have not left yet as of a height, less
 * what penalties and payments took of them. */
u128 history_thawing_stake(const struct history *h, const struct key_id *key, height_t height);
u128 history_thawing_escrow(const struct history *h, const struct key_id *key, height_t height);

/* What the entries of one supplier or application say of its tokens ([P6]).  A deposit is an
 * increase of standing + taken, a withdrawal its decrease: what is taken moves from one to the
 * other.  What is taken of withdrawn tokens is taken of those first that leave first. */
struct thaw_entry {
	height_t height;
	u128 standing;	 /* stake or escrow */
	u128 taken;	 /* burned or spent; never falls */
	u128 taken_thaw; /* never falls */
};

/* Where all tokens are that ever came in: in = standing + taken + taken_thaw + thawing + left. */
struct thaw_state {
	u128 in;
	u128 standing, taken, taken_thaw; /* of the entry that counts */
	u128 thawing;			  /* withdrawn, and liable still */
	u128 left;			  /* withdrawn, and gone */
};

/* The state as of a height.  In: e  the entries of one thing from its first on, ascending in height
 * with no two the same, n of them; those after `height` do not count.  False: more was taken of
 * what thawed than there was; ret is set all the same, and does not add up.  O(n). */
bool history_thaw(const struct history *h, const struct thaw_entry *e, size_t n, height_t height,
		  struct thaw_state *ret);

/* Makes the last of n entries consistent again after a deposit at the same height took back a
 * withdrawal of which something was paid already: that counts as paid out of what stands. */
void history_thaw_mend(const struct history *h, struct thaw_entry *e, size_t n);

/* All money of a network as of a height.  False, with ret set: it does not add up.
 * deposits = spent + burned + stakes + escrow + thawing + left, to the unit. */
struct history_books {
	u128 deposits;
	u128 spent;  /* to owners, out of escrow; what thawed included */
	u128 burned; /* of stakes; what thawed included */
	u128 stakes, escrow;
	u128 thawing_stakes, thawing_escrow;
	u128 left;
};
bool history_books(const struct history *h, height_t height, struct history_books *ret);

/* The bytes that the application key signs ([K3]), appended to `out`. */
struct buf;
void grant_bytes(const struct network_id *network, const struct grant_entry *e, struct buf *out);
/* True iff the signature is the application key's over those bytes. */
MUST_USE bool grant_verify(const struct network_id *network, const struct grant_entry *e);

/* --- seeds: a run of heights, in ascending order, gaps allowed --- */
struct height_seed {
	height_t height;
	struct seed seed;
};

struct seed_run {
	size_t n;
	size_t cap;
	struct height_seed *v;
};

/* Frees what the run holds. */
void seed_run_finish(struct seed_run *run);
static inline void seed_run_finish_at(struct seed_run *run)
{
	seed_run_finish(run);
}
/* height must be larger than the last one's; false when it is not. */
MUST_USE bool seed_run_add(struct seed_run *run, height_t height, const struct seed *seed);
/* Index of the first seed at or above a height; run->n when there is none.  O(log n). */
size_t seed_run_index(const struct seed_run *run, height_t height);
/* NULL when the run has none for this height.  O(log n). */
const struct seed *seed_run_find(const struct seed_run *run, height_t height);
/* Drops the seeds below a height. */
void seed_run_drop_below(struct seed_run *run, height_t height);

#endif
