/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kafka/script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/wire/error_code.h"
#include "dataplane/wire/list_offsets.h"
#include "tests/sim/kafka/admin.h"
#include "tests/sim/kafka/ask.h"

#define HOUR_MS (INT64_C(3600) * 1000)
enum { STEPS_MAX = 22, BURST_MAX = 7, TOPIC_LIVES_MAX = 6, COORDINATOR_LOOKS_MAX = 1000 };

const struct topic_kind topic_kinds[KIND_COUNT] = {
	[KIND_PLAIN] = {"plain", {{0}}, {.partitions = SCRIPT_PARTITIONS}},
	[KIND_SMALL] = {"small",
			{{"max.message.bytes", "2000"}},
			{.partitions = SCRIPT_PARTITIONS, .message_bytes_max = 2000}},
	[KIND_TIMES] = {"times",
			{{"message.timestamp.before.max.ms", "3600000"},
			 {"message.timestamp.after.max.ms", "60000"}},
			{.partitions = SCRIPT_PARTITIONS,
			 .before_ms_max = HOUR_MS,
			 .after_ms_max = 60000}},
	[KIND_IN_SYNC] = {"insync",
			  {{"min.insync.replicas", "2"}},
			  {.partitions = SCRIPT_PARTITIONS, .min_isr = 2}},
	[KIND_OWN] = {"own", {{0}}, {.partitions = 1}},
};

/* ---- chance ---- */

static uint64_t below(struct script *s, uint64_t bound)
{
	return (sl_random_next(&s->random) >> 11) % bound;
}

static int64_t between(struct script *s, int64_t low, int64_t high)
{
	return low + (int64_t)below(s, (uint64_t)(high - low + 1));
}

static bool chance(struct script *s, uint32_t percent)
{
	return below(s, 100) < percent;
}

static void chance_begin(struct script *s)
{
	s->random = (s->seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (uint32_t i = 0; i < 4; i++)
		sl_random_next(&s->random);
}

enum topic_kind_id script_kind(uint64_t seed)
{
	struct script s = {.seed = seed};
	uint64_t n;

	chance_begin(&s);
	n = below(&s, 100);
	return n < 50   ? KIND_PLAIN
	       : n < 68 ? KIND_SMALL
	       : n < 84 ? KIND_TIMES
	       : n < 92 ? KIND_IN_SYNC
			: KIND_OWN;
}

/* ---- comparing ---- */

__attribute__((format(printf, 2, 3))) static void note(struct script *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(s->log, format, args);
	va_end(args);
	fflush(s->log);
}

static void compare(struct script *s, struct script_counts *counts, const char *real,
		    const char *model)
{
	bool same = strcmp(real, model) == 0;

	s->steps++;
	counts->steps += same;
	note(s, "    %s\n", real);
	if (same)
		return;
	note(s, "    %s   <- the model\n", model);
	s->failed = true;
}

static int64_t now_ms(void)
{
	return (int64_t)(sl_clock_realtime_ns() / SL_NS_PER_MS);
}

/* ---- producing ---- */

static struct script_producer *current(struct script *s)
{
	return &s->producers[s->producer];
}

static int32_t sequence_add(int32_t sequence, int64_t more)
{
	return (int32_t)(((int64_t)sequence + more) & INT32_MAX);
}

static bool sent_before(const struct script_producer *p, const struct ask_batch *b)
{
	for (uint32_t i = 0; i < p->sent_count; i++)
		if (p->sent[i].epoch == b->epoch && p->sent[i].base == b->base_sequence &&
		    p->sent[i].count == b->count)
			return true;
	return false;
}

static void sent_add(struct script_producer *p, const struct ask_batch *b)
{
	memmove(&p->sent[1], &p->sent[0], (SCRIPT_HISTORY - 1) * sizeof(p->sent[0]));
	p->sent[0] = (struct script_sent){b->epoch, b->base_sequence, b->count};
	if (p->sent_count < SCRIPT_HISTORY)
		p->sent_count++;
	p->epoch = b->epoch;
	p->next = sequence_add(b->base_sequence, b->count);
}

static void count(struct script_counts *counts, const struct ask_answer *answer, bool again)
{
	switch (answer->error) {
	case 0:
		if (!answer->closed)
			(*(again ? &counts->duplicates : &counts->produced))++;
		break;
	case SL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER:
		counts->out_of_order++;
		break;
	case SL_KAFKA_INVALID_PRODUCER_EPOCH:
		counts->old_epoch++;
		break;
	case SL_KAFKA_MESSAGE_TOO_LARGE:
		counts->too_large++;
		break;
	case SL_KAFKA_INVALID_TIMESTAMP:
		counts->times++;
		break;
	case SL_KAFKA_UNKNOWN_TOPIC_ID:
	case SL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
		counts->unknown++;
		break;
	default:
		counts->others++;
	}
}

static void produce(struct script *s, struct script_counts *counts, const char *what,
		    struct ask_produce *ask)
{
	static uint8_t frame[ASK_FRAME_BYTES_MAX];
	struct ask_answer real, model;
	struct sl_rbuf body = {0};
	const struct ask_batch *b = &ask->batch;
	bool again = b->producer_id >= 0 && sent_before(current(s), b);
	uint32_t bytes = ask_produce(frame, ask);
	int rc;

	note(s, "  %s: v%d acks %d partition %d pid %" PRId64 " epoch %d sequence %d +%u\n", what,
	     ask->version, ask->acks, ask->partition, b->producer_id, b->epoch, b->base_sequence,
	     b->count);
	rc = real_ask(s->real, frame, bytes, true, &body);
	answer_produce(&real, rc, body, ask);
	mirror_clock_set(s->mirror, now_ms());
	rc = mirror_ask(s->mirror, frame, bytes, &body);
	answer_produce(&model, rc, body, ask);
	compare(s, counts, real.text, model.text);
	count(counts, &real, again);
	if (real.error == 0 && !real.closed && !again && b->producer_id >= 0)
		sent_add(current(s), b);
}

static struct ask_produce ask_draw(struct script *s)
{
	static const int16_t versions[] = {3, 5, 7, 7, 8, 9, 10, 12, 12, 13, 13};
	const struct script_producer *p = current(s);
	struct ask_produce ask = {
		.topic = s->topic,
		.id = s->id,
		.partition = s->partition,
		.version = versions[below(s, SL_ARRAY_COUNT(versions))],
		.acks = chance(s, 85) ? -1 : 1,
		.batch = {p->id, p->epoch, p->next, 1, now_ms(), (uint32_t)between(s, 0, 80)},
	};

	if (chance(s, 50))
		ask.batch.count = (uint32_t)between(s, 2, 9);
	return ask;
}

/* ---- the steps ---- */

static void step_next(struct script *s, struct script_counts *counts)
{
	int64_t times = chance(s, 60) ? 1 : between(s, 2, BURST_MAX);

	while (times-- > 0 && !s->failed) {
		struct ask_produce ask = ask_draw(s);

		produce(s, counts, "next", &ask);
	}
}

static bool ask_again(struct script *s, struct ask_produce *ask)
{
	const struct script_producer *p = current(s);
	const struct script_sent *sent;

	*ask = ask_draw(s);
	if (p->sent_count == 0)
		return false;
	/* Mostly around the window's end. */
	sent = &p->sent[below(s, p->sent_count)];
	ask->batch.epoch = sent->epoch;
	ask->batch.base_sequence = sent->base;
	ask->batch.count = sent->count;
	return true;
}

static void step_again(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask;

	if (ask_again(s, &ask))
		produce(s, counts, "again", &ask);
}

static void step_again_recut(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask;

	if (!ask_again(s, &ask))
		return;
	ask.batch.count = (uint32_t)between(s, 1, 10);
	if (chance(s, 30))
		ask.batch.base_sequence = sequence_add(ask.batch.base_sequence, between(s, 1, 3));
	produce(s, counts, "again, cut anew", &ask);
}

static void step_gap(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);

	ask.batch.base_sequence = sequence_add(ask.batch.base_sequence, between(s, 1, 10));
	produce(s, counts, "gap", &ask);
}

static void step_epoch_up(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);
	struct script_producer *p = current(s);

	if (p->epoch == INT16_MAX)
		return;
	ask.batch.epoch = chance(s, 15) ? INT16_MAX : (int16_t)(p->epoch + 1);
	if (chance(s, 70))
		ask.batch.base_sequence = 0;
	produce(s, counts, "epoch up", &ask);
}

static void step_epoch_down(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);

	if (current(s)->epoch == 0)
		return;
	ask.batch.epoch = (int16_t)below(s, (uint64_t)current(s)->epoch);
	if (chance(s, 40))
		ask.batch.base_sequence = 0;
	produce(s, counts, "epoch down", &ask);
}

static void step_producer(struct script *s, struct script_counts *counts)
{
	uint8_t frame[256 + ASK_FRAME_BYTES_MAX];
	struct ask_answer real, model;
	struct sl_rbuf body = {0};
	uint32_t bytes = ask_producer_id(frame);
	int rc;

	if (s->producer_count > 0 && chance(s, 40)) {
		s->producer = (uint32_t)below(s, s->producer_count);
		return;
	}
	if (s->producer_count == SCRIPT_PRODUCERS_MAX)
		return;
	note(s, "  a new producer id\n");
	/* A broker that has just started takes a moment until it has ids to give. */
	for (uint32_t i = 0; i < COORDINATOR_LOOKS_MAX; i++) {
		rc = real_ask(s->real, frame, bytes, true, &body);
		answer_producer_id(&real, rc, body);
		if (real.error != SL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS)
			break;
		usleep(10000);
	}
	mirror_producer_id_set(s->mirror, real.producer_id);
	rc = mirror_ask(s->mirror, frame, bytes, &body);
	answer_producer_id(&model, rc, body);
	compare(s, counts, real.text, model.text);
	s->producer = s->producer_count++;
	*current(s) = (struct script_producer){.id = real.producer_id};
	/* A broker takes any first sequence of a producer that it does not know. */
	if (chance(s, 25))
		current(s)->next = INT32_MAX - (int32_t)between(s, 0, 30);
	else if (chance(s, 20))
		current(s)->next = (int32_t)between(s, 1, 1000);
}

static void step_wrap(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);
	int32_t room = INT32_MAX - current(s)->next;

	if (room > 200)
		return;
	ask.batch.count = (uint32_t)room + (uint32_t)between(s, 1, 3);
	produce(s, counts, "over the end of numbers", &ask);
}

static void step_large(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask;

	if (!chance(s, 30) || !ask_again(s, &ask))
		ask = ask_draw(s);
	ask.batch.value_bytes = (uint32_t)(between(s, 1800, 2200) / ask.batch.count);
	produce(s, counts, "large", &ask);
}

static void step_old(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask;

	if (!chance(s, 30) || !ask_again(s, &ask))
		ask = ask_draw(s);
	ask.batch.timestamp_ms -= chance(s, 40) ? 30 * 60 * 1000 : between(s, 2, 50) * HOUR_MS;
	produce(s, counts, "old", &ask);
}

static void step_future(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);

	ask.batch.timestamp_ms += chance(s, 50) ? 30 * 1000 : between(s, 2, 50) * HOUR_MS;
	produce(s, counts, "of the future", &ask);
}

static void step_no_numbers(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);

	ask.batch.producer_id = ask.batch.epoch = -1;
	ask.batch.base_sequence = -1;
	produce(s, counts, "without numbers", &ask);
}

static void step_elsewhere(struct script *s, struct script_counts *counts)
{
	struct ask_produce ask = ask_draw(s);

	if (chance(s, 50)) {
		ask.partition = (int32_t)s->partitions + (int32_t)below(s, 2);
	} else {
		ask.topic = "of nobody";
		for (uint32_t i = 0; i < sizeof(ask.id.bytes); i++)
			ask.id.bytes[i] = (uint8_t)(1 + below(s, 255));
	}
	produce(s, counts, "elsewhere", &ask);
}

static void step_describe(struct script *s, struct script_counts *counts)
{
	uint8_t frame[ASK_FRAME_BYTES_MAX];
	struct ask_answer real, model;
	struct sl_rbuf body = {0};
	uint32_t bytes = ask_describe(frame, s->topic, s->partition);
	int rc;

	note(s, "  describe producers\n");
	rc = real_ask(s->real, frame, bytes, true, &body);
	answer_describe(&real, rc, body);
	rc = mirror_ask(s->mirror, frame, bytes, &body);
	answer_describe(&model, rc, body);
	compare(s, counts, real.text, model.text);
	counts->described++;
}

/* Both sides count leader epochs their own way, so each is asked by its own. */
static void offsets(struct script *s, struct script_counts *counts, int64_t which, int32_t epoch)
{
	uint8_t frame[ASK_FRAME_BYTES_MAX];
	struct ask_answer real, model;
	struct sl_rbuf body = {0};
	int32_t leads = -1, model_leads = -1;
	uint32_t bytes;
	int rc;

	if (epoch == INT32_MIN)
		note(s, "  offset, %s\n", which == SL_OFFSET_LATEST ? "latest" : "earliest");
	else
		note(s, "  offset, latest, by the leader epoch %+d\n", epoch);
	bytes = ask_offsets(frame, s->topic, s->partition,
			    epoch == INT32_MIN ? -1 : s->leader_epoch + epoch, which);
	rc = real_ask(s->real, frame, bytes, true, &body);
	answer_offsets(&real, rc, body, &leads);
	bytes = ask_offsets(frame, s->topic, s->partition,
			    epoch == INT32_MIN ? -1 : s->model_epoch + epoch, which);
	rc = mirror_ask(s->mirror, frame, bytes, &body);
	answer_offsets(&model, rc, body, &model_leads);
	compare(s, counts, real.text, model.text);
	if (which != SL_OFFSET_LATEST || real.error != 0 || model.error != 0)
		return; /* of an older offset comes an older epoch */
	s->leader_epoch = leads;
	s->model_epoch = model_leads;
}

static void step_offsets(struct script *s, struct script_counts *counts)
{
	offsets(s, counts, SL_OFFSET_LATEST, INT32_MIN);
	if (s->exists && !s->failed && s->leader_epoch > 0)
		offsets(s, counts, SL_OFFSET_LATEST, (int32_t)between(s, -1, 1));
}

static void step_delete_records(struct script *s, struct script_counts *counts)
{
	char real[64], model[64];
	int64_t offset = chance(s, 50) ? -1 : between(s, 0, 40), low = -1;
	int16_t error;

	note(s, "  delete records before %" PRId64 "\n", offset);
	error = admin_records_delete(s->real, s->topic, s->partition, offset, &low);
	snprintf(real, sizeof(real), "%d, log start %" PRId64, error, low);
	error = mirror_records_delete(s->mirror, s->partition, offset, &low);
	snprintf(model, sizeof(model), "%d, log start %" PRId64, error, low);
	compare(s, counts, real, model);
}

/* ---- what is done to a topic ---- */

static struct mirror_topic mirror_topic_of(const struct script *s)
{
	struct mirror_topic topic = {topic_kinds[s->kind].spec, s->topic, s->id};

	topic.spec.replicas = 1;
	if (topic.spec.min_isr == 0)
		topic.spec.min_isr = 1;
	return topic;
}

static void step_grow(struct script *s, struct script_counts *counts)
{
	if (s->partitions == SIM_PARTITIONS_MAX)
		return;
	s->partitions++;
	note(s, "  grow to %u partitions\n", s->partitions);
	admin_grow(s->real, s->topic, s->partitions);
	mirror_topic_grow(s->mirror, s->partitions);
	if (chance(s, 50))
		s->partition = (int32_t)s->partitions - 1;
}

static void step_topic_again(struct script *s, struct script_counts *counts)
{
	struct mirror_topic topic;
	struct ask_produce ask;

	if (s->lives == TOPIC_LIVES_MAX)
		return;
	s->lives++;
	note(s, "  delete the topic\n");
	admin_delete(s->real, s->topic);
	mirror_topic_delete(s->mirror);
	s->exists = false;
	s->partition = 0;
	if (chance(s, 60)) {
		ask = ask_draw(s);
		produce(s, counts, "to nothing", &ask);
	}
	if (chance(s, 40) && !s->failed)
		step_describe(s, counts);
	note(s, "  make it anew\n");
	s->partitions = (uint32_t)between(s, 1, 3);
	ask = ask_draw(s);
	s->id = script_topic_create(s->real, s->kind, s->topic, s->partitions);
	topic = mirror_topic_of(s);
	topic.spec.partitions = s->partitions;
	mirror_topic_make(s->mirror, &topic);
	s->exists = true;
	if (s->failed)
		return;
	if (ask.version < ASK_VERSION_TOPIC_ID)
		ask.id = s->id;
	produce(s, counts, "to the topic that was", &ask);
	if (!s->failed)
		offsets(s, counts, SL_OFFSET_LATEST, INT32_MIN);
}

struct sl_uuid script_topic_create(struct real *real, enum topic_kind_id kind, const char *name,
				   uint32_t partitions)
{
	const struct topic_kind *k = &topic_kinds[kind];
	struct sl_topic_config configs[KIND_CONFIGS_MAX];
	uint32_t count_of = 0;

	for (; count_of < KIND_CONFIGS_MAX && k->configs[count_of].name; count_of++)
		configs[count_of] =
			(struct sl_topic_config){sl_slice_of(k->configs[count_of].name),
						 sl_slice_of(k->configs[count_of].value)};
	return admin_create(real, name, partitions, configs, count_of);
}

/* ---- a script ---- */

#define ALL (~0u)
#define ONLY(kind) (1u << (kind))

static const struct {
	void (*run)(struct script *s, struct script_counts *counts);
	uint32_t weight, kinds;
} steps[] = {
	{step_next, 34, ALL},
	{step_again, 18, ALL},
	{step_again_recut, 7, ALL},
	{step_gap, 6, ALL},
	{step_epoch_up, 6, ALL},
	{step_epoch_down, 4, ALL},
	{step_producer, 5, ALL},
	{step_wrap, 4, ALL},
	{step_old, 4, ALL},
	{step_old, 12, ONLY(KIND_TIMES)},
	{step_future, 8, ONLY(KIND_TIMES)},
	{step_large, 16, ONLY(KIND_SMALL)},
	{step_no_numbers, 3, ALL},
	{step_elsewhere, 3, ALL},
	{step_describe, 8, ALL},
	{step_offsets, 4, ALL},
	{step_delete_records, 4, ALL & ~ONLY(KIND_OWN)}, /* see run_all() */
	{step_grow, 8, ONLY(KIND_OWN)},
	{step_topic_again, 10, ONLY(KIND_OWN)},
};

static void step_draw(struct script *s, struct script_counts *counts)
{
	uint32_t sum = 0, i = 0;
	uint64_t n;

	for (uint32_t k = 0; k < SL_ARRAY_COUNT(steps); k++)
		sum += steps[k].kinds & ONLY(s->kind) ? steps[k].weight : 0;
	n = below(s, sum);
	for (;; i++) {
		uint32_t weight = steps[i].kinds & ONLY(s->kind) ? steps[i].weight : 0;

		if (n < weight)
			break;
		n -= weight;
	}
	steps[i].run(s, counts);
}

void script_run(struct script *s, struct script_counts *counts)
{
	/* Now and then a restart follows another at once. */
	int64_t left = chance(s, 12) ? 0 : between(s, 2, STEPS_MAX);

	while (s->producer_count == 0 && !s->failed)
		step_producer(s, counts);
	while (left-- > 0 && !s->failed)
		step_draw(s, counts);
	if (!s->failed)
		step_describe(s, counts);
	if (!s->failed)
		offsets(s, counts, SL_OFFSET_LATEST, INT32_MIN);
	if (!s->failed)
		offsets(s, counts, SL_OFFSET_EARLIEST, INT32_MIN);
}

void script_restarted(struct script *s, bool clean)
{
	note(s, "  restart, %s\n", clean ? "clean" : "after kill -9");
	mirror_clock_set(s->mirror, now_ms());
	mirror_restart(s->mirror, clean);
}

void script_begin(struct script *s, struct real *real, uint64_t seed, const char *topic,
		  struct sl_uuid id, int32_t partition)
{
	struct mirror_topic described;

	*s = (struct script){.seed = seed,
			     .kind = script_kind(seed),
			     .real = real,
			     .id = id,
			     .exists = true,
			     .partition = partition};
	chance_begin(s);
	below(s, 100); /* its kind */
	s->partitions = topic_kinds[s->kind].spec.partitions;
	snprintf(s->topic, sizeof(s->topic), "%s", topic);
	s->log = open_memstream(&s->log_text, &s->log_bytes);
	SL_ASSERT(s->log);
	if (s->kind == KIND_OWN)
		s->id = script_topic_create(real, KIND_OWN, s->topic, s->partitions);
	described = mirror_topic_of(s);
	s->mirror = mirror_create(seed, &described);
}

void script_end(struct script *s)
{
	mirror_destroy(s->mirror);
	fclose(s->log);
	free(s->log_text);
}
