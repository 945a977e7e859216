/* SPDX-License-Identifier: Apache-2.0
 * A recording: what comes into a gateway's worker from outside, what its clock said then, and what
 * it made of that.  relay/sim runs the same code from it again (docs/simulator.md).
 *
 * One entry an event, in the order in which the worker saw them:
 *
 *	KIND FIELD...\n			or, with N bytes of anything,
 *	KIND FIELD... N\nBYTES\n
 *
 * First the head: `counterfoil-recording 1`, gateway, seed, registry-key, clock, config.  Then what
 * comes in (RECORD_INPUTS), each with T, the monotonic microseconds, and W, the wall milliseconds
 * since the head's clock; below each what was done about it (RECORD_DECISIONS), until the next one.
 * The same hooks speak when a recording is run again, so the two can be held against each other
 * entry by entry.  Some of these are what was read of the world around: they stand where it was
 * read, and a run reads them there.
 *
 * Salts are not in it, nor what TLS, the frames' codec, HTTP and the ledger do by themselves.
 * On the one worker's thread.  Private to relay/gateway, and to relay/sim. */
#ifndef RELAY_GATEWAY_RECORD_H
#define RELAY_GATEWAY_RECORD_H

#include "chains/error.h"
#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/link/frame.h"
#include "relay/link/link.h"

#define RECORD_HEAD "counterfoil-recording 1\n"

struct account;
struct call;
struct gateway;
struct leaf_news;
struct member;
struct peer;
struct record;
struct relay;
struct request;
struct worker;

/* Takes entries one by one; false: no more are wanted. */
typedef bool record_put_fn(void *arg, struct view entry);

/* A recording whose entries go to put(arg). */
struct record *record_create(record_put_fn *put, void *arg);
/* NULL is a no-op. */
void record_destroy(struct record *record);

struct record_file; /* a file that entries go to */

/* A new file, mode 0600, of at most max_bytes: what does not fit ends the recording.  One that is
 * there becomes PATH.old.  Errors: ERR_IO with the path. */
MUST_USE bool record_file_create(const char *path, uint64_t max_bytes, struct record_file **ret,
				 struct err *err);
/* NULL is a no-op. */
void record_file_close(struct record_file *file);
/* As record_put_fn, arg is the record_file. */
bool record_file_put(void *arg, struct view entry);

/* All below are no-ops for a gateway without a recording, and after its end. */

/* --- what comes in --- */

/* The worker begins: the head, and the first view of the registry. */
void record_begin(struct worker *w);
/* `tick`: worker_on_tick(). */
void record_tick(struct worker *w);
/* `alarm`: worker_on_alarm(). */
void record_alarm(struct worker *w);
/* `cut`: flows_cut(). */
void record_cut(struct worker *w);
/* `kick`: the ledger has a cosignature, asks_kick(). */
void record_kick(struct worker *w);
/* `end`: the gateway is to stop; nothing is recorded after that. */
void record_end(struct worker *w);
/* `account SERVICE APPLICATION`: a path that was new, whatever its request was. */
void record_account(struct worker *w, const struct account *account);
/* `request N SERVICE APPLICATION FRESH DEBUG CLIENT`, and the body.  Gives the request its number.
 * CLIENT is the Nth address that had any, 0 a unix socket. */
void record_request(struct request *r, struct view body);
/* `gone N`: the client of a request went away. */
void record_gone(const struct request *r);
/* `up LINK SUPPLIER ...`: with what is used of its HELLO. */
void record_up(const struct peer *peer);
/* `down LINK REASON CODE`, and the error's text. */
void record_down(const struct peer *peer, enum link_reason reason, const struct err *err);
/* `fault LINK`: the supplier sent a batch that is not good. */
void record_fault(const struct peer *peer);
/* `frame LINK TYPE FLAGS STREAM`, and the payload, if it is about sessions, a relay's error or the
 * link's end. */
void record_frame(const struct peer *peer, const struct frame *frame);
/* `leaf LINK NUMBER KIND STATUS LAST`, and the body. */
void record_leaf(const struct relay *relay, const struct leaf_news *news);
/* `committed LINK NUMBER CODE`, and the error's text. */
void record_committed(const struct relay *relay, const struct err *err);

/* --- within a tick --- */

/* `view`: the registry has news; an export without its signature. */
void record_view(struct worker *w);
/* `report`: the page about suppliers was asked for. */
void record_report(struct worker *w);

/* --- what was read --- */

/* `owed`: suppliers that a lane is still to be closed with, the key of each on a line; if any. */
void record_owed(struct worker *w, const struct key_id *keys, size_t n);
/* `full`: the ledger takes no new calls. */
void record_full(struct worker *w);
/* `noroom SUPPLIER CODE`: a relay could not be sent: the ledger said so. */
void record_no_room(const struct member *member, enum err_code why);
/* `stalled N`: the client has taken all of the answer that there is, and for too long no more came.
 */
void record_stalled(const struct request *r);

/* --- what was done --- */

/* `named LINK HANDLE SESSION`: SESSION was sent. */
void record_named(const struct member *member);
/* `sent LINK NUMBER SUPPLIER METHOD REQUEST`: RELAY was; the digest is of the request's encoding.
 */
void record_sent(const struct relay *relay);
/* `retry CODE`, and `hedge LINK NUMBER`: why what was sent just now was. */
void record_retry(const struct worker *w, enum err_code why);
void record_hedge(const struct relay *relay);
/* `aside LINK NUMBER CLASS`: an answer was set aside. */
void record_aside(const struct relay *relay, enum chain_error class);
/* `answer N CALL HOW DIGEST VERIFIED PINNED`: of each call of a request that has an answer or an
 * error by now; HOW is hit, shared, made, head, own or none, or the error's name. */
void record_answers(const struct request *r);
/* The same for a call whose long answer has come to its end; its bytes' digest. */
void record_long_answer(const struct call *call, const struct hash *digest);
/* `broken N CODE`: the answer breaks off. */
void record_broken(const struct request *r, const struct err *why);
/* Whether there is a recording: for who would have to prepare something. */
bool record_is_on(const struct worker *w);

#endif
