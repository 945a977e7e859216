/* SPDX-License-Identifier: Apache-2.0
 * Questions of a recording, and what came of each. */
#include "relay/sim/sim.h"

#define WHAT_DIGEST 16 /* bytes of a digest in `sent` */

/* A question by its place on its link, to find what came of it. */
struct place {
	struct {
		uint64_t link;
		uint32_t stream;
		uint32_t is_session;
	} key;
	struct told *told;
	UT_hash_handle hh;
};

/* Those with the same question, in order; or, with no supplier, with the same `what`. */
struct same {
	struct question question;
	struct told *first, *last;
	struct told *next; /* that was not used yet; NULL: all were */
	UT_hash_handle hh;
};

struct link_key {
	uint64_t link;
	struct key_id supplier;
	UT_hash_handle hh;
};

struct told_table {
	struct place *places;
	struct same *questions;
	struct same *whats;
	struct link_key *links;
	struct told **v; /* all */
	size_t n, cap;
	bool *is_answer; /* of each entry of the recording */
};

void told_request(struct view encoding, uint8_t ret[32])
{
	struct hash digest;

	sha256(encoding.p, encoding.n, &digest);
	memset(ret, 0, 32);
	memcpy(ret, digest.b, WHAT_DIGEST);
}

/* --- building --- */

static struct same *same_of(struct same **table, const struct question *question)
{
	struct same *s;

	HASH_FIND(hh, *table, question, sizeof(*question), s);
	if (s)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->question = *question;
	HASH_ADD(hh, *table, question, sizeof(s->question), s);
	return s;
}

static void add_told(struct told_table *t, struct told *told)
{
	struct question nobodys = told->question;
	struct same *s = same_of(&t->questions, &told->question);

	if (s->last)
		s->last->next = told;
	else
		s->first = s->next = told;
	s->last = told;
	memset(&nobodys.supplier, 0, sizeof(nobodys.supplier));
	s = same_of(&t->whats, &nobodys);
	if (s->last)
		s->last->next_same = told;
	else
		s->first = told;
	s->last = told;
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 256;
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
		t->v = xrealloc(t->v, t->cap * sizeof(t->v[0]));
	}
	t->v[t->n++] = told;
}

static struct place *place_of(struct told_table *t, uint64_t link, uint64_t stream, bool is_session)
{
	struct place probe, *place;

	memset(&probe, 0, sizeof(probe));
	probe.key.link = link;
	probe.key.stream = (uint32_t)stream;
	probe.key.is_session = is_session;
	HASH_FIND(hh, t->places, &probe.key, sizeof(probe.key), place);
	return place;
}

static void take_question(struct told_table *t, const struct entry *e)
{
	bool is_session = e->kind == ENTRY_NAMED;
	struct place *place = xcalloc(1, sizeof(*place));
	struct told *told = xcalloc(1, sizeof(*told));
	struct link_key *link;

	place->key.link = e->number[0];
	place->key.stream = (uint32_t)e->number[1];
	place->key.is_session = is_session;
	place->told = told;
	HASH_ADD(hh, t->places, key, sizeof(place->key), place);
	told->at_us = e->at_us;
	HASH_FIND(hh, t->links, &e->number[0], sizeof(e->number[0]), link);
	if (link)
		told->question.supplier = link->supplier;
	if (is_session)
		memcpy(told->question.what, e->key, sizeof(e->key));
	else if (!hex_decode((const char *)e->word[4].p, e->word[4].n, told->question.what,
			     WHAT_DIGEST))
		memset(told->question.what, 0, sizeof(told->question.what)); /* nobody asks it */
	add_told(t, told);
}

/* False: it came of no question. */
static bool take_answer(struct told_table *t, const struct entry *e, uint64_t stream,
			bool is_session)
{
	struct place *place = place_of(t, e->number[0], stream, is_session);
	struct told *told = place ? place->told : NULL;

	if (!told)
		return false;
	if (told->n == told->cap) {
		told->cap = told->cap ? 2 * told->cap : 4;
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
		told->answers = xrealloc(told->answers, told->cap * sizeof(told->answers[0]));
	}
	told->answers[told->n++] = e;
	return true;
}

static void take_link(struct told_table *t, const struct entry *e)
{
	struct link_key *link;

	HASH_FIND(hh, t->links, &e->number[0], sizeof(e->number[0]), link);
	if (link)
		return;
	link = xcalloc(1, sizeof(*link));
	link->link = e->number[0];
	memcpy(link->supplier.b, e->key, sizeof(link->supplier.b));
	HASH_ADD(hh, t->links, link, sizeof(link->link), link);
}

/* An ERROR frame says first what it answers. */
static uint8_t error_of(const struct entry *e)
{
	return e->payload.n > 0 ? e->payload.p[0] : 0;
}

static bool take_frame(struct told_table *t, const struct entry *e)
{
	bool is_error = e->number[1] == FRAME_ERROR;
	bool is_session =
		e->number[1] == FRAME_SESSION_OK || (is_error && error_of(e) == FRAME_SESSION);

	if (!is_session && !(is_error && error_of(e) == FRAME_RELAY))
		return false;
	return take_answer(t, e, e->number[3], is_session);
}

static bool take_entry(struct told_table *t, const struct entry *e)
{
	switch ((int)e->kind) {
	case ENTRY_UP:
		take_link(t, e);
		return false;
	case ENTRY_NAMED:
	case ENTRY_SENT:
		take_question(t, e);
		return false;
	case ENTRY_FRAME:
		return take_frame(t, e);
	case ENTRY_LEAF:
	case ENTRY_COMMITTED:
		return take_answer(t, e, e->number[1], false);
	default:
		return false;
	}
}

bool told_is_answer(const struct told_table *t, size_t n)
{
	return t->is_answer[n];
}

struct told_table *told_table_create(const struct recording *recording)
{
	struct told_table *t = xcalloc(1, sizeof(*t));

	t->is_answer = xcalloc(recording->n, sizeof(t->is_answer[0]));
	for (size_t i = 0; i < recording->n; i++)
		t->is_answer[i] = take_entry(t, &recording->entries[i]);
	return t;
}

static void same_destroy(struct same **table)
{
	struct same *s, *tmp;

	HASH_ITER (hh, *table, s, tmp) {
		HASH_DEL(*table, s);
		free(s);
	}
}

void told_table_destroy(struct told_table *t)
{
	struct place *place, *tmp;
	struct link_key *link, *tmp_link;

	if (!t)
		return;
	HASH_ITER (hh, t->places, place, tmp) {
		HASH_DEL(t->places, place);
		free(place);
	}
	HASH_ITER (hh, t->links, link, tmp_link) {
		HASH_DEL(t->links, link);
		free(link);
	}
	same_destroy(&t->questions);
	same_destroy(&t->whats);
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i]->answers);
		free(t->v[i]);
	}
	free(t->v);
	free(t->is_answer);
	free(t);
}

/* --- asking --- */

struct told *told_find(struct told_table *t, const struct question *question)
{
	struct question nobodys = *question;
	struct told *told;
	struct same *s;

	HASH_FIND(hh, t->questions, question, sizeof(*question), s);
	if (s && s->next) {
		told = s->next;
		s->next = told->next;
		return told;
	}
	if (s && s->last->n > 0)
		return s->last;
	memset(&nobodys.supplier, 0, sizeof(nobodys.supplier));
	HASH_FIND(hh, t->whats, &nobodys, sizeof(nobodys), s);
	told = s ? s->first : NULL;
	while (told && told->n == 0 && told->next_same)
		told = told->next_same;
	return told;
}
