/* SPDX-License-Identifier: Apache-2.0
 * What 1,000 applications cost a gateway at a rollover: a view with 1,000 suppliers, and the
 * session and allowance of each application from it. */
#include <stdio.h>
#include <stdlib.h>

#include "relay/base/clock.h"
#include "session/registry/view.h"
#include "tests/support/gen.h"

#define APPLICATIONS 1000
#define SUPPLIERS 1000
#define START 60

static const struct service_name eth = {"eth"};
static const struct key_id gateway = {{9}};

static void must(bool fine, const struct err *err)
{
	if (!fine) {
		fprintf(stderr, "%s\n", err->msg);
		exit(1);
	}
}

static struct key_id key_of(uint8_t kind, uint32_t number)
{
	struct gen gen = gen_init((uint64_t)kind << 32 | number);
	struct key_id key;

	gen_bytes(&gen, key.b, sizeof(key.b));
	return key;
}

static void add_suppliers(struct history *h)
{
	struct service_name services[1] = {eth};
	char endpoint[] = "127.0.0.1:9000";
	struct err err = {0};

	for (uint32_t i = 0; i < SUPPLIERS; i++) {
		struct supplier_entry e = {.key = key_of(1, i),
					   .stake = (u128)1000000 * (i + 1),
					   .services_n = 1,
					   .services = services,
					   .endpoint = endpoint};

		e.owner = owner_default(&e.key);
		must(history_add_supplier(h, &e, &err), &err);
	}
}

static void add_applications(struct history *h)
{
	struct err err = {0};

	for (uint32_t i = 0; i < APPLICATIONS; i++) {
		struct application_entry app = {.key = key_of(2, i), .escrow = 1000000};
		struct grant_entry grant = {.application = app.key,
					    .gateway = gateway,
					    .service = eth,
					    .budget = 300,
					    .nonce = 1};

		must(history_add_application(h, &app, &err), &err);
		must(history_add_grant(h, &grant, &err), &err);
	}
}

static struct history *make_history(void)
{
	const struct network_id network = {{1}};
	const struct session_clock clock = {0, 1000};
	struct params_entry params = {.params = session_params_default};
	struct service_entry service = {.name = eth};
	struct history *h = history_create(&network, &clock);
	struct err err = {0};

	must(history_add_params(h, &params, &err), &err);
	must(history_add_service(h, &service, &err), &err);
	add_suppliers(h);
	add_applications(h);
	must(history_seal(h, &err), &err);
	return h;
}

static void derive_all(const struct registry_view *view)
{
	for (uint32_t i = 0; i < APPLICATIONS; i++) {
		const struct key_id app = key_of(2, i);
		struct session_info *s = NULL;
		struct err err = {0};
		u128 allowance;

		must(view_session(view, &app, &eth, START, &s, &err), &err);
		must(view_allowance(view, &app, &gateway, &eth, START, &allowance, &err), &err);
		free(s);
	}
}

int main(void)
{
	const struct key_id key = {{1}};
	const struct seed seed = {{7}};
	struct history *h = make_history();
	struct seed_run seeds = {0};
	struct registry_view *view;
	usec_t begin, view_us;

	if (!seed_run_add(&seeds, START - session_params_default.seed_lag, &seed))
		return 1;
	begin = clock_now_us();
	view = registry_view_create(h, &key, &seeds, START, NULL);
	view_us = clock_now_us() - begin;
	begin = clock_now_us();
	derive_all(view);
	printf("registry.view      %8.2f ms   of %d suppliers, on the follower's thread\n",
	       (double)view_us / 1000, SUPPLIERS);
	printf("registry.sessions  %8.2f us   an application, of %d\n",
	       (double)(clock_now_us() - begin) / APPLICATIONS, APPLICATIONS);
	registry_view_unref(view);
	seed_run_finish(&seeds);
	history_unref(h);
	return 0;
}
