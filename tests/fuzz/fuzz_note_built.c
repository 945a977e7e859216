/* SPDX-License-Identifier: Apache-2.0
 * Checkpoint notes as the input describes them ([N1] to [N5]): true, false and repeated signatures
 * of both parties and of strangers, in any order; whether a note opens is known from how it was
 * made.  Then damaged: it may open only where what is signed is unchanged. */
#include "relay/base/mem.h"
#include "relay/crypto/sign.h"
#include "relay/receipt/checkpoint.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct relay_key *supplier, *gateway;
static struct checkpoint_lane lane;

static void make_lane(void)
{
	const uint8_t one[KEY_SEED_BYTES] = {1}, two[KEY_SEED_BYTES] = {2};
	struct checkpoint_origin origin = {.network = {{3}}, .lane = {{4}}};

	supplier = relay_key_from_seed(KEY_ROLE_SUPPLIER, one);
	gateway = relay_key_from_seed(KEY_ROLE_GATEWAY, two);
	origin.supplier = *relay_key_public(supplier);
	origin.gateway = *relay_key_public(gateway);
	checkpoint_lane_init(&lane, &origin);
}

/* What must come of the note that was built. */
struct model {
	size_t lines;
	bool broken; /* a signature of a known key is false */
	bool supplier, supplier_first, gateway;
	uint64_t time; /* the largest cosigned */
};

/* One signature line, of one of six kinds. */
static void put_line(struct choices *c, struct buf *note, const struct checkpoint *head,
		     struct model *m)
{
	struct checkpoint signed_head = *head;
	struct note_key stranger = lane.supplier;
	uint32_t what = choose_below(c, 12);
	uint64_t time = choose_u8(c);

	if (what < 4) {
		checkpoint_sign(&lane, supplier, &signed_head);
		note_put_signature(note, &lane.supplier, 0, &signed_head.supplier_sig);
		m->supplier_first |= m->lines == 0;
		m->supplier = true;
	} else if (what < 8) {
		checkpoint_cosign(&lane, gateway, time, &signed_head);
		note_put_signature(note, &lane.gateway, time, &signed_head.gateway_sig);
		m->time = MAX(m->time, time);
		m->gateway = true;
	} else if (what == 8) { /* of another head */
		signed_head.size = signed_head.size == 1 ? 2 : signed_head.size - 1;
		checkpoint_sign(&lane, supplier, &signed_head);
		note_put_signature(note, &lane.supplier, 0, &signed_head.supplier_sig);
		m->broken = true;
	} else if (what == 9) { /* of another time */
		checkpoint_cosign(&lane, gateway, time + 1, &signed_head);
		note_put_signature(note, &lane.gateway, time, &signed_head.gateway_sig);
		m->broken = true;
	} else if (what == 10) { /* a name that is known, with another id: another key */
		stranger.id[time % 4] ^= 1;
		note_put_signature(note, &stranger, 0, &signed_head.supplier_sig);
	} else { /* the id of a known key under another name */
		stranger.name[0] = 'd';
		note_put_signature(note, &stranger, 0, &signed_head.supplier_sig);
	}
	m->lines++;
}

static void check_built(struct view note, const struct checkpoint *head, const struct model *m)
{
	bool fits = m->lines >= 1 && m->lines <= NOTE_SIGS_MAX && note.n <= CHECKPOINT_NOTE_MAX;
	bool supplier_signed = false;
	struct checkpoint got;
	struct err err = {0};
	bool opens = checkpoint_open(&lane, note, &got, &err);

	assert(opens == (fits && !m->broken && m->supplier && m->supplier_first));
	if (opens) {
		assert(got.size == head->size && ID_EQ(&got.root, &head->root));
		assert(got.cosigned == m->gateway && got.cosign_time == m->time);
		opens = checkpoint_check(&lane, &got, &err);
		assert(opens);
	}
	opens = checkpoint_open_cosigned(&lane, note, &got, &supplier_signed, &err);
	assert(opens == (fits && !m->broken && m->gateway));
	if (opens) {
		assert(supplier_signed == m->supplier && got.cosign_time == m->time);
		opens = checkpoint_check_cosigned(&lane, &got, &err);
		assert(opens);
	}
	assert(opens || err.code == ERR_NOTE || err.code == ERR_CHECKPOINT ||
	       err.code == ERR_SIGNATURE);
}

/* After damage: what opens says what was signed, and nothing else. */
static void check_damaged(struct view note, const struct checkpoint *head, const struct model *m)
{
	CLEANUP(xfree) uint8_t *exact = xmemdup(note.p, note.n);
	struct checkpoint got;
	struct err err = {0};
	bool supplier_signed;

	if (checkpoint_open(&lane, VIEW(exact, note.n), &got, &err))
		assert(m->supplier && got.size == head->size && ID_EQ(&got.root, &head->root));
	if (checkpoint_open_cosigned(&lane, VIEW(exact, note.n), &got, &supplier_signed, &err))
		assert(m->gateway && got.size == head->size && ID_EQ(&got.root, &head->root) &&
		       got.cosign_time <= m->time);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	CLEANUP(buf_finish) struct buf note = {0};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint head = {.size = 1};
	struct model m = {0};
	bool mixed;

	if (!supplier)
		make_lane();
	head.size =
		choose_u8(&c) & 1 ? 1 + choose_below(&c, CHECKPOINT_SIZE_MAX) : CHECKPOINT_SIZE_MAX;
	choose_fill(&c, head.root.b, sizeof(head.root.b));
	buf_put(&note, text, checkpoint_text(&lane, head.size, &head.root, text));
	buf_put_str(&note, "\n");
	for (uint32_t n = choose_below(&c, NOTE_SIGS_MAX + 3); n > 0; n--)
		put_line(&c, &note, &head, &m);
	check_built(buf_view(&note), &head, &m);
	/* where a line of another head was among them, damage may bring that head about */
	mixed = m.broken;
	while (choose_damage(&c, &note))
		if (!mixed)
			check_damaged(buf_view(&note), &head, &m);
	return 0;
}
