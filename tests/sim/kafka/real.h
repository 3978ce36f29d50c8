/* SPDX-License-Identifier: Apache-2.0 */
/* The real broker's side: one blocking connection to 127.0.0.1, made again when it was ended. */
#ifndef SL_SIM_KAFKA_REAL_H
#define SL_SIM_KAFKA_REAL_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"

enum { REAL_ANSWER_BYTES_MAX = 4 << 20 };

struct real {
	uint16_t port;
	int fd; /* -1: not connected */
	uint8_t *in;
};

void real_init(struct real *real, uint16_t port);
void real_fini(struct real *real);
void real_disconnect(struct real *real);

/* Sends a frame; answered = false: and waits for nothing. 1 with the answer's frame in *body (valid
 * until the next call), 0 when none is due, -EPIPE when the broker has ended the connection. A
 * broker that is silent for long, or cannot be connected to, ends the process. */
int real_ask(struct real *real, const uint8_t *frame, uint32_t bytes, bool answered,
	     struct sl_rbuf *body);

#endif
