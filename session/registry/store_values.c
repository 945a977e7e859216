/* SPDX-License-Identifier: Apache-2.0
 * Values in and out of statements. */
#include "session/registry/store_inside.h"

#include <assert.h>

#include "relay/base/bytes.h"

void bind_bytes(sqlite3_stmt *stmt, int at, const void *p, size_t n)
{
	int rc = sqlite3_bind_blob(stmt, at, p, (int)n, SQLITE_TRANSIENT);

	assert(rc == SQLITE_OK);
}

void bind_text(sqlite3_stmt *stmt, int at, const char *s)
{
	int rc = sqlite3_bind_text(stmt, at, s, -1, SQLITE_TRANSIENT);

	assert(rc == SQLITE_OK);
}

void bind_height(sqlite3_stmt *stmt, int at, uint64_t v)
{
	int rc = sqlite3_bind_int64(stmt, at, (sqlite3_int64)MIN(v, (uint64_t)INT64_MAX));

	assert(rc == SQLITE_OK);
}

void bind_amount(sqlite3_stmt *stmt, int at, u128 v)
{
	char text[U128_TEXT_MAX];

	bind_text(stmt, at, u128_text(v, text));
}

void bind_sum(sqlite3_stmt *stmt, int at, u128 v)
{
	uint8_t bytes[16];

	put_be128(bytes, v);
	bind_bytes(stmt, at, bytes, sizeof(bytes));
}

bool column_bytes(sqlite3_stmt *stmt, int at, void *dst, size_t n)
{
	const void *p = sqlite3_column_blob(stmt, at);

	if (!p || (size_t)sqlite3_column_bytes(stmt, at) != n)
		return false;
	memcpy(dst, p, n);
	return true;
}

bool column_amount(sqlite3_stmt *stmt, int at, u128 *ret)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return text && u128_parse(text, (size_t)sqlite3_column_bytes(stmt, at), ret);
}

bool column_sum(sqlite3_stmt *stmt, int at, u128 *ret)
{
	uint8_t bytes[16];

	if (!column_bytes(stmt, at, bytes, sizeof(bytes)))
		return false;
	*ret = get_be128(bytes);
	return true;
}

bool column_u64(sqlite3_stmt *stmt, int at, uint64_t *ret)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return text && u64_parse(text, (size_t)sqlite3_column_bytes(stmt, at), ret);
}

bool column_service(sqlite3_stmt *stmt, int at, struct service_name *ret)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return text && service_name_parse(text, (size_t)sqlite3_column_bytes(stmt, at), ret);
}
