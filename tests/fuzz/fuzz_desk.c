/* SPDX-License-Identifier: Apache-2.0
 * What a registry over HTTP is told by strangers, and what a supplier reads in its answers even
 * when the registry's own key has signed nonsense ([Y5]).  The first byte says which. */
#include "relay/crypto/sign.h"
#include "relay/receipt/note.h"
#include "session/registry/desk_words.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct claim_id asked = {{1, 2, 3}};
static const struct key_id supplier = {{4, 5, 6}};

static void read_bodies(struct view body)
{
	struct buf again = {0};
	struct view rest;
	struct signature sig;
	struct claim c;
	struct err err;

	if (desk_read_claim(body, &c, &sig, &rest, &err)) {
		desk_put_claim(&c, &sig, rest, &again);
		assert(view_eq(buf_view(&again), body));
	} else {
		assert(err.code == ERR_FORMAT);
	}
	again.n = 0;
	if (desk_read_proof(body, &rest, &sig, &err)) {
		desk_put_proof(rest, &sig, &again);
		assert(view_eq(buf_view(&again), body));
	} else {
		assert(err.code == ERR_FORMAT && body.n < sizeof(sig.b));
	}
	buf_finish(&again);
}

static bool on_claim(void *arg, const struct claim *c, const struct desk_claim *state)
{
	size_t *n = arg;
	struct claim_id id;

	claim_id_of(c, &id);
	assert(ID_EQ(&id, &state->id) && ID_EQ(&c->supplier, &supplier));
	assert(state->state != DESK_UNKNOWN && strlen(state->reason) <= CLAIMS_FILE_REASON_MAX);
	return ++*n < 3;
}

/* The line as the registry would sign it. */
static void read_answers(struct view line)
{
	const uint8_t seed[KEY_SEED_BYTES] = {7};
	struct relay_key *key = relay_key_from_seed(KEY_ROLE_REGISTRY, seed);
	const struct key_id *pinned = relay_key_public(key);
	struct desk_claim s = {.due = 77}, last = {.due = 77};
	struct buf note = {0};
	struct note_key name;
	struct signature sig;
	bool more, stopped;
	struct err err = {0};
	size_t n = 0;

	buf_put_str(&note, DESK_HEAD);
	if (line.n > 0)
		buf_put(&note, line.p, line.n);
	buf_put_str(&note, "\n");
	sign_bytes(key, note.p, note.n, &sig);
	note_key_of_role("registry", pinned, &name);
	buf_put_str(&note, "\n");
	note_put_signature(&note, &name, 0, &sig);
	if (desk_read_state(buf_view(&note), pinned, &asked, &s, &err))
		assert(ID_EQ(&s.id, &asked) && strlen(s.reason) <= CLAIMS_FILE_REASON_MAX);
	else
		assert((err.code == ERR_CLAIM || err.code == ERR_REGISTRY) && s.due == 77);
	if (desk_read_list(buf_view(&note), pinned, &supplier, 5, on_claim, &n, &last, &more,
			   &stopped, &err))
		assert(n <= 3 && stopped == (n == 3) && (!more || n > 0));
	else
		assert(err.code == ERR_REGISTRY);
	buf_finish(&note);
	relay_key_destroy(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		read_answers(VIEW(data + 1, size - 1));
	else
		read_bodies(VIEW(data + 1, size - 1));
	return 0;
}
