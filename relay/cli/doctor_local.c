/* SPDX-License-Identifier: Apache-2.0
 * What can be seen on this machine: key, disk, files. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/cli/cli.h"
#include "relay/cli/doctor.h"
#include "relay/cli/program.h"

void doctor_key(struct doctor *doctor)
{
	const struct config *c = doctor->config;
	bool is_node = doctor->role == CONFIG_NODE;
	enum key_role role = is_node ? KEY_ROLE_SUPPLIER : KEY_ROLE_GATEWAY;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	const char *path = is_node ? c->node.key : c->gateway.key;
	char text[2 * sizeof(doctor->self.b) + 1];
	struct key_file_info info;
	struct err err;

	if (access(path, F_OK) != 0) {
		doctor_fix(doctor, "key", "%s: %s; make one: counterfoil key new %s %s", path,
			   strerror(errno), key_role_name(role), path);
		return;
	}
	if (relay_key_peek(path, &info, &err) && info.role == role) {
		doctor->self = info.public;
		doctor->has_self = true;
	}
	if (!relay_key_open(path, is_node ? c->node.passphrase_file : c->gateway.passphrase_file,
			    role, &key, &err))
		doctor_fix(doctor, "key", "%s", err.msg);
	else
		doctor_pass("key", "%s is %s", path,
			    hex_encode(doctor->self.b, sizeof(doctor->self.b), text));
}

/* The folder itself, or the nearest one above it that is there. */
static void existing_folder(const char *dir, char *ret, size_t cap)
{
	struct stat st;

	snprintf(ret, cap, "%s", dir);
	while (stat(ret, &st) != 0 && strcmp(ret, "/") != 0 && strcmp(ret, ".") != 0) {
		char *up = dirname(ret);

		memmove(ret, up, strlen(up) + 1);
	}
}

void doctor_disk(struct doctor *doctor)
{
	const struct config *c = doctor->config;
	uint64_t free_bytes, want = MIN(c->ledger.max_bytes, DOCTOR_DISK_MIN);
	struct statvfs fs;
	char folder[4096];

	existing_folder(c->ledger.dir, folder, sizeof(folder));
	if (access(folder, W_OK | X_OK) != 0) {
		doctor_fix(doctor, "disk", "%s: %s; let this user write there", folder,
			   strerror(errno));
		return;
	}
	if (statvfs(folder, &fs) != 0) {
		doctor_fix(doctor, "disk", "%s: %s", folder, strerror(errno));
		return;
	}
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes < want)
		doctor_fix(doctor, "disk", "%s: only %" PRIu64 " MiB free; make room", folder,
			   free_bytes >> 20);
	else if (free_bytes < c->ledger.max_bytes && strcmp(folder, c->ledger.dir) != 0)
		doctor_fix(doctor, "disk",
			   "%s: %" PRIu64 " MiB free, but ledger.max_bytes is %" PRIu64
			   " MiB; make room or set ledger.max_bytes lower",
			   folder, free_bytes >> 20, c->ledger.max_bytes >> 20);
	else
		doctor_pass("disk", "%s: %" PRIu64 " MiB free", folder, free_bytes >> 20);
}

void doctor_files(struct doctor *doctor)
{
	uint64_t want = program_files(doctor->config, doctor->role);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		doctor_fix(doctor, "files", "%s", strerror(errno));
	else if (files.rlim_max < want)
		doctor_fix(doctor, "files",
			   "%ju files may be open, the limits on connections ask for %" PRIu64
			   "; set LimitNOFILE= of the unit (or ulimit -Hn) to that",
			   (uintmax_t)files.rlim_max, want);
	else
		doctor_pass("files", "%ju may be open, %" PRIu64 " can be asked for",
			    (uintmax_t)files.rlim_max, want);
}
