/* SPDX-License-Identifier: Apache-2.0
 * A recording, and a script of faults, by anybody: what is read of a recording are its bytes from
 * the front, entry after entry; what is read of a script says the same again. */
#include <assert.h>
#include <string.h>

#include "relay/sim/faults.h"
#include "relay/sim/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_BYTES 24 /* of the first line */

static void try_recording(struct view bytes)
{
	struct recording r;
	struct err err;
	size_t at = HEAD_BYTES;
	usec_t now = 0;

	if (!recording_read(bytes, &r, &err)) {
		assert(err.code == ERR_FORMAT);
		return;
	}
	for (size_t i = 0; i < r.n; i++) {
		const struct entry *e = &r.entries[i];

		assert(e->text.p == bytes.p + at && e->text.p[e->text.n - 1] == '\n');
		assert(e->payload.n < e->text.n && e->at_us >= now);
		at += e->text.n;
		now = e->at_us;
	}
	assert(at <= bytes.n && (!r.ended || r.entries[r.n - 1].kind == ENTRY_END));
	recording_finish(&r);
}

static void try_script(struct view bytes)
{
	struct faults faults = {0};
	struct key_id key = {{0x12, 0x34}};
	struct err err;

	if (faults_read(bytes, &faults, &err)) {
		for (size_t i = 0; i < faults.n; i++) {
			const struct fault *f = &faults.list[i];

			assert(f->from_us >= 0 && f->supplier[0] != '\0');
			if (f->supplier[0] == '*' && f->from_us < f->to_us)
				assert(faults_find(&faults, f->from_us, 1, &key));
		}
	} else {
		assert(err.code == ERR_FORMAT || err.code == ERR_LIMIT);
	}
	faults_finish(&faults);
}

static void try_lie(struct view bytes)
{
	struct buf body = {0};

	buf_put(&body, bytes.p, bytes.n);
	fault_lie(&body);
	assert(body.n == bytes.n);
	buf_finish(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view bytes = VIEW(data, size);

	try_recording(bytes);
	try_script(bytes);
	try_lie(bytes);
	return 0;
}
