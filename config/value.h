/* SPDX-License-Identifier: Apache-2.0
 *
 * One scalar setting between text and field, both ways, by its row of the schema. Private to
 * config/ and its tests.
 */
#ifndef SL_CONFIG_VALUE_H
#define SL_CONFIG_VALUE_H

#include "config/schema.h"
#include "config/store.h"

#include <stdio.h>

enum sl_config_parsed {
	SL_CONFIG_PARSED,
	SL_CONFIG_PARSED_BAD,     /* sl_config_value_describe() says what was expected */
	SL_CONFIG_PARSED_UNBUILT, /* a known name of something that is not built */
};

/* Writes *field (of the row's type) only when the text is good. Strings are copied into the store.
 */
enum sl_config_parsed sl_config_value_parse(const struct sl_config_row *row, const char *text,
					    struct sl_config_store *store, void *field);

/* A list of names (SL_CONFIG_FLAGS): sets the bit of one more name. */
enum sl_config_parsed sl_config_flag_parse(const struct sl_config_row *row, const char *text,
					   uint32_t *flags);

/* What a row takes, as a phrase that follows "expected". */
void sl_config_value_describe(FILE *out, const struct sl_config_row *row);

/* The canonical YAML of a scalar field; it parses back to an equal value. */
void sl_config_value_print(FILE *out, const struct sl_config_row *row, const void *field);

/* A number of the row's unit, as the dump writes it. */
void sl_config_number_print(FILE *out, const struct sl_config_row *row, int64_t number);

bool sl_config_value_equal(const struct sl_config_row *row, const void *a, const void *b);
void sl_config_value_copy(const struct sl_config_row *row, void *to, const void *from);

/* Numbers of the row's stored unit, whatever the field's width; not for strings. */
int64_t sl_config_value_number(const struct sl_config_row *row, const void *field);
bool sl_config_value_number_set(const struct sl_config_row *row, int64_t number, void *field);

/* Every string of a configuration is printable ASCII, so that logs, dumps and paths need no
 * escaping. */
bool sl_config_text_printable(const char *text);

#endif
