/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"

void sl_json_init(struct sl_json *json)
{
	memset(json, 0, sizeof(*json));
}

static void put(struct sl_json *json, const char *data, size_t bytes)
{
	if (json->failed)
		return;
	if (json->room - json->bytes < bytes + 1) {
		size_t room = (json->bytes + bytes + 1) * 2;
		char *text = realloc(json->text, room);

		if (!text) {
			json->failed = true;
			return;
		}
		json->text = text;
		json->room = room;
	}
	memcpy(json->text + json->bytes, data, bytes);
	json->bytes += bytes;
	json->text[json->bytes] = 0;
}

/* Length of the UTF-8 character at p, 0 when it is none (overlong forms and surrogates included).
 */
static uint32_t utf8_bytes(const unsigned char *p)
{
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return (p[1] & 0xc0) == 0x80 ? 2 : 0;
	if ((p[0] & 0xf0) == 0xe0) {
		if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
			return 0;
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
			return 0;
		if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

static void put_quoted(struct sl_json *json, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	put(json, "\"", 1);
	while (*p) {
		uint32_t bytes = utf8_bytes(p);
		char escape[8];

		if (bytes == 0) {
			put(json, "\\ufffd", 6);
			bytes = 1;
		} else if (*p == '"' || *p == '\\') {
			snprintf(escape, sizeof(escape), "\\%c", *p);
			put(json, escape, 2);
		} else if (*p < 0x20 || *p == 0x7f) {
			snprintf(escape, sizeof(escape), "\\u%04x", *p);
			put(json, escape, 6);
		} else {
			put(json, (const char *)p, bytes);
		}
		p += bytes;
	}
	put(json, "\"", 1);
}

static void item_begin(struct sl_json *json, const char *key)
{
	if (json->depth > 0) {
		bool *has = &json->has_item[json->depth - 1];

		SL_ASSERT((json->close[json->depth - 1] == '}') == (key != NULL));
		if (*has)
			put(json, ",", 1);
		*has = true;
	}
	if (key) {
		put_quoted(json, key);
		put(json, ":", 1);
	}
}

static void open_level(struct sl_json *json, const char *key, const char *open, char close)
{
	SL_ASSERT(json->depth < SL_JSON_DEPTH_MAX);
	item_begin(json, key);
	put(json, open, 1);
	json->has_item[json->depth] = false;
	json->close[json->depth] = close;
	json->depth++;
}

void sl_json_object(struct sl_json *json, const char *key)
{
	open_level(json, key, "{", '}');
}

void sl_json_array(struct sl_json *json, const char *key)
{
	open_level(json, key, "[", ']');
}

void sl_json_end(struct sl_json *json)
{
	SL_ASSERT(json->depth > 0);
	json->depth--;
	put(json, &json->close[json->depth], 1);
}

void sl_json_text(struct sl_json *json, const char *key, const char *value)
{
	item_begin(json, key);
	if (value)
		put_quoted(json, value);
	else
		put(json, "null", 4);
}

static void put_number(struct sl_json *json, const char *key, const char *text)
{
	item_begin(json, key);
	put(json, text, strlen(text));
}

void sl_json_u64(struct sl_json *json, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	put_number(json, key, text);
}

void sl_json_i64(struct sl_json *json, const char *key, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	put_number(json, key, text);
}

void sl_json_bool(struct sl_json *json, const char *key, bool value)
{
	put_number(json, key, value ? "true" : "false");
}

char *sl_json_finish(struct sl_json *json, size_t *bytes)
{
	SL_ASSERT(json->depth == 0);
	if (json->failed) {
		free(json->text);
		json->text = NULL;
		return NULL;
	}
	*bytes = json->bytes;
	return json->text;
}
