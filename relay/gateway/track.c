/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/track.h"

#include <assert.h>

#include "relay/base/mem.h"

void track_finish(struct track *track)
{
	track_cut(track, 0);
	free(track->blocks);
	*track = (struct track){0};
}

static struct track_block *last_of(const struct track *track)
{
	return track->count > 0 ? &track->blocks[track->count - 1] : NULL;
}

static struct track_block *push(struct track *track, const struct track_block *block)
{
	assert(track->count == 0 || last_of(track)->number < block->number);
	if (track->count == track->cap) {
		track->cap = track->cap ? 2 * track->cap : 8;
		track->blocks = xrealloc(track->blocks, track->cap * sizeof(track->blocks[0]));
	}
	track->blocks[track->count++] = *block;
	track->bytes += block->logs.n;
	return last_of(track);
}

void track_add_block(struct track *track, uint64_t number, const struct hash *hash)
{
	const struct track_block block = {.number = number, .hash = *hash};
	const struct track_block *last = last_of(track);

	if (!last || last->number != number || !ID_EQ(&last->hash, hash))
		push(track, &block);
}

static void add_log(struct track *track, struct track_block *block, struct view entry)
{
	size_t before = block->logs.n;

	if (before > 0)
		buf_put_u8(&block->logs, ',');
	buf_put(&block->logs, entry.p, entry.n);
	track->bytes += block->logs.n - before;
}

bool track_add_logs(struct track *track, struct view inside, struct err *err)
{
	struct track_block *last = NULL;
	struct track_block block = {0};
	struct view entry;

	while (chain_logs_next(&inside, &entry)) {
		if (!chain_log_block(entry, &block.number, &block.hash))
			return err_set(err, ERR_UPSTREAM, "a log tells no block");
		if (!last || last->number != block.number) {
			if (track->count > 0 && last_of(track)->number >= block.number)
				return err_set(err, ERR_UPSTREAM,
					       "logs are not in the order of the chain");
			last = push(track, &block);
		} else if (!ID_EQ(&last->hash, &block.hash)) {
			return err_set(err, ERR_UPSTREAM, "logs of two blocks of one height");
		}
		add_log(track, last, entry);
	}
	return inside.n == 0 || err_set(err, ERR_UPSTREAM, "logs are no list");
}

void track_append(struct track *track, struct track *more)
{
	for (size_t i = 0; i < more->count; i++)
		push(track, &more->blocks[i]);
	more->count = more->bytes = 0; /* their bytes are the other's now */
	track_finish(more);
}

void track_put_removed(const struct track *track, size_t keep, struct buf *ret)
{
	bool any = false;

	for (size_t i = track->count; i > keep; i--) {
		struct view rest = buf_view(&track->blocks[i - 1].logs), entry;

		while (chain_logs_next(&rest, &entry)) {
			size_t before = ret->n;

			if (any)
				buf_put_u8(ret, ',');
			if (chain_log_put_removed(entry, ret))
				any = true;
			else
				ret->n = before;
		}
	}
}

void track_cut(struct track *track, size_t keep)
{
	while (track->count > keep) {
		struct track_block *block = &track->blocks[--track->count];

		track->bytes -= block->logs.n;
		buf_finish(&block->logs);
	}
}

void track_trim(struct track *track, uint64_t depth, size_t bytes)
{
	const struct track_block *last = last_of(track);
	size_t drop = 0;

	while (drop + 1 < track->count &&
	       (last->number - track->blocks[drop].number > depth || track->bytes > bytes)) {
		track->bytes -= track->blocks[drop].logs.n;
		buf_finish(&track->blocks[drop++].logs);
	}
	if (drop == 0)
		return;
	track->count -= drop;
	memmove(track->blocks, track->blocks + drop, track->count * sizeof(track->blocks[0]));
}
