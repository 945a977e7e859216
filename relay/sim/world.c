/* SPDX-License-Identifier: Apache-2.0
 * What happens in a run, and when. */
#include "relay/sim/sim.h"

#include <assert.h>

#include "session/registry/export.h"
#include "session/registry/view.h"

#define ALARM_LATE_US                                                                              \
	TICK_US /* an alarm that a script moved is as late as a recorded one near it */

static _Thread_local struct sim *running;

struct sim *sim_of_thread(void)
{
	return running;
}

void sim_set_time(struct sim *sim, usec_t at_us, msec_t skew_ms)
{
	const struct recording *r = sim->recording;

	sim->now_us = at_us;
	sim->skew_ms = skew_ms;
	clock_fake(r->mono_us + at_us, r->wall_ms + at_us / 1000 + skew_ms);
}

const struct entry *sim_read(const struct sim *sim, enum entry_kind kind)
{
	const struct recording *r = sim->recording;

	if (sim->faults || sim->told_n >= r->n || r->entries[sim->told_n].kind != kind)
		return NULL;
	return &r->entries[sim->told_n];
}

/* The next entry of a kind from *cursor on, which is moved to it; NULL: none. */
static const struct entry *next_entry(const struct sim *sim, enum entry_kind kind, size_t *cursor)
{
	const struct recording *r = sim->recording;

	while (*cursor < r->n && r->entries[*cursor].kind != kind)
		++*cursor;
	return *cursor < r->n ? &r->entries[*cursor] : NULL;
}

static size_t order_of(const struct sim *sim, const struct entry *e)
{
	return (size_t)(e - sim->recording->entries);
}

/* --- links --- */

static struct link *find_link(const struct sim *sim, uint64_t number)
{
	struct link *link;

	LIST_FOREACH (link, &sim->links, all) {
		if (link->number == number)
			return link;
	}
	return NULL;
}

static size_t supplier_number(struct sim *sim, const struct key_id *key)
{
	size_t i = 0;

	while (i < sim->supplier_count && !ID_EQ(&sim->suppliers[i], key))
		i++;
	if (i == sim->supplier_count && i < ARRAY_SIZE(sim->suppliers))
		sim->suppliers[sim->supplier_count++] = *key;
	return i + 1;
}

static void link_up(struct sim *sim, const struct entry *e)
{
	struct link *link = xcalloc(1, sizeof(*link));
	struct err err;

	link->sim = sim;
	link->number = (unsigned)e->number[0];
	memcpy(link->hello.key.b, e->key, sizeof(link->hello.key.b));
	link->hello.frame_max = (uint32_t)e->number[2];
	link->hello.in_flight_max = (uint32_t)e->number[3];
	link->hello.max_unpaid_cu = e->number[4];
	link->supplier = supplier_number(sim, &link->hello.key);
	link->up = true;
	LIST_INSERT_HEAD(&sim->links, link, all);
	if (!sim->pool.cbs->on_up(link, sim->pool.arg, &err))
		link->up = false; /* no session needs it */
}

static void link_down(struct sim *sim, const struct entry *e)
{
	struct link *link = find_link(sim, e->number[0]);
	enum err_code code;
	struct err err;
	bool why = error_by_name(e->word[2], &code);

	if (!link || !link->up || e->number[1] >= LINK_REASON_COUNT)
		return;
	if (why)
		err_set(&err, code, "%.*s", (int)e->payload.n, (const char *)e->payload.p);
	link->up = false;
	sim->pool.cbs->on_down(link, (enum link_reason)e->number[1], why ? &err : NULL,
			       sim->pool.arg);
}

/* --- the registry --- */

static bool take_view(struct sim *sim, const struct entry *e, struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export export = {0};
	struct registry_view *before = sim->registry.view;

	if (!registry_export_parse_text(e->payload, &export, err))
		return err_prefix(err, "a view of the registry");
	sim->registry.view = registry_view_create(export.history, &sim->recording->registry_key,
						  &export.seeds, export.height, before);
	registry_view_unref(before);
	return true;
}

/* What stands below a tick and comes from outside all the same. */
static bool prepare_tick(struct sim *sim, const struct entry *tick, struct err *err)
{
	const struct entry *end = sim->recording->entries + sim->recording->n;

	for (const struct entry *e = tick + 1; e < end && e->kind >= ENTRY_INPUTS; e++) {
		if (e->kind == ENTRY_VIEW && !take_view(sim, e, err))
			return false;
		if (e->kind == ENTRY_REPORT)
			atomic_fetch_add(&sim->worker->report.wanted, 1);
	}
	return true;
}

/* --- clients --- */

/* NULL: the entries will differ. */
static struct account *get_account(struct sim *sim, const struct entry *e, struct view name)
{
	struct service_name service;
	struct key_id application;
	struct err err;

	memcpy(application.b, e->key, sizeof(application.b));
	if (!service_name_parse((const char *)name.p, name.n, &service) ||
	    !shared_service(&sim->gateway, name))
		return NULL;
	return account_get(sim->worker, &application, &service, &err);
}

static void begin_account(struct sim *sim, const struct entry *e)
{
	struct account *account = get_account(sim, e, e->word[0]);

	if (account)
		record_account(sim->worker, account);
}

static void begin_request(struct sim *sim, const struct entry *e)
{
	const struct config *cfg = sim->config;
	const struct rpc_limits limits = {
		.depth_max = cfg->gateway.depth_max,
		.batch_max = cfg->gateway.batch_max,
	};
	struct account *account = get_account(sim, e, e->word[1]);
	struct connection *connection;
	struct rpc_request rpc;
	struct err err;

	if (!account || !rpc_request_scan(e->payload, &limits, &rpc, &err))
		return; /* the entries will differ */
	connection = xcalloc(1, sizeof(*connection));
	connection->source.number = e->number[5];
	connection->client.source = &connection->source;
	connection->http = evhttp_request_new(NULL, NULL);
	LIST_INSERT_HEAD(&sim->connections, connection, all);
	request_begin(
		&(struct request_params){
			.worker = sim->worker,
			.client = &connection->client,
			.http = connection->http,
			.account = account,
			.body = e->payload,
			.fresh = e->number[3] != 0,
			.debug = e->number[4] != 0,
		},
		&rpc);
}

static void lose_client(struct sim *sim, uint64_t number)
{
	struct request *r;

	TAILQ_FOREACH (r, &sim->worker->requests, all) {
		if (r->number == number && r->client->on_gone) {
			r->client->on_gone(r->client->arg);
			return;
		}
	}
}

/* --- what comes, in its turn --- */

static bool happen(struct sim *sim, const struct entry *e, struct err *err)
{
	struct link *link = NULL;

	switch ((int)e->kind) {
	case ENTRY_TICK:
		if (!prepare_tick(sim, e, err))
			return false;
		worker_on_tick(sim->worker);
		break;
	case ENTRY_KICK:
		record_kick(sim->worker);
		asks_kick(sim->worker);
		break;
	case ENTRY_END:
		record_end(sim->worker);
		break;
	case ENTRY_ACCOUNT:
		begin_account(sim, e);
		break;
	case ENTRY_REQUEST:
		begin_request(sim, e);
		break;
	case ENTRY_GONE:
		lose_client(sim, e->number[0]);
		break;
	case ENTRY_UP:
		link_up(sim, e);
		break;
	case ENTRY_DOWN:
		link_down(sim, e);
		break;
	case ENTRY_FAULT:
		link = find_link(sim, e->number[0]);
		if (link && link->up && sim_peer_of(link)) {
			record_fault(sim_peer_of(link));
			supplier_drop(sim->worker, sim_peer_of(link)->supplier);
		}
		break;
	case ENTRY_FRAME:
		link = find_link(sim, e->number[0]);
		if (link)
			sim_give_frame(link, (uint8_t)e->number[1], (uint8_t)e->number[2],
				       (uint32_t)e->number[3], e->payload);
		break;
	default:
		break;
	}
	return true;
}

static bool take_turn(struct sim *sim, const struct due *due, struct err *err)
{
	msec_t skew = due->entry ? due->entry->wall_ms - due->entry->at_us / 1000 : sim->skew_ms;

	if (due->is_alarm && due->alarm != sim->alarms)
		return true; /* it was set anew */
	sim_set_time(sim, due->at_us, skew);
	if (due->is_alarm) {
		sim->next_alarm = due->entry ? due->order + 1 : sim->next_alarm;
		worker_on_alarm(sim->worker);
	} else if (due->is_cut) {
		sim->cut_is_due = false;
		sim->next_cut = due->entry ? due->order + 1 : sim->next_cut;
		flows_cut(sim->worker);
	} else if (due->flight) {
		sim_give_answer(due);
	} else {
		assert(due->entry); /* what comes of nothing else was recorded */
		return happen(sim, due->entry, err);
	}
	return true;
}

/* Alarms and cuts come of what the gateway does; here is only when.  As they were, they are late by
 * as much as then; with a script, by no more than a tick. */
static void set_due(struct sim *sim, enum entry_kind kind, size_t *cursor, struct due *due)
{
	const struct entry *e = next_entry(sim, kind, cursor);

	if (sim->faults) {
		while (e && e->at_us < due->at_us) {
			++*cursor;
			e = next_entry(sim, kind, cursor);
		}
		if (e && e->at_us > due->at_us + ALARM_LATE_US)
			e = NULL;
	} else {
		while (e && e->at_us < sim->now_us) {
			++*cursor;
			e = next_entry(sim, kind, cursor);
		}
		if (!e)
			return; /* it came after the recording's end */
	}
	if (e) {
		due->at_us = e->at_us;
		due->order = order_of(sim, e);
		due->entry = e;
	}
	due_add(&sim->due, due);
}

void loop_wake_at(struct worker *w, usec_t at_us)
{
	struct sim *sim = sim_of_thread();
	struct due due = {
		.at_us = MAX(at_us - sim->recording->mono_us, sim->now_us),
		.order = sim->recording->n,
		.is_alarm = true,
		.alarm = ++sim->alarms,
	};

	set_due(sim, ENTRY_ALARM, &sim->next_alarm, &due);
}

void loop_cut_soon(struct worker *w)
{
	struct sim *sim = sim_of_thread();
	struct due due = {
		.at_us = sim->now_us,
		.order = sim->recording->n,
		.is_cut = true,
	};

	if (sim->cut_is_due)
		return; /* one does for all */
	sim->cut_is_due = true;
	set_due(sim, ENTRY_CUT, &sim->next_cut, &due);
}

/* --- the run --- */

/* Everything that came from nobody's doing. */
static void plan_all(struct sim *sim)
{
	for (size_t i = 0; i < sim->recording->n; i++) {
		const struct entry *e = &sim->recording->entries[i];

		if (e->kind < ENTRY_INPUTS && e->kind != ENTRY_ALARM && e->kind != ENTRY_CUT &&
		    !told_is_answer(sim->told, i))
			due_add(&sim->due,
				&(struct due){.at_us = e->at_us, .order = i, .entry = e});
	}
}

static bool put_entry(void *arg, struct view text)
{
	struct sim *sim = arg;
	const struct recording *r = sim->recording;
	/* The first is the file's own first line, which is no entry of its own. */
	bool head = sim->entries.n == 0;

	buf_put(&sim->entries, text.p, text.n);
	if (head || sim->faults)
		return true;
	if (sim->told_n < r->n && view_eq(text, r->entries[sim->told_n].text)) {
		sim->told_n++;
		return true;
	}
	/* Below the last input of a recording that broke off, there may have been more. */
	if (sim->told_n == r->n && !r->ended)
		return true;
	sim->differs = true;
	buf_put(&sim->other, text.p, text.n);
	return false;
}

static bool load_config(struct sim *sim, struct err *err)
{
	CLEANUP(buf_finish) struct buf problems = {0};
	struct view left = sim->recording->config;
	const char **args = NULL;
	struct config_source source = {.role = CONFIG_ANY};
	size_t n = 0;
	bool fine;

	while (left.n > 0) {
		const uint8_t *newline = memchr(left.p, '\n', left.n);
		size_t line = newline ? (size_t)(newline - left.p) : left.n;

		args = xrealloc(args, (n + 1) * sizeof(args[0]));
		args[n++] = xasprintf("%.*s", (int)line, (const char *)left.p);
		line += newline != NULL;
		left = VIEW(left.p + line, left.n - line);
	}
	source.args = args;
	source.args_n = n;
	fine = config_load_text(&source, "the recording", VIEW_STR(""), &sim->config, &problems,
				err);
	if (!fine && problems.n > 0)
		err_prefix(err, "%.100s", buf_cstr(&problems));
	for (size_t i = 0; i < n; i++)
		free((char *)args[i]);
	free(args);
	return fine;
}

static bool make_gateway(struct sim *sim, struct err *err)
{
	struct gateway *g = &sim->gateway;

	g->cfg = sim->config;
	g->id = sim->recording->gateway;
	g->seed = sim->recording->seed;
	g->registry = &sim->registry;
	g->record = record_create(put_entry, sim);
	g->stop_fd = -1;
	if (!shared_open(g, err) || !gateway_worker_create(g, 0, &sim->worker, err))
		return false;
	g->workers[0] = sim->worker;
	g->worker_count = 1;
	return true;
}

static bool run(struct sim *sim, struct err *err)
{
	const struct recording *r = sim->recording;
	usec_t last = 0;
	struct due due;

	sim_set_time(sim, 0, 0);
	if (!take_view(sim, &r->entries[r->head], err) || !load_config(sim, err) ||
	    !make_gateway(sim, err))
		return false;
	for (size_t i = 0; i < r->n; i++)
		last = MAX(last, r->entries[i].at_us);
	plan_all(sim);
	while (!sim->differs && due_next(&sim->due, &due) && due.at_us <= last) {
		if (!take_turn(sim, &due, err))
			return false;
	}
	if (!sim->differs && !sim->faults && sim->told_n < r->n)
		sim->differs = true;
	return true;
}

bool sim_run(const struct recording *recording, const struct faults *faults, struct sim **ret,
	     struct err *err)
{
	struct sim *sim = xcalloc(1, sizeof(*sim));
	bool fine;

	assert(!running);
	sim->recording = recording;
	sim->faults = faults;
	sim->told = told_table_create(recording);
	sim->pool.sim = sim;
	running = sim;
	crypto_init();
	fine = run(sim, err);
	if (fine)
		*ret = sim;
	else
		sim_destroy(sim);
	return fine;
}

static void end_flights(struct sim *sim)
{
	struct flight *flight;
	struct err err;

	err_set(&err, ERR_SHUTDOWN, "%s", err_info(ERR_SHUTDOWN)->text);
	LIST_FOREACH (flight, &sim->flights, all) {
		for (size_t i = 0; i < flight->taken_n; i++)
			leaf_committed(&flight->taken[i], &err);
	}
}

void sim_destroy(struct sim *sim)
{
	struct flight *flight;
	struct link *link;

	if (!sim)
		return;
	if (sim->gateway.record)
		record_destroy(sim->gateway.record);
	sim->gateway.record = NULL;
	end_flights(sim);
	gateway_worker_destroy(sim->worker);
	shared_close(&sim->gateway);
	while ((flight = LIST_FIRST(&sim->flights))) {
		LIST_REMOVE(flight, all);
		free(flight->taken);
		free(flight);
	}
	while ((link = LIST_FIRST(&sim->links))) {
		LIST_REMOVE(link, all);
		buf_finish(&link->out);
		free(link);
	}
	registry_view_unref(sim->registry.view);
	told_table_destroy(sim->told);
	due_finish(&sim->due);
	config_destroy(sim->config);
	buf_finish(&sim->entries);
	buf_finish(&sim->other);
	clock_fake_off();
	running = NULL;
	free(sim);
}
