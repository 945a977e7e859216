/* SPDX-License-Identifier: Apache-2.0
 * Error objects of any words: 8 bytes of code, then message and data, divided at the first NUL.
 * What must hold: every one has a class; it is EXECUTION exactly where the rule of [R9], written a
 * second time here, says so; the case of letters and what stands beyond the bound change nothing.
 */
#include <assert.h>

#include "chains/chain.h"
#include "relay/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const ran[] = {
	"execution reverted",  "vm execution error",
	"vm exception",	       "reverted",
	"out of gas",	       "outofgas",
	"invalid opcode",      "invalid jump",
	"stack underflow",     "stack overflow",
	"write protection",    "max code size exceeded",
	"gas uint64 overflow", "contract creation code storage",
};

static bool has(struct view text, const char *words)
{
	char *copy = xcalloc(1, text.n + 1);
	bool found;

	for (size_t i = 0; i < text.n; i++)
		copy[i] = (char)(text.p[i] ? text.p[i] : ' ');
	found = strcasestr(copy, words) != NULL;
	xfree(copy);
	return found;
}

static bool has_digit(struct view text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] >= '0' && text.p[i] <= '9')
			return true;
	}
	return false;
}

static bool is_charged(int64_t code, struct view message, struct view data)
{
	bool charged =
		code == 3 || code == -32015 || has(data, "0x08c379a0") || has(data, "0x4e487b71");

	for (size_t i = 0; i < ARRAY_SIZE(ran); i++)
		charged = charged || has(message, ran[i]);
	return charged;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct chain *chain = chain_find("evm");
	uint8_t *copy = xmemdup(bytes, size);
	struct reader r = reader_of(VIEW(copy, size));
	int64_t code = (int64_t)read_u64(&r);
	struct view message = read_rest(&r), data = {NULL, 0};
	const uint8_t *end = message.n > 0 ? memchr(message.p, 0, message.n) : NULL;
	struct buf longer = {0};
	enum chain_error error;
	uint64_t blocks = 0;

	if (end) {
		data = VIEW(end + 1, message.n - (size_t)(end - message.p) - 1);
		message.n = (size_t)(end - message.p);
	}
	error = chain_error_class(chain, code, message, data);
	assert(error < CHAIN_ERROR_COUNT && chain_error_info(error)->name);
	assert((error == CHAIN_ERROR_EXECUTION) == is_charged(code, message, data));
	buf_put(&longer, message.p, message.n);
	if (message.n >= CHAIN_ERROR_TEXT_MAX)
		buf_put_str(&longer, " header not found");
	for (size_t i = 0; i < longer.n; i++)
		longer.p[i] ^= longer.p[i] >= 'A' && longer.p[i] <= 'Z' ? 0x20 : 0;
	assert(chain_error_class(chain, code, buf_view(&longer), data) == error);
	if (chain_error_blocks(chain, message, data, &blocks) != CHAIN_BLOCKS_NONE)
		assert(blocks > 0 && (has_digit(message) || has_digit(data)));
	buf_finish(&longer);
	xfree(copy);
	return 0;
}
