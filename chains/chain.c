/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/chain.h"

#include <assert.h>
#include <pthread.h>

#include "chains/family.h"
#include "relay/base/mem.h"

#define SLOTS 1024 /* of the table of names; at least twice the methods of any family */

struct chain {
	const struct family *family;
	struct method_table *table;
	const struct chain_method *slots[SLOTS];      /* by name_hash(), open addressing */
	const struct chain_traits *traits[SLOTS / 2]; /* of the family's methods, in their order */
};

static struct chain chains[] = {{.family = &family_evm}};
static pthread_once_t chains_once = PTHREAD_ONCE_INIT;

/* FNV-1a.  The names in the table are our own, so nobody can crowd a slot. */
static uint32_t name_hash(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h ^ h >> 15;
}

static void add_name(struct chain *chain, const struct chain_method *method)
{
	size_t n = strlen(method->name);
	size_t i = name_hash((const uint8_t *)method->name, n) % SLOTS;

	while (chain->slots[i]) {
		assert(strcmp(chain->slots[i]->name, method->name) != 0);
		i = (i + 1) % SLOTS;
	}
	chain->slots[i] = method;
}

static void chain_init(struct chain *chain)
{
	const struct family *family = chain->family;
	struct buf text = {0};
	struct err err;
	bool ok;

	assert(family->method_count * 2 <= SLOTS && family->methods[0].id == 0);
	buf_putf(&text, "counterfoil/methods/v1\n%s\n", family->name);
	for (size_t i = 0; i < family->method_count; i++) {
		const struct chain_method *m = &family->methods[i];

		if (i > 0)
			add_name(chain, m);
		if (m->refusal == CHAIN_RELAYED)
			buf_putf(&text, "%u %s %u %u\n", m->id, m->name, m->cu, m->part_cu);
	}
	ok = method_table_parse(buf_view(&text), &chain->table, &err);
	assert(ok);
	buf_finish(&text);
}

/* Entry 0's where there is no row; there is one for each method that is relayed. */
static void add_traits(struct chain *chain)
{
	const struct family *family = chain->family;

	for (size_t i = 0; i < family->method_count; i++) {
		chain->traits[i] = &family->traits[0].traits;
		for (size_t k = 0; k < family->trait_count; k++) {
			if (strcmp(family->methods[i].name, family->traits[k].name) == 0)
				chain->traits[i] = &family->traits[k].traits;
		}
	}
}

static void chains_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		chain_init(&chains[i]);
		add_traits(&chains[i]);
	}
}

const struct chain *chain_find(const char *family)
{
	pthread_once(&chains_once, chains_init);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		if (strcmp(chains[i].family->name, family) == 0)
			return &chains[i];
	}
	return NULL;
}

const struct chain *chain_of_table(const struct hash *table)
{
	pthread_once(&chains_once, chains_init);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		if (ID_EQ(method_table_hash(chains[i].table), table))
			return &chains[i];
	}
	return NULL;
}

const char *chain_family(const struct chain *chain)
{
	return chain->family->name;
}

const struct family *chain_family_of(const struct chain *chain)
{
	return chain->family;
}

const struct method_table *chain_table(const struct chain *chain)
{
	return chain->table;
}

static const char *refusal_text(enum chain_refusal refusal)
{
	switch (refusal) {
	case CHAIN_RELAYED:
		return "relayed";
	case CHAIN_STATEFUL:
		return "it lives in one node's memory, and calls are spread over nodes";
	case CHAIN_ACCOUNT:
		return "it uses accounts of the node; sign with your own key";
	case CHAIN_OPERATOR:
		return "it is for the node's operator";
	case CHAIN_DEVELOPER:
		return "it controls a development chain";
	case CHAIN_INTERNAL:
		return "it is internal to a node";
	case CHAIN_NAMELESS:
		return "a name has 1 to 128 printable ASCII characters";
	}
	return "refused";
}

static bool name_is_possible(struct view name)
{
	if (name.n == 0 || name.n > METHOD_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] < '!' || name.p[i] > '~')
			return false;
	}
	return true;
}

static enum chain_refusal namespace_refusal(const struct family *family, struct view name)
{
	for (size_t i = 0; i < family->namespace_count; i++) {
		size_t n = strlen(family->namespaces[i].prefix);

		if (name.n >= n && memcmp(name.p, family->namespaces[i].prefix, n) == 0)
			return family->namespaces[i].refusal;
	}
	return CHAIN_RELAYED;
}

static const struct chain_method *named(const struct chain *chain, struct view name)
{
	size_t i = name_hash(name.p, name.n) % SLOTS;

	for (; chain->slots[i]; i = (i + 1) % SLOTS) {
		if (view_eq(name, VIEW_STR(chain->slots[i]->name)))
			return chain->slots[i];
	}
	return NULL;
}

bool chain_method_find(const struct chain *chain, struct view name, const struct chain_method **ret,
		       struct err *err)
{
	const struct chain_method *method = named(chain, name);
	enum chain_refusal refusal;

	if (!name_is_possible(name))
		return err_set(err, ERR_METHOD, "the method is not relayed: %s",
			       refusal_text(CHAIN_NAMELESS));
	refusal = method ? method->refusal : namespace_refusal(chain->family, name);
	if (refusal != CHAIN_RELAYED)
		return err_set(err, ERR_METHOD, "the method %.*s is not relayed: %s", (int)name.n,
			       (const char *)name.p, refusal_text(refusal));
	*ret = method ? method : &chain->family->methods[0];
	return true;
}

bool chain_call_target(const struct chain *chain, const struct chain_method *method,
		       struct view params, struct chain_target *ret)
{
	return chain->family->call_target(method, params, ret);
}

bool chain_logs_read_filter(const struct chain *chain, struct view params, struct chain_logs *ret)
{
	return chain_logs_read(chain, named(chain, VIEW_STR(chain->family->logs_method)), params,
			       ret);
}

void chain_logs_put_filter(const struct chain *chain, struct view params, struct buf *ret)
{
	buf_putf(ret, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":",
		 chain->family->logs_method);
	buf_put(ret, params.p, params.n);
	buf_put_u8(ret, '}');
}

enum chain_filter_call chain_filter_call(const struct chain *chain, struct view name)
{
	const struct chain_method *method = named(chain, name);

	if (!method || method->refusal != CHAIN_STATEFUL)
		return CHAIN_FILTER_NONE;
	return chain->family->filter_call(name);
}

void chain_block_call(const struct chain *chain, const struct chain_ref *ref, struct buf *ret)
{
	chain->family->block_call(ref, ret);
}

bool chain_block_read(const struct chain *chain, struct view result, struct chain_block *ret)
{
	return chain->family->block_read(result, ret);
}

struct view chain_head_call(const struct chain *chain, enum chain_tag tag)
{
	const char *call = chain->family->heads[tag].call;

	return call ? VIEW_STR(call) : VIEW(NULL, 0);
}

struct view chain_head_params(const struct chain *chain, enum chain_tag tag)
{
	const char *params = chain->family->heads[tag].params;

	return params ? VIEW_STR(params) : VIEW(NULL, 0);
}

struct view chain_probe_call(const struct chain *chain)
{
	return VIEW_STR(chain->family->probe);
}

bool chain_probe_id(const struct chain *chain, struct view result, uint64_t *ret)
{
	return chain->family->probe_id(result, ret);
}

const struct chain_traits *chain_traits(const struct chain *chain,
					const struct chain_method *method)
{
	size_t i = (size_t)(method - chain->family->methods);

	assert(i < chain->family->method_count);
	return chain->traits[i];
}

void chain_call_read(const struct chain *chain, const struct chain_method *method,
		     struct view params, struct chain_call *ret)
{
	chain->family->call_read(chain_traits(chain, method), params, ret);
}

bool chain_call_is_fixed(const struct chain_call *call)
{
	const struct chain_ref *ref = call->ref;

	if (call->refs == 1)
		return ref[0].kind != CHAIN_REF_TAG;
	return call->refs == 2 && ref[0].kind == CHAIN_REF_NUMBER &&
	       ref[1].kind == CHAIN_REF_NUMBER && ref[0].number == ref[1].number;
}

bool chain_call_pin(const struct chain *chain, const struct chain_call *call, struct view text,
		    const struct chain_pin pins[CHAIN_REFS_MAX], struct buf *ret)
{
	return chain->family->call_pin(call, text, pins, ret);
}

void chain_answer_read(const struct chain *chain, const struct chain_call *call, struct view result,
		       struct chain_answer *ret)
{
	chain->family->answer_read(call, result, ret);
}

bool chain_sent_hash(const struct chain *chain, const struct chain_call *call, struct hash *ret)
{
	return call->raw.n > 0 && chain->family->sent_hash(call->raw, ret);
}

void chain_put_sent(const struct chain *chain, const struct hash *sent, struct buf *out)
{
	chain->family->put_sent(sent, out);
}

void chain_put_lookup(const struct chain *chain, const struct hash *sent, struct buf *out)
{
	chain->family->put_lookup(sent, out);
}

/* Behind the string whose inside begins at p. */
static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		p = text_skip_plain(p, end);
		if (p == end || *p == '"')
			break;
		p += *p == '\\' && end - p > 1 ? 2 : 1;
	}
	return p < end ? p + 1 : end;
}

void chain_call_key(const struct chain_method *method, struct view params, struct buf *ret)
{
	const uint8_t *p = params.p, *end = p + params.n, *from = p;

	buf_reserve(ret, strlen(method->name) + params.n + 3);
	buf_put_str(ret, method->name);
	buf_put_u8(ret, '\n');
	if (params.n == 0)
		buf_put_str(ret, "[]");
	while (p < end) {
		uint8_t c = *p++;

		if (c == '"') {
			p = skip_string(p, end);
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			buf_put(ret, from, (size_t)(p - 1 - from));
			from = p;
		}
	}
	buf_put(ret, from, (size_t)(end - from));
}
