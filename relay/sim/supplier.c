/* SPDX-License-Identifier: Apache-2.0
 * Suppliers of a run: they answer what they are asked as they did, or as a script has it. */
#include "relay/sim/sim.h"

#define ERROR_US 1000 /* from a question to the error that stands in its answer's place */

/* What comes of a question, as long after it as it did. */
static void plan(struct flight *flight)
{
	struct sim *sim = flight->link->sim;
	const struct told *told = flight->told;
	const struct fault *fault = flight->fault;
	usec_t late = fault && fault->kind == FAULT_LATE ? fault->late_us : 0;

	for (size_t i = 0; i < told->n; i++) {
		const struct entry *e = told->answers[i];
		const struct due due = {
			.at_us = sim->now_us + (e->at_us - told->at_us) + late,
			.order = (size_t)(e - sim->recording->entries),
			.entry = e,
			.flight = flight,
		};

		due_add(&sim->due, &due);
	}
}

/* The supplier says an error instead, or nobody knows what it would say. */
static void plan_error(struct flight *flight)
{
	struct sim *sim = flight->link->sim;
	const struct due due = {
		.at_us = sim->now_us + ERROR_US,
		.order = sim->recording->n,
		.flight = flight,
	};

	due_add(&sim->due, &due);
}

static void ask(struct link *link, uint32_t stream, const struct question *question,
		bool is_session)
{
	struct sim *sim = link->sim;
	struct flight *flight = xcalloc(1, sizeof(*flight));

	flight->link = link;
	flight->stream = stream;
	flight->told = told_find(sim->told, question);
	if (sim->faults && !is_session)
		flight->fault =
			faults_find(sim->faults, sim->now_us, link->supplier, &link->hello.key);
	LIST_INSERT_HEAD(&sim->flights, flight, all);
	if (flight->fault && flight->fault->kind == FAULT_SILENT)
		return;
	if (flight->fault && flight->fault->kind == FAULT_ERROR) {
		plan_error(flight);
	} else if (flight->told) {
		plan(flight);
	} else if (!is_session) {
		sim->unknown++;
		plan_error(flight);
	}
}

void sim_on_frame(struct link *link, const struct frame *frame)
{
	struct question question = {.supplier = link->hello.key};
	struct frame_session session;
	struct frame_relay relay;
	struct err err;

	if (frame->type == FRAME_RELAY && frame_read_relay(frame, &relay, &err)) {
		told_request(relay.request, question.what);
		ask(link, frame->stream, &question, false);
	} else if (frame->type == FRAME_SESSION && frame_read_session(frame, &session, &err)) {
		memcpy(question.what, session.session.b, sizeof(question.what));
		ask(link, frame->stream, &question, true);
	}
}

struct peer *sim_peer_of(const struct link *link)
{
	struct peer *peer;

	HASH_FIND_PTR(link->sim->worker->peers, &link, peer);
	return peer;
}

void sim_give_frame(struct link *link, uint8_t type, uint8_t flags, uint32_t stream,
		    struct view payload)
{
	const struct frame frame = {
		.type = type, .flags = flags, .stream = stream, .payload = payload};
	const struct pool *pool = &link->sim->pool;
	struct err err;

	/* A link that is closed for it goes down when it did. */
	if (link->up && !pool->cbs->on_frame(link, &frame, pool->arg, &err))
		return;
}

static void give_error(struct flight *flight)
{
	bool scripted = flight->fault && flight->fault->kind == FAULT_ERROR;
	enum err_code code = scripted ? flight->fault->error : ERR_UPSTREAM;
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct frame frame;
	struct err err;
	size_t used;

	frame_put_error(&bytes, flight->stream, FRAME_RELAY, err_info(code)->wire,
			scripted ? "by script" : "nobody was asked this");
	if (frame_scan(buf_view(&bytes), UINT32_MAX, &frame, &used, &err) == FRAME_SCAN_ONE)
		sim_give_frame(flight->link, frame.type, frame.flags, frame.stream, frame.payload);
}

static void give_leaf(struct flight *flight, const struct entry *e)
{
	CLEANUP(buf_finish) struct buf body = {0};
	struct peer *peer = flight->link->up ? sim_peer_of(flight->link) : NULL;
	struct relay *relay = peer ? peer_relay(peer, flight->stream) : NULL;
	struct leaf_news news = {
		.kind = (uint8_t)e->number[2],
		.status = (uint16_t)e->number[3],
		.body = e->payload,
		.last = e->number[4] != 0,
	};

	if (!relay)
		return;
	if (flight->fault && flight->fault->kind == FAULT_LIE) {
		buf_put(&body, e->payload.p, e->payload.n);
		fault_lie(&body);
		news.body = buf_view(&body);
	}
	flight->taken = xrealloc(flight->taken, (flight->taken_n + 1) * sizeof(flight->taken[0]));
	leaf_take(&flight->taken[flight->taken_n++], relay, &news);
}

static void give_commit(struct flight *flight, const struct entry *e)
{
	struct leaf_taken leaf;
	enum err_code code;
	struct err err;

	if (flight->taken_n == 0)
		return;
	leaf = flight->taken[0];
	flight->taken_n--;
	memmove(flight->taken, flight->taken + 1, flight->taken_n * sizeof(flight->taken[0]));
	if (error_by_name(e->word[2], &code)) {
		err_set(&err, code, "%.*s", (int)e->payload.n, (const char *)e->payload.p);
		leaf_committed(&leaf, &err);
	} else {
		leaf_committed(&leaf, NULL);
	}
}

void sim_give_answer(const struct due *due)
{
	struct flight *flight = due->flight;
	const struct entry *e = due->entry;

	if (!e)
		give_error(flight);
	else if (e->kind == ENTRY_LEAF)
		give_leaf(flight, e);
	else if (e->kind == ENTRY_COMMITTED)
		give_commit(flight, e);
	else
		sim_give_frame(flight->link, (uint8_t)e->number[1], (uint8_t)e->number[2],
			       flight->stream, e->payload);
}
