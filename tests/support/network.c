/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/network.h"

#include <stdio.h>
#include <stdlib.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/crypto/sign.h"
#include "session/registry/store.h"

const struct network_params NETWORK_PARAMS_DEFAULT = {
	.budget = (u128)1000000000000000,
	.price = 1,
	.block_ms = 1000,
	.session_blocks = 60,
};

static bool put_supplier(const struct relay_key *key, char *endpoint, struct store *store,
			 const struct network_params *p, const struct store_write *w,
			 struct err *err)
{
	static struct service_name eth = {"eth"};
	struct supplier_entry e = {
		.key = *relay_key_public(key),
		.stake = session_params_default.stake_unit,
		.price = p->price,
		.services_n = 1,
		.services = &eth,
		.endpoint = endpoint,
	};
	height_t height;

	e.owner = owner_default(&e.key);
	return store_put_supplier(store, w, &e, &height, err);
}

static bool put_suppliers(struct network *net, struct store *store, const struct network_params *p,
			  const struct store_write *w, struct err *err)
{
	for (size_t i = 1; i < p->suppliers; i++) {
		char endpoint[96];

		snprintf(endpoint, sizeof(endpoint), "unix:%s/node%zu.sock", net->dir, i);
		net->more[i] = relay_key_generate(KEY_ROLE_SUPPLIER);
		if (!put_supplier(net->more[i], endpoint, store, p, w, err))
			return false;
	}
	return put_supplier(net->supplier, net->endpoint, store, p, w, err);
}

static bool put_grant(struct network *net, struct store *store, const struct network_params *p,
		      const struct store_write *w, struct err *err)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct grant_entry e = {
		.application = *relay_key_public(net->application),
		.gateway = *relay_key_public(net->gateway),
		.service = {"eth"},
		.budget = p->budget,
		.nonce = 1,
	};
	height_t height;

	grant_bytes(store_network(store), &e, &bytes);
	sign_bytes(net->application, bytes.p, bytes.n, &e.signature);
	return store_put_grant(store, w, &e, &height, err);
}

static bool fill(struct network *net, struct store *store, const struct network_params *p,
		 struct err *err)
{
	struct store_write w = {.now_ms = clock_wall_ms(), .genesis = true};
	struct service_entry service = {.name = {"eth"}};
	u128 escrow;
	height_t height;

	service.table = *method_table_hash(chain_table(chain_find("evm")));
	return store_put_service(store, &w, &service, &height, err) &&
	       put_suppliers(net, store, p, &w, err) &&
	       store_fund(store, &w, relay_key_public(net->application), p->budget * 100, false,
			  &escrow, &height, err) &&
	       put_grant(net, store, p, &w, err);
}

static bool make_registry(struct network *net, const struct network_params *p, struct err *err)
{
	struct session_params params = session_params_default;
	struct store *store = NULL;
	msec_t next_ms;
	bool ok;

	params.session_blocks = p->session_blocks;
	clock_tick();
	if (!store_create(net->registry_path, &params, p->block_ms, net->registry_key,
			  clock_wall_ms(), &store, err))
		return false;
	ok = fill(net, store, p, err) && store_keep(store, clock_wall_ms(), &next_ms, err);
	store_close(store);
	return ok;
}

bool network_create(const struct network_params *p, struct network **ret, struct err *err)
{
	struct network *net = xcalloc(1, sizeof(*net));

	snprintf(net->dir, sizeof(net->dir), "/tmp/counterfoil-test-XXXXXX");
	if (!mkdtemp(net->dir)) {
		free(net);
		return err_set(err, ERR_IO, "mkdtemp");
	}
	snprintf(net->registry_path, sizeof(net->registry_path), "%s/registry.db", net->dir);
	snprintf(net->supplier_path, sizeof(net->supplier_path), "%s/supplier.key", net->dir);
	snprintf(net->gateway_path, sizeof(net->gateway_path), "%s/gateway.key", net->dir);
	snprintf(net->endpoint, sizeof(net->endpoint), "unix:%s/node.sock", net->dir);
	net->registry_key = relay_key_generate(KEY_ROLE_REGISTRY);
	net->application = relay_key_generate(KEY_ROLE_APPLICATION);
	net->gateway = relay_key_generate(KEY_ROLE_GATEWAY);
	net->supplier = relay_key_generate(KEY_ROLE_SUPPLIER);
	if (!relay_key_save(net->supplier, net->supplier_path, NULL, err) ||
	    !relay_key_save(net->gateway, net->gateway_path, NULL, err) ||
	    !make_registry(net, p, err) ||
	    !registry_open(net->registry_path, NULL, &net->registry, err)) {
		network_destroy(net);
		return false;
	}
	*ret = net;
	return true;
}

void network_destroy(struct network *net)
{
	char command[96];

	if (!net)
		return;
	registry_close(net->registry);
	relay_key_destroy(net->registry_key);
	relay_key_destroy(net->application);
	relay_key_destroy(net->gateway);
	relay_key_destroy(net->supplier);
	for (size_t i = 1; i < NETWORK_SUPPLIERS_MAX; i++)
		relay_key_destroy(net->more[i]);
	snprintf(command, sizeof(command), "rm -rf '%s'", net->dir);
	if (system(command) != 0)
		fprintf(stderr, "network: %s stays\n", net->dir);
	free(net);
}

bool network_session(struct network *net, struct session_info **ret, struct err *err)
{
	CLEANUP(registry_view_unref) struct registry_view *view = registry_view_take(net->registry);
	struct service_name eth = {"eth"};
	height_t height;

	clock_tick();
	height = view_height(view, clock_wall_ms());
	return view_session(view, relay_key_public(net->application), &eth,
			    view_start(view, height), ret, err);
}
