/* SPDX-License-Identifier: Apache-2.0
 * The words of `stake`, `fund` and `grant`: keys, amounts of tokens, numbers, endpoints and names,
 * and the bytes of a grant that is made of them ([K3], [P1]).  A word is refused by usage and
 * quoted in part; what is read is written again to the same word. */
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/cli/registry_args.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refused(const struct err *err)
{
	assert(err->code == ERR_USAGE && err->msg[0] && memchr(err->msg, 0, sizeof(err->msg)));
}

static void amounts(const char *word)
{
	char again[U128_TEXT_MAX];
	struct err err = {0};
	uint64_t number;
	u128 amount;

	if (registry_parse_amount("amount", word, &amount, &err))
		assert(amount <= AMOUNT_MAX && strcmp(u128_text(amount, again), word) == 0);
	else
		refused(&err);
	if (registry_parse_number("price", word, 1000, &number, &err))
		assert(number <= 1000 && strcmp(u128_text(number, again), word) == 0);
	else
		refused(&err);
}

/* [K3] from its parts, once more. */
static void grant(const char *service, const struct key_id *key, struct choices *c)
{
	CLEANUP(buf_finish) struct buf bytes = {0}, want = {0};
	struct network_id network = {{1}};
	struct grant_entry e = {.application = *key, .gateway = *key, .nonce = choose_u64(c)};

	if (!service_name_parse(service, strlen(service), &e.service))
		return;
	e.gateway.b[0] ^= 1;
	e.budget = (u128)choose_u64(c) << 32 | choose_u8(c);
	grant_bytes(&network, &e, &bytes);
	buf_put_str(&want, "counterfoil/grant/v1\n");
	buf_put(&want, network.b, 32);
	buf_put(&want, e.application.b, 32);
	buf_put(&want, e.gateway.b, 32);
	buf_put_u8(&want, (uint8_t)strlen(service));
	buf_put_str(&want, service);
	for (int shift = 120; shift >= 0; shift -= 8)
		buf_put_u8(&want, (uint8_t)(e.budget >> shift));
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_put_u8(&want, (uint8_t)(e.nonce >> shift));
	assert(view_eq(buf_view(&bytes), buf_view(&want)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(xfree) char *word = xstrndup((const char *)data, MIN(size, (size_t)300));
	struct choices c = {data, size};
	struct service_name service;
	struct key_id key = {{0}};
	char hex[65];
	struct err err = {0};

	if (registry_parse_key("key", word, &key, &err))
		assert(strcmp(hex_encode(key.b, sizeof(key.b), hex), word) == 0);
	else
		refused(&err);
	if (registry_parse_service(word, &service, &err))
		assert(strcmp(service.s, word) == 0);
	else
		refused(&err);
	if (!registry_parse_endpoint("--endpoint", word, &err))
		refused(&err);
	amounts(word);
	grant(word, &key, &c);
	return 0;
}
