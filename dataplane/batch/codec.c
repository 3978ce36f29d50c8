/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip and zstd are streams of their libraries. snappy and lz4 are cut into blocks here, because
 * their stream interfaces allocate: xerial's framing with 32 KiB blocks, and an lz4 frame of
 * independent 64 KiB blocks as Java writes it.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include "dataplane/batch/codec.h"

#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/endian.h"
#include "dataplane/batch/codec_internal.h"

enum {
	GZIP_WINDOW_BITS = 15 + 16, /* a gzip member, not zlib's own format */
	GZIP_MEM_LEVEL = 8,
	GZIP_MEMORY_BYTES =
		(1 << 17) + (1 << 17) + 8192, /* zlib's own formula for these settings */
	LZ4_BLOCK_BYTES = 64 * 1024,
	LZ4_HC_LEVEL_MIN = 3,
	LZ4_RAW_BLOCK = INT32_MIN, /* flag of a block that is stored as it is */
	ZSTD_SOURCE_BYTES = 1 << 20,
	STAGE_SLACK_BYTES = 64,
};

/* Version 1, independent blocks, no checksums, 64 KiB; the last byte is the header's own checksum.
 */
static const uint8_t lz4_header[7] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82};

struct sl_codec {
	uint32_t number;
	int level;
	uint64_t memory_bytes;
	z_stream gzip;
	ZSTD_CCtx *zstd; /* lies in state */
	void *state;     /* zstd's and lz4's working memory, snappy's table */
	/* Block codecs: input gathers in block, output waits in stage. */
	uint8_t *block, *stage;
	uint32_t block_bytes, block_fill;
	uint32_t stage_fill, stage_at;
	bool finished;
};

static int gzip_create(struct sl_codec *c)
{
	int level = c->level == SL_CODEC_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : c->level;

	c->memory_bytes += GZIP_MEMORY_BYTES;
	switch (deflateInit2(&c->gzip, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEM_LEVEL,
			     Z_DEFAULT_STRATEGY)) {
	case Z_OK:
		return 0;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static bool zstd_set(ZSTD_CCtx *z, ZSTD_cParameter parameter, unsigned int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(z, parameter, (int)value));
}

/* Every parameter is fixed for batches of up to 1 MiB, so that the workspace is known and enough.
 */
static int zstd_create(struct sl_codec *c)
{
	int level = c->level == SL_CODEC_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : c->level;
	ZSTD_compressionParameters p;
	size_t bytes;

	if (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel())
		return -EINVAL;
	p = ZSTD_getCParams(level, ZSTD_SOURCE_BYTES, 0);
	bytes = ZSTD_estimateCStreamSize_usingCParams(p);
	if (ZSTD_isError(bytes))
		return -EINVAL;
	bytes = (bytes + 63) / 64 * 64;
	c->state = aligned_alloc(64, bytes);
	if (!c->state)
		return -ENOMEM;
	memset(c->state, 0, bytes); /* faulted in here rather than by the worker */
	c->memory_bytes += bytes;
	c->zstd = ZSTD_initStaticCCtx(c->state, bytes);
	if (!c->zstd || !zstd_set(c->zstd, ZSTD_c_windowLog, p.windowLog) ||
	    !zstd_set(c->zstd, ZSTD_c_hashLog, p.hashLog) ||
	    !zstd_set(c->zstd, ZSTD_c_chainLog, p.chainLog) ||
	    !zstd_set(c->zstd, ZSTD_c_searchLog, p.searchLog) ||
	    !zstd_set(c->zstd, ZSTD_c_minMatch, p.minMatch) ||
	    !zstd_set(c->zstd, ZSTD_c_targetLength, p.targetLength) ||
	    !zstd_set(c->zstd, ZSTD_c_strategy, p.strategy))
		return -EINVAL;
	return 0;
}

static int blocks_create(struct sl_codec *c, uint32_t block_bytes, uint32_t stage_bytes,
			 size_t state_bytes)
{
	c->block_bytes = block_bytes;
	c->block = calloc(1, block_bytes);
	c->stage = calloc(1, stage_bytes + STAGE_SLACK_BYTES);
	c->state = calloc(1, state_bytes);
	c->memory_bytes += block_bytes + stage_bytes + STAGE_SLACK_BYTES + state_bytes;
	return c->block && c->stage && c->state ? 0 : -ENOMEM;
}

static int snappy_create(struct sl_codec *c)
{
	if (c->level != SL_CODEC_LEVEL_DEFAULT)
		return -EINVAL;
	return blocks_create(c, SNAPPY_BLOCK_BYTES, sl_snappy_bound(SNAPPY_BLOCK_BYTES),
			     sizeof(uint16_t) << SNAPPY_TABLE_BITS);
}

static int lz4_create(struct sl_codec *c)
{
	if (c->level == SL_CODEC_LEVEL_DEFAULT)
		c->level = 1;
	if (c->level > LZ4HC_CLEVEL_MAX)
		return -EINVAL;
	return blocks_create(
		c, LZ4_BLOCK_BYTES, LZ4_COMPRESSBOUND(LZ4_BLOCK_BYTES),
		(size_t)(c->level < LZ4_HC_LEVEL_MIN ? LZ4_sizeofState() : LZ4_sizeofStateHC()));
}

int sl_codec_create(struct sl_codec **out, uint32_t codec, int level, struct sl_error *err)
{
	struct sl_codec *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return sl_error_set(err, -ENOMEM, "compression context");
	c->number = codec;
	c->level = level;
	c->memory_bytes = sizeof(*c);
	rc = codec == CODEC_GZIP     ? gzip_create(c)
	     : codec == CODEC_SNAPPY ? snappy_create(c)
	     : codec == CODEC_LZ4    ? lz4_create(c)
	     : codec == CODEC_ZSTD   ? zstd_create(c)
				     : -EINVAL;
	if (rc < 0) {
		sl_codec_destroy(c);
		return sl_error_set(err, rc, "compression %u at level %d", codec, level);
	}
	*out = c;
	return 0;
}

void sl_codec_destroy(struct sl_codec *c)
{
	if (!c)
		return;
	if (c->number == CODEC_GZIP)
		deflateEnd(&c->gzip);
	free(c->block);
	free(c->stage);
	free(c->state);
	free(c);
}

uint32_t sl_codec_number(const struct sl_codec *c)
{
	return c->number;
}

uint64_t sl_codec_memory_bytes(const struct sl_codec *c)
{
	return c->memory_bytes;
}

static void stage_put(struct sl_codec *c, const void *bytes, uint32_t count)
{
	memcpy(c->stage + c->stage_fill, bytes, count);
	c->stage_fill += count;
}

void sl_codec_begin(struct sl_codec *c)
{
	c->block_fill = c->stage_fill = c->stage_at = 0;
	c->finished = false;
	if (c->number == CODEC_GZIP)
		deflateReset(&c->gzip);
	else if (c->number == CODEC_ZSTD)
		ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
	else if (c->number == CODEC_SNAPPY)
		stage_put(c, XERIAL_HEADER, XERIAL_HEADER_BYTES);
	else
		stage_put(c, lz4_header, sizeof(lz4_header));
}

static int gzip_step(struct sl_codec *c, struct sl_codec_io *io, bool end)
{
	int rc;

	c->gzip.next_in = (Bytef *)(uintptr_t)io->in; /* zlib does not write there */
	c->gzip.avail_in = io->in_bytes;
	c->gzip.next_out = io->out;
	c->gzip.avail_out = io->out_bytes;
	rc = deflate(&c->gzip, end ? Z_FINISH : Z_NO_FLUSH);
	io->in = c->gzip.next_in;
	io->in_bytes = c->gzip.avail_in;
	io->out = c->gzip.next_out;
	io->out_bytes = c->gzip.avail_out;
	if (rc == Z_STREAM_END)
		return 0;
	return rc == Z_OK || rc == Z_BUF_ERROR ? 1 : -EIO;
}

static int zstd_step(struct sl_codec *c, struct sl_codec_io *io, bool end)
{
	ZSTD_inBuffer in = {io->in, io->in_bytes, 0};
	ZSTD_outBuffer out = {io->out, io->out_bytes, 0};
	size_t left = ZSTD_compressStream2(c->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);

	io->in += in.pos;
	io->in_bytes -= (uint32_t)in.pos;
	io->out += out.pos;
	io->out_bytes -= (uint32_t)out.pos;
	if (ZSTD_isError(left))
		return -EIO;
	return end && left == 0 ? 0 : 1;
}

static uint32_t lz4_block(struct sl_codec *c, uint8_t *out)
{
	const char *in = (const char *)c->block;
	int in_bytes = (int)c->block_fill;
	int bound = LZ4_COMPRESSBOUND(LZ4_BLOCK_BYTES);
	int acceleration = c->level < 0 ? -c->level : 1;

	if (c->level >= LZ4_HC_LEVEL_MIN)
		return (uint32_t)LZ4_compress_HC_extStateHC(c->state, in, (char *)out, in_bytes,
							    bound, c->level);
	return (uint32_t)LZ4_compress_fast_extState(c->state, in, (char *)out, in_bytes, bound,
						    acceleration);
}

/* What gathered in block, behind its length, to stage. */
static void block_encode(struct sl_codec *c)
{
	uint8_t *length = c->stage + c->stage_fill;
	uint32_t bytes, flag = 0;

	if (c->number == CODEC_SNAPPY) {
		bytes = sl_snappy_block(c->state, c->block, c->block_fill, length + 4);
		sl_store_be32(length, bytes);
	} else {
		bytes = lz4_block(c, length + 4);
		if (bytes == 0 || bytes >= c->block_fill) {
			memcpy(length + 4, c->block, c->block_fill);
			bytes = c->block_fill;
			flag = (uint32_t)LZ4_RAW_BLOCK;
		}
		flag |= bytes;
		memcpy(length, &flag, sizeof(flag)); /* little endian */
	}
	c->stage_fill += 4 + bytes;
	c->block_fill = 0;
}

static void stage_drain(struct sl_codec *c, struct sl_codec_io *io)
{
	uint32_t n = c->stage_fill - c->stage_at;

	if (n > io->out_bytes)
		n = io->out_bytes;
	memcpy(io->out, c->stage + c->stage_at, n);
	io->out += n;
	io->out_bytes -= n;
	c->stage_at += n;
	if (c->stage_at == c->stage_fill)
		c->stage_at = c->stage_fill = 0;
}

static void block_gather(struct sl_codec *c, struct sl_codec_io *io)
{
	uint32_t n = c->block_bytes - c->block_fill;

	if (n > io->in_bytes)
		n = io->in_bytes;
	memcpy(c->block + c->block_fill, io->in, n);
	io->in += n;
	io->in_bytes -= n;
	c->block_fill += n;
}

static int blocks_step(struct sl_codec *c, struct sl_codec_io *io, bool end)
{
	static const uint8_t lz4_end[4] = {0};

	for (;;) {
		stage_drain(c, io);
		if (c->stage_fill > 0)
			return 1;
		if (c->finished)
			return 0;
		block_gather(c, io);
		if (c->block_fill == c->block_bytes || (end && c->block_fill > 0)) {
			block_encode(c);
			continue;
		}
		if (!end)
			return 1;
		c->finished = true;
		if (c->number == CODEC_LZ4)
			stage_put(c, lz4_end, sizeof(lz4_end));
	}
}

int sl_codec_step(struct sl_codec *c, struct sl_codec_io *io, bool end)
{
	SL_ASSERT(io->in_bytes <= SL_CODEC_STEP_BYTES);
	if (c->number == CODEC_GZIP)
		return gzip_step(c, io, end);
	if (c->number == CODEC_ZSTD)
		return zstd_step(c, io, end);
	return blocks_step(c, io, end);
}
