/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/recorder.h"
#include "dataplane/base/assert.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const level_priorities[] = {"<3>", "<4>", "<6>", "<7>"};

struct line {
	char text[SL_LOG_LINE_BYTES];
	uint32_t bytes; /* room for the newline is always left */
};

static uint64_t clock_default(void *ctx)
{
	(void)ctx;
	return sl_clock_monotonic_ns();
}

void sl_log_init(struct sl_log *log, int fd, bool journal, uint64_t (*now_ns)(void *ctx), void *ctx)
{
	memset(log, 0, sizeof(*log));
	log->fd = fd;
	log->level_max = SL_LOG_INFO;
	log->journal = journal;
	log->now_ns = now_ns ? now_ns : clock_default;
	log->ctx = ctx;
}

static bool char_plain(unsigned char c)
{
	return c > ' ' && c != '"' && c != '\\' && c != '=' && c != 0x7f;
}

static bool value_plain(const char *value)
{
	if (!*value)
		return false;
	for (; *value; value++)
		if (!char_plain((unsigned char)*value))
			return false;
	return true;
}

/* The escape of one byte into piece, NUL-terminated. */
static void char_escape(unsigned char c, char piece[static 5])
{
	static const char from[] = "\"\\\n\t\r";
	static const char to[] = "\"\\ntr";
	const char *at = c ? strchr(from, c) : NULL;

	if (at)
		snprintf(piece, 5, "\\%c", to[at - from]);
	else if (c < ' ' || c == 0x7f)
		snprintf(piece, 5, "\\x%02x", c);
	else
		snprintf(piece, 5, "%c", c);
}

uint32_t sl_log_quote(const char *value, char *out, uint32_t out_bytes)
{
	bool plain = value_plain(value);
	uint32_t used = 0;

	SL_ASSERT(out_bytes >= 16);
	if (!plain)
		out[used++] = '"';
	for (; *value; value++) {
		char piece[5];
		uint32_t piece_bytes;

		char_escape((unsigned char)*value, piece);
		piece_bytes = (uint32_t)strlen(piece);
		if (used + piece_bytes + 5 > out_bytes) {
			memcpy(out + used, "...", 3);
			used += 3;
			break;
		}
		memcpy(out + used, piece, piece_bytes);
		used += piece_bytes;
	}
	if (!plain)
		out[used++] = '"';
	out[used] = 0;
	return used;
}

static void line_add(struct line *line, const char *text)
{
	uint32_t room = SL_LOG_LINE_BYTES - 1 - line->bytes;
	uint32_t bytes = (uint32_t)strlen(text);

	if (bytes > room)
		bytes = room;
	memcpy(line->text + line->bytes, text, bytes);
	line->bytes += bytes;
}

static void line_add_field(struct line *line, const struct sl_log_field *field)
{
	char value[SL_LOG_VALUE_BYTES];

	line_add(line, " ");
	line_add(line, field->key);
	line_add(line, "=");
	if (field->text)
		sl_log_quote(field->text, value, sizeof(value));
	else
		snprintf(value, sizeof(value), "%" PRId64, field->number);
	line_add(line, value);
}

static void line_begin(const struct sl_log *log, struct line *line, enum sl_log_level level,
		       const char *event)
{
	line->bytes = 0;
	if (log->journal)
		line_add(line, level_priorities[level]);
	line_add(line, level_names[level]);
	line_add(line, " ");
	line_add(line, event);
}

static void line_end(const struct sl_log *log, struct line *line)
{
	ssize_t rc;

	line->text[line->bytes++] = '\n';
	do {
		rc = write(log->fd, line->text, line->bytes);
	} while (rc < 0 && errno == EINTR);
}

static struct sl_log_limit *limit_of(struct sl_log *log, const char *event)
{
	for (uint32_t i = 0; i < log->limit_count; i++)
		if (strcmp(log->limits[i].event, event) == 0)
			return &log->limits[i];
	if (log->limit_count == SL_LOG_EVENTS_MAX)
		return &log->limits[SL_LOG_EVENTS_MAX - 1];
	log->limits[log->limit_count] = (struct sl_log_limit){.event = event};
	return &log->limits[log->limit_count++];
}

/* Whether the event may be written now; *suppressed is what was held back in the window that has
 * just ended. */
static bool limit_pass(struct sl_log *log, const char *event, uint64_t *suppressed)
{
	struct sl_log_limit *limit = limit_of(log, event);
	uint64_t now_ns = log->now_ns(log->ctx);

	*suppressed = 0;
	if (limit->written == 0 || now_ns - limit->window_start_ns >= SL_LOG_WINDOW_NS) {
		*suppressed = limit->suppressed;
		limit->suppressed = 0;
		limit->written = 0;
		limit->window_start_ns = now_ns;
	}
	if (limit->written >= SL_LOG_BURST) {
		limit->suppressed++;
		return false;
	}
	limit->written++;
	return true;
}

static void line_make(const struct sl_log *log, struct line *line, enum sl_log_level level,
		      const char *event, const struct sl_log_field *fields, uint32_t field_count)
{
	line_begin(log, line, level, event);
	for (uint32_t i = 0; i < field_count; i++)
		line_add_field(line, &fields[i]);
}

static void line_record(const struct sl_log *log, const struct line *line)
{
	uint32_t prefix = log->journal ? (uint32_t)strlen(level_priorities[0]) : 0;

	if (log->recorder)
		sl_recorder_put(log->recorder, line->text + prefix, line->bytes - prefix);
}

void sl_log_record(struct sl_log *log, const char *event, const struct sl_log_field *fields,
		   uint32_t field_count)
{
	struct line line;

	line_make(log, &line, SL_LOG_INFO, event, fields, field_count);
	line_record(log, &line);
}

void sl_log_write(struct sl_log *log, enum sl_log_level level, const char *event,
		  const struct sl_log_field *fields, uint32_t field_count)
{
	struct line line;
	uint64_t suppressed = 0;
	bool shown = level <= log->level_max && limit_pass(log, event, &suppressed);
	bool recorded = log->recorder && level < SL_LOG_DEBUG;

	if (!shown && !recorded)
		return;
	line_make(log, &line, level, event, fields, field_count);
	if (recorded)
		line_record(log, &line);
	if (!shown)
		return;
	if (suppressed)
		line_add_field(&line, &SL_N("suppressed", suppressed));
	line_end(log, &line);
}

void sl_log_turn(struct sl_log *log)
{
	uint64_t now_ns = log->now_ns(log->ctx);

	for (uint32_t i = 0; i < log->limit_count; i++) {
		struct sl_log_limit *limit = &log->limits[i];
		struct line line;

		if (!limit->suppressed || now_ns - limit->window_start_ns < SL_LOG_WINDOW_NS)
			continue;
		line_begin(log, &line, SL_LOG_WARNING, "log_suppressed");
		line_add_field(&line, &SL_T("event", limit->event));
		line_add_field(&line, &SL_N("suppressed", limit->suppressed));
		line_end(log, &line);
		limit->suppressed = 0;
		limit->written = 0;
	}
}
