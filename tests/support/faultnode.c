/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/faultnode.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <jansson.h>

#include "relay/base/mem.h"

#define HEADER_MAX 16384
#define DRIP_BYTES 16
#define LONG_BLOCK 65521 /* no divisor of a part or a read */

struct conn {
	LIST_ENTRY(conn) link;
	struct faultnode *node;
	struct bufferevent *bev;
	struct event *timer;
	json_t *action;	   /* of the request being answered */
	json_t *call;	   /* its JSON, NULL when it is none */
	struct buf answer; /* what is still to be sent */
	size_t sent;
	uint64_t fill_at;  /* of a long result, made while it is sent */
	uint64_t fill_end; /* 0: there is none */
	const char *tail;  /* behind it */
	bool close_after;
	bool reset_after;
	bool busy;
	bool held;    /* until the next script */
	bool counted; /* in stats.busy */
};

struct faultnode {
	struct event_base *base;
	struct evconnlistener *listener;
	LIST_HEAD(, conn) conns;
	json_t *script;
	json_t *methods; /* name -> how often */
	struct buf last;
	struct faultnode_stats stats;
	uint16_t port;
};

static void conn_on_read(struct bufferevent *bev, void *arg);

static void conn_count(struct conn *conn, bool counted)
{
	struct faultnode_stats *stats = &conn->node->stats;

	stats->busy += (unsigned)counted - (unsigned)conn->counted;
	stats->most = MAX(stats->most, stats->busy);
	conn->counted = counted;
}

static void conn_destroy(struct conn *conn)
{
	LIST_REMOVE(conn, link);
	conn_count(conn, false);
	conn->node->stats.open--;
	bufferevent_free(conn->bev);
	event_free(conn->timer);
	json_decref(conn->action);
	json_decref(conn->call);
	buf_finish(&conn->answer);
	free(conn);
}

static void conn_reset(struct conn *conn)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	setsockopt(bufferevent_getfd(conn->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_destroy(conn);
}

static bool is_true(json_t *action, const char *key)
{
	return json_is_true(json_object_get(action, key));
}

static long number(json_t *action, const char *key, long otherwise)
{
	json_t *v = json_object_get(action, key);

	return json_is_integer(v) ? (long)json_integer_value(v) : otherwise;
}

static const char *text(json_t *action, const char *key, const char *otherwise)
{
	const char *v = json_string_value(json_object_get(action, key));

	return v ? v : otherwise;
}

static void conn_wait(struct conn *conn, long ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	event_add(conn->timer, &tv);
}

/* --- what is answered --- */

static bool is_probe(json_t *call)
{
	const char *method = json_string_value(json_object_get(call, "method"));

	return method && strcmp(method, "eth_chainId") == 0;
}

/* The default without what it says of results. */
static json_t *action_of_probe(struct faultnode *node)
{
	static const char *const said[] = {"size", "echo", "error"};
	json_t *action = json_object();

	json_object_update(action, json_object_get(node->script, "default"));
	for (size_t i = 0; i < ARRAY_SIZE(said); i++)
		json_object_del(action, said[i]);
	json_object_set_new(action, "result", json_string("0x1"));
	return action;
}

/* The action of the first text of "about" that the call has in it; NULL. */
static json_t *action_about(struct faultnode *node, struct view body)
{
	const char *text;
	json_t *action;

	json_object_foreach(json_object_get(node->script, "about"), text, action)
	{
		if (memmem(body.p, body.n, text, strlen(text)))
			return json_incref(action);
	}
	return NULL;
}

static json_t *action_pick(struct faultnode *node, json_t *call, struct view body)
{
	json_t *queue = json_object_get(node->script, "queue"), *action = json_array_get(queue, 0);
	const char *method = json_string_value(json_object_get(call, "method"));

	if (action && !is_probe(call)) {
		long times = number(action, "times", 1);

		json_incref(action);
		if (times > 1)
			json_object_set_new(action, "times", json_integer(times - 1));
		else
			json_array_remove(queue, 0);
		return action;
	}
	action = action_about(node, body);
	if (action)
		return action;
	if (method)
		action = json_object_get(json_object_get(node->script, "methods"), method);
	if (!action && is_probe(call))
		return action_of_probe(node);
	if (!action)
		action = json_object_get(node->script, "default");
	return action ? json_incref(action) : json_object();
}

static char *rpc_body(struct conn *conn)
{
	json_t *answer = json_object(), *action = conn->action;
	json_t *id = json_object_get(action, "id"), *v;
	long size = number(action, "size", -1);
	char *body;

	json_object_set_new(answer, "jsonrpc", json_string("2.0"));
	if (!id)
		id = json_object_get(conn->call, "id");
	if (!is_true(action, "id_last"))
		json_object_set_new(answer, "id", id ? json_incref(id) : json_null());
	if ((v = json_object_get(action, "error"))) {
		json_object_set(answer, "error", v);
	} else if (size >= 0) {
		char *big = xmalloc((size_t)size + 1);

		memset(big, 'x', (size_t)size);
		json_object_set_new(answer, "result", json_stringn(big, (size_t)size));
		free(big);
	} else if (is_true(action, "echo") && (v = json_object_get(conn->call, "params"))) {
		json_object_set(answer, "result", v);
	} else if ((v = json_object_get(action, "result"))) {
		json_object_set(answer, "result", v);
	} else {
		json_object_set_new(answer, "result", json_string("0x1"));
	}
	if (is_true(action, "id_last"))
		json_object_set_new(answer, "id", id ? json_incref(id) : json_null());
	body = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (text(action, "after", NULL)) {
		char *more = xasprintf("%s%s", body, text(action, "after", NULL));

		free(body);
		body = more;
	}
	return body;
}

static void answer_put(struct conn *conn, const char *body, size_t n)
{
	json_t *action = conn->action;
	struct buf *out = &conn->answer;
	bool chunked = is_true(action, "chunked");
	const char *name;
	json_t *value;

	buf_putf(out, "HTTP/1.1 %ld Scripted\r\nContent-Type: %s\r\n",
		 number(action, "status", 200), text(action, "type", "application/json"));
	json_object_foreach(json_object_get(action, "headers"), name, value)
		buf_putf(out, "%s: %s\r\n", name, json_string_value(value));
	if (!chunked) {
		buf_putf(out, "Content-Length: %zu\r\n\r\n", n);
		buf_put(out, body, n);
		return;
	}
	buf_putf(out, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
	buf_put(out, body, n);
	buf_put_str(out, "\r\n0\r\n\r\n");
}

static void conn_send(struct conn *conn)
{
	long drip_ms = number(conn->action, "drip_ms", 0);
	size_t step = (size_t)number(conn->action, "drip_bytes", DRIP_BYTES);
	size_t n = conn->answer.n - conn->sent;

	if (drip_ms > 0)
		n = MIN(n, step);
	bufferevent_write(conn->bev, conn->answer.p + conn->sent, n);
	conn->sent += n;
	if (conn->sent < conn->answer.n)
		conn_wait(conn, drip_ms);
}

/* A result of `long` bytes, which is never in memory: the block of LONG_BLOCK bytes again and
 * again. */
static void long_begin(struct conn *conn, uint64_t size)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"result\":\"";
	static const char head_id[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"";
	bool last = is_true(conn->action, "id_last");
	const char *begin = last ? head : head_id, *cut = text(conn->action, "cut", "");

	conn->tail = last ? "\",\"id\":1}" : "\"}";
	conn->fill_at = 0;
	conn->fill_end = size;
	conn->answer.n = conn->sent = 0;
	buf_putf(&conn->answer,
		 "HTTP/1.1 200 Scripted\r\nContent-Type: application/json\r\n"
		 "Content-Length: %llu\r\n\r\n%s",
		 (unsigned long long)(strlen(begin) + size + strlen(conn->tail)), begin);
	conn->close_after = cut[0] != '\0';
	if (conn->close_after) {
		conn->fill_end = size / 2;
		conn->tail = "";
	}
	conn_send(conn);
}

static void long_more(struct conn *conn)
{
	static uint8_t block[LONG_BLOCK];
	size_t from = (size_t)(conn->fill_at % LONG_BLOCK);
	size_t n = (size_t)MIN(conn->fill_end - conn->fill_at, (uint64_t)(LONG_BLOCK - from));

	for (size_t i = 0; conn->fill_at == 0 && i < LONG_BLOCK; i++)
		block[i] = (uint8_t) "0123456789abcdef"[(i * 7 + i / 256) % 16];
	conn->fill_at += n;
	bufferevent_write(conn->bev, block + from, n);
	if (conn->fill_at < conn->fill_end)
		return;
	conn->fill_end = 0;
	if (conn->tail[0])
		bufferevent_write(conn->bev, conn->tail, strlen(conn->tail));
}

static void conn_answer(struct conn *conn)
{
	long long_bytes = number(conn->action, "long", -1);
	const char *cut = text(conn->action, "cut", ""), *raw = text(conn->action, "body", NULL);
	const char *wire = text(conn->action, "raw", NULL);
	char *body;

	if (long_bytes >= 0) {
		long_begin(conn, (uint64_t)long_bytes);
		return;
	}
	body = raw ? NULL : rpc_body(conn);
	if (strcmp(cut, "before") == 0 || strcmp(cut, "reset") == 0) {
		free(body);
		if (cut[0] == 'r')
			conn_reset(conn);
		else
			conn_destroy(conn);
		return;
	}
	conn->answer.n = conn->sent = 0;
	if (wire)
		buf_put_str(&conn->answer, wire);
	else
		answer_put(conn, raw ? raw : body, strlen(raw ? raw : body));
	free(body);
	conn->close_after = cut[0] != '\0';
	if (strcmp(cut, "half") == 0)
		conn->answer.n -= conn->answer.n > 40 ? 20 : conn->answer.n / 2;
	conn_send(conn);
}

static void conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	if (conn->sent < conn->answer.n)
		conn_send(conn);
	else
		conn_answer(conn);
}

static void conn_on_written(struct bufferevent *bev, void *arg)
{
	struct conn *conn = arg;

	if (conn->fill_end > 0) {
		long_more(conn);
		return;
	}
	if (!conn->busy || conn->sent < conn->answer.n || conn->answer.n == 0)
		return;
	if (conn->close_after) {
		conn_destroy(conn);
		return;
	}
	conn->answer.n = conn->sent = 0;
	conn->busy = false;
	conn_count(conn, false);
	conn_on_read(bev, conn);
}

/* --- what is asked --- */

static void drop_others(struct faultnode *node, struct conn *keep)
{
	struct conn *conn, *next;

	for (conn = LIST_FIRST(&node->conns); conn; conn = next) {
		next = LIST_NEXT(conn, link);
		if (conn != keep)
			conn_destroy(conn);
	}
}

static void release(struct faultnode *node)
{
	struct conn *conn;

	LIST_FOREACH (conn, &node->conns, link) {
		if (conn->held)
			conn_wait(conn, 0);
		conn->held = false;
	}
}

static void admin(struct conn *conn, bool put, const char *body, size_t n)
{
	struct faultnode *node = conn->node;
	char *shown;
	json_t *stats, *script;

	if (put && (script = json_loadb(body, n, 0, NULL))) {
		json_decref(node->script);
		node->script = script;
		if (is_true(script, "drop"))
			drop_others(node, conn);
		release(node);
	}
	stats = json_pack("{s:i,s:i,s:i,s:i,s:O,s:s%}", "connections", (int)node->stats.connections,
			  "open", (int)node->stats.open, "requests", (int)node->stats.requests,
			  "most", (int)node->stats.most, "methods", node->methods, "last",
			  node->last.n ? (const char *)node->last.p : "", (int)node->last.n);
	shown = json_dumps(stats, JSON_COMPACT);
	conn->action = json_object();
	answer_put(conn, shown, strlen(shown));
	conn_send(conn);
	free(shown);
	json_decref(stats);
}

static void conn_serve(struct conn *conn, const char *body, size_t n)
{
	struct faultnode *node = conn->node;
	const char *method;
	long delay;

	conn->call = json_loadb(body, n, 0, NULL);
	if (!is_probe(conn->call)) {
		node->stats.requests++;
		conn_count(conn, true);
		node->last.n = 0;
		buf_put(&node->last, body, n);
	}
	method = json_string_value(json_object_get(conn->call, "method"));
	if (method)
		json_object_set_new(node->methods, method,
				    json_integer(number(node->methods, method, 0) + 1));
	conn->action = action_pick(node, conn->call, VIEW(body, n));
	conn->held = is_true(conn->action, "hold");
	if (conn->held || is_true(conn->action, "hang"))
		return;
	delay = number(conn->action, "delay_ms", 0);
	if (delay > 0)
		conn_wait(conn, delay);
	else
		conn_answer(conn);
}

static size_t content_length(const char *head)
{
	const char *p = strcasestr(head, "\r\ncontent-length:");

	return p ? strtoul(p + 17, NULL, 10) : 0;
}

static void conn_on_read(struct bufferevent *bev, void *arg)
{
	struct conn *conn = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t head_n, n;
	bool is_admin, put;
	char *head;

	if (conn->busy || (end.pos < 0 && evbuffer_get_length(in) < HEADER_MAX))
		return;
	if (end.pos < 0) {
		conn_destroy(conn);
		return;
	}
	head_n = (size_t)end.pos + 4;
	head = xstrndup((const char *)evbuffer_pullup(in, (ev_ssize_t)head_n), head_n);
	n = content_length(head);
	put = strncmp(head, "PUT /script ", 12) == 0;
	is_admin = put || strncmp(head, "GET /stats ", 11) == 0;
	free(head);
	if (evbuffer_get_length(in) < head_n + n)
		return;
	conn->busy = true;
	json_decref(conn->action);
	json_decref(conn->call);
	conn->action = conn->call = NULL;
	evbuffer_drain(in, head_n);
	head = xcalloc(1, n + 1);
	evbuffer_remove(in, head, n);
	if (is_admin)
		admin(conn, put, head, n);
	else
		conn_serve(conn, head, n);
	free(head);
}

static void conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_destroy(arg);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		      int len, void *arg)
{
	struct faultnode *node = arg;
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->node = node;
	conn->bev = bufferevent_socket_new(node->base, fd, BEV_OPT_CLOSE_ON_FREE);
	conn->timer = evtimer_new(node->base, conn_on_timer, conn);
	LIST_INSERT_HEAD(&node->conns, conn, link);
	node->stats.connections++;
	node->stats.open++;
	bufferevent_setcb(conn->bev, conn_on_read, conn_on_written, conn_on_event, conn);
	bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

bool faultnode_create(struct event_base *base, uint16_t port, struct faultnode **ret,
		      struct err *err)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct faultnode *node = xcalloc(1, sizeof(*node));
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	node->base = base;
	LIST_INIT(&node->conns);
	node->listener = evconnlistener_new_bind(base, on_accept, node,
						 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 128,
						 (struct sockaddr *)&addr, sizeof(addr));
	if (!node->listener) {
		free(node);
		return err_set(err, ERR_IO, "cannot listen on 127.0.0.1:%u", port);
	}
	getsockname(evconnlistener_get_fd(node->listener), (struct sockaddr *)&addr, &len);
	node->port = ntohs(addr.sin_port);
	node->script = json_object();
	node->methods = json_object();
	*ret = node;
	return true;
}

void faultnode_drop(struct faultnode *node)
{
	while (!LIST_EMPTY(&node->conns))
		conn_destroy(LIST_FIRST(&node->conns));
}

void faultnode_destroy(struct faultnode *node)
{
	if (!node)
		return;
	faultnode_drop(node);
	evconnlistener_free(node->listener);
	json_decref(node->script);
	json_decref(node->methods);
	buf_finish(&node->last);
	free(node);
}

bool faultnode_script(struct faultnode *node, const char *json, struct err *err)
{
	json_error_t why;
	json_t *script = json_loads(json, 0, &why);

	if (!script)
		return err_set(err, ERR_FORMAT, "script: %s", why.text);
	json_decref(node->script);
	node->script = script;
	return true;
}

uint16_t faultnode_port(const struct faultnode *node)
{
	return node->port;
}

const struct faultnode_stats *faultnode_stats(const struct faultnode *node)
{
	return &node->stats;
}

struct view faultnode_last(const struct faultnode *node)
{
	return buf_view(&node->last);
}
