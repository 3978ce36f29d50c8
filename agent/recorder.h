/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flight recorder's part of the control thread: its last events as the words of their log
 * lines, whether or not the log showed them (its level and its limits hide lines, never events).
 * Workers keep their own, see worker/flight.h; a dump and `sluice status` show both. Written by the
 * control thread, read by it and by a crashing thread's signal handler, which may find the newest
 * entry half written: its words are then cut short, since bytes is stored last.
 */
#ifndef SL_AGENT_RECORDER_H
#define SL_AGENT_RECORDER_H

#include <stdatomic.h>
#include <stdint.h>

enum { SL_RECORDER_EVENTS = 1024, SL_RECORDER_TEXT_BYTES = 240 };

struct sl_recorder_entry {
	uint64_t at_ms; /* Unix time */
	_Atomic uint32_t bytes;
	char text[SL_RECORDER_TEXT_BYTES]; /* "level event key=value ...", without a NUL */
};

struct sl_recorder {
	struct sl_recorder_entry *entries; /* SL_RECORDER_EVENTS of them */
	_Atomic uint64_t written;          /* ever */
	uint64_t (*realtime_ms)(void *ctx);
	void *ctx;
};

/* 0 or -ENOMEM. fini takes one that is zero. */
int sl_recorder_init(struct sl_recorder *recorder, uint64_t (*realtime_ms)(void *ctx), void *ctx);
void sl_recorder_fini(struct sl_recorder *recorder);

/* What does not fit is cut off. Thread: control. */
void sl_recorder_put(struct sl_recorder *recorder, const char *text, uint32_t bytes);

/* Event `number` counted from 0; only the last SL_RECORDER_EVENTS are there. */
static inline const struct sl_recorder_entry *sl_recorder_at(const struct sl_recorder *recorder,
							     uint64_t number)
{
	return &recorder->entries[number % SL_RECORDER_EVENTS];
}

static inline uint64_t sl_recorder_first(uint64_t written)
{
	return written > SL_RECORDER_EVENTS ? written - SL_RECORDER_EVENTS : 0;
}

#endif
