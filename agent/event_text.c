/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/event_text.h"

#include <string.h>

#include "agent/agent.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/worker/flight.h"

void sl_text_bytes(struct sl_text *text, const char *words, uint32_t bytes)
{
	uint32_t room = text->room - text->bytes;

	if (bytes > room)
		bytes = room;
	memcpy(text->at + text->bytes, words, bytes);
	text->bytes += bytes;
}

void sl_text_put(struct sl_text *text, const char *words)
{
	uint32_t bytes = 0;

	while (words[bytes])
		bytes++;
	sl_text_bytes(text, words, bytes);
}

/* At least `width` digits. */
static void digits_put(struct sl_text *text, uint64_t number, uint32_t width)
{
	char digits[20];
	uint32_t count = 0;

	do {
		digits[sizeof(digits) - ++count] = (char)('0' + number % 10);
		number /= 10;
	} while (number || count < width);
	sl_text_bytes(text, digits + sizeof(digits) - count, count);
}

void sl_text_u64(struct sl_text *text, uint64_t number)
{
	digits_put(text, number, 1);
}

void sl_text_i64(struct sl_text *text, int64_t number)
{
	if (number < 0)
		sl_text_put(text, "-");
	sl_text_u64(text, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void sl_text_field(struct sl_text *text, const char *key, int64_t number)
{
	sl_text_put(text, " ");
	sl_text_put(text, key);
	sl_text_put(text, "=");
	sl_text_i64(text, number);
}

/* Days since 1970 as a date of the Gregorian calendar, by eras of 400 years that begin in March. */
static void date_put(struct sl_text *text, uint64_t days)
{
	uint64_t shifted = days + 719468;
	uint64_t era = shifted / 146097, of_era = shifted % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t from_march = (5 * of_year + 2) / 153;
	uint64_t day = of_year - (153 * from_march + 2) / 5 + 1;
	uint64_t month = from_march < 10 ? from_march + 3 : from_march - 9;

	digits_put(text, year + era * 400 + (month <= 2), 4);
	sl_text_put(text, "-");
	digits_put(text, month, 2);
	sl_text_put(text, "-");
	digits_put(text, day, 2);
}

void sl_text_time(struct sl_text *text, uint64_t at_ms)
{
	uint64_t of_day = at_ms / 1000 % 86400;

	date_put(text, at_ms / 1000 / 86400);
	sl_text_put(text, "T");
	digits_put(text, of_day / 3600, 2);
	sl_text_put(text, ":");
	digits_put(text, of_day / 60 % 60, 2);
	sl_text_put(text, ":");
	digits_put(text, of_day % 60, 2);
	sl_text_put(text, ".");
	digits_put(text, at_ms % 1000, 3);
	sl_text_put(text, "Z");
}

const char *sl_event_topic(const struct sl_agent *agent, const struct sl_flight_event *event)
{
	return event->a < agent->topics.count ? agent->topics.list[event->a].name : "-";
}

static void place_put(const struct sl_agent *agent, const struct sl_flight_event *event,
		      struct sl_text *text)
{
	sl_text_put(text, " topic=");
	sl_text_put(text, sl_event_topic(agent, event));
	sl_text_field(text, "partition", event->b);
}

static void code_put(const struct sl_flight_event *event, struct sl_text *text)
{
	sl_text_field(text, "code", event->code);
	sl_text_put(text, " error=");
	sl_text_put(text, sl_kafka_error_name((int16_t)event->code));
}

static void refused_put(const struct sl_flight_event *event, struct sl_text *text)
{
	code_put(event, text);
	sl_text_field(text, "node", (int64_t)event->c);
	sl_text_field(text, "records", (int64_t)event->d);
	sl_text_field(text, "base_sequence", (int64_t)event->e);
	sl_text_field(text, "epoch", (int64_t)event->f);
}

static void epoch_put(const struct sl_flight_event *event, struct sl_text *text)
{
	sl_text_field(text, "epoch", (int64_t)event->e);
	sl_text_put(text, event->d == SL_FLIGHT_WHY_LOST ? " reason=sequence_lost"
							 : " reason=batch_failed");
	if (event->code)
		code_put(event, text);
}

static void details_put(const struct sl_flight_event *event, struct sl_text *text)
{
	switch ((enum sl_flight_kind)event->kind) {
	case SL_FLIGHT_LEADER:
		sl_text_field(text, "from", (int64_t)event->c);
		sl_text_field(text, "to", (int64_t)event->d);
		sl_text_field(text, "leader_epoch", (int64_t)event->e);
		break;
	case SL_FLIGHT_REFUSED:
		refused_put(event, text);
		break;
	case SL_FLIGHT_MENDED:
		sl_text_field(text, "attempts", (int64_t)event->d);
		break;
	case SL_FLIGHT_EPOCH:
		epoch_put(event, text);
		break;
	case SL_FLIGHT_FAILED:
	case SL_FLIGHT_UNKNOWN:
		code_put(event, text);
		sl_text_field(text, "records", (int64_t)event->d);
		break;
	case SL_FLIGHT_THROTTLED:
	case SL_FLIGHT_STOPPED:
	case SL_FLIGHT_KIND_COUNT:
		break;
	}
}

void sl_event_text(const struct sl_agent *agent, const struct sl_flight_event *event,
		   struct sl_text *text)
{
	static const char *const names[SL_FLIGHT_KIND_COUNT] = {
		"event",     "leader_moved", "batch_refused", "partition_mended", "epoch_bumped",
		"throttled", "batch_failed", "batch_unknown", "worker_stopped",
	};

	sl_text_put(text, event->kind < SL_FLIGHT_KIND_COUNT ? names[event->kind] : names[0]);
	if (event->kind == SL_FLIGHT_THROTTLED) {
		sl_text_field(text, "node", (int64_t)event->c);
		sl_text_field(text, "class", event->b);
		sl_text_field(text, "ms", (int64_t)event->d);
		return;
	}
	if (event->kind == SL_FLIGHT_STOPPED) {
		sl_text_field(text, "queued", (int64_t)event->d);
		return;
	}
	place_put(agent, event, text);
	details_put(event, text);
}

void sl_unknown_text(const struct sl_agent *agent, const struct sl_flight_event *event,
		     struct sl_text *text)
{
	sl_text_put(text, "unknown");
	place_put(agent, event, text);
	code_put(event, text);
	sl_text_field(text, "records", (int64_t)(event->d >> 32));
	sl_text_field(text, "producer_id", (int64_t)event->c);
	sl_text_field(text, "epoch", (int64_t)(event->d & UINT32_MAX));
	sl_text_field(text, "base_sequence", (int64_t)event->e);
	sl_text_field(text, "node", (int64_t)event->f);
}
