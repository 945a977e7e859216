/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/config/config.h"

/* What came out of a load. */
struct outcome {
	struct config *config; /* NULL when refused */
	struct buf problems;
	struct err err;
};

static struct outcome load_from(const struct config_source *source, const char *yaml)
{
	struct outcome o = {0};
	bool ok;

	ok = config_load_text(source, "c.yaml", VIEW_STR(yaml), &o.config, &o.problems, &o.err);
	assert_int_equal(ok, o.config != NULL);
	buf_cstr(&o.problems);
	return o;
}

static struct outcome load(const char *yaml)
{
	return load_from(&(struct config_source){.role = CONFIG_ANY}, yaml);
}

static void drop(struct outcome *o)
{
	config_destroy(o->config);
	buf_finish(&o->problems);
}

static void assert_loads(struct outcome *o)
{
	if (o->config == NULL)
		fail_msg("refused: %s", (const char *)o->problems.p);
}

static void assert_problems(const char *yaml, const char *want)
{
	struct outcome o = load(yaml);

	assert_null(o.config);
	assert_err(o.err, ERR_CONFIG);
	assert_string_equal((const char *)o.problems.p, want);
	drop(&o);
}

static void an_empty_file_gives_the_defaults(void **state)
{
	struct outcome o = load("");

	assert_loads(&o);
	assert_string_equal(o.config->gateway.listen.host, "127.0.0.1");
	assert_int_equal(o.config->gateway.listen.port, 8545);
	assert_string_equal(o.config->gateway.service, "eth");
	assert_int_equal(o.config->gateway.body_max, 5 << 20);
	assert_int_equal(o.config->gateway.deadline, 10000000);
	assert_int_equal(o.config->evidence.max_bytes, 256 << 20);
	assert_int_equal(o.config->ledger.sync, CONFIG_LEDGER_SYNC_NORMAL);
	assert_int_equal(o.config->log.level, CONFIG_LOG_INFO);
	assert_int_equal(o.config->gateway.services.n, 1);
	assert_null(o.config->gateway.tokens);
	assert_false(o.config->registry.key.is_set);
	drop(&o);
}

static void every_type_is_read(void **state)
{
	struct outcome o = load(
		"gateway:\n"
		"  listen: \"[::1]:80\"\n"
		"  application: 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\n"
		"  services: [eth, bitcoin]\n"
		"  cors_origin: ''\n"
		"  deadline: 1500ms\n"
		"  batch_max: 7\n"
		"node:\n"
		"  listen: unix:/run/n.sock\n"
		"  services:\n"
		"    eth: [http://a, https://b]\n"
		"    bitcoin: http://c\n"
		"ledger:\n"
		"  sync: full\n"
		"  max_bytes: 3 GiB\n");

	assert_loads(&o);
	assert_string_equal(o.config->gateway.listen.host, "::1");
	assert_int_equal(o.config->gateway.listen.port, 80);
	assert_true(o.config->gateway.application.is_set);
	assert_int_equal(o.config->gateway.application.id.b[0], 0x3d);
	assert_int_equal(o.config->gateway.services.n, 2);
	assert_string_equal(o.config->gateway.services.items[1], "bitcoin");
	assert_null(o.config->gateway.cors_origin);
	assert_int_equal(o.config->gateway.deadline, 1500000);
	assert_int_equal(o.config->gateway.batch_max, 7);
	assert_null(o.config->node.listen.host);
	assert_string_equal(o.config->node.listen.unix_path, "/run/n.sock");
	assert_int_equal(o.config->node.services.n, 2);
	assert_string_equal(o.config->node.services.entries[0].name, "eth");
	assert_int_equal(o.config->node.services.entries[0].list.n, 2);
	assert_string_equal(o.config->node.services.entries[0].list.items[1], "https://b");
	assert_string_equal(o.config->node.services.entries[1].list.items[0], "http://c");
	assert_int_equal(o.config->ledger.sync, CONFIG_LEDGER_SYNC_FULL);
	assert_int_equal(o.config->ledger.max_bytes, (uint64_t)3 << 30);
	drop(&o);
}

static void all_problems_are_told_at_once_each_with_its_place(void **state)
{
	assert_problems(
		"gateway:\n"
		"  lisen: 127.0.0.1:1\n"
		"  deadline: 10 parsec\n"
		"  batch_max: 0\n"
		"  body_max: [1]\n"
		"  response_max: 1 MiB\n"
		"gatway:\n"
		"  x: 1\n"
		"ledger:\n"
		"  sync: sometimes\n"
		"  dir:\n",
		"c.yaml:2:3: gateway.lisen: unknown option; did you mean gateway.listen?\n"
		"c.yaml:3:13: gateway.deadline: not a duration (number and us, ms, s, min, h or "
		"d); "
		"allowed: 50 ms..5 min\n"
		"c.yaml:4:14: gateway.batch_max: out of range; allowed: 1..10000\n"
		"c.yaml:5:13: gateway.body_max: a single value is expected; allowed: 1 KiB..64 "
		"MiB\n"
		"c.yaml:6:3: gateway.response_max: unknown option; there is node.response_max\n"
		"c.yaml:7:1: gatway: unknown section; did you mean gateway?\n"
		"c.yaml:10:9: ledger.sync: unknown word; allowed: normal full\n"
		"c.yaml:11:7: ledger.dir: has no value\n");
}

static void yaml_that_we_do_not_need_is_refused_by_name(void **state)
{
	assert_problems("gateway: &g\n  listen: *g\n",
			"c.yaml:1:10: anchors (&g) are not allowed here\n"
			"c.yaml:2:11: aliases (*g) are not allowed here\n");
	assert_problems("gateway:\n  batch_max: !!int 3\n",
			"c.yaml:2:14: tags (tag:yaml.org,2002:int) are not allowed here\n");
	assert_problems("gateway:\n  batch_max: 3\n  batch_max: 4\n",
			"c.yaml:3:3: batch_max: given twice\n");
	assert_problems("gateway:\n  batch_max: 3\n---\nnode:\n",
			"c.yaml:3:1: a second document; one file is one configuration\n");
	assert_problems("- gateway\n", "c.yaml:1:1: sections are expected (`gateway:`, `node:`)\n");
	assert_problems("gateway: 3\n", "c.yaml:1:10: gateway: options are expected\n");
	assert_problems("? [a]\n: b\n", "c.yaml:1:3: a name is expected here\n");
	assert_problems("ledger:\n  dir: \"a\\0b\"\n", "c.yaml:2:8: a text with a zero byte\n");
}

static void broken_yaml_is_one_problem_with_its_place(void **state)
{
	struct outcome o = load("gateway:\n  listen: [1\nnode:\n");

	assert_null(o.config);
	assert_ptr_equal(strstr((const char *)o.problems.p, "c.yaml:3:5: not valid YAML: "),
			 o.problems.p);
	assert_ptr_equal(strchr((const char *)o.problems.p, '\n') + 1, o.problems.p + o.problems.n);
	drop(&o);
}

static void nesting_and_counts_have_limits(void **state)
{
	struct buf text = {0};
	struct outcome o;

	assert_problems("gateway: [[[[[[[[[[1]]]]]]]]]]\n",
			"c.yaml:1:17: nested too deep\n"
			"c.yaml:1:10: gateway: options are expected\n");
	buf_put_str(&text, "gateway: [");
	for (int i = 0; i < 20000; i++)
		buf_put_str(&text, "1,");
	buf_put_str(&text, "]");
	o = load(buf_cstr(&text));
	assert_null(o.config);
	assert_non_null(strstr((const char *)o.problems.p, "more than 10000 values"));
	drop(&o);
	buf_finish(&text);
}

static void numbers_keep_their_bounds_and_units(void **state)
{
	static const char *const bad[] = {
		"10",	 /* a duration needs a unit */
		"49 ms", /* under the least */
		"301 s", /* over the most */
		"-1 s",	 "1.5 s", "1  s", "s", "99999999999999999999 s", "9223372036854775807 d",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[64];
		struct outcome o;

		snprintf(text, sizeof(text), "gateway: {deadline: \"%s\"}", bad[i]);
		o = load(text);
		if (o.config != NULL)
			fail_msg("accepted: %s", bad[i]);
		drop(&o);
	}
}

static void addresses_are_host_and_port_or_a_socket(void **state)
{
	static const char *const bad[] = {"",	   "8545",    ":8545", "::1:80",     "[::1]",
					  "a:b",   "a:65536", "a:-1",  "http://a:1", "[]:1",
					  "unix:", "[zz]:1",  "a:08",  "a:"};
	struct config_address a;
	struct err err;
	char *memory;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (config_address_parse(bad[i], &a, &memory, &err))
			fail_msg("accepted: %s", bad[i]);
	assert_ok(config_address_parse("node-1.example:0", &a, &memory, &err), err);
	assert_string_equal(a.host, "node-1.example");
	assert_int_equal(a.port, 0);
	free(memory);
}

static void services_and_urls_are_checked(void **state)
{
	assert_problems(
		"node:\n  services:\n    Eth: http://a\n    eth: [ftp://b, http://c, http://c]\n"
		"    x: {y: z}\n    bitcoin: []\n",
		"c.yaml:3:5: node.services: not a service name (a-z, 0-9 and -, at most 32); "
		"allowed: 1..64\n"
		"c.yaml:4:11: node.services: not an http:// or https:// URL; allowed: 1..64\n"
		"c.yaml:4:30: node.services: given twice; allowed: 1..64\n"
		"c.yaml:5:8: node.services: a URL or a list of URLs is expected; allowed: "
		"1..64\n"
		"c.yaml:6:14: node.services: 1..16 URLs are expected; allowed: 1..64\n");
	assert_problems("gateway: {services: [eth, eth]}\n",
			"c.yaml:1:27: gateway.services: given twice; allowed: 1..64\n");
}

static void the_command_line_is_stronger_than_the_environment_and_that_than_the_file(void **state)
{
	static const char *const env[] = {"PATH=/bin", "COUNTERFOIL_GATEWAY_BATCH_MAX=20",
					  "COUNTERFOIL_GATEWAY_ATTEMPTS=5",
					  "COUNTERFOIL_PASSPHRASE=x", NULL};
	static const char *const args[] = {"--gateway.batch_max", "30",
					   "--node.services=eth=http://a,http://b;btc=http://c"};
	const struct config_source source = {
		.role = CONFIG_ANY, .args = args, .args_n = ARRAY_SIZE(args), .env = env};
	struct outcome o =
		load_from(&source, "gateway: {batch_max: 10, attempts: 2, depth_max: 9}\n");
	CLEANUP(buf_finish) struct buf text = {0};
	const char *all;

	assert_loads(&o);
	assert_int_equal(o.config->gateway.batch_max, 30);
	assert_int_equal(o.config->gateway.attempts, 5);
	assert_int_equal(o.config->gateway.depth_max, 9);
	assert_int_equal(o.config->node.services.n, 2);
	assert_string_equal(o.config->node.services.entries[0].list.items[1], "http://b");
	config_print(o.config, CONFIG_ANY, &text);
	all = buf_cstr(&text);
	assert_non_null(strstr(all, "gateway.batch_max = 30 (command line)\n"));
	assert_non_null(strstr(all, "gateway.attempts = 5 (environment)\n"));
	assert_non_null(strstr(all, "gateway.depth_max = 9 (c.yaml:1)\n"));
	assert_non_null(strstr(all, "gateway.deadline = 10 s (default)\n"));
	assert_non_null(strstr(all, "node.services = eth=http://a,http://b;btc=http://c ("));
	drop(&o);
}

static void problems_of_arguments_and_variables_name_them(void **state)
{
	static const char *const env[] = {
		"COUNTERFOIL_GATEWAY_BATCHMAX=20", "COUNTERFOIL_GATEWAY_SERVICE_HOST=10.0.0.1",
		"COUNTERFOIL_GATEWAY_PORT_80_TCP=tcp://x", "COUNTERFOIL_LOG_LEVEL=loud", NULL};
	static const char *const args[] = {
		"--gateway.batch_max", "many", "stray",	      "--nod.key=x",
		"--gateway.attemps",   "3",    "--ledger.dir"};
	const struct config_source source = {
		.role = CONFIG_ANY, .args = args, .args_n = ARRAY_SIZE(args), .env = env};
	struct outcome o = load_from(&source, "");

	assert_null(o.config);
	assert_string_equal(
		(const char *)o.problems.p,
		"COUNTERFOIL_GATEWAY_BATCHMAX: gateway.batchmax: unknown option; did you mean "
		"gateway.batch_max?\n"
		"COUNTERFOIL_LOG_LEVEL: log.level: unknown word; allowed: debug info warn error\n"
		"--gateway.batch_max: gateway.batch_max: not a number; allowed: 1..10000\n"
		"stray: not an option; options are --section.option VALUE\n"
		"--nod.key: nod: unknown section; did you mean node?\n"
		"--gateway.attemps: gateway.attemps: unknown option; did you mean "
		"gateway.attempts?\n"
		"--ledger.dir: needs a value\n");
	drop(&o);
}

static void a_role_must_be_given_what_it_needs(void **state)
{
	struct outcome o = load_from(&(struct config_source){.role = CONFIG_NODE},
				     "registry: {source: 'http://r'}\nnode: {key: k}\n");

	assert_null(o.config);
	assert_null(strstr((const char *)o.problems.p, "gateway"));
	assert_null(strstr((const char *)o.problems.p, "node.key"));
	assert_non_null(strstr((const char *)o.problems.p, "c.yaml: node.services: must be given"));
	assert_non_null(strstr((const char *)o.problems.p, "c.yaml: ledger.dir: must be given"));
	drop(&o);
	o = load_from(
		&(struct config_source){.role = CONFIG_NODE},
		"registry: {source: 'http://r'}\nnode: {key: k, services: {eth: 'http://a'}}\n"
		"ledger: {dir: l}\n");
	assert_null(o.config);
	assert_non_null(
		strstr((const char *)o.problems.p, "registry.key: must be given with a URL"));
	drop(&o);
}

static void options_that_do_not_fit_each_other_are_told(void **state)
{
	assert_problems("gateway: {service: btc, record: r, workers: 2}\nlink: {backoff_min: 50 s, "
			"ping_interval: 30 s}\n"
			"evidence: {max_bytes: 11 GiB}\n",
			"c.yaml: gateway.service: btc is not among gateway.services\n"
			"c.yaml: gateway.record: needs gateway.workers 1\n"
			"c.yaml: link.backoff_min: larger than link.backoff_max\n"
			"c.yaml: link.ping_interval: must be less than link.idle_timeout\n"
			"c.yaml: evidence.max_bytes: larger than ledger.max_bytes\n");
}

static void words_give_the_same_values_again(void **state)
{
	struct outcome o =
		load("gateway: {key: k, deadline: 1500 ms, cors_origin: '', pick: price,\n"
		     "  services: [eth, btc], listen: '127.0.0.1:1', share: false}\n");
	CLEANUP(buf_finish) struct buf words = {0};
	CLEANUP(buf_finish) struct buf again = {0};
	CLEANUP(xfree) char *lines = NULL;
	const char *args[500];
	struct config_source source = {.role = CONFIG_ANY, .args = args, .args_n = 0};

	assert_loads(&o);
	config_words(o.config, CONFIG_GATEWAY, &words);
	drop(&o);
	lines = xstrdup(buf_cstr(&words));
	assert_non_null(strstr(lines, "--gateway.services=eth,btc\n--gateway.workers=1\n"));
	assert_non_null(strstr(lines, "--gateway.cors_origin=\n"));
	assert_null(strstr(lines, "--gateway.key="));
	assert_null(strstr(lines, "--gateway.listen="));
	assert_null(strstr(lines, "(unset)"));
	for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
		assert_true(source.args_n < ARRAY_SIZE(args));
		*end = '\0';
		args[source.args_n++] = line;
	}
	o = load_from(&source, "");
	assert_loads(&o);
	assert_int_equal(o.config->gateway.deadline, 1500000);
	assert_int_equal(o.config->gateway.pick, CONFIG_GATEWAY_PICK_PRICE);
	config_words(o.config, CONFIG_GATEWAY, &again);
	assert_string_equal(buf_cstr(&again), buf_cstr(&words));
	drop(&o);
}

static void paths_of_a_file_are_relative_to_its_folder(void **state)
{
	static const char *const args[] = {"--gateway.tokens", "t"};
	struct config_source source = {.role = CONFIG_ANY, .args = args, .args_n = 2};
	char dir[] = "/tmp/cf-config-XXXXXX", path[64], want[64];
	struct buf problems = {0};
	struct config *config = NULL;
	struct err err;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c.yaml", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("ledger: {dir: ./led}\nnode: {key: /abs, listen: unix:n.sock}\n"
	      "registry: {source: 'http://r/x'}\n",
	      f);
	fclose(f);
	source.path = path;
	assert_ok(config_load(&source, &config, &problems, &err), err);
	snprintf(want, sizeof(want), "%s/led", dir);
	assert_string_equal(config->ledger.dir, want);
	assert_string_equal(config->node.key, "/abs");
	assert_string_equal(config->gateway.tokens, "t");
	assert_string_equal(config->registry.source, "http://r/x");
	snprintf(want, sizeof(want), "unix:%s/n.sock", dir);
	assert_string_equal(config->node.listen.text, want);
	config_destroy(config);
	unlink(path);
	assert_false(config_load(&source, &config, &problems, &err));
	assert_non_null(strstr(buf_cstr(&problems), "No such file"));
	rmdir(dir);
	assert_false(
		config_load(&(struct config_source){.path = "/tmp"}, &config, &problems, &err));
	assert_err(err, ERR_CONFIG);
	buf_finish(&problems);
}

static void a_file_over_the_limit_is_refused(void **state)
{
	struct config_source source = {.role = CONFIG_ANY};
	char path[] = "/tmp/cf-config-XXXXXX";
	struct config *config = NULL;
	struct buf problems = {0};
	struct err err;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	assert_non_null(f);
	for (size_t i = 0; i < CONFIG_FILE_MAX; i += 2)
		fputs("#\n", f);
	fflush(f);
	source.path = path;
	assert_ok(config_load(&source, &config, &problems, &err), err);
	config_destroy(config);
	config = NULL;
	fputs("#", f);
	fclose(f);
	assert_false(config_load(&source, &config, &problems, &err));
	assert_null(config);
	assert_non_null(strstr(buf_cstr(&problems), "larger than 1 MiB"));
	buf_finish(&problems);
	unlink(path);
}

static void a_template_loads_and_mentions_every_option_of_its_role(void **state)
{
	static const struct config_given given[] = {
		{"gateway.key", "gateway.key"},
		{"gateway.application",
		 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"},
		{"registry.source", "registry.db"},
		{"ledger.dir", "ledger"},
		{"node.key", "node.key"},
		{"node.services", "{eth: http://127.0.0.1:18545}"},
	};
	static const enum config_role roles[] = {CONFIG_GATEWAY, CONFIG_NODE};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		struct buf text = {0}, bare = {0};
		struct outcome o;

		config_template(roles[i], given, ARRAY_SIZE(given), &text);
		o = load_from(&(struct config_source){.role = roles[i]}, buf_cstr(&text));
		assert_loads(&o);
		drop(&o);
		/* with every comment sign before a default taken away it still loads */
		for (const char *p = buf_cstr(&text); *p != 0; p++)
			if (!(p[0] == '#' && p[1] >= 'a' && p[1] <= 'z'))
				buf_put(&bare, p, 1);
		o = load_from(&(struct config_source){.role = CONFIG_ANY}, buf_cstr(&bare));
		if (o.config == NULL) { /* only what has no default may be missing */
			char *rest = (char *)o.problems.p, *line;

			while ((line = strsep(&rest, "\n")) != NULL && *line != 0)
				assert_non_null(strstr(line, "has no value"));
		}
		drop(&o);
		buf_finish(&text);
		buf_finish(&bare);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(all_problems_are_told_at_once_each_with_its_place),
		cmocka_unit_test(yaml_that_we_do_not_need_is_refused_by_name),
		cmocka_unit_test(broken_yaml_is_one_problem_with_its_place),
		cmocka_unit_test(nesting_and_counts_have_limits),
		cmocka_unit_test(numbers_keep_their_bounds_and_units),
		cmocka_unit_test(addresses_are_host_and_port_or_a_socket),
		cmocka_unit_test(services_and_urls_are_checked),
		cmocka_unit_test(
			the_command_line_is_stronger_than_the_environment_and_that_than_the_file),
		cmocka_unit_test(problems_of_arguments_and_variables_name_them),
		cmocka_unit_test(a_role_must_be_given_what_it_needs),
		cmocka_unit_test(options_that_do_not_fit_each_other_are_told),
		cmocka_unit_test(words_give_the_same_values_again),
		cmocka_unit_test(paths_of_a_file_are_relative_to_its_folder),
		cmocka_unit_test(a_file_over_the_limit_is_refused),
		cmocka_unit_test(a_template_loads_and_mentions_every_option_of_its_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
