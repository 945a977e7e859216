/* SPDX-License-Identifier: Apache-2.0
 * The proof that a challenged claim is asked for ([C9]): its bytes, and who hands it in. */
#include <assert.h>

#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"
#include "relay/receipt/claim.h"

#define PROOF_TAG "counterfoil/proof/v1\n"
#define PROOF_MESSAGE_BYTES (sizeof(PROOF_TAG) - 1 + 3 * 32)

/* all but the note: two numbers of paths, one of the note's length */
static_assert(4 + CLAIM_RECORD_SIZE + 2 * (1 + TREE_LEVELS * 32) + 2 + CLAIM_NOTE_MAX + LEAF_SIZE <=
		      CLAIM_PROOF_MAX,
	      "a proof fits its limit");

static void put_path(struct buf *out, const struct tree_proof *path)
{
	assert(path->n <= TREE_LEVELS);
	buf_put_u8(out, (uint8_t)path->n);
	buf_put(out, path->hash, path->n * sizeof(path->hash[0]));
}

/* False when it says that it is longer than any path. */
static bool read_path(struct reader *r, struct tree_proof *ret)
{
	ret->n = read_u8(r);
	if (ret->n > TREE_LEVELS)
		return false;
	read_copy(r, ret->hash, ret->n * sizeof(ret->hash[0]));
	return true;
}

void claim_proof_encode(const struct claim_proof *p, struct buf *out)
{
	uint8_t record[CLAIM_RECORD_SIZE];

	assert(p->note.n <= CLAIM_NOTE_MAX);
	claim_record_encode(&p->record, record);
	buf_put_u32(out, p->index);
	buf_put(out, record, sizeof(record));
	put_path(out, &p->record_path);
	buf_put_u16(out, (uint16_t)p->note.n);
	buf_put(out, p->note.p, p->note.n);
	buf_put(out, p->leaf, sizeof(p->leaf));
	put_path(out, &p->leaf_path);
}

bool claim_proof_parse(struct view bytes, struct claim_proof *ret, struct err *err)
{
	struct reader r = reader_of(bytes);
	struct claim_proof p = {.index = 0};
	uint8_t record[CLAIM_RECORD_SIZE];
	size_t note;

	p.index = read_u32(&r);
	read_copy(&r, record, sizeof(record));
	if (!claim_record_decode(record, &p.record))
		return err_set(err, ERR_FORMAT, "a proof without a record");
	if (!read_path(&r, &p.record_path))
		return err_set(err, ERR_FORMAT, "a proof whose record has too long a path");
	note = read_u16(&r);
	if (note > CLAIM_NOTE_MAX)
		return err_set(err, ERR_FORMAT, "a proof whose note is too long");
	p.note = read_bytes(&r, note);
	read_copy(&r, p.leaf, sizeof(p.leaf));
	if (!read_path(&r, &p.leaf_path))
		return err_set(err, ERR_FORMAT, "a proof whose leaf has too long a path");
	if (!reader_done(&r))
		return err_set(err, ERR_FORMAT, "a proof that is too short or too long");
	*ret = p;
	return true;
}

/* What is signed with a proof. */
static void proof_message(const struct claim *c, struct view proof,
			  uint8_t ret[PROOF_MESSAGE_BYTES])
{
	struct claim_id id;
	struct hash digest;
	uint8_t *p = ret;

	claim_id_of(c, &id);
	sha256(proof.p, proof.n, &digest);
	memcpy(p, PROOF_TAG, sizeof(PROOF_TAG) - 1);
	p += sizeof(PROOF_TAG) - 1;
	memcpy(p, c->network.b, 32);
	memcpy(p + 32, id.b, 32);
	memcpy(p + 64, digest.b, 32);
}

void claim_proof_sign(const struct claim *c, struct view proof, const struct relay_key *supplier,
		      struct signature *ret)
{
	uint8_t message[PROOF_MESSAGE_BYTES];

	assert(ID_EQ(relay_key_public(supplier), &c->supplier));
	proof_message(c, proof, message);
	sign_bytes(supplier, message, sizeof(message), ret);
}

bool claim_proof_verify(const struct claim *c, struct view proof, const struct signature *sig)
{
	uint8_t message[PROOF_MESSAGE_BYTES];

	proof_message(c, proof, message);
	return verify_bytes(&c->supplier, message, sizeof(message), sig);
}
