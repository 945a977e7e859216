/* SPDX-License-Identifier: Apache-2.0
 * Batches that a gateway did not accept, kept beside its ledger. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "relay/ledger/fault.h"
#include "tests/unit/ledger_world.h"

#define KEPT_MAX 3

static struct ledger_fault *fault_of(uint8_t supplier, uint8_t lane)
{
	struct ledger_fault *f = calloc(1, sizeof(*f));

	f->supplier.b[0] = supplier;
	f->lane.b[0] = lane;
	f->first = 7;
	f->count = 2;
	memset(f->leaves[0], lane, sizeof(f->leaves[0]));
	memset(f->leaves[1], supplier, sizeof(f->leaves[1]));
	f->head.size = 9;
	f->head.root.b[3] = 5;
	f->head.signature.b[63] = 6;
	return f;
}

static bool keep(struct world *w, uint8_t supplier, uint8_t lane, struct err *err)
{
	struct ledger_fault *f = fault_of(supplier, lane);
	bool ok = ledger_fault_keep(w->ledger, f, KEPT_MAX, err);

	free(f);
	return ok;
}

struct seen {
	unsigned n;
	struct ledger_fault last;
};

static bool on_fault(void *arg, const struct ledger_fault *fault)
{
	struct seen *seen = arg;

	seen->n++;
	seen->last = *fault;
	return true;
}

static unsigned count_faults(struct world *w, struct seen *seen)
{
	struct ledger_reader *reader = NULL;
	struct err err;

	*seen = (struct seen){0};
	world_reader(w, &reader);
	assert_ok(ledger_each_fault(reader, on_fault, seen, &err), err);
	ledger_reader_close(reader);
	return seen->n;
}

static void a_kept_fault_is_read_as_it_was(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct ledger_fault *f = fault_of(1, 2);
	struct world w;
	struct err err;

	world_init(&w, LEDGER_GATEWAY);
	assert_int_equal(count_faults(&w, seen), 0);
	assert_ok(keep(&w, 1, 2, &err), err);
	assert_int_equal(count_faults(&w, seen), 1);
	assert_memory_equal(&seen->last, f, sizeof(*f));
	free(seen);
	free(f);
	world_finish(&w);
}

static void of_one_supplier_the_first_ones_are_kept(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct world w;
	struct err err;

	world_init(&w, LEDGER_GATEWAY);
	for (uint8_t lane = 1; lane <= KEPT_MAX; lane++)
		assert_ok(keep(&w, 1, lane, &err), err);
	assert_false(keep(&w, 1, KEPT_MAX + 1, &err));
	assert_err(err, ERR_LIMIT);
	assert_ok(keep(&w, 2, 1, &err), err); /* another is not affected */
	assert_false(keep(&w, 2, 1, &err));   /* one of a lane is enough */
	assert_err(err, ERR_LIMIT);
	assert_int_equal(count_faults(&w, seen), KEPT_MAX + 1);
	free(seen);
	world_finish(&w);
}

static void a_torn_file_is_passed_over(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	char path[256];
	struct world w;
	struct err err;

	world_init(&w, LEDGER_GATEWAY);
	assert_ok(keep(&w, 1, 1, &err), err);
	assert_ok(keep(&w, 1, 2, &err), err);
	snprintf(path, sizeof(path), "%s/faults/01%062d/01%030d", w.dir, 0, 0);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(count_faults(&w, seen), 1);
	assert_int_equal(seen->last.lane.b[0], 2);
	free(seen);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_fault_is_read_as_it_was),
		cmocka_unit_test(of_one_supplier_the_first_ones_are_kept),
		cmocka_unit_test(a_torn_file_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
