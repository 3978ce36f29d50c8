/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression without allocation, of what our own codecs made: a worker that cuts a compressed
 * batch in two has to read its records again. Everything is made at start.
 */
#ifndef SL_BATCH_EXPAND_H
#define SL_BATCH_EXPAND_H

#include <stdint.h>

#include "dataplane/base/error.h"

struct sl_expander;

/* Control thread. 0 or -ENOMEM. */
int sl_expander_create(struct sl_expander **out, struct sl_error *err);
void sl_expander_destroy(struct sl_expander *e);
uint64_t sl_expander_memory_bytes(void);

/*
 * The worker's thread. codec is the number in the batch's attributes, 1 to 4. The whole stream is
 * given; out_bytes is what must come out. 0, or -EBADMSG when anything else does.
 */
int sl_expand(struct sl_expander *e, uint32_t codec, const uint8_t *in, uint32_t in_bytes,
	      uint8_t *out, uint32_t out_bytes);

#endif
