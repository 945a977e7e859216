/* SPDX-License-Identifier: Apache-2.0
 * The ledger: one half of every receipt, durable before anybody sees the answer (protocol.md
 * section 10, rules [L1]..[L4]).  Gateway and node use the same code; the role is given at open.
 *
 * Loop threads hand batches to one writer thread through a port and are told on their own thread
 * when the batch has committed; until then nothing that was signed for it may leave ([L1]).  A
 * small batch is committed within the call when the writer sleeps; its callback comes later all
 * the same.
 * This is not a checker: bytes are stored as given, whoever appends has checked them.  It runs no
 * event loop; a port is a descriptor that any loop can watch.  Reading is relay/ledger/reader.h.
 *
 *	             lane_open ok          lane_release / process ends       lane_close
 *	(opening) ----------------> LIVE ------------------------------> UNCLOSED --------> CLOSED
 *	     |  a commit fails or is unknown |                             ^                 |
 *	     +-------------> DEAD <----------+      DEAD is listed and closed like UNCLOSED -+
 *
 *	BROKEN: its rows do not fit together (found at open, or ledger_lane_give_up()); it is left
 *	alone, and no longer listed.
 */
#ifndef RELAY_LEDGER_LEDGER_H
#define RELAY_LEDGER_LEDGER_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define LEDGER_LANE_LEAVES (UINT32_C(1) << 20) /* [R5]: seq < 2^20 */
#define LEDGER_BATCH_MAX 2048		       /* leaves of one append or adoption */
#define LEDGER_LEAF_BYTES 192		       /* [R1] */
#define LEDGER_UNCLOSED_MAX 1000	       /* lanes of one LANES frame [L5] */

enum ledger_role { LEDGER_GATEWAY = 1, LEDGER_SUPPLIER = 2 }; /* numbers of HELLO [F4] */

enum ledger_sync {
	LEDGER_SYNC_NORMAL, /* safe against kill -9 */
	LEDGER_SYNC_FULL,   /* fsync before each callback: safe against power loss */
};

struct ledger_params {
	const char *dir; /* made (0700) if it is not there */
	enum ledger_role role;
	struct key_id self; /* own relay key; a directory never changes its key or role */
	enum ledger_sync sync;
	uint64_t max_bytes;	     /* all files together; 0: only free space limits */
	uint64_t evidence_max_bytes; /* 0: no evidence is kept */
	uint64_t queue_max;	     /* bytes on their way before ledger_is_busy(); 0: never */
	msec_t evidence_keep_ms;     /* 0: only evidence_max_bytes limits */
	uint32_t keep_days;	     /* day files older than this are dropped; 0: never */
	bool claims;		     /* ... but only those that ledger_release_days() has let go */
	msec_t recent_ms; /* how far back served CU is rebuilt: a session and its grace */
};

struct ledger;	     /* the files, the writer and its helper threads */
struct ledger_port;  /* one loop thread's way to the writer */
struct ledger_lane;  /* an unclosed lane; the ledger owns it, see ledger_lane_close() */
struct ledger_tab;   /* what a gateway ran up with a supplier in one session */
struct ledger_batch; /* leaves on their way into one lane */

/* Says how an operation ended: err is NULL on success, else ERR_LEDGER or ERR_LEDGER_FULL and the
 * lane is dead.  Runs on the port's thread, in the order of the lane's operations. */
typedef void ledger_done_fn(void *arg, const struct err *err);

/* --- the ledger --- */

/* Opens or makes the ledger: takes its lock, migrates, rebuilds heads, unpaid and served CU from
 * the files, starts the threads.  A lane whose rows do not fit together is logged
 * (ledger.lane_broken) and is BROKEN.
 *
 * In:     p     borrowed for the call
 * Out:    ret   until ledger_close()
 * Errors: ERR_LEDGER when another process has it, it is another key's, a file is broken or newer;
 *         ERR_IO.
 */
MUST_USE bool ledger_open(const struct ledger_params *p, struct ledger **ret, struct err *err);

/* Commits what is queued, then stops the threads and closes the files.  All ports must be destroyed
 * first.  NULL is a no-op. */
void ledger_close(struct ledger *ledger);

/* Blocks until everything queued so far has committed and its completions wait at their ports.  For
 * a shutdown: drain, reap each port on its thread, destroy the ports, close. */
void ledger_drain(struct ledger *ledger);

/* True while no relay should be accepted: the files are at max_bytes, or the disk is nearly full.
 * Ask before a relay is begun; what was begun before still finds room.  Lock-free. */
bool ledger_is_full(const struct ledger *ledger);

/* True while more than queue_max bytes wait for the writer or for an fsync: the disk does not keep
 * up, so whoever brings more should wait (a node with its next turn, a gateway with reading).
 * Nothing that is brought all the same is refused.  Lock-free. */
bool ledger_is_busy(const struct ledger *ledger);

/* Lets days before this one (yyyymmdd) be dropped once they are old enough: no claim that is not
 * settled needs them.  Only for a ledger opened with `claims`, which drops none until then.  Any
 * thread. */
void ledger_release_days(struct ledger *ledger, uint32_t before);

/* Counters since open, and sizes now.  Any thread. */
struct ledger_stats {
	uint64_t leaves;  /* committed since open */
	uint64_t commits; /* transactions that held leaves */
	uint64_t bytes;	  /* of all files, at most a second old */
	uint64_t evidence_bytes;
	uint64_t lanes;	       /* in memory: not closed, or closed a moment ago */
	uint64_t lanes_dead;   /* died since open */
	uint64_t queued;       /* operations that wait for the writer */
	uint64_t queued_bytes; /* of operations that wait for the writer or an fsync */
	usec_t commit_max_us;  /* the longest commit since open */
};
void ledger_stats(struct ledger *ledger, struct ledger_stats *ret);

/* --- ports: create, use, reap and destroy on one thread --- */

/* A way to the writer for the calling thread.  Cannot fail. */
struct ledger_port *ledger_port_create(struct ledger *ledger);
/* Nothing of the port may be in flight (see ledger_drain()).  Completions that were not reaped are
 * dropped without a call. */
void ledger_port_destroy(struct ledger_port *port);
/* An eventfd: readable when completions wait.  Only ledger_port_reap() reads it. */
int ledger_port_fd(const struct ledger_port *port);
/* Calls the done functions of all completed operations; returns how many there were. */
size_t ledger_port_reap(struct ledger_port *port);

/* --- lanes --- */

/* Opens a lane for appending.  The handle is valid at once and appends may follow at once: they
 * commit after the opening, or fail with it.  The opening commits with fsync, whatever
 * ledger.sync says.  On a node `lane` is 16 fresh random bytes; on a gateway it is what the BATCH
 * names, and one that the ledger has ever seen is refused here ([L4]).
 *
 * In:     peer   the other side's relay key
 *         day    UTC day of the lane's first leaf, yyyymmdd (clock_day())
 *         done   may be NULL
 * Out:    ret    live until ledger_lane_release()
 * Errors: ERR_LEDGER_FULL, ERR_LEDGER when the lane is known.
 */
MUST_USE bool ledger_lane_open(struct ledger_port *port, const struct lane_id *lane,
			       const struct key_id *peer, uint32_t day, ledger_done_fn *done,
			       void *arg, struct ledger_lane **ret, struct err *err);

/* The link of a live lane is gone, or it moved on to another lane: no further append.  What is in
 * flight still commits.  The lane is UNCLOSED from the moment when that is done; the handle may no
 * longer be used by the caller. */
void ledger_lane_release(struct ledger_port *port, struct ledger_lane *lane);

/* True once a commit of the lane failed ([L3]).  Any thread. */
bool ledger_lane_is_dead(const struct ledger_lane *lane);

/* --- tabs: served and unpaid compute units, shared by all threads --- */

struct ledger_session {
	struct session_id id;
	struct key_id application;
	struct service_name service;
	height_t start;
};

/* The tab of a session with a peer; the same arguments give the same tab.  It stays until
 * ledger_tab_close() was called as often.  Its session is written into the ledger together with the
 * first leaf that names it. */
struct ledger_tab *ledger_tab_open(struct ledger *ledger, const struct ledger_session *session,
				   const struct key_id *peer);
void ledger_tab_close(struct ledger_tab *tab);
const struct ledger_session *ledger_tab_session(const struct ledger_tab *tab);

enum ledger_room { LEDGER_ROOM, LEDGER_ROOM_UNPAID, LEDGER_ROOM_ALLOWANCE };

/* Reserves cu if neither bound would be passed: unpaid CU of (application, gateway, supplier) in
 * all sessions and lanes [P5], served CU of this session with this peer [P4].  UINT64_MAX: no
 * bound. Each leaf appended with this tab must have been reserved before, for at least its cu. */
MUST_USE enum ledger_room ledger_tab_reserve(struct ledger_tab *tab, cu_t cu, cu_t unpaid_max,
					     cu_t served_max);
/* Gives back what was reserved and not appended. */
void ledger_tab_release(struct ledger_tab *tab, cu_t cu);

cu_t ledger_tab_unpaid(const struct ledger_tab *tab); /* reserved included */
cu_t ledger_tab_served(const struct ledger_tab *tab); /* reserved included */

/* A tab as it is now. */
struct ledger_tab_info {
	struct ledger_session session;
	struct key_id peer;
	cu_t served; /* reserved included */
};
/* All tabs in memory: those in use, and those that were within recent_ms.
 *
 * Out: ret  *ret_n of them in no order, freed with free()
 * Any thread; loop threads that open a session wait meanwhile. */
void ledger_tabs(struct ledger *ledger, struct ledger_tab_info **ret, size_t *ret_n);

/* Unpaid CU of all applications and peers together, reserved included. */
cu_t ledger_unpaid(struct ledger *ledger);

/* How many cosigned heads of lanes with this peer the ledger holds or held, 4 for "4 or more" [P5].
 */
uint32_t ledger_cosignatures(struct ledger *ledger, const struct key_id *peer);

/* --- appending --- */

/* An empty batch from the port's pool; it goes to ledger_append(), ledger_adopt() or
 * ledger_batch_drop(). */
struct ledger_batch *ledger_batch_create(struct ledger_port *port);
void ledger_batch_drop(struct ledger_port *port, struct ledger_batch *batch);

/* Adds a leaf; all bytes are copied.  At most LEDGER_BATCH_MAX.
 *
 * In:     tab        of the leaf's session; NULL only for adopted leaves.  Referenced by the
 * ledger. leaf       the 192 bytes leaf_hash  SHA-256(0x00 || leaf) [T1] request, response   the
 * encodings [E2], [E4] as evidence; {NULL, 0}: not kept.  Parts of a stream after the first give no
 * request: it stands with part 0.
 */
void ledger_batch_add(struct ledger_batch *batch, struct ledger_tab *tab,
		      const uint8_t leaf[LEDGER_LEAF_BYTES], const struct hash *leaf_hash,
		      const struct salt *salt, struct view request, struct view response);
size_t ledger_batch_count(const struct ledger_batch *batch);

/* A signed head of a lane: size is that after the batch; the signature is the supplier's over the
 * checkpoint text [N1]. */
struct ledger_head {
	uint64_t size; /* 0: none */
	struct hash root;
	struct signature signature;
};

/* Appends a batch to a live lane: leaves, head and tiles in one transaction with whatever else is
 * queued.  The batch is the ledger's from here on; its leaves must continue the lane (seq of the
 * first = size so far, head->size = that + count: asserted).  done is always called, later. */
void ledger_append(struct ledger_port *port, struct ledger_lane *lane, struct ledger_batch *batch,
		   const struct ledger_head *head, ledger_done_fn *done, void *arg);

/* --- cosigned heads --- */

struct ledger_cosigned {
	uint64_t size; /* 0: none */
	struct hash root;
	uint64_t time;		    /* POSIX seconds */
	struct signature signature; /* the gateway's, over the cosignature/v1 message [N3] */
};

/* Records the newest cosigned head of a lane, live or not.  A gateway calls this before it sends
 * the COSIGN, and done comes after an fsync of the leaves and of the cosignature; a node calls it
 * when a COSIGN has been verified.  When it has committed, what it covers is no longer unpaid.  A
 * size not above the newest is accepted and changes nothing. */
void ledger_cosign(struct ledger_port *port, struct ledger_lane *lane,
		   const struct ledger_cosigned *cosigned, ledger_done_fn *done, void *arg);

/* --- recovery (protocol.md [L5]..[L9]); relay/link/recovery drives it --- */

struct ledger_unclosed {
	struct ledger_lane *lane; /* usable until it is closed */
	struct lane_id id;
	bool dead;
	struct ledger_head head;	 /* the newest committed; size 0: an empty lane */
	struct ledger_cosigned cosigned; /* size may exceed the head's after a power loss */
};

/* Lists the lanes with this peer that are neither closed nor live, oldest first.
 *
 * Out: ret   *ret_n entries, freed by the caller with free(); NULL when there are none
 * No IO; any thread.
 */
void ledger_unclosed(struct ledger *ledger, const struct key_id *peer, size_t max,
		     struct ledger_unclosed **ret, size_t *ret_n);

/* The lane's rows turned out not to be what was once written: a disk has changed them.  From now on
 * it is BROKEN: nothing of it is told to the peer, who would have to take it for a lie.  Any
 * thread.
 */
void ledger_lane_give_up(struct ledger_lane *lane, const char *why);

/* The keys of peers with whom there is such a lane, at most max; returns how many.  No IO; any
 * thread. */
size_t ledger_unclosed_peers(struct ledger *ledger, struct key_id *ret, size_t max);

enum ledger_lane_state {
	LEDGER_LANE_UNKNOWN,
	LEDGER_LANE_LIVE,
	LEDGER_LANE_UNCLOSED,
	LEDGER_LANE_DEAD,
	LEDGER_LANE_BROKEN,
	LEDGER_LANE_CLOSED
};

/* What the ledger knows of a lane with this peer; ret_lane is set for LIVE, UNCLOSED and DEAD, else
 * NULL.  A lane of another peer is UNKNOWN.  Reads state.db for closed ones; any thread. */
enum ledger_lane_state ledger_lane_find(struct ledger *ledger, const struct lane_id *id,
					const struct key_id *peer, struct ledger_lane **ret_lane);

/* Begins a lane that the ledger does not have, so that leaves can be adopted into it (power loss
 * took even the opening).  As ledger_lane_open(), but UNCLOSED from the start. */
MUST_USE bool ledger_lane_restore(struct ledger_port *port, const struct lane_id *lane,
				  const struct key_id *peer, uint32_t day, struct ledger_lane **ret,
				  struct err *err);

/* Appends leaves fetched from the peer to a lane that is not live, marked `adopted`.  The caller
 * has checked them ([L9]).  Several batches may follow each other; head is NULL for all but the
 * last. They count as one adoption only with the last: until then nothing is committed. */
void ledger_adopt(struct ledger_port *port, struct ledger_lane *lane, struct ledger_batch *batch,
		  const struct ledger_head *head, ledger_done_fn *done, void *arg);

/* Sets the final size, marks what is beyond it `undelivered` (never paid, no longer unpaid, but
 * served), closes the lane.  final_size 0: all of it is undelivered.  The handle is invalid after
 * done.  Not for a live lane. */
void ledger_lane_close(struct ledger_port *port, struct ledger_lane *lane, uint64_t final_size,
		       ledger_done_fn *done, void *arg);

#endif
