/* SPDX-License-Identifier: Apache-2.0
 * HELLO from anybody, through frame, reader and check with its signature ([F2], [F4]).  The input
 * says which key a HELLO is signed with and over what, then which byte is changed.  The verdict
 * must be that of the rule as it is written down here once more. */
#include <sodium.h>

#include "relay/link/hello.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYS = 3, KEY_OWN = 0 };

static struct relay_key *keys[KEYS];
static struct link_self self;

static void make_keys(void)
{
	for (uint8_t i = 0; i < KEYS; i++) {
		uint8_t seed[KEY_SEED_BYTES] = {i};

		keys[i] = relay_key_from_seed(KEY_ROLE_SUPPLIER, seed);
	}
	self = (struct link_self){.key = keys[KEY_OWN],
				  .id = *relay_key_public(keys[KEY_OWN]),
				  .role = FRAME_ROLE_GATEWAY,
				  .frame_max = 1u << 20,
				  .network = {{7}}};
}

/* A HELLO as the input has it: some fields from small sets, so that they often are right. */
static void build(struct choices *c, const uint8_t exporter[TLS_EXPORTER_BYTES], struct buf *out)
{
	struct relay_key *key = keys[choose_below(c, KEYS)];
	struct link_self peer = {.key = key, .id = *relay_key_public(key), .network = self.network};
	uint8_t other[TLS_EXPORTER_BYTES] = {0};
	struct frame_hello hello;

	peer.role = choose_below(c, 4) == 0 ? FRAME_ROLE_GATEWAY : FRAME_ROLE_SUPPLIER;
	if (choose_below(c, 8) == 7)
		peer.network.b[31] = 1;
	peer.frame_max = FRAME_MAX_BEFORE_HELLO + choose_below(c, 1024);
	peer.in_flight_max = choose_below(c, UINT32_MAX);
	peer.max_unpaid_cu = choose_u64(c);
	peer.worker = choose_u8(c);
	peer.height = choose_u64(c);
	hello_build(&peer, choose_below(c, 8) == 7 ? other : exporter, &hello);
	if (choose_below(c, 8) == 7)
		hello.frame_max = choose_below(c, 2048);
	frame_put_hello(out, &hello);
}

/* [F4] once more, over the bytes of the payload; `expected` NULL: any key. */
static bool rule_accepts(const uint8_t *p, size_t n, const struct key_id *expected,
			 const uint8_t exporter[TLS_EXPORTER_BYTES])
{
	uint8_t said[21 + 32 + 32 + 1];

	if (n != 1 + 1 + 32 + 32 + 64 + 8 + 4 + 4 + 8 + 4 || p[0] != 1 || p[1] != 2)
		return false; /* a supplier is the only peer that a gateway talks to */
	memcpy(said, "counterfoil/hello/v1\n", 21);
	memcpy(said + 21, exporter, 32);
	memcpy(said + 53, p + 2, 32);
	said[85] = p[1];
	return memcmp(p + 2, self.network.b, 32) == 0 && memcmp(p + 34, self.id.b, 32) != 0 &&
	       (!expected || memcmp(p + 34, expected->b, 32) == 0) && get_be32(p + 138) >= 1024 &&
	       crypto_sign_verify_detached(p + 66, said, sizeof(said), p + 34) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t exporter[TLS_EXPORTER_BYTES] = {1, 2, 3};
	struct choices c = {data, size};
	CLEANUP(buf_finish) struct buf bytes = {0}, again = {0};
	const struct key_id *expected = NULL;
	struct frame_hello hello;
	struct frame frame;
	struct err err = {0};
	bool accepted;
	size_t used;

	if (!keys[0])
		make_keys();
	if (choose_u8(&c) & 1)
		expected = relay_key_public(keys[1]);
	build(&c, exporter, &bytes);
	while (choose_damage(&c, &bytes))
		;
	if (frame_scan(buf_view(&bytes), FRAME_MAX_BEFORE_HELLO, &frame, &used, &err) !=
		    FRAME_SCAN_ONE ||
	    frame.type != FRAME_HELLO)
		return 0;
	accepted = frame_read_hello(&frame, &hello, &err);
	if (accepted) {
		frame_put_hello(&again, &hello);
		assert(view_eq(VIEW(again.p + FRAME_HEADER_BYTES, again.n - FRAME_HEADER_BYTES),
			       frame.payload));
		accepted = hello_check(&hello, &self, expected, exporter, &err);
	}
	assert(accepted == (frame.stream == 0 &&
			    rule_accepts(frame.payload.p, frame.payload.n, expected, exporter)));
	assert(accepted || err.code == ERR_PROTOCOL || err.code == ERR_VERSION ||
	       err.code == ERR_IDENTITY);
	return 0;
}
