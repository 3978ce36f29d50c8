/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Produce (api 0), versions 3 to 13. The request is written for scatter/gather: all heads go into
 *one scratch buffer of the caller, and the payloads are sent from where they lie:
 *
 *	[size, header, acks.. | topic | partition prefix, batch header] payload [tags | prefix,
 *batch header] payload .. [tags]
 *
 *	sl_produce_size_begin(&size, &head);                       exact size of scratch and frame,
 *if wanted sl_produce_size_topic(&size, &topic); sl_produce_size_partition(&size, payload_bytes);
 *... sl_produce_begin(&pw, scratch, size.scratch_bytes, &head); sl_produce_topic(&pw, &topic); for
 *each topic iov[n++] = sl_produce_partition(&pw, index, &batch);       for each of its partitions,
 *payload iovecs after it frame_bytes = sl_produce_end(&pw, &iov[n++]);
 *
 * Counts must be kept as announced (asserted). A partition may stand in a request once only, with
 *one batch; acks and version are the whole request's. With acks 0 the broker answers nothing.
 *Versions below 7 do not allow zstd; version 13 names topics by id and so needs all of them.
 *Scratch lives until the transport has sent it. Any thread; pure.
 */
#ifndef SL_WIRE_PRODUCE_H
#define SL_WIRE_PRODUCE_H

#include <sys/uio.h>

#include "dataplane/wire/api.h"
#include "dataplane/wire/batch_header.h"

enum {
	SL_PRODUCE_VERSION_TOPIC_ID = 13, /* the first that names topics by id */
	SL_PRODUCE_VERSION_ZSTD = 7,      /* the first that allows zstd */
};

/*
 * Scratch bytes that always suffice, for sizing buffers at start: a request takes at most
 * SL_PRODUCE_HEAD_BYTES_MAX + client_id + topics * (SL_PRODUCE_TOPIC_BYTES_MAX + name) +
 * partitions * SL_PRODUCE_PARTITION_BYTES_MAX.
 */
enum {
	SL_PRODUCE_HEAD_BYTES_MAX = 4 + 8 + 2 + 1 + 2 + 2 + 4 + 5 + 1,
	SL_PRODUCE_TOPIC_BYTES_MAX = 16 + 5 + 1,
	SL_PRODUCE_PARTITION_BYTES_MAX = 4 + 5 + SL_BATCH_HEADER_BYTES + 1,
};

struct sl_produce_head {
	struct sl_request_head request;
	int16_t acks;       /* 0, 1 or -1 */
	int32_t timeout_ms; /* how long the leader waits for the replicas */
	uint32_t topic_count;
};

struct sl_produce_topic {
	struct sl_slice name; /* below v13 */
	struct sl_uuid id;    /* v13; not zero */
	uint32_t partition_count;
};

/* frame_bytes counts the size field too and so is what goes on the wire. */
struct sl_produce_size {
	int16_t version;
	uint64_t scratch_bytes;
	uint64_t frame_bytes;
};

struct sl_produce_writer {
	struct sl_wbuf w;
	uint8_t *frame;
	const uint8_t *cut; /* scratch before this is in an iovec already */
	uint64_t payload_bytes;
	uint32_t topics_left;
	uint32_t partitions_left;
	int16_t version;
	bool flexible;
	bool topic_open;
	bool partition_open;
};

void sl_produce_size_begin(struct sl_produce_size *size, const struct sl_produce_head *head);
void sl_produce_size_topic(struct sl_produce_size *size, const struct sl_produce_topic *topic);
void sl_produce_size_partition(struct sl_produce_size *size, uint32_t payload_bytes);

/* Returns 0, or -EPROTONOSUPPORT for a version out of 3..13. Too small a scratch shows at
 * sl_produce_end(). */
int sl_produce_begin(struct sl_produce_writer *pw, void *scratch, size_t scratch_bytes,
		     const struct sl_produce_head *head);
void sl_produce_topic(struct sl_produce_writer *pw, const struct sl_produce_topic *topic);

/* Writes up to the end of the batch header and returns what to send before the payload. */
struct iovec sl_produce_partition(struct sl_produce_writer *pw, int32_t index,
				  const struct sl_batch_header *batch);

/*
 * Writes the last tags and the frame's size. tail gets what to send after the last payload; it is
 * empty (iov_len 0) below v9. Returns the bytes of the frame on the wire, -ENOBUFS when scratch was
 * too small, -EMSGSIZE when the frame does not fit an int32.
 */
int64_t sl_produce_end(struct sl_produce_writer *pw, struct iovec *tail);

/* ---- response ---- */

/* The records that a broker named as the cause of a refusal. Walk with
 * sl_produce_record_error_next(). */
struct sl_produce_record_errors {
	struct sl_rbuf r;
	int32_t left;
	bool flexible;
};

struct sl_produce_record_error {
	int32_t batch_index;
	struct sl_slice message; /* may be null */
};

struct sl_produce_result {
	struct sl_slice
		topic; /* null from v13 on: match topic_id with what this very request sent */
	struct sl_uuid topic_id; /* zero below v13 */
	int32_t index;
	int16_t error_code;
	int64_t base_offset;        /* -1 on error */
	int64_t log_append_time_ms; /* -1, but for log-append topics and for duplicates */
	int64_t log_start_offset;   /* -1 unknown */
	struct sl_produce_record_errors record_errors;
	struct sl_slice error_message; /* null unless v8+ said something */
	int32_t leader_id;             /* hint of v10+; -1 none */
	int32_t leader_epoch;
};

/* Where the leaders named by hints live. Walk with sl_produce_node_next(). */
struct sl_produce_nodes {
	struct sl_rbuf r;
	int32_t left;
};

struct sl_produce_node {
	int32_t id;
	struct sl_slice host;
	int32_t port; /* 1..65535 */
};

struct sl_produce_end {
	int32_t throttle_ms;
	struct sl_produce_nodes nodes;
};

struct sl_produce_reader {
	struct sl_rbuf r;
	int16_t version;
	bool flexible;
	bool topic_open;
	int32_t topics_left;
	int32_t partitions_left;
	struct sl_slice topic;
	struct sl_uuid topic_id;
};

/* body: after sl_response_begin(). Returns 0, -EBADMSG, or -EPROTONOSUPPORT. */
int sl_produce_response_begin(struct sl_produce_reader *pr, const struct sl_rbuf *body,
			      int16_t version);

/* Returns 1 with the next partition's result (in the broker's order), 0 after the last, -EBADMSG.
 */
int sl_produce_response_next(struct sl_produce_reader *pr, struct sl_produce_result *out);

/* Skips what is left, reads the rest and demands the exact end. Returns 0 or -EBADMSG. */
int sl_produce_response_end(struct sl_produce_reader *pr, struct sl_produce_end *out);

/* 1 with an item, 0 after the last. What they walk was checked when it was read, so they do not
 * fail. */
int sl_produce_record_error_next(struct sl_produce_record_errors *errors,
				 struct sl_produce_record_error *out);
int sl_produce_node_next(struct sl_produce_nodes *nodes, struct sl_produce_node *out);

#endif
