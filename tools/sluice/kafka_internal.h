/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the reader. */
#ifndef SLUICE_TOOL_KAFKA_INTERNAL_H
#define SLUICE_TOOL_KAFKA_INTERNAL_H

#include "tools/sluice/kafka_link.h"
#include "tools/sluice/kafka_read.h"

enum { KAFKA_BROKERS_MAX = 1024, KAFKA_TRIES = 100 };

struct kafka_broker {
	int32_t id;
	char host[KAFKA_HOST_BYTES];
	uint16_t port;
	struct kafka_link link;
};

struct kafka {
	char *bootstrap;
	char cluster[64];
	struct kafka_link first; /* to a bootstrap address, for metadata */
	struct kafka_broker brokers[KAFKA_BROKERS_MAX];
	uint32_t broker_count;
	struct kafka_buffer talk;  /* answers to everything but fetches */
	struct kafka_buffer in[2]; /* one is read while the broker fills the other */
};

/* Where the partition's leader is now. -EAGAIN: nowhere, ask again. */
int kafka_leader(struct kafka *k, const char *topic, int32_t partition, struct kafka_link **link, struct sl_error *err);

/* 0, -EAGAIN for an error that passes, -EIO for one that stays. */
int kafka_error(int16_t code, const char *topic, int32_t partition, struct sl_error *err);

/* Between two tries. */
void kafka_pause(void);

#endif
