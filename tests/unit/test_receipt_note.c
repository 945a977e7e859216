/* SPDX-License-Identifier: Apache-2.0
 * Notes, cosignatures and checkpoints against tests/vectors/note.json
 * (protocol.md [N1] [N2] [N3] [N4] [N5] [B5]). */
#include "tests/unit/unit.h"

#include "relay/crypto/digest.h"
#include "relay/crypto/key.h"
#include "relay/receipt/checkpoint.h"
#include "tests/support/gen.h"
#include "tests/support/vectors.h"

static json_t *vectors;
static struct relay_key *supplier;
static struct relay_key *gateway;
static struct checkpoint_lane lane;
static struct hash root;

static struct relay_key *key_of(enum key_role role, const char *member)
{
	uint8_t seed[KEY_SEED_BYTES];

	vector_hex(vectors, member, seed, sizeof(seed));
	return relay_key_from_seed(role, seed);
}

static int load(void **state)
{
	struct checkpoint_origin origin;

	crypto_init();
	vectors = vectors_load("note.json");
	if (vectors == NULL)
		return -1;
	supplier = key_of(KEY_ROLE_SUPPLIER, "supplier_seed");
	gateway = key_of(KEY_ROLE_GATEWAY, "gateway_seed");
	vector_hex(vectors, "network", origin.network.b, 32);
	vector_hex(vectors, "lane", origin.lane.b, 16);
	vector_hex(vectors, "root", root.b, 32);
	origin.supplier = *relay_key_public(supplier);
	origin.gateway = *relay_key_public(gateway);
	checkpoint_lane_init(&lane, &origin);
	return 0;
}

static int drop(void **state)
{
	json_decref(vectors);
	relay_key_destroy(supplier);
	relay_key_destroy(gateway);
	return 0;
}

static struct checkpoint head_of(uint64_t size, int64_t time)
{
	struct checkpoint head = {.size = size, .root = root};

	checkpoint_sign(&lane, supplier, &head);
	if (time >= 0)
		checkpoint_cosign(&lane, gateway, (uint64_t)time, &head);
	return head;
}

static void verifier_keys_are_those_of_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "keys"), i, row)
	{
		const char *want = vector_text(row, "text");
		struct note_key made, parsed;
		char text[NOTE_VKEY_MAX];
		struct key_id id;
		struct err err;
		enum note_type type = vector_number(row, "type") == NOTE_COSIGNATURE
					      ? NOTE_COSIGNATURE
					      : NOTE_ED25519;

		vector_hex(row, "public", id.b, 32);
		assert_ok(note_key_make(type, vector_text(row, "name"), &id, &made, &err), err);
		assert_string_equal(note_key_text(&made, text), want);
		assert_ok(note_key_parse(VIEW_STR(want), &parsed, &err), err);
		assert_string_equal(note_key_text(&parsed, text), want);
		assert_memory_equal(parsed.key.b, id.b, 32);
	}
	json_array_foreach(json_object_get(vectors, "bad_keys"), i, row)
	{
		struct note_key key;
		struct err err;

		assert_false(note_key_parse(VIEW_STR(json_string_value(row)), &key, &err));
		assert_err(err, ERR_NOTE);
	}
}

static void roles_make_the_names_of_the_protocol(void **state)
{
	const json_t *keys = json_object_get(vectors, "keys");
	static const char *const roles[] = {"supplier", "gateway", "registry"};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		const json_t *row = json_array_get(keys, i);
		struct note_key key;
		char text[NOTE_VKEY_MAX];
		struct key_id id;

		vector_hex(row, "public", id.b, 32);
		note_key_of_role(roles[i], &id, &key);
		assert_string_equal(note_key_text(&key, text), vector_text(row, "text"));
	}
}

static void names_with_spaces_pluses_or_controls_are_refused(void **state)
{
	static const char *const names[] = {"",
					    "a b",
					    "a+b",
					    "a\tb",
					    "a\nb",
					    "a\x7f",
					    "\xff",
					    "a\xc2\xa0",
					    "a\xe3\x80\x80",
					    "a\xe2\x80\x83z",
					    "a\xe1\x9a\x80",
					    "a\xe2\x81\x9f",
					    "a\xc2\x85"};
	struct note_key key;
	struct key_id id = {{1}};
	struct err err;
	char name[NOTE_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_false(note_key_make(NOTE_ED25519, names[i], &id, &key, &err));
	memset(name, 'a', sizeof(name));
	name[NOTE_NAME_MAX + 1] = '\0';
	assert_false(note_key_make(NOTE_ED25519, name, &id, &key, &err));
	name[NOTE_NAME_MAX] = '\0';
	assert_ok(note_key_make(NOTE_ED25519, name, &id, &key, &err), err);
	assert_ok(note_key_make(NOTE_ED25519, "z\xc3\xbcrich.example", &id, &key, &err), err);
}

static void signing_gives_the_notes_of_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "made"), i, row)
	{
		CLEANUP(buf_finish) struct buf want = {0};
		CLEANUP(buf_finish) struct buf got = {0};
		int64_t time = json_integer_value(vector_get(row, "time"));
		struct checkpoint head = head_of(vector_number(row, "size"), time);
		struct err err;

		vector_put_base64(row, "note", &want);
		checkpoint_put_note(&lane, &head, &got);
		assert_int_equal(got.n, want.n);
		assert_memory_equal(got.p, want.p, want.n);
		assert_ok(checkpoint_check(&lane, &head, &err), err);
		assert_int_equal(checkpoint_check_cosigned(&lane, &head, &err), time >= 0);
	}
}

static void notes_open_or_are_refused_as_the_vectors_say(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "checkpoints"), i, row)
	{
		CLEANUP(buf_finish) struct buf note = {0};
		const json_t *opened = json_object_get(row, "opened");
		struct checkpoint head;
		struct hash want;
		struct err err;

		vector_put_base64(row, "note", &note);
		bool fine = checkpoint_open(&lane, buf_view(&note), &head, &err);
		if (fine != json_is_object(opened))
			fail_msg("%s: %s", vector_text(row, "why"), fine ? "opened" : err.msg);
		if (!fine)
			continue;
		assert_int_equal(head.size, vector_number(opened, "size"));
		vector_hex(opened, "root", want.b, 32);
		assert_memory_equal(head.root.b, want.b, 32);
		int64_t time = json_integer_value(vector_get(opened, "time"));
		assert_int_equal(head.cosigned, time >= 0);
		if (head.cosigned)
			assert_int_equal(head.cosign_time, time);
		assert_ok(checkpoint_check(&lane, &head, &err), err);
	}
	assert_true(i > 30);
}

static void a_head_opens_again_from_its_note(void **state)
{
	CLEANUP(buf_finish) struct buf note = {0};
	struct checkpoint head = head_of(4242, 1795442000), back;
	struct checkpoint_origin origin;
	struct err err;

	checkpoint_put_note(&lane, &head, &note);
	assert_ok(checkpoint_read_origin(buf_view(&note), &origin, &err), err);
	assert_memory_equal(&origin, &lane.origin, sizeof(origin));
	assert_ok(checkpoint_open(&lane, buf_view(&note), &back, &err), err);
	assert_memory_equal(back.supplier_sig.b, head.supplier_sig.b, 64);
	assert_memory_equal(back.gateway_sig.b, head.gateway_sig.b, 64);
	assert_ok(checkpoint_check_cosigned(&lane, &back, &err), err);
}

static void a_cosigned_head_opens_without_the_supplier(void **state)
{
	CLEANUP(buf_finish) struct buf note = {0};
	struct checkpoint head = head_of(77, 1795442000), back;
	uint8_t text[CHECKPOINT_TEXT_MAX];
	bool supplier_signed = true;
	struct err err;

	buf_put(&note, text, checkpoint_text(&lane, 77, &root, text));
	buf_put_str(&note, "\n");
	note_put_signature(&note, &lane.gateway, 1795442000, &head.gateway_sig);
	assert_false(checkpoint_open(&lane, buf_view(&note), &back, &err));
	assert_err(err, ERR_SIGNATURE);
	assert_ok(checkpoint_open_cosigned(&lane, buf_view(&note), &back, &supplier_signed, &err),
		  err);
	assert_false(supplier_signed);
	assert_ok(checkpoint_check_cosigned(&lane, &back, &err), err);
	note.n = 0;
	checkpoint_put_note(&lane, &head, &note);
	assert_ok(checkpoint_open_cosigned(&lane, buf_view(&note), &back, &supplier_signed, &err),
		  err);
	assert_true(supplier_signed);
	head.cosigned = false;
	note.n = 0;
	checkpoint_put_note(&lane, &head, &note);
	assert_false(
		checkpoint_open_cosigned(&lane, buf_view(&note), &back, &supplier_signed, &err));
	assert_err(err, ERR_SIGNATURE);
}

/* A line of the supplier's name with another id is another key's, and must not come first. */
static void the_first_line_has_the_suppliers_id(void **state)
{
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(buf_finish) struct buf note = {0};
		struct checkpoint head = head_of(77, 5), back;
		struct note_key other = lane.supplier;
		uint8_t text[CHECKPOINT_TEXT_MAX];
		struct err err;

		other.id[i] ^= 1;
		buf_put(&note, text, checkpoint_text(&lane, 77, &root, text));
		buf_put_str(&note, "\n");
		note_put_signature(&note, &other, 0, &head.supplier_sig);
		assert_false(checkpoint_open(&lane, buf_view(&note), &back, &err));
		assert_err(err, ERR_SIGNATURE);
		note_put_signature(&note, &lane.supplier, 0, &head.supplier_sig);
		assert_false(checkpoint_open(&lane, buf_view(&note), &back, &err));
		assert_err(err, ERR_CHECKPOINT);
	}
}

static void any_changed_byte_is_refused(void **state)
{
	CLEANUP(buf_finish) struct buf note = {0};
	struct checkpoint head = head_of(999, 5);
	struct gen gen = gen_init(3);

	checkpoint_put_note(&lane, &head, &note);
	for (size_t i = 0; i < note.n; i++) {
		uint8_t old = note.p[i];
		struct checkpoint back;
		struct err err;

		note.p[i] = (uint8_t)(old ^ (1 + gen_below(&gen, 255)));
		/* a name or key id of the cosignature that is not known is ignored ([N4]) */
		if (checkpoint_open(&lane, buf_view(&note), &back, &err))
			assert_false(back.cosigned);
		note.p[i] = old;
	}
}

static void a_signature_line_begins_with_a_dash_and_a_space(void **state)
{
	CLEANUP(buf_finish) struct buf note = {0};
	struct checkpoint head = head_of(999, 5);
	struct note parsed;
	struct err err;
	size_t line;

	head.cosigned = false;
	checkpoint_put_note(&lane, &head, &note);
	line = (size_t)(strstr(buf_cstr(&note), "\n\n") + 2 - (char *)note.p);
	assert_ok(note_parse(buf_view(&note), CHECKPOINT_NOTE_MAX, &parsed, &err), err);
	for (size_t i = 0; i < 4; i++) {
		uint8_t was = note.p[line + i];

		note.p[line + i] = i == 3 ? '_' : i == 0 ? 0xe3 : (uint8_t)(was ^ 1);
		assert_false(note_parse(buf_view(&note), CHECKPOINT_NOTE_MAX, &parsed, &err));
		assert_err(err, ERR_NOTE);
		note.p[line + i] = was;
	}
	memcpy(note.p + line, "-abc", 4);
	assert_false(note_parse(buf_view(&note), CHECKPOINT_NOTE_MAX, &parsed, &err));
	assert_err(err, ERR_NOTE);
}

static void heads_out_of_range_are_refused(void **state)
{
	struct checkpoint head = head_of(1, 1);
	struct err err;

	head.size = 0;
	assert_false(checkpoint_check(&lane, &head, &err));
	assert_err(err, ERR_CHECKPOINT);
	head.size = CHECKPOINT_SIZE_MAX + 1;
	assert_false(checkpoint_check(&lane, &head, &err));
	assert_err(err, ERR_CHECKPOINT);
	assert_false(checkpoint_check_cosigned(&lane, &head, &err));
	assert_err(err, ERR_CHECKPOINT);
	head.size = 2;
	assert_false(checkpoint_check(&lane, &head, &err));
	assert_err(err, ERR_SIGNATURE);
	assert_false(checkpoint_check_cosigned(&lane, &head, &err));
	assert_err(err, ERR_SIGNATURE);
	head.size = 1;
	assert_ok(checkpoint_check_cosigned(&lane, &head, &err), err);
	head.cosign_time++;
	assert_false(checkpoint_check_cosigned(&lane, &head, &err));
	assert_err(err, ERR_SIGNATURE);
}

/* The signature of one role is never that of another: the messages differ ([B5]). */
static void a_cosignature_is_no_checkpoint_signature(void **state)
{
	struct checkpoint head = head_of(8, 9), swapped = head;
	struct err err;

	swapped.supplier_sig = head.gateway_sig;
	assert_false(checkpoint_check(&lane, &swapped, &err));
	swapped = head;
	swapped.gateway_sig = head.supplier_sig;
	assert_false(checkpoint_check_cosigned(&lane, &swapped, &err));
}

static void a_long_text_is_a_note_when_its_limit_allows(void **state)
{
	CLEANUP(buf_finish) struct buf note = {0};
	const struct signature sig = {{7}};
	struct note parsed;
	struct err err;

	buf_put_str(&note, "counterfoil/registry/v1\n");
	for (int i = 0; i < 2000; i++)
		buf_put_str(&note, "0123456789");
	buf_put_str(&note, "\n");
	size_t text = note.n;
	buf_put_str(&note, "\n");
	note_put_signature(&note, &lane.supplier, 0, &sig);
	assert_ok(note_parse(buf_view(&note), 1 << 20, &parsed, &err), err);
	assert_int_equal(parsed.text.n, text);
	assert_int_equal(parsed.sig_count, 1);
	assert_false(note_parse(buf_view(&note), note.n - 1, &parsed, &err));
	assert_err(err, ERR_NOTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verifier_keys_are_those_of_the_vectors),
		cmocka_unit_test(roles_make_the_names_of_the_protocol),
		cmocka_unit_test(names_with_spaces_pluses_or_controls_are_refused),
		cmocka_unit_test(signing_gives_the_notes_of_the_vectors),
		cmocka_unit_test(notes_open_or_are_refused_as_the_vectors_say),
		cmocka_unit_test(a_head_opens_again_from_its_note),
		cmocka_unit_test(a_cosigned_head_opens_without_the_supplier),
		cmocka_unit_test(the_first_line_has_the_suppliers_id),
		cmocka_unit_test(any_changed_byte_is_refused),
		cmocka_unit_test(a_signature_line_begins_with_a_dash_and_a_space),
		cmocka_unit_test(heads_out_of_range_are_refused),
		cmocka_unit_test(a_cosignature_is_no_checkpoint_signature),
		cmocka_unit_test(a_long_text_is_a_note_when_its_limit_allows),
	};

	return cmocka_run_group_tests(tests, load, drop);
}
