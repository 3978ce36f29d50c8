/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event, `level event key=value ...`, to one descriptor. Called by the control
 * thread only; workers never log. A line is one write(2), so that lines of several processes do not
 * mix. A full pipe loses the line rather than block the agent. Each event may say SL_LOG_BURST
 * lines in SL_LOG_WINDOW_NS; what is held back is counted and told with the next line of that
 * event, or by sl_log_turn() when it fell silent.
 */
#ifndef SL_AGENT_LOG_H
#define SL_AGENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/clock.h"

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARNING, SL_LOG_INFO, SL_LOG_DEBUG };

enum {
	SL_LOG_BURST = 10,
	SL_LOG_EVENTS_MAX =
		128, /* different events that are limited one by one; more share the last place */
	SL_LOG_LINE_BYTES = 1024,
	SL_LOG_VALUE_BYTES = 400, /* of one value as written; the rest is cut and shown by "..." */
};
#define SL_LOG_WINDOW_NS (10 * SL_NS_PER_S)

struct sl_recorder;

struct sl_log_limit {
	const char *event;
	uint64_t window_start_ns;
	uint32_t written;
	uint64_t suppressed;
};

struct sl_log {
	int fd;
	enum sl_log_level level_max;
	bool journal; /* lines begin with the journal's priority, "<6>" */
	uint64_t (*now_ns)(void *ctx);
	void *ctx;
	/* Gets every event above DEBUG, whatever level and limits say; NULL: there is none. */
	struct sl_recorder *recorder;
	uint32_t limit_count;
	struct sl_log_limit limits[SL_LOG_EVENTS_MAX];
};

struct sl_log_field {
	const char *key;
	const char *text; /* NULL: number is meant */
	int64_t number;
};

/* One field: text (NULL is written as "-") or a number. */
#define SL_T(k, v) ((struct sl_log_field){.key = (k), .text = sl_log_text(v)})
#define SL_N(k, v) ((struct sl_log_field){.key = (k), .number = (int64_t)(v)})

/* SL_LOG(log, SL_LOG_INFO, "event", SL_T("key", text), SL_N("count", n)): at least one field. */
#define SL_LOG(log, level, event, ...)                                                             \
	sl_log_write(log, level, event, (const struct sl_log_field[]){__VA_ARGS__},                \
		     (uint32_t)(sizeof((const struct sl_log_field[]){__VA_ARGS__}) /               \
				sizeof(struct sl_log_field)))

static inline const char *sl_log_text(const char *text)
{
	return text ? text : "-";
}

/* now_ns may be NULL: then the monotonic clock is used. */
void sl_log_init(struct sl_log *log, int fd, bool journal, uint64_t (*now_ns)(void *ctx),
		 void *ctx);

/* event is a literal: lower case, words joined by '_'. */
void sl_log_write(struct sl_log *log, enum sl_log_level level, const char *event,
		  const struct sl_log_field *fields, uint32_t field_count);

/* For the recorder only: what is no news in a log, and the cause of things in a dump. */
#define SL_RECORD(log, event, ...)                                                                 \
	sl_log_record(log, event, (const struct sl_log_field[]){__VA_ARGS__},                      \
		      (uint32_t)(sizeof((const struct sl_log_field[]){__VA_ARGS__}) /              \
				 sizeof(struct sl_log_field)))
void sl_log_record(struct sl_log *log, const char *event, const struct sl_log_field *fields,
		   uint32_t field_count);

/* Tells what was held back of events whose window is over. */
void sl_log_turn(struct sl_log *log);

/*
 * Writes value into out[out_bytes] so that it is one word of a line: as it is when it consists of
 * harmless characters, else in double quotes with \", \\, \n, \t, \r and \xNN. UTF-8 stays. Returns
 * the bytes written, without the NUL.
 */
uint32_t sl_log_quote(const char *value, char *out, uint32_t out_bytes);

#endif
