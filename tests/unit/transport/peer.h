/* SPDX-License-Identifier: Apache-2.0 */
/* Real sockets of 127.0.0.1 as the far end of a transport under test: driven step by step by the
 * test's own thread. */
#ifndef SL_TESTS_TRANSPORT_PEER_H
#define SL_TESTS_TRANSPORT_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/transport/transport.h"

/* A listening socket on a free port, non-blocking; *address is where it listens. */
int peer_listen(struct sl_address *address, int backlog, int receive_bytes);

/* A port of 127.0.0.1 on which nobody listens. */
void peer_nobody(struct sl_address *address);

/* -1 when nothing waits. The descriptor is non-blocking. */
int peer_accept(int listener);

/* Bytes moved, 0 = would block, -1 = end or error. */
int64_t peer_read(int fd, void *out, uint32_t bytes);
int64_t peer_write(int fd, const void *data, uint32_t bytes);

void peer_reset(int fd); /* closes with RST */

#endif
