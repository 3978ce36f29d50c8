/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata (api 3), versions 7 to 13. The response is read in its own order, item by item, without
 *allocation:
 *
 *	struct sl_metadata_reader m;
 *	rc = sl_metadata_begin(&m, &body, version);
 *	while (rc == 0 && (rc = sl_metadata_next_broker(&m, &broker)) == 1) ...
 *	sl_metadata_cluster(&m, &cluster)
 *	while ((rc = sl_metadata_next_topic(&m, &topic)) == 1)
 *		while ((rc = sl_metadata_next_partition(&m, &partition)) == 1) ...
 *	rc = sl_metadata_end(&m, &error_code);
 *
 * A step may be left out: what is not taken is skipped. Slices point into the response. A struct
 *copy of the reader restarts from where it was made, so a caller may check everything first
 *(sl_metadata_check) and apply it after. Any thread; pure. Every function returns -EBADMSG for a
 *malformed response and goes on returning it.
 */
#ifndef SL_WIRE_METADATA_H
#define SL_WIRE_METADATA_H

#include "dataplane/wire/api.h"

struct sl_metadata_request {
	const struct sl_slice *topics; /* names */
	uint32_t topic_count;          /* 0 asks for no topic: brokers only */
	bool all_topics;               /* then topics is not looked at */
	bool allow_auto_create;
};

struct sl_metadata_broker {
	int32_t id;
	struct sl_slice host;
	int32_t port; /* 1..65535 */
};

struct sl_metadata_cluster {
	struct sl_slice cluster_id; /* null when the broker does not say */
	int32_t controller_id;      /* -1 none */
};

struct sl_metadata_topic {
	int16_t error_code;
	struct sl_slice name;    /* null only in v12+ when asked for by id */
	struct sl_uuid id;       /* zero below v10 */
	int32_t partition_count; /* leaderless ones included */
	bool internal;
};

struct sl_metadata_partition {
	int16_t error_code;
	int32_t index;        /* >= 0 */
	int32_t leader_id;    /* -1 none */
	int32_t leader_epoch; /* -1 unknown */
};

struct sl_metadata_reader {
	struct sl_rbuf r;
	int16_t version;
	bool flexible;
	int32_t throttle_ms;
	int32_t brokers_left;
	int32_t topics_left;     /* -1 until the cluster's fields were read */
	int32_t partitions_left; /* -1 when no topic is open */
	struct sl_metadata_cluster cluster;
};

/* Returns the bytes of the frame or a negative errno (api.h). */
int sl_metadata_request_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			       const struct sl_metadata_request *request);

/* body: after sl_response_begin(). Returns 0; m->throttle_ms is set. -EPROTONOSUPPORT for a version
 * out of 7..13. */
int sl_metadata_begin(struct sl_metadata_reader *m, const struct sl_rbuf *body, int16_t version);

/* Each returns 1 with an item, 0 when there is no further one. */
int sl_metadata_next_broker(struct sl_metadata_reader *m, struct sl_metadata_broker *out);
int sl_metadata_next_topic(struct sl_metadata_reader *m, struct sl_metadata_topic *out);
int sl_metadata_next_partition(struct sl_metadata_reader *m, struct sl_metadata_partition *out);

/* Returns 0 and the fields between brokers and topics. */
int sl_metadata_cluster(struct sl_metadata_reader *m, struct sl_metadata_cluster *out);

/* Skips what is left and demands the exact end. error_code: of the whole response, 0 below v13.
 * Returns 0. */
int sl_metadata_end(struct sl_metadata_reader *m, int16_t *error_code);

/* Walks a copy of the reader to the end: 0 when nothing in the response is malformed. */
int sl_metadata_check(const struct sl_metadata_reader *m);

#endif
