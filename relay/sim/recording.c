/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/sim/recording.h"

#include <stdlib.h>
#include <string.h>

#include "relay/base/mem.h"

#define HEAD "counterfoil-recording 1\n"
#define LINE_MAX_BYTES 1024

/* Fields: u a number, k 64 hex digits, w a word. */
static const struct kind {
	const char *name;
	const char *fields;
	bool payload;
} kinds[ENTRY_KINDS] = {
	[ENTRY_TICK] = {"tick", "", false},
	[ENTRY_ALARM] = {"alarm", "", false},
	[ENTRY_CUT] = {"cut", "", false},
	[ENTRY_KICK] = {"kick", "", false},
	[ENTRY_END] = {"end", "", false},
	[ENTRY_ACCOUNT] = {"account", "wk", false},
	[ENTRY_REQUEST] = {"request", "uwkuuu", true},
	[ENTRY_GONE] = {"gone", "u", false},
	[ENTRY_UP] = {"up", "ukuuu", false},
	[ENTRY_DOWN] = {"down", "uuw", true},
	[ENTRY_FAULT] = {"fault", "u", false},
	[ENTRY_FRAME] = {"frame", "uuuu", true},
	[ENTRY_LEAF] = {"leaf", "uuuuu", true},
	[ENTRY_COMMITTED] = {"committed", "uuw", true},
	[ENTRY_VIEW] = {"view", "", true},
	[ENTRY_REPORT] = {"report", "", false},
	[ENTRY_OWED] = {"owed", "", true},
	[ENTRY_FULL] = {"full", "", false},
	[ENTRY_NO_ROOM] = {"noroom", "kw", false},
	[ENTRY_STALLED] = {"stalled", "u", false},
	[ENTRY_NAMED] = {"named", "uuk", false},
	[ENTRY_SENT] = {"sent", "uukww", false},
	[ENTRY_RETRY] = {"retry", "w", false},
	[ENTRY_HEDGE] = {"hedge", "uu", false},
	[ENTRY_ASIDE] = {"aside", "uuw", false},
	[ENTRY_ANSWER] = {"answer", "uuwwww", false},
	[ENTRY_BROKEN] = {"broken", "uw", false},
	[ENTRY_GATEWAY] = {"gateway", "k", false},
	[ENTRY_SEED] = {"seed", "k", false},
	[ENTRY_REGISTRY_KEY] = {"registry-key", "k", false},
	[ENTRY_CLOCK] = {"clock", "uu", false},
	[ENTRY_CONFIG] = {"config", "", true},
};

const char *entry_kind_name(enum entry_kind kind)
{
	return kinds[kind].name;
}

/* The next word of a line; false at its end. */
static bool next_word(struct view *line, struct view *ret)
{
	const uint8_t *space;

	if (line->n == 0)
		return false;
	space = memchr(line->p, ' ', line->n);
	*ret = VIEW(line->p, space ? (size_t)(space - line->p) : line->n);
	*line = space ? VIEW(space + 1, line->n - ret->n - 1) : VIEW(NULL, 0);
	return true;
}

static bool read_number(struct view word, uint64_t *ret)
{
	return u64_parse((const char *)word.p, word.n, ret) && *ret <= INT64_MAX;
}

/* Wall clocks are set back now and then. */
static bool read_signed(struct view word, int64_t *ret)
{
	bool negative = word.n > 0 && word.p[0] == '-';
	uint64_t n;

	if (negative)
		word = VIEW(word.p + 1, word.n - 1);
	if (!read_number(word, &n))
		return false;
	*ret = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool read_kind(struct view word, enum entry_kind *ret)
{
	for (unsigned k = 0; k < ENTRY_KINDS; k++) {
		if (view_eq(word, VIEW_STR(kinds[k].name))) {
			*ret = (enum entry_kind)k;
			return true;
		}
	}
	return false;
}

static bool read_field(char type, struct view word, size_t i, struct entry *ret)
{
	ret->word[i] = word;
	if (type == 'u')
		return read_number(word, &ret->number[i]);
	return type == 'w' || hex_decode((const char *)word.p, word.n, ret->key, sizeof(ret->key));
}

/* All of a line but its newline. */
static bool read_line(struct view line, struct entry *ret, uint64_t *ret_payload)
{
	const struct kind *kind;
	struct view word;
	uint64_t at;

	if (!next_word(&line, &word) || !read_kind(word, &ret->kind))
		return false;
	kind = &kinds[ret->kind];
	if (ret->kind < ENTRY_INPUTS) {
		if (!next_word(&line, &word) || !read_number(word, &at) ||
		    !next_word(&line, &word) || !read_signed(word, &ret->wall_ms))
			return false;
		ret->at_us = (usec_t)at;
	}
	for (size_t i = 0; kind->fields[i] != '\0'; i++) {
		if (!next_word(&line, &word) || !read_field(kind->fields[i], word, i, ret))
			return false;
	}
	if (kind->payload && (!next_word(&line, &word) || !read_number(word, ret_payload)))
		return false;
	return line.n == 0;
}

bool entry_read(struct view in, struct entry *ret, size_t *ret_used, struct err *err)
{
	const uint8_t *newline = memchr(in.p, '\n', MIN(in.n, (size_t)LINE_MAX_BYTES));
	uint64_t payload = UINT64_MAX;
	size_t line, used;

	*ret_used = 0;
	if (!newline)
		return in.n < LINE_MAX_BYTES || err_set(err, ERR_FORMAT, "a line is too long");
	line = (size_t)(newline - in.p);
	if (!read_line(VIEW(in.p, line), ret, &payload))
		return err_set(err, ERR_FORMAT, "\"%.*s\" is no entry", (int)MIN(line, (size_t)64),
			       (const char *)in.p);
	used = line + 1;
	ret->payload = VIEW(NULL, 0);
	if (payload != UINT64_MAX) {
		if (payload >= in.n - used)
			return true; /* it breaks off */
		ret->payload = VIEW(in.p + used, (size_t)payload);
		used += (size_t)payload + 1;
		if (in.p[used - 1] != '\n')
			return err_set(err, ERR_FORMAT, "an entry is longer than it says");
	}
	ret->text = VIEW(in.p, used);
	*ret_used = used;
	return true;
}

/* --- the whole --- */

static void take_head(struct recording *r, const struct entry *e)
{
	switch ((int)e->kind) {
	case ENTRY_GATEWAY:
		memcpy(r->gateway.b, e->key, sizeof(r->gateway.b));
		break;
	case ENTRY_SEED:
		memcpy(r->seed.b, e->key, sizeof(r->seed.b));
		break;
	case ENTRY_REGISTRY_KEY:
		memcpy(r->registry_key.b, e->key, sizeof(r->registry_key.b));
		break;
	case ENTRY_CLOCK:
		r->mono_us = (usec_t)e->number[0];
		r->wall_ms = (msec_t)e->number[1];
		break;
	case ENTRY_CONFIG:
		r->config = e->payload;
		break;
	default:
		break;
	}
}

/* The head is there, in its order, with the first view below it. */
static bool check_head(const struct recording *r, struct err *err)
{
	static const enum entry_kind head[] = {ENTRY_GATEWAY, ENTRY_SEED,   ENTRY_REGISTRY_KEY,
					       ENTRY_CLOCK,   ENTRY_CONFIG, ENTRY_VIEW};

	for (size_t i = 0; i < ARRAY_SIZE(head); i++) {
		if (i >= r->n || r->entries[i].kind != head[i])
			return err_set(err, ERR_FORMAT, "there is no %s where the head has it",
				       kinds[head[i]].name);
	}
	return true;
}

/* Times do not go backwards, and what was done stands below an input. */
static bool check_order(const struct recording *r, const struct entry *e, usec_t now,
			struct err *err)
{
	if (e->kind < ENTRY_INPUTS && e->at_us < now)
		return err_set(err, ERR_FORMAT, "time goes backwards");
	if (e->kind >= ENTRY_GATEWAY && r->n >= r->head)
		return err_set(err, ERR_FORMAT, "a second head");
	return !r->ended || err_set(err, ERR_FORMAT, "something comes after the end");
}

static bool read_entries(struct view in, struct recording *r, struct err *err)
{
	struct entry e = {.kind = ENTRY_TICK};
	size_t cap = 0, used;

	for (; in.n > 0; in = VIEW(in.p + used, in.n - used)) {
		usec_t now = e.at_us;

		if (!entry_read(in, &e, &used, err))
			return false;
		if (used == 0)
			return true;
		if (!check_order(r, &e, now, err))
			return false;
		if (r->n == cap) {
			cap = cap ? 2 * cap : 1024;
			r->entries = xrealloc(r->entries, cap * sizeof(r->entries[0]));
		}
		r->entries[r->n++] = e;
		take_head(r, &e);
		r->ended = e.kind == ENTRY_END;
	}
	return true;
}

bool recording_read(struct view bytes, struct recording *ret, struct err *err)
{
	struct recording r = {.head = 5};

	if (bytes.n < strlen(HEAD) || memcmp(bytes.p, HEAD, strlen(HEAD)) != 0)
		return err_set(err, ERR_FORMAT, "not a recording of version 1");
	bytes = VIEW(bytes.p + strlen(HEAD), bytes.n - strlen(HEAD));
	if (!read_entries(bytes, &r, err) || !check_head(&r, err)) {
		size_t n = r.n;

		recording_finish(&r);
		return err_prefix(err, "entry %zu", n + 1);
	}
	*ret = r;
	return true;
}

void recording_finish(struct recording *r)
{
	free(r->entries);
	*r = (struct recording){.n = 0};
}
