/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests as one frame each, written by the project's own codecs, and answers as a line of text:
 * what is compared is what a mismatch prints. Pure; the buffers are the caller's.
 */
#ifndef SL_SIM_KAFKA_ASK_H
#define SL_SIM_KAFKA_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"

enum { ASK_FRAME_BYTES_MAX = 48 * 1024, ASK_TEXT_BYTES = 2048, ASK_VERSION_TOPIC_ID = 13 };

struct ask_batch {
	int64_t producer_id; /* -1: not idempotent */
	int16_t epoch;
	int32_t base_sequence;
	uint32_t count;
	int64_t timestamp_ms; /* of the first; the others follow one by one */
	uint32_t value_bytes; /* of each record */
};

struct ask_produce {
	const char *topic;
	struct sl_uuid id;
	int32_t partition;
	int16_t version, acks;
	struct ask_batch batch;
};

/* What a step has to know of an answer, besides its text. */
struct ask_answer {
	char text[ASK_TEXT_BYTES];
	int16_t error;
	int64_t offset;
	int64_t producer_id;
	bool closed;
};

/* Each fills `frame` (ASK_FRAME_BYTES_MAX) and returns its bytes; what does not fit is asserted. */
uint32_t ask_produce(uint8_t *frame, const struct ask_produce *ask);
uint32_t ask_describe(uint8_t *frame, const char *topic, int32_t partition);
uint32_t ask_offsets(uint8_t *frame, const char *topic, int32_t partition, int32_t leader_epoch,
		     int64_t timestamp_ms);
uint32_t ask_producer_id(uint8_t *frame);

/* rc and body: as real_ask() and mirror_ask() give them. */
void answer_produce(struct ask_answer *out, int rc, struct sl_rbuf body,
		    const struct ask_produce *ask);
void answer_describe(struct ask_answer *out, int rc, struct sl_rbuf body);
/* leader_epoch is that of the answer, or -1. */
void answer_offsets(struct ask_answer *out, int rc, struct sl_rbuf body, int32_t *leader_epoch);
void answer_producer_id(struct ask_answer *out, int rc, struct sl_rbuf body);

#endif
