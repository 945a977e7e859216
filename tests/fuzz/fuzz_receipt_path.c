/* SPDX-License-Identifier: Apache-2.0
 * "<lane>/<seq>" as it stands in paths and headers ([G2], [G3]): there is one way to write it, and
 * only that is read. */
#include "relay/base/mem.h"
#include "relay/rpc/reply.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(struct choices *c)
{
	char text[REPLY_RECEIPT_MAX], salt_hex[33];
	struct lane_id lane, lane_back;
	struct salt salt;
	uint64_t seq = choose_u64(c), seq_back;
	size_t n;
	bool ok;

	choose_fill(c, lane.b, sizeof(lane.b));
	choose_fill(c, salt.b, sizeof(salt.b));
	reply_receipt_text(&lane, seq, &salt, text);
	n = strlen(text);
	assert(n < REPLY_RECEIPT_MAX && text[n - 33] == '/');
	assert(strcmp(text + n - 32, hex_encode(salt.b, sizeof(salt.b), salt_hex)) == 0);
	ok = reply_receipt_parse(text, n - 33, &lane_back, &seq_back);
	assert(ok && ID_EQ(&lane, &lane_back) && seq == seq_back);
	ok = reply_receipt_parse(text, n, &lane_back, &seq_back);
	assert(!ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(xfree) char *copy = xmemdup(data, size);
	struct choices c = {data, size};
	char text[REPLY_RECEIPT_MAX];
	const struct salt salt = {{0}};
	struct lane_id lane = {{9}};
	uint64_t seq = 9;

	if (reply_receipt_parse(copy, size, &lane, &seq)) {
		reply_receipt_text(&lane, seq, &salt, text);
		assert(strlen(text) == size + 33 && memcmp(text, data, size) == 0);
	} else {
		assert(lane.b[0] == 9 && seq == 9);
	}
	check_written(&c);
	return 0;
}
