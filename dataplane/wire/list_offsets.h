/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListOffsets (api 2), versions 4 to 7, one partition a request, to its leader: where its log
 * begins and ends. With a leader epoch it also tells whether the broker believes to lead in it: 0
 * yes, 6 follower, 74 past, 75 not yet known. Any thread; pure. Source: Kafka protocol guide;
 * KIP-320.
 */
#ifndef SL_WIRE_LIST_OFFSETS_H
#define SL_WIRE_LIST_OFFSETS_H

#include "dataplane/wire/api.h"

enum { SL_OFFSET_LATEST = -1, SL_OFFSET_EARLIEST = -2 };

struct sl_list_offsets_request {
	struct sl_slice topic;
	int32_t partition;
	int32_t leader_epoch; /* -1: do not check */
	int64_t timestamp_ms; /* or SL_OFFSET_* */
};

struct sl_list_offsets_answer {
	int32_t throttle_ms;
	struct sl_slice topic;
	int32_t partition;
	int16_t error_code;
	int64_t timestamp_ms;
	int64_t offset; /* -1 when there is none */
	int32_t leader_epoch;
};

/* Returns the bytes of the frame or a negative errno (api.h). */
int sl_list_offsets_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			   const struct sl_list_offsets_request *request);

/* body: after sl_response_begin(). Returns 0, -EPROTONOSUPPORT, or -EBADMSG, also when not exactly
 * one partition. */
int sl_list_offsets_decode(const struct sl_rbuf *body, int16_t version,
			   struct sl_list_offsets_answer *out);

#endif
