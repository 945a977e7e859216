/* SPDX-License-Identifier: Apache-2.0
 * Verdicts on answers, for tests in other languages.  Reads records from standard input: method,
 * params and result, each as u32 length and its bytes, and u32 stride.  Prints a line with the
 * verdict and why.  With a stride it then changes each stride-th value of the result as flips.h
 * does, prints a line for each change that nothing was said of (its path and the verdict), and a
 * last one: `tried` and how many. */
#include <stdio.h>

#include "chains/verify.h"
#include "relay/base/mem.h"
#include "tests/support/flips.h"

#define PART_MAX (64u << 20)

static const char *const verdicts[] = {"plain", "recomputed", "differs", "fault"};

struct record {
	struct chain_verifier *verifier;
	const struct chain_method *method;
	struct buf parts[3]; /* method, params, result */
};

static bool read_u32_from(FILE *f, uint32_t *ret)
{
	uint8_t b[4];

	if (fread(b, sizeof(b), 1, f) != 1)
		return false;
	*ret = get_be32(b);
	return true;
}

static bool read_part(FILE *f, struct buf *part)
{
	uint32_t n;

	if (!read_u32_from(f, &n) || n > PART_MAX)
		return false;
	part->n = 0;
	buf_reserve(part, n);
	if (n > 0 && fread(part->p, n, 1, f) != 1)
		return false;
	part->n = n;
	return true;
}

static struct chain_finding finding_of(const struct record *record)
{
	struct chain_finding found;

	chain_verify(record->verifier, record->method, buf_view(&record->parts[1]),
		     buf_view(&record->parts[2]), &found);
	return found;
}

static void print_unnoticed(void *arg, const char *path)
{
	struct chain_finding found = finding_of(arg);

	if (!found.why)
		printf("%s %s\n", path, verdicts[found.verdict]);
}

static bool judge(struct record *record)
{
	struct flips flips = {.noticed = print_unnoticed, .arg = record};
	uint32_t stride;
	struct chain_finding found;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(record->parts); i++) {
		if (!read_part(stdin, &record->parts[i]))
			return false;
	}
	if (!read_u32_from(stdin, &stride))
		return false;
	if (!chain_method_find(chain_find("evm"), buf_view(&record->parts[0]), &record->method,
			       &err)) {
		printf("error %s\n", err.msg);
		return true;
	}
	found = finding_of(record);
	printf("%s %s\n", verdicts[found.verdict], found.why ? found.why : "");
	if (stride > 0) {
		flips.stride = stride;
		flip_values(&flips, buf_view(&record->parts[2]), "");
		printf("tried %zu\n", flips.tried);
	}
	fflush(stdout);
	return true;
}

int main(void)
{
	struct record record = {.verifier = chain_verifier_create(chain_find("evm"))};

	while (judge(&record))
		continue;
	for (size_t i = 0; i < ARRAY_SIZE(record.parts); i++)
		buf_finish(&record.parts[i]);
	chain_verifier_destroy(record.verifier);
	return 0;
}
