/* SPDX-License-Identifier: Apache-2.0
 * What goes: by reorganisations, by the budget, and as a naive cache would have it in random
 * stories. */
#include "tests/unit/unit.h"

#include "tests/unit/cache_world.h"

/* --- reorgs --- */

static void a_reorg_evicts_exactly_its_branch(void **state)
{
	for (uint64_t depth = 1; depth <= 10; depth++) {
		struct cache *c = make_cache();
		struct cache_chain *chain = cache_chain(c, &eth);
		uint64_t base = 20 - depth;
		struct block_claim at;

		for (uint64_t n = 1; n <= 20; n++) {
			at = block(n);
			assert_true(cache_head(chain, &at, 0));
			for (uint64_t i = 0; i < 3; i++) {
				struct cache_answer answer = answer_at(&at, "x");

				assert_int_equal(fill(c, n * 10 + i, &answer), CACHE_STORED);
			}
		}
		/* The first that is heard of the other branch is its head, one higher. */
		at = block_on(21, 1, base);
		assert_true(cache_head(chain, &at, 0));
		for (uint64_t n = 1; n <= 20; n++)
			assert_false(finds(c, n * 10, 0)); /* nobody knows yet */
		for (uint64_t n = 20; n > base; n--) {
			at = block_on(n, 1, base);
			assert_true(cache_learn(chain, &at));
		}
		for (uint64_t n = 1; n <= 20; n++)
			for (uint64_t i = 0; i < 3; i++)
				assert_int_equal(finds(c, n * 10 + i, 0), n <= base);
		assert_int_equal(cache_counts(c)->entries, base * 3);
		assert_int_equal(cache_counts(c)->evictions[CACHE_EVICTED_REORG], depth * 3);
		cache_destroy(c);
	}
}

static void a_final_block_that_was_not_takes_all_of_its_service_with_it(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth), *second = cache_chain(c, &other);
	struct block_claim at = block(10);
	struct cache_answer answer = answer_at(&at, "x");
	struct cache_key key = key_of(99);

	for (uint64_t n = 5; n <= 10; n++) {
		set_head(chain, n, 0);
		answer.block = block(n);
		assert_int_equal(fill(c, n, &answer), CACHE_STORED);
	}
	answer.life = CACHE_FOREVER;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	answer.life = CACHE_BLOCK;
	assert_true(cache_head(second, &at, 0));
	assert_int_equal(cache_fill(second, &key, &answer), CACHE_STORED);
	cache_final(chain, 8);
	set_head(chain, 3, 0); /* somebody has wound the chain back */
	for (uint64_t n = 5; n <= 10; n++)
		assert_false(finds(c, n, 0));
	assert_true(finds(c, 1, 0));
	assert_int_equal(cache_counts(c)->evictions[CACHE_EVICTED_BROKEN], 6);
	assert_int_equal(cache_counts(c)->entries, 2);
	cache_destroy(c);
}

/* --- the budget --- */

static void an_answer_over_its_share_is_not_kept(void **state)
{
	struct cache *c = make_cache();
	size_t n = CACHE_BYTES_MIN / CACHE_ANSWER_SHARE - cache_entry_bytes(0);
	char *text = xcalloc(1, n + 1);
	struct cache_answer answer = {.life = CACHE_FOREVER, .body = VIEW(text, n)};

	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	answer.body.n++;
	assert_int_equal(fill(c, 2, &answer), CACHE_TOO_LARGE);
	free(text);
	cache_destroy(c);
}

static void one_long_scan_does_not_throw_out_what_is_asked_again(void **state)
{
	struct cache *c = make_cache();
	char text[4000] = {0};
	struct cache_answer answer = {.life = CACHE_FOREVER,
				      .vouched = true,
				      .named = true,
				      .body = VIEW(text, sizeof(text))};

	for (uint64_t i = 0; i < 50; i++) {
		assert_int_equal(fill(c, i, &answer), CACHE_STORED);
		assert_true(finds(c, i, 0));
	}
	for (uint64_t i = 1000; i < 6000; i++)
		assert_int_equal(fill(c, i, &answer), CACHE_STORED);
	for (uint64_t i = 0; i < 50; i++)
		assert_true(finds(c, i, 0));
	cache_destroy(c);
}

/* --- a model: one list in the order of use for each queue, and everything looked up in it --- */

#define CALLS 60
#define HEADS 400

struct kept {
	uint64_t call;
	struct block_claim at;
	bool final, realtime, forever;
	size_t bytes;
};

struct naive {
	struct kept queue[2][CALLS]; /* newcomers, proven; the least lately used first */
	size_t n[2];
	struct block_claim branch[HEADS]; /* the served one, from its first block on */
	size_t blocks;
	uint64_t final;
	usec_t since, told;
	uint64_t bytes, idle_bytes;
};

static size_t naive_proven(const struct naive *m)
{
	size_t bytes = 0;

	for (size_t i = 0; i < m->n[1]; i++)
		bytes += m->queue[1][i].bytes;
	return bytes;
}

static void naive_take(struct naive *m, size_t q, size_t i)
{
	m->bytes -= m->queue[q][i].bytes;
	memmove(&m->queue[q][i], &m->queue[q][i + 1], (--m->n[q] - i) * sizeof(struct kept));
}

static void naive_put(struct naive *m, size_t q, struct kept kept)
{
	m->queue[q][m->n[q]++] = kept;
	m->bytes += kept.bytes;
}

static bool naive_on_branch(const struct naive *m, const struct block_claim *at)
{
	for (size_t i = 0; i < m->blocks; i++)
		if (ID_EQ(&m->branch[i].hash, &at->hash))
			return true;
	return false;
}

static void naive_drop(struct naive *m, bool (*is_gone)(const struct naive *, const struct kept *))
{
	for (size_t q = 0; q < 2; q++)
		for (size_t i = m->n[q]; i-- > 0;)
			if (is_gone(m, &m->queue[q][i]))
				naive_take(m, q, i);
}

static bool is_gone_by_head(const struct naive *m, const struct kept *kept)
{
	const struct block_claim *head = &m->branch[m->blocks - 1];

	if (kept->final || kept->forever)
		return false;
	if (!naive_on_branch(m, &kept->at))
		return true;
	return kept->realtime && !ID_EQ(&kept->at.hash, &head->hash);
}

static void naive_head(struct naive *m, const struct block_claim *head, usec_t now)
{
	while (m->blocks > 0 && !ID_EQ(&m->branch[m->blocks - 1].hash, &head->parent))
		m->blocks--;
	m->branch[m->blocks++] = *head;
	m->since = m->told = now;
	naive_drop(m, is_gone_by_head);
}

static void naive_final(struct naive *m, uint64_t number)
{
	m->final = MAX(m->final, MIN(number, m->branch[m->blocks - 1].number));
	for (size_t q = 0; q < 2; q++)
		for (size_t i = m->n[q]; i-- > 0;) {
			struct kept *kept = &m->queue[q][i];

			if (kept->forever || kept->final || kept->at.number > m->final)
				continue;
			if (kept->realtime)
				naive_take(m, q, i);
			else
				kept->final = true;
		}
}

static bool naive_find(struct naive *m, uint64_t call, usec_t now)
{
	for (size_t q = 0; q < 2; q++)
		for (size_t i = 0; i < m->n[q]; i++) {
			struct kept kept = m->queue[q][i];

			if (kept.call != call)
				continue;
			if (!kept.final && !kept.forever && now - m->told > FRESH_US)
				return false;
			if (kept.realtime && now - m->since > REALTIME_US)
				return false;
			naive_take(m, q, i);
			naive_put(m, 1, kept);
			while (naive_proven(m) > CACHE_BYTES_MIN / 4 * 3) {
				struct kept last = m->queue[1][0];

				naive_take(m, 1, 0);
				naive_put(m, 0, last);
			}
			return true;
		}
	return false;
}

static void naive_fill(struct naive *m, struct kept kept)
{
	kept.final = !kept.forever && !kept.realtime && kept.at.number <= m->final;
	for (size_t q = 0; q < 2; q++)
		for (size_t i = m->n[q]; i-- > 0;)
			if (m->queue[q][i].call == kept.call)
				naive_take(m, q, i);
	while (m->bytes + kept.bytes > CACHE_BYTES_MIN)
		naive_take(m, m->n[0] > 0 ? 0 : 1, 0);
	naive_put(m, 0, kept);
}

struct both {
	struct gen gen;
	struct naive m;
	struct cache *c;
	struct cache_chain *chain;
	uint8_t fork;
	usec_t now;
	uint8_t *bytes;
};

static void step_head(struct both *b)
{
	struct naive *m = &b->m;
	uint64_t top = m->branch[m->blocks - 1].number, back = 0;
	struct block_claim head;

	if (gen_below(&b->gen, 4) == 0) /* a reorg, but not of what is final */
		back = gen_below(&b->gen, MIN(MIN(11, m->blocks), top - m->final + 1));
	head.number = top - back + 1;
	head.has_parent = head.sure = true;
	gen_bytes(&b->gen, head.hash.b, sizeof(head.hash.b));
	head.parent = m->branch[m->blocks - 1 - back].hash;
	assert_true(cache_head(b->chain, &head, b->now));
	naive_head(m, &head, b->now);
}

static void step_fill(struct both *b)
{
	struct naive *m = &b->m;
	uint64_t call = gen_below(&b->gen, CALLS), kind = gen_below(&b->gen, 8);
	size_t n = gen_below(&b->gen, 60000);
	size_t at = m->blocks - 1 - gen_below(&b->gen, MIN(m->blocks, 15));
	struct kept kept = {.call = call, .bytes = cache_entry_bytes(n)};
	struct cache_answer answer;

	kept.forever = kind == 0;
	kept.realtime = kind == 1;
	kept.at = m->branch[kept.realtime ? m->blocks - 1 : at];
	answer = answer_at(&kept.at, "");
	answer.body = VIEW(b->bytes, n);
	answer.life = kept.forever ? CACHE_FOREVER : kept.realtime ? CACHE_REALTIME : CACHE_BLOCK;
	assert_int_equal(fill(b->c, call, &answer), CACHE_STORED);
	naive_fill(m, kept);
}

static void step_any(struct both *b)
{
	struct naive *m = &b->m;
	uint64_t call;

	b->now += (usec_t)gen_below(&b->gen, 200);
	switch (gen_below(&b->gen, 16)) {
	case 0:
		step_head(b);
		break;
	case 1:
		assert_true(cache_head(b->chain, &m->branch[m->blocks - 1], b->now));
		m->told = b->now;
		break;
	case 2:
		if (m->branch[m->blocks - 1].number > 30) {
			cache_final(b->chain, m->branch[m->blocks - 1].number - 20);
			naive_final(m, m->branch[m->blocks - 1].number - 20);
		}
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
		step_fill(b);
		break;
	default:
		call = gen_below(&b->gen, CALLS);
		assert_int_equal(finds(b->c, call, b->now), naive_find(m, call, b->now));
	}
	assert_int_equal(cache_counts(b->c)->bytes, m->bytes);
	assert_true(m->bytes <= CACHE_BYTES_MIN);
	assert_int_equal(cache_counts(b->c)->entries, m->n[0] + m->n[1]);
}

static void random_stories_agree_with_a_naive_cache(void **state)
{
	struct both b = {.gen = gen_init(20261127)};
	size_t cases = MAX(1, gen_cases(2000) / 50);

	b.bytes = xcalloc(1, 60000);
	for (size_t i = 0; i < cases; i++) {
		struct block_claim first = block(10);

		memset(&b.m, 0, sizeof(b.m));
		b.c = make_cache();
		b.chain = cache_chain(b.c, &eth);
		b.m.bytes = cache_counts(b.c)->bytes; /* empty, it is not nothing */
		assert_true(cache_head(b.chain, &first, b.now));
		naive_head(&b.m, &first, b.now);
		for (size_t s = 0; s < 2000 && b.m.blocks < HEADS; s++)
			step_any(&b);
		cache_destroy(b.c);
	}
	free(b.bytes);
}

static void an_empty_cache_of_many_services_is_within_its_budget(void **state)
{
	struct cache_options options = {.bytes_max = CACHE_BYTES_MIN,
					.chains_max = CACHE_CHAINS_MAX};
	struct cache *c = cache_create(&options);
	struct service_name name = {0};

	for (int i = 0; i < CACHE_CHAINS_MAX; i++) {
		snprintf(name.s, sizeof(name.s), "s%d", i);
		assert_non_null(cache_chain(c, &name));
		assert_ptr_equal(cache_chain(c, &name), cache_chain(c, &name));
	}
	assert_true(cache_counts(c)->bytes < CACHE_BYTES_MIN / 2);
	cache_destroy(c);
	cache_destroy(NULL);
	cache_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reorg_evicts_exactly_its_branch),
		cmocka_unit_test(a_final_block_that_was_not_takes_all_of_its_service_with_it),
		cmocka_unit_test(an_answer_over_its_share_is_not_kept),
		cmocka_unit_test(one_long_scan_does_not_throw_out_what_is_asked_again),
		cmocka_unit_test(random_stories_agree_with_a_naive_cache),
		cmocka_unit_test(an_empty_cache_of_many_services_is_within_its_budget),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
