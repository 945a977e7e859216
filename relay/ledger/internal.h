/* SPDX-License-Identifier: Apache-2.0
 * What the files of the ledger share; nobody outside relay/ledger includes this.
 *
 * Threads: loop threads put operations into the queue; the writer alone touches the databases and
 * the writer's half of each lane; the syncer fsyncs what must be durable before it is told; the
 * keeper moves WAL pages into the databases, counts bytes and drops what is over.  A loop thread is
 * the writer itself for one small batch when nobody else is (`writing`, decisions/0007).
 */
#ifndef RELAY_LEDGER_INTERNAL_H
#define RELAY_LEDGER_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include <sqlite3.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/crypto/table.h"
#include "relay/ledger/ledger.h"
#include "relay/receipt/tile.h"

#define LEDGER_PATH_MAX 4096
#define LEDGER_PAGE_BYTES 4096
#define LEDGER_BUSY_MS                                                                             \
	10000 /* a lock that another connection holds longer than this is a fault                  \
	       */
#define LEDGER_WAL_MIN (UINT64_C(512) << 10) /* bytes at which the writer rests for the keeper: */
#define LEDGER_WAL_MAX (UINT64_C(32) << 20)  /* max_bytes / 32 between these */
#define LEDGER_FREE_MIN (UINT64_C(64) << 20) /* bytes that the disk must keep free */
#define LEDGER_SALT_BYTES 16
#define LEDGER_PLACE_BYTES 8
#define EVIDENCE_HEAD 8 /* u32 request bytes || u32 response bytes */

/* --- store.c: connections --- */

enum store_mode { STORE_WRITE, STORE_READ };

/* Opens a database with our pragmas and, for STORE_WRITE, brings it to the newest migration of
 * `set` ("state", "leaves" or "claims").  STORE_READ refuses what is newer, and creates nothing. */
MUST_USE bool ledger_db_open(const char *path, const char *set, enum store_mode mode, sqlite3 **ret,
			     struct err *err);
void ledger_db_close(sqlite3 *db);
MUST_USE bool store_exec(sqlite3 *db, const char *sql, struct err *err);
MUST_USE bool store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *err);
/* Steps a statement that gives no row, and resets it. */
MUST_USE bool store_run(sqlite3_stmt *stmt, struct err *err);
/* ERR_LEDGER with sqlite's words, ERR_LEDGER_FULL when the disk is full; always false. */
bool store_fail(sqlite3 *db, const char *what, struct err *err);
#ifdef __clang_analyzer__ /* as err_set(): the one thing that it returns must be told */
#define store_fail(...)                                                                            \
	__extension__({                                                                            \
		(store_fail)(__VA_ARGS__);                                                         \
		false;                                                                             \
	})
#endif
/* "<dir>/<name>", into dst of LEDGER_PATH_MAX; returns dst. */
char *store_path(const char *dir, const char *name, char *dst);
void store_day_name(uint32_t day, char dst[32]);
/* Copies a blob of exactly n bytes; false when it has another length or is NULL. */
MUST_USE bool store_blob(sqlite3_stmt *stmt, int column, void *dst, size_t n);
static inline void store_stmt_finish_at(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}
#define STMT CLEANUP(store_stmt_finish) sqlite3_stmt

/* --- one database of the writer --- */

struct file {
	uint32_t day; /* 0: state.db */
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *rollback;
	sqlite3_stmt *turn, *tile, *part, *session; /* day files only */
	int wal_fd;				    /* for the syncer */
	bool open_txn;
	bool failed; /* a statement of this transaction failed: it will be rolled back */
	struct err err;
	_Atomic int wal_pages;
	int wal_pages_told;	  /* pages when the keeper was last told; 0 after a restart */
	_Atomic bool sync_wanted; /* syncer's mark while it gathers */
	_Atomic bool unsound;	  /* an fsync failed, and the WAL has not begun anew since */
	struct file *next;
};

/* --- operations --- */

enum op_kind {
	OP_OPEN,
	OP_RELEASE,
	OP_APPEND,
	OP_ADOPT,
	OP_COSIGN,
	OP_CLOSE,
	OP_DROP_DAY,
	OP_DRAIN
};

struct ledger_batch {
	enum op_kind kind;
	bool failed;
	bool restore;	 /* OP_OPEN: not live */
	bool sync_state; /* the syncer must see to state.db, to the lane's day file */
	bool sync_day;
	bool behind; /* OP_APPEND: counted in its lane's `unsynced` */
	struct ledger_batch *next;
	struct ledger_batch *group; /* OP_ADOPT: the batches before it */
	struct ledger_port *port;   /* NULL: the ledger's own */
	struct ledger_lane *lane;
	struct file *file;
	ledger_done_fn *done;
	void *arg;
	bool has_head;
	struct ledger_head head;
	struct ledger_cosigned cosigned;
	uint64_t final_size;
	uint32_t day;
	uint32_t n;
	uint64_t bytes;	      /* counted in ledger->queued_bytes */
	uint64_t evidence_at; /* segment << 40 | offset of evidence.p[0]; 0: not kept */
	uint32_t tabs_cap;
	struct ledger_tab **tabs;
	struct buf leaves;
	struct buf hashes;
	struct buf salts;
	struct buf evidence;
	struct buf places; /* until written: 1 + offset in evidence, 0 none */
	struct err err;
};

struct op_list {
	struct ledger_batch *first;
	struct ledger_batch **tail;
};
static inline void op_list_init(struct op_list *list)
{
	list->first = NULL;
	list->tail = &list->first;
}
static inline void op_list_add(struct op_list *list, struct ledger_batch *op)
{
	op->next = NULL;
	*list->tail = op;
	list->tail = &op->next;
}

struct ledger_port {
	struct ledger *ledger;
	int fd;
	struct ledger_batch *pool;
	size_t pooled;
	pthread_mutex_t lock; /* of ready */
	struct op_list ready;
	_Atomic uint64_t in_flight;
};

/* --- lanes and tabs --- */

/* Leaves of a lane that no cosigned head covers yet. */
struct pending {
	struct ledger_tab *tab;
	uint32_t end; /* covered when the cosigned size reaches this */
	cu_t cu;
	cu_t forgives; /* of what was denied, once these are paid */
};

struct ledger_lane {
	struct ledger *ledger;
	struct lane_id id;
	struct key_id peer;
	uint64_t number;
	uint32_t day;
	uint64_t queued; /* caller's side: size with what is on its way */
	_Atomic int state;
	_Atomic bool owned;	   /* its opener has not released it yet */
	_Atomic unsigned ops;	   /* that name it and are on their way */
	_Atomic int64_t closed_us; /* when it was closed */
	_Atomic unsigned unsynced; /* its opening and appends that are with the syncer, which keep
				      others behind them */
	/* under ledger->lock */
	struct ledger_head head;
	struct ledger_cosigned cosigned;
	/* the writer's */
	bool released; /* seen in this group; the state follows when its leaves are in */
	struct tile_edge *edge;
	struct pending *pending; /* a queue: [pending_first, pending_n) */
	size_t pending_first, pending_n, pending_cap;
	struct ledger_batch *adopting; /* ADOPT batches that wait for the last */
	UT_hash_handle hh;
};

struct account_key {
	struct key_id application;
	struct key_id peer;
};
struct account {
	struct account_key key;
	_Atomic cu_t unpaid; /* with what was denied */
	_Atomic cu_t denied; /* changed by the writer only */
	cu_t forgiving;	     /* the writer's: CU paid towards the next that is forgiven */
	size_t tabs;	     /* under tabs_lock */
	UT_hash_handle hh;
};
struct tab_key {
	struct session_id session;
	struct key_id peer;
};
struct ledger_tab {
	struct tab_key key;
	struct ledger_session session;
	struct account *account;
	struct ledger *ledger;
	_Atomic cu_t served;
	_Atomic size_t refs;
	usec_t idle_since_us; /* under tabs_lock: when refs last became 0 */
	uint32_t written_day; /* the writer's: this day file has its session */
	UT_hash_handle hh;
};
struct peer {
	struct key_id key;
	_Atomic uint32_t cosignatures;
	UT_hash_handle hh;
};

/* One more ledger_tab_close() is due. */
void ledger_tab_ref(struct ledger_tab *tab);
/* What the ledger no longer counts: unpaid, and served too when it will never be paid. */
void ledger_tab_paid(struct ledger_tab *tab, cu_t cu);
/* The gateway says that it never got them: they stay unpaid, until enough else has been paid. */
void ledger_tab_deny(struct ledger_tab *tab, cu_t cu);
/* How much of what was denied will be forgiven when these are paid, too. */
cu_t ledger_tab_forgives(struct ledger_tab *tab, cu_t paid);
void ledger_tab_forgive(struct ledger_tab *tab, cu_t cu);
/* At open: what the file says is denied. */
void ledger_denied_load(struct ledger *ledger, const struct key_id *application,
			const struct key_id *peer, cu_t cu);
void ledger_tabs_finish(struct ledger *ledger);
struct peer *ledger_peer(struct ledger *ledger, const struct key_id *key);

/* --- evidence segments; the writer's --- */

struct evidence {
	char dir[LEDGER_PATH_MAX];
	uint64_t max_bytes;
	msec_t keep_ms;
	uint64_t segment_max;
	uint64_t first, last; /* numbers of the segments that exist; last = 0: none */
	int fd;
	uint64_t offset;
	_Atomic uint64_t bytes; /* of all segments */
	msec_t begun_ms;	/* when the last segment was begun */
	struct log_gate gate;
};
MUST_USE bool evidence_open(struct evidence *ev, const char *dir, uint64_t max_bytes,
			    msec_t keep_ms, struct err *err);
void evidence_close(struct evidence *ev);
/* Writes the evidence of the batches of a group at once and sets evidence_at of each; a failure is
 * logged and means "not kept". */
void evidence_write(struct evidence *ev, struct ledger_batch *first);
void evidence_segment_path(const char *dir, uint64_t segment, char *dst);
/* Unlinks segments over the limits, and so many more that `room` bytes fit; from the writer. */
void evidence_prune(struct evidence *ev, msec_t now_ms, uint64_t room);

/* --- the ledger --- */

struct ledger {
	struct ledger_params p;
	char dir[LEDGER_PATH_MAX];
	int lock_fd;
	struct file state; /* the writer's, with its statements: */
	sqlite3_stmt *lane_open, *lane_adopt, *lane_cosign, *lane_close, *lane_peer;
	sqlite3_stmt *denied_add, *denied_take;
	sqlite3_stmt *lane_find; /* used under lock by lookups of closed lanes: own connection */
	sqlite3 *lookup;
	struct file *days;
	int wal_pages_rest; /* pages of a WAL at which the writer rests; the keeper is told every
			       quarter */
	pthread_mutex_t files_lock; /* of the list `days` and the life of a file's descriptors */
	struct evidence evidence;

	pthread_mutex_t queue_lock;
	pthread_cond_t queue_cond;
	struct op_list queue;
	struct ledger_batch *adopt_dropped; /* the writer's */
	bool writing;			    /* a thread is the writer at this moment */
	usec_t here_from_us; /* loop threads may be it from then on; under queue_lock */
	bool stop;
	bool keeper_wants; /* the writer rests while the keeper catches up */
	bool writer_rests;
	bool prune_due;
	pthread_cond_t rest_cond;
	pthread_t writer;
	bool writer_runs;

	pthread_mutex_t sync_lock;
	pthread_cond_t sync_cond;
	struct op_list sync_queue;
	bool sync_stop;
	pthread_t syncer;
	bool syncer_runs;

	pthread_mutex_t keeper_lock;
	pthread_cond_t keeper_cond;
	bool keeper_stop;
	bool keeper_poked;
	pthread_t keeper;
	bool keeper_runs;

	pthread_mutex_t lock; /* lanes, heads */
	struct ledger_lane *lanes;
	uint64_t next_number;
	pthread_mutex_t tabs_lock; /* tabs, accounts, peers */
	struct ledger_tab *tabs;
	struct account *accounts;
	struct peer *peers;
	usec_t tabs_swept_us;

	struct log_gate near_gate;  /* the keeper's */
	struct log_gate keep_gate;  /* the keeper's */
	bool said_full;		    /* the keeper's */
	_Atomic uint32_t released;  /* days before it may be dropped */
	_Atomic bool measure_due;   /* a write found no room */
	_Atomic bool full;	    /* no new relay */
	_Atomic uint64_t bytes;	    /* measured by the keeper, plus what was added since */
	_Atomic uint64_t disk_free; /* bytes, measured by the keeper */
	_Atomic uint64_t leaves, commits, lanes_dead, queued, queued_bytes;
	_Atomic int64_t commit_max_us;
};

/* --- port.c --- */
void ledger_submit(struct ledger *ledger, struct ledger_batch *op);
/* Puts it at the end of the queue, and wakes the writer when it sleeps. */
void ledger_enqueue(struct ledger *ledger, struct ledger_batch *op);
/* Gives an operation back to its port; frees it when it has none. */
void ledger_complete(struct ledger_batch *op);
void ledger_op_free(struct ledger_batch *op);
struct ledger_batch *ledger_op_create(struct ledger_port *port, enum op_kind kind);

/* --- day.c: files of the writer --- */
MUST_USE bool file_open(struct ledger *ledger, uint32_t day, struct file *ret, struct err *err);
void file_finish(struct file *file);
/* The open day file, opened or made when needed. */
struct file *day_file(struct ledger *ledger, uint32_t day, struct err *err);
/* The same if it is open; else NULL. */
struct file *day_file_find(struct ledger *ledger, uint32_t day);
bool file_begin(struct file *file);
/* The same, but false, with nothing begun, when another connection has the lock. */
bool file_try_begin(struct file *file);
/* Commits or rolls back; false with file->err set when nothing was written. */
bool file_end(struct ledger *ledger, struct file *file);
/* Makes all that has committed durable.  What the kernel could not write it may have dropped, and a
 * later fsync would not say so: so after a failure none succeeds until the keeper has moved what
 * the WAL holds into the database, and the WAL begins anew. */
bool file_fsync(struct ledger *ledger, struct file *file, struct err *err);
/* Rows of one batch within the open transaction: turn, tiles, parts, sessions. */
bool day_write(struct file *file, struct ledger_lane *lane, const struct ledger_batch *batch,
	       uint64_t first);

/* --- tiles.c --- */
/* The last committed turn of a lane: its size and signed head.  size 0: none. */
MUST_USE bool lane_head_read(sqlite3 *db, uint64_t number, struct ledger_head *ret,
			     struct err *err);
/* For the functions of relay/receipt/tile.h: tiles of a lane from any connection. */
struct tile_source {
	sqlite3 *db;
	uint64_t number;
};
bool tile_source_read(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		      struct err *err);
/* Reads leaves and, where not NULL, salts and places [from, from + max) from any connection. */
MUST_USE bool turns_read(sqlite3 *db, uint64_t number, uint64_t from, size_t max, uint8_t *leaves,
			 uint8_t *salts, uint8_t *places, size_t *ret_n, struct err *err);
/* The session's row of a day file; ret->id is set even when there is none. */
MUST_USE bool session_find(sqlite3 *db, const uint8_t *id, struct ledger_session *ret);
static inline int64_t row_id(uint64_t number, uint64_t seq)
{
	return (int64_t)(number << 20 | seq);
}
static inline int64_t tile_row_id(uint64_t number, unsigned level, uint64_t index)
{
	return (int64_t)(number << 20 | (uint64_t)level << 16 | index);
}

/* --- lane.c --- */
struct ledger_lane *lane_create(struct ledger *ledger, const struct lane_id *id,
				const struct key_id *peer, uint64_t number, uint32_t day);
void lane_free(struct ledger_lane *lane);
void lane_set_state(struct ledger_lane *lane, enum ledger_lane_state state);
void lane_kill(struct ledger_lane *lane, const char *why);
/* Frees lanes that were closed a while ago; whoever had found one has used it by then. */
void lanes_forget(struct ledger *ledger);
void lane_pending_add(struct ledger_lane *lane, struct ledger_tab *tab, uint32_t end, cu_t cu);
/* Takes off what ends at or below size: it is paid, or never will be. */
void lane_pending_settle(struct ledger_lane *lane, uint64_t size);
/* Takes off the rest, which the gateway denies to have got. */
void lane_pending_deny(struct ledger_lane *lane);

/* --- threads --- */
/* Commits a small batch on the calling thread if nobody else writes and nothing is in the way. */
bool ledger_write_here(struct ledger *ledger, struct ledger_batch *op);
void *ledger_writer_main(void *arg);
void *ledger_syncer_main(void *arg);
void *ledger_keeper_main(void *arg);
/* Hands an operation to the syncer. */
void ledger_sync_later(struct ledger *ledger, struct ledger_batch *op);
void ledger_keeper_poke(struct ledger *ledger);
/* Measures the files and sets `full`; also called once at open. */
void ledger_measure(struct ledger *ledger);

/* --- rebuild.c --- */
MUST_USE bool ledger_rebuild(struct ledger *ledger, struct err *err);

#endif
