/* SPDX-License-Identifier: Apache-2.0
 * Replays a corpus through a fuzz target where libFuzzer is absent: each argument is a file, or a
 * folder of which every file (not its sub-folders) is one input.  Without an argument, or with a
 * folder that holds nothing, only the empty input is tried. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int replay_file(const char *path)
{
	uint8_t *data = NULL;
	size_t n = 0, cap = 0, got;
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		return 1;
	}
	do {
		if (n == cap) {
			cap = cap ? 2 * cap : 65536;
			data = realloc(data, cap);
			if (data == NULL)
				abort();
		}
		got = fread(data + n, 1, cap - n, f);
		n += got;
	} while (got > 0);
	fclose(f);
	/* an exact copy, so that a sanitizer sees a read past the end */
	data = realloc(data, n ? n : 1);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	replayed++;
	return 0;
}

static int replay(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n, bad = 0;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return replay_file(path);
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
			bad |= replay_file(name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	printf("%zu inputs replayed\n", replayed);
	return bad;
}
