/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/program.h"

#include <assert.h>
#include <sys/resource.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/metrics.h"
#include "relay/ledger/ledger.h"
#include "session/registry/registry.h"

void program_start(const struct config *config, const char *name)
{
	struct rlimit files;

	static_assert((int)CONFIG_LOG_DEBUG == (int)LOG_LEVEL_DEBUG &&
			      (int)CONFIG_LOG_ERROR == (int)LOG_LEVEL_ERROR,
		      "the words of log.level stand in the order of the levels");
	log_init((enum log_level)config->log.level, STDERR_FILENO, name);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0)
			log_warn("program.files", "limit=%ju", (uintmax_t)files.rlim_max);
	}
}

static void refresh_ledger(struct ledger *ledger)
{
	struct ledger_stats stats;

	ledger_stats(ledger, &stats);
	metric_set(METRIC_LEDGER_SIZE, (int64_t)stats.bytes);
	metric_set(METRIC_LEDGER_EVIDENCE, (int64_t)stats.evidence_bytes);
	metric_set(METRIC_LEDGER_QUEUE, (int64_t)stats.queued);
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
