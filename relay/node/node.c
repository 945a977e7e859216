/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/node/node.h"

#include <signal.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/node/worker.h"

void node_params_default(struct node_params *ret)
{
	*ret = (struct node_params){
		.ledger = {.sync = LEDGER_SYNC_NORMAL,
			   .max_bytes = UINT64_C(10) << 30,
			   .evidence_max_bytes = 256 << 20,
			   .evidence_keep_ms = 7 * 86400000LL,
			   .keep_days = 30},
		.upstream = UPSTREAM_LIMITS_DEFAULT,
		.max_unpaid_cu = 1000000,
		.in_flight_max = 1024,
		.bytes_max = NODE_BYTES_MAX,
		.sessions_max = 4096,
		.frame_max = 20 << 20,
		.lane_leaves = LEAF_SEQ_END,
		.deadline_max_us = 60000000,
		.drain_us = 10000000,
	};
	listener_params_default(&ret->listener);
}

/* How far back served CU counts: a session that has just ended, with its grace. */
static msec_t recent_ms(const struct registry_view *view)
{
	const struct session_params *p = view_params(view, 0);
	uint64_t blocks = 2 * p->session_blocks + p->grace_blocks + 2;

	return (msec_t)(blocks * view_clock(view)->block_ms);
}

static bool node_open(struct node *node, const struct node_params *p, struct err *err)
{
	struct ledger_params ledger = p->ledger;
	struct registry_view *view;

	if (relay_key_role(p->key) != KEY_ROLE_SUPPLIER)
		return err_set(err, ERR_KEY, "the key of a node has the role supplier");
	node->key = p->key;
	if (!tls_create(&node->tls, err))
		return false;
	node->id = *relay_key_public(node->key);
	if (!registry_open(p->registry, p->registry_key, &node->registry, err))
		return err_prefix(err, "registry");
	view = registry_view_take(node->registry);
	ledger.recent_ms = recent_ms(view);
	registry_view_unref(view);
	ledger.role = LEDGER_SUPPLIER;
	ledger.self = node->id;
	if (!ledger_open(&ledger, &node->ledger, err))
		return err_prefix(err, "ledger");
	return worker_create(node, 0, p, &node->worker, err);
}

bool node_create(const struct node_params *p, struct node **ret, struct err *err)
{
	struct node *node = xcalloc(1, sizeof(*node));
	char hex[65];

	crypto_init();
	node->p = *p;
	atomic_store(&node->why_not, (int)ERR_SHUTDOWN);
	if (!node_open(node, p, err)) {
		node_destroy(node);
		return false;
	}
	log_info("node.listening", "key=%s address=%s port=%u", hex_encode(node->id.b, 32, hex),
		 p->listen, node_port(node));
	*ret = node;
	return true;
}

void node_destroy(struct node *node)
{
	if (!node)
		return;
	worker_destroy(node->worker);
	ledger_close(node->ledger);
	registry_close(node->registry);
	tls_destroy(node->tls);
	free(node);
}

bool node_loop(struct node *node, struct err *err)
{
	return worker_loop(node->worker, err);
}

void node_stop(struct node *node)
{
	worker_stop(node->worker);
}

bool node_is_ready(const struct node *node, struct err *ret_why)
{
	enum err_code why = (enum err_code)atomic_load(&node->why_not);

	return why == ERR_NONE || err_set(ret_why, why, "%s", err_info(why)->text);
}

uint16_t node_port(const struct node *node)
{
	return listener_port(node->worker->listener);
}

const struct key_id *node_id(const struct node *node)
{
	return &node->id;
}

struct ledger *node_ledger(const struct node *node)
{
	return node->ledger;
}

struct registry *node_registry(const struct node *node)
{
	return node->registry;
}
