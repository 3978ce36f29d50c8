/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/envelope.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

enum { HEADERS_MAX = 256 };

enum field { FIELD_OTHER, FIELD_KEY, FIELD_PAYLOAD, FIELD_KEY_BASE64, FIELD_PAYLOAD_BASE64, FIELD_TS, FIELD_HEADERS };

/* Positions in the arena, since it moves while it grows. */
struct span {
	size_t at, bytes;
	bool present, null;
};

struct envelope {
	char *arena;
	size_t used, room;
	enum field field;
	uint32_t depth;
	bool in_headers;
	struct span key, payload;
	struct span headers[2 * HEADERS_MAX];
	uint32_t header_parts;
	struct sluice_header out[HEADERS_MAX];
	long long ts;
	const char *error;
};

struct envelope *envelope_create(void)
{
	return calloc(1, sizeof(struct envelope));
}

void envelope_destroy(struct envelope *e)
{
	if (e)
		free(e->arena);
	free(e);
}

static char *arena_take(struct envelope *e, size_t bytes)
{
	if (e->used + bytes > e->room) {
		size_t room = 2 * (e->used + bytes) + 4096;
		char *arena = realloc(e->arena, room);

		if (!arena) {
			e->error = "no memory";
			return NULL;
		}
		e->arena = arena;
		e->room = room;
	}
	e->used += bytes;
	return e->arena + e->used - bytes;
}

static int span_put(struct envelope *e, struct span *span, const unsigned char *text, size_t bytes)
{
	char *at = arena_take(e, bytes);

	if (!at)
		return 0;
	memcpy(at, text, bytes);
	*span = (struct span){.at = (size_t)(at - e->arena), .bytes = bytes, .present = true};
	return 1;
}

static int base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int span_put_base64(struct envelope *e, struct span *span, const unsigned char *text, size_t bytes)
{
	unsigned int bits = 0, have = 0;
	size_t start = e->used, i;

	while (bytes > 0 && text[bytes - 1] == '=')
		bytes--;
	for (i = 0; i < bytes; i++) {
		int value = base64_value(text[i]);
		char *at;

		if (value < 0) {
			e->error = "not base64";
			return 0;
		}
		bits = bits << 6 | (unsigned int)value;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		at = arena_take(e, 1);
		if (!at)
			return 0;
		*at = (char)(bits >> have);
	}
	*span = (struct span){.at = start, .bytes = e->used - start, .present = true};
	return 1;
}

static int header_part(struct envelope *e, const unsigned char *text, size_t bytes, bool null)
{
	struct span *span = &e->headers[e->header_parts];

	if (e->header_parts == 2 * HEADERS_MAX) {
		e->error = "more than 256 headers";
		return 0;
	}
	e->header_parts++;
	if (!null)
		return span_put(e, span, text, bytes);
	*span = (struct span){.present = true, .null = true};
	return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t bytes)
{
	struct envelope *e = ctx;

	if (e->in_headers)
		return header_part(e, text, bytes, false);
	if (e->depth != 1)
		return 1;
	switch (e->field) {
	case FIELD_KEY:
		return e->key.present ? 1 : span_put(e, &e->key, text, bytes);
	case FIELD_PAYLOAD:
		return e->payload.present ? 1 : span_put(e, &e->payload, text, bytes);
	case FIELD_KEY_BASE64:
		return span_put_base64(e, &e->key, text, bytes);
	case FIELD_PAYLOAD_BASE64:
		return span_put_base64(e, &e->payload, text, bytes);
	default:
		return 1;
	}
}

static int on_null(void *ctx)
{
	struct envelope *e = ctx;

	return e->in_headers ? header_part(e, NULL, 0, true) : 1;
}

static int on_integer(void *ctx, long long value)
{
	struct envelope *e = ctx;

	if (e->depth == 1 && !e->in_headers && e->field == FIELD_TS)
		e->ts = value;
	return 1;
}

static int on_map_key(void *ctx, const unsigned char *text, size_t bytes)
{
	static const struct {
		const char *name;
		enum field field;
	} fields[] = {{"key", FIELD_KEY},
		      {"payload", FIELD_PAYLOAD},
		      {"key_base64", FIELD_KEY_BASE64},
		      {"payload_base64", FIELD_PAYLOAD_BASE64},
		      {"ts", FIELD_TS},
		      {"headers", FIELD_HEADERS}};
	struct envelope *e = ctx;
	size_t i;

	if (e->depth != 1)
		return 1;
	e->field = FIELD_OTHER;
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strlen(fields[i].name) == bytes && memcmp(fields[i].name, text, bytes) == 0)
			e->field = fields[i].field;
	return 1;
}

static int on_map_start(void *ctx)
{
	((struct envelope *)ctx)->depth++;
	return 1;
}

static int on_map_end(void *ctx)
{
	((struct envelope *)ctx)->depth--;
	return 1;
}

static int on_array_start(void *ctx)
{
	struct envelope *e = ctx;

	e->in_headers = e->depth == 1 && e->field == FIELD_HEADERS;
	return 1;
}

static int on_array_end(void *ctx)
{
	((struct envelope *)ctx)->in_headers = false;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_integer = on_integer,
	.yajl_string = on_string,
	.yajl_start_map = on_map_start,
	.yajl_map_key = on_map_key,
	.yajl_end_map = on_map_end,
	.yajl_start_array = on_array_start,
	.yajl_end_array = on_array_end,
};

static const void *span_data(const struct envelope *e, const struct span *span)
{
	/* An empty string is not null: it needs an address of its own. */
	return !span->present || span->null ? NULL : span->bytes ? e->arena + span->at : "";
}

static int record_fill(struct envelope *e, struct sluice_record *record)
{
	uint32_t i;

	record->key = span_data(e, &e->key);
	record->key_bytes = (int32_t)e->key.bytes;
	record->value = span_data(e, &e->payload);
	record->value_bytes = (int32_t)e->payload.bytes;
	record->timestamp_ms = e->ts > 0 ? e->ts : 0;
	if (e->header_parts % 2 != 0) {
		e->error = "headers: a name without value";
		return -EINVAL;
	}
	for (i = 0; i < e->header_parts / 2; i++) {
		const struct span *name = &e->headers[2 * i], *value = &e->headers[2 * i + 1];

		e->out[i] = (struct sluice_header){.name = name->null ? "" : span_data(e, name),
						   .name_bytes = (int32_t)name->bytes,
						   .value = span_data(e, value),
						   .value_bytes = (int32_t)value->bytes};
	}
	record->headers = e->out;
	record->header_count = e->header_parts / 2;
	return 0;
}

int envelope_parse(struct envelope *e, const char *json, size_t bytes, struct sluice_record *record, char *error,
		   size_t error_bytes)
{
	yajl_handle parser = yajl_alloc(&callbacks, NULL, e);
	int rc = 0;

	e->used = 0;
	e->depth = 0;
	e->in_headers = false;
	e->header_parts = 0;
	e->key = (struct span){0};
	e->payload = (struct span){0};
	e->ts = 0;
	e->error = NULL;
	yajl_config(parser, yajl_dont_validate_strings, 1);
	if (yajl_parse(parser, (const unsigned char *)json, bytes) != yajl_status_ok ||
	    yajl_complete_parse(parser) != yajl_status_ok) {
		if (!e->error)
			e->error = "not a JSON object";
		rc = -EINVAL;
	}
	yajl_free(parser);
	if (rc == 0)
		rc = record_fill(e, record);
	if (rc < 0)
		snprintf(error, error_bytes, "%s", e->error);
	return rc;
}
