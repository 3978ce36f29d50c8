/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/inflate.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "dataplane/base/endian.h"

enum {
	OUT_BYTES_MIN = 64 << 10,
	GZIP_WINDOW_BITS = 15 + 16, /* gzip members only */
	XERIAL_HEAD_BYTES = 16,
	LZ4_FRAME_HEAD_BYTES = 7,
	ZSTD_WINDOW_LOG_MAX = 27, /* the Java decoder's default */
};

static const char out_of_memory[] = "no memory to decompress";
static const char too_large[] = "decompresses to too much";

void sl_db_inflater_fini(struct sl_db_inflater *inflater)
{
	free(inflater->out);
	*inflater = (struct sl_db_inflater){0};
}

/* Makes room for at least bytes more. */
static const char *out_room(struct sl_db_inflater *inflater, size_t bytes)
{
	size_t capacity = inflater->out_capacity ? inflater->out_capacity : OUT_BYTES_MIN;
	uint8_t *out;

	if (bytes > SL_DB_INFLATE_BYTES_MAX - inflater->out_bytes)
		return too_large;
	while (capacity < inflater->out_bytes + bytes)
		capacity *= 2;
	if (capacity == inflater->out_capacity)
		return NULL;
	out = realloc(inflater->out, capacity);
	if (!out)
		return out_of_memory;
	inflater->out = out;
	inflater->out_capacity = capacity;
	return NULL;
}

static const char *gzip_run(struct sl_db_inflater *inflater, z_stream *z)
{
	const char *why;
	int rc;

	do {
		why = out_room(inflater, OUT_BYTES_MIN);
		if (why)
			return why;
		z->next_out = inflater->out + inflater->out_bytes;
		z->avail_out = (uInt)(inflater->out_capacity - inflater->out_bytes);
		rc = inflate(z, Z_NO_FLUSH);
		inflater->out_bytes = inflater->out_capacity - z->avail_out;
	} while (rc == Z_OK);
	if (rc != Z_STREAM_END)
		return rc == Z_BUF_ERROR ? "gzip stream is cut short" : "gzip stream is corrupt";
	return z->avail_in == 0 ? NULL : "bytes after the gzip stream";
}

static const char *gzip(struct sl_db_inflater *inflater, struct sl_slice in)
{
	z_stream z = {0};
	const char *why;

	if (inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK)
		return out_of_memory;
	z.next_in = (Bytef *)(uintptr_t)in.data;
	z.avail_in = in.bytes;
	why = gzip_run(inflater, &z);
	inflateEnd(&z);
	return why;
}

static const char *snappy_block(struct sl_db_inflater *inflater, const void *data, size_t bytes)
{
	size_t room;
	const char *why;

	if (snappy_uncompressed_length(data, bytes, &room) != SNAPPY_OK)
		return "snappy block is corrupt";
	why = out_room(inflater, room);
	if (why)
		return why;
	room = inflater->out_capacity - inflater->out_bytes;
	if (snappy_uncompress(data, bytes, (char *)inflater->out + inflater->out_bytes, &room) !=
	    SNAPPY_OK)
		return "snappy block is corrupt";
	inflater->out_bytes += room;
	return NULL;
}

/* Two forms are in use: xerial's chunks after a magic, and one bare block. */
static const char *snappy(struct sl_db_inflater *inflater, struct sl_slice in)
{
	static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
	struct sl_rbuf r = sl_rbuf_on(in.data, in.bytes);
	const char *why = NULL;

	if (in.bytes < XERIAL_HEAD_BYTES || memcmp(in.data, xerial_magic, sizeof(xerial_magic)))
		return snappy_block(inflater, in.data, in.bytes);
	sl_rbuf_take(&r, XERIAL_HEAD_BYTES);
	while (!why && sl_rbuf_left(&r) > 0) {
		struct sl_slice chunk = sl_get_nullable_bytes(&r, false);

		if (r.bad || !chunk.data)
			return "snappy chunk is cut short";
		why = snappy_block(inflater, chunk.data, chunk.bytes);
	}
	return why;
}

static const char *lz4_head_check(struct sl_slice in)
{
	const uint8_t *p = in.data;

	if (in.bytes < LZ4_FRAME_HEAD_BYTES || sl_load_le32(p) != UINT32_C(0x184D2204))
		return "no lz4 frame";
	if (p[4] >> 6 != 1)
		return "lz4 frame version is not 1";
	if (!(p[4] & 0x20))
		return "lz4 blocks depend on each other, which Java does not read";
	if (p[4] & 0x03)
		return "lz4 frame uses a dictionary or reserved bits, which Java does not read";
	return NULL;
}

static const char *lz4_run(struct sl_db_inflater *inflater, LZ4F_dctx *ctx, struct sl_slice in)
{
	const uint8_t *p = in.data;
	size_t left = in.bytes, rc = 1;

	while (rc != 0) {
		const char *why = out_room(inflater, OUT_BYTES_MIN);
		size_t room = inflater->out_capacity - inflater->out_bytes;
		size_t taken = left;

		if (why)
			return why;
		rc = LZ4F_decompress(ctx, inflater->out + inflater->out_bytes, &room, p, &taken,
				     NULL);
		if (LZ4F_isError(rc))
			return "lz4 frame is corrupt";
		if (room == 0 && taken == 0)
			return "lz4 frame is cut short";
		inflater->out_bytes += room;
		p += taken;
		left -= taken;
	}
	return left == 0 ? NULL : "bytes after the lz4 frame";
}

static const char *lz4(struct sl_db_inflater *inflater, struct sl_slice in)
{
	const char *why = lz4_head_check(in);
	LZ4F_dctx *ctx;

	if (why)
		return why;
	if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
		return out_of_memory;
	why = lz4_run(inflater, ctx, in);
	LZ4F_freeDecompressionContext(ctx);
	return why;
}

static const char *zstd_run(struct sl_db_inflater *inflater, ZSTD_DCtx *ctx, struct sl_slice in)
{
	ZSTD_inBuffer input = {in.data, in.bytes, 0};
	size_t rc = 1;

	while (rc != 0 || input.pos < input.size) {
		const char *why = out_room(inflater, OUT_BYTES_MIN);
		ZSTD_outBuffer output = {inflater->out, inflater->out_capacity,
					 inflater->out_bytes};
		size_t before = input.pos;

		if (why)
			return why;
		rc = ZSTD_decompressStream(ctx, &output, &input);
		if (ZSTD_isError(rc))
			return "zstd frame is corrupt";
		if (input.pos == before && output.pos == inflater->out_bytes)
			return "zstd frame is cut short";
		inflater->out_bytes = output.pos;
	}
	return NULL;
}

static const char *zstd(struct sl_db_inflater *inflater, struct sl_slice in)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	const char *why;

	if (!ctx)
		return out_of_memory;
	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	why = zstd_run(inflater, ctx, in);
	ZSTD_freeDCtx(ctx);
	return why;
}

const char *sl_db_inflate(struct sl_db_inflater *inflater, enum sl_codec_id codec, struct sl_slice in,
			  struct sl_slice *out)
{
	const char *why;

	inflater->out_bytes = 0;
	switch (codec) {
	case SL_CODEC_NONE:
		*out = in;
		return NULL;
	case SL_CODEC_GZIP:
		why = gzip(inflater, in);
		break;
	case SL_CODEC_SNAPPY:
		why = snappy(inflater, in);
		break;
	case SL_CODEC_LZ4:
		why = lz4(inflater, in);
		break;
	case SL_CODEC_ZSTD:
		why = zstd(inflater, in);
		break;
	default:
		why = "unknown compression";
	}
	*out = (struct sl_slice){inflater->out, (uint32_t)inflater->out_bytes};
	return why;
}
