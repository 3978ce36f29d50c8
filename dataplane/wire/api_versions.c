/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/api_versions.h"

#include <errno.h>

#include "dataplane/wire/error_code.h"

enum { VERSION_THROTTLE = 1, VERSION_SOFTWARE = 3, VERSION_MAX = 3, ENTRY_BYTES_MIN = 6 };

int sl_api_versions_request_encode(struct sl_wbuf *w, const struct sl_request_head *head,
				   struct sl_slice software_name, struct sl_slice software_version)
{
	uint8_t *frame;

	if (head->version < 0 || head->version > VERSION_MAX)
		return -EPROTONOSUPPORT;
	frame = sl_request_begin(w, SL_API_API_VERSIONS, head);
	if (head->version >= VERSION_SOFTWARE) {
		sl_put_string(w, true, software_name);
		sl_put_string(w, true, software_version);
		sl_put_tags(w, true);
	}
	return sl_frame_end(w, frame);
}

/* Reads the entries into the table. own gets the broker's range for ApiVersions itself, {0, -1} if
 * not listed. */
static void entries_get(struct sl_rbuf *r, bool flexible, struct sl_api_versions *table,
			struct sl_api_range *own)
{
	int32_t count = sl_get_array(r, flexible, ENTRY_BYTES_MIN);

	sl_api_versions_init(table);
	while (count-- > 0 && !r->bad) {
		int16_t key = sl_get_i16(r);
		struct sl_api_range range;

		range.min = sl_get_i16(r);
		range.max = sl_get_i16(r);
		sl_skip_tags(r, flexible);
		if (!r->bad)
			sl_api_versions_set(table, key, range);
	}
	*own = table->range[SL_API_SLOT_API_VERSIONS];
}

/* The next version to try must be lower than the one refused, so that the asking ends whatever a
 * peer says. */
static int16_t retry_version(struct sl_api_range own, int16_t refused)
{
	int16_t version = own.max < VERSION_MAX ? own.max : VERSION_MAX;

	if (refused <= 0)
		return -1;
	return version >= 0 && version < refused ? version : 0;
}

int sl_api_versions_response_decode(const struct sl_rbuf *body, int16_t version,
				    struct sl_api_versions_answer *out)
{
	struct sl_rbuf r = *body;
	struct sl_api_range own;
	bool refused, flexible;

	if (version < 0 || version > VERSION_MAX)
		return -EPROTONOSUPPORT;
	*out = (struct sl_api_versions_answer){.retry_version = -1};
	out->error_code = sl_get_i16(&r);
	refused = out->error_code == SL_KAFKA_UNSUPPORTED_VERSION;
	flexible = !refused && sl_api_flexible(SL_API_API_VERSIONS, version);
	entries_get(&r, flexible, &out->table, &own);
	if (!refused && version >= VERSION_THROTTLE)
		out->throttle_ms = sl_get_i32(&r);
	sl_skip_tags(&r, flexible);
	if (r.bad || sl_rbuf_left(&r) != 0)
		return -EBADMSG;
	if (refused)
		out->retry_version = retry_version(own, version);
	return 0;
}
