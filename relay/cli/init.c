/* SPDX-License-Identifier: Apache-2.0
 * init: the files of a new gateway or node, and what its operator has to do next. */
#include "relay/cli/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/cli/registry_args.h"

char *init_text(struct init *in, const char *fmt, ...)
{
	char line[2 * PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	return arena_memdup(in->arena, line, strlen(line) + 1);
}

static void give(struct init *in, const char *option, const char *yaml)
{
	if (in->given_n == INIT_GIVEN_MAX)
		abort();
	in->given[in->given_n++] = (struct config_given){option, yaml};
}

/* A double-quoted YAML scalar. */
static char *quoted(struct init *in, const char *s)
{
	CLEANUP(buf_finish) struct buf out = {0};

	buf_put_u8(&out, '"');
	for (; *s != 0; s++) {
		if (*s == '"' || *s == '\\')
			buf_put_u8(&out, '\\');
		buf_put_u8(&out, (unsigned char)*s < ' ' ? '?' : (uint8_t)*s);
	}
	buf_put_u8(&out, '"');
	return init_text(in, "%s", buf_cstr(&out));
}

char *init_hex(struct init *in, const struct key_id *key)
{
	char digits[2 * sizeof(key->b) + 1];

	return init_text(in, "%s", hex_encode(key->b, sizeof(key->b), digits));
}

/* --- keys --- */

/* Makes a key file, or takes the one that is there if it is of that role. */
static bool make_key(struct init *in, enum key_role role, const char *path, struct key_id *ret,
		     struct err *err)
{
	CLEANUP(passphrase_free) char *passphrase = NULL;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	struct key_file_info info;

	if (access(path, F_OK) == 0) {
		if (!relay_key_peek(path, &info, err))
			return false;
		if (info.role != role)
			return err_set(err, ERR_KEY, "%s: is a key of a %s", path,
				       key_role_name(info.role));
		printf("kept   %s\n", path);
		*ret = info.public;
		return true;
	}
	if (!cli_passphrase(in->o[OPT_PASSPHRASE].value, in->o[OPT_ENCRYPT].value != NULL, true,
			    &passphrase, err))
		return false;
	key = relay_key_generate(role);
	if (!relay_key_save(key, path, passphrase, err))
		return false;
	printf("wrote  %s: %s\n", path, init_hex(in, relay_key_public(key)));
	*ret = *relay_key_public(key);
	return true;
}

/* --- what stands in the configuration --- */

static bool is_sqlite(const char *path)
{
	char head[16] = "";
	FILE *f = fopen(path, "re");
	bool ok;

	if (f == NULL)
		return false;
	ok = fread(head, 1, sizeof(head), f) == sizeof(head) &&
	     memcmp(head, "SQLite format 3", sizeof(head)) == 0;
	fclose(f);
	return ok;
}

static void give_registry(struct init *in)
{
	const char *source = in->o[OPT_REGISTRY].value;
	char absolute[PATH_MAX];

	if (in->o[OPT_REGISTRY_KEY].value != NULL)
		give(in, "registry.key", quoted(in, in->o[OPT_REGISTRY_KEY].value));
	if (source == NULL)
		return;
	if (strstr(source, "://") == NULL && realpath(source, absolute) != NULL)
		source = absolute;
	in->registry = init_text(in, "%s", source);
	in->registry_is_local = is_sqlite(source);
	give(in, "registry.source", quoted(in, source));
}

/* `SERVICE=URL` options as a YAML map, services in the order of their first URL. */
static bool give_backends(struct init *in, struct err *err)
{
	const struct cli_option *o = &in->o[OPT_BACKEND];
	CLEANUP(buf_finish) struct buf map = {0};

	for (size_t i = 0; i < o->values_n; i++) {
		const char *equals = strchr(o->values[i], '=');
		size_t n = equals ? (size_t)(equals - o->values[i]) : 0;
		bool seen = false;

		if (n == 0)
			return err_set(err, ERR_USAGE, "--backend is SERVICE=URL");
		for (size_t j = 0; j < i; j++)
			seen |= strncmp(o->values[j], o->values[i], n + 1) == 0;
		if (seen)
			continue;
		buf_putf(&map, "%s%.*s: [", map.n ? ", " : "{", (int)n, o->values[i]);
		for (size_t j = i; j < o->values_n; j++)
			if (strncmp(o->values[j], o->values[i], n + 1) == 0)
				buf_putf(&map, "%s%s", j > i ? ", " : "",
					 quoted(in, o->values[j] + n + 1));
		buf_put_str(&map, "]");
	}
	if (map.n > 0) {
		buf_put_str(&map, "}");
		give(in, "node.services", init_text(in, "%s", buf_cstr(&map)));
	}
	return true;
}

static bool give_application(struct init *in, struct err *err)
{
	const char *named = in->o[OPT_APPLICATION].value;

	if (named != NULL) {
		if (!hex_decode(named, strlen(named), in->application.b, sizeof(in->application.b)))
			return err_set(err, ERR_USAGE, "--application is 64 hex digits");
	} else {
		in->application_key = init_text(in, "%s/application.key", in->dir);
		if (!make_key(in, KEY_ROLE_APPLICATION, in->application_key, &in->application, err))
			return false;
	}
	give(in, "gateway.application", quoted(in, init_hex(in, &in->application)));
	return true;
}

static bool give_all(struct init *in, struct err *err)
{
	const char *role = in->is_node ? "node" : "gateway";

	give(in, init_text(in, "%s.key", role), init_text(in, "%s.key", role));
	give(in, "ledger.dir", "ledger");
	give_registry(in);
	if (in->o[OPT_PASSPHRASE].value != NULL) {
		char absolute[PATH_MAX];

		if (realpath(in->o[OPT_PASSPHRASE].value, absolute) == NULL)
			return err_set(err, ERR_IO, "%s: %s", in->o[OPT_PASSPHRASE].value,
				       strerror(errno));
		give(in, init_text(in, "%s.passphrase_file", role), quoted(in, absolute));
	}
	if (in->o[OPT_LISTEN].value != NULL)
		give(in, init_text(in, "%s.listen", role), quoted(in, in->o[OPT_LISTEN].value));
	if (in->o[OPT_ADMIN].value != NULL)
		give(in, "admin.listen", quoted(in, in->o[OPT_ADMIN].value));
	else if (in->is_node) /* beside a gateway on the same machine */
		give(in, "admin.listen", "127.0.0.1:8581");
	if (in->is_node)
		return true;
	if (in->o[OPT_SERVICE].value != NULL) {
		give(in, "gateway.service", quoted(in, in->o[OPT_SERVICE].value));
		give(in, "gateway.services", quoted(in, in->o[OPT_SERVICE].value));
	}
	return give_application(in, err);
}

static bool write_config(struct init *in, const char *path, struct err *err)
{
	CLEANUP(buf_finish) struct buf out = {0};
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	bool ok;

	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	buf_putf(&out,
		 "# The configuration of a Counterfoil %s.  Lines that begin with `#name:' show "
		 "defaults.\n\n",
		 in->is_node ? "node" : "gateway");
	config_template(in->is_node ? CONFIG_NODE : CONFIG_GATEWAY, in->given, in->given_n, &out);
	ok = write(fd, out.p, out.n) == (ssize_t)out.n;
	ok = close(fd) == 0 && ok;
	if (!ok)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	printf("wrote  %s\n", path);
	return true;
}

/* Reads it as the program will; says what is still to be filled in. */
static void print_missing(struct init *in, const char *path)
{
	const struct config_source source = {.role = in->is_node ? CONFIG_NODE : CONFIG_GATEWAY,
					     .path = path};
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(buf_finish) struct buf problems = {0};
	struct err err;

	if (!config_load(&source, &config, &problems, &err))
		printf("\nStill to be put right in that file:\n%s", buf_cstr(&problems));
}

static bool make(struct init *in, struct err *err)
{
	const char *role = in->is_node ? "node" : "gateway";
	const char *path = init_text(in, "%s/%s.yaml", in->dir, role);

	if (access(path, F_OK) == 0)
		return err_set(err, ERR_IO, "%s: exists already; it is not overwritten", path);
	/* What can be wrong with the words comes before anything is written. */
	if ((in->is_node && !give_backends(in, err)) ||
	    (in->o[OPT_ENDPOINT].value != NULL &&
	     !registry_parse_endpoint("--endpoint", in->o[OPT_ENDPOINT].value, err)))
		return false;
	if (mkdir(in->dir, 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_IO, "%s: %s", in->dir, strerror(errno));
	if (!make_key(in, in->is_node ? KEY_ROLE_SUPPLIER : KEY_ROLE_GATEWAY,
		      init_text(in, "%s/%s.key", in->dir, role), &in->self, err) ||
	    !give_all(in, err) || !write_config(in, path, err))
		return false;
	print_missing(in, path);
	init_print_next(in, path);
	return true;
}

static int run_role(const struct verb *verb, bool is_node, int argc, char **argv)
{
	const char **backends = xcalloc((size_t)argc, sizeof(*backends));
	struct init in = {
		.verb = verb,
		.is_node = is_node,
		.o =
			{
				[OPT_DIR] = {.name = "dir"},
				[OPT_REGISTRY] = {.name = "registry"},
				[OPT_REGISTRY_KEY] = {.name = "registry-key"},
				[OPT_LISTEN] = {.name = "listen"},
				[OPT_ADMIN] = {.name = "admin"},
				[OPT_ENCRYPT] = {.name = "encrypt", .is_flag = true},
				[OPT_PASSPHRASE] = {.name = "passphrase-file"},
				[OPT_ENDPOINT] = {.name = "endpoint"},
				[OPT_BACKEND] = {.name = "backend",
						 .repeats = true,
						 .values = backends},
				[OPT_STAKE] = {.name = "stake"},
				[OPT_APPLICATION] = {.name = "application"},
				[OPT_SERVICE] = {.name = "service"},
				[OPT_BUDGET] = {.name = "budget"},
			},
		.arena = arena_create(1 << 20),
		.budget = INIT_BUDGET,
	};
	int n, status = CLI_USAGE;
	struct err err;

	if (!cli_options(verb, argc, argv, in.o, OPTIONS, false, &n)) {
		status = CLI_USAGE;
	} else if (n > 0) {
		status = cli_usage(verb, "unknown operand `%s'", argv[1]);
	} else if (in.o[OPT_BUDGET].value != NULL &&
		   !u64_parse(in.o[OPT_BUDGET].value, strlen(in.o[OPT_BUDGET].value), &in.budget)) {
		status = cli_usage(verb, "--budget is a whole number of tokens");
	} else {
		snprintf(in.dir, sizeof(in.dir), "%s",
			 in.o[OPT_DIR].value ? in.o[OPT_DIR].value : ".");
		status = make(&in, &err) ? CLI_OK : cli_fail(&err);
	}
	arena_destroy(in.arena);
	free(backends);
	return status;
}

static int run_node(const struct verb *verb, int argc, char **argv)
{
	return run_role(verb, true, argc, argv);
}

static int run_gateway(const struct verb *verb, int argc, char **argv)
{
	return run_role(verb, false, argc, argv);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static const struct cli_action actions[] = {{"node", run_node}, {"gateway", run_gateway}};

	return cli_dispatch(verb, actions, ARRAY_SIZE(actions), argc, argv);
}

const struct verb verb_init = {
	.name = "init",
	.usage = "node|gateway [OPTION]...",
	.summary = "write the key and the configuration of a new node or gateway",
	.help = "Writes DIR/node.key and DIR/node.yaml (or gateway.*), in which every option is\n"
		"explained, and prints what the registry must be told and what to run next.  A "
		"key\n"
		"that is there is kept; a configuration that is there is an error.\n"
		"\n"
		"  --dir DIR               default: the working folder\n"
		"  --registry SOURCE       sqlite file, exported file or URL\n"
		"  --registry-key HEX      the registry's key; needed for a file or URL\n"
		"  --listen ADDRESS        where to listen\n"
		"  --admin ADDRESS         where health and metrics are served\n"
		"  --encrypt               ask for a passphrase for the new keys\n"
		"  --passphrase-file FILE  take it from FILE's first line, now and at each start\n"
		"node:\n"
		"  --backend SERVICE=URL   a chain node; repeat it for failover and other "
		"services\n"
		"  --endpoint HOST:PORT    where gateways reach this node\n"
		"  --stake AMOUNT          in the line that is printed\n"
		"gateway:\n"
		"  --application HEX       who pays; without it a key is made: "
		"DIR/application.key\n"
		"  --service NAME          what / stands for; default eth\n"
		"  --budget TOKENS         a session, in the line that is printed\n",
	.run = run,
};
