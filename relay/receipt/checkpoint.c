/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "relay/crypto/sign.h"

#define ORIGIN_PREFIX "counterfoil/1/"
/* three times 64 hex digits and a slash, then 32 */
#define ORIGIN_HEX_BYTES ((size_t)(3 * 65 + 32))
#define COSIGNED_MAX (64 + CHECKPOINT_TEXT_MAX)

void checkpoint_lane_init(struct checkpoint_lane *lane, const struct checkpoint_origin *origin)
{
	char network[65];
	char gateway[65];
	char supplier[65];
	char id[33];

	lane->origin = *origin;
	int n = snprintf(lane->line, sizeof(lane->line), ORIGIN_PREFIX "%s/%s/%s/%s\n",
			 hex_encode(origin->network.b, 32, network),
			 hex_encode(origin->gateway.b, 32, gateway),
			 hex_encode(origin->supplier.b, 32, supplier),
			 hex_encode(origin->lane.b, 16, id));
	assert(n > 0 && (size_t)n < sizeof(lane->line));
	lane->line_len = (size_t)n;
	note_key_of_role("supplier", &origin->supplier, &lane->supplier);
	note_key_of_role("gateway", &origin->gateway, &lane->gateway);
}

static bool size_is_valid(uint64_t size)
{
	return size >= 1 && size <= CHECKPOINT_SIZE_MAX;
}

size_t checkpoint_text(const struct checkpoint_lane *lane, uint64_t size, const struct hash *root,
		       uint8_t dst[CHECKPOINT_TEXT_MAX])
{
	char digits[8];
	size_t count = 0;
	size_t n = lane->line_len;

	assert(size_is_valid(size));
	memcpy(dst, lane->line, n);
	for (uint64_t left = size; left > 0; left /= 10)
		digits[count++] = (char)('0' + left % 10);
	while (count > 0)
		dst[n++] = (uint8_t)digits[--count];
	dst[n++] = '\n';
	base64_encode(root->b, sizeof(root->b), (char *)dst + n);
	n += base64_len(sizeof(root->b));
	dst[n++] = '\n';
	assert(n <= CHECKPOINT_TEXT_MAX);
	return n;
}

/* The message of cosignature/v1 over a head; returns its length. */
static size_t cosigned_text(const struct checkpoint_lane *lane, const struct checkpoint *head,
			    uint64_t time, uint8_t dst[COSIGNED_MAX])
{
	int n = snprintf((char *)dst, COSIGNED_MAX, "cosignature/v1\ntime %" PRIu64 "\n", time);

	assert(n > 0 && n + CHECKPOINT_TEXT_MAX <= COSIGNED_MAX);
	return (size_t)n + checkpoint_text(lane, head->size, &head->root, dst + n);
}

void checkpoint_sign(const struct checkpoint_lane *lane, const struct relay_key *supplier,
		     struct checkpoint *head)
{
	uint8_t text[CHECKPOINT_TEXT_MAX];
	size_t n = checkpoint_text(lane, head->size, &head->root, text);

	assert(ID_EQ(relay_key_public(supplier), &lane->origin.supplier));
	sign_bytes(supplier, text, n, &head->supplier_sig);
}

void checkpoint_cosign(const struct checkpoint_lane *lane, const struct relay_key *gateway,
		       uint64_t time, struct checkpoint *head)
{
	uint8_t text[COSIGNED_MAX];
	size_t n = cosigned_text(lane, head, time, text);

	assert(ID_EQ(relay_key_public(gateway), &lane->origin.gateway));
	sign_bytes(gateway, text, n, &head->gateway_sig);
	head->cosigned = true;
	head->cosign_time = time;
}

bool checkpoint_check(const struct checkpoint_lane *lane, const struct checkpoint *head,
		      struct err *err)
{
	uint8_t text[CHECKPOINT_TEXT_MAX];

	if (!size_is_valid(head->size))
		return err_set(err, ERR_CHECKPOINT, "a checkpoint of %" PRIu64 " leaves",
			       head->size);
	size_t n = checkpoint_text(lane, head->size, &head->root, text);
	if (!verify_bytes(&lane->origin.supplier, text, n, &head->supplier_sig))
		return err_set(err, ERR_SIGNATURE, "the supplier's signature does not verify");
	return true;
}

bool checkpoint_check_cosigned(const struct checkpoint_lane *lane, const struct checkpoint *head,
			       struct err *err)
{
	uint8_t text[COSIGNED_MAX];

	if (!size_is_valid(head->size))
		return err_set(err, ERR_CHECKPOINT, "a checkpoint of %" PRIu64 " leaves",
			       head->size);
	if (!head->cosigned)
		return err_set(err, ERR_SIGNATURE, "the checkpoint is not cosigned");
	size_t n = cosigned_text(lane, head, head->cosign_time, text);
	if (!verify_bytes(&lane->origin.gateway, text, n, &head->gateway_sig))
		return err_set(err, ERR_SIGNATURE, "the gateway's cosignature does not verify");
	return true;
}

void checkpoint_put_note(const struct checkpoint_lane *lane, const struct checkpoint *head,
			 struct buf *buf)
{
	uint8_t text[CHECKPOINT_TEXT_MAX];
	size_t n = checkpoint_text(lane, head->size, &head->root, text);

	buf_put(buf, text, n);
	buf_put_str(buf, "\n");
	note_put_signature(buf, &lane->supplier, 0, &head->supplier_sig);
	if (head->cosigned)
		note_put_signature(buf, &lane->gateway, head->cosign_time, &head->gateway_sig);
}

/* Takes the text up to the next newline, which is consumed; false when there is none. */
static bool take_line(struct view *rest, struct view *ret)
{
	const uint8_t *newline = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);

	if (newline == NULL)
		return false;
	*ret = VIEW(rest->p, (size_t)(newline - rest->p));
	rest->p = newline + 1;
	rest->n -= ret->n + 1;
	return true;
}

/* The second and third line, and nothing after them. */
static bool read_size_and_root(struct view rest, struct checkpoint *ret, struct err *err)
{
	struct view size;
	struct view root;
	size_t n;

	if (!take_line(&rest, &size) || !take_line(&rest, &root) || rest.n != 0)
		return err_set(err, ERR_CHECKPOINT, "a checkpoint has exactly three lines");
	if (!u64_parse((const char *)size.p, size.n, &ret->size) || !size_is_valid(ret->size))
		return err_set(err, ERR_CHECKPOINT, "a checkpoint's size is not 1..2^20");
	if (!base64_decode((const char *)root.p, root.n, ret->root.b, sizeof(ret->root.b), &n) ||
	    n != sizeof(ret->root.b))
		return err_set(err, ERR_CHECKPOINT, "a checkpoint's root is not 32 bytes, base64");
	return true;
}

/* A note of this lane with all signatures of its two keys checked; ret_seen[0] is the supplier. */
static bool open_note(const struct checkpoint_lane *lane, struct view bytes, struct note *ret_note,
		      struct note_seen ret_seen[2], struct checkpoint *ret, struct err *err)
{
	const struct note_key keys[2] = {lane->supplier, lane->gateway};

	if (!note_parse(bytes, CHECKPOINT_NOTE_MAX, ret_note, err))
		return false;
	struct view text = ret_note->text;
	if (text.n < lane->line_len || memcmp(text.p, lane->line, lane->line_len) != 0)
		return err_set(err, ERR_CHECKPOINT, "a checkpoint of another lane");
	struct view rest = {text.p + lane->line_len, text.n - lane->line_len};
	if (!read_size_and_root(rest, ret, err) || !note_check(ret_note, keys, 2, ret_seen, err))
		return false;
	if (ret_seen[0].signed_)
		ret->supplier_sig = ret_seen[0].sig;
	if (ret_seen[1].signed_) {
		ret->cosigned = true;
		ret->cosign_time = ret_seen[1].time;
		ret->gateway_sig = ret_seen[1].sig;
	}
	return true;
}

bool checkpoint_open(const struct checkpoint_lane *lane, struct view bytes, struct checkpoint *ret,
		     struct err *err)
{
	struct checkpoint head = {.cosigned = false};
	struct note_seen seen[2];
	struct note note;

	if (!open_note(lane, bytes, &note, seen, &head, err))
		return false;
	if (!seen[0].signed_)
		return err_set(err, ERR_SIGNATURE, "the supplier did not sign the checkpoint");
	if (!view_eq(note.sig[0].name, VIEW_STR(lane->supplier.name)) ||
	    memcmp(note.sig[0].id, lane->supplier.id, 4) != 0)
		return err_set(err, ERR_CHECKPOINT, "the supplier's signature is not the first");
	*ret = head;
	return true;
}

bool checkpoint_open_cosigned(const struct checkpoint_lane *lane, struct view bytes,
			      struct checkpoint *ret, bool *ret_supplier, struct err *err)
{
	struct checkpoint head = {.cosigned = false};
	struct note_seen seen[2];
	struct note note;

	if (!open_note(lane, bytes, &note, seen, &head, err))
		return false;
	if (!seen[1].signed_)
		return err_set(err, ERR_SIGNATURE, "the gateway did not cosign the checkpoint");
	*ret = head;
	*ret_supplier = seen[0].signed_;
	return true;
}

bool checkpoint_read_origin(struct view bytes, struct checkpoint_origin *ret, struct err *err)
{
	static const size_t prefix = sizeof(ORIGIN_PREFIX) - 1;
	struct checkpoint_origin origin;
	struct note note;
	struct view line;

	if (!note_parse(bytes, CHECKPOINT_NOTE_MAX, &note, err))
		return false;
	struct view rest = note.text;
	if (!take_line(&rest, &line) || line.n != prefix + ORIGIN_HEX_BYTES ||
	    memcmp(line.p, ORIGIN_PREFIX, prefix) != 0)
		return err_set(err, ERR_CHECKPOINT, "not the origin of a lane");
	const char *s = (const char *)line.p + prefix;
	if (!hex_decode(s, 64, origin.network.b, 32) || s[64] != '/' ||
	    !hex_decode(s + 65, 64, origin.gateway.b, 32) || s[129] != '/' ||
	    !hex_decode(s + 130, 64, origin.supplier.b, 32) || s[194] != '/' ||
	    !hex_decode(s + 195, 32, origin.lane.b, 16))
		return err_set(err, ERR_CHECKPOINT, "not the origin of a lane");
	*ret = origin;
	return true;
}
