/* SPDX-License-Identifier: Apache-2.0
 * The look at the backends before a node starts. */
#include <assert.h>
#include <inttypes.h>

#include "chains/chain.h"
#include "relay/base/log.h"
#include "relay/node/node.h"

static bool survey_service(const struct node_params *p, const struct node_service_params *service,
			   struct err *err)
{
	const struct chain *chain = chain_find(service->family);
	struct upstream_survey found[UPSTREAM_URLS_MAX];
	const struct upstream_survey *first = NULL;
	char url[128];

	if (!upstream_survey(service->urls, service->urls_n, chain, p->upstream.ca_file,
			     p->upstream.probe_timeout_us, found, err))
		return err_prefix(err, "service %s", service->name.s);
	for (size_t i = 0; i < service->urls_n; i++) {
		upstream_url_text(service->urls[i], url, sizeof(url));
		if (!found[i].answered)
			log_warn("upstream.no_answer", "service=%s url=%s why=\"%s\"",
				 service->name.s, url, found[i].why.msg);
		assert(!found[i].is_foreign || first); /* that is, another chain than the first */
		if (found[i].is_foreign)
			return err_set(err, ERR_CONFIG,
				       "service %s: %s is of chain %" PRIu64
				       ", its siblings are of %" PRIu64 "; correct node.services",
				       service->name.s, url, found[i].chain_id, first->chain_id);
		if (found[i].has_id && !first)
			first = &found[i];
	}
	return true;
}

bool node_survey(const struct node_params *p, struct err *err)
{
	for (size_t i = 0; i < p->services_n; i++)
		if (!survey_service(p, &p->services[i], err))
			return false;
	return true;
}
