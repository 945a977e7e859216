/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/json.h"

bool audit_json_text(const json_t *object, const char *name, const char **ret, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return err_set(err, ERR_FORMAT, "\"%s\" is not a string", name);
	*ret = json_string_value(value);
	return true;
}

bool audit_json_hex(const json_t *object, const char *name, void *dst, size_t n, struct err *err)
{
	const char *text;

	if (!audit_json_text(object, name, &text, err))
		return false;
	if (!hex_decode(text, strlen(text), dst, n))
		return err_set(err, ERR_FORMAT, "\"%s\" is not %zu bytes in hex", name, n);
	return true;
}

bool audit_json_number(const json_t *object, const char *name, uint64_t *ret, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return err_set(err, ERR_FORMAT, "\"%s\" is not a whole number", name);
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

bool audit_json_array(const json_t *object, const char *name, const json_t **ret, struct err *err)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_array(value))
		return err_set(err, ERR_FORMAT, "\"%s\" is not a list", name);
	*ret = value;
	return true;
}
