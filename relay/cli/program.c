/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/program.h"

#include <assert.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/metrics.h"
#include "relay/base/recycle.h"
#include "relay/ledger/ledger.h"
#include "session/registry/registry.h"

#define FILES_OWN 256	/* the ledger's, the registry's, the loops' */
#define FILES_LINKS 512 /* of a gateway, to the nodes of its sessions and to those it owes */

#define MMAP_BYTES (4 << 20) /* larger blocks have pages of their own */
#define TRIM_BYTES (8 << 20) /* free at the end of an arena before it is given back */

uint64_t program_files(const struct config *c, enum config_role role)
{
	uint64_t want = FILES_OWN, backends = 0;

	if (role == CONFIG_GATEWAY)
		return want + c->gateway.connections_max + FILES_LINKS;
	for (size_t i = 0; i < c->node.services.n; i++)
		backends += c->node.services.entries[i].list.n;
	return want + c->link.links_max + c->link.handshakes_max +
	       backends * c->upstream.connections_max;
}

/* As many open files as the system lets this process have; says so when the limits ask for more:
 * beyond it connections wait at the door. */
static void raise_files(uint64_t want)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	if (files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0)
			getrlimit(RLIMIT_NOFILE, &files);
	}
	metric_set(METRIC_PROCESS_FILES_MAX, (int64_t)MIN(files.rlim_cur, (rlim_t)INT64_MAX));
	if (files.rlim_cur < want)
		log_warn(
			"program.files",
			"may_open=%ju asked_for=%ju why=\"raise LimitNOFILE= of the unit, or lower "
			"the limits on connections\"",
			(uintmax_t)files.rlim_cur, (uintmax_t)want);
}

/* Long answers are in buffers of some 100 KiB that come and go thousands of times a second: pages
 * that glibc gave back to the system in between would be zeroed by it for each of them.  And evhttp
 * takes some thirty small blocks for each request. */
static void keep_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
#endif
#ifndef SANITIZED
	event_set_mem_functions(recycle_malloc, recycle_realloc, recycle_free);
#endif
}

void program_start(const struct config *config, enum config_role role, const char *name)
{
	static_assert((int)CONFIG_LOG_DEBUG == (int)LOG_LEVEL_DEBUG &&
			      (int)CONFIG_LOG_ERROR == (int)LOG_LEVEL_ERROR,
		      "the words of log.level stand in the order of the levels");
	log_init((enum log_level)config->log.level, STDERR_FILENO, name);
	raise_files(program_files(config, role));
	keep_memory();
}

static void refresh_ledger(struct ledger *ledger)
{
	struct ledger_stats stats;

	ledger_stats(ledger, &stats);
	metric_set(METRIC_LEDGER_SIZE, (int64_t)stats.bytes);
	metric_set(METRIC_LEDGER_EVIDENCE, (int64_t)stats.evidence_bytes);
	metric_set(METRIC_LEDGER_LANES, (int64_t)stats.lanes);
	metric_set(METRIC_LEDGER_QUEUE, (int64_t)stats.queued);
	metric_set(METRIC_LEDGER_QUEUE_SIZE, (int64_t)stats.queued_bytes);
}

static void refresh_registry(struct registry *registry)
{
	CLEANUP(registry_view_unref) struct registry_view *view = registry_view_take(registry);
	struct registry_status status;

	registry_status(registry, &status);
	metric_set(METRIC_REGISTRY_AGE, (clock_wall_ms() - status.last_ok_ms) * 1000);
	metric_set(METRIC_REGISTRY_HEIGHT, (int64_t)view_height(view, clock_wall_ms()));
}

void program_refresh(struct ledger *ledger, struct registry *registry)
{
	if (ledger != NULL)
		refresh_ledger(ledger);
	if (registry != NULL)
		refresh_registry(registry);
}
