/* SPDX-License-Identifier: Apache-2.0
 * What the files of `counterfoil status` share: pages that were fetched, and how they are shown. */
#ifndef RELAY_CLI_STATUS_H
#define RELAY_CLI_STATUS_H

#include <jansson.h>

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define STATUS_SOURCES_MAX 64

/* One admin address, and what it said at two moments. */
struct status_source {
	const char *admin; /* "host:port" or "unix:/path" */
	bool is_guess;	   /* nobody named it: silence is no fault */
	struct err why;	   /* ERR_NONE: it answered */
	json_t *page;	   /* NULL: it never did */
	json_t *before;	   /* the page before; NULL: there is none */
	usec_t at_us, before_us;
};

/* Fetches the status page of a source.  Failure is told in source->why; the pages stay then. */
void status_fetch(struct status_source *source);
void status_source_finish(struct status_source *source);

/* A counter's growth a second between the last two pages; 0 when there are not two, or the program
 * began anew between them. */
double status_rate(const struct status_source *source, const char *counter);

/* Appends it all as lines for people; now is the wall clock. */
void status_show(const struct status_source *sources, size_t n, msec_t now, struct buf *out);
/* ... or as one JSON object: the pages, with "admin" and "rates" in each. */
void status_show_json(const struct status_source *sources, size_t n, struct buf *out);

#endif
