/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/registry_args.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/base/clock.h"
#include "relay/link/address.h"

bool registry_source(const char *option, const char **ret, struct err *err)
{
	const char *source = option ? option : getenv("COUNTERFOIL_REGISTRY_SOURCE");

	if (!source || !*source)
		return err_set(
			err, ERR_USAGE,
			"which registry? give --registry or set COUNTERFOIL_REGISTRY_SOURCE");
	*ret = source;
	return true;
}

bool registry_parse_key(const char *what, const char *text, struct key_id *ret, struct err *err)
{
	if (!hex_decode(text, strlen(text), ret->b, sizeof(ret->b)))
		return err_set(err, ERR_USAGE, "%s: `%.70s' is not a public key of 64 hex digits",
			       what, text);
	return true;
}

bool registry_parse_amount(const char *what, const char *text, u128 *ret, struct err *err)
{
	if (!u128_parse(text, strlen(text), ret) || *ret > AMOUNT_MAX)
		return err_set(err, ERR_USAGE, "%s: `%.50s' is not a whole number of tokens", what,
			       text);
	return true;
}

bool registry_parse_number(const char *what, const char *text, uint64_t max, uint64_t *ret,
			   struct err *err)
{
	if (!u64_parse(text, strlen(text), ret) || *ret > max)
		return err_set(err, ERR_USAGE, "%s: `%.30s' is not a whole number up to %" PRIu64,
			       what, text, max);
	return true;
}

bool registry_parse_endpoint(const char *what, const char *text, struct err *err)
{
	struct address ignored;

	if (!address_parse(text, &ignored, err))
		return err_set(err, ERR_USAGE, "%s: `%.100s' is not host:port or unix:/path", what,
			       text);
	return true;
}

bool registry_parse_service(const char *text, struct service_name *ret, struct err *err)
{
	if (!service_name_parse(text, strlen(text), ret))
		return err_set(err, ERR_USAGE,
			       "`%.40s' is not a service name: a-z, 0-9 and -, at most %d", text,
			       SERVICE_NAME_MAX);
	return true;
}

bool registry_open_store(const char *option, struct store **ret, struct err *err)
{
	const char *source = NULL;

	if (!registry_source(option, &source, err))
		return false;
	if (strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0)
		return err_set(err, ERR_USAGE,
			       "%s can only be read: entries are written where its sqlite file is",
			       source);
	return store_open(source, ret, err);
}

struct store_write registry_write_now(bool dry_run)
{
	clock_tick();
	return (struct store_write){.now_ms = clock_wall_ms(), .dry_run = dry_run};
}

void registry_print_effect(const struct store *store, const struct store_write *w, height_t height,
			   const struct session_params *p)
{
	height_t start = height + p->snapshot_lag + p->session_blocks - 1;
	msec_t wait;

	start -= start % p->session_blocks;
	wait = session_clock_ms(store_clock(store), start) - w->now_ms;
	printf("counts from height %" PRIu64
	       " on, first in the session that starts at height %" PRIu64 ", in %" PRId64 " s\n",
	       height, start, MAX(wait, (msec_t)0) / 1000);
	if (w->dry_run)
		printf("dry run: nothing was written\n");
}

bool registry_read(struct store *store, struct history **ret, struct err *err)
{
	return store_history(store, ret, err);
}
