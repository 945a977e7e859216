/* SPDX-License-Identifier: Apache-2.0
 * The state folder of `counterfoil up`: registry, keys, configurations. */
#include "relay/cli/up.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/crypto/sign.h"

#define UP_PRICE 1			      /* tokens per CU that the nodes ask for */
#define UP_BUDGET ((u128)1000000000000000000) /* tokens a session: 10^18 */
#define UP_ESCROW (UP_BUDGET * 1000000)	      /* carries any claim horizon */

char *up_path(const struct up *up, const char *fmt, ...)
{
	CLEANUP(xfree) char *name = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&name, fmt, args) < 0)
		abort();
	va_end(args);
	return xasprintf("%s/%s", up->state, name);
}

/* mkdir -p of an absolute or relative path, mode 0700. */
static bool make_dirs(const char *path, struct err *err)
{
	CLEANUP(xfree) char *copy = xstrdup(path);

	for (char *p = copy + 1;; p++) {
		char was = *p;

		if (was != '/' && was != 0)
			continue;
		*p = 0;
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			return err_set(err, ERR_IO, "%s: %s", copy, strerror(errno));
		if (was == 0)
			return true;
		*p = was;
	}
}

static bool default_dir(char **ret, struct err *err)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (xdg && *xdg == '/')
		*ret = xasprintf("%s/counterfoil", xdg);
	else if (home && *home == '/')
		*ret = xasprintf("%s/.local/state/counterfoil", home);
	else
		return err_set(err, ERR_USAGE,
			       "neither HOME nor XDG_STATE_HOME is set: give --state");
	return true;
}

/* One `up` a folder; the file holds the number of its process. */
static bool lock(struct up *up, struct err *err)
{
	CLEANUP(xfree) char *path = up_path(up, "up.lock");
	char pid[24] = "";
	ssize_t n;

	up->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (up->lock < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (flock(up->lock, LOCK_EX | LOCK_NB) != 0) {
		n = pread(up->lock, pid, sizeof(pid) - 1, 0);
		pid[strcspn(pid, "\n")] = 0;
		return err_set(err, ERR_IO, "%s is in use by another `counterfoil up', process %s",
			       up->state, n > 0 ? pid : "unknown");
	}
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(up->lock, 0) != 0 || pwrite(up->lock, pid, strlen(pid), 0) < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return true;
}

bool up_state_open(struct up *up, const char *dir, struct err *err)
{
	static const char *const folders[] = {"keys", "ledger", "log", "run"};
	CLEANUP(xfree) char *path = NULL;
	CLEANUP(xfree) char *longest = NULL;

	if (dir)
		path = xstrdup(dir);
	else if (!default_dir(&path, err))
		return false;
	if (!make_dirs(path, err))
		return false;
	up->state = realpath(path, NULL);
	if (!up->state)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	longest = up_path(up, "run/node%zu.sock", up->nodes);
	if (strlen(longest) > UP_UNIX_PATH_MAX)
		return err_set(
			err, ERR_IO,
			"the state folder's path is too long for sockets in it (%zu bytes more "
			"than %d): give a shorter --state",
			strlen(longest) - UP_UNIX_PATH_MAX, UP_UNIX_PATH_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		CLEANUP(xfree) char *folder = up_path(up, "%s", folders[i]);

		if (!make_dirs(folder, err))
			return false;
	}
	return lock(up, err);
}

/* Opens a key of the state folder, or makes it.  `name` is its path there. */
static bool get_key(const struct up *up, const char *name, enum key_role role,
		    struct relay_key **ret, struct err *err)
{
	CLEANUP(xfree) char *path = up_path(up, "%s", name);
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;

	if (access(path, F_OK) == 0)
		return cli_key_load(path, NULL, role, ret, err);
	key = relay_key_generate(role);
	if (!relay_key_save(key, path, NULL, err))
		return false;
	*ret = STEAL(key);
	return true;
}

static bool get_public(const struct up *up, const char *name, enum key_role role,
		       struct key_id *ret, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;

	if (!get_key(up, name, role, &key, err))
		return false;
	*ret = *relay_key_public(key);
	return true;
}

static bool get_keys(struct up *up, struct err *err)
{
	if (!get_public(up, "keys/gateway.key", KEY_ROLE_GATEWAY, &up->gateway, err) ||
	    !get_public(up, "keys/application.key", KEY_ROLE_APPLICATION, &up->application, err))
		return false;
	for (size_t i = 0; i < up->nodes; i++) {
		char name[24];

		snprintf(name, sizeof(name), "keys/node%zu.key", i + 1);
		if (!get_public(up, name, KEY_ROLE_SUPPLIER, &up->suppliers[i], err))
			return false;
	}
	return true;
}

static bool put_service(struct up *up, const struct store_write *w, const struct history *h,
			struct err *err)
{
	struct service_entry e = {.name = up->service, .table = up->method_table};
	const struct service_entry *now = h ? history_service(h, &e.name, UINT64_MAX) : NULL;
	height_t height;

	if (now && ID_EQ(&now->table, &e.table))
		return true;
	return store_put_service(up->store, w, &e, &height, err);
}

static bool is_offer(const struct supplier_entry *now, const struct supplier_entry *e)
{
	if (!now || now->stake != e->stake || now->price != e->price ||
	    strcmp(now->endpoint, e->endpoint) != 0)
		return false;
	for (uint32_t i = 0; i < now->services_n; i++)
		if (strcmp(now->services[i].s, e->services[0].s) == 0)
			return true;
	return false;
}

static bool put_supplier(struct up *up, size_t i, const struct store_write *w,
			 const struct history *h, bool *ret_changed, struct err *err)
{
	CLEANUP(xfree) char *endpoint = xasprintf("unix:%s/run/node%zu.sock", up->state, i + 1);
	struct supplier_entry e = {.key = up->suppliers[i],
				   .owner = owner_default(&up->suppliers[i]),
				   .stake = up->stakes[i],
				   .price = UP_PRICE,
				   .services_n = 1,
				   .services = &up->service,
				   .endpoint = endpoint};
	height_t height;

	if (h && is_offer(history_supplier(h, &e.key, UINT64_MAX), &e))
		return true;
	*ret_changed = true;
	return store_put_supplier(up->store, w, &e, &height, err);
}

/* Nodes of an earlier start with more of them leave. */
static bool drop_suppliers(struct up *up, const struct store_write *w, const struct history *h,
			   bool *ret_changed, struct err *err)
{
	for (size_t i = up->nodes; i < UP_NODES_MAX; i++) {
		CLEANUP(xfree) char *path = up_path(up, "keys/node%zu.key", i + 1);
		const struct supplier_entry *now;
		struct key_file_info info;
		struct supplier_entry e;
		height_t height;

		if (access(path, F_OK) != 0)
			continue;
		if (!relay_key_peek(path, &info, err))
			return false;
		now = history_supplier(h, &info.public, UINT64_MAX);
		if (!now || now->stake == 0)
			continue;
		e = *now;
		e.stake = 0;
		*ret_changed = true;
		if (!store_put_supplier(up->store, w, &e, &height, err))
			return false;
	}
	return true;
}

static bool put_grant(struct up *up, const struct store_write *w, const struct history *h,
		      struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct application_entry app = {.key = up->application, .escrow = UP_ESCROW};
	struct grant_entry e = {.application = up->application,
				.gateway = up->gateway,
				.service = up->service,
				.budget = UP_BUDGET,
				.nonce = 1};
	height_t height;

	if (h && history_grant(h, &up->application, &up->gateway, &up->service, UINT64_MAX))
		return true;
	if (!get_key(up, "keys/application.key", KEY_ROLE_APPLICATION, &key, err))
		return false;
	grant_bytes(store_network(up->store), &e, &bytes);
	sign_bytes(key, bytes.p, bytes.n, &e.signature);
	return store_put_application(up->store, w, &app, &height, err) &&
	       store_put_grant(up->store, w, &e, &height, err);
}

/* Writes what the registry does not say yet; h is NULL for a new one. */
static bool put_entries(struct up *up, const struct store_write *w, const struct history *h,
			struct err *err)
{
	bool changed = false;

	if (!put_service(up, w, h, err))
		return false;
	for (size_t i = 0; i < up->nodes; i++)
		if (!put_supplier(up, i, w, h, &changed, err))
			return false;
	if (h && !drop_suppliers(up, w, h, &changed, err))
		return false;
	if (h && changed)
		printf("the nodes or their stakes have changed: it counts from the next snapshot "
		       "on, in "
		       "%" PRIu64 " s at most\n",
		       (up->params.snapshot_lag + up->params.session_blocks) * up->block_ms / 1000);
	return put_grant(up, w, h, err);
}

static struct store_write write_now(void)
{
	clock_tick();
	return (struct store_write){.now_ms = clock_wall_ms()};
}

/* Made under another name first: what is there under the right one is whole. */
static bool make_registry(struct up *up, const char *path, const struct relay_key *key,
			  struct err *err)
{
	CLEANUP(xfree) char *part = xasprintf("%s.new", path);
	struct store_write w = write_now();
	msec_t next_ms;
	bool ok;

	unlink(part);
	if (!store_create(part, &up->params, up->block_ms, key, w.now_ms, &up->store, err))
		return false;
	w.genesis = true;
	ok = put_entries(up, &w, NULL, err) && store_keep(up->store, w.now_ms, &next_ms, err);
	store_close(up->store);
	up->store = NULL;
	if (ok && rename(part, path) != 0)
		ok = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	return ok;
}

/* An existing network keeps the lengths that it was made with. */
static bool fits(struct up *up, const struct history *h, struct err *err)
{
	const struct session_params *p = history_params(h, UINT64_MAX);
	uint64_t block_ms = store_clock(up->store)->block_ms;

	if ((up->session_given && (up->params.session_blocks != p->session_blocks ||
				   up->params.session_suppliers != p->session_suppliers)) ||
	    (up->block_given && up->block_ms != block_ms))
		return err_set(err, ERR_CONFIG,
			       "the network in %s has sessions of %" PRIu64 " heights of %" PRIu64
			       " ms with %u suppliers, which cannot change: give another --state",
			       up->state, p->session_blocks, block_ms, p->session_suppliers);
	up->params = *p;
	up->block_ms = block_ms;
	return true;
}

static bool open_registry(struct up *up, const char *path, struct err *err)
{
	CLEANUP(history_unref) struct history *h = NULL;
	struct store_write w = write_now();

	return store_open(path, &up->store, err) && store_history(up->store, &h, err) &&
	       fits(up, h, err) && put_entries(up, &w, h, err);
}

bool up_state_fill(struct up *up, struct err *err)
{
	CLEANUP(xfree) char *path = up_path(up, "registry.db");
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;

	if (!get_keys(up, err) || !get_key(up, "registry.db.key", KEY_ROLE_REGISTRY, &key, err))
		return false;
	up->is_new = access(path, F_OK) != 0;
	if (up->is_new && !make_registry(up, path, key, err))
		return false;
	return open_registry(up, path, err);
}

/* A YAML scalar in double quotes. */
static void put_quoted(struct buf *out, const char *text)
{
	buf_put_str(out, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_put_str(out, "\\");
		buf_put(out, text, 1);
	}
	buf_put_str(out, "\"");
}

static char *quoted(char *text)
{
	struct buf out = {0};

	put_quoted(&out, text);
	buf_cstr(&out);
	free(text);
	return (char *)out.p;
}

/* Configurations hold upstream URLs, and with them API keys. */
static bool write_private(const char *path, const struct buf *text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text->p, text->n) == (ssize_t)text->n;

	if (!ok)
		err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Writes the file and frees the values. */
static bool write_config(struct up *up, const char *name, enum config_role role,
			 struct config_given *given, size_t count, struct err *err)
{
	CLEANUP(xfree) char *path = up_path(up, "%s.yaml", name);
	CLEANUP(buf_finish) struct buf text = {0};

	buf_putf(&text, "# Written anew by each start of `counterfoil up'.\n");
	config_template(role, given, count, &text);
	for (size_t i = 0; i < count; i++)
		free((char *)given[i].yaml);
	return write_private(path, &text, err);
}

static bool configure_gateway(struct up *up, struct err *err)
{
	char hex[65];
	struct config_given given[] = {
		{"gateway.key", quoted(up_path(up, "keys/gateway.key"))},
		{"gateway.listen", quoted(xstrdup(up->listen))},
		{"gateway.application", quoted(xstrdup(hex_encode(up->application.b, 32, hex)))},
		{"gateway.service", quoted(xstrdup(up->service.s))},
		{"gateway.services", xasprintf("[\"%s\"]", up->service.s)},
		{"registry.source", quoted(up_path(up, "registry.db"))},
		{"ledger.dir", quoted(up_path(up, "ledger/gateway"))},
		{"admin.listen", quoted(xstrdup(up->admin))},
	};

	return write_config(up, "gateway", CONFIG_GATEWAY, given, ARRAY_SIZE(given), err);
}

/* Node i prefers upstream i mod n; the others follow in order, for failover. */
static char *services_of(const struct up *up, size_t i)
{
	struct buf out = {0};

	buf_putf(&out, "{\"%s\": [", up->service.s);
	for (size_t k = 0; k < up->upstreams_n; k++) {
		buf_put_str(&out, k ? ", " : "");
		put_quoted(&out, up->upstreams[(i + k) % up->upstreams_n]);
	}
	buf_put_str(&out, "]}");
	buf_cstr(&out);
	return (char *)out.p;
}

static bool configure_node(struct up *up, size_t i, struct err *err)
{
	char name[16];
	struct config_given given[] = {
		{"node.key", quoted(up_path(up, "keys/node%zu.key", i + 1))},
		{"node.listen", quoted(xasprintf("unix:%s/run/node%zu.sock", up->state, i + 1))},
		{"node.services", services_of(up, i)},
		{"registry.source", quoted(up_path(up, "registry.db"))},
		{"ledger.dir", quoted(up_path(up, "ledger/node%zu", i + 1))},
		{"claims.batch_sessions", xstrdup("1")}, /* so that a first payment shows soon */
		{"admin.listen", quoted(xstrdup(up->node_admin[i]))},
	};

	snprintf(name, sizeof(name), "node%zu", i + 1);
	return write_config(up, name, CONFIG_NODE, given, ARRAY_SIZE(given), err);
}

bool up_state_configure(struct up *up, struct err *err)
{
	if (!configure_gateway(up, err))
		return false;
	for (size_t i = 0; i < up->nodes; i++)
		if (!configure_node(up, i, err))
			return false;
	return true;
}
