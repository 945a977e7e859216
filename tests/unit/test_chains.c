/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "chains/chain.h"

static const struct chain *evm(void)
{
	const struct chain *chain = chain_find("evm");

	assert_non_null(chain);
	return chain;
}

static const struct chain_method *found(const char *name)
{
	const struct chain_method *method = NULL;
	struct err err;

	assert_ok(chain_method_find(evm(), VIEW_STR(name), &method, &err), err);
	return method;
}

static void assert_refused(const char *name, const char *why)
{
	const struct chain_method *method = NULL;
	struct err err = {0};

	if (chain_method_find(evm(), VIEW_STR(name), &method, &err))
		print_message("# relayed: %s\n", name);
	assert_err(err, ERR_METHOD);
	assert_non_null(strstr(err.msg, why));
}

static void unknown_families_are_not_found(void **state)
{
	assert_null(chain_find(""));
	assert_null(chain_find("evm2"));
	assert_string_equal(chain_family(evm()), "evm");
}

static void named_methods_have_their_own_entries(void **state)
{
	assert_int_equal(found("eth_getBalance")->id, 20);
	assert_int_equal(found("eth_getBalance")->cu, 20);
	assert_int_equal(found("eth_getBalance")->effect, CHAIN_READ);
	assert_int_equal(found("eth_sendRawTransaction")->effect, CHAIN_WRITE);
	assert_int_equal(found("debug_traceTransaction")->part_cu, 20);
	assert_int_equal(found("net_version")->id, 100);
	assert_int_equal(found("trace_filter")->id, 183);
	assert_int_equal(found("txpool_content")->id, 121);
	assert_int_equal(found("web3_sha3")->id, 111);
}

/* [M1] */
static void unnamed_methods_are_entry_0_and_never_sent_twice(void **state)
{
	static const char *const names[] = {
		"eth_somethingNew", "foo_bar",	     "x", "*", "eth_getBalanc",
		"eth_getBalance2",  "Eth_getBalance"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct chain_method *method = found(names[i]);

		assert_int_equal(method->id, 0);
		assert_string_equal(method->name, "*");
		assert_int_equal(method->effect, CHAIN_WRITE);
		assert_true(method->cu > 0);
	}
}

static void methods_that_cannot_be_spread_over_nodes_are_refused_by_name(void **state)
{
	assert_refused("eth_newFilter", "eth_newFilter is not relayed: it lives in one node's");
	assert_refused("eth_getFilterChanges", "one node's memory");
	assert_refused("eth_subscribe", "one node's memory");
	assert_refused("eth_accounts", "accounts of the node");
	assert_refused("eth_sendTransaction", "accounts of the node");
	assert_refused("personal_unlockAccount", "accounts of the node");
	assert_refused("admin_addPeer", "operator");
	assert_refused("miner_start", "operator");
	assert_refused("debug_setHead", "operator");
	assert_refused("debug_", "operator");
	assert_refused("anvil_setBalance", "development chain");
	assert_refused("evm_mine", "development chain");
	assert_refused("engine_newPayloadV4", "internal");
}

static void names_that_no_method_can_have_are_refused(void **state)
{
	char longest[METHOD_NAME_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[METHOD_NAME_MAX + 1] = '\0';
	assert_refused(longest, "printable");
	longest[METHOD_NAME_MAX] = '\0';
	assert_int_equal(found(longest)->id, 0);
	assert_refused("", "printable");
	assert_refused("eth call", "printable");
	assert_refused("eth_\xc3\xa9", "printable");
}

static void the_table_holds_every_relayed_method_once(void **state)
{
	const struct method_table *table = chain_table(evm());

	assert_string_equal(method_table_family(table), "evm");
	assert_true(method_table_count(table) > 100);
	assert_string_equal(method_table_at(table, 0)->name, "*");
	for (size_t i = 1; i < method_table_count(table); i++) {
		const struct method_entry *entry = method_table_at(table, i);
		const struct chain_method *method = found(entry->name);

		assert_int_equal(method->id, entry->id);
		assert_int_equal(method->cu, entry->cu);
		assert_int_equal(method->part_cu, entry->part_cu);
		assert_true(entry->cu > 0);
		assert_ptr_equal(method_table_find(table, entry->id), entry);
	}
	assert_null(method_table_find(table, 13));
	assert_null(method_table_find(table, UINT32_MAX));
	assert_int_equal(method_table_cu_max(table), 500);
}

/* [M2]: both sides and the registry must have the same hash, so a change of it is a decision. */
static void the_tables_hash_is_this(void **state)
{
	char hex[65];

	hex_encode(method_table_hash(chain_table(evm()))->b, 32, hex);
	assert_string_equal(hex,
			    "f4d439227eb15adef94430409128b2a43bee830bda9e7bd58afd35c15fa9dfce");
}

static void a_table_comes_back_from_its_text(void **state)
{
	const struct method_table *table = chain_table(evm());
	struct method_table *again = NULL;
	struct err err;

	assert_ok(method_table_parse(method_table_text(table), &again, &err), err);
	assert_true(ID_EQ(method_table_hash(table), method_table_hash(again)));
	assert_int_equal(method_table_count(table), method_table_count(again));
	method_table_destroy(again);
}

/* [M1], [M2] */
static void texts_that_are_no_table_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"counterfoil/methods/v1",
		"counterfoil/methods/v2\nevm\n",
		"counterfoil/methods/v1\n",
		"counterfoil/methods/v1\nEVM\n",
		"counterfoil/methods/v1\n\n",
		"counterfoil/methods/v1\nevm",
		"counterfoil/methods/v1\nevm\n\n",
		"counterfoil/methods/v1\nevm\n1 a 1 0",
		"counterfoil/methods/v1\nevm\n1 a 1\n",
		"counterfoil/methods/v1\nevm\n1 a 1 0 \n",
		"counterfoil/methods/v1\nevm\n1 a 1 0 0\n",
		"counterfoil/methods/v1\nevm\n 1 a 1 0\n",
		"counterfoil/methods/v1\nevm\n1  a 1 0\n",
		"counterfoil/methods/v1\nevm\n1  1 0\n",
		"counterfoil/methods/v1\nevm\n1 a 01 0\n",
		"counterfoil/methods/v1\nevm\n+1 a 1 0\n",
		"counterfoil/methods/v1\nevm\n1 a -1 0\n",
		"counterfoil/methods/v1\nevm\n1 a 4294967296 0\n",
		"counterfoil/methods/v1\nevm\n4294967296 a 1 0\n",
		"counterfoil/methods/v1\nevm\n0 a 1 0\n",
		"counterfoil/methods/v1\nevm\n1 * 1 0\n",
		"counterfoil/methods/v1\nevm\n2 a 1 0\n1 b 1 0\n",
		"counterfoil/methods/v1\nevm\n1 a 1 0\n1 b 1 0\n",
		"counterfoil/methods/v1\nevm\n1 a 1 0\n2 a 1 0\n",
		"counterfoil/methods/v1\nevm\n1 \xc3\xa9 1 0\n",
		"counterfoil/methods/v1\r\nevm\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct method_table *table = NULL;
		struct err err = {0};

		if (method_table_parse(VIEW_STR(texts[i]), &table, &err))
			print_message("# accepted: %s\n", texts[i]);
		assert_err(err, ERR_FORMAT);
		assert_null(table);
	}
}

static void a_table_may_be_empty_and_without_entry_0(void **state)
{
	struct method_table *table = NULL;
	struct err err;

	assert_ok(method_table_parse(VIEW_STR("counterfoil/methods/v1\nother\n"), &table, &err),
		  err);
	assert_int_equal(method_table_count(table), 0);
	assert_int_equal(method_table_cu_max(table), 0);
	assert_null(method_table_find(table, 0));
	method_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_families_are_not_found),
		cmocka_unit_test(named_methods_have_their_own_entries),
		cmocka_unit_test(unnamed_methods_are_entry_0_and_never_sent_twice),
		cmocka_unit_test(methods_that_cannot_be_spread_over_nodes_are_refused_by_name),
		cmocka_unit_test(names_that_no_method_can_have_are_refused),
		cmocka_unit_test(the_table_holds_every_relayed_method_once),
		cmocka_unit_test(the_tables_hash_is_this),
		cmocka_unit_test(a_table_comes_back_from_its_text),
		cmocka_unit_test(texts_that_are_no_table_are_refused),
		cmocka_unit_test(a_table_may_be_empty_and_without_entry_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
