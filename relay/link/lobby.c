/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/lobby.h"

#include <assert.h>
#include <pthread.h>
#include <unistd.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"

#define BEGUN_US 1000000 /* in which so many may begin */

TAILQ_HEAD(guests, guest);

/* Which limit refuses somebody: in the order of the metric label LIMIT. */
enum limit {
	LIMIT_HANDSHAKES,
	LIMIT_HANDSHAKES_PER_SOURCE,
	LIMIT_BEGUN,
	LIMIT_BEGUN_PER_SOURCE,
	LIMIT_LINKS,
	LIMIT_LINKS_PER_KEY,
	LIMIT_COUNT
};

struct seat {
	int wake_fd;
	bool taken; /* a listener serves it */
	struct guests waiting;
};

/* When a handshake began. */
struct beginning {
	usec_t at;
	uint64_t source;
};

struct lobby {
	pthread_mutex_t lock; /* of all that follows */
	unsigned refs;
	struct listener_params limits;
	struct guests guests;
	struct seat seats[LOBBY_SEATS_MAX];
	unsigned seats_n;
	uint32_t unfinished, up;
	struct beginning *begun; /* the last limits.begun_max, as a ring */
	size_t begun_n;		 /* in all; the oldest that is kept is at begun_n modulo its size */
	uint64_t refused;
	struct log_gate gates[LIMIT_COUNT];
};

struct lobby *lobby_create(const struct listener_params *params)
{
	struct lobby *lobby = xcalloc(1, sizeof(*lobby));

	pthread_mutex_init(&lobby->lock, NULL);
	lobby->refs = 1;
	lobby->limits = *params;
	lobby->begun = xcalloc(params->begun_max, sizeof(lobby->begun[0]));
	TAILQ_INIT(&lobby->guests);
	return lobby;
}

struct lobby *lobby_ref(struct lobby *lobby)
{
	pthread_mutex_lock(&lobby->lock);
	lobby->refs++;
	pthread_mutex_unlock(&lobby->lock);
	return lobby;
}

void lobby_unref(struct lobby *lobby)
{
	bool last;

	if (!lobby)
		return;
	pthread_mutex_lock(&lobby->lock);
	last = --lobby->refs == 0;
	pthread_mutex_unlock(&lobby->lock);
	if (!last)
		return;
	assert(TAILQ_EMPTY(&lobby->guests));
	pthread_mutex_destroy(&lobby->lock);
	free(lobby->begun);
	free(lobby);
}

unsigned lobby_sit(struct lobby *lobby, int wake_fd)
{
	unsigned seat;

	pthread_mutex_lock(&lobby->lock);
	assert(lobby->seats_n < LOBBY_SEATS_MAX);
	seat = lobby->seats_n++;
	lobby->seats[seat].wake_fd = wake_fd;
	lobby->seats[seat].taken = true;
	TAILQ_INIT(&lobby->seats[seat].waiting);
	pthread_mutex_unlock(&lobby->lock);
	return seat;
}

/* Under the lock. */
static void forget(struct lobby *lobby, struct guest *guest)
{
	if (guest->up)
		lobby->up--;
	else
		lobby->unfinished--;
	TAILQ_REMOVE(&lobby->guests, guest, all);
	free(guest);
}

void lobby_leave(struct lobby *lobby, unsigned seat)
{
	struct guests *waiting = &lobby->seats[seat].waiting;
	struct guest *guest;

	pthread_mutex_lock(&lobby->lock);
	lobby->seats[seat].taken = false;
	while ((guest = TAILQ_FIRST(waiting))) {
		TAILQ_REMOVE(waiting, guest, waiting);
		close(guest->fd);
		forget(lobby, guest);
	}
	pthread_mutex_unlock(&lobby->lock);
}

/* Under the lock.  Strangers can cause it, so each limit is logged once a second. */
static void refuse(struct lobby *lobby, enum limit limit)
{
	static const char *const names[LIMIT_COUNT] = {
		[LIMIT_HANDSHAKES] = "handshakes_max",
		[LIMIT_HANDSHAKES_PER_SOURCE] = "handshakes_per_source_max",
		[LIMIT_BEGUN] = "handshake_rate_max",
		[LIMIT_BEGUN_PER_SOURCE] = "handshake_rate_per_source_max",
		[LIMIT_LINKS] = "links_max",
		[LIMIT_LINKS_PER_KEY] = "links_per_key_max",
	};
	uint64_t more;

	lobby->refused++;
	metric_add_at(METRIC_LINK_REFUSED, limit, 0, 1);
	if (log_every(&lobby->gates[limit], 1000000, &more))
		log_warn("link.refused", "limit=%s more=%llu", names[limit],
			 (unsigned long long)more);
}

/* Connections that each seat has, and how many of them are of one source. */
struct tally {
	uint32_t all[LOBBY_SEATS_MAX];
	uint32_t of_source[LOBBY_SEATS_MAX];
	uint32_t unfinished; /* of the source */
	uint32_t begun;	     /* within BEGUN_US, of all */
	uint32_t begun_of_source;
};

/* Who began before there were begun_max others needs no counting: those alone are too many. */
static void count_beginnings(const struct lobby *lobby, uint64_t source, usec_t now,
			     struct tally *ret)
{
	size_t kept = MIN(lobby->begun_n, (size_t)lobby->limits.begun_max);

	for (size_t i = 0; i < kept; i++) {
		const struct beginning *one = &lobby->begun[i];

		if (now - one->at >= BEGUN_US)
			continue;
		ret->begun++;
		ret->begun_of_source += one->source == source;
	}
}

static void count_guests(const struct lobby *lobby, uint64_t source, struct tally *ret)
{
	const struct guest *guest;

	*ret = (struct tally){0};
	TAILQ_FOREACH (guest, &lobby->guests, all) {
		ret->all[guest->seat]++;
		if (guest->source != source)
			continue;
		ret->of_source[guest->seat]++;
		ret->unfinished += !guest->up;
	}
}

static unsigned choose_seat(const struct lobby *lobby, const struct tally *tally, unsigned first)
{
	unsigned best = first;

	for (unsigned i = 0; i < lobby->seats_n; i++) {
		if (!lobby->seats[i].taken)
			continue;
		if (tally->of_source[i] < tally->of_source[best] ||
		    (tally->of_source[i] == tally->of_source[best] &&
		     tally->all[i] < tally->all[best]))
			best = i;
	}
	return best;
}

/* Under the lock. */
static bool has_room(struct lobby *lobby, uint64_t source, const struct tally *tally)
{
	if (lobby->unfinished >= lobby->limits.unfinished_max) {
		refuse(lobby, LIMIT_HANDSHAKES);
		return false;
	}
	if (source != 0 && tally->unfinished >= lobby->limits.unfinished_per_source_max) {
		refuse(lobby, LIMIT_HANDSHAKES_PER_SOURCE);
		return false;
	}
	if (source != 0 && tally->begun_of_source >= lobby->limits.begun_per_source_max) {
		refuse(lobby, LIMIT_BEGUN_PER_SOURCE);
		return false;
	}
	if (tally->begun >= lobby->limits.begun_max) {
		refuse(lobby, LIMIT_BEGUN);
		return false;
	}
	return true;
}

bool lobby_enter(struct lobby *lobby, unsigned seat, uint64_t source, int fd, usec_t now)
{
	const uint64_t one = 1;
	struct guest *guest;
	struct tally tally;
	bool ok;

	pthread_mutex_lock(&lobby->lock);
	count_guests(lobby, source, &tally);
	count_beginnings(lobby, source, now, &tally);
	ok = has_room(lobby, source, &tally);
	if (ok) {
		guest = xcalloc(1, sizeof(*guest));
		guest->seat = choose_seat(lobby, &tally, seat);
		guest->source = source;
		guest->fd = fd;
		lobby->unfinished++;
		lobby->begun[lobby->begun_n++ % lobby->limits.begun_max] =
			(struct beginning){now, source};
		TAILQ_INSERT_TAIL(&lobby->guests, guest, all);
		TAILQ_INSERT_TAIL(&lobby->seats[guest->seat].waiting, guest, waiting);
		/* A counter that is full is readable anyway. */
		if (guest->seat != seat &&
		    write(lobby->seats[guest->seat].wake_fd, &one, sizeof(one)) < 0)
			errno = 0;
	}
	pthread_mutex_unlock(&lobby->lock);
	if (!ok)
		close(fd);
	return ok;
}

struct guest *lobby_take(struct lobby *lobby, unsigned seat)
{
	struct guest *guest;

	pthread_mutex_lock(&lobby->lock);
	guest = TAILQ_FIRST(&lobby->seats[seat].waiting);
	if (guest)
		TAILQ_REMOVE(&lobby->seats[seat].waiting, guest, waiting);
	pthread_mutex_unlock(&lobby->lock);
	return guest;
}

static uint32_t count_key(const struct lobby *lobby, const struct key_id *key)
{
	const struct guest *guest;
	uint32_t count = 0;

	TAILQ_FOREACH (guest, &lobby->guests, all)
		count += guest->up && ID_EQ(&guest->key, key);
	return count;
}

bool lobby_admit(struct lobby *lobby, struct guest *guest, const struct key_id *key,
		 struct err *err)
{
	bool full, ok;

	pthread_mutex_lock(&lobby->lock);
	full = lobby->up >= lobby->limits.links_max;
	ok = !full && count_key(lobby, key) < lobby->limits.links_per_key_max;
	if (ok) {
		guest->up = true;
		guest->key = *key;
		lobby->unfinished--;
		lobby->up++;
	} else {
		refuse(lobby, full ? LIMIT_LINKS : LIMIT_LINKS_PER_KEY);
	}
	pthread_mutex_unlock(&lobby->lock);
	return ok || err_set(err, ERR_LIMIT, "too many links%s", full ? "" : " of this key");
}

void lobby_go(struct lobby *lobby, struct guest *guest)
{
	pthread_mutex_lock(&lobby->lock);
	forget(lobby, guest);
	pthread_mutex_unlock(&lobby->lock);
}

uint32_t lobby_unfinished(struct lobby *lobby)
{
	uint32_t n;

	pthread_mutex_lock(&lobby->lock);
	n = lobby->unfinished;
	pthread_mutex_unlock(&lobby->lock);
	return n;
}

uint64_t lobby_refused(struct lobby *lobby)
{
	uint64_t n;

	pthread_mutex_lock(&lobby->lock);
	n = lobby->refused;
	pthread_mutex_unlock(&lobby->lock);
	return n;
}
