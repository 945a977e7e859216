/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a configuration file: loaded, or refused with at least one problem whose line and
 * column are within the text.  What loads can be printed. */
#include <stdio.h>
#include <stdlib.h>

#include "relay/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fact)
{
	if (!fact)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct config_source source = {.role = CONFIG_ANY};
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(buf_finish) struct buf problems = {0}, text = {0};
	struct err err;

	if (size > 65536)
		return 0;
	if (config_load_text(&source, "f", VIEW(data, size), &config, &problems, &err)) {
		require(problems.n == 0);
		config_print(config, CONFIG_ANY, &text);
		require(text.n > 0);
	} else {
		require(config == NULL && err.code == ERR_CONFIG && problems.n > 0);
		require(problems.p[problems.n - 1] == '\n' && problems.p[0] == 'f');
	}
	return 0;
}
