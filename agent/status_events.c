/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/status_events.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/event_text.h"
#include "agent/json.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/worker/flight.h"

enum { CONTROL = SL_CONFIG_WORKERS_MAX, SOURCES = SL_CONFIG_WORKERS_MAX + 1, TEXT_BYTES = 512 };

/* One that is shown: of worker `source`, or of the control thread. */
struct shown {
	uint64_t at_ms;
	uint32_t source;
	struct sl_flight_event event;          /* a worker's */
	const struct sl_recorder_entry *entry; /* the control thread's */
};

/* A source on its way back in time; next is what it offers. */
struct walk {
	uint64_t first, number; /* below number is to come */
	bool has;
	struct shown next;
};

struct gather {
	const struct sl_agent *agent;
	const struct sl_flight *(*flight_of)(const struct sl_worker *worker);
	struct walk walks[SOURCES];
	uint64_t written;
};

static bool take(const struct gather *g, uint32_t source, uint64_t number, struct shown *out)
{
	out->source = source;
	if (source == CONTROL) {
		out->entry = sl_recorder_at(&g->agent->recorder, number);
		out->at_ms = out->entry->at_ms;
		return true;
	}
	if (!sl_flight_get(g->flight_of(g->agent->workers[source].worker), number, &out->event))
		return false; /* written over meanwhile, and so are all before it */
	out->at_ms = out->event.at_ms;
	return true;
}

static void walk_on(struct gather *g, uint32_t source)
{
	struct walk *walk = &g->walks[source];

	walk->has = walk->number > walk->first && take(g, source, walk->number - 1, &walk->next);
	walk->number--;
}

static void walk_begin(struct gather *g, uint32_t source, uint64_t written, uint64_t first)
{
	g->walks[source] = (struct walk){.first = first, .number = written};
	g->written += written;
	walk_on(g, source);
}

static void workers_begin(struct gather *g)
{
	for (uint32_t w = 0; w < g->agent->worker_count; w++) {
		const struct sl_flight *flight = g->flight_of(g->agent->workers[w].worker);
		uint64_t written = sl_flight_written(flight);

		walk_begin(g, w, written, sl_flight_first(flight, written));
	}
}

/* The latest that any source offers, or false. */
static bool latest(struct gather *g, struct shown *out)
{
	struct walk *best = NULL;

	for (uint32_t i = 0; i < SOURCES; i++)
		if (g->walks[i].has && (!best || g->walks[i].next.at_ms > best->next.at_ms))
			best = &g->walks[i];
	if (!best)
		return false;
	*out = best->next;
	walk_on(g, out->source);
	return true;
}

/* Fills list from its end. Returns where it begins. */
static uint32_t gather_all(struct gather *g, struct shown *list, uint32_t max)
{
	uint32_t at = max;

	while (at > 0 && latest(g, &list[at - 1]))
		at--;
	return at;
}

static void put_source(struct sl_json *json, uint32_t source)
{
	char name[24];

	if (source == CONTROL)
		snprintf(name, sizeof(name), "control");
	else
		snprintf(name, sizeof(name), "worker-%u", source);
	sl_json_text(json, "source", name);
}

static void put_time(struct sl_json *json, uint64_t at_ms)
{
	char time[40];
	struct sl_text text = {.at = time, .room = sizeof(time) - 1};

	sl_text_time(&text, at_ms);
	time[text.bytes] = 0;
	sl_json_text(json, "time", time);
	sl_json_u64(json, "time_ms", at_ms);
}

static void put_unknown(const struct sl_agent *agent, struct sl_json *json,
			const struct shown *shown)
{
	const struct sl_flight_event *event = &shown->event;

	sl_json_object(json, NULL);
	put_time(json, shown->at_ms);
	sl_json_u64(json, "worker", shown->source);
	sl_json_text(json, "topic", sl_event_topic(agent, event));
	sl_json_i64(json, "partition", event->b);
	sl_json_i64(json, "node", (int64_t)event->f);
	sl_json_i64(json, "producer_id", (int64_t)event->c);
	sl_json_u64(json, "producer_epoch", event->d & UINT32_MAX);
	sl_json_u64(json, "base_sequence", event->e);
	sl_json_u64(json, "last_sequence", (event->e + (event->d >> 32) - 1) & INT32_MAX);
	sl_json_u64(json, "records", event->d >> 32);
	sl_json_i64(json, "code", event->code);
	sl_json_text(json, "cause", sl_kafka_error_name((int16_t)event->code));
	sl_json_end(json);
}

static void put_event(const struct sl_agent *agent, struct sl_json *json, const struct shown *shown)
{
	char words[TEXT_BYTES];
	struct sl_text text = {.at = words, .room = sizeof(words) - 1};

	if (shown->source == CONTROL)
		sl_text_bytes(&text, shown->entry->text,
			      atomic_load_explicit(&shown->entry->bytes, memory_order_relaxed));
	else
		sl_event_text(agent, &shown->event, &text);
	words[text.bytes] = 0;
	sl_json_object(json, NULL);
	put_time(json, shown->at_ms);
	put_source(json, shown->source);
	sl_json_text(json, "event", words);
	sl_json_end(json);
}

typedef void (*put_fn)(const struct sl_agent *agent, struct sl_json *json, const struct shown *one);

/* The latest of what was gathered, at most max; the others are counted as pushed out. */
static void put_gathered(const struct sl_agent *agent, struct sl_json *json, const char *name,
			 struct gather *g, uint32_t max, put_fn put)
{
	struct shown *list = calloc(max, sizeof(*list));
	uint32_t end = list ? max : 0;
	uint32_t from = gather_all(g, list, end);

	sl_json_object(json, name);
	sl_json_u64(json, "count", g->written);
	sl_json_u64(json, "pushed_out", g->written - (end - from));
	sl_json_array(json, "list");
	for (uint32_t i = from; i < end; i++)
		put(agent, json, &list[i]);
	sl_json_end(json);
	sl_json_end(json);
	free(list);
}

void sl_status_unknowns(const struct sl_agent *agent, struct sl_json *json)
{
	struct gather g = {.agent = agent, .flight_of = sl_worker_unknowns};

	workers_begin(&g);
	put_gathered(agent, json, "unknown_batches", &g, SL_STATUS_UNKNOWNS_MAX, put_unknown);
}

void sl_status_events(const struct sl_agent *agent, struct sl_json *json)
{
	struct gather g = {.agent = agent, .flight_of = sl_worker_events};
	uint64_t written = atomic_load_explicit(&agent->recorder.written, memory_order_relaxed);

	workers_begin(&g);
	walk_begin(&g, CONTROL, written, sl_recorder_first(written));
	put_gathered(agent, json, "events", &g, SL_STATUS_EVENTS_MAX, put_event);
}
