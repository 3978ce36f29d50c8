/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

struct suffix {
	const char *name;
	int64_t scale;
};

/* Largest first: the printer takes the first that divides. */
static const struct suffix size_suffixes[] = {
	{"TiB", INT64_C(1) << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"T", INT64_C(1) << 40},
	{"G", 1 << 30},
	{"M", 1 << 20},
	{"K", 1 << 10},
	{"B", 1},
	{NULL, 0},
};

static const struct suffix duration_suffixes[] = {
	{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}, {NULL, 0},
};

bool sl_config_text_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits of "12.5" as 125 and a divisor of 10; false when there are none or too many. */
static bool digits_read(const char **text, int64_t *digits, int64_t *divisor)
{
	const char *at = *text;
	bool fraction = false;
	*digits = 0;
	*divisor = 1;
	for (; is_digit(*at) || (*at == '.' && !fraction && at > *text && is_digit(at[1])); at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		if (__builtin_mul_overflow(*digits, 10, digits) ||
		    __builtin_add_overflow(*digits, *at - '0', digits))
			return false;
		if (fraction && __builtin_mul_overflow(*divisor, 10, divisor))
			return false;
	}
	bool some = at > *text;
	*text = at;
	return some;
}

/* What the number must be multiplied by; 0 when the suffix is none that the row knows. */
static int64_t suffix_scale(const struct sl_config_row *row, const char *suffix)
{
	if (row->type != SL_CONFIG_SIZE && row->type != SL_CONFIG_DURATION)
		return *suffix ? 0 : 1;
	if (!*suffix)
		return row->unit == SL_CONFIG_UNIT_MS ? 1000 : 1;
	const struct suffix *known =
		row->type == SL_CONFIG_SIZE ? size_suffixes : duration_suffixes;
	for (; known->name; known++)
		if (row->type == SL_CONFIG_SIZE ? !strcasecmp(known->name, suffix)
						: !strcmp(known->name, suffix))
			return known->scale;
	return 0;
}

static bool number_parse(const struct sl_config_row *row, const char *text, int64_t *out)
{
	bool negative = *text == '-';
	int64_t number, divisor;
	text += negative;
	if (!digits_read(&text, &number, &divisor))
		return false;
	if (*text == ' ' && text[1])
		text++;
	int64_t scale = suffix_scale(row, text);
	/* A fraction must come out whole: 0.5 ms is 500 us, 0.0001 ms is nothing that could be
	 * kept. */
	if (scale == 0 || __builtin_mul_overflow(number, scale, &number) || number % divisor)
		return false;
	number /= divisor;
	*out = negative ? -number : number;
	return true;
}

static enum sl_config_parsed name_parse(const struct sl_config_row *row, const char *text,
					int32_t *value)
{
	for (const struct sl_config_name *known = row->names; known->name; known++) {
		if (strcasecmp(known->name, text))
			continue;
		if (known->unbuilt)
			return SL_CONFIG_PARSED_UNBUILT;
		*value = known->value;
		return SL_CONFIG_PARSED;
	}
	return SL_CONFIG_PARSED_BAD;
}

enum sl_config_parsed sl_config_flag_parse(const struct sl_config_row *row, const char *text,
					   uint32_t *flags)
{
	int32_t bit = 0;
	enum sl_config_parsed parsed = name_parse(row, text, &bit);
	*flags |= (uint32_t)bit;
	return parsed;
}

static enum sl_config_parsed bool_parse(const char *text, bool *value)
{
	bool is_true = !strcmp(text, "true");
	if (!is_true && strcmp(text, "false"))
		return SL_CONFIG_PARSED_BAD;
	*value = is_true;
	return SL_CONFIG_PARSED;
}

static enum sl_config_parsed string_parse(const struct sl_config_row *row, const char *text,
					  struct sl_config_store *store, const char **value)
{
	size_t length = strlen(text);
	if ((int64_t)length < row->min || (int64_t)length > row->max ||
	    !sl_config_text_printable(text))
		return SL_CONFIG_PARSED_BAD;
	*value = sl_config_store_text(store, text, length);
	return SL_CONFIG_PARSED;
}

bool sl_config_value_number_set(const struct sl_config_row *row, int64_t number, void *field)
{
	if (number < row->min || number > row->max)
		return false;
	if (row->power_of_two && (number & (number - 1)))
		return false;
	if (row->type == SL_CONFIG_INT)
		*(int32_t *)field = (int32_t)number;
	else if (row->type == SL_CONFIG_COUNT)
		*(uint32_t *)field = (uint32_t)number;
	else
		*(uint64_t *)field = (uint64_t)number;
	return true;
}

enum sl_config_parsed sl_config_value_parse(const struct sl_config_row *row, const char *text,
					    struct sl_config_store *store, void *field)
{
	int64_t number;
	switch (row->type) {
	case SL_CONFIG_BOOL:
		return bool_parse(text, field);
	case SL_CONFIG_ENUM:
		return name_parse(row, text, field);
	case SL_CONFIG_STRING:
		return string_parse(row, text, store, field);
	default:
		if (number_parse(row, text, &number) &&
		    sl_config_value_number_set(row, number, field))
			return SL_CONFIG_PARSED;
		return SL_CONFIG_PARSED_BAD;
	}
}

int64_t sl_config_value_number(const struct sl_config_row *row, const void *field)
{
	switch (row->type) {
	case SL_CONFIG_BOOL:
		return *(const bool *)field;
	case SL_CONFIG_INT:
	case SL_CONFIG_ENUM:
		return *(const int32_t *)field;
	case SL_CONFIG_COUNT:
	case SL_CONFIG_FLAGS:
		return *(const uint32_t *)field;
	case SL_CONFIG_SIZE:
	case SL_CONFIG_DURATION:
		return (int64_t) * (const uint64_t *)field;
	default:
		assert(row->type < SL_CONFIG_STRING); /* the others have no number */
		return 0;
	}
}

bool sl_config_value_equal(const struct sl_config_row *row, const void *a, const void *b)
{
	if (row->type == SL_CONFIG_STRING)
		return !strcmp(*(const char *const *)a, *(const char *const *)b);
	return sl_config_value_number(row, a) == sl_config_value_number(row, b);
}

void sl_config_value_copy(const struct sl_config_row *row, void *to, const void *from)
{
	static const size_t bytes[] = {
		[SL_CONFIG_BOOL] = sizeof(bool),         [SL_CONFIG_INT] = sizeof(int32_t),
		[SL_CONFIG_COUNT] = sizeof(uint32_t),    [SL_CONFIG_SIZE] = sizeof(uint64_t),
		[SL_CONFIG_DURATION] = sizeof(uint64_t), [SL_CONFIG_ENUM] = sizeof(int32_t),
		[SL_CONFIG_FLAGS] = sizeof(uint32_t),    [SL_CONFIG_STRING] = sizeof(char *),
	};
	assert((size_t)row->type < sizeof(bytes) / sizeof(bytes[0]));
	memcpy(to, from, bytes[row->type]);
}

static void names_describe(FILE *out, const struct sl_config_row *row)
{
	const char *comma = "";
	for (const struct sl_config_name *known = row->names; known->name; known++) {
		if (known->unbuilt)
			continue;
		fprintf(out, "%s%s", comma, known->name);
		comma = ", ";
	}
}

static void range_describe(FILE *out, const struct sl_config_row *row, const char *what,
			   const char *example)
{
	fprintf(out, "%s%s from ", what, row->power_of_two ? " (a power of two)" : "");
	sl_config_number_print(out, row, row->min);
	fprintf(out, " to ");
	sl_config_number_print(out, row, row->max);
	fprintf(out, "%s", example);
}

void sl_config_value_describe(FILE *out, const struct sl_config_row *row)
{
	switch (row->type) {
	case SL_CONFIG_BOOL:
		fprintf(out, "true or false");
		break;
	case SL_CONFIG_ENUM:
		fprintf(out, "one of ");
		names_describe(out, row);
		break;
	case SL_CONFIG_FLAGS:
		fprintf(out, "a list of ");
		names_describe(out, row);
		break;
	case SL_CONFIG_STRING:
		fprintf(out, "%" PRId64 " to %" PRId64 " printable ASCII characters", row->min,
			row->max);
		break;
	case SL_CONFIG_SIZE:
		range_describe(out, row, "a size", ", such as 65536, 64KiB or 1MiB");
		break;
	case SL_CONFIG_DURATION:
		range_describe(out, row, "a duration",
			       row->unit == SL_CONFIG_UNIT_MS
				       ? " milliseconds, such as 5, 500us or 2s"
				       : " microseconds, such as 50, 50us or 1ms");
		break;
	case SL_CONFIG_ENDPOINTS:
		fprintf(out, "1 to %" PRId64 " of host:port, as a list or with commas", row->max);
		break;
	case SL_CONFIG_WORKERS:
		fprintf(out,
			"a number from 1 to %" PRId64
			", or a list of {core: N|any, transport: uring}",
			row->max);
		break;
	case SL_CONFIG_ALLOW:
		fprintf(out, "a map of user:NAME, group:NAME or \"*\" to topic patterns");
		break;
	case SL_CONFIG_TOPICS:
		fprintf(out, "a map of topic names and prefix* patterns to settings");
		break;
	default:
		range_describe(out, row, "a number", "");
	}
}

static void size_print(FILE *out, int64_t bytes)
{
	const struct suffix *suffix = size_suffixes;
	for (; suffix->scale > 1; suffix++) {
		if (bytes == 0 || bytes % suffix->scale)
			continue;
		fprintf(out, "%" PRId64 "%s", bytes / suffix->scale, suffix->name);
		return;
	}
	fprintf(out, "%" PRId64, bytes);
}

void sl_config_number_print(FILE *out, const struct sl_config_row *row, int64_t number)
{
	if (row->type == SL_CONFIG_SIZE)
		size_print(out, number);
	else if (row->unit == SL_CONFIG_UNIT_MS && number % 1000)
		fprintf(out, "%" PRId64 "us", number);
	else
		fprintf(out, "%" PRId64, row->unit == SL_CONFIG_UNIT_MS ? number / 1000 : number);
}

static const char *name_of(const struct sl_config_row *row, int64_t value)
{
	for (const struct sl_config_name *known = row->names; known->name; known++)
		if (known->value == value && !known->unbuilt)
			return known->name;
	assert(row->names == NULL); /* every value that a parser stores has a name */
	return "";
}

static void flags_print(FILE *out, const struct sl_config_row *row, int64_t flags)
{
	const char *comma = "";
	fputc('[', out);
	for (const struct sl_config_name *known = row->names; known->name; known++) {
		if (!(flags & known->value))
			continue;
		fprintf(out, "%s%s", comma, known->name);
		comma = ", ";
	}
	fputc(']', out);
}

static void string_print(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

void sl_config_value_print(FILE *out, const struct sl_config_row *row, const void *field)
{
	if (row->type == SL_CONFIG_STRING) {
		string_print(out, *(const char *const *)field);
		return;
	}
	int64_t number = sl_config_value_number(row, field);
	if (row->type == SL_CONFIG_BOOL)
		fprintf(out, "%s", number ? "true" : "false");
	else if (row->type == SL_CONFIG_ENUM)
		fprintf(out, "%s", name_of(row, number));
	else if (row->type == SL_CONFIG_FLAGS)
		flags_print(out, row, number);
	else
		sl_config_number_print(out, row, number);
}
