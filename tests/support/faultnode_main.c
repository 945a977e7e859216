/* SPDX-License-Identifier: Apache-2.0
 * faultnode PORT [SCRIPT.json]: see faultnode.h.  Prints "listening PORT" and runs until killed. */
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "relay/base/mem.h"
#include "tests/support/faultnode.h"

static bool script_load(struct faultnode *node, const char *path, struct err *err)
{
	CLEANUP(buf_finish) struct buf text = {0};
	FILE *file = fopen(path, "r");
	char part[4096];
	size_t n;

	if (!file)
		return err_set(err, ERR_IO, "cannot open %s", path);
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		buf_put(&text, part, n);
	fclose(file);
	return faultnode_script(node, buf_cstr(&text), err);
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct faultnode *node = NULL;
	uint64_t port = 0;
	struct err err;

	if (argc < 2 || !u64_parse(argv[1], strlen(argv[1]), &port) || port > 65535) {
		fprintf(stderr, "usage: faultnode PORT [SCRIPT.json]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (!faultnode_create(base, (uint16_t)port, &node, &err) ||
	    (argc > 2 && !script_load(node, argv[2], &err))) {
		fprintf(stderr, "faultnode: %s\n", err.msg);
		return 1;
	}
	printf("listening %u\n", faultnode_port(node));
	fflush(stdout);
	event_base_dispatch(base);
	return 0;
}
