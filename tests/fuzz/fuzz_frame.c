/* SPDX-License-Identifier: Apache-2.0
 * Frames from anybody: the scanner and every reader.  Postconditions: views stay inside the input,
 * a frame that is accepted is written again byte for byte (flags apart), and errors are named. */
#include <assert.h>
#include <stdlib.h>

#include "tests/support/frame_echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_FRAME_MAX (1u << 20)

static void check_frame(struct view in, const struct frame *f, size_t used)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct err err = {0};

	assert(used >= FRAME_HEADER_BYTES && used <= in.n);
	assert(f->payload.p == in.p + FRAME_HEADER_BYTES);
	assert(f->payload.n == used - FRAME_HEADER_BYTES);
	assert(frame_type_name(f->type) != NULL);
	if (!frame_echo(f, &out, &err)) {
		assert(err.code == ERR_PROTOCOL || err.code == ERR_VERSION ||
		       err.code == ERR_RANGE);
		return;
	}
	assert(out.n == used);
	assert(memcmp(out.p, in.p, 5) == 0);
	assert(memcmp(out.p + 6, in.p + 6, used - 6) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* a copy without slack, so that a read past the end is seen */
	uint8_t *copy = malloc(n ? n : 1);
	struct view in = VIEW(copy, n);

	if (!copy)
		return 0;
	if (n)
		memcpy(copy, data, n);
	for (;;) {
		struct frame f = {0};
		struct err err = {0};
		size_t used = 0;
		enum frame_scan found = frame_scan(in, FUZZ_FRAME_MAX, &f, &used, &err);

		if (found == FRAME_SCAN_BROKEN) {
			assert(err.code == ERR_PROTOCOL || err.code == ERR_FRAME_TOO_LARGE);
			break;
		}
		if (found == FRAME_SCAN_MORE) {
			assert(used == 0 ? in.n < 4 : in.n < used);
			break;
		}
		check_frame(in, &f, used);
		in = VIEW(in.p + used, in.n - used);
	}
	free(copy);
	return 0;
}
