/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/judge_verdict.h"

#include "dataplane/base/assert.h"

static const char *const defect_names[DEFECT_COUNT] = {
	[DEFECT_LOST] = "lost",
	[DEFECT_DOUBLED] = "doubled",
	[DEFECT_REORDERED] = "reordered",
	[DEFECT_KEY_ORDER] = "reordered_in_key",
	[DEFECT_CORRUPTED] = "corrupted",
	[DEFECT_BEYOND] = "beyond_claimed",
	[DEFECT_NOT_FAILED] = "present_though_failed",
	[DEFECT_MISPLACED] = "misplaced",
};

static const char *const doubt_names[DOUBT_COUNT] = {
	[DOUBT_UNDER_WAY] = "under_way",
	[DOUBT_SPILLED] = "absent_in_spill",
	[DOUBT_GAP] = "absent_without_journal",
	[DOUBT_NO_JOURNAL] = "senders_without_journal",
	[DOUBT_EXPIRED] = "absent_where_deleted",
	[DOUBT_OTHER_RUN] = "journals_not_found",
	[DOUBT_ROOM] = "no_room",
};

const char *defect_name(enum defect d)
{
	return defect_names[d];
}

const char *doubt_name(enum doubt d)
{
	return doubt_names[d];
}

void verdict_add(struct verdict *v, enum defect d, const struct place *at)
{
	if (v->defects[d]++ == 0) {
		v->first[d] = *at;
		v->placed[d] = true;
	}
}

void verdict_sum(struct verdict *into, const struct verdict *from)
{
	uint32_t i;

	for (i = 0; i < DEFECT_COUNT; i++) {
		if (into->defects[i] == 0) {
			into->first[i] = from->first[i];
			into->placed[i] = from->placed[i];
		}
		into->defects[i] += from->defects[i];
	}
	for (i = 0; i < DOUBT_COUNT; i++)
		into->doubts[i] += from->doubts[i];
	into->records += from->records;
	into->lost_unseen += from->lost_unseen;
	into->unknown_present += from->unknown_present;
	into->unknown_absent += from->unknown_absent;
	into->failed_absent += from->failed_absent;
	into->dropped_absent += from->dropped_absent;
	into->tail_present += from->tail_present;
	into->tail_absent += from->tail_absent;
}

static void not_failed(struct sender_state *s, const struct journal_slot *slot, uint64_t present)
{
	struct verdict *v = &s->verdict;
	struct place at = {0};

	if (present == 0)
		return;
	if (v->defects[DEFECT_NOT_FAILED] == 0) {
		at.sequence = seen_first_present(&s->seen, slot->first, slot->first + slot->count);
		v->placed[DEFECT_NOT_FAILED] = seen_near(&s->seen, at.sequence, &v->first[DEFECT_NOT_FAILED]);
		v->first[DEFECT_NOT_FAILED].sequence = at.sequence;
	}
	v->defects[DEFECT_NOT_FAILED] += present;
}

static void exception_judge(struct sender_state *s, const struct journal_slot *slot)
{
	struct verdict *v = &s->verdict;
	uint64_t present = seen_count(&s->seen, slot->first, slot->first + slot->count);
	uint64_t absent = slot->count - present;

	switch ((enum journal_outcome)slot->outcome) {
	case JOURNAL_UNKNOWN:
		v->unknown_present += present;
		v->unknown_absent += absent;
		break;
	case JOURNAL_FAILED:
		v->failed_absent += absent;
		not_failed(s, slot, present);
		break;
	case JOURNAL_DROPPED:
		v->dropped_absent += absent;
		not_failed(s, slot, present);
		break;
	default:
		SL_ASSERT(false); /* journal_read() lets no other in */
	}
}

static void lost(struct sender_state *s, uint64_t first_sequence, uint64_t count)
{
	struct verdict *v = &s->verdict;

	if (s->expired) {
		v->doubts[DOUBT_EXPIRED] += count;
		return;
	}
	if (v->defects[DEFECT_LOST] == 0) {
		v->placed[DEFECT_LOST] = seen_near(&s->seen, first_sequence, &v->first[DEFECT_LOST]);
		v->first[DEFECT_LOST].sequence = first_sequence;
	}
	v->defects[DEFECT_LOST] += count;
}

/* Absent ones of [from, to), of which nothing but their place among the journal's marks is known. */
static void absent_judge(struct sender_state *s, uint64_t from, uint64_t to)
{
	const struct journal_view *journal = s->journal;
	uint64_t absent = to > from ? to - from - seen_count(&s->seen, from, to) : 0;

	if (absent == 0)
		return;
	if (from >= journal->spill_low && from < journal->spill_high) {
		s->verdict.doubts[DOUBT_SPILLED] += absent;
		return;
	}
	if (from >= journal->settled_below && journal->end == JOURNAL_ENDED_OPEN) {
		s->verdict.unknown_absent += absent;
		return;
	}
	if (from >= journal->settled_below && journal->alive) {
		s->verdict.doubts[DOUBT_UNDER_WAY] += absent;
		return;
	}
	if (from >= journal->settled_below)
		s->verdict.lost_unseen += s->expired ? 0 : absent;
	lost(s, seen_first_absent(&s->seen, from, to), absent);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Records without an exception, cut where the journal's marks lie. */
static void plain_judge(struct sender_state *s, uint64_t from, uint64_t to)
{
	const uint64_t marks[] = {s->journal->settled_below, s->journal->spill_low, s->journal->spill_high};

	while (from < to) {
		uint64_t end = to;
		uint32_t i;

		for (i = 0; i < SL_ARRAY_COUNT(marks); i++)
			if (marks[i] > from)
				end = smaller(end, marks[i]);
		absent_judge(s, from, end);
		from = end;
	}
}

static void journal_judge(struct sender_state *s)
{
	const struct journal_view *journal = s->journal;
	struct verdict *v = &s->verdict;
	uint64_t at = 0;
	uint32_t i;

	for (i = 0; i < journal->slot_count; i++) {
		plain_judge(s, at, smaller(journal->slots[i].first, journal->committed));
		exception_judge(s, &journal->slots[i]);
		at = journal->slots[i].first + journal->slots[i].count;
	}
	plain_judge(s, at, journal->committed);
	at = at > journal->committed ? at : journal->committed;
	v->tail_present = seen_count(&s->seen, at, journal->claimed);
	v->tail_absent = journal->claimed - at - v->tail_present;
}

void verdict_complete(struct sender_state *s)
{
	struct verdict *v = &s->verdict;

	if (!s->journal) {
		v->doubts[DOUBT_NO_JOURNAL] = 1;
		v->doubts[DOUBT_GAP] = s->seen.end - seen_count(&s->seen, 0, s->seen.end);
		return;
	}
	journal_judge(s);
	/* Nothing of it is there, and nobody said that it is of this life of the topic. */
	if (!s->named && v->records == 0 && v->defects[DEFECT_CORRUPTED] == 0 && v->defects[DEFECT_LOST] > 0) {
		*v = (struct verdict){0};
		v->doubts[DOUBT_OTHER_RUN] = 1;
	}
}
