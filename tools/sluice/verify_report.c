/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict, for people and as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "tools/sluice/verify.h"

static const char *const verdict_names[] = {"clean", "violated", "undecided"};

static bool any_defect(const struct verdict *v)
{
	uint32_t i;

	for (i = 0; i < DEFECT_COUNT; i++)
		if (v->defects[i] > 0)
			return true;
	return false;
}

static bool any_doubt(const struct verdict *v)
{
	uint32_t i;

	for (i = 0; i < DOUBT_COUNT; i++)
		if (v->doubts[i] > 0)
			return true;
	return false;
}

static enum verify_exit verdict_of(const struct verify *v, const struct verdict *sum)
{
	if (any_defect(sum))
		return VERIFY_VIOLATED;
	/* Nobody whose records could be missed: that nothing is wrong would be no news. */
	if (any_doubt(sum) || judge_sender_count(v->judge) == 0)
		return VERIFY_UNDECIDED;
	return VERIFY_CLEAN;
}

static uint64_t records_read(const struct verify *v)
{
	uint64_t records = 0;
	uint32_t i;

	for (i = 0; i < v->topic_count; i++)
		records += v->topics[i].records;
	return records;
}

static void place_print(const struct verify *v, const struct place *at)
{
	printf("%s-%" PRId32 "@%" PRId64, v->topics[at->topic].name, at->partition, at->offset);
}

static void defects_print(const struct verify *v, const struct verdict *verdict)
{
	uint32_t i;

	for (i = 0; i < DEFECT_COUNT; i++) {
		bool near = i == DEFECT_LOST || i == DEFECT_NOT_FAILED;

		if (verdict->defects[i] == 0)
			continue;
		printf("  %s: %" PRIu64 ", first: record %" PRIu64, defect_name((enum defect)i), verdict->defects[i],
		       verdict->first[i].sequence);
		if (verdict->placed[i]) {
			fputs(near ? ", whose neighbours are about " : " at ", stdout);
			place_print(v, &verdict->first[i]);
		}
		putchar('\n');
	}
	if (verdict->lost_unseen > 0)
		printf("  of the lost, %" PRIu64 " had no outcome when their sender ended\n", verdict->lost_unseen);
	for (i = 0; i < DOUBT_COUNT; i++)
		if (verdict->doubts[i] > 0)
			printf("  undecided: %s %" PRIu64 "\n", doubt_name((enum doubt)i), verdict->doubts[i]);
}

static void notes_print(const struct verdict *verdict)
{
	if (verdict->unknown_present + verdict->unknown_absent > 0)
		printf("  unknown: %" PRIu64 " are there, %" PRIu64 " are not\n", verdict->unknown_present,
		       verdict->unknown_absent);
	if (verdict->failed_absent > 0)
		printf("  failed: %" PRIu64 "\n", verdict->failed_absent);
	if (verdict->dropped_absent > 0)
		printf("  dropped: %" PRIu64 "\n", verdict->dropped_absent);
	if (verdict->tail_present + verdict->tail_absent > 0)
		printf("  in hand when the sender ended: %" PRIu64 " there, %" PRIu64 " not\n", verdict->tail_present,
		       verdict->tail_absent);
}

static void text_report(const struct verify *v, const struct verdict *sum, enum verify_exit verdict)
{
	bool more;
	uint64_t keys = judge_keys(v->judge, &more);
	uint32_t i;

	for (i = 0; i < judge_sender_count(v->judge); i++) {
		const struct sender_state *s = judge_sender(v->judge, i);

		printf("stream %016" PRIx64 " sender %" PRIu32 ": %" PRIu64 " records", s->stream, s->sender,
		       s->verdict.records);
		if (s->journal)
			printf(" of %" PRIu64 "%s, %s", s->journal->committed, s->journal->alive ? " so far" : "",
			       s->journal->path);
		putchar('\n');
		defects_print(v, &s->verdict);
		notes_print(&s->verdict);
	}
	/* What no sender answers for: damaged stamps and batches. */
	if (sum->defects[DEFECT_CORRUPTED] > 0) {
		printf("corrupted in all: %" PRIu64 ", first at ", sum->defects[DEFECT_CORRUPTED]);
		place_print(v, &sum->first[DEFECT_CORRUPTED]);
		putchar('\n');
	}
	if (judge_unstamped(v->judge) > 0)
		printf("%" PRIu64 " records without a stamp\n", judge_unstamped(v->judge));
	if (v->journals_elsewhere > 0)
		printf("%" PRIu64 " journals of another cluster were left out\n", v->journals_elsewhere);
	if (more)
		printf("order was followed for %" PRIu64 " keys, there are more\n", keys);
	if (judge_sender_count(v->judge) == 0)
		puts("no stamps, and no journals of these topics");
	printf("%s: %" PRIu64 " records in %.3f s, %.0f a second\n", verdict_names[verdict], records_read(v), v->seconds,
	       v->seconds > 0 ? (double)records_read(v) / v->seconds : 0);
}

static void string_json(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned)(unsigned char)*text);
		else
			printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	}
	putchar('"');
}

static void defects_json(const struct verify *v, const struct verdict *verdict)
{
	uint32_t i;

	fputs("\"defects\": {", stdout);
	for (i = 0; i < DEFECT_COUNT; i++) {
		const struct place *at = &verdict->first[i];

		printf("%s\"%s\": {\"count\": %" PRIu64, i ? ", " : "", defect_name((enum defect)i), verdict->defects[i]);
		if (verdict->defects[i] > 0)
			printf(", \"first_sequence\": %" PRIu64, at->sequence);
		if (verdict->defects[i] > 0 && verdict->placed[i]) {
			fputs(", \"topic\": ", stdout);
			string_json(v->topics[at->topic].name);
			printf(", \"partition\": %" PRId32 ", \"offset\": %" PRId64, at->partition, at->offset);
		}
		putchar('}');
	}
	fputs("}, \"undecided\": {", stdout);
	for (i = 0; i < DOUBT_COUNT; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", doubt_name((enum doubt)i), verdict->doubts[i]);
	printf("},\n  \"lost_without_outcome\": %" PRIu64 ", \"unknown\": {\"present\": %" PRIu64 ", \"absent\": %" PRIu64
	       "}, \"failed\": %" PRIu64 ", \"dropped\": %" PRIu64 ", \"tail\": {\"present\": %" PRIu64
	       ", \"absent\": %" PRIu64 "}",
	       verdict->lost_unseen, verdict->unknown_present, verdict->unknown_absent, verdict->failed_absent,
	       verdict->dropped_absent, verdict->tail_present, verdict->tail_absent);
}

static const char *end_name(const struct journal_view *journal)
{
	if (journal->alive)
		return "running";
	return journal->end == JOURNAL_ENDED ? "ended" : journal->end == JOURNAL_ENDED_OPEN ? "gave_up" : "killed";
}

static void sender_json(const struct verify *v, const struct sender_state *s)
{
	const struct journal_view *j = s->journal;

	printf(" {\"stream\": \"%016" PRIx64 "\", \"sender\": %" PRIu32 ", \"records\": %" PRIu64 ",\n  \"journal\": ",
	       s->stream, s->sender, s->verdict.records);
	if (j) {
		fputs("{\"path\": ", stdout);
		string_json(j->path);
		fputs(", \"topic\": ", stdout);
		string_json(j->topic);
		printf(", \"state\": \"%s\", \"started_ms\": %" PRId64 ", \"claimed\": %" PRIu64 ", \"committed\": %" PRIu64
		       ", \"settled\": %" PRIu64 ", \"persisted\": %" PRIu64 ", \"failed\": %" PRIu64
		       ", \"unknown\": %" PRIu64 ", \"dropped\": %" PRIu64 "}",
		       end_name(j), j->started_ms, j->claimed, j->committed, j->settled_below, j->counts[JOURNAL_PERSISTED],
		       j->counts[JOURNAL_FAILED], j->counts[JOURNAL_UNKNOWN], j->counts[JOURNAL_DROPPED]);
	} else {
		fputs("null", stdout);
	}
	fputs(",\n  ", stdout);
	defects_json(v, &s->verdict);
	putchar('}');
}

static void json_report(const struct verify *v, const struct verdict *sum, enum verify_exit verdict)
{
	bool more;
	uint64_t keys = judge_keys(v->judge, &more);
	uint32_t i;

	printf("{\"verdict\": \"%s\", \"records\": %" PRIu64 ", \"stamped\": %" PRIu64 ", \"unstamped\": %" PRIu64
	       ", \"seconds\": %.6f, \"keys\": %" PRIu64 ", \"keys_complete\": %s, \"journals_elsewhere\": %" PRIu64
	       ",\n \"topics\": [",
	       verdict_names[verdict], records_read(v), sum->records, judge_unstamped(v->judge), v->seconds, keys,
	       more ? "false" : "true", v->journals_elsewhere);
	for (i = 0; i < v->topic_count; i++) {
		printf("%s{\"name\": ", i ? ", " : "");
		string_json(v->topics[i].name);
		printf(", \"partitions\": %" PRIu32 ", \"records\": %" PRIu64 "}", v->topics[i].partition_count,
		       v->topics[i].records);
	}
	fputs("],\n ", stdout);
	defects_json(v, sum);
	fputs(",\n \"senders\": [", stdout);
	for (i = 0; i < judge_sender_count(v->judge); i++) {
		fputs(i ? ",\n" : "\n", stdout);
		sender_json(v, judge_sender(v->judge, i));
	}
	fputs("]}\n", stdout);
}

int verify_report(const struct verify *v, const struct verdict *sum)
{
	enum verify_exit verdict = verdict_of(v, sum);

	if (v->json)
		json_report(v, sum, verdict);
	else
		text_report(v, sum, verdict);
	return (int)verdict;
}
