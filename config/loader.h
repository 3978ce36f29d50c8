/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of one sl_config_load() call, shared by the files that make it up: load.c (settings),
 * shapes.c (lists and maps), standard.c (defaults), check.c (relations). Private to config/.
 */
#ifndef SL_CONFIG_LOADER_H
#define SL_CONFIG_LOADER_H

#include "config/config.h"
#include "config/schema.h"
#include "config/store.h"

#include <yaml.h>

/* Where a setting was given. Name NULL: it was not. */
struct sl_config_place {
	const char *name;
	uint32_t line, column;
	bool bad; /* it was refused, so relations with it are not looked at */
};

/* A value in the text, of whatever shape. */
struct sl_config_value {
	const char *text; /* of a scalar; NULL when it is none, or is null, or holds a NUL */
	yaml_document_t *doc;
	const yaml_node_t *node; /* NULL: a bare text of --set */
	struct sl_config_place place;
};

/* The settings of the top level (pattern NULL), or of one entry of `topics:`. */
struct sl_config_level {
	const char *pattern;
	struct sl_config_topic *topic;
	struct sl_config_place entry; /* of the pattern itself */
	struct sl_config_place set[SL_CONFIG_ROWS_MAX];
};

struct sl_config_loader {
	struct sl_config *cfg;
	struct sl_config_store *store;
	struct sl_config_report *report;
	const struct sl_config_source *src;
	struct sl_config_level top;
	struct sl_config_level *levels; /* one per rule */
	struct sl_config_topic_rule *rules;
	uint32_t rule_count;
	struct sl_config_worker *workers; /* the one behind cfg->workers, with the place of each */
	struct sl_config_place *worker_places;
};

/* report.c: key is prefixed with the level's pattern; level may be NULL. */
__attribute__((format(printf, 5, 6))) void sl_config_error(struct sl_config_loader *loader,
							   const struct sl_config_level *level,
							   const struct sl_config_place *place,
							   const char *key, const char *fmt, ...);
__attribute__((format(printf, 5, 6))) void sl_config_notice(struct sl_config_loader *loader,
							    const struct sl_config_level *level,
							    const struct sl_config_place *place,
							    const char *key, const char *fmt, ...);

/* "expected WHAT THE ROW TAKES, found VALUE", and marks the row bad at this level. */
void sl_config_error_value(struct sl_config_loader *loader, struct sl_config_level *level,
			   const struct sl_config_row *row, const struct sl_config_value *value);

/* A value as it is quoted in messages: cut short, unprintable bytes as '?'. `out` holds at least 64
 * bytes. */
const char *sl_config_value_quote(const struct sl_config_value *value, char *out, size_t out_bytes);

/* Errors in the order of the file; those without a line last. */
void sl_config_report_sort(struct sl_config_report *report);

/* load.c */
struct sl_config_value sl_config_value_of(struct sl_config_loader *loader, yaml_document_t *doc,
					  int node_index, const char *place_name);
bool sl_config_is_mapping(const struct sl_config_value *value);
bool sl_config_is_sequence(const struct sl_config_value *value);
bool sl_config_is_null(const struct sl_config_value *value);
uint32_t sl_config_item_count(const struct sl_config_value *value); /* of a mapping or sequence */
struct sl_config_value sl_config_item(struct sl_config_loader *loader,
				      const struct sl_config_value *sequence, uint32_t index);
void sl_config_pair(struct sl_config_loader *loader, const struct sl_config_value *mapping,
		    uint32_t index, struct sl_config_value *key, struct sl_config_value *value);

/* One KEY: VALUE at a level. */
void sl_config_apply(struct sl_config_loader *loader, struct sl_config_level *level,
		     const struct sl_config_value *key, const struct sl_config_value *value);

/* The field of a row at a level. */
void *sl_config_field(struct sl_config *cfg, struct sl_config_topic *topic,
		      const struct sl_config_row *row);

/* shapes.c: the rows that are not scalars. */
void sl_config_apply_shape(struct sl_config_loader *loader, struct sl_config_level *level,
			   const struct sl_config_row *row, const struct sl_config_value *value);

/* standard.c: defaults that are text in the schema, before the file; those that are computed, after
 * it. */
void sl_config_standards_set(struct sl_config_loader *loader);
void sl_config_standards_compute(struct sl_config_loader *loader);

/* check.c: relations between settings; fills in what follows from others. */
void sl_config_check(struct sl_config_loader *loader);

#endif
