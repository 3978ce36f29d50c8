/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Produce response: byte 0 is the version, with its highest bit one that we do not speak.
 * Oracle: walking all of it and skipping all of it agree, and what failed once fails for good.
 */
#include <errno.h>

#include "dataplane/base/assert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_produce_reader pr;
	struct sl_produce_result result;
	struct sl_produce_end end;
	struct sl_rbuf body;
	int16_t version;
	int rc;

	if (bytes == 0)
		return 0;
	version = (int16_t)(3 + data[0] % 11);
	if (data[0] & 0x80)
		version = data[0] & 1 ? 2 : 14;
	body = sl_rbuf_on(data + 1, bytes - 1);
	rc = sl_produce_response_begin(&pr, &body, version);
	if (rc == 0)
		rc = sl_produce_response_end(&pr, &end);
	if (rc == -EBADMSG)
		SL_ASSERT(sl_produce_response_next(&pr, &result) == -EBADMSG);
	SL_ASSERT(rc == walk_produce(&body, version));
	return 0;
}
