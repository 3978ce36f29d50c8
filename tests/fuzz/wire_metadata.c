/* SPDX-License-Identifier: Apache-2.0 */
/* A Metadata response: byte 0 is the version. Oracle: walking all of it and skipping all of it
 * agree. */
#include "dataplane/base/assert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_metadata_reader m;
	struct sl_rbuf body;
	int16_t version;

	if (bytes == 0)
		return 0;
	version = (int16_t)(7 + data[0] % 7);
	body = sl_rbuf_on(data + 1, bytes - 1);
	if (sl_metadata_begin(&m, &body, version) == 0)
		SL_ASSERT(sl_metadata_check(&m) == walk_metadata(&body, version));
	else
		SL_ASSERT(walk_metadata(&body, version) < 0);
	return 0;
}
