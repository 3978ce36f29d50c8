/* SPDX-License-Identifier: Apache-2.0
 *
 * Relations between settings. The rule throughout: two settings that were both given and contradict
 * each other are an error; where only one was given, the other's default follows it and a notice
 * says so.
 */
#include "config/loader.h"
#include "config/value.h"

#include <inttypes.h>
#include <string.h>

enum {
	IN_FLIGHT_MAX_IDEMPOTENT =
		5,                /* batches of a producer and partition that a broker remembers */
	RECORDS_PER_RING_MIN = 8, /* a ring holds at least this many of its largest records */
	BATCHES_PER_ARENA_MIN = 8,
	REQUESTS_PER_ARENA_MIN = 4,
	NUMBER_BYTES = 32,
};

static const char *number_text(const char *key, int64_t number, char out[static NUMBER_BYTES])
{
	FILE *stream = fmemopen(out, NUMBER_BYTES, "w");
	if (!stream)
		return "?";
	const struct sl_config_row *row = &sl_config_rows[sl_config_row_index(key)];
	sl_config_number_print(stream, row, number);
	if (row->unit == SL_CONFIG_UNIT_MS && number % 1000 == 0)
		fputs(" ms", stream);
	fclose(stream);
	return out;
}

/* The place of a key: the entry's own, else the top level's; name NULL when neither gave it. */
static const struct sl_config_place *given(const struct sl_config_loader *loader,
					   const struct sl_config_level *level, const char *key)
{
	uint32_t index = sl_config_row_index(key);
	return level->set[index].name ? &level->set[index] : &loader->top.set[index];
}

static bool given_here(const struct sl_config_level *level, const char *key)
{
	return level->set[sl_config_row_index(key)].name != NULL;
}

/* Whether the value that applies at the level was refused. */
static bool bad(const struct sl_config_loader *loader, const struct sl_config_level *level,
		const char *key)
{
	return given(loader, level, key)->bad;
}

static int64_t number_of(struct sl_config_loader *loader, const struct sl_config_level *level,
			 const char *key)
{
	const struct sl_config_row *row = &sl_config_rows[sl_config_row_index(key)];
	return sl_config_value_number(row, sl_config_field(loader->cfg, level->topic, row));
}

/* Makes an ungiven setting follow another. */
static void follow(struct sl_config_loader *loader, struct sl_config_level *level, const char *key,
		   int64_t number, const char *cause)
{
	const struct sl_config_row *row = &sl_config_rows[sl_config_row_index(key)];
	const struct sl_config_place *place = given(loader, level, cause);
	char text[NUMBER_BYTES];
	if (!sl_config_value_number_set(row, number,
					sl_config_field(loader->cfg, level->topic, row)))
		sl_config_error(loader, level, place, cause,
				"would make %s %s, which is out of its range", key,
				number_text(key, number, text));
	else
		sl_config_notice(loader, level, place, key, "is %s, to go with %s",
				 number_text(key, number, text), cause);
}

/* low <= high, both of the top level. */
static void check_order(struct sl_config_loader *loader, const char *low, const char *high)
{
	struct sl_config_level *top = &loader->top;
	int64_t low_number = number_of(loader, top, low),
		high_number = number_of(loader, top, high);
	char low_text[NUMBER_BYTES], high_text[NUMBER_BYTES];
	if (low_number <= high_number || bad(loader, top, low) || bad(loader, top, high))
		return;
	if (!given_here(top, high))
		follow(loader, top, high, low_number, low);
	else if (!given_here(top, low))
		follow(loader, top, low, high_number, high);
	else
		sl_config_error(loader, NULL, given(loader, top, low), low,
				"expected at most %s, which is %s; found %s", high,
				number_text(high, high_number, high_text),
				number_text(low, low_number, low_text));
}

static void rules_inherit(struct sl_config_loader *loader)
{
	for (uint32_t i = 0; i < loader->rule_count; i++) {
		struct sl_config_level *level = &loader->levels[i];
		for (uint32_t j = 0; j < sl_config_row_count; j++) {
			const struct sl_config_row *row = &sl_config_rows[j];
			if (row->topic && (!level->set[j].name || level->set[j].bad))
				sl_config_value_copy(
					row, sl_config_field(loader->cfg, level->topic, row),
					sl_config_field(loader->cfg, &loader->cfg->topic, row));
		}
	}
}

static void check_idempotence(struct sl_config_loader *loader, struct sl_config_level *level)
{
	struct sl_config_topic *topic = level->topic;
	if (topic->acks == SL_CONFIG_ACKS_ALL || !topic->enable_idempotence ||
	    bad(loader, level, "acks") || bad(loader, level, "enable.idempotence"))
		return;
	if (given_here(level, "enable.idempotence")) {
		sl_config_error(
			loader, level, given(loader, level, "enable.idempotence"),
			"enable.idempotence",
			"true contradicts acks, which is %d: expected acks: all, or false here",
			topic->acks);
		return;
	}
	topic->enable_idempotence = false;
	if (given_here(level, "acks"))
		sl_config_notice(loader, level, given(loader, level, "acks"), "enable.idempotence",
				 "is false, because acks is %d and not all", topic->acks);
}

static void check_in_flight(struct sl_config_loader *loader, const struct sl_config_level *level)
{
	static const char key[] = "max.in.flight.requests.per.connection";
	if (!level->topic->enable_idempotence ||
	    loader->cfg->max_in_flight <= IN_FLIGHT_MAX_IDEMPOTENT ||
	    bad(loader, level, "enable.idempotence") || bad(loader, level, "acks"))
		return;
	if (level->pattern && loader->cfg->topic.enable_idempotence)
		return; /* said once, at the top level */
	sl_config_error(loader, level, given(loader, &loader->top, key), key,
			"expected at most %d with enable.idempotence, found %u",
			IN_FLIGHT_MAX_IDEMPOTENT, loader->cfg->max_in_flight);
}

/* A record must have the time for one linger and one request. */
static void check_delivery(struct sl_config_loader *loader, struct sl_config_level *level)
{
	static const char key[] = "delivery.timeout.ms";
	bool gave = given_here(level, key), lingers = given_here(level, "linger.ms");
	if (level->pattern && !gave && !lingers) {
		level->topic->delivery_timeout_us = loader->cfg->topic.delivery_timeout_us;
		return;
	}
	uint64_t needed_us = level->topic->linger_us + loader->cfg->request_timeout_us;
	if (level->topic->delivery_timeout_us >= needed_us || bad(loader, level, key) ||
	    bad(loader, level, "linger.ms") || bad(loader, level, "request.timeout.ms"))
		return;
	if (!given(loader, level, key)->name) {
		follow(loader, level, key, (int64_t)needed_us,
		       lingers ? "linger.ms" : "request.timeout.ms");
		return;
	}
	char needed[NUMBER_BYTES], found[NUMBER_BYTES];
	sl_config_error(loader, level, given(loader, level, key), key,
			"expected at least linger.ms + request.timeout.ms, which is %s; found %s",
			number_text(key, (int64_t)needed_us, needed),
			number_text(key, (int64_t)level->topic->delivery_timeout_us, found));
}

static void check_share(struct sl_config_loader *loader, struct sl_config_level *level,
			const char *key, uint64_t share)
{
	char found[NUMBER_BYTES], most[NUMBER_BYTES];
	int64_t number = number_of(loader, level, key);
	int64_t number_max = (int64_t)(loader->cfg->arena_bytes / share);
	if (number <= number_max || bad(loader, level, key) || bad(loader, level, "arena.bytes"))
		return;
	if (level->pattern && !given_here(level, key))
		return; /* said once, at the top level */
	sl_config_error(loader, level,
			given(loader, level, given_here(level, key) ? key : "arena.bytes"), key,
			"expected at most arena.bytes / %" PRIu64 ", which is %s; found %s", share,
			number_text(key, number_max, most), number_text(key, number, found));
}

static void check_batch(struct sl_config_loader *loader, struct sl_config_level *level)
{
	static const char key[] = "batch.size", limit[] = "max.request.size";
	struct sl_config_topic *topic = level->topic;
	if (level->pattern && !given_here(level, key) && !given_here(level, limit)) {
		topic->batch_bytes = loader->cfg->topic.batch_bytes;
		return;
	}
	if (topic->batch_bytes > topic->request_bytes_max && !bad(loader, level, key) &&
	    !bad(loader, level, limit)) {
		char found[NUMBER_BYTES], most[NUMBER_BYTES];
		if (!given(loader, level, key)->name)
			follow(loader, level, key, (int64_t)topic->request_bytes_max, limit);
		else
			sl_config_error(loader, level,
					given(loader, level, given_here(level, key) ? key : limit),
					key,
					"expected at most max.request.size, which is %s; found %s",
					number_text(key, (int64_t)topic->request_bytes_max, most),
					number_text(key, (int64_t)topic->batch_bytes, found));
	}
	check_share(loader, level, key, BATCHES_PER_ARENA_MIN);
	check_share(loader, level, limit, REQUESTS_PER_ARENA_MIN);
}

static void check_level(struct sl_config_loader *loader, struct sl_config_level *level)
{
	check_idempotence(loader, level);
	check_in_flight(loader, level);
	check_delivery(loader, level);
	check_batch(loader, level);
}

/* The largest record must fit a ring that somebody can ask for. */
static void check_rings(struct sl_config_loader *loader)
{
	static const char key[] = "ring.bytes.max";
	struct sl_config_level *top = &loader->top;
	uint64_t needed = sl_config_request_bytes_max(loader->cfg) * RECORDS_PER_RING_MIN;
	char needed_text[NUMBER_BYTES], found[NUMBER_BYTES];
	if (loader->cfg->ring_bytes_max < needed && !bad(loader, top, key)) {
		if (given_here(top, key)) {
			sl_config_error(
				loader, NULL, given(loader, top, key), key,
				"expected at least %d times the largest max.request.size, which "
				"makes %s; found %s",
				RECORDS_PER_RING_MIN,
				number_text(key, (int64_t)needed, needed_text),
				number_text(key, (int64_t)loader->cfg->ring_bytes_max, found));
		} else {
			int64_t power = 1;
			while ((uint64_t)power < needed)
				power *= 2;
			follow(loader, top, key, power, "max.request.size");
		}
	}
	check_order(loader, "ring.bytes", key);
	check_order(loader, key, "rings.bytes.total");
	check_order(loader, "ring.bytes", "quota.uid.bytes");
	check_order(loader, "segment.rings.max", "rings.max");
	check_order(loader, "report.slots", "report.slots.max");
}

static void check_workers(struct sl_config_loader *loader)
{
	cpu_set_t allowed, taken;
	CPU_ZERO(&taken);
	if (loader->src->cpus_allowed)
		allowed = *loader->src->cpus_allowed;
	else if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		memset(&allowed, 0xff, sizeof(allowed)); /* unknown: pinning will tell */
	for (uint32_t i = 0; i < loader->cfg->worker_count; i++) {
		int32_t core = loader->workers[i].core;
		if (core == SL_CONFIG_CORE_ANY)
			continue;
		if (!CPU_ISSET((size_t)core, &allowed))
			sl_config_error(loader, NULL, &loader->worker_places[i], "workers",
					"core %d is not among the CPUs that this process may use",
					core);
		if (CPU_ISSET((size_t)core, &taken))
			sl_config_error(loader, NULL, &loader->worker_places[i], "workers",
					"core %d has a worker already; expected one worker a core",
					core);
		CPU_SET((size_t)core, &taken);
	}
}

/* What differs from the top level for whatever reason is as good as given: the dump must say it. */
static void rules_mark(struct sl_config_loader *loader)
{
	for (uint32_t i = 0; i < loader->rule_count; i++) {
		uint64_t bit = 1;
		for (uint32_t j = 0; j < sl_config_row_count; j++) {
			const struct sl_config_row *row = &sl_config_rows[j];
			if (!row->topic)
				continue;
			const void *own =
				sl_config_field(loader->cfg, loader->levels[i].topic, row);
			const void *top = sl_config_field(loader->cfg, &loader->cfg->topic, row);
			if (loader->levels[i].set[j].name || !sl_config_value_equal(row, own, top))
				loader->rules[i].set_mask |= bit;
			bit <<= 1;
		}
	}
}

void sl_config_check(struct sl_config_loader *loader)
{
	rules_inherit(loader);
	check_level(loader, &loader->top);
	for (uint32_t i = 0; i < loader->rule_count; i++)
		check_level(loader, &loader->levels[i]);
	loader->cfg->topic_rules = loader->rules;
	loader->cfg->topic_rule_count = loader->rule_count;
	check_order(loader, "retry.backoff.ms", "retry.backoff.max.ms");
	check_order(loader, "reconnect.backoff.ms", "reconnect.backoff.max.ms");
	check_rings(loader);
	check_workers(loader);
	rules_mark(loader);
}
