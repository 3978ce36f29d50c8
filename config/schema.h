/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of settings. Each is one row; parser, validator, dump, diff, reference text and tests
 * walk the rows, so a new setting is a row and a field. Private to config/ and its tests.
 */
#ifndef SL_CONFIG_SCHEMA_H
#define SL_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sl_config_type {
	SL_CONFIG_BOOL,     /* bool */
	SL_CONFIG_INT,      /* int32_t */
	SL_CONFIG_COUNT,    /* uint32_t */
	SL_CONFIG_SIZE,     /* uint64_t, bytes */
	SL_CONFIG_DURATION, /* uint64_t, microseconds */
	SL_CONFIG_ENUM,     /* int32_t */
	SL_CONFIG_FLAGS,    /* uint32_t, a list of names */
	SL_CONFIG_STRING,   /* const char * */
	/* The shapes that have a parser of their own; `offset` is not used. */
	SL_CONFIG_ENDPOINTS,
	SL_CONFIG_WORKERS,
	SL_CONFIG_ALLOW,
	SL_CONFIG_TOPICS,
};

/* What a bare number means. */
enum sl_config_unit {
	SL_CONFIG_UNIT_NONE,
	SL_CONFIG_UNIT_BYTES,
	SL_CONFIG_UNIT_MS,
	SL_CONFIG_UNIT_US,
};

/* Two rows may share a value; the first is the canonical name. */
struct sl_config_name {
	const char *name; /* NULL ends the list */
	int32_t value;
	bool unbuilt; /* known, refused with "not built" */
};

struct sl_config_row {
	const char *key;
	enum sl_config_type type;
	enum sl_config_unit unit;
	bool topic;  /* may stand in `topics:` too; offset is then within struct sl_config_topic */
	bool reload; /* takes effect on HUP */
	bool power_of_two; /* sizes and counts */
	size_t offset;
	const char *standard; /* the default as text; NULL: computed, or required */
	int64_t min, max;     /* in the stored unit; of a string, its length */
	const struct sl_config_name *names;
	const char *aliases[3];
	const char *help;
};

/* A key that users of other producers may bring along and that has no meaning here; a trailing '*'
 * is a prefix. */
struct sl_config_unbuilt {
	const char *key;
	const char *why;
};

enum { SL_CONFIG_ROWS_MAX = 96, SL_CONFIG_TOPIC_ROWS_MAX = 32 };

extern const struct sl_config_row sl_config_rows[];
extern const uint32_t sl_config_row_count;
extern const struct sl_config_unbuilt sl_config_unbuilt_keys[]; /* ends with key NULL */
extern const struct sl_config_name sl_config_transport_names[];

/* By canonical name or alias; NULL when there is none. */
const struct sl_config_row *sl_config_row_find(const char *key);

/* By canonical name that the caller spells itself: it must exist. Returns the index. */
uint32_t sl_config_row_index(const char *key);

/* Why a key is refused though it is known; NULL when it is not in that list. */
const char *sl_config_unbuilt_why(const char *key);

/* The key nearest to a misspelt one, or NULL when none is near. */
const char *sl_config_row_nearest(const char *key, bool topic_only);

/* Changes of one character (insert, delete, replace, swap of neighbours) from a to b. */
uint32_t sl_config_distance(const char *a, const char *b);

#endif
