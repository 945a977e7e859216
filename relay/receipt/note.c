/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/note.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"

/* The em dash and space that begin a signature line. */
#define SIG_PREFIX "\xe2\x80\x94 "
#define SIG_PREFIX_LEN (sizeof(SIG_PREFIX) - 1)
#define COSIGNED_PREFIX "cosignature/v1\ntime "
#define ED25519_SIG 64
#define COSIG_SIZE (8 + ED25519_SIG)

/* --- keys --- */

/* Unicode's spaces outside ASCII, which C2SP forbids in names as it does ASCII's. */
static bool is_wide_space(const uint8_t *p, size_t n)
{
	if (n >= 2 && p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0))
		return true;
	if (n < 3)
		return false;
	unsigned last = p[2];
	if (p[0] == 0xe2 && p[1] == 0x80)
		return (last >= 0x80 && last <= 0x8a) || last == 0xa8 || last == 0xa9 ||
		       last == 0xaf;
	return (p[0] == 0xe1 && p[1] == 0x9a && last == 0x80) ||
	       (p[0] == 0xe2 && p[1] == 0x81 && last == 0x9f) ||
	       (p[0] == 0xe3 && p[1] == 0x80 && last == 0x80);
}

static bool name_is_valid(struct view name)
{
	if (name.n == 0 || name.n > NOTE_NAME_MAX || !utf8_is_valid(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] == '+' || name.p[i] == 0x7f ||
		    is_wide_space(name.p + i, name.n - i))
			return false;
	return true;
}

static void key_set(enum note_type type, struct view name, const struct key_id *key,
		    struct note_key *ret)
{
	const uint8_t middle[2] = {'\n', (uint8_t)type};
	struct view parts[3] = {name, VIEW(middle, 2), VIEW(key->b, sizeof(key->b))};
	struct hash hash;

	assert(name.n <= NOTE_NAME_MAX);
	sha256_parts(parts, 3, &hash);
	ret->type = type;
	memcpy(ret->id, hash.b, sizeof(ret->id));
	ret->key = *key;
	memcpy(ret->name, name.p, name.n);
	ret->name[name.n] = '\0';
}

bool note_key_make(enum note_type type, const char *name, const struct key_id *key,
		   struct note_key *ret, struct err *err)
{
	struct view text = VIEW_STR(name);

	if (!name_is_valid(text))
		return err_set(err, ERR_NOTE, "not a name for a note's key");
	key_set(type, text, key, ret);
	return true;
}

void note_key_of_role(const char *role, const struct key_id *key, struct note_key *ret)
{
	char name[NOTE_NAME_MAX + 1];
	char hex[2 * sizeof(key->b) + 1];
	bool gateway = strcmp(role, "gateway") == 0;

	assert(gateway || strcmp(role, "supplier") == 0 || strcmp(role, "registry") == 0);
	snprintf(name, sizeof(name), "counterfoil/%s/%s", role,
		 hex_encode(key->b, sizeof(key->b), hex));
	key_set(gateway ? NOTE_COSIGNATURE : NOTE_ED25519, VIEW_STR(name), key, ret);
}

char *note_key_text(const struct note_key *key, char dst[NOTE_VKEY_MAX])
{
	uint8_t typed[1 + sizeof(key->key.b)];
	char hex[2 * sizeof(key->id) + 1];
	char base64[48];

	typed[0] = (uint8_t)key->type;
	memcpy(typed + 1, key->key.b, sizeof(key->key.b));
	snprintf(dst, NOTE_VKEY_MAX, "%s+%s+%s", key->name,
		 hex_encode(key->id, sizeof(key->id), hex),
		 base64_encode(typed, sizeof(typed), base64));
	return dst;
}

bool note_key_parse(struct view text, struct note_key *ret, struct err *err)
{
	const uint8_t *plus = text.n == 0 ? NULL : memchr(text.p, '+', text.n);
	uint8_t id[4];
	uint8_t typed[33];
	struct key_id key;
	size_t n;

	if (plus == NULL)
		return err_set(err, ERR_NOTE, "a verifier key is <name>+<id>+<base64>");
	struct view name = {text.p, (size_t)(plus - text.p)};
	struct view rest = {plus + 1, text.n - name.n - 1};
	if (!name_is_valid(name))
		return err_set(err, ERR_NOTE, "a verifier key has no valid name");
	if (rest.n < 9 || !hex_decode((const char *)rest.p, 8, id, 4) || rest.p[8] != '+')
		return err_set(err, ERR_NOTE, "a verifier key has no id of 8 hex digits");
	if (!base64_decode((const char *)rest.p + 9, rest.n - 9, typed, sizeof(typed), &n) ||
	    n != sizeof(typed))
		return err_set(err, ERR_NOTE, "a verifier key is not base64 of 33 bytes");
	if (typed[0] != NOTE_ED25519 && typed[0] != NOTE_COSIGNATURE)
		return err_set(err, ERR_NOTE, "a verifier key of unknown type %u", typed[0]);
	memcpy(key.b, typed + 1, sizeof(key.b));

	struct note_key made;
	key_set(typed[0] == NOTE_ED25519 ? NOTE_ED25519 : NOTE_COSIGNATURE, name, &key, &made);
	if (memcmp(made.id, id, sizeof(id)) != 0)
		return err_set(err, ERR_NOTE, "a verifier key's id is not that of its key");
	*ret = made;
	return true;
}

/* --- parsing --- */

/* The end of the text: after the newline that comes before the last empty line; 0 if none. */
static size_t text_end(struct view bytes)
{
	for (size_t i = bytes.n; i >= 3; i--)
		if (bytes.p[i - 1] == '\n' && bytes.p[i - 2] == '\n')
			return i - 1;
	return 0;
}

static bool parse_sig(struct view line, struct note_sig *ret, struct err *err)
{
	uint8_t first[6];
	size_t n;

	if (line.n < SIG_PREFIX_LEN || memcmp(line.p, SIG_PREFIX, SIG_PREFIX_LEN) != 0)
		return err_set(err, ERR_NOTE, "a signature line does not begin with a dash");
	line.p += SIG_PREFIX_LEN;
	line.n -= SIG_PREFIX_LEN;
	const uint8_t *space = line.n == 0 ? NULL : memchr(line.p, ' ', line.n);
	if (space == NULL)
		return err_set(err, ERR_NOTE, "a signature line has no signature");
	struct view name = {line.p, (size_t)(space - line.p)};
	struct view base64 = {space + 1, line.n - name.n - 1};
	if (!name_is_valid(name))
		return err_set(err, ERR_NOTE, "a signature line has no valid key name");
	if (base64.n < 8 || base64.n > NOTE_SIG_TEXT_MAX)
		return err_set(err, ERR_NOTE, "a signature of %zu characters", base64.n);

	/* All of it must be base64, of a key we know or not. */
	uint8_t all[NOTE_SIG_TEXT_MAX / 4 * 3];
	if (!base64_decode((const char *)base64.p, base64.n, all, sizeof(all), &n) || n < 5)
		return err_set(err, ERR_NOTE, "a signature is not base64");
	memcpy(first, all, 4);
	ret->name = name;
	memcpy(ret->id, first, 4);
	ret->base64 = base64;
	return true;
}

static bool text_is_clean(struct view bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		if (bytes.p[i] < ' ' && bytes.p[i] != '\n')
			return false;
	return utf8_is_valid(bytes);
}

bool note_parse(struct view bytes, size_t max_bytes, struct note *ret, struct err *err)
{
	struct note note = {.sig_count = 0};

	if (bytes.n > max_bytes)
		return err_set(err, ERR_NOTE, "a note of %zu bytes, more than %zu", bytes.n,
			       max_bytes);
	if (!text_is_clean(bytes))
		return err_set(err, ERR_NOTE, "a note with a control character or bad UTF-8");
	size_t end = text_end(bytes);
	if (end == 0)
		return err_set(err, ERR_NOTE, "a note without text or signatures");
	note.text = VIEW(bytes.p, end);

	struct view rest = {bytes.p + end + 1, bytes.n - end - 1};
	if (rest.n == 0 || rest.p[rest.n - 1] != '\n')
		return err_set(err, ERR_NOTE, "a note whose last line is not ended");
	while (rest.n > 0) {
		const uint8_t *newline = memchr(rest.p, '\n', rest.n);
		struct view line = {rest.p, (size_t)(newline - rest.p)};

		if (note.sig_count == NOTE_SIGS_MAX)
			return err_set(err, ERR_NOTE, "a note with more than %d signatures",
				       NOTE_SIGS_MAX);
		if (!parse_sig(line, &note.sig[note.sig_count], err))
			return false;
		note.sig_count++;
		rest.p += line.n + 1;
		rest.n -= line.n + 1;
	}
	*ret = note;
	return true;
}

/* --- checking --- */

/* One signature of a key that is known: its bytes, and over the right message. */
static bool check_sig(const struct note *note, const struct note_sig *sig,
		      const struct note_key *key, struct note_seen *seen, struct err *err)
{
	bool cosig = key->type == NOTE_COSIGNATURE;
	size_t want = 4 + (cosig ? COSIG_SIZE : ED25519_SIG);
	uint8_t bytes[4 + COSIG_SIZE];
	CLEANUP(buf_finish) struct buf message = {0};
	struct signature signature;
	uint64_t time = 0;
	size_t n;

	if (!base64_decode((const char *)sig->base64.p, sig->base64.n, bytes, sizeof(bytes), &n) ||
	    n != want)
		return err_set(err, ERR_SIGNATURE, "the signature of %s has a wrong size",
			       key->name);
	memcpy(signature.b, bytes + want - ED25519_SIG, ED25519_SIG);
	struct view signed_bytes = note->text;
	if (cosig) {
		time = get_be64(bytes + 4);
		note_put_cosigned(&message, time, note->text);
		signed_bytes = buf_view(&message);
	}
	if (!verify_bytes(&key->key, signed_bytes.p, signed_bytes.n, &signature))
		return err_set(err, ERR_SIGNATURE, "the signature of %s does not verify",
			       key->name);
	if (!seen->signed_ || time > seen->time) {
		seen->signed_ = true;
		seen->time = time;
		seen->sig = signature;
	}
	return true;
}

bool note_check(const struct note *note, const struct note_key *keys, size_t count,
		struct note_seen *ret_seen, struct err *err)
{
	for (size_t k = 0; k < count; k++) {
		struct note_seen seen = {.signed_ = false};

		for (size_t s = 0; s < note->sig_count; s++) {
			const struct note_sig *sig = &note->sig[s];

			if (!view_eq(sig->name, VIEW_STR(keys[k].name)) ||
			    memcmp(sig->id, keys[k].id, sizeof(sig->id)) != 0)
				continue;
			if (!check_sig(note, sig, &keys[k], &seen, err))
				return false;
		}
		ret_seen[k] = seen;
	}
	return true;
}

/* --- building --- */

void note_put_signature(struct buf *buf, const struct note_key *key, uint64_t time,
			const struct signature *sig)
{
	uint8_t bytes[4 + COSIG_SIZE];
	size_t n = 4;

	memcpy(bytes, key->id, 4);
	if (key->type == NOTE_COSIGNATURE) {
		put_be64(bytes + n, time);
		n += 8;
	}
	memcpy(bytes + n, sig->b, ED25519_SIG);
	n += ED25519_SIG;
	buf_put_str(buf, SIG_PREFIX);
	buf_put_str(buf, key->name);
	buf_put_str(buf, " ");
	buf_put_base64(buf, bytes, n);
	buf_put_str(buf, "\n");
}

void note_put_cosigned(struct buf *buf, uint64_t time, struct view text)
{
	buf_putf(buf, COSIGNED_PREFIX "%" PRIu64 "\n", time);
	buf_put(buf, text.p, text.n);
}
