/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include <jansson.h>

#include "relay/receipt/bundle.h"

/* A string member as a view of jansson's copy; `required` says whether its absence is an error.
 * Out: ret->p is NULL when it is absent. */
static bool get_text(const json_t *object, const char *name, bool required, struct view *ret,
		     struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (value == NULL && !required) {
		*ret = VIEW(NULL, 0);
		return true;
	}
	if (!json_is_string(value))
		return err_set(err, ERR_FORMAT, "bundle: \"%s\" is not a string", name);
	*ret = VIEW(json_string_value(value), json_string_length(value));
	return true;
}

static bool get_hex(const json_t *object, const char *name, void *dst, size_t n, struct err *err)
{
	struct view text;

	if (!get_text(object, name, true, &text, err))
		return false;
	if (!hex_decode((const char *)text.p, text.n, dst, n))
		return err_set(err, ERR_FORMAT, "bundle: \"%s\" is not %zu bytes in hex", name, n);
	return true;
}

static bool get_number(const json_t *object, const char *name, uint64_t *ret, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(err, ERR_FORMAT, "bundle: \"%s\" is not a whole number", name);
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static bool get_base64(const json_t *object, const char *name, bool *ret_there, struct buf *ret,
		       struct err *err)
{
	struct view text;
	size_t n;

	if (!get_text(object, name, false, &text, err))
		return false;
	*ret_there = text.p != NULL;
	if (text.p == NULL)
		return true;
	size_t cap = text.n / 4 * 3;
	buf_reserve(ret, cap + 1);
	if (!base64_decode((const char *)text.p, text.n, ret->p, cap, &n))
		return err_set(err, ERR_FORMAT, "bundle: \"%s\" is not base64", name);
	ret->n = n;
	return true;
}

static bool get_proof(const json_t *object, struct tree_proof *ret, struct err *err)
{
	const json_t *list = json_object_get(object, "proof");

	if (!json_is_array(list) || json_array_size(list) > TREE_PROOF_MAX)
		return err_set(err, ERR_FORMAT,
			       "bundle: \"proof\" is not a list of up to %d hashes",
			       TREE_PROOF_MAX);
	ret->n = json_array_size(list);
	for (size_t i = 0; i < ret->n; i++) {
		const json_t *item = json_array_get(list, i);
		size_t n;

		if (!json_is_string(item) ||
		    !base64_decode(json_string_value(item), json_string_length(item),
				   ret->hash[i].b, sizeof(ret->hash[i].b), &n) ||
		    n != sizeof(ret->hash[i].b))
			return err_set(err, ERR_FORMAT,
				       "bundle: hash %zu of \"proof\" is not 32 bytes in base64",
				       i);
	}
	return true;
}

static bool get_keys(const json_t *object, struct bundle *ret, struct err *err)
{
	const json_t *list = json_object_get(object, "keys");

	if (!json_is_array(list) || json_array_size(list) > BUNDLE_KEYS_MAX)
		return err_set(err, ERR_FORMAT, "bundle: \"keys\" is not a list of up to %d keys",
			       BUNDLE_KEYS_MAX);
	ret->key_count = json_array_size(list);
	for (size_t i = 0; i < ret->key_count; i++) {
		const json_t *item = json_array_get(list, i);

		if (!json_is_string(item))
			return err_set(err, ERR_FORMAT, "bundle: key %zu is not a string", i);
		struct view text = VIEW(json_string_value(item), json_string_length(item));
		if (!note_key_parse(text, &ret->key[i], err)) {
			err->code = ERR_FORMAT;
			return err_prefix(err, "bundle: key %zu", i);
		}
	}
	return true;
}

/* A bundle that shows a fault of the leaf needs no salt; one with an encoding does. */
static bool get_salt(const json_t *object, struct bundle *ret, struct err *err)
{
	ret->without_salt = json_object_get(object, "salt") == NULL;
	if (!ret->without_salt)
		return get_hex(object, "salt", ret->salt.b, sizeof(ret->salt.b), err);
	if (json_object_get(object, "request") != NULL ||
	    json_object_get(object, "response") != NULL)
		return err_set(err, ERR_FORMAT, "bundle: an encoding without its \"salt\"");
	return true;
}

/* "<lane hex>/<seq>" */
static bool get_next(const json_t *object, struct bundle *ret, struct err *err)
{
	struct view text;

	if (!get_text(object, "next", false, &text, err))
		return false;
	ret->has_next = text.p != NULL;
	if (text.p == NULL)
		return true;
	const char *s = (const char *)text.p;
	if (text.n < 34 || !hex_decode(s, 32, ret->next_lane.b, 16) || s[32] != '/' ||
	    !u64_parse(s + 33, text.n - 33, &ret->next_seq) || ret->next_seq >= LEAF_SEQ_END)
		return err_set(err, ERR_FORMAT, "bundle: \"next\" is not <lane>/<seq>");
	return true;
}

static bool parse_object(const json_t *object, struct bundle *ret, struct err *err)
{
	struct view note;

	if (!json_is_object(object))
		return err_set(err, ERR_FORMAT, "bundle: not a JSON object");
	if (!get_text(object, "checkpoint", true, &note, err))
		return false;
	if (note.n > CHECKPOINT_NOTE_MAX)
		return err_set(err, ERR_FORMAT, "bundle: \"checkpoint\" has more than %d bytes",
			       CHECKPOINT_NOTE_MAX);
	buf_put(&ret->checkpoint, note.p, note.n);
	return get_hex(object, "leaf", ret->leaf, sizeof(ret->leaf), err) &&
	       get_number(object, "index", &ret->index, err) &&
	       get_number(object, "size", &ret->size, err) && get_proof(object, &ret->proof, err) &&
	       get_keys(object, ret, err) && get_salt(object, ret, err) &&
	       get_base64(object, "request", &ret->has_request, &ret->request, err) &&
	       get_base64(object, "response", &ret->has_response, &ret->response, err) &&
	       get_next(object, ret, err);
}

bool bundle_parse(struct view json, struct bundle *ret, struct err *err)
{
	CLEANUP(bundle_finish) struct bundle bundle = {.index = 0};
	json_error_t why;

	if (json.n > BUNDLE_JSON_MAX)
		return err_set(err, ERR_FORMAT, "bundle: %zu bytes, more than %u", json.n,
			       BUNDLE_JSON_MAX);
	json_t *object = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &why);
	if (object == NULL)
		return err_set(err, ERR_FORMAT, "bundle: line %d: %s", why.line, why.text);
	bool fine = parse_object(object, &bundle, err);
	json_decref(object);
	if (!fine)
		return false;
	*ret = bundle;
	bundle = (struct bundle){.index = 0};
	return true;
}
