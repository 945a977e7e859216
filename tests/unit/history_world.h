/* SPDX-License-Identifier: Apache-2.0
 * A history of a small network, and entries for it; for its tests. */
#ifndef TESTS_UNIT_HISTORY_WORLD_H
#define TESTS_UNIT_HISTORY_WORLD_H

#include <stddef.h>

#include "relay/base/bytes.h"
#include "session/budget.h"
#include "session/history.h"
#include "tests/support/gen.h"

static const struct network_id network = {{1}};
static const struct session_clock every_second = {0, 1000};

static inline struct service_name name_of(const char *s)
{
	struct service_name name;

	assert_true(service_name_parse(s, strlen(s), &name));
	return name;
}

static inline struct history *history_new(void)
{
	struct history *h = history_create(&network, &every_second);
	struct params_entry e = {0, session_params_default};
	struct err err;

	assert_ok(history_add_params(h, &e, &err), err);
	return h;
}

static struct err why;

/* Adds a supplier; `why` says what was wrong. */
static inline bool add_supplier(struct history *h, uint8_t key, height_t height, u128 stake,
				const char *endpoint, const char *service)
{
	struct service_name name = name_of(service);
	struct supplier_entry e = {.height = height,
				   .key = {{key}},
				   .owner = {{key}},
				   .stake = stake,
				   .price = key,
				   .services_n = 1,
				   .services = &name,
				   .endpoint = (char *)endpoint};

	why = (struct err){0};
	return history_add_supplier(h, &e, &why);
}

static inline bool add_application(struct history *h, uint8_t key, height_t height, u128 escrow)
{
	struct application_entry e = {.height = height, .key = {{key}}, .escrow = escrow};

	why = (struct err){0};
	return history_add_application(h, &e, &why);
}

static inline bool add_grant(struct history *h, uint8_t application, uint8_t gateway,
			     const char *service, height_t height, u128 budget, uint64_t nonce)
{
	struct grant_entry e = {.height = height,
				.application = {{application}},
				.gateway = {{gateway}},
				.service = name_of(service),
				.budget = budget,
				.nonce = nonce};

	why = (struct err){0};
	return history_add_grant(h, &e, &why);
}

#endif
