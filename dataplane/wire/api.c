/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/wire/api.h"

#include <errno.h>

#include "dataplane/base/assert.h"

enum { FRAME_SIZE_BYTES = 4 };

struct api_row {
	int16_t key;
	struct sl_api_range spoken;
	int16_t flexible_min;
	const char *name;
};

static const struct api_row api_rows[SL_API_COUNT] = {
#define X(name, key, min, max, flexible) {(key), {(min), (max)}, (flexible), #name},
	SL_API_LIST(X)
#undef X
};

int sl_api_slot(int16_t api_key)
{
	int slot;

	for (slot = 0; slot < SL_API_COUNT; slot++)
		if (api_rows[slot].key == api_key)
			return slot;
	return -1;
}

const char *sl_api_name(int16_t api_key)
{
	int slot = sl_api_slot(api_key);

	return slot < 0 ? "?" : api_rows[slot].name;
}

struct sl_api_range sl_api_spoken(int16_t api_key)
{
	int slot = sl_api_slot(api_key);

	return slot < 0 ? (struct sl_api_range){0, -1} : api_rows[slot].spoken;
}

bool sl_api_flexible(int16_t api_key, int16_t version)
{
	int slot = sl_api_slot(api_key);

	return slot >= 0 && version >= api_rows[slot].flexible_min;
}

void sl_api_versions_init(struct sl_api_versions *table)
{
	int slot;

	for (slot = 0; slot < SL_API_COUNT; slot++)
		table->range[slot] = (struct sl_api_range){0, -1};
}

void sl_api_versions_set(struct sl_api_versions *table, int16_t api_key, struct sl_api_range range)
{
	int slot = sl_api_slot(api_key);

	if (slot < 0)
		return;
	if (range.min < 0 || range.max < range.min)
		range = (struct sl_api_range){0, -1};
	table->range[slot] = range;
}

int sl_api_version_pick_max(const struct sl_api_versions *table, int16_t api_key,
			    int16_t version_max)
{
	int slot = sl_api_slot(api_key);
	struct sl_api_range ours, theirs;
	int16_t version;

	if (slot < 0)
		return -EPROTONOSUPPORT;
	ours = api_rows[slot].spoken;
	theirs = table->range[slot];
	version = ours.max < theirs.max ? ours.max : theirs.max;
	if (version > version_max)
		version = version_max;
	if (version < ours.min || version < theirs.min)
		return -EPROTONOSUPPORT;
	return version;
}

int sl_api_version_pick(const struct sl_api_versions *table, int16_t api_key)
{
	return sl_api_version_pick_max(table, api_key, INT16_MAX);
}

uint8_t *sl_request_begin(struct sl_wbuf *w, int16_t api_key, const struct sl_request_head *head)
{
	uint8_t *frame = sl_wbuf_take(w, FRAME_SIZE_BYTES);

	sl_put_i16(w, api_key);
	sl_put_i16(w, head->version);
	sl_put_i32(w, head->correlation_id);
	/* The client id keeps its old form in every header version, so that any broker can read it.
	 */
	sl_put_string(w, false, head->client_id);
	sl_put_tags(w, sl_api_flexible(api_key, head->version));
	return frame;
}

int sl_frame_end(struct sl_wbuf *w, uint8_t *frame)
{
	size_t bytes;

	if (w->overflow || !frame)
		return -ENOBUFS;
	bytes = (size_t)(w->pos - frame);
	SL_ASSERT(bytes >= FRAME_SIZE_BYTES);
	if (bytes > INT32_MAX)
		return -ENOBUFS;
	sl_store_be32(frame, (uint32_t)(bytes - FRAME_SIZE_BYTES));
	return (int)bytes;
}

/* A broker cannot know what the asker of its versions understands, so that response keeps the
 * oldest header. */
static bool response_head_flexible(int16_t api_key, int16_t version)
{
	return api_key != SL_API_API_VERSIONS && sl_api_flexible(api_key, version);
}

int sl_response_begin(struct sl_rbuf *r, int16_t api_key, int16_t version, int32_t *correlation_id)
{
	*correlation_id = sl_get_i32(r);
	sl_skip_tags(r, response_head_flexible(api_key, version));
	return r->bad ? -EBADMSG : 0;
}

int sl_request_info_decode(struct sl_rbuf *r, struct sl_request_info *out)
{
	out->api_key = sl_get_i16(r);
	out->version = sl_get_i16(r);
	out->correlation_id = sl_get_i32(r);
	out->client_id = sl_get_nullable_string(r, false);
	sl_skip_tags(r, sl_api_flexible(out->api_key, out->version));
	return r->bad ? -EBADMSG : 0;
}

uint8_t *sl_response_put_head(struct sl_wbuf *w, int16_t api_key, int16_t version,
			      int32_t correlation_id)
{
	uint8_t *frame = sl_wbuf_take(w, FRAME_SIZE_BYTES);

	sl_put_i32(w, correlation_id);
	sl_put_tags(w, response_head_flexible(api_key, version));
	return frame;
}
