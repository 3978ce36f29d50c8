/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/stamper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "tools/sluice/agent_status.h"
#include "tools/sluice/cli.h"

enum { COST_TRIES = 20000 };

static void cluster_ask(struct stamping *s, const char *socket)
{
	static const char *path[] = {"cluster", "id", NULL};
	yajl_val tree = agent_status_tree(socket);
	yajl_val id = tree ? yajl_tree_get(tree, path, yajl_t_string) : NULL;

	if (id)
		snprintf(s->cluster, sizeof(s->cluster), "%s", YAJL_GET_STRING(id));
	yajl_tree_free(tree);
}

int stamping_begin(struct stamping *s, const char *socket, const char *folder)
{
	int rc = 0;

	*s = (struct stamping){.stream = sl_random_seed(), .journals = true, .asked = folder != NULL};
	if (folder && (size_t)snprintf(s->folder, sizeof(s->folder), "%s", folder) >= sizeof(s->folder))
		rc = -ENAMETOOLONG;
	else if (!folder)
		rc = journal_folder(s->folder, sizeof(s->folder));
	if (rc < 0 && folder)
		return complain(rc, "%s: %s", folder, strerror(-rc));
	s->journals = rc == 0;
	if (rc < 0)
		complain(0, "no journal is kept: no folder for it, name one with --journal");
	cluster_ask(s, socket);
	return 0;
}

int stamper_open(struct stamper *st, struct stamping *s, const char *topic, uint32_t sender)
{
	struct journal_identity who = {
		.topic = topic, .cluster = s->cluster, .stream = s->stream, .sender = sender};
	struct sl_error err;

	*st = (struct stamper){.stamp = {.stream = s->stream, .sender = sender}};
	if (!s->journals)
		return 0;
	if (journal_create(&st->journal, s->folder, &who, &err) == 0)
		return 0;
	complain(0, "%s: %s", s->asked ? "journal" : "no journal is kept", err.text);
	s->journals = false;
	return s->asked ? err.code : 0;
}

void stamper_close(struct stamper *st)
{
	journal_close(&st->journal);
	free(st->headers);
	st->headers = NULL;
	st->headers_room = 0;
}

static int headers_grow(struct stamper *st, uint32_t count)
{
	struct sluice_header *grown = realloc(st->headers, 2 * count * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	st->headers = grown;
	st->headers_room = 2 * count;
	return 0;
}

static bool is_stamp(const struct sluice_header *h)
{
	return h->name_bytes == STAMP_HEADER_NAME_BYTES && memcmp(h->name, STAMP_HEADER_NAME, STAMP_HEADER_NAME_BYTES) == 0;
}

int stamper_stamp(struct stamper *st, const struct sluice_record *record, struct sluice_record *stamped)
{
	struct sl_slice key = {record->key, record->key ? (uint32_t)record->key_bytes : 0};
	struct sl_slice value = {record->value, record->value ? (uint32_t)record->value_bytes : 0};
	uint32_t i, count = 0;

	if (record->header_count + 1 > st->headers_room && headers_grow(st, record->header_count + 1) < 0)
		return -ENOMEM;
	for (i = 0; i < record->header_count; i++)
		if (!is_stamp(&record->headers[i]))
			st->headers[count++] = record->headers[i];
	stamp_put(st->value, &st->stamp, key, value);
	st->headers[count++] = (struct sluice_header){
		STAMP_HEADER_NAME, st->value, STAMP_HEADER_NAME_BYTES, STAMP_BYTES};
	*stamped = *record;
	stamped->headers = st->headers;
	stamped->header_count = count;
	return 0;
}

void stamper_reported(struct stamper *st, const struct sluice_report *report)
{
	struct journal_slot run = {.first = report->first_seq,
				   .count = report->count,
				   .offset = report->base_offset,
				   .partition = report->partition,
				   .error = report->error,
				   .outcome = (uint8_t)report->outcome};

	/* Persisted ones are counted from the ring's own count, which no mode of reports leaves out. */
	if (!st->journal.file || report->outcome == SLUICE_PERSISTED)
		return;
	journal_outcome(&st->journal, &run);
	st->exceptions += report->count;
}

/* True when every record of stats has its outcome, and each exception came to us as a report. */
static bool all_known(const struct stamper *st, const struct sluice_stats *stats)
{
	return stats->settled == stats->sent && stats->failed + stats->unknown == st->exceptions;
}

void stamper_settled(struct stamper *st, const struct sluice_stats *stats)
{
	if (!st->journal.file)
		return;
	journal_persisted(&st->journal, stats->settled - stats->failed - stats->unknown);
	if (all_known(st, stats))
		journal_settle(&st->journal, stats->sent);
}

void stamper_end(struct stamper *st, const struct sluice_stats *stats)
{
	if (!st->journal.file)
		return;
	stamper_settled(st, stats);
	journal_end(&st->journal, all_known(st, stats) ? JOURNAL_ENDED : JOURNAL_ENDED_OPEN);
}

double stamper_cost_ns(uint32_t key_bytes, uint32_t value_bytes)
{
	static struct journal_file words; /* as warm as a mapped one */
	struct stamper st = {.journal = {.file = &words}};
	struct sluice_record stamped, record = {.key_bytes = (int32_t)key_bytes, .value_bytes = (int32_t)value_bytes};
	uint8_t *bytes = calloc(1, (size_t)key_bytes + value_bytes + 1);
	uint64_t begin_ns = sl_clock_thread_cpu_ns(), cost_ns;
	uint32_t i;

	if (!bytes)
		return 0;
	record.key = key_bytes ? bytes : NULL;
	record.value = bytes + key_bytes;
	for (i = 0; i < COST_TRIES; i++) {
		if (stamper_stamp(&st, &record, &stamped) < 0)
			break;
		stamper_claim(&st);
		stamper_commit(&st);
	}
	cost_ns = sl_clock_thread_cpu_ns() - begin_ns;
	st.journal.file = NULL;
	stamper_close(&st);
	free(bytes);
	return (double)cost_ns / COST_TRIES;
}
