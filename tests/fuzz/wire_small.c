/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ApiVersions and InitProducerId responses: byte 0 is the API and version, with bit 6 one that we
 * do not speak. Oracle: whatever a peer
 * says, a version that is picked is one that we speak, the retry is lower than what was asked, and
 * a producer id is a legal one.
 */
#include "dataplane/base/assert.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire/walk.h"

static void api_versions(const struct sl_rbuf *body, int16_t version)
{
	static const int16_t keys[] = {SL_API_PRODUCE, SL_API_METADATA, SL_API_INIT_PRODUCER_ID};
	struct sl_api_versions_answer answer;
	size_t i;

	if (sl_api_versions_response_decode(body, version, &answer) < 0)
		return;
	SL_ASSERT(answer.retry_version < version);
	for (i = 0; i < SL_ARRAY_COUNT(keys); i++) {
		int picked = sl_api_version_pick(&answer.table, keys[i]);
		struct sl_api_range ours = sl_api_spoken(keys[i]);

		SL_ASSERT(picked < 0 || (picked >= ours.min && picked <= ours.max));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sl_init_producer_id_answer answer;
	struct sl_rbuf body;

	if (bytes == 0)
		return 0;
	body = sl_rbuf_on(data + 1, bytes - 1);
	if (data[0] & 0x80)
		api_versions(&body, data[0] & 0x40 ? (data[0] & 1 ? -1 : 4) : data[0] % 4);
	else if (sl_init_producer_id_response_decode(
			 &body, data[0] & 0x40 ? (data[0] & 1 ? -1 : 6) : data[0] % 6, &answer) ==
		 0)
		SL_ASSERT(answer.error_code != 0 || answer.producer_id >= 0);
	return 0;
}
