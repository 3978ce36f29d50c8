/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression, for whoever reads batches: tests, devbroker, verify. Allocates; no worker calls
 * it. */
#include <errno.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "dataplane/base/endian.h"
#include "dataplane/batch/codec.h"
#include "dataplane/batch/codec_internal.h"

enum { GROW_BYTES = 64 * 1024, GZIP_WINDOW_BITS = 15 + 16 };

struct output {
	uint8_t *data;
	size_t bytes, room, bytes_max;
};

/* Room for more bytes, within the limit. */
static int output_grow(struct output *o, size_t more)
{
	size_t room = o->bytes + more;
	uint8_t *data;

	if (room <= o->room)
		return 0;
	if (o->bytes == o->bytes_max)
		return -E2BIG;
	if (room < 2 * o->room)
		room = 2 * o->room;
	if (room > o->bytes_max)
		room = o->bytes_max;
	data = realloc(o->data, room ? room : 1);
	if (!data)
		return -ENOMEM;
	o->data = data;
	o->room = room;
	return 0;
}

static int gzip_decode(const uint8_t *in, size_t in_bytes, struct output *o)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)in_bytes};
	int rc = inflateInit2(&z, GZIP_WINDOW_BITS) == Z_OK ? 0 : -ENOMEM;
	int status = Z_OK;

	while (rc == 0 && status != Z_STREAM_END) {
		rc = output_grow(o, GROW_BYTES);
		if (rc < 0)
			break;
		z.next_out = o->data + o->bytes;
		z.avail_out = (uInt)(o->room - o->bytes);
		status = inflate(&z, Z_NO_FLUSH);
		o->bytes = (size_t)(z.next_out - o->data);
		/* Not ended, with room left: the input is cut short. */
		if (status != Z_STREAM_END && (status != Z_OK || z.avail_out > 0))
			rc = -EBADMSG;
	}
	inflateEnd(&z);
	return rc == 0 && z.avail_in > 0 ? -EBADMSG : rc;
}

static int zstd_decode(const uint8_t *in, size_t in_bytes, struct output *o)
{
	ZSTD_inBuffer input = {in, in_bytes, 0};
	ZSTD_DCtx *z = ZSTD_createDCtx();
	int rc = z ? 0 : -ENOMEM;
	size_t left = 1;

	while (rc == 0 && (input.pos < in_bytes || left != 0)) {
		ZSTD_outBuffer output;

		rc = output_grow(o, GROW_BYTES);
		if (rc < 0)
			break;
		output = (ZSTD_outBuffer){o->data, o->room, o->bytes};
		left = ZSTD_decompressStream(z, &output, &input);
		if (ZSTD_isError(left) ||
		    (left != 0 && input.pos == in_bytes && output.pos < o->room))
			rc = -EBADMSG;
		o->bytes = output.pos;
	}
	ZSTD_freeDCtx(z);
	return rc;
}

static int lz4_decode(const uint8_t *in, size_t in_bytes, struct output *o)
{
	LZ4F_dctx *z;
	size_t at = 0, left = 1;
	int rc = LZ4F_isError(LZ4F_createDecompressionContext(&z, LZ4F_VERSION)) ? -ENOMEM : 0;

	if (rc < 0)
		return rc;
	while (rc == 0 && left != 0) {
		size_t taken = in_bytes - at, given;

		rc = output_grow(o, GROW_BYTES);
		if (rc < 0)
			break;
		given = o->room - o->bytes;
		left = LZ4F_decompress(z, o->data + o->bytes, &given, in + at, &taken, NULL);
		at += taken;
		o->bytes += given;
		if (LZ4F_isError(left) || (left != 0 && taken == 0 && given == 0))
			rc = -EBADMSG;
	}
	LZ4F_freeDecompressionContext(z);
	return rc == 0 && at != in_bytes ? -EBADMSG : rc;
}

static int snappy_block_decode(const uint8_t *in, size_t in_bytes, struct output *o)
{
	size_t bytes;
	int rc;

	if (snappy_uncompressed_length((const char *)in, in_bytes, &bytes) != SNAPPY_OK)
		return -EBADMSG;
	/* A few bytes can claim gigabytes; the densest copy makes 64 out of 3. */
	if (bytes > o->bytes_max - o->bytes)
		return -E2BIG;
	if (bytes / 32 > in_bytes)
		return -EBADMSG;
	rc = bytes > 0 ? output_grow(o, bytes) : 0;
	if (rc < 0)
		return rc;
	if (bytes > 0 && snappy_uncompress((const char *)in, in_bytes, (char *)o->data + o->bytes,
					   &bytes) != SNAPPY_OK)
		return -EBADMSG;
	o->bytes += bytes;
	return 0;
}

/* Xerial's framing, or, without its magic, one bare block. */
static int snappy_decode(const uint8_t *in, size_t in_bytes, struct output *o)
{
	int rc = 0;

	if (in_bytes < XERIAL_HEADER_BYTES || memcmp(in, XERIAL_HEADER, 8) != 0)
		return snappy_block_decode(in, in_bytes, o);
	in += XERIAL_HEADER_BYTES;
	in_bytes -= XERIAL_HEADER_BYTES;
	while (rc == 0 && in_bytes > 0) {
		uint32_t bytes = in_bytes < 4 ? UINT32_MAX : sl_load_be32(in);

		if (bytes > in_bytes - 4 || in_bytes < 4)
			return -EBADMSG;
		rc = snappy_block_decode(in + 4, bytes, o);
		in += 4 + bytes;
		in_bytes -= 4 + bytes;
	}
	return rc;
}

int sl_codec_decompress(uint32_t codec, const void *in, size_t in_bytes, size_t out_bytes_max,
			uint8_t **out, size_t *out_bytes)
{
	struct output o = {.bytes_max = out_bytes_max};
	int rc;

	if (in_bytes > UINT32_MAX)
		return -E2BIG;
	switch (codec) {
	case CODEC_GZIP:
		rc = gzip_decode(in, in_bytes, &o);
		break;
	case CODEC_SNAPPY:
		rc = snappy_decode(in, in_bytes, &o);
		break;
	case CODEC_LZ4:
		rc = lz4_decode(in, in_bytes, &o);
		break;
	case CODEC_ZSTD:
		rc = zstd_decode(in, in_bytes, &o);
		break;
	default:
		rc = -EBADMSG;
	}
	if (rc < 0) {
		free(o.data);
		return rc;
	}
	*out = o.data;
	*out_bytes = o.bytes;
	return 0;
}
