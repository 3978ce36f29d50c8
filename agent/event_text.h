/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for what workers recorded, in the form of log lines. Nothing here allocates, locks or calls
 * anything but memcpy: a signal handler uses it too. Any thread; names of topics are the control
 * thread's, which only adds to them.
 */
#ifndef SL_AGENT_EVENT_TEXT_H
#define SL_AGENT_EVENT_TEXT_H

#include <stdint.h>

struct sl_agent;
struct sl_flight_event;

/* Text that grows into memory of fixed size; what does not fit is left out. */
struct sl_text {
	char *at;
	uint32_t bytes, room;
};

void sl_text_put(struct sl_text *text, const char *words);
void sl_text_bytes(struct sl_text *text, const char *words, uint32_t bytes);
void sl_text_u64(struct sl_text *text, uint64_t number);
void sl_text_i64(struct sl_text *text, int64_t number);
/* " key=number" */
void sl_text_field(struct sl_text *text, const char *key, int64_t number);
/* "2026-11-24T10:47:23.123Z", of milliseconds since 1970. */
void sl_text_time(struct sl_text *text, uint64_t at_ms);

/* "batch_refused topic=t partition=3 ..." */
void sl_event_text(const struct sl_agent *agent, const struct sl_flight_event *event,
		   struct sl_text *text);

/* The same of an entry of the list of batches that ended unknown, with its numbers. */
void sl_unknown_text(const struct sl_agent *agent, const struct sl_flight_event *event,
		     struct sl_text *text);

/* The topic's name, "-" when nobody has named it yet. */
const char *sl_event_topic(const struct sl_agent *agent, const struct sl_flight_event *event);

#endif
