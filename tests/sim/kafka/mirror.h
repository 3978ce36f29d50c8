/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model's side of the comparison: a cluster of one broker with one topic, asked frame by frame
 * through the same connections that the simulator's workers use. Time moves only inside a call.
 * One thread. What the model holds for impossible ends the process with the seed (sim_violation).
 */
#ifndef SL_SIM_KAFKA_MIRROR_H
#define SL_SIM_KAFKA_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"
#include "tests/sim/world.h"

struct mirror;

/* What it needs to be told of the topic; name and id are those of the real one. */
struct mirror_topic {
	struct sim_topic_spec spec;
	const char *name;
	struct sl_uuid id;
};

struct mirror *mirror_create(uint64_t seed, const struct mirror_topic *topic);
void mirror_destroy(struct mirror *m);

/* Its wall clock is the real one from now on. */
void mirror_clock_set(struct mirror *m, int64_t realtime_ms);
/* The next id that it gives away. */
void mirror_producer_id_set(struct mirror *m, int64_t id);

/*
 * Sends a frame and waits for the answer, unless the request has none. 1: *body is the frame
 * without its size field, valid until the next call; 0: no answer came and the connection lives;
 * -EPIPE: the broker has ended the connection, and a new one is made with the next call.
 */
int mirror_ask(struct mirror *m, const uint8_t *frame, uint32_t bytes, struct sl_rbuf *body);

void mirror_restart(struct mirror *m, bool clean);
/* Returns a Kafka error code, and the log's start in *low. */
int16_t mirror_records_delete(struct mirror *m, int32_t partition, int64_t offset, int64_t *low);
void mirror_topic_grow(struct mirror *m, uint32_t partitions);
void mirror_topic_delete(struct mirror *m);
void mirror_topic_make(struct mirror *m, const struct mirror_topic *topic);

#endif
