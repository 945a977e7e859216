/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/rpc/encoding.h"

#include <assert.h>

static void put_u16_view(struct buf *out, struct view v)
{
	assert(v.n <= UINT16_MAX);
	buf_put_u16(out, (uint16_t)v.n);
	buf_put(out, v.p, v.n);
}

static void put_head(struct buf *out, const struct request_encoding *request, size_t body_bytes)
{
	size_t service = strlen(request->service.s);

	assert(service > 0 && request->verb.n <= UINT8_MAX);
	buf_reserve(out, 16 + service + request->verb.n + request->path.n +
				 request->content_type.n + body_bytes);
	buf_put_u8(out, (uint8_t)request->kind);
	buf_put_short(out, request->service.s, service);
	buf_put_short(out, (const char *)request->verb.p, request->verb.n);
	put_u16_view(out, request->path);
	put_u16_view(out, request->content_type);
	buf_put_u64(out, body_bytes);
}

void request_encoding_put(struct buf *out, const struct request_encoding *request)
{
	put_head(out, request, request->body.n);
	buf_put(out, request->body.p, request->body.n);
}

void request_encoding_put_call(struct buf *out, const struct service_name *service,
			       const struct rpc_call *call)
{
	struct request_encoding head = {.kind = ENCODING_JSONRPC, .service = *service};
	struct view text = call->text, id = call->id;
	size_t before;

	assert(call->error == ERR_NONE);
	if (id.n == 0) {
		head.body = text;
		request_encoding_put(out, &head);
		return;
	}
	before = (size_t)(id.p - text.p);
	put_head(out, &head, text.n - id.n + 1);
	buf_put(out, text.p, before);
	buf_put_u8(out, '1');
	buf_put(out, id.p + id.n, text.n - before - id.n);
}

bool request_encoding_parse(struct view bytes, struct request_encoding *ret, struct err *err)
{
	struct reader r = reader_of(bytes);
	uint8_t kind = read_u8(&r);
	struct view service = read_short(&r);
	struct request_encoding request = {.kind = (enum encoding_kind)kind};
	uint64_t body_bytes;

	request.verb = read_short(&r);
	request.path = read_bytes(&r, read_u16(&r));
	request.content_type = read_bytes(&r, read_u16(&r));
	body_bytes = read_u64(&r);
	if (r.bad || body_bytes != r.left)
		return err_set(err, ERR_FORMAT, "request encoding: a length does not fit");
	request.body = read_rest(&r);
	if (kind != ENCODING_JSONRPC && kind != ENCODING_HTTP)
		return err_set(err, ERR_FORMAT, "request encoding: unknown kind %u", kind);
	if (!service_name_parse((const char *)service.p, service.n, &request.service))
		return err_set(err, ERR_FORMAT, "request encoding: not a service name");
	if (kind == ENCODING_JSONRPC &&
	    (request.verb.n > 0 || request.path.n > 0 || request.content_type.n > 0))
		return err_set(err, ERR_FORMAT,
			       "request encoding: JSON-RPC with a verb, path or content type");
	*ret = request;
	return true;
}

void response_encoding_json_head(uint8_t dst[RESPONSE_JSON_HEAD], uint64_t body_bytes)
{
	size_t type = sizeof(RESPONSE_JSON_TYPE) - 1;

	put_be16(dst, 200);
	put_be16(dst + 2, (uint16_t)type);
	memcpy(dst + 4, RESPONSE_JSON_TYPE, type);
	put_be64(dst + 4 + type, body_bytes);
}

void response_encoding_put(struct buf *out, const struct response_encoding *response)
{
	buf_reserve(out, 12 + response->content_type.n + response->body.n);
	buf_put_u16(out, response->status);
	put_u16_view(out, response->content_type);
	buf_put_u64(out, response->body.n);
	buf_put(out, response->body.p, response->body.n);
}

void response_encoding_put_refusal(struct buf *out, enum err_code code)
{
	const struct err_info *info = err_info(code);
	struct response_encoding response = {
		.status = info->wire,
		.content_type = VIEW_STR(RESPONSE_TEXT_TYPE),
		.body = VIEW_STR(info->name),
	};

	assert(info->wire != 0);
	response_encoding_put(out, &response);
}

bool response_encoding_parse(struct view bytes, struct response_encoding *ret, struct err *err)
{
	struct reader r = reader_of(bytes);
	struct response_encoding response;
	uint64_t body_bytes;

	response.status = read_u16(&r);
	response.content_type = read_bytes(&r, read_u16(&r));
	body_bytes = read_u64(&r);
	if (r.bad || body_bytes != r.left)
		return err_set(err, ERR_FORMAT, "response encoding: a length does not fit");
	response.body = read_rest(&r);
	*ret = response;
	return true;
}
