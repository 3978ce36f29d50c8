/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of a batch's records as one stream, in bounded steps into the caller's buffers. One
 * context for each codec and worker, made at start by the control thread; nothing allocates after
 * that. Codecs are named by their number in the batch attributes: 1 gzip, 2 snappy, 3 lz4, 4 zstd.
 */
#ifndef SL_BATCH_CODEC_H
#define SL_BATCH_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/error.h"

enum { SL_CODEC_LEVEL_DEFAULT = INT32_MIN, SL_CODEC_STEP_BYTES = 64 * 1024 };

struct sl_codec;

/*
 * level: the library's own scale, or SL_CODEC_LEVEL_DEFAULT; snappy has none. -EINVAL for a codec
 * or level that does not exist, -ENOMEM.
 */
int sl_codec_create(struct sl_codec **out, uint32_t codec, int level, struct sl_error *err);
void sl_codec_destroy(struct sl_codec *c);

uint32_t sl_codec_number(const struct sl_codec *c);
uint64_t sl_codec_memory_bytes(const struct sl_codec *c);

/* A new stream; one that was not finished is forgotten. */
void sl_codec_begin(struct sl_codec *c);

/* Input and room; the codec moves both on. */
struct sl_codec_io {
	const uint8_t *in;
	uint32_t in_bytes;
	uint8_t *out;
	uint32_t out_bytes;
};

/*
 * Takes input (at most SL_CODEC_STEP_BYTES are given at a time) and fills room. end: what is in io
 * is the last of it; once set it stays set. Returns 1 when it needs more input or more room, 0 when
 * the stream is complete (only with end), -EIO when the library refuses (the caller leaves the
 * batch uncompressed).
 */
int sl_codec_step(struct sl_codec *c, struct sl_codec_io *io, bool end);

/*
 * For tests, devbroker and readers: the whole of it, allocated; *out is the caller's to free.
 * -EBADMSG when malformed, -E2BIG above out_bytes_max, -ENOMEM.
 */
int sl_codec_decompress(uint32_t codec, const void *in, size_t in_bytes, size_t out_bytes_max,
			uint8_t **out, size_t *out_bytes);

#endif
