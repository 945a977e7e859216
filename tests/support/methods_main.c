/* SPDX-License-Identifier: Apache-2.0
 * What chains know of methods, calls, answers and errors, for tests in other languages.  Reads
 *lines of words that tabs part, and prints a line for each: pin METHOD PARAMS NUMBER HASH	the
 *parameters with that block in the place of a tag, by hash where the method takes one, else by
 *number; `odd`; `none` block METHOD PARAMS RESULT	`NUMBER HASH`, of the answer's block, `-`
 *for what is not known class CODE MESSAGE DATA		the error's class */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "chains/chain.h"

#define WORDS_MAX 5

static const struct chain *chain;

static const struct chain_method *method_of(const char *name)
{
	const struct chain_method *method;
	struct err err;

	if (chain_method_find(chain, VIEW_STR(name), &method, &err))
		return method;
	fprintf(stderr, "%s\n", err.msg);
	exit(1);
}

static void print_pinned(char **words)
{
	struct chain_pin pins[CHAIN_REFS_MAX] = {{.number = strtoull(words[3], NULL, 16)}};
	struct buf out = {0};
	struct chain_call call;

	chain_call_read(chain, method_of(words[1]), VIEW_STR(words[2]), &call);
	if (call.odd) {
		puts("odd");
		return;
	}
	if (!hex_decode(words[4] + 2, 64, pins[0].hash.b, sizeof(pins[0].hash.b)))
		exit(1);
	for (size_t i = call.refs; i-- > 0;) {
		pins[i] = pins[0];
		pins[i].kind = call.ref[i].kind != CHAIN_REF_TAG       ? CHAIN_PIN_KEEP
			       : call.traits->pin == CHAIN_PINNED_HASH ? CHAIN_PIN_HASH
								       : CHAIN_PIN_NUMBER;
	}
	if (call.refs > 0 && chain_call_pin(chain, &call, VIEW_STR(words[2]), pins, &out))
		puts(buf_cstr(&out));
	else
		puts("none");
	buf_finish(&out);
}

static void print_block(char **words)
{
	struct chain_answer answer;
	struct chain_call call;
	char hex[65];

	chain_call_read(chain, method_of(words[1]), VIEW_STR(words[2]), &call);
	chain_answer_read(chain, &call, VIEW_STR(words[3]), &answer);
	if (answer.number_known)
		printf("0x%" PRIx64, answer.number);
	else
		printf("-");
	printf(" %s%s\n", answer.hash_known ? "0x" : "-",
	       answer.hash_known ? hex_encode(answer.hash.b, sizeof(answer.hash.b), hex) : "");
}

int main(void)
{
	char *line = NULL, *words[WORDS_MAX];
	size_t cap = 0;

	chain = chain_find("evm");
	while (getline(&line, &cap, stdin) > 0) {
		char *rest = line;
		size_t count = 0;

		line[strcspn(line, "\n")] = '\0';
		while (rest && count < WORDS_MAX)
			words[count++] = strsep(&rest, "\t");
		if (strcmp(words[0], "pin") == 0 && count == 5)
			print_pinned(words);
		else if (strcmp(words[0], "block") == 0 && count == 4)
			print_block(words);
		else if (strcmp(words[0], "class") == 0 && count == 4)
			puts(chain_error_info(chain_error_class(chain, strtoll(words[1], NULL, 10),
								VIEW_STR(words[2]),
								VIEW_STR(words[3])))
				     ->name);
		else
			return 1;
		fflush(stdout);
	}
	free(line);
	return 0;
}
