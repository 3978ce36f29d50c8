/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Metadata response: byte 0 is the version, with its highest bit one that we do not speak.
 * Oracle: walking all of it and skipping all of it agree, and what failed once fails for good.
 */
#include <errno.h>

#include "dataplane/base/assert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire/walk.h"

static void stays_bad(struct sl_metadata_reader *m)
{
	struct sl_metadata_broker broker;
	struct sl_metadata_cluster cluster;
	struct sl_metadata_topic topic;
	struct sl_metadata_partition partition;
	int16_t error_code;

	if (sl_metadata_end(m, &error_code) == 0)
		return;
	SL_ASSERT(sl_metadata_next_broker(m, &broker) == -EBADMSG);
	SL_ASSERT(sl_metadata_cluster(m, &cluster) == -EBADMSG);
	SL_ASSERT(sl_metadata_next_topic(m, &topic) == -EBADMSG);
	SL_ASSERT(sl_metadata_next_partition(m, &partition) == -EBADMSG);
	SL_ASSERT(sl_metadata_end(m, &error_code) == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_metadata_reader m;
	struct sl_rbuf body;
	int16_t version;

	if (bytes == 0)
		return 0;
	version = (int16_t)(7 + data[0] % 7);
	if (data[0] & 0x80)
		version = data[0] & 1 ? 6 : 14;
	body = sl_rbuf_on(data + 1, bytes - 1);
	if (sl_metadata_begin(&m, &body, version) == 0) {
		SL_ASSERT(sl_metadata_check(&m) == walk_metadata(&body, version));
		stays_bad(&m);
	} else {
		SL_ASSERT(walk_metadata(&body, version) < 0);
	}
	return 0;
}
