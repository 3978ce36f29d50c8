/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY
#include "dataplane/batch/expand.h"

#include <errno.h>
#include <lz4.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "dataplane/base/endian.h"
#include "dataplane/batch/codec_internal.h"

enum {
	GZIP_WINDOW_BITS = 15 + 16,
	GZIP_MEMORY_BYTES = 48 * 1024, /* zlib's inflate: its state and a window of 32 KiB */
	LZ4_HEADER_BYTES = 7,
};

struct sl_expander {
	z_stream gzip;
	ZSTD_DCtx *zstd; /* lies in state */
	void *state;
};

int sl_expander_create(struct sl_expander **out, struct sl_error *err)
{
	struct sl_expander *e = calloc(1, sizeof(*e));
	size_t bytes = (ZSTD_estimateDCtxSize() + 63) / 64 * 64;

	if (!e)
		return sl_error_set(err, -ENOMEM, "decompression context");
	e->state = aligned_alloc(64, bytes);
	if (e->state) {
		memset(e->state, 0, bytes); /* faulted in here rather than by the worker */
		e->zstd = ZSTD_initStaticDCtx(e->state, bytes);
	}
	if (!e->zstd || inflateInit2(&e->gzip, GZIP_WINDOW_BITS) != Z_OK) {
		sl_expander_destroy(e);
		return sl_error_set(err, -ENOMEM, "decompression context");
	}
	*out = e;
	return 0;
}

void sl_expander_destroy(struct sl_expander *e)
{
	if (!e)
		return;
	inflateEnd(&e->gzip);
	free(e->state);
	free(e);
}

uint64_t sl_expander_memory_bytes(void)
{
	return sizeof(struct sl_expander) + ZSTD_estimateDCtxSize() + GZIP_MEMORY_BYTES;
}

static int64_t gzip_expand(struct sl_expander *e, const uint8_t *in, uint32_t in_bytes,
			   uint8_t *out, uint32_t out_bytes)
{
	z_stream *z = &e->gzip;

	if (inflateReset(z) != Z_OK)
		return -EBADMSG;
	z->next_in = (Bytef *)(uintptr_t)in; /* zlib does not write there */
	z->avail_in = in_bytes;
	z->next_out = out;
	z->avail_out = out_bytes;
	if (inflate(z, Z_FINISH) != Z_STREAM_END || z->avail_in > 0)
		return -EBADMSG;
	return out_bytes - z->avail_out;
}

static int64_t zstd_expand(struct sl_expander *e, const uint8_t *in, uint32_t in_bytes,
			   uint8_t *out, uint32_t out_bytes)
{
	size_t n = ZSTD_decompressDCtx(e->zstd, out, out_bytes, in, in_bytes);

	return ZSTD_isError(n) ? -EBADMSG : (int64_t)n;
}

/* A frame of independent blocks without checksums, as codec.c writes it. */
static int64_t lz4_expand(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes)
{
	const uint8_t *end = in + in_bytes;
	uint32_t done = 0;

	if (in_bytes < LZ4_HEADER_BYTES)
		return -EBADMSG;
	for (in += LZ4_HEADER_BYTES; end - in >= 4;) {
		uint32_t word = sl_load_le32(in);
		uint32_t bytes = word & INT32_MAX;

		in += 4;
		if (word == 0)
			return in == end ? (int64_t)done : -EBADMSG;
		if (bytes > end - in)
			return -EBADMSG;
		if (word >> 31) { /* stored as it is */
			if (bytes > out_bytes - done)
				return -EBADMSG;
			memcpy(out + done, in, bytes);
			done += bytes;
		} else {
			int n = LZ4_decompress_safe((const char *)in, (char *)out + done,
						    (int)bytes, (int)(out_bytes - done));

			if (n < 0)
				return -EBADMSG;
			done += (uint32_t)n;
		}
		in += bytes;
	}
	return -EBADMSG;
}

/* Xerial's framing, as codec.c writes it. */
static int64_t snappy_expand(const uint8_t *in, uint32_t in_bytes, uint8_t *out, uint32_t out_bytes)
{
	const uint8_t *end = in + in_bytes;
	uint32_t done = 0;

	if (in_bytes < XERIAL_HEADER_BYTES)
		return -EBADMSG;
	for (in += XERIAL_HEADER_BYTES; end - in >= 4;) {
		uint32_t bytes = sl_load_be32(in);
		size_t room = out_bytes - done;

		in += 4;
		if (bytes > end - in || snappy_uncompress((const char *)in, bytes,
							  (char *)out + done, &room) != SNAPPY_OK)
			return -EBADMSG;
		done += (uint32_t)room;
		in += bytes;
	}
	return in == end ? (int64_t)done : -EBADMSG;
}

int sl_expand(struct sl_expander *e, uint32_t codec, const uint8_t *in, uint32_t in_bytes,
	      uint8_t *out, uint32_t out_bytes)
{
	int64_t n = codec == CODEC_GZIP     ? gzip_expand(e, in, in_bytes, out, out_bytes)
		    : codec == CODEC_ZSTD   ? zstd_expand(e, in, in_bytes, out, out_bytes)
		    : codec == CODEC_LZ4    ? lz4_expand(in, in_bytes, out, out_bytes)
		    : codec == CODEC_SNAPPY ? snappy_expand(in, in_bytes, out, out_bytes)
					    : -EBADMSG;

	return n == (int64_t)out_bytes ? 0 : -EBADMSG;
}
