/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/desk_words.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/crypto/sign.h"
#include "relay/receipt/note.h"
#include "session/registry/fields.h"

void desk_put_claim(const struct claim *c, const struct signature *sig, struct view records,
		    struct buf *out)
{
	CLEANUP(buf_finish) struct buf bytes = {0};

	claim_bytes(c, &bytes);
	buf_put(out, sig->b, sizeof(sig->b));
	buf_put_u32(out, (uint32_t)bytes.n);
	buf_put(out, bytes.p, bytes.n);
	if (records.n > 0)
		buf_put(out, records.p, records.n);
}

bool desk_read_claim(struct view body, struct claim *ret, struct signature *ret_sig,
		     struct view *ret_records, struct err *err)
{
	struct reader r = reader_of(body);
	struct signature sig;
	struct view bytes;

	read_copy(&r, sig.b, sizeof(sig.b));
	bytes = read_bytes(&r, read_u32(&r));
	if (r.bad)
		return err_set(err, ERR_FORMAT, "not a signature, a length and a claim");
	if (!claim_parse(bytes, ret, err))
		return false;
	*ret_sig = sig;
	*ret_records = read_rest(&r);
	return true;
}

void desk_put_proof(struct view proof, const struct signature *sig, struct buf *out)
{
	buf_put(out, sig->b, sizeof(sig->b));
	buf_put(out, proof.p, proof.n);
}

bool desk_read_proof(struct view body, struct view *ret, struct signature *ret_sig, struct err *err)
{
	struct reader r = reader_of(body);
	struct signature sig;

	read_copy(&r, sig.b, sizeof(sig.b));
	if (r.bad)
		return err_set(err, ERR_FORMAT, "not a signature and a proof");
	*ret_sig = sig;
	*ret = read_rest(&r);
	return true;
}

/* The note around a line of JSON that begins with its network. */
static void sign(struct buf *line, const struct relay_key *key, struct buf *out)
{
	CLEANUP(buf_finish) struct buf text = {0};
	struct note_key name;
	struct signature sig;

	assert(relay_key_role(key) == KEY_ROLE_REGISTRY);
	buf_put_str(&text, DESK_HEAD);
	buf_put(&text, line->p, line->n);
	buf_put_str(&text, "\n");
	note_key_of_role("registry", relay_key_public(key), &name);
	sign_bytes(key, text.p, text.n, &sig);
	buf_put(out, text.p, text.n);
	buf_put_str(out, "\n");
	note_put_signature(out, &name, 0, &sig);
}

static void put_hex(struct buf *out, const char *name, const void *p, size_t n)
{
	buf_putf(out, ",\"%s\":\"", name);
	buf_put_hex(out, p, n);
	buf_put_str(out, "\"");
}

static void put_amount(struct buf *out, const char *name, u128 value)
{
	char text[U128_TEXT_MAX];

	buf_putf(out, ",\"%s\":\"%s\"", name, u128_text(value, text));
}

static void put_network(struct buf *out, const struct network_id *network, const char *kind)
{
	buf_putf(out, "{\"kind\":\"%s\"", kind);
	put_hex(out, "network", network->b, sizeof(network->b));
}

static void put_state(struct buf *out, const struct desk_claim *s)
{
	buf_putf(out, "{\"state\":\"%s\",\"reason\":\"%s\"", desk_state_name(s->state), s->reason);
	put_hex(out, "id", s->id.b, sizeof(s->id.b));
	put_hex(out, "seed", s->seed.b, s->has_seed ? sizeof(s->seed.b) : 0);
	put_amount(out, "recorded", s->recorded);
	put_amount(out, "challenge", s->challenge);
	put_amount(out, "due", s->due);
	put_amount(out, "settled", s->settled);
	put_amount(out, "value", s->value);
	put_amount(out, "paid", s->paid);
	put_amount(out, "burned", s->burned);
}

void desk_sign_state(const struct network_id *network, const struct desk_claim *state,
		     const struct relay_key *key, struct buf *out)
{
	CLEANUP(buf_finish) struct buf line = {0};

	put_network(&line, network, "state");
	buf_put_str(&line, ",\"claim\":");
	put_state(&line, state);
	buf_put_str(&line, "}}");
	sign(&line, key, out);
}

/* Words without what JSON would escape. */
static void put_words(struct buf *out, const char *words)
{
	for (; *words; words++)
		buf_put_u8(out, *words < ' ' || *words > '~' || *words == '"' || *words == '\\'
					? '?'
					: (uint8_t)*words);
}

void desk_sign_refusal(const struct network_id *network, const struct claim_id *id,
		       const struct err *why, const struct relay_key *key, struct buf *out)
{
	CLEANUP(buf_finish) struct buf line = {0};

	put_network(&line, network, "refusal");
	put_hex(&line, "id", id->b, sizeof(id->b));
	buf_put_str(&line, ",\"error\":\"");
	put_words(&line, why->msg);
	buf_put_str(&line, "\"}");
	sign(&line, key, out);
}

void desk_list_add(struct desk_list_words *list, const struct claim *c,
		   const struct desk_claim *state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};

	claim_bytes(c, &bytes);
	buf_put_str(&list->items, list->n++ ? "," : "");
	put_state(&list->items, state);
	put_hex(&list->items, "claim", bytes.p, bytes.n);
	buf_put_str(&list->items, "}");
}

void desk_sign_list(const struct network_id *network, const struct key_id *supplier, height_t since,
		    const struct desk_list_words *list, bool more, const struct relay_key *key,
		    struct buf *out)
{
	CLEANUP(buf_finish) struct buf line = {0};

	put_network(&line, network, "list");
	put_hex(&line, "supplier", supplier->b, sizeof(supplier->b));
	put_amount(&line, "since", since);
	buf_putf(&line, ",\"more\":\"%d\",\"claims\":[", more);
	if (list->items.n > 0)
		buf_put(&line, list->items.p, list->items.n);
	buf_put_str(&line, "]}");
	sign(&line, key, out);
}

/* The JSON of an answer that the registry key has signed, or NULL. */
static json_t *open_answer(struct view bytes, const struct key_id *pinned, struct err *err)
{
	const size_t head = strlen(DESK_HEAD);
	struct note_key key;
	struct note_seen seen;
	struct note note;
	json_t *top = NULL;

	note_key_of_role("registry", pinned, &key);
	if (!note_parse(bytes, DESK_ANSWER_MAX, &note, err) ||
	    !note_check(&note, &key, 1, &seen, err)) {
		err->code = ERR_REGISTRY;
		err_prefix(err, "the registry's answer");
		return NULL;
	}
	if (!seen.signed_) {
		err_set(err, ERR_REGISTRY, "the registry's answer is not signed by the pinned key");
		return NULL;
	}
	if (note.text.n > head && memcmp(note.text.p, DESK_HEAD, head) == 0)
		top = json_loadb((const char *)note.text.p + head, note.text.n - head,
				 JSON_REJECT_DUPLICATES, NULL);
	if (!top)
		err_set(err, ERR_REGISTRY, "the registry's answer is none of a desk");
	return top;
}

static bool kind_is(const json_t *top, const char *kind)
{
	const char *is = json_string_value(json_object_get(top, "kind"));

	return is && strcmp(is, kind) == 0;
}

static void read_words(struct fields *f, struct desk_claim *s)
{
	size_t n;
	const char *text = field_text(f, "state", &n);

	if (!f->bad && !desk_state_parse(text, n, &s->state))
		field_bad(f, "state", "not a state");
	text = field_text(f, "reason", &n);
	if (!f->bad && (n > CLAIMS_FILE_REASON_MAX || strlen(text) != n))
		field_bad(f, "reason", "not a name");
	if (!f->bad)
		memcpy(s->reason, text, n + 1);
	text = field_text(f, "seed", &n);
	s->has_seed = n > 0;
	if (!f->bad && s->has_seed && !hex_decode(text, n, s->seed.b, sizeof(s->seed.b)))
		field_bad(f, "seed", "not 32 bytes in hex");
}

static bool read_state(const json_t *object, size_t index, struct desk_claim *ret, struct err *err)
{
	struct fields f = fields_in("the registry's answer", object, "claim", index, err);
	struct desk_claim s = {.state = DESK_UNKNOWN};

	if (f.bad)
		return false;
	read_words(&f, &s);
	field_hex(&f, "id", s.id.b, sizeof(s.id.b));
	s.recorded = field_u64(&f, "recorded");
	s.challenge = field_u64(&f, "challenge");
	s.due = field_u64(&f, "due");
	s.settled = field_u64(&f, "settled");
	s.value = field_u128(&f, "value");
	s.paid = field_u128(&f, "paid");
	s.burned = field_u128(&f, "burned");
	if (f.bad)
		return false;
	*ret = s;
	return true;
}

/* A refusal of this claim; anything else is no answer. */
static bool read_refusal(const json_t *top, const struct claim_id *id, struct err *err)
{
	struct fields f = fields_in("the registry's answer", top, "refusal", 0, err);
	struct claim_id about;
	size_t n;
	const char *words = field_text(&f, "error", &n);

	field_hex(&f, "id", about.b, sizeof(about.b));
	if (f.bad || !ID_EQ(&about, id) || strlen(words) != n)
		return err_set(err, ERR_REGISTRY, "the registry's answer is about something else");
	return err_set(err, ERR_CLAIM, "%s", words);
}

bool desk_read_state(struct view bytes, const struct key_id *pinned, const struct claim_id *id,
		     struct desk_claim *ret, struct err *err)
{
	json_t *top = open_answer(bytes, pinned, err);
	struct desk_claim s;
	bool ok = false;

	if (!top)
		return false;
	if (kind_is(top, "refusal")) {
		read_refusal(top, id, err);
	} else if (!kind_is(top, "state") ||
		   !read_state(json_object_get(top, "claim"), 0, &s, err) || !ID_EQ(&s.id, id)) {
		err_set(err, ERR_REGISTRY, "the registry's answer is about something else");
	} else {
		*ret = s;
		ok = true;
	}
	json_decref(top);
	return ok;
}

static bool read_item(const json_t *object, size_t index, const struct key_id *supplier,
		      struct claim *ret_claim, struct desk_claim *ret, struct err *err)
{
	struct fields f = fields_in("the registry's answer", object, "claims", index, err);
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct claim_id id;

	if (f.bad || !read_state(object, index, ret, err))
		return false;
	field_hex_bytes(&f, "claim", CLAIM_BYTES_MAX, &bytes);
	if (f.bad || !claim_parse(buf_view(&bytes), ret_claim, err))
		return false;
	claim_id_of(ret_claim, &id);
	return (ID_EQ(&id, &ret->id) && ID_EQ(&ret_claim->supplier, supplier) &&
		ret->state != DESK_UNKNOWN) ||
	       err_set(err, ERR_REGISTRY, "the registry's answer is about something else");
}

static bool read_items(const json_t *top, const struct key_id *supplier, desk_claim_fn *fn,
		       void *arg, struct desk_claim *ret_last, bool *ret_stopped, struct err *err)
{
	const json_t *list = json_object_get(top, "claims");

	*ret_stopped = false;
	for (size_t i = 0; i < json_array_size(list) && !*ret_stopped; i++) {
		struct claim c;

		if (!read_item(json_array_get(list, i), i, supplier, &c, ret_last, err)) {
			err->code = ERR_REGISTRY;
			return false;
		}
		*ret_stopped = !fn(arg, &c, ret_last);
	}
	return true;
}

bool desk_read_list(struct view bytes, const struct key_id *pinned, const struct key_id *supplier,
		    height_t since, desk_claim_fn *fn, void *arg, struct desk_claim *ret_last,
		    bool *ret_more, bool *ret_stopped, struct err *err)
{
	json_t *top = open_answer(bytes, pinned, err);
	struct fields f;
	struct key_id whose;
	uint64_t more;
	bool ok;

	if (!top)
		return false;
	f = fields_in("the registry's answer", top, "list", 0, err);
	field_hex(&f, "supplier", whose.b, sizeof(whose.b));
	more = field_u64(&f, "more");
	ok = !f.bad && kind_is(top, "list") && ID_EQ(&whose, supplier) &&
	     field_u64(&f, "since") == since &&
	     json_array_size(json_object_get(top, "claims")) >= more; /* else it would never end */
	if (!ok)
		err_set(err, ERR_REGISTRY, "the registry's answer is about something else");
	ok = ok && read_items(top, supplier, fn, arg, ret_last, ret_stopped, err);
	json_decref(top);
	if (ok)
		*ret_more = more > 0;
	return ok;
}
