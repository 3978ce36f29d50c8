/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics read back through Kafka's protocol: who leads, where each partition begins and ends, and every record between.
 * Blocking, a connection a broker. The next fetch is asked for before the last one is handed over, so the broker
 * works while we do. A broker that is no longer the leader, or is away, is asked anew for a while. One thread.
 */
#ifndef SLUICE_TOOL_KAFKA_READ_H
#define SLUICE_TOOL_KAFKA_READ_H

#include "dataplane/base/error.h"
#include "dataplane/wire/record.h"

struct kafka;

struct kafka_partition {
	int32_t index;
	int32_t leader; /* -1: none */
	int64_t start_offset, end_offset;
};

struct kafka_sink {
	void *arg;
	/* header: of the name that was asked for, the last of that name; data NULL when there is none. */
	void (*record)(void *arg, int64_t offset, struct sl_slice header, struct sl_slice key, struct sl_slice value);
	/* A batch whose checksum or structure is wrong; what it holds was not given. */
	void (*damaged)(void *arg, int64_t offset);
	const char *header;
};

/* bootstrap: "host:port,host:port"; a port of 9092 may be left out. The first that answers is asked. */
int kafka_open(struct kafka **out, const char *bootstrap, struct sl_error *err);
void kafka_close(struct kafka *k);

/* The cluster's id, "" when the broker does not say; after the first kafka_topic(). */
const char *kafka_cluster(const struct kafka *k);

/* Partitions of a topic with their offsets of now, to be freed. -ENOENT: no such topic. */
int kafka_topic(struct kafka *k, const char *topic, struct kafka_partition **out, uint32_t *count, struct sl_error *err);

/* Hands every record of [start_offset, end_offset) to the sink, in order. */
int kafka_partition_read(struct kafka *k, const char *topic, const struct kafka_partition *partition,
			 const struct kafka_sink *sink, struct sl_error *err);

#endif
