/* SPDX-License-Identifier: Apache-2.0
 * Exported folders from strangers, as an auditor opens and verifies them: an honest lane, signed
 * and true, of which the input changes one file, with or without a manifest that says so.  Whatever
 * was changed, an honest supplier is never convicted: nothing that it did not sign is provable
 * ([N4]).  The method table is apart: what breaks it is provable only if it is the registry's,
 * which `session` asks, and `verify` does not. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/audit/verify.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"
#include "relay/receipt/tree.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LANE "lanes/04040404040404040404040404040404/"
enum { LANE_JSON, LEAVES, SALTS, CHECKPOINT, FINAL, EVIDENCE, EVIDENCE_IDX, METHODS, FILES };

static const char *const names[FILES] = {
	LANE "lane.json", LANE "leaves.bin",   LANE "salts.bin",    LANE "checkpoint",
	LANE "final",	  LANE "evidence.bin", LANE "evidence.idx", "methods/eth.txt"};
static const struct network_id network = {{7}};
static const struct session_id session = {{5}};
static char folder[64];
static struct relay_key *supplier, *gateway;
static struct checkpoint_lane lane;

static void clean_up(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command) != 0)
		perror(folder);
}

static void prepare(void)
{
	static const char *const folders[] = {"lanes", "methods", LANE};
	const uint8_t one[KEY_SEED_BYTES] = {1}, two[KEY_SEED_BYTES] = {2};
	struct checkpoint_origin origin = {.network = network};

	snprintf(folder, sizeof(folder), "/tmp/counterfoil-fuzz-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	atexit(clean_up);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		CLEANUP(xfree) char *path = xasprintf("%s/%s", folder, folders[i]);

		if (mkdir(path, 0700) != 0)
			abort();
	}
	supplier = relay_key_from_seed(KEY_ROLE_SUPPLIER, one);
	gateway = relay_key_from_seed(KEY_ROLE_GATEWAY, two);
	memset(origin.lane.b, 4, sizeof(origin.lane.b));
	origin.supplier = *relay_key_public(supplier);
	origin.gateway = *relay_key_public(gateway);
	checkpoint_lane_init(&lane, &origin);
}

static void put_file(const char *name, const struct buf *bytes)
{
	CLEANUP(xfree) char *path = xasprintf("%s/%s", folder, name);
	FILE *f = fopen(path, "wb");

	if (!f || (bytes->n > 0 && fwrite(bytes->p, bytes->n, 1, f) != 1) || fclose(f) != 0)
		abort();
}

/* One honest leaf with its salt and evidence, in the files of the lane. */
static void put_leaf(struct buf files[FILES], uint64_t seq, struct tree *tree)
{
	struct salt salt = {{(uint8_t)seq}};
	struct leaf leaf = {.kind = LEAF_ANSWER,
			    .status = 200,
			    .seq = seq,
			    .session = session,
			    .cu_before = seq,
			    .cu = 1,
			    .block = LEAF_BLOCK_UNKNOWN};
	struct view request = VIEW_STR("\1\3eth\0\0\0\0\0\0\0\0\0\0\0\0\0"), response;
	uint8_t bytes[LEAF_SIZE], answer[12] = {0, 200};
	struct hash hash;

	request.n = 1 + 1 + 3 + 1 + 2 + 2 + 8;
	response = VIEW(answer, sizeof(answer));
	leaf_request_hash(&lane.origin.lane, &salt, &request, 1, &leaf.request_hash);
	leaf_response_hash(&lane.origin.lane, &salt, 0, &response, 1, &leaf.response_hash);
	leaf_encode(&leaf, bytes);
	leaf_hash(bytes, &hash);
	tree_append(tree, &hash);
	buf_put(&files[LEAVES], bytes, sizeof(bytes));
	buf_put(&files[SALTS], salt.b, sizeof(salt.b));
	buf_put_u64(&files[EVIDENCE_IDX], seq);
	buf_put_u64(&files[EVIDENCE_IDX], files[EVIDENCE].n);
	buf_put_u64(&files[EVIDENCE_IDX], request.n);
	buf_put_u64(&files[EVIDENCE_IDX], response.n);
	buf_put(&files[EVIDENCE], request.p, request.n);
	buf_put(&files[EVIDENCE], response.p, response.n);
}

static void build(struct choices *c, struct buf files[FILES])
{
	uint64_t size = 1 + choose_below(c, 4), cosigned = 1 + choose_below(c, size);
	struct checkpoint head = {.size = size}, final = {.size = cosigned};
	struct buf *json = &files[LANE_JSON];
	struct tree tree;

	tree_init(&tree);
	for (uint64_t seq = 0; seq < size; seq++) {
		put_leaf(files, seq, &tree);
		if (tree.size == cosigned)
			tree_root(&tree, &final.root);
	}
	tree_root(&tree, &head.root);
	checkpoint_sign(&lane, supplier, &head);
	checkpoint_sign(&lane, supplier, &final);
	checkpoint_cosign(&lane, gateway, 1000, &final);
	checkpoint_put_note(&lane, &head, &files[CHECKPOINT]);
	checkpoint_put_note(&lane, &final, &files[FINAL]);
	buf_put_str(json, "{\"gateway\":\"");
	buf_put_hex(json, lane.origin.gateway.b, 32);
	buf_put_str(json, "\",\"supplier\":\"");
	buf_put_hex(json, lane.origin.supplier.b, 32);
	buf_putf(json,
		 "\",\"size\":%u,\"state\":\"closed\",\"adopted\":[[0,1]],\"undelivered\":[],",
		 (unsigned)size);
	buf_put_str(json, "\"sessions\":[{\"id\":\"");
	buf_put_hex(json, session.b, 32);
	buf_put_str(json, "\",\"application\":\"");
	buf_put_hex(json, session.b, 32);
	buf_put_str(json, "\",\"service\":\"eth\",\"start\":60}]}");
	buf_put_str(&files[METHODS], "counterfoil/methods/v1\nevm\n0 * 2 1\n");
}

static void put_manifest(const struct buf files[FILES], struct buf *damage_here, struct choices *c)
{
	buf_put_str(damage_here, "{\"version\":1,\"network\":\"");
	buf_put_hex(damage_here, network.b, 32);
	buf_put_str(damage_here, "\",\"self\":\"");
	buf_put_hex(damage_here, lane.origin.gateway.b, 32);
	buf_put_str(damage_here, "\",\"role\":\"gateway\",\"files\":[");
	for (size_t i = 0; i < FILES; i++) {
		struct hash digest;

		sha256(files[i].p, files[i].n, &digest);
		buf_putf(damage_here, "%s{\"path\":\"%s\",\"sha256\":\"", i ? "," : "", names[i]);
		buf_put_hex(damage_here, digest.b, 32);
		buf_put_str(damage_here, "\"}");
	}
	buf_put_str(damage_here, "]}");
	while (choose_damage(c, damage_here))
		;
	put_file("manifest.json", damage_here);
}

/* Findings that convict the supplier, whichever method table was exported. */
static size_t convictions(const struct audit_report *report)
{
	size_t found = 0;

	for (size_t i = 0; i < report->n; i++) {
		const struct audit_finding *f = &report->finding[i];
		bool by_table = strcmp(f->kind, "cu") == 0 || strcmp(f->kind, "method") == 0;

		found += f->weight == AUDIT_PROVABLE && !by_table;
	}
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	struct buf files[FILES] = {{0}}, manifest = {0};
	struct audit_report report = {0};
	struct audit_folder opened;
	bool changed = false, honest;
	struct err err = {0};
	size_t which;

	if (!supplier)
		prepare();
	build(&c, files);
	which = choose_below(&c, FILES);
	while (choose_damage(&c, &files[which]))
		changed = true;
	for (size_t i = 0; i < FILES; i++)
		put_file(names[i], &files[i]);
	honest = !changed && c.left == 0;
	put_manifest(files, &manifest, &c);
	if (audit_folder_open(folder, &report, &opened, &err)) {
		audit_verify(&opened, &report);
		audit_folder_finish(&opened);
		assert(convictions(&report) == 0);
		assert(which == METHODS || report.weights[AUDIT_PROVABLE] == 0);
		assert(!honest || audit_report_status(&report) != AUDIT_FINDINGS);
	} else {
		assert(!honest && (err.code == ERR_FORMAT || err.code == ERR_IO));
	}
	audit_report_finish(&report);
	buf_finish(&manifest);
	for (size_t i = 0; i < FILES; i++)
		buf_finish(&files[i]);
	return 0;
}
