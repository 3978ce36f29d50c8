/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DescribeProducers (api 61) v0, one partition a request: what sequence the broker has of each
 * producer id. To the leader (a follower answers with its own view); what it says is its log's end,
 * not the high watermark. Brokers from 2.8 on. Any thread; pure. Source: KIP-664.
 */
#ifndef SL_WIRE_DESCRIBE_PRODUCERS_H
#define SL_WIRE_DESCRIBE_PRODUCERS_H

#include "dataplane/wire/api.h"

struct sl_producer_state {
	int64_t producer_id;
	int32_t producer_epoch;
	int32_t last_sequence;
	int64_t last_timestamp_ms;
};

struct sl_describe_producers_answer {
	int32_t throttle_ms;
	struct sl_slice topic;
	int32_t partition;
	int16_t error_code;
	struct sl_slice error_message; /* may be null */
	struct sl_rbuf states;         /* for sl_producer_state_next() */
	int32_t states_left;
};

/* Returns the bytes of the frame or a negative errno (api.h). */
int sl_describe_producers_encode(struct sl_wbuf *w, const struct sl_request_head *head,
				 struct sl_slice topic, int32_t partition);

/* body: after sl_response_begin(). Returns 0, or -EBADMSG, also when it is not exactly one
 * partition. */
int sl_describe_producers_decode(const struct sl_rbuf *body,
				 struct sl_describe_producers_answer *out);

/* 1 with a producer's state, 0 after the last. The decoder checked them all, so this does not fail.
 */
int sl_producer_state_next(struct sl_describe_producers_answer *answer,
			   struct sl_producer_state *out);

#endif
