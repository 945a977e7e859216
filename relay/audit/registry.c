/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/registry.h"

#include "relay/receipt/note.h"
#include "session/registry/view.h"

#define REGISTRY_KEY_PREFIX "counterfoil/registry/"

/* The key that a registry file says it is signed by. */
static bool named_key(struct view registry, struct key_id *ret, struct err *err)
{
	static const size_t prefix = sizeof(REGISTRY_KEY_PREFIX) - 1;
	struct note note;

	if (!note_parse(registry, EXPORT_MAX, &note, err))
		return false;
	struct view name = note.sig[0].name;
	if (name.n != prefix + 64 || memcmp(name.p, REGISTRY_KEY_PREFIX, prefix) != 0 ||
	    !hex_decode((const char *)name.p + prefix, 64, ret->b, sizeof(ret->b)))
		return err_set(err, ERR_NOTE, "the registry file names no registry key");
	return true;
}

static bool find_key(struct view bytes, const struct key_id *pinned, struct audit_report *report,
		     struct key_id *ret, struct err *err)
{
	char hex[65];

	if (pinned != NULL) {
		*ret = *pinned;
		return true;
	}
	if (!named_key(bytes, ret, err))
		return false;
	audit_find(report, AUDIT_NOTE, "registry_key", NULL, AUDIT_NO_SEQ,
		   "%s, by the file's own word: pin the network's",
		   hex_encode(ret->b, sizeof(ret->b), hex));
	return true;
}

bool audit_registry_open(struct view bytes, const struct key_id *pinned,
			 const struct network_id *network, struct audit_report *report,
			 struct audit_registry *ret)
{
	struct registry_export *export = &ret->export;
	struct err err;

	*ret = (struct audit_registry){.view = NULL};
	if (!find_key(bytes, pinned, report, &ret->key, &err) ||
	    !registry_export_parse(bytes, &ret->key, export, &err) ||
	    !registry_export_check_grants(export, &err) ||
	    !registry_export_check_tables(export, &err)) {
		audit_find(report, AUDIT_LOCAL, "registry", NULL, AUDIT_NO_SEQ, "%s", err.msg);
		return false;
	}
	if (network != NULL && !ID_EQ(history_network(export->history), network)) {
		audit_find(report, AUDIT_LOCAL, "network", NULL, AUDIT_NO_SEQ,
			   "the registry file is of another network");
		return false;
	}
	height_t last = export->seeds.n > 0 ? export->seeds.v[export->seeds.n - 1].height : 0;
	ret->view = registry_view_create(export->history, &ret->key, &export->seeds, last, NULL);
	return true;
}

void audit_registry_finish(struct audit_registry *r)
{
	if (r->view != NULL)
		registry_view_unref(r->view);
	registry_export_finish(&r->export);
	*r = (struct audit_registry){.view = NULL};
}
