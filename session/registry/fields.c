/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/fields.h"

bool field_bad(struct fields *f, const char *name, const char *why)
{
	if (!f->bad)
		err_set(f->err, ERR_FORMAT, "%s: %s[%zu].%s: %s", f->file, f->what, f->index, name,
			why);
	f->bad = true;
	return false;
}

const char *field_text(struct fields *f, const char *name, size_t *ret_n)
{
	const json_t *v = json_object_get(f->object, name);

	*ret_n = 0;
	if (!json_is_string(v)) {
		field_bad(f, name, "a string is missing");
		return "";
	}
	*ret_n = json_string_length(v);
	return json_string_value(v);
}

u128 field_u128(struct fields *f, const char *name)
{
	size_t n;
	const char *s = field_text(f, name, &n);
	u128 v = 0;

	if (!f->bad && !u128_parse(s, n, &v))
		field_bad(f, name, "not a whole decimal number");
	return v;
}

uint64_t field_u64(struct fields *f, const char *name)
{
	u128 v = field_u128(f, name);

	if (v > UINT64_MAX)
		field_bad(f, name, "over 2^64 - 1");
	return (uint64_t)v;
}

u128 field_sum(struct fields *f, const char *name)
{
	return json_object_get(f->object, name) ? field_u128(f, name) : 0;
}

void field_hex(struct fields *f, const char *name, uint8_t *dst, size_t bytes)
{
	size_t n;
	const char *s = field_text(f, name, &n);

	if (!f->bad && !hex_decode(s, n, dst, bytes))
		field_bad(f, name, "not lower-case hex of the right length");
}

void field_hex_bytes(struct fields *f, const char *name, size_t max, struct buf *dst)
{
	size_t n;
	const char *s = field_text(f, name, &n);

	if (!f->bad && n / 2 > max)
		field_bad(f, name, "too long");
	if (f->bad || n == 0)
		return;
	buf_reserve(dst, n / 2);
	if (hex_decode(s, n, dst->p + dst->n, n / 2))
		dst->n += n / 2;
	else
		field_bad(f, name, "not lower-case hex");
}

void field_base64(struct fields *f, const char *name, size_t max, struct buf *dst)
{
	size_t n, got = 0;
	const char *s = field_text(f, name, &n);

	if (!f->bad && n > base64_len(max))
		field_bad(f, name, "too long");
	if (f->bad || n == 0)
		return;
	buf_reserve(dst, n / 4 * 3);
	if (base64_decode(s, n, dst->p + dst->n, n / 4 * 3, &got))
		dst->n += got;
	else
		field_bad(f, name, "not base64");
}

void field_service(struct fields *f, const char *name, struct service_name *dst)
{
	size_t n;
	const char *s = field_text(f, name, &n);

	if (!f->bad && !service_name_parse(s, n, dst))
		field_bad(f, name, "not a service name");
}

struct fields fields_in(const char *file, const json_t *object, const char *what, size_t index,
			struct err *err)
{
	struct fields f = {file, object, what, index, err, false};

	if (!json_is_object(object))
		field_bad(&f, "*", "not an object");
	return f;
}
