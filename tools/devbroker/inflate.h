/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression of a batch's records, as strict as the Java broker's: what its decoders refuse is
 * refused here. Single thread; the output lives in a buffer that is reused.
 */
#ifndef SL_DEVBROKER_INFLATE_H
#define SL_DEVBROKER_INFLATE_H

#include "dataplane/wire/batch_header.h"
#include "dataplane/wire/buf.h"

/* A compressed batch that grows beyond this is a bomb: twice what the largest request may carry. */
#define SL_DB_INFLATE_BYTES_MAX (UINT32_C(256) << 20)

struct sl_db_inflater {
	uint8_t *out;
	size_t out_bytes;
	size_t out_capacity;
};

void sl_db_inflater_fini(struct sl_db_inflater *inflater);

/*
 * Gives the records behind codec: the input itself for SL_CODEC_NONE, else bytes that live until
 * the next call. Returns NULL, or why it could not.
 */
const char *sl_db_inflate(struct sl_db_inflater *inflater, enum sl_codec_id codec, struct sl_slice in,
			  struct sl_slice *out);

#endif
