/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/broker.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "tools/devbroker/lie.h"

enum { PRODUCER_ID_FIRST = 1000 };

void sl_db_init(struct sl_db *db, const struct sl_db_options *options)
{
	*db = (struct sl_db){.options = *options, .epoll_fd = -1};
	db->pool.bytes_max = options->memory_bytes;
	/* The faults have dice of their own, so that topic ids do not depend on them. */
	db->random_state = options->seed ^ UINT64_C(0x5851F42D4C957F2D);
	if (db->random_state == 0)
		db->random_state = 1;
	db->next_producer_id = PRODUCER_ID_FIRST;
	db->start_ns = db->now_ns = sl_clock_monotonic_ns();
}

static void topic_free(struct sl_db_topic *topic)
{
	int32_t i;

	for (i = 0; i < topic->partition_count; i++) {
		sl_db_lie_fini(&topic->partitions[i].held);
		sl_db_log_fini(&topic->partitions[i].log);
		sl_db_producers_fini(&topic->partitions[i].producers);
	}
	free(topic->partitions);
	free(topic);
}

void sl_db_fini(struct sl_db *db)
{
	uint32_t i;

	for (i = 0; i < db->topic_count; i++)
		topic_free(db->topics[i]);
	free(db->topics);
	sl_db_inflater_fini(&db->inflater);
}

static bool name_legal(struct sl_slice name)
{
	const char *text = name.data;
	uint32_t i;

	if (name.bytes == 0 || name.bytes > SL_DB_TOPIC_NAME_BYTES_MAX)
		return false;
	if (sl_slice_equal(name, sl_slice_of(".")) || sl_slice_equal(name, sl_slice_of("..")))
		return false;
	for (i = 0; i < name.bytes; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
			return false;
	return !memchr(text, 0, name.bytes);
}

static struct sl_db_topic *topic_new(struct sl_db *db, struct sl_slice name, int32_t count)
{
	struct sl_db_topic *topic = calloc(1, sizeof(*topic));
	bool before_2_5 = db->options.faults.release <= SL_DB_RELEASE_2_4;
	int32_t i;

	if (!topic)
		return NULL;
	topic->partitions = calloc((size_t)count, sizeof(*topic->partitions));
	if (!topic->partitions) {
		free(topic);
		return NULL;
	}
	memcpy(topic->name, name.data, name.bytes);
	topic->name_bytes = name.bytes;
	topic->partition_count = count;
	for (i = 0; i < 2; i++)
		sl_store_be64(topic->id.bytes + i * 8, sl_random_next(&db->random_state));
	for (i = 0; i < count; i++) {
		struct sl_db_partition *p = &topic->partitions[i];

		p->leader_id = 1 + (int32_t)((db->topic_count + (uint32_t)i) %
					     (uint32_t)db->options.node_count);
		sl_db_log_init(&p->log, &db->pool);
		sl_db_producers_init(&p->producers, before_2_5);
	}
	return topic;
}

int16_t sl_db_topic_create(struct sl_db *db, struct sl_slice name, int32_t partition_count,
			   struct sl_db_topic **out)
{
	struct sl_db_topic **topics;
	struct sl_db_topic *topic;

	if (!name_legal(name))
		return SL_DB_INVALID_TOPIC;
	if (sl_db_topic_by_name(db, name))
		return SL_DB_TOPIC_ALREADY_EXISTS;
	if (partition_count < 1 || partition_count > SL_DB_PARTITIONS_MAX ||
	    db->topic_count == SL_DB_TOPICS_MAX)
		return SL_DB_INVALID_PARTITIONS;
	topics = realloc(db->topics, (db->topic_count + 1) * sizeof(struct sl_db_topic *));
	if (!topics)
		return SL_DB_UNKNOWN_SERVER_ERROR;
	db->topics = topics;
	topic = topic_new(db, name, partition_count);
	if (!topic)
		return SL_DB_UNKNOWN_SERVER_ERROR;
	db->topics[db->topic_count++] = topic;
	if (out)
		*out = topic;
	return SL_DB_NONE;
}

void sl_db_topic_delete(struct sl_db *db, struct sl_db_topic *topic)
{
	uint32_t i = 0;

	while (i < db->topic_count && db->topics[i] != topic)
		i++;
	SL_ASSERT(i < db->topic_count);
	db->topic_count--;
	memmove(&db->topics[i], &db->topics[i + 1],
		(db->topic_count - i) * sizeof(struct sl_db_topic *));
	topic_free(topic);
}

struct sl_db_topic *sl_db_topic_by_name(const struct sl_db *db, struct sl_slice name)
{
	uint32_t i;

	for (i = 0; i < db->topic_count; i++)
		if (sl_slice_equal(sl_db_topic_name(db->topics[i]), name))
			return db->topics[i];
	return NULL;
}

struct sl_db_topic *sl_db_topic_by_id(const struct sl_db *db, const struct sl_uuid *id)
{
	uint32_t i;

	for (i = 0; i < db->topic_count; i++)
		if (memcmp(&db->topics[i]->id, id, sizeof(*id)) == 0)
			return db->topics[i];
	return NULL;
}

struct sl_db_partition *sl_db_partition_of(const struct sl_db_topic *topic, int32_t index)
{
	if (!topic || index < 0 || index >= topic->partition_count)
		return NULL;
	return &topic->partitions[index];
}

int32_t sl_db_leader_of(const struct sl_db *db, const struct sl_db_topic *topic, int32_t index)
{
	if (sl_db_fault_no_leader(&db->options.faults, sl_db_topic_name(topic), index,
				  db->now_ns - db->start_ns))
		return -1;
	return topic->partitions[index].leader_id;
}

void sl_db_leader_move(struct sl_db *db)
{
	struct sl_db_topic *topic;
	struct sl_db_partition *partition;
	uint32_t index;

	if (db->topic_count == 0)
		return;
	topic = db->topics[sl_random_next(&db->random_state) % db->topic_count];
	index = (uint32_t)(sl_random_next(&db->random_state) % (uint32_t)topic->partition_count);
	partition = &topic->partitions[index];
	partition->leader_id = partition->leader_id % db->options.node_count + 1;
	partition->leader_epoch++;
	sl_db_log_event(db, "info",
			"leader_moved topic=%s partition=%" PRIu32 " leader=%" PRId32
			" epoch=%" PRId32,
			topic->name, index, partition->leader_id, partition->leader_epoch);
}

void sl_db_producers_forget_all(struct sl_db *db)
{
	uint32_t i;
	int32_t j;

	for (i = 0; i < db->topic_count; i++)
		for (j = 0; j < db->topics[i]->partition_count; j++)
			sl_db_producers_forget(&db->topics[i]->partitions[j].producers);
	sl_db_log_event(db, "info", "producers_forgotten");
}

int32_t sl_db_replica_count(const struct sl_db *db)
{
	return db->options.node_count < SL_DB_REPLICATION_FACTOR ? db->options.node_count
								 : SL_DB_REPLICATION_FACTOR;
}

int64_t sl_db_time_ms(void)
{
	return (int64_t)(sl_clock_realtime_ns() / SL_NS_PER_MS);
}

void sl_db_log_event(const struct sl_db *db, const char *level, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	if (db->options.quiet)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "%s %s\n", level, text);
}

void sl_db_statistics(const struct sl_db *db)
{
	struct rusage usage;
	uint32_t i;

	for (i = 0; i < db->topic_count; i++) {
		const struct sl_db_topic *t = db->topics[i];

		printf("topic name=%s partitions=%" PRId32 " records=%" PRIu64 " bytes=%" PRIu64
		       " batches=%" PRIu64 " duplicates=%" PRIu64 " refused=%" PRIu64 "\n",
		       t->name, t->partition_count, t->records, t->bytes, t->batches, t->duplicates,
		       t->refused);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("total topics=%" PRIu32 " connections=%" PRIu64 " memory_bytes=%" PRIu64
	       " uptime_s=%.3f cpu_user_s=%ld.%03ld cpu_system_s=%ld.%03ld\n",
	       db->topic_count, db->conn_count, db->pool.bytes,
	       (double)(sl_clock_monotonic_ns() - db->start_ns) / (double)SL_NS_PER_S,
	       usage.ru_utime.tv_sec, usage.ru_utime.tv_usec / 1000, usage.ru_stime.tv_sec,
	       usage.ru_stime.tv_usec / 1000);
	fflush(stdout);
}
