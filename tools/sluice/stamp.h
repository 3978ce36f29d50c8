/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stamped record carries in its header "sl-stamp": who sent it, as which of its records, and a checksum. 25 bytes,
 * big-endian:
 *
 *     0  u8   version, 1
 *     1  u64  stream: random, one for each run of a command
 *     9  u32  sender: 0, 1, ... within the stream; one ring, one thread
 *    13  u64  sequence: 0, 1, ... within the sender, the ring's own number
 *    21  u32  CRC-32C of the 21 bytes before, key length i32 (-1 null), value length i32 (-1 null), key, value
 *
 * The lengths are in the sum so that a byte that moved from the key to the value is seen. Any thread; pure.
 */
#ifndef SLUICE_TOOL_STAMP_H
#define SLUICE_TOOL_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire/buf.h"

#define STAMP_HEADER_NAME "sl-stamp"

enum { STAMP_VERSION = 1, STAMP_BYTES = 25, STAMP_HEADER_NAME_BYTES = sizeof(STAMP_HEADER_NAME) - 1 };

struct stamp {
	uint64_t stream;
	uint64_t sequence;
	uint32_t sender;
	uint32_t crc;
};

/* Writes the stamp of a record with this key and value; stamp->crc is not looked at. data NULL is Kafka's null. */
void stamp_put(uint8_t out[static STAMP_BYTES], const struct stamp *stamp, struct sl_slice key, struct sl_slice value);

/* Reads a header's value. False: not a stamp of a version that we know. The sum is not checked. */
bool stamp_get(struct sl_slice header, struct stamp *out);

/* True when the sum in a header that stamp_get() took is that of this key and value. */
bool stamp_sum_is_right(struct sl_slice header, struct sl_slice key, struct sl_slice value);

#endif
