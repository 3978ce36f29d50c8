/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "dataplane/base/assert.h"
#include "dataplane/wire/produce.h"

enum { VERSION_MIN = 3, VERSION_MAX = 13 };

static bool version_flexible(int16_t version)
{
	return sl_api_flexible(SL_API_PRODUCE, version);
}

static uint32_t array_bytes(bool flexible, uint32_t count)
{
	return flexible ? sl_uvarint_bytes((uint64_t)count + 1) : 4;
}

static void size_add(struct sl_produce_size *size, uint32_t bytes)
{
	size->scratch_bytes += bytes;
	size->frame_bytes += bytes;
}

void sl_produce_size_begin(struct sl_produce_size *size, const struct sl_produce_head *head)
{
	bool flexible = version_flexible(head->request.version);
	uint32_t transactional_id_bytes = flexible ? 1 : 2;
	uint32_t tags_bytes = flexible ? 2 : 0; /* of the header and of the body */

	*size = (struct sl_produce_size){.version = head->request.version};
	size_add(size, 4 + 8 + 2 + head->request.client_id.bytes + transactional_id_bytes + 2 + 4 +
			       array_bytes(flexible, head->topic_count) + tags_bytes);
}

void sl_produce_size_topic(struct sl_produce_size *size, const struct sl_produce_topic *topic)
{
	bool flexible = version_flexible(size->version);
	uint32_t bytes = array_bytes(flexible, topic->partition_count) + (flexible ? 1 : 0);

	if (size->version >= SL_PRODUCE_VERSION_TOPIC_ID)
		bytes += SL_UUID_BYTES;
	else if (flexible)
		bytes += sl_uvarint_bytes((uint64_t)topic->name.bytes + 1) + topic->name.bytes;
	else
		bytes += 2 + topic->name.bytes;
	size_add(size, bytes);
}

void sl_produce_size_partition(struct sl_produce_size *size, uint32_t payload_bytes)
{
	bool flexible = version_flexible(size->version);
	uint64_t records_bytes = (uint64_t)payload_bytes + SL_BATCH_HEADER_BYTES;
	uint32_t length_bytes = flexible ? sl_uvarint_bytes(records_bytes + 1) : 4;

	size_add(size, 4 + length_bytes + SL_BATCH_HEADER_BYTES + (flexible ? 1 : 0));
	size->frame_bytes += payload_bytes;
}

int sl_produce_begin(struct sl_produce_writer *pw, void *scratch, size_t scratch_bytes,
		     const struct sl_produce_head *head)
{
	int16_t version = head->request.version;

	if (version < VERSION_MIN || version > VERSION_MAX)
		return -EPROTONOSUPPORT;
	SL_ASSERT(head->topic_count >= 1 && head->topic_count < INT32_MAX);
	*pw = (struct sl_produce_writer){
		.w = sl_wbuf_on(scratch, scratch_bytes),
		.cut = scratch,
		.topics_left = head->topic_count,
		.version = version,
		.flexible = version_flexible(version),
	};
	pw->frame = sl_request_begin(&pw->w, SL_API_PRODUCE, &head->request);
	sl_put_string(&pw->w, pw->flexible, SL_SLICE_NULL); /* transactional id: never ours */
	sl_put_i16(&pw->w, head->acks);
	sl_put_i32(&pw->w, head->timeout_ms);
	sl_put_array(&pw->w, pw->flexible, (int32_t)head->topic_count);
	return 0;
}

/* Ends the structs that are open. Their tags stand behind the last payload, so they begin the next
 * cut. */
static void topic_close(struct sl_produce_writer *pw)
{
	SL_ASSERT(pw->partitions_left == 0);
	if (pw->partition_open)
		sl_put_tags(&pw->w, pw->flexible);
	if (pw->topic_open)
		sl_put_tags(&pw->w, pw->flexible);
	pw->partition_open = false;
	pw->topic_open = false;
}

void sl_produce_topic(struct sl_produce_writer *pw, const struct sl_produce_topic *topic)
{
	SL_ASSERT(pw->topics_left > 0);
	SL_ASSERT(topic->partition_count >= 1 && topic->partition_count < INT32_MAX);
	topic_close(pw);
	pw->topics_left--;
	pw->partitions_left = topic->partition_count;
	pw->topic_open = true;
	if (pw->version >= SL_PRODUCE_VERSION_TOPIC_ID)
		sl_put_uuid(&pw->w, &topic->id);
	else
		sl_put_string(&pw->w, pw->flexible, topic->name);
	sl_put_array(&pw->w, pw->flexible, (int32_t)topic->partition_count);
}

static struct iovec cut_take(struct sl_produce_writer *pw)
{
	struct iovec iov = {(void *)(uintptr_t)pw->cut, (size_t)(pw->w.pos - pw->cut)};

	pw->cut = pw->w.pos;
	return iov;
}

struct iovec sl_produce_partition(struct sl_produce_writer *pw, int32_t index,
				  const struct sl_batch_header *batch)
{
	uint8_t *header;

	SL_ASSERT(pw->partitions_left > 0);
	if (pw->partition_open)
		sl_put_tags(&pw->w, pw->flexible);
	pw->partitions_left--;
	pw->partition_open = true;
	sl_put_i32(&pw->w, index);
	sl_put_bytes_length(&pw->w, pw->flexible, batch->payload_bytes + SL_BATCH_HEADER_BYTES);
	header = sl_wbuf_take(&pw->w, SL_BATCH_HEADER_BYTES);
	if (header)
		sl_batch_header_write(header, batch);
	pw->payload_bytes += batch->payload_bytes;
	return cut_take(pw);
}

int64_t sl_produce_end(struct sl_produce_writer *pw, struct iovec *tail)
{
	uint64_t bytes;

	SL_ASSERT(pw->topics_left == 0);
	topic_close(pw);
	sl_put_tags(&pw->w, pw->flexible);
	if (pw->w.overflow)
		return -ENOBUFS;
	bytes = (uint64_t)(pw->w.pos - pw->frame) + pw->payload_bytes;
	if (bytes - 4 > INT32_MAX)
		return -EMSGSIZE;
	sl_store_be32(pw->frame, (uint32_t)(bytes - 4));
	*tail = cut_take(pw);
	return (int64_t)bytes;
}
