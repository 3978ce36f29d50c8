/* SPDX-License-Identifier: Apache-2.0 */
#include "config/loader.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTE_BYTES = 64 };

static FILE *text_open(char **text, size_t *bytes)
{
	FILE *out = open_memstream(text, bytes);
	if (!out)
		abort();
	return out;
}

static char *key_text(const struct sl_config_level *level, const char *key)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = text_open(&text, &bytes);
	if (level && level->pattern)
		fprintf(out, "topics: %s%s", level->pattern, *key ? ": " : "");
	fputs(key, out);
	fclose(out);
	return text;
}

static void issue_add(struct sl_config_issue **issues, uint32_t *count,
		      const struct sl_config_place *place, char *key, char *text)
{
	struct sl_config_issue *grown = realloc(*issues, (*count + 1) * sizeof(*grown));
	if (!grown)
		abort();
	*issues = grown;
	char *name = NULL;
	size_t bytes = 0;
	FILE *out = text_open(&name, &bytes);
	fputs(place && place->name ? place->name : "default", out);
	if (place && place->line)
		fprintf(out, ":%u", place->line);
	fclose(out);
	grown[(*count)++] = (struct sl_config_issue){
		.place = name,
		.key = key,
		.text = text,
		.line = place ? place->line : 0,
		.column = place ? place->column : 0,
	};
}

static char *text_format(const char *fmt, va_list args)
{
	char *text;
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	return text;
}

void sl_config_error(struct sl_config_loader *loader, const struct sl_config_level *level,
		     const struct sl_config_place *place, const char *key, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	issue_add(&loader->report->errors, &loader->report->error_count, place,
		  key_text(level, key), text_format(fmt, args));
	va_end(args);
}

void sl_config_notice(struct sl_config_loader *loader, const struct sl_config_level *level,
		      const struct sl_config_place *place, const char *key, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	issue_add(&loader->report->notices, &loader->report->notice_count, place,
		  key_text(level, key), text_format(fmt, args));
	va_end(args);
}

const char *sl_config_value_quote(const struct sl_config_value *value, char *out, size_t out_bytes)
{
	if (sl_config_is_mapping(value))
		return "a map";
	if (sl_config_is_sequence(value))
		return "a list";
	if (sl_config_is_null(value))
		return "nothing";
	if (!value->text)
		return "a text with a NUL character";
	bool cut = (size_t)snprintf(out, out_bytes, "\"%s\"", value->text) >= out_bytes;
	if (cut)
		memcpy(out + out_bytes - 5, "...\"", 5);
	for (char *at = out; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return out;
}

void sl_config_error_value(struct sl_config_loader *loader, struct sl_config_level *level,
			   const struct sl_config_row *row, const struct sl_config_value *value)
{
	char quote[QUOTE_BYTES];
	char *expected = NULL;
	size_t bytes = 0;
	FILE *out = text_open(&expected, &bytes);
	sl_config_value_describe(out, row);
	fclose(out);
	sl_config_error(loader, level, &value->place, row->key, "expected %s; found %s", expected,
			sl_config_value_quote(value, quote, sizeof(quote)));
	level->set[row - sl_config_rows].bad = true;
	free(expected);
}

static int issue_compare(const void *left, const void *right)
{
	const struct sl_config_issue *a = left, *b = right;
	/* Unsigned: no line, 0, becomes the greatest. */
	uint32_t a_line = a->line - 1, b_line = b->line - 1;
	if (a_line != b_line)
		return a_line < b_line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	int order = strcmp(a->key, b->key);
	return order ? order : strcmp(a->text, b->text);
}

void sl_config_report_sort(struct sl_config_report *report)
{
	if (report->error_count > 1)
		qsort(report->errors, report->error_count, sizeof(*report->errors), issue_compare);
}

void sl_config_report_print(FILE *out, const struct sl_config_report *report)
{
	for (uint32_t i = 0; i < report->error_count; i++) {
		const struct sl_config_issue *issue = &report->errors[i];
		fprintf(out, "%s: %s%s%s\n", issue->place, issue->key, *issue->key ? ": " : "",
			issue->text);
	}
}

static void issues_free(struct sl_config_issue *issues, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		free(issues[i].place);
		free(issues[i].key);
		free(issues[i].text);
	}
	free(issues);
}

void sl_config_report_fini(struct sl_config_report *report)
{
	issues_free(report->errors, report->error_count);
	issues_free(report->notices, report->notice_count);
	*report = (struct sl_config_report){0};
}
