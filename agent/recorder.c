/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sl_recorder_init(struct sl_recorder *recorder, uint64_t (*realtime_ms)(void *ctx), void *ctx)
{
	recorder->entries = calloc(SL_RECORDER_EVENTS, sizeof(*recorder->entries));
	recorder->realtime_ms = realtime_ms;
	recorder->ctx = ctx;
	atomic_init(&recorder->written, 0);
	return recorder->entries ? 0 : -ENOMEM;
}

void sl_recorder_fini(struct sl_recorder *recorder)
{
	free(recorder->entries);
	recorder->entries = NULL;
}

void sl_recorder_put(struct sl_recorder *recorder, const char *text, uint32_t bytes)
{
	uint64_t number = atomic_load_explicit(&recorder->written, memory_order_relaxed);
	struct sl_recorder_entry *entry = &recorder->entries[number % SL_RECORDER_EVENTS];

	if (bytes > SL_RECORDER_TEXT_BYTES)
		bytes = SL_RECORDER_TEXT_BYTES;
	atomic_store_explicit(&entry->bytes, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	entry->at_ms = recorder->realtime_ms ? recorder->realtime_ms(recorder->ctx) : 0;
	memcpy(entry->text, text, bytes);
	atomic_store_explicit(&entry->bytes, bytes, memory_order_release);
	atomic_store_explicit(&recorder->written, number + 1, memory_order_release);
}
