/* SPDX-License-Identifier: Apache-2.0 */
#include "session/session.h"

#include <assert.h>

#include "relay/base/bytes.h"
#include "relay/crypto/digest.h"

#define NETWORK_TAG "counterfoil/network/v1\n"
#define SESSION_TAG "counterfoil/session/v1\n"
#define OWNER_TAG "counterfoil/owner/v1\n"

struct session_id session_id_derive(const struct network_id *network,
				    const struct key_id *application,
				    const struct service_name *service, height_t start,
				    const struct seed *seed)
{
	uint8_t bytes[sizeof(SESSION_TAG) - 1 + 32 + 32 + 1 + SERVICE_NAME_MAX + 8 + 32];
	size_t len = strlen(service->s);
	uint8_t *p = bytes;
	struct hash h;
	struct session_id id;

	assert(len >= 1 && len <= SERVICE_NAME_MAX);
	p = (uint8_t *)mempcpy(p, SESSION_TAG, sizeof(SESSION_TAG) - 1);
	p = (uint8_t *)mempcpy(p, network->b, 32);
	p = (uint8_t *)mempcpy(p, application->b, 32);
	*p++ = (uint8_t)len;
	p = (uint8_t *)mempcpy(p, service->s, len);
	put_be64(p, start);
	p = (uint8_t *)mempcpy(p + 8, seed->b, 32);
	sha256(bytes, (size_t)(p - bytes), &h);
	memcpy(id.b, h.b, 32);
	return id;
}

static struct network_id network_id_of(uint8_t kind, const void *tail, size_t n)
{
	const struct view parts[] = {VIEW_STR(NETWORK_TAG), VIEW(&kind, 1), VIEW(tail, n)};
	struct network_id id;
	struct hash h;

	sha256_parts(parts, ARRAY_SIZE(parts), &h);
	memcpy(id.b, h.b, 32);
	return id;
}

struct network_id network_id_private(const uint8_t tail[32])
{
	return network_id_of(2, tail, 32);
}

struct network_id network_id_contract(uint64_t chain_id, const uint8_t contract[20])
{
	uint8_t tail[28];

	put_be64(tail, chain_id);
	memcpy(tail + 8, contract, 20);
	return network_id_of(1, tail, sizeof(tail));
}

struct owner_id owner_default(const struct key_id *relay_key)
{
	const struct view parts[] = {VIEW_STR(OWNER_TAG), VIEW(relay_key->b, 32)};
	struct owner_id owner;
	struct hash h;

	sha256_parts(parts, ARRAY_SIZE(parts), &h);
	memcpy(owner.b, h.b, sizeof(owner.b));
	return owner;
}

static height_t sum(height_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

height_t session_start(const struct session_params *p, height_t height)
{
	return height - height % p->session_blocks;
}

height_t session_end(const struct session_params *p, height_t start)
{
	return sum(start, p->session_blocks);
}

bool session_exists(const struct session_params *p, height_t start)
{
	return start % p->session_blocks == 0 && start >= p->snapshot_lag;
}

height_t session_snapshot_height(const struct session_params *p, height_t start)
{
	assert(session_exists(p, start));
	return start - p->snapshot_lag;
}

height_t session_seed_height(const struct session_params *p, height_t start)
{
	assert(session_exists(p, start) && p->seed_lag < p->snapshot_lag);
	return start - p->seed_lag;
}

bool session_gateway_may_open(const struct session_params *p, height_t start, height_t height)
{
	return start <= height && height < session_end(p, start);
}

height_t session_gone(const struct session_params *p, height_t start)
{
	return sum(session_end(p, start), MAX(p->grace_blocks, (uint64_t)1));
}

bool session_node_accepts(const struct session_params *p, height_t start, height_t height)
{
	return start <= sum(height, 1) && height < session_gone(p, start);
}
