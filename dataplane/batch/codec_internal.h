/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the codecs. */
#ifndef SL_BATCH_CODEC_INTERNAL_H
#define SL_BATCH_CODEC_INTERNAL_H

#include <stdint.h>

/* Their numbers in the attributes of a batch. */
enum { CODEC_GZIP = 1, CODEC_SNAPPY = 2, CODEC_LZ4 = 3, CODEC_ZSTD = 4 };

enum {
	SNAPPY_TABLE_BITS = 13,
	SNAPPY_BLOCK_BYTES = 32 * 1024, /* as Java's writer cuts; positions fit 16 bits */
	XERIAL_HEADER_BYTES = 16,
};

#define XERIAL_HEADER "\x82SNAPPY\0\0\0\0\1\0\0\0\1"

/* Upper bound of a compressed block: its length, then literals only, with a tag of 3 bytes. */
static inline uint32_t sl_snappy_bound(uint32_t bytes)
{
	return 3 + 3 + bytes + bytes / 6;
}

/*
 * One raw snappy block. The library's own compressor allocates its table at each call, which a
 * worker must not. table has 2^SNAPPY_TABLE_BITS entries; at most SNAPPY_BLOCK_BYTES. Returns the
 * size.
 */
uint32_t sl_snappy_block(uint16_t *table, const uint8_t *in, uint32_t in_bytes, uint8_t *out);

#endif
