/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateTopics (api 19, versions 2 to 7) and DeleteTopics (api 20, versions 1 to 6), one topic a
 * request: for tools and tests. Any thread; pure. Source: Kafka protocol guide.
 */
#ifndef SL_WIRE_TOPICS_H
#define SL_WIRE_TOPICS_H

#include "dataplane/wire/api.h"

struct sl_topic_config {
	struct sl_slice name;
	struct sl_slice value;
};

struct sl_topic_create {
	struct sl_slice name;
	int32_t partition_count;    /* -1: the broker's default, from v4 on */
	int16_t replication_factor; /* the same */
	const struct sl_topic_config *configs;
	uint32_t config_count;
	int32_t timeout_ms;
};

/* What the broker says of the one topic. 36 (exists already), 41 (ask the controller) are usual. */
struct sl_topic_answer {
	int32_t throttle_ms;
	struct sl_slice name; /* may be null for DeleteTopics v6 */
	int16_t error_code;
	struct sl_slice error_message; /* may be null */
};

/* Each returns the bytes of the frame or a negative errno (api.h). */
int sl_create_topic_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			   const struct sl_topic_create *topic);
int sl_delete_topic_encode(struct sl_wbuf *w, const struct sl_request_head *head,
			   struct sl_slice name, int32_t timeout_ms);

/* body: after sl_response_begin(). Returns 0, -EPROTONOSUPPORT, or -EBADMSG, also when it is not
 * exactly one topic. */
int sl_create_topic_decode(const struct sl_rbuf *body, int16_t version,
			   struct sl_topic_answer *out);
int sl_delete_topic_decode(const struct sl_rbuf *body, int16_t version,
			   struct sl_topic_answer *out);

#endif
