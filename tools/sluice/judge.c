/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "tools/sluice/judge_keys.h"
#include "tools/sluice/judge_verdict.h"

enum { INDEX_SLOTS = 2 * JUDGE_SENDERS_MAX };

struct judge {
	struct sender_state **senders;
	uint32_t sender_count, sender_room;
	uint32_t *index; /* of (stream, sender): place in senders + 1; 0 free */
	struct sender_state *last;
	struct seen_budget budget;
	struct judge_keys keys;
	struct place at; /* of what is judged: topic and partition */
	uint32_t epoch;  /* of this partition */
	bool *expired;   /* by topic */
	uint32_t topic_count;
	uint64_t unstamped;
	struct verdict sum; /* what belongs to no sender, until judge_finish() */
};

struct judge *judge_create(uint64_t bytes_max)
{
	struct judge *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->index = calloc(INDEX_SLOTS, sizeof(*j->index));
	j->budget.bytes_max = bytes_max;
	j->keys.count_max = JUDGE_KEYS_MAX;
	if (j->index)
		return j;
	free(j);
	return NULL;
}

void judge_destroy(struct judge *j)
{
	uint32_t i;

	for (i = 0; i < j->sender_count; i++) {
		seen_free(&j->senders[i]->seen);
		free(j->senders[i]);
	}
	free(j->senders);
	free(j->index);
	free(j->expired);
	judge_keys_free(&j->keys);
	free(j);
}

static uint32_t *index_of(const struct judge *j, uint64_t stream, uint32_t sender)
{
	uint64_t at = (stream ^ (uint64_t)sender * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd) >> 40;

	for (at &= INDEX_SLOTS - 1; j->index[at] != 0; at = (at + 1) & (INDEX_SLOTS - 1)) {
		const struct sender_state *s = j->senders[j->index[at] - 1];

		if (s->stream == stream && s->sender == sender)
			break;
	}
	return &j->index[at];
}

static bool senders_grow(struct judge *j)
{
	uint32_t room = j->sender_room ? 2 * j->sender_room : 64;
	struct sender_state **grown;

	if (j->sender_count < j->sender_room)
		return true;
	grown = realloc(j->senders, room * sizeof(struct sender_state *));
	if (!grown)
		return false;
	j->senders = grown;
	j->sender_room = room;
	return true;
}

/* The sender, made when it is new; NULL: no room. */
static struct sender_state *sender_of(struct judge *j, uint64_t stream, uint32_t sender)
{
	struct sender_state *s = j->last;
	uint32_t *slot;

	if (s && s->stream == stream && s->sender == sender)
		return s;
	slot = index_of(j, stream, sender);
	if (*slot != 0)
		return j->last = j->senders[*slot - 1];
	if (j->sender_count == JUDGE_SENDERS_MAX || j->budget.bytes + sizeof(*s) > j->budget.bytes_max || !senders_grow(j))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	j->budget.bytes += sizeof(*s);
	*s = (struct sender_state){
		.stream = stream, .sender = sender, .journal_topic = UINT32_MAX, .seen.budget = &j->budget};
	j->senders[j->sender_count++] = s;
	*slot = j->sender_count;
	return j->last = s;
}

int judge_journal(struct judge *j, struct journal_view *journal, uint32_t topic, bool named)
{
	struct sender_state *s = sender_of(j, journal->stream, journal->sender);

	if (!s)
		return -ENOMEM;
	if (s->journal)
		return -EEXIST;
	s->journal = journal;
	s->journal_topic = topic;
	s->named = named;
	return 0;
}

void judge_partition(struct judge *j, uint32_t topic, int32_t partition, int64_t start_offset)
{
	j->at = (struct place){.topic = topic, .partition = partition};
	j->epoch++;
	judge_keys_forget(&j->keys);
	if (topic >= j->topic_count) {
		bool *grown = realloc(j->expired, topic + 1);

		if (!grown)
			return;
		memset(grown + j->topic_count, 0, topic + 1 - j->topic_count);
		j->expired = grown;
		j->topic_count = topic + 1;
	}
	j->expired[topic] |= start_offset > 0;
}

static void order_judge(struct judge *j, struct sender_state *s, struct sl_slice key)
{
	if (s->order_epoch != j->epoch) {
		s->order_epoch = j->epoch;
		s->order_next = 0;
	}
	if (j->at.sequence + 1 < s->order_next)
		verdict_add(&s->verdict, DEFECT_REORDERED, &j->at);
	else
		s->order_next = j->at.sequence + 1;
	if (key.data && judge_keys_note(&j->keys, judge_key_hash(key, s->stream + s->sender),
					j->at.sequence))
		verdict_add(&s->verdict, DEFECT_KEY_ORDER, &j->at);
}

/* A damaged record that still names a sequence of a journal is there, though not as it was sent: not lost as well. */
static void corrupted(struct judge *j, const struct stamp *stamp)
{
	uint32_t known = *index_of(j, stamp->stream, stamp->sender);
	struct sender_state *s = known ? j->senders[known - 1] : NULL;

	if (s && s->journal && stamp->sequence < s->journal->claimed) {
		verdict_add(&s->verdict, DEFECT_CORRUPTED, &j->at);
		seen_add(&s->seen, &j->at);
		return;
	}
	verdict_add(&j->sum, DEFECT_CORRUPTED, &j->at);
}

static void stamped(struct judge *j, const struct stamp *stamp, struct sl_slice key)
{
	struct sender_state *s = sender_of(j, stamp->stream, stamp->sender);
	int rc;

	if (!s) {
		j->sum.doubts[DOUBT_ROOM]++;
		return;
	}
	s->verdict.records++;
	s->expired = s->expired || (j->at.topic < j->topic_count && j->expired[j->at.topic]);
	if (s->journal && stamp->sequence >= s->journal->claimed) {
		verdict_add(&s->verdict, DEFECT_BEYOND, &j->at);
		return;
	}
	if (s->journal && s->journal_topic != j->at.topic)
		verdict_add(&s->verdict, DEFECT_MISPLACED, &j->at);
	rc = seen_add(&s->seen, &j->at);
	if (rc < 0)
		s->verdict.doubts[DOUBT_ROOM]++;
	else if (rc == 1)
		verdict_add(&s->verdict, DEFECT_DOUBLED, &j->at);
	else
		order_judge(j, s, key);
}

void judge_record(struct judge *j, int64_t offset, struct sl_slice header, struct sl_slice key, struct sl_slice value)
{
	struct stamp stamp;

	j->at.offset = offset;
	j->at.sequence = 0;
	if (!header.data) {
		j->unstamped++;
		return;
	}
	if (!stamp_get(header, &stamp)) {
		verdict_add(&j->sum, DEFECT_CORRUPTED, &j->at);
		return;
	}
	j->at.sequence = stamp.sequence;
	if (SL_LIKELY(stamp_sum_is_right(header, key, value)))
		stamped(j, &stamp, key);
	else
		corrupted(j, &stamp);
}

void judge_batch_corrupted(struct judge *j, int64_t offset)
{
	j->at.offset = offset;
	j->at.sequence = 0;
	verdict_add(&j->sum, DEFECT_CORRUPTED, &j->at);
}

const struct verdict *judge_finish(struct judge *j)
{
	uint32_t i;

	for (i = 0; i < j->sender_count; i++) {
		struct sender_state *s = j->senders[i];

		if (s->journal_topic < j->topic_count && j->expired[s->journal_topic])
			s->expired = true;
		verdict_complete(s);
		verdict_sum(&j->sum, &s->verdict);
	}
	return &j->sum;
}

const struct sender_state *judge_sender(const struct judge *j, uint32_t index)
{
	return j->senders[index];
}

uint32_t judge_sender_count(const struct judge *j)
{
	return j->sender_count;
}

uint64_t judge_unstamped(const struct judge *j)
{
	return j->unstamped;
}

uint64_t judge_keys(const struct judge *j, bool *more)
{
	*more = j->keys.more;
	return j->keys.forgotten + j->keys.count;
}
