/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil ledger export`: the folder of docs/auditing.md. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chains/chain.h"
#include "relay/base/mem.h"
#include "relay/cli/ledger_verbs.h"
#include "session/history.h"

/* Families whose tables this program has. */
static const char *const families[] = {"evm"};

struct lanes {
	struct ledger_lane_info *list;
	size_t n, cap;
};

static bool lanes_on_lane(void *arg, const struct ledger_lane_info *lane)
{
	struct lanes *lanes = arg;

	if (lane->dropped)
		return true;
	if (lanes->n == lanes->cap) {
		lanes->cap = MAX(lanes->cap * 2, 64);
		lanes->list = xrealloc(lanes->list, lanes->cap * sizeof(*lanes->list));
	}
	lanes->list[lanes->n++] = *lane;
	return true;
}

/* The table that the registry commits to for a service, if this program has it. */
static const struct method_table *table_of(const struct history *h,
					   const struct ledger_session *session)
{
	const struct service_entry *service = history_service(h, &session->service, session->start);

	for (size_t i = 0; service != NULL && i < ARRAY_SIZE(families); i++) {
		const struct method_table *table = chain_table(chain_find(families[i]));

		if (ID_EQ(method_table_hash(table), &service->table))
			return table;
	}
	return NULL;
}

static bool service_is_new(const struct export_sessions *sessions, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(sessions->list[k].service.s, sessions->list[i].service.s) == 0)
			return false;
	return true;
}

static bool put_methods(struct folder *folder, const struct history *h,
			const struct export_sessions *sessions, struct err *err)
{
	for (size_t i = 0; i < sessions->n; i++) {
		const struct method_table *table;
		char path[64];

		if (!service_is_new(sessions, i))
			continue;
		table = table_of(h, &sessions->list[i]);
		if (table == NULL) {
			fprintf(stderr,
				"counterfoil: the method table of %s is not that of the "
				"registry: left out\n",
				sessions->list[i].service.s);
			continue;
		}
		snprintf(path, sizeof(path), "methods/%s.txt", sessions->list[i].service.s);
		if (!folder_put(folder, path, method_table_text(table), err))
			return false;
	}
	return true;
}

/* Faults on their way into the folder. */
struct faults {
	struct ledger_reader *reader;
	const struct export_registry *registry;
	struct folder *folder;
	struct export_sessions *sessions;
	size_t n;
	bool ok;
	struct err *err;
};

static bool faults_on_fault(void *arg, const struct ledger_fault *fault)
{
	struct faults *f = arg;

	f->ok = export_fault(f->reader, f->registry, fault, f->folder, f->sessions, f->err);
	if (!f->ok && f->err->code == ERR_NOT_FOUND) {
		fprintf(stderr, "counterfoil: a fault is left out: %s\n", f->err->msg);
		f->ok = true;
		return true;
	}
	f->n += f->ok;
	return f->ok;
}

/* What goes into the folder: the lanes, or instead of them those that ended in a fault. */
struct content {
	struct lanes lanes;
	bool private_files;
	bool faults;
};

static bool put_lanes(struct ledger_reader *reader, const struct export_registry *registry,
		      struct content *what, struct folder *folder, struct export_sessions *sessions,
		      struct err *err)
{
	struct faults faults = {.reader = reader,
				.registry = registry,
				.folder = folder,
				.sessions = sessions,
				.ok = true,
				.err = err};
	bool ok = true;

	if (what->faults) {
		ok = ledger_each_fault(reader, faults_on_fault, &faults, err) && faults.ok;
		what->lanes.n = faults.n;
		return ok;
	}
	for (size_t i = 0; ok && i < what->lanes.n; i++)
		ok = export_lane(reader, registry, &what->lanes.list[i], what->private_files,
				 folder, sessions, err);
	return ok;
}

static bool put_all(struct ledger_reader *reader, const struct export_registry *registry,
		    struct content *what, struct folder *folder, struct err *err)
{
	struct export_sessions sessions = {0};
	struct ledger_identity self;
	bool ok = put_lanes(reader, registry, what, folder, &sessions, err);

	ok = ok && put_methods(folder, registry->said.history, &sessions, err);
	export_sessions_finish(&sessions);
	if (ok && registry->note.n > 0)
		ok = folder_put(folder, "registry.note", buf_view(&registry->note), err);
	ledger_reader_identity(reader, &self);
	return ok && folder_end(folder, &registry->network, &self, err);
}

static int export(const struct config *config, struct ledger_reader *reader, const char *place,
		  const char *key_file, struct content *what)
{
	struct export_registry registry = {0};
	struct folder folder = {0};
	height_t from;
	struct err err;
	bool ok;

	ok = ledger_oldest_start(reader, &from, &err) &&
	     export_registry_read(config->registry.source, &config->registry.key, key_file, from,
				  &registry, &err);
	if (ok && registry.why.code != ERR_NONE)
		fprintf(stderr, "counterfoil: %s %s\n", registry.why.msg,
			registry.note.n ? "" : "(no registry file in the export: --registry-key)");
	ok = ok && ledger_each_lane(reader, lanes_on_lane, &what->lanes, &err) &&
	     folder_begin(place, &folder, &err) && put_all(reader, &registry, what, &folder, &err);
	folder_finish(&folder);
	export_registry_finish(&registry);
	if (ok)
		printf("%s: %zu lane%s%s\n", place, what->lanes.n, what->lanes.n == 1 ? "" : "s",
		       what->faults ? " with a fault" : "");
	free(what->lanes.list);
	return ok ? CLI_OK : cli_fail(&err);
}

int ledger_run_export(const struct verb *verb, int argc, char **argv)
{
	enum { CONFIG, DIR, ROLE, AUDIT, PRIVATE, FAULTS, KEY };
	struct cli_option options[] = {
		[CONFIG] = {.name = "config"},
		[DIR] = {.name = "dir"},
		[ROLE] = {.name = "role"},
		[AUDIT] = {.name = "audit"},
		[PRIVATE] = {.name = "private", .is_flag = true},
		[FAULTS] = {.name = "faults", .is_flag = true},
		[KEY] = {.name = "registry-key"},
	};
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = NULL;
	CLEANUP(config_destroy) struct config *config = NULL;
	struct content what = {0};
	int n, status;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 0 || options[AUDIT].value == NULL)
		return cli_usage(verb, "write: ledger export --audit DIR");
	config = ledger_verb_config(verb, options[CONFIG].value, options[ROLE].value, &status);
	if (config == NULL)
		return status;
	if (config->registry.source == NULL)
		return cli_usage(verb, "registry.source is needed, from --config or the "
				       "environment");
	reader = ledger_verb_open(options[DIR].value, config, &status);
	if (reader == NULL)
		return status;
	what.private_files = options[PRIVATE].value != NULL;
	what.faults = options[FAULTS].value != NULL;
	return export(config, reader, options[AUDIT].value, options[KEY].value, &what);
}
