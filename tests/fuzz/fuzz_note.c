/* SPDX-License-Identifier: Apache-2.0
 * Notes, checkpoints and verifier keys from strangers: nothing is read outside the bytes, and what
 * opens is built again to a note that opens to the same head ([N1] [N4] [N5]). */
#include <stdlib.h>
#include <string.h>

#include "relay/receipt/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct view part, struct view whole)
{
	if (part.p < whole.p || part.p + part.n > whole.p + whole.n)
		abort();
}

static void try_checkpoint(struct view bytes)
{
	struct checkpoint_origin origin;
	struct checkpoint_lane lane;
	struct checkpoint head, again;
	struct buf note = {0};
	struct err err;

	if (!checkpoint_read_origin(bytes, &origin, &err))
		return;
	checkpoint_lane_init(&lane, &origin);
	if (!checkpoint_open(&lane, bytes, &head, &err))
		return;
	if (head.size < 1 || head.size > CHECKPOINT_SIZE_MAX)
		abort();
	checkpoint_put_note(&lane, &head, &note);
	if (!checkpoint_open(&lane, buf_view(&note), &again, &err) || again.size != head.size ||
	    !ID_EQ(&again.root, &head.root) || again.cosigned != head.cosigned ||
	    again.cosign_time != head.cosign_time)
		abort();
	buf_finish(&note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view bytes = {data, size};
	struct note_key key, back;
	struct note note;
	struct err err;

	if (note_parse(bytes, CHECKPOINT_NOTE_MAX, &note, &err)) {
		inside(note.text, bytes);
		if (note.sig_count < 1 || note.sig_count > NOTE_SIGS_MAX ||
		    note.text.p[note.text.n - 1] != '\n')
			abort();
		for (size_t i = 0; i < note.sig_count; i++) {
			inside(note.sig[i].name, bytes);
			inside(note.sig[i].base64, bytes);
		}
	}
	try_checkpoint(bytes);
	if (note_key_parse(bytes, &key, &err)) {
		char text[NOTE_VKEY_MAX];

		note_key_text(&key, text);
		if (!view_eq(VIEW_STR(text), bytes) || !note_key_parse(bytes, &back, &err))
			abort();
	}
	return 0;
}
