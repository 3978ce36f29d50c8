/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One blocking connection to a broker: request, answer. For reading back, where nothing else waits. Errors are negative
 * errno with a sentence; after one the connection is closed. One thread.
 */
#ifndef SLUICE_TOOL_KAFKA_LINK_H
#define SLUICE_TOOL_KAFKA_LINK_H

#include "dataplane/base/error.h"
#include "dataplane/wire/api.h"

enum { KAFKA_HOST_BYTES = 256, KAFKA_TIMEOUT_S = 30, KAFKA_FRAME_BYTES_MAX = 256 << 20, KAFKA_REQUEST_BYTES = 4096 };

struct kafka_buffer {
	uint8_t *data;
	size_t room;
};

struct kafka_link {
	int fd; /* -1: not connected */
	char host[KAFKA_HOST_BYTES];
	uint16_t port;
	int32_t correlation_id; /* of the last request */
	struct sl_api_versions versions;
};

/* Connects and asks for the broker's versions. */
int kafka_link_open(struct kafka_link *link, const char *host, uint16_t port, struct sl_error *err);
void kafka_link_close(struct kafka_link *link);

/* The head of the next request in the highest version that both speak; a negative errno when there is none. */
int kafka_link_head(struct kafka_link *link, int16_t api, struct sl_request_head *head, struct sl_error *err);

/* Sends what an encoder wrote; bytes is what it returned, an errno included. */
int kafka_link_send(struct kafka_link *link, const uint8_t *frame, int bytes, struct sl_error *err);

/* The answer to head into in; *body stands behind its header and points into it. */
int kafka_link_receive(struct kafka_link *link, int16_t api, const struct sl_request_head *head, struct kafka_buffer *in,
		       struct sl_rbuf *body, struct sl_error *err);

#endif
