/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetch (api 1), versions 10 to 12, one partition a request, to its leader: reading back, for tools
 * and tests. The records are whole batches and maybe a cut last one; walk them with
 * sl_batch_parse() until it says -EAGAIN. Any thread; pure. Source: Kafka protocol guide.
 */
#ifndef SL_WIRE_FETCH_H
#define SL_WIRE_FETCH_H

#include "dataplane/wire/api.h"

struct sl_fetch_request {
	struct sl_slice topic;
	int32_t partition;
	int64_t offset; /* the first batch may begin below it */
	int32_t max_wait_ms;
	int32_t min_bytes;
	int32_t max_bytes; /* the first batch comes even if it is larger */
};

struct sl_fetch_answer {
	int32_t throttle_ms;
	int16_t error_code;    /* of the request, else of the partition */
	struct sl_slice topic; /* null when the request as a whole failed */
	int32_t partition;
	int64_t high_watermark;
	int64_t log_start_offset;
	struct sl_slice records; /* may be null */
};

/* Returns the bytes of the frame or a negative errno (api.h). */
int sl_fetch_encode(struct sl_wbuf *w, const struct sl_request_head *head,
		    const struct sl_fetch_request *request);

/* body: after sl_response_begin(). Returns 0, -EPROTONOSUPPORT, or -EBADMSG, also when there are
 * several partitions. */
int sl_fetch_decode(const struct sl_rbuf *body, int16_t version, struct sl_fetch_answer *out);

#endif
