/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's state: options, the nodes it plays, topics with their partitions. One thread owns
 * all of it. Several nodes in one process share every log: a follower is always up to date.
 */
#ifndef SL_DEVBROKER_BROKER_H
#define SL_DEVBROKER_BROKER_H

#include <netinet/in.h>

#include "tools/devbroker/fault.h"
#include "tools/devbroker/log.h"
#include "tools/devbroker/producer_state.h"
#include "tools/devbroker/records.h"

enum {
	SL_DB_NODES_MAX = 64,
	SL_DB_TOPIC_NAME_BYTES_MAX = 249,
	SL_DB_PARTITIONS_MAX = 10000, /* of one topic */
	SL_DB_TOPICS_MAX = 10000,
	SL_DB_REPLICATION_FACTOR = 3, /* where there are that many nodes */
};

/* Frames larger than this close the connection: Kafka's socket.request.max.bytes. */
#define SL_DB_FRAME_BYTES_MAX (100 << 20)

struct sl_db_conn;

struct sl_db_options {
	char host[64];
	uint16_t port;
	int32_t node_count;
	uint64_t memory_bytes;
	uint32_t batch_bytes_max;
	int32_t auto_create_partitions; /* 0: topics are not created by asking for them */
	bool trust;
	bool discard;
	bool quiet;
	uint64_t seed;
	struct sl_db_faults faults;
};

struct sl_db_node {
	int32_t id; /* from 1 */
	uint16_t port;
	int listen_fd;
};

/* A batch that was acknowledged and is kept back until a later one is in the log. */
struct sl_db_held {
	uint8_t *data; /* NULL: none */
	uint32_t bytes;
	uint32_t record_count;
};

struct sl_db_partition {
	int32_t leader_id;
	int32_t leader_epoch;
	struct sl_db_log log;
	struct sl_db_held held;
	struct sl_db_producers producers;
};

struct sl_db_topic {
	char name[SL_DB_TOPIC_NAME_BYTES_MAX + 1];
	uint32_t name_bytes;
	bool compacted;
	struct sl_uuid id;
	int32_t partition_count;
	struct sl_db_partition *partitions;
	/* for the statistics */
	uint64_t records;
	uint64_t bytes;
	uint64_t batches;
	uint64_t duplicates;
	uint64_t refused;
};

struct sl_db {
	struct sl_db_options options;
	struct sl_db_node nodes[SL_DB_NODES_MAX];
	struct sl_db_topic **topics;
	uint32_t topic_count;
	struct sl_db_pool pool;
	struct sl_db_inflater inflater;
	uint8_t scratch[SL_DB_NODES_MAX * 128]; /* of a handler, within one request */
	uint64_t random_state;
	int64_t next_producer_id;
	uint64_t now_ns; /* monotonic, taken once a turn */
	uint64_t start_ns;
	uint64_t appends; /* counts up, so that waiting fetches know when to look again */
	int epoll_fd;
	struct sl_db_conn *conns;
	uint64_t conn_count; /* all there ever were */
};

void sl_db_init(struct sl_db *db, const struct sl_db_options *options);
void sl_db_fini(struct sl_db *db);

/* Creates a topic. Returns 0 or Kafka's error code (17, 36, 37); *out may be NULL. */
int16_t sl_db_topic_create(struct sl_db *db, struct sl_slice name, int32_t partition_count,
			   struct sl_db_topic **out);
void sl_db_topic_delete(struct sl_db *db, struct sl_db_topic *topic);
struct sl_db_topic *sl_db_topic_by_name(const struct sl_db *db, struct sl_slice name);
struct sl_db_topic *sl_db_topic_by_id(const struct sl_db *db, const struct sl_uuid *id);

static inline struct sl_slice sl_db_topic_name(const struct sl_db_topic *topic)
{
	return (struct sl_slice){topic->name, topic->name_bytes};
}

/* NULL when the topic is NULL or has no such partition. */
struct sl_db_partition *sl_db_partition_of(const struct sl_db_topic *topic, int32_t index);

/* The node that leads, -1 while a fault takes the leader away. */
int32_t sl_db_leader_of(const struct sl_db *db, const struct sl_db_topic *topic, int32_t index);

/* Moves the leader of one partition, drawn by lot, to the next node. */
void sl_db_leader_move(struct sl_db *db);
void sl_db_producers_forget_all(struct sl_db *db);

int32_t sl_db_replica_count(const struct sl_db *db);

/* Unix time in ms. */
int64_t sl_db_time_ms(void);

/* One line "level event key=value ..." on stderr, none with --quiet. */
void sl_db_log_event(const struct sl_db *db, const char *level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The statistics on stdout, one line a topic and one for the process. */
void sl_db_statistics(const struct sl_db *db);

#endif
