/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/claims_file.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/crypto/sign.h"
#include "relay/receipt/note.h"
#include "session/registry/fields.h"

static const char *const state_names[] = {
	[DESK_UNKNOWN] = "unknown",
	[DESK_RECORDED] = "recorded",
	[DESK_PAID] = "paid",
	[DESK_FORFEITED] = "forfeited",
};

const char *desk_state_name(enum desk_state state)
{
	return state_names[state];
}

bool desk_state_parse(const char *name, size_t n, enum desk_state *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++)
		if (view_eq(VIEW(name, n), VIEW_STR(state_names[i]))) {
			*ret = (enum desk_state)i;
			return true;
		}
	return false;
}

void claims_file_finish(struct claims_file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		buf_finish(&f->v[i].records);
		buf_finish(&f->v[i].proof);
	}
	free(f->v);
	*f = (struct claims_file){0};
}

struct claims_entry *claims_file_add(struct claims_file *f)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 8;
		f->v = xrealloc(f->v, f->cap * sizeof(*f->v));
	}
	f->v[f->n] = (struct claims_entry){.state = DESK_RECORDED};
	return &f->v[f->n++];
}

/* Nothing that is written needs escapes: digits, hex, base64, names. */
static void put_amount(struct buf *out, const char *name, u128 value)
{
	char text[U128_TEXT_MAX];

	buf_putf(out, "\"%s\":\"%s\"", name, u128_text(value, text));
}

static void put_entry(const struct claims_entry *e, struct buf *out)
{
	CLEANUP(buf_finish) struct buf bytes = {0};

	claim_bytes(&e->claim, &bytes);
	buf_put_str(out, "{");
	put_amount(out, "burned", e->burned);
	buf_put_str(out, ",");
	put_amount(out, "burned_thaw", e->burned_thaw);
	buf_put_str(out, ",\"claim\":\"");
	buf_put_hex(out, bytes.p, bytes.n);
	buf_put_str(out, "\",");
	put_amount(out, "due", e->due);
	buf_put_str(out, ",");
	put_amount(out, "paid", e->paid);
	buf_put_str(out, ",\"proof\":\"");
	buf_put_base64(out, e->proof.p, e->proof.n);
	buf_put_str(out, "\",\"proof_signature\":\"");
	if (e->proof.n > 0)
		buf_put_hex(out, e->proof_signature.b, sizeof(e->proof_signature.b));
	buf_putf(out, "\",\"reason\":\"%s\",", e->reason);
	put_amount(out, "recorded", e->recorded);
	buf_put_str(out, ",\"records\":\"");
	buf_put_base64(out, e->records.p, e->records.n);
	buf_put_str(out, "\",");
	put_amount(out, "settled", e->settled);
	buf_put_str(out, ",\"signature\":\"");
	buf_put_hex(out, e->signature.b, sizeof(e->signature.b));
	buf_putf(out, "\",\"state\":\"%s\"}", desk_state_name(e->state));
}

void claims_file_encode(const struct claims_file *f, struct buf *out)
{
	buf_put_str(out, CLAIMS_HEAD "{\"claims\":[");
	for (size_t i = 0; i < f->n; i++) {
		buf_put_str(out, i ? "," : "");
		put_entry(&f->v[i], out);
	}
	buf_put_str(out, "],");
	put_amount(out, "from", f->from);
	buf_put_str(out, ",");
	put_amount(out, "height", f->height);
	buf_put_str(out, ",\"network\":\"");
	buf_put_hex(out, f->network.b, sizeof(f->network.b));
	buf_put_str(out, "\",");
	put_amount(out, "to", f->to);
	buf_put_str(out, "}\n");
}

void claims_file_sign(const struct claims_file *f, const struct relay_key *key, struct buf *out)
{
	CLEANUP(buf_finish) struct buf text = {0};
	struct note_key name;
	struct signature sig;

	assert(relay_key_role(key) == KEY_ROLE_REGISTRY);
	claims_file_encode(f, &text);
	note_key_of_role("registry", relay_key_public(key), &name);
	sign_bytes(key, text.p, text.n, &sig);
	buf_put(out, text.p, text.n);
	buf_put_str(out, "\n");
	note_put_signature(out, &name, 0, &sig);
}

/* A name of lower-case letters, digits and underscores, or nothing. */
static bool reason_is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '_')
			return false;
	return n <= CLAIMS_FILE_REASON_MAX;
}

static void read_words(struct fields *f, struct claims_entry *e)
{
	size_t n;
	const char *s = field_text(f, "state", &n);

	if (!f->bad && (!desk_state_parse(s, n, &e->state) || e->state == DESK_UNKNOWN))
		field_bad(f, "state", "not a state of a claim");
	s = field_text(f, "reason", &n);
	if (!f->bad && !reason_is_name(s, n))
		field_bad(f, "reason", "not a name");
	if (!f->bad)
		memcpy(e->reason, s, n);
}

static void read_proof(struct fields *f, struct claims_entry *e)
{
	CLEANUP(buf_finish) struct buf signature = {0};

	field_base64(f, "proof", CLAIM_PROOF_MAX, &e->proof);
	field_hex_bytes(f, "proof_signature", sizeof(e->proof_signature.b), &signature);
	if (!f->bad && signature.n != (e->proof.n > 0 ? sizeof(e->proof_signature.b) : 0))
		field_bad(f, "proof_signature", "not that of a proof");
	if (!f->bad && signature.n > 0)
		memcpy(e->proof_signature.b, signature.p, signature.n);
}

static void read_claim(struct fields *f, struct claims_entry *e)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct err why;

	field_hex_bytes(f, "claim", CLAIM_BYTES_MAX, &bytes);
	field_base64(f, "records", (size_t)CLAIM_RECORDS_MAX * CLAIM_RECORD_SIZE, &e->records);
	field_hex(f, "signature", e->signature.b, sizeof(e->signature.b));
	if (f->bad)
		return;
	if (!claim_parse(buf_view(&bytes), &e->claim, &why))
		field_bad(f, "claim", why.msg);
	else
		claim_id_of(&e->claim, &e->id);
}

static bool in_order(const struct claims_entry *a, const struct claims_entry *b)
{
	return a->recorded < b->recorded ||
	       (a->recorded == b->recorded && memcmp(a->id.b, b->id.b, sizeof(a->id.b)) < 0);
}

static bool read_entry(struct fields *f, struct claims_file *file)
{
	struct claims_entry *e = claims_file_add(file);

	e->burned = field_u128(f, "burned");
	e->burned_thaw = field_u128(f, "burned_thaw");
	e->due = field_u64(f, "due");
	e->paid = field_u128(f, "paid");
	e->recorded = field_u64(f, "recorded");
	e->settled = field_u64(f, "settled");
	read_words(f, e);
	read_proof(f, e);
	read_claim(f, e);
	if (!f->bad && (e->recorded < file->from || e->recorded >= file->to ||
			(file->n > 1 && !in_order(e - 1, e))))
		field_bad(f, "recorded", "not in the range, or not in order");
	return !f->bad;
}

static bool read_all(const json_t *top, struct claims_file *file, struct err *err)
{
	const json_t *list = json_object_get(top, "claims");
	struct fields whole = fields_in("claims file", top, "file", 0, err);

	if (whole.bad)
		return false;
	file->from = field_u64(&whole, "from");
	file->height = field_u64(&whole, "height");
	file->to = field_u64(&whole, "to");
	field_hex(&whole, "network", file->network.b, sizeof(file->network.b));
	if (whole.bad)
		return false;
	if (!json_is_array(list))
		return field_bad(&whole, "claims", "not a list");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct fields f =
			fields_in("claims file", json_array_get(list, i), "claims", i, err);

		if (f.bad || !read_entry(&f, file))
			return false;
	}
	return true;
}

static bool is_canonical(const struct claims_file *file, struct view text, struct err *err)
{
	CLEANUP(buf_finish) struct buf again = {0};

	claims_file_encode(file, &again);
	return view_eq(buf_view(&again), text) ||
	       err_set(err, ERR_FORMAT, "claims file: not in canonical form");
}

bool claims_file_parse_text(struct view text, struct claims_file *ret, struct err *err)
{
	CLEANUP(claims_file_finish) struct claims_file file = {0};
	const size_t head = strlen(CLAIMS_HEAD);
	json_error_t why;
	json_t *top;
	bool ok;

	if (text.n > CLAIMS_FILE_MAX)
		return err_set(err, ERR_FORMAT, "claims file: over %u bytes", CLAIMS_FILE_MAX);
	if (text.n < head || memcmp(text.p, CLAIMS_HEAD, head) != 0)
		return err_set(err, ERR_FORMAT, "not a claims file of version 1");
	top = json_loadb((const char *)text.p + head, text.n - head, JSON_REJECT_DUPLICATES, &why);
	if (!top)
		return err_set(err, ERR_FORMAT, "claims file: byte %zu: %s",
			       head + (size_t)MAX(why.position, 0), why.text);
	ok = read_all(top, &file, err) && is_canonical(&file, text, err);
	json_decref(top);
	if (!ok)
		return false;
	*ret = file;
	file = (struct claims_file){0};
	return true;
}

bool claims_file_parse(struct view bytes, const struct key_id *pinned, struct claims_file *ret,
		       struct err *err)
{
	struct note_key key;
	struct note_seen seen;
	struct note note;

	if (!note_parse(bytes, CLAIMS_FILE_MAX, &note, err))
		return err_prefix(err, "claims file");
	note_key_of_role("registry", pinned, &key);
	if (!note_check(&note, &key, 1, &seen, err))
		return err_prefix(err, "claims file");
	if (!seen.signed_)
		return err_set(err, ERR_SIGNATURE,
			       "the claims file is not signed by the pinned key");
	return claims_file_parse_text(note.text, ret, err);
}
