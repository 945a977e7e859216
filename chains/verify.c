/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/verify.h"

#include "chains/family.h"
#include "relay/base/mem.h"

struct chain_verifier {
	const struct family *family;
	void *state; /* the family's */
};

struct chain_verifier *chain_verifier_create(const struct chain *chain)
{
	struct chain_verifier *verifier = xcalloc(1, sizeof(*verifier));

	verifier->family = chain_family_of(chain);
	verifier->state = verifier->family->verifier_create();
	return verifier;
}

void chain_verifier_destroy(struct chain_verifier *verifier)
{
	if (!verifier)
		return;
	verifier->family->verifier_destroy(verifier->state);
	free(verifier);
}

enum chain_look chain_verify_look(const struct chain_verifier *verifier,
				  const struct chain_method *method)
{
	return verifier->family->verify_look(verifier->state, method);
}

void chain_verify(struct chain_verifier *verifier, const struct chain_method *method,
		  struct view params, struct view result, struct chain_finding *ret)
{
	*ret = (struct chain_finding){.verdict = CHAIN_PLAIN};
	verifier->family->verify(verifier->state, method, params, result, ret);
}
