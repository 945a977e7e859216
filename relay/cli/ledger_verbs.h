/* SPDX-License-Identifier: Apache-2.0
 * What the files of `counterfoil ledger` share. */
#ifndef RELAY_CLI_LEDGER_VERBS_H
#define RELAY_CLI_LEDGER_VERBS_H

#include "relay/cli/cli.h"
#include "relay/crypto/digest.h"
#include "relay/ledger/claims.h"
#include "relay/ledger/fault.h"
#include "relay/ledger/reader.h"
#include "session/registry/export.h"

/* --- an exported folder while it is written (ledger_folder.c) --- */

struct folder_entry {
	char *path; /* relative to the folder */
	uint64_t bytes;
	struct hash sha256;
};

/* Written beside its place and moved there when it is whole and on the disk. */
struct folder {
	char *place;
	char *part; /* where it grows */
	struct folder_entry *entries;
	size_t n, cap;
};

/* Begins a folder at `place`, which must not exist, or be empty.  Errors: ERR_IO, ERR_USAGE. */
MUST_USE bool folder_begin(const char *place, struct folder *ret, struct err *err);
/* Lists the files in manifest.json, makes all of it durable, moves it to its place. */
MUST_USE bool folder_end(struct folder *folder, const struct network_id *network,
			 const struct ledger_identity *self, struct err *err);
/* Frees; removes what was written if it did not get to its place. */
void folder_finish(struct folder *folder);

/* One file of it: opened (parents are made), written to its end, closed. */
struct folder_file {
	struct folder *folder;
	char *path;
	int fd;
	uint64_t bytes;
	struct sha256_stream *sha256;
	struct err err; /* the first failure; later writes do nothing */
};
void folder_file_open(struct folder *folder, const char *path, struct folder_file *ret);
void folder_file_write(struct folder_file *file, const void *p, size_t n);
MUST_USE bool folder_file_close(struct folder_file *file, struct err *err);
/* All at once. */
MUST_USE bool folder_put(struct folder *folder, const char *path, struct view bytes,
			 struct err *err);

/* --- the registry of an export (ledger_registry.c) --- */

struct export_registry {
	struct network_id network;
	struct registry_export said; /* history and seeds */
	struct buf note;	     /* the registry file; empty when there is none, with `why` */
	struct err why;
};

/* The registry as configured, with the seeds that sessions from `from` on need.
 *
 * In:  key_file  signs an export of a sqlite registry; NULL: "<source>.key", or
 *      registry.key or keys/registry.key beside it
 *      from      start of the oldest session, UINT64_MAX when none is known
 * Errors: ERR_REGISTRY and what reading it gives, when it cannot be read; a note that cannot be had
 *         (no key) is told in ret->why.
 */
MUST_USE bool export_registry_read(const char *source, const struct config_key *pinned,
				   const char *key_file, height_t from, struct export_registry *ret,
				   struct err *err);
void export_registry_finish(struct export_registry *registry);

/* Finds what a session id stands for among all applications and services at about that time: leaves
 * that came from the peer after a power loss name sessions that this ledger has forgotten. */
bool export_registry_session(const struct export_registry *registry, const struct session_id *id,
			     msec_t time_ms, struct ledger_session *ret);

/* --- lanes of an export (ledger_export_lane.c) --- */

struct export_sessions {
	struct ledger_session *list;
	size_t n, cap;
};
void export_sessions_finish(struct export_sessions *sessions);

/* Writes lanes/<hex>/ and adds the lane's sessions to `all`.  Progress goes to standard error when
 * that is a terminal. */
MUST_USE bool export_lane(struct ledger_reader *reader, const struct export_registry *registry,
			  const struct ledger_lane_info *lane, bool private_files,
			  struct folder *folder, struct export_sessions *all, struct err *err);
/* Writes a lane as it would be with a batch of its supplier that the gateway did not accept: the
 * leaves ahead of it, its own, and the head that was signed.  Errors: ERR_NOT_FOUND when the leaves
 * ahead of it are not there any more. */
MUST_USE bool export_fault(struct ledger_reader *reader, const struct export_registry *registry,
			   const struct ledger_fault *fault, struct folder *folder,
			   struct export_sessions *all, struct err *err);

/* --- actions --- */

/* Opens the ledger that --dir, or --config with --role, names; prints and gives NULL on failure. */
struct ledger_reader *ledger_verb_open(const char *dir, const struct config *config, int *ret_exit);
/* The configuration of --config FILE and --role (may be NULL: any) and what is left in argv. */
struct config *ledger_verb_config(const struct verb *verb, const char *path, const char *role,
				  int *ret_exit);

/* The actions with a file of their own; exit status of the program. */
int ledger_run_export(const struct verb *verb, int argc, char **argv);
int ledger_run_totals(const struct verb *verb, int argc, char **argv);

/* What the books beside a node's ledger say of its income.  Without `must` it is no fault when
 * there are none.  Exit status (ledger_income.c). */
int ledger_print_income(const struct ledger_reader *reader, const char *dir, bool json, bool must);
/* One line of them, as a JSON object. */
void ledger_put_income(const struct claims_income *income, struct buf *out);

#endif
