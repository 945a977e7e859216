/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/hello.h"

#include <assert.h>

#define PREFIX "counterfoil/hello/v1\n"
#define SIGNED_BYTES (sizeof(PREFIX) - 1 + TLS_EXPORTER_BYTES + 32 + 1)

/* The bytes that a HELLO signs [F4]. */
static void signed_bytes(const uint8_t exporter[TLS_EXPORTER_BYTES],
			 const struct network_id *network, uint8_t role, uint8_t dst[SIGNED_BYTES])
{
	uint8_t *p = dst;

	memcpy(p, PREFIX, sizeof(PREFIX) - 1);
	p += sizeof(PREFIX) - 1;
	memcpy(p, exporter, TLS_EXPORTER_BYTES);
	p += TLS_EXPORTER_BYTES;
	memcpy(p, network->b, sizeof(network->b));
	p[sizeof(network->b)] = role;
}

void hello_build(const struct link_self *self, const uint8_t exporter[TLS_EXPORTER_BYTES],
		 struct frame_hello *ret)
{
	uint8_t msg[SIGNED_BYTES];

	assert(self->frame_max >= FRAME_MAX_BEFORE_HELLO);
	*ret = (struct frame_hello){
		.version = FRAME_VERSION,
		.role = (uint8_t)self->role,
		.network = self->network,
		.key = self->id,
		.height = self->height,
		.frame_max = self->frame_max,
		.in_flight_max = self->in_flight_max,
		.max_unpaid_cu = self->role == FRAME_ROLE_SUPPLIER ? self->max_unpaid_cu : 0,
		.worker = self->worker,
	};
	signed_bytes(exporter, &self->network, ret->role, msg);
	sign_bytes(self->key, msg, sizeof(msg), &ret->signature);
}

bool hello_check(const struct frame_hello *hello, const struct link_self *self,
		 const struct key_id *expected, const uint8_t exporter[TLS_EXPORTER_BYTES],
		 struct err *err)
{
	uint8_t msg[SIGNED_BYTES];

	if (hello->version != FRAME_VERSION)
		return err_set(err, ERR_VERSION, "hello: version %u", (unsigned)hello->version);
	if (hello->role == self->role)
		return err_set(err, ERR_IDENTITY, "hello: the peer is a %s too",
			       self->role == FRAME_ROLE_GATEWAY ? "gateway" : "supplier");
	if (!ID_EQ(&hello->network, &self->network))
		return err_set(err, ERR_IDENTITY, "hello: the peer is of another network");
	if (ID_EQ(&hello->key, &self->id))
		return err_set(err, ERR_IDENTITY, "hello: the peer has our own key");
	if (expected && !ID_EQ(&hello->key, expected))
		return err_set(err, ERR_IDENTITY,
			       "hello: the peer's key is not the registry's for this endpoint");
	signed_bytes(exporter, &hello->network, hello->role, msg);
	if (!verify_bytes(&hello->key, msg, sizeof(msg), &hello->signature))
		return err_set(err, ERR_IDENTITY, "hello: the signature does not verify");
	if (hello->frame_max < FRAME_MAX_BEFORE_HELLO)
		return err_set(err, ERR_PROTOCOL, "hello: frame_max under 1024");
	return true;
}
