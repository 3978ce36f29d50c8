/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/error_code.h"

#include <stddef.h>

#include "dataplane/base/assert.h"

struct error_row {
	const char *name;
	uint8_t action;
	uint8_t written;
};

/* Kafka numbers its errors from -1 without a gap, so the table is indexed by code + 1. */
enum { FIRST_CODE = SL_KAFKA_UNKNOWN_SERVER_ERROR };

static const struct error_row rows[] = {
#define X(number, name, action, written)                                                           \
	[(number)-FIRST_CODE] = {#name, SL_ACTION_##action, SL_WRITTEN_##written},
	SL_KAFKA_ERROR_LIST(X)
#undef X
};

static const struct error_row *row_of(int16_t code)
{
	size_t index = (size_t)(code - FIRST_CODE);

	if (code < FIRST_CODE || index >= SL_ARRAY_COUNT(rows) || !rows[index].name)
		return NULL;
	return &rows[index];
}

bool sl_kafka_error_known(int16_t code)
{
	return row_of(code) != NULL;
}

const char *sl_kafka_error_name(int16_t code)
{
	const struct error_row *row = row_of(code);

	return row ? row->name : "UNKNOWN_ERROR_CODE";
}

enum sl_error_action sl_kafka_error_action(int16_t code)
{
	const struct error_row *row = row_of(code);

	return (enum sl_error_action)(row ? row : &rows[0])->action;
}

enum sl_error_written sl_kafka_error_written(int16_t code)
{
	const struct error_row *row = row_of(code);

	return (enum sl_error_written)(row ? row : &rows[0])->written;
}
