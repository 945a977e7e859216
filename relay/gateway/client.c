/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/client.h"

#include <assert.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/gateway/door_private.h"

/* What evhttp keeps for each piece that it takes out of the input, the piece itself apart: a line
 * of a head is two, and costs three allocations. */
#define TAKEN_BYTES 32
/* Bytes of a head that are parsed in one go, so that a burst of long ones does not hold up the
 * loop; what is beyond the longest head is body, and that is read in larger pieces. */
#define HEAD_READ_BYTES 4096
#define BODY_READ_BYTES 16384
#define TOLD_BYTES 65536 /* see count_answer() */

const char *client_end_name(enum client_end end)
{
	static const char *const names[CLIENT_END_COUNT] = {
		[CLIENT_DONE] = "done",
		[CLIENT_LEFT] = "left",
		[CLIENT_IDLE] = "idle",
		[CLIENT_SLOW] = "slow",
		[CLIENT_TLS] = "tls",
		[CLIENT_BAD_REQUEST] = "bad_request",
		[CLIENT_HEAD_TOO_LARGE] = "head_too_large",
		[CLIENT_BODY_REFUSED] = "body_refused",
		[CLIENT_NOT_READING] = "not_reading",
		[CLIENT_PER_ADDRESS] = "per_address",
		[CLIENT_CROWDED] = "crowded",
		[CLIENT_REQUEST_BYTES] = "request_bytes",
		[CLIENT_ANSWER_BYTES] = "answer_bytes",
		[CLIENT_BROKEN_OFF] = "broken_off",
		[CLIENT_SHUTDOWN] = "shutdown",
	};

	assert(end < CLIENT_END_COUNT);
	return names[end];
}

/* --- phases --- */

static struct client_list *list_of(const struct client *c)
{
	switch (c->phase) {
	case CLIENT_PHASE_IDLE:
		return &c->door->idle;
	case CLIENT_PHASE_READING:
		return &c->door->reading;
	case CLIENT_PHASE_SERVING:
		return NULL;
	}
	return NULL;
}

static void leave_phase(struct client *c)
{
	struct client_list *list = list_of(c);

	if (list)
		TAILQ_REMOVE(list, c, entry);
}

static void enter_phase(struct client *c, enum client_phase phase)
{
	struct client_list *list;

	c->phase = phase;
	c->phase_us = clock_mono_us();
	list = list_of(c);
	if (list)
		TAILQ_INSERT_TAIL(list, c, entry);
}

static void set_phase(struct client *c, enum client_phase phase)
{
	leave_phase(c);
	enter_phase(c, phase);
}

/* How much of what the client sends is taken before somebody has taken it out of the input. */
static void read_at_most(struct client *c, size_t bytes)
{
	bufferevent_setwatermark(c->bev, EV_READ, 0, bytes);
}

static void set_in_body(struct client *c, bool in_body)
{
	c->in_body = in_body;
	bufferevent_set_max_single_read(c->bev, in_body ? BODY_READ_BYTES : HEAD_READ_BYTES);
}

/* --- memory --- */

static void charge_request(struct client *c)
{
	size_t now = c->held > CLIENT_FREE_BYTES ? c->held - CLIENT_FREE_BYTES : 0;

	if (now > c->charged)
		atomic_fetch_add(&c->door->house->request_bytes, now - c->charged);
	else if (now < c->charged)
		atomic_fetch_sub(&c->door->house->request_bytes, c->charged - now);
	c->charged = now;
}

/* Counts bytes of answers that wait, or wait no more.  Most go at once: what the house is told is
 * true to within TOLD_BYTES a worker, so that workers do not fight for its counter at each answer.
 */
static void count_answer(struct door *door, ssize_t change)
{
	ssize_t untold;

	door->answer_bytes += change;
	untold = door->answer_bytes - door->answer_told;
	if (untold > -TOLD_BYTES && untold < TOLD_BYTES && door->answer_bytes > 0)
		return;
	if (untold != 0)
		atomic_fetch_add(&door->house->answer_bytes, untold);
	door->answer_told = door->answer_bytes;
}

/* Gives back all that it was charged for. */
static void uncharge(struct client *c)
{
	atomic_fetch_sub(&c->door->house->request_bytes, c->charged);
	count_answer(c->door, -(ssize_t)c->waiting);
	if (c->waiting > 0)
		TAILQ_REMOVE(&c->door->sending, c, sender);
	c->charged = c->waiting = 0;
}

/* A connection must not be freed while one of its buffers is being changed: it ends a moment
 * later.  Its bytes do not count any more. */
static void end_soon(struct client *c, enum client_end end)
{
	if (c->ending)
		return;
	uncharge(c);
	c->ending = c->has_end = true;
	c->end = end;
	TAILQ_INSERT_TAIL(&c->door->ending, c, ending_entry);
	event_active(c->door->end, EV_TIMEOUT, 0);
}

/* Too many bytes of requests: the one that has been about it longest goes, which is not a client
 * that sends as fast as it can. */
static void make_room_for_request(struct client *c)
{
	struct client *other;

	TAILQ_FOREACH (other, &c->door->reading, entry) {
		if (other->charged > 0) {
			end_soon(other, CLIENT_REQUEST_BYTES);
			return;
		}
	}
	end_soon(c, CLIENT_REQUEST_BYTES);
}

/* Too many bytes of answers: the one that has not read for longest goes. */
static void make_room_for_answer(struct door *door)
{
	struct client *c, *victim = NULL;

	if (atomic_load(&door->house->answer_bytes) <=
	    (ssize_t)door->house->limits.answer_bytes_max)
		return;
	TAILQ_FOREACH (c, &door->sending, sender) {
		if (!victim || c->stalled_us < victim->stalled_us)
			victim = c;
	}
	assert(victim);
	end_soon(victim, CLIENT_ANSWER_BYTES);
}

/* --- what comes in --- */

static void begin_head(struct client *c)
{
	c->head_over = false;
	c->lines = c->in_line = 0;
}

/* A line of one byte is a CR, or none that evhttp takes. */
static void count_lines(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		const char *end = memchr(p, '\n', n);
		size_t length = end ? (size_t)(end - p) : n;

		c->in_line += length;
		if (!end)
			return;
		c->head_over = c->in_line <= 1 && c->lines > 0;
		if (c->head_over)
			return;
		c->lines += c->in_line > 1;
		c->in_line = 0;
		p += length + 1;
		n -= length + 1;
	}
}

/* Counts the lines of the head in the last n bytes of the input, before evhttp takes them apart: of
 * each it makes three allocations, which no other bytes cost.  True: there are too many, and evhttp
 * gets none of them. */
static bool has_too_many_lines(struct client *c, struct evbuffer *in, size_t n)
{
	struct evbuffer_iovec parts[4];
	struct evbuffer_ptr from;
	int count;

	if (c->head_over || n == 0 ||
	    evbuffer_ptr_set(in, &from, evbuffer_get_length(in) - n, EVBUFFER_PTR_SET) != 0)
		return false;
	count = evbuffer_peek(in, (ssize_t)n, &from, parts, ARRAY_SIZE(parts));
	for (int i = 0; i < MIN(count, (int)ARRAY_SIZE(parts)) && !c->head_over; i++)
		count_lines(c, parts[i].iov_base, MIN(parts[i].iov_len, n));
	if (c->lines <= c->door->house->limits.head_lines_max)
		return false;
	end_soon(c, CLIENT_HEAD_TOO_LARGE);
	evbuffer_drain(in, evbuffer_get_length(in));
	return true;
}

static void begin_request(struct client *c, struct evbuffer *in)
{
	unsigned char first = 0;

	set_phase(c, CLIENT_PHASE_READING);
	begin_head(c);
	evbuffer_copyout(in, &first, 1);
	if (first == 0x16) /* a TLS handshake record: no HTTP method begins like that */
		end_soon(c, CLIENT_TLS);
}

/* A request that came whole and can be answered at once is taken out of the input before evhttp
 * looks there.  It waits for the beginning of a request and finds none. */
static bool answer_at_once(struct client *c, struct evbuffer *in)
{
	struct evbuffer_iovec all;
	size_t n = evbuffer_get_length(in);

	if (!c->hot || !c->door->shortcut || evbuffer_peek(in, -1, NULL, &all, 1) != 1 ||
	    all.iov_len != n || evbuffer_get_length(bufferevent_get_output(c->bev)) > 0)
		return false;
	c->hot = c->door->shortcut(c->door->shortcut_arg, c, VIEW(all.iov_base, n));
	if (!c->hot)
		return false;
	c->taking = true;
	evbuffer_drain(in, n);
	c->taking = false;
	if (!c->ending)
		set_phase(c, CLIENT_PHASE_IDLE); /* from now on */
	return true;
}

void client_set_hot(struct client *c, bool hot)
{
	c->hot = hot;
}

/* What the socket takes when it is empty; 0: it is not. */
static size_t room_of(const struct client *c)
{
	int fd = bufferevent_getfd(c->bev), unread, bytes;
	socklen_t size = sizeof(bytes);

	if (ioctl(fd, SIOCOUTQ, &unread) != 0 || unread > 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size) != 0)
		return 0;
	return (size_t)bytes / 2; /* the kernel's own overhead counts, too */
}

bool client_send(struct client *c, const struct iovec *parts, size_t count)
{
	const struct msghdr msg = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
	size_t total = 0;
	ssize_t sent;

	for (size_t i = 0; i < count; i++)
		total += parts[i].iov_len;
	if (total > c->room)
		c->room = room_of(c);
	if (total > c->room)
		return false;
	sent = sendmsg(bufferevent_getfd(c->bev), &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return false;	  /* evhttp will find out why */
	c->room -= total;	  /* as if none of it were ever read */
	if ((size_t)sent < total) /* the kernel is out of memory for it */
		end_soon(c, CLIENT_NOT_READING);
	return true;
}

static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;

	if (c->ending || c->taking)
		return;
	if (info->n_added > 0 && c->phase == CLIENT_PHASE_IDLE && answer_at_once(c, in))
		return;
	if (info->n_added > 0 && c->phase == CLIENT_PHASE_IDLE)
		begin_request(c, in);
	if (c->ending ||
	    (c->phase == CLIENT_PHASE_READING && has_too_many_lines(c, in, info->n_added)))
		return;
	c->parsed += info->n_deleted;
	c->held += info->n_added;
	if (!c->in_body && c->held > c->door->house->limits.head_max)
		set_in_body(c, true);
	if (info->n_deleted > 0 && c->phase == CLIENT_PHASE_READING)
		c->held += TAKEN_BYTES;
	charge_request(c);
	if (c->phase == CLIENT_PHASE_READING && c->charged > 0 &&
	    atomic_load(&c->door->house->request_bytes) > c->door->house->limits.request_bytes_max)
		make_room_for_request(c);
}

/* --- what goes out --- */

/* A head over the limit is answered 400 by evhttp, like all others that it does not like. */
static bool is_head_too_large(const struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t max = c->door->house->limits.head_max;

	if (c->parsed > max)
		return true;
	return c->parsed + evbuffer_get_length(in) > max &&
	       evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_CRLF).pos < 0;
}

/* The status of an answer whose first line begins at an offset; 0 when it is not there.  The output
 * may be frozen, so that only peeking is allowed. */
static unsigned status_at(struct evbuffer *out, size_t at)
{
	char line[sizeof("HTTP/1.1 400") - 1];
	struct evbuffer_iovec parts[2];
	struct evbuffer_ptr from;
	size_t n = 0;
	int count;

	if (evbuffer_ptr_set(out, &from, at, EVBUFFER_PTR_SET) != 0)
		return 0;
	count = evbuffer_peek(out, sizeof(line), &from, parts, ARRAY_SIZE(parts));
	for (int i = 0; i < MIN(count, (int)ARRAY_SIZE(parts)); i++) {
		size_t part = MIN(parts[i].iov_len, sizeof(line) - n);

		memcpy(line + n, parts[i].iov_base, part);
		n += part;
	}
	if (n < sizeof(line))
		return 0;
	return (unsigned)((line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0');
}

/* evhttp answers by itself what it refuses, and the connection ends with it: its status line says
 * why. */
static void on_refusal(struct client *c, struct evbuffer *out, size_t at)
{
	unsigned status = status_at(out, at);

	if (status < 400)
		return; /* 100 Continue refuses nothing */
	c->has_end = true;
	c->end = CLIENT_BAD_REQUEST;
	if (status == HTTP_ENTITYTOOLARGE)
		c->end = CLIENT_BODY_REFUSED;
	else if (status == HTTP_BADREQUEST && is_head_too_large(c))
		c->end = CLIENT_HEAD_TOO_LARGE;
	set_phase(c, CLIENT_PHASE_SERVING);
	read_at_most(c, CLIENT_FREE_BYTES);
}

static void on_sent(struct client *c, size_t bytes)
{
	struct door *door = c->door;

	c->stalled_us = clock_mono_us();
	c->sent += bytes;
	c->waiting -= bytes;
	count_answer(door, -(ssize_t)bytes);
	if (c->waiting == 0)
		TAILQ_REMOVE(&door->sending, c, sender);
}

static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;
	struct door *door = c->door;

	if (c->ending)
		return;
	if (info->n_deleted > 0 && c->waiting > 0)
		on_sent(c, MIN(info->n_deleted, c->waiting));
	if (info->n_added == 0)
		return;
	if (c->waiting == 0) {
		c->moved_us = c->stalled_us = clock_mono_us();
		c->sent = 0;
		TAILQ_INSERT_TAIL(&door->sending, c, sender);
	}
	c->waiting += info->n_added;
	if (c->phase == CLIENT_PHASE_READING)
		on_refusal(c, out, info->orig_size - info->n_deleted);
	count_answer(door, (ssize_t)info->n_added);
	if (door->answer_bytes >= TOLD_BYTES)
		make_room_for_answer(door);
}

/* --- requests --- */

/* evhttp has sent the answer and waits for the next request. */
static void on_answered(struct evhttp_request *http, void *arg)
{
	struct client *c = arg;

	if (c->ending)
		return;
	c->held = evbuffer_get_length(bufferevent_get_input(c->bev));
	c->parsed = 0;
	if (c->in_body)
		set_in_body(c, false);
	charge_request(c);
	set_phase(c, c->held > 0 ? CLIENT_PHASE_READING : CLIENT_PHASE_IDLE);
	read_at_most(c, c->door->house->limits.request_max);
	begin_head(c);
	has_too_many_lines(c, bufferevent_get_input(c->bev), c->held);
}

void client_serve(struct client *c, struct evhttp_request *http)
{
	assert(c->phase != CLIENT_PHASE_SERVING);
	set_phase(c, CLIENT_PHASE_SERVING);
	c->room = 0; /* evhttp will fill it */
	read_at_most(c, CLIENT_FREE_BYTES);
	evhttp_request_set_on_complete_cb(http, on_answered, c);
}

void client_on_gone(struct client *c, void (*on_gone)(void *arg), void *arg)
{
	c->on_gone = on_gone;
	c->arg = arg;
}

bool client_take_calls(struct client *c, size_t n)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;

	assert(c->calls == 0);
	if (source_take_calls(c->source, n, c->door->house->limits.calls_per_address_max)) {
		c->calls = n;
		return true;
	}
	if (log_every(&gate, 1000000, &more))
		log_warn("gateway.overload", "limit=in_flight_per_address_max more=%llu",
			 (unsigned long long)more);
	return false;
}

void client_give_calls(struct client *c)
{
	source_give_calls(c->source, c->calls);
	c->calls = 0;
}

/* --- the end --- */

/* Strangers can cause these, so each reason is logged once a second. */
static void note_end(enum client_end end)
{
	static _Thread_local struct log_gate gates[CLIENT_END_COUNT];
	uint64_t more;

	metric_add_at(METRIC_GATEWAY_CLIENTS_ENDED, end, 0, 1);
	if (end == CLIENT_DONE || end == CLIENT_LEFT || end == CLIENT_SHUTDOWN)
		return;
	if (log_every(&gates[end], 1000000, &more))
		log_line(end == CLIENT_IDLE || end == CLIENT_CROWDED ? LOG_LEVEL_INFO
								     : LOG_LEVEL_WARN,
			 "gateway.client_ended", "reason=%s more=%llu", client_end_name(end),
			 (unsigned long long)more);
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct client *c = arg;
	struct door *door = c->door;

	if (c->on_gone)
		c->on_gone(c->arg);
	assert(c->calls == 0);
	note_end(c->has_end ? c->end : c->phase == CLIENT_PHASE_IDLE ? CLIENT_DONE : CLIENT_LEFT);
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	evbuffer_remove_cb(bufferevent_get_output(c->bev), on_output, c);
	uncharge(c);
	leave_phase(c);
	if (c->ending)
		TAILQ_REMOVE(&door->ending, c, ending_entry);
	HASH_DELETE(hh, door->clients, c);
	if (c->source)
		sources_leave(door->house->sources, c->source);
	free(c);
	door_on_left(door);
}

struct client *client_create(struct door *door, struct bufferevent *bev,
			     struct evhttp_connection *connection, struct source *source)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->door = door;
	c->bev = bev;
	c->connection = connection;
	c->source = source;
	enter_phase(c, CLIENT_PHASE_IDLE);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the key is the pointer */
	HASH_ADD(hh, door->clients, bev, sizeof(c->bev), c);
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	evbuffer_add_cb(bufferevent_get_output(bev), on_output, c);
	evhttp_connection_set_closecb(connection, on_closed, c);
	read_at_most(c, door->house->limits.request_max);
	set_in_body(c, false);
	return c;
}

static const char *last_words(enum client_end end)
{
	switch ((int)end) {
	case CLIENT_SLOW:
		return "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
		       "Content-Length: 0\r\n\r\n";
	case CLIENT_PER_ADDRESS:
		return "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n"
		       "Content-Length: 0\r\n\r\n";
	case CLIENT_HEAD_TOO_LARGE:
		return "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
		       "Content-Length: 0\r\n\r\n";
	case CLIENT_REQUEST_BYTES:
		return "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
		       "Content-Length: 0\r\n\r\n";
	default:
		return NULL;
	}
}

void client_close(struct client *c, enum client_end end)
{
	const char *words = c->phase == CLIENT_PHASE_SERVING ? NULL : last_words(end);

	if (!c->has_end) {
		c->has_end = true;
		c->end = end;
	}
	if (words && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		/* it is said as far as it goes at once, or not at all */
		(void)!send(bufferevent_getfd(c->bev), words, strlen(words),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	evhttp_connection_free(c->connection); /* which calls on_closed() */
}
