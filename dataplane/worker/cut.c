/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch that the broker refuses as it is, though its records, or most of them, could be written:
 * cut where it is too large, its bad records taken out, or expanded where the codec is at fault.
 * The pieces share out its sequence range, so they go before what was sent behind it. Only a batch
 * of which every attempt got a definite "no" may be cut; with any other, a piece could be written
 * twice.
 */
#include "dataplane/worker/internal.h"

enum {
	LEARNED_BYTES_MIN = 1024,
	BATCH_WHOLE = -1, /* there is nothing to cut */
};
#define LEARNED_NS                                                                                 \
	(UINT64_C(600) *                                                                           \
	 SL_NS_PER_S) /* then it is tried again: somebody may have raised the topic's limit */

static void cut_tell(struct sl_worker *w, struct partition *p, int16_t error)
{
	struct sl_msg msg = {
		SL_MSG_BATCH_CUT, p->topic, (uint32_t)p->index,
		(uint16_t)error | (uint64_t)w->topics[p->topic].settings.batch_bytes << 16, NULL};

	STAT_ADD(w->stats.batches_cut, 1);
	sl_worker_tell(w, &msg);
}

/* The pieces in the batch's place among those that are sent. They wait for what is in flight behind
 * it to come back. */
static void pieces_take_over(struct sl_worker *w, struct partition *p, uint32_t batch,
			     const uint32_t *pieces, uint32_t count)
{
	struct batch_extra extra = w->extras[batch];
	uint32_t i;

	for (i = count; i-- > 0;) {
		w->extras[pieces[i]] = (struct batch_extra){
			.link = extra.link, .partition = extra.partition, .error = extra.error};
		extra.link = pieces[i];
	}
	sl_sent_replace(w, p, batch, pieces[0], pieces[count - 1], count);
	w->live_batches += count - 1;
	w->topics[p->topic].tables->queue[p->index] += count - 1;
	p->warm = false;
}

/*
 * Cuts by what the splitter was told. Returns how many pieces there are in its place, 0 when it has
 * to wait for memory, or BATCH_WHOLE when it cannot be read.
 */
static int cut(struct sl_worker *w, struct partition *p, uint32_t batch, uint32_t pieces[2])
{
	int16_t error = w->extras[batch].error;
	int count = sl_batch_split(w->arena, w->splitter, batch, pieces);

	if (count == -ENOSPC) {
		sl_partition_trouble(w, p, error, -1);
		return 0;
	}
	if (count < 0)
		return BATCH_WHOLE;
	pieces_take_over(w, p, batch, pieces, (uint32_t)count);
	cut_tell(w, p, error);
	return count;
}

static bool may_cut(const struct sl_worker *w, uint32_t batch)
{
	return !w->extras[batch].unclean && sl_batch_records(w->arena, batch) > 1;
}

static uint32_t halve(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	uint64_t *second = sl_splitter_second(w->splitter);
	uint32_t records = sl_batch_records(w->arena, batch);
	uint32_t pieces[2], i;

	for (i = records / 2; i < records; i++)
		sl_splitter_choose(second, i);
	return cut(w, p, batch, pieces) == BATCH_WHOLE ? batch : NONE;
}

/* What follows is closed at half the size that was too much, so that it need not be cut. */
static void limit_learn(struct sl_worker *w, struct topic *topic, uint32_t bytes)
{
	uint32_t limit = bytes / 2 > LEARNED_BYTES_MIN ? bytes / 2 : LEARNED_BYTES_MIN;

	if (limit >= topic->settings.batch_bytes)
		return;
	if (topic->learned_ns == 0)
		topic->batch_bytes_given = topic->settings.batch_bytes;
	topic->settings.batch_bytes = limit;
	topic->learned_ns = w->now_ns;
	w->limits_learned = true;
}

uint32_t sl_cut_large(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	if (!may_cut(w, batch))
		return batch;
	limit_learn(w, &w->topics[p->topic], sl_batch_bytes(w->arena, batch));
	return halve(w, p, batch);
}

/* The records that the broker named, as bits. Returns how many there are. */
static uint32_t named_choose(uint64_t *second, uint32_t records,
			     struct sl_produce_record_errors errors)
{
	struct sl_produce_record_error error;
	uint32_t count = 0;

	while (sl_produce_record_error_next(&errors, &error) == 1) {
		uint32_t index = (uint32_t)error.batch_index;

		if (error.batch_index < 0 || index >= records ||
		    second[index / 64] >> (index % 64) & 1)
			continue;
		sl_splitter_choose(second, index);
		count++;
	}
	return count;
}

uint32_t sl_cut_records(struct sl_worker *w, struct partition *p, uint32_t batch,
			const struct sl_produce_record_errors *errors)
{
	uint32_t records = sl_batch_records(w->arena, batch);
	uint32_t pieces[2], named;
	int count;

	if (!may_cut(w, batch))
		return batch;
	named = named_choose(sl_splitter_second(w->splitter), records, *errors);
	if (named == records)
		return batch;
	if (named == 0) /* brokers before 2.4, and some refusals of newer ones: the culprit is found
			   by halving */
		return halve(w, p, batch);
	count = cut(w, p, batch, pieces);
	return count == BATCH_WHOLE ? batch : count == 0 ? NONE : pieces[1];
}

uint32_t sl_cut_codec(struct sl_worker *w, struct partition *p, uint32_t batch)
{
	uint32_t pieces[2];

	if (w->extras[batch].unclean || sl_batch_codec(w->arena, batch) == 0)
		return batch;
	w->topics[p->topic].settings.codec = NULL;
	sl_splitter_second(w->splitter);
	return cut(w, p, batch, pieces) == BATCH_WHOLE ? batch : NONE;
}

void sl_limits_scan(struct sl_worker *w)
{
	uint32_t i;

	if (!w->limits_learned)
		return;
	w->limits_learned = false;
	for (i = 0; i < w->options.topics_max; i++) {
		struct topic *topic = &w->topics[i];

		if (topic->learned_ns == 0)
			continue;
		if (w->now_ns - topic->learned_ns < LEARNED_NS) {
			w->limits_learned = true;
			continue;
		}
		topic->settings.batch_bytes = topic->batch_bytes_given;
		topic->learned_ns = 0;
	}
}
