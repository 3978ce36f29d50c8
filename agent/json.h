/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON into memory that grows. Commas are the writer's business: the caller names what
 * comes. Any one thread; an allocation that fails is remembered and told by sl_json_finish(),
 * nothing crashes before.
 */
#ifndef SL_AGENT_JSON_H
#define SL_AGENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SL_JSON_DEPTH_MAX = 16 };

struct sl_json {
	char *text;
	size_t bytes, room;
	bool failed;
	uint32_t depth;
	bool has_item[SL_JSON_DEPTH_MAX];
	char close[SL_JSON_DEPTH_MAX];
};

void sl_json_init(struct sl_json *json);

/* key is NULL inside an array and for the outermost value. */
void sl_json_object(struct sl_json *json, const char *key);
void sl_json_array(struct sl_json *json, const char *key);
void sl_json_end(struct sl_json *json);
/* NULL is written as null; control characters, quotes and bytes that are not UTF-8 are escaped or
 * replaced. */
void sl_json_text(struct sl_json *json, const char *key, const char *value);
void sl_json_u64(struct sl_json *json, const char *key, uint64_t value);
void sl_json_i64(struct sl_json *json, const char *key, int64_t value);
void sl_json_bool(struct sl_json *json, const char *key, bool value);

/* The text, NUL-terminated, the caller's to free; NULL when memory ran out. All that was opened is
 * closed (asserted). */
char *sl_json_finish(struct sl_json *json, size_t *bytes);

#endif
