/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/verify.h"

#include "chains/family.h"
#include "relay/base/mem.h"

struct chain_verifier {
	const struct family *family;
	void *state; /* the family's */
};

struct chain_verifier *chain_verifier_create(const struct chain *chain, bool hashes)
{
	struct chain_verifier *verifier = xcalloc(1, sizeof(*verifier));

	verifier->family = chain_family_of(chain);
	verifier->state = verifier->family->verifier_create(hashes);
	return verifier;
}

void chain_verifier_destroy(struct chain_verifier *verifier)
{
	if (!verifier)
		return;
	verifier->family->verifier_destroy(verifier->state);
	free(verifier);
}

enum chain_verdict chain_verify(struct chain_verifier *verifier, const struct chain_method *method,
				struct view params, struct view result, const char **ret_why)
{
	return verifier->family->verify(verifier->state, method, params, result, ret_why);
}

bool chain_network_hashes(const struct chain *chain, uint64_t id)
{
	return chain_family_of(chain)->network_hashes(id);
}
