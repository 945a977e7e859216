/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/folder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/audit/folder_inside.h"
#include "relay/audit/json.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"

#define REGISTRY_NOTE_MAX (64u << 20)
#define FILE_MAX (UINT64_C(1) << 40)
#define PATH_MAX_BYTES 512

bool audit_map(const char *path, uint64_t max_bytes, struct view *ret, bool *ret_missing,
	       struct err *err)
{
	struct stat st;
	void *p = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		*ret = VIEW(NULL, 0);
		*ret_missing = true;
		return true;
	}
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		err_set(err, ERR_IO, "%s: %s", path, fd < 0 ? strerror(errno) : "not a file");
		if (fd >= 0)
			close(fd);
		return false;
	}
	if ((uint64_t)st.st_size > max_bytes) {
		close(fd);
		return err_set(err, ERR_RANGE, "%s: larger than %" PRIu64 " bytes", path,
			       max_bytes);
	}
	if (st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	*ret = VIEW(p, (size_t)st.st_size);
	*ret_missing = false;
	return true;
}

void audit_unmap(struct view map)
{
	if (map.p != NULL)
		munmap((void *)(uintptr_t)map.p, map.n);
}

bool audit_folder_map(struct audit_folder *folder, const char *relative, uint64_t max_bytes,
		      struct view *ret, bool *ret_missing, struct err *err)
{
	CLEANUP(xfree) char *path = xasprintf("%s/%s", folder->path, relative);

	if (!audit_map(path, max_bytes, ret, ret_missing, err))
		return false;
	if (ret->p == NULL)
		return true;
	if (folder->maps_n == folder->maps_cap) {
		folder->maps_cap = folder->maps_cap ? 2 * folder->maps_cap : 64;
		folder->maps = xrealloc(folder->maps, folder->maps_cap * sizeof(*folder->maps));
	}
	folder->maps[folder->maps_n++] = *ret;
	return true;
}

/* A path that stays inside the folder: relative, of plain names, no "." or "..". */
static bool path_is_inside(const char *path)
{
	size_t n = strlen(path);

	if (n == 0 || n > PATH_MAX_BYTES || path[0] == '/')
		return false;
	for (const char *part = path;; part++) {
		size_t len = strcspn(part, "/");

		if (len == 0 || (len == 1 && part[0] == '.') || strncmp(part, "..", 2) == 0)
			return false;
		part += len;
		if (*part == '\0')
			return true;
	}
}

/* Compares one file with its row of the manifest.  False when it is not there or not the same. */
static bool check_file(struct audit_folder *folder, const json_t *row, struct audit_report *report,
		       const char **ret_path)
{
	struct hash want, got;
	const char *path;
	struct view map;
	bool missing;
	struct err err;

	if (!audit_json_text(row, "path", &path, &err) ||
	    !audit_json_hex(row, "sha256", want.b, sizeof(want.b), &err)) {
		audit_find(report, AUDIT_LOCAL, "manifest", NULL, AUDIT_NO_SEQ, "%s", err.msg);
		return false;
	}
	if (!path_is_inside(path)) {
		audit_find(report, AUDIT_LOCAL, "manifest", NULL, AUDIT_NO_SEQ,
			   "a path leads out of the folder");
		return false;
	}
	CLEANUP(xfree) char *full = xasprintf("%s/%s", folder->path, path);
	if (!audit_map(full, FILE_MAX, &map, &missing, &err)) {
		audit_find(report, AUDIT_LOCAL, "file", NULL, AUDIT_NO_SEQ, "%s", err.msg);
		return false;
	}
	if (missing) {
		audit_find(report, AUDIT_LOCAL, "file", NULL, AUDIT_NO_SEQ, "%s is missing", path);
		return false;
	}
	sha256(map.p, map.n, &got);
	audit_unmap(map);
	if (!ID_EQ(&got, &want)) {
		audit_find(report, AUDIT_LOCAL, "file", NULL, AUDIT_NO_SEQ,
			   "%s is not what the manifest says", path);
		return false;
	}
	audit_count(report, "files", 1);
	*ret_path = path;
	return true;
}

/* "methods/<service>.txt" */
static void read_methods(struct audit_folder *folder, const char *path, struct audit_report *report)
{
	struct service_name service;
	struct method_table *table;
	size_t n = strlen(path);
	struct view map;
	bool missing;
	struct err err;

	if (n < 12 || strcmp(path + n - 4, ".txt") != 0 ||
	    !service_name_parse(path + 8, n - 12, &service)) {
		audit_find(report, AUDIT_LOCAL, "methods", NULL, AUDIT_NO_SEQ,
			   "%s is not named after a service", path);
		return;
	}
	if (!audit_folder_map(folder, path, METHOD_TABLE_BYTES_MAX, &map, &missing, &err) ||
	    !method_table_parse(map, &table, &err)) {
		audit_find(report, AUDIT_LOCAL, "methods", NULL, AUDIT_NO_SEQ, "%s: %s", path,
			   err.msg);
		return;
	}
	folder->methods =
		xrealloc(folder->methods, (folder->methods_n + 1) * sizeof(*folder->methods));
	folder->methods[folder->methods_n++] = (struct audit_methods){service, table};
}

/* "lanes/<hex>/lane.json" begins a lane; whether it has tiles shows in the paths after it. */
static void read_lane(struct audit_folder *folder, const char *path, struct audit_report *report)
{
	struct lane_id id;
	struct err err;

	if (strlen(path) != 6 + 32 + 10 || strcmp(path + 38, "/lane.json") != 0 ||
	    !hex_decode(path + 6, 32, id.b, sizeof(id.b)))
		return; /* another file of a lane, which lane.json brings in */
	if (folder->lanes_n == folder->lanes_cap) {
		folder->lanes_cap = folder->lanes_cap ? 2 * folder->lanes_cap : 16;
		folder->lanes = xrealloc(folder->lanes, folder->lanes_cap * sizeof(*folder->lanes));
	}
	struct audit_lane *lane = &folder->lanes[folder->lanes_n];
	memset(lane, 0, sizeof(*lane));
	if (audit_folder_read_lane(folder, &id, lane, &err)) {
		folder->lanes_n++;
		return;
	}
	audit_lane_finish(lane);
	audit_find(report, AUDIT_LOCAL, "lane", &id, AUDIT_NO_SEQ, "%s", err.msg);
}

static bool read_manifest(struct audit_folder *folder, const json_t *manifest,
			  struct audit_report *report, struct err *err)
{
	const json_t *files;
	const char *role;
	uint64_t version;

	if (!json_is_object(manifest))
		return err_set(err, ERR_FORMAT, "not a JSON object");
	if (!audit_json_number(manifest, "version", &version, err) ||
	    !audit_json_hex(manifest, "network", folder->network.b, 32, err) ||
	    !audit_json_hex(manifest, "self", folder->self.b, 32, err) ||
	    !audit_json_text(manifest, "role", &role, err) ||
	    !audit_json_array(manifest, "files", &files, err))
		return false;
	if (version != 1)
		return err_set(err, ERR_FORMAT, "version %" PRIu64 " of an export", version);
	if (strcmp(role, "gateway") != 0 && strcmp(role, "supplier") != 0)
		return err_set(err, ERR_FORMAT, "\"role\" is neither gateway nor supplier");
	folder->role = role[0] == 'g' ? AUDIT_GATEWAY : AUDIT_SUPPLIER;

	audit_count(report, "files", 0);
	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *path;
		bool missing;

		if (!check_file(folder, json_array_get(files, i), report, &path))
			continue;
		if (strncmp(path, "methods/", 8) == 0)
			read_methods(folder, path, report);
		else if (strncmp(path, "lanes/", 6) == 0)
			read_lane(folder, path, report);
		else if (strcmp(path, "registry.note") == 0 &&
			 !audit_folder_map(folder, path, REGISTRY_NOTE_MAX, &folder->registry,
					   &missing, err))
			return false;
	}
	return true;
}

static int lane_cmp(const void *a, const void *b)
{
	const struct audit_lane *x = a, *y = b;

	return memcmp(x->parties.origin.lane.b, y->parties.origin.lane.b, 16);
}

static int methods_cmp(const void *a, const void *b)
{
	const struct audit_methods *x = a, *y = b;

	return strcmp(x->service.s, y->service.s);
}

bool audit_folder_open(const char *path, struct audit_report *report, struct audit_folder *ret,
		       struct err *err)
{
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.path = xstrdup(path)};
	json_error_t why;
	struct view map;
	bool missing;

	if (!audit_folder_map(&folder, "manifest.json", AUDIT_MANIFEST_MAX, &map, &missing, err))
		return false;
	if (missing)
		return err_set(err, ERR_IO, "%s: no manifest.json: not an export", path);
	json_t *manifest = json_loadb((const char *)map.p, map.n, JSON_REJECT_DUPLICATES, &why);
	if (manifest == NULL)
		return err_set(err, ERR_FORMAT, "%s/manifest.json: line %d: %s", path, why.line,
			       why.text);
	bool fine = read_manifest(&folder, manifest, report, err);
	json_decref(manifest);
	if (!fine)
		return err_prefix(err, "%s/manifest.json", path);
	if (folder.lanes_n > 0)
		qsort(folder.lanes, folder.lanes_n, sizeof(*folder.lanes), lane_cmp);
	if (folder.methods_n > 0)
		qsort(folder.methods, folder.methods_n, sizeof(*folder.methods), methods_cmp);
	*ret = folder;
	memset(&folder, 0, sizeof(folder));
	return true;
}

void audit_folder_finish(struct audit_folder *folder)
{
	for (size_t i = 0; i < folder->lanes_n; i++)
		audit_lane_finish(&folder->lanes[i]);
	for (size_t i = 0; i < folder->methods_n; i++)
		method_table_destroy(folder->methods[i].table);
	for (size_t i = 0; i < folder->maps_n; i++)
		audit_unmap(folder->maps[i]);
	free(folder->lanes);
	free(folder->methods);
	free(folder->maps);
	free(folder->path);
	memset(folder, 0, sizeof(*folder));
}

const struct audit_lane *audit_folder_lane(const struct audit_folder *folder,
					   const struct lane_id *id)
{
	struct audit_lane key;

	key.parties.origin.lane = *id;
	if (folder->lanes_n == 0)
		return NULL;
	return bsearch(&key, folder->lanes, folder->lanes_n, sizeof(key), lane_cmp);
}

const struct method_table *audit_folder_methods(const struct audit_folder *folder,
						const struct service_name *service)
{
	for (size_t i = 0; i < folder->methods_n; i++)
		if (strcmp(folder->methods[i].service.s, service->s) == 0)
			return folder->methods[i].table;
	return NULL;
}
