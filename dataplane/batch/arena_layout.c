/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/batch/arena_layout.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/assert.h"

struct field {
	const char *name;
	uint32_t offset, bytes;
};

#define FIELD(type, member)                                                                        \
	{                                                                                          \
#type "." #member, offsetof(struct sl_arena_##type, member),                       \
			sizeof(((struct sl_arena_##type *)0)->member)                              \
	}

static const struct field fields[] = {
	FIELD(pid, producer_id),
	FIELD(pid, created_realtime_ms),
	FIELD(pid, epoch_floor),
	FIELD(pid, zero),
	FIELD(header, magic),
	FIELD(header, layout_version),
	FIELD(header, header_bytes),
	FIELD(header, layout_hash),
	FIELD(header, build),
	FIELD(header, chunk_bytes),
	FIELD(header, chunk_count),
	FIELD(header, batch_count),
	FIELD(header, partition_count),
	FIELD(header, topic_count),
	FIELD(header, segment_count),
	FIELD(header, ring_count),
	FIELD(header, worker_index),
	FIELD(header, file_bytes),
	FIELD(header, boot_id),
	FIELD(header, cluster_id),
	FIELD(header, zero),
	FIELD(header, fixed_sum),
	FIELD(header, turn),
	FIELD(header, reporting),
	FIELD(header, live_count),
	FIELD(header, up_ns),
	FIELD(header, alive_boottime_ns),
	FIELD(header, alive_realtime_ms),
	FIELD(header, pids),
	FIELD(batch, life),
	FIELD(batch, tail),
	FIELD(batch, max_ts),
	FIELD(batch, base_ts),
	FIELD(batch, turn_tag),
	FIELD(batch, run_ring),
	FIELD(batch, run_next_seq),
	FIELD(batch, write_offset),
	FIELD(batch, run_offset),
	FIELD(batch, chain),
	FIELD(batch, birth),
	FIELD(batch, deadline_up_ns),
	FIELD(batch, partition),
	FIELD(batch, sibling),
	FIELD(batch, base_offset),
	FIELD(batch, payload_crc),
	FIELD(batch, frozen_sum),
	FIELD(batch, error),
	FIELD(batch, attempts),
	FIELD(batch, first_sent_realtime_s),
	FIELD(chain, first_chunk),
	FIELD(chain, bytes_codec),
	FIELD(chunk, next),
	FIELD(chunk, bytes),
	FIELD(chunk, runs),
	FIELD(partition, seq),
	FIELD(partition, topic),
	FIELD(partition, index),
	FIELD(partition, last_ack_realtime_ms),
	FIELD(partition, last_ack_max_ts),
	FIELD(partition, last_ack_offset),
	FIELD(partition, state),
	FIELD(partition, leader_epoch),
	FIELD(partition, zero),
	FIELD(topic, state),
	FIELD(topic, partition_count),
	FIELD(topic, topic_id),
	FIELD(topic, name_bytes),
	FIELD(topic, name),
	FIELD(topic, zero),
	FIELD(segment, state),
	FIELD(segment, uid),
	FIELD(segment, gid),
	FIELD(segment, ring_first),
	FIELD(segment, ring_count),
	FIELD(segment, zero),
	FIELD(segment, ring_bytes),
	FIELD(segment, data_dev),
	FIELD(segment, data_ino),
	FIELD(segment, status_dev),
	FIELD(segment, status_ino),
	FIELD(segment, client_id),
	FIELD(segment, token),
	FIELD(segment, pad),
	FIELD(segment, topics),
	FIELD(ring_cursor, pos),
	FIELD(ring_cursor, seq),
	FIELD(ring, generation),
	FIELD(ring, slot),
	FIELD(ring, state),
	FIELD(ring, poison),
	FIELD(ring, segment),
	FIELD(ring, index),
	FIELD(ring, retire_birth),
	FIELD(ring, report_mode),
	FIELD(ring, zero),
};

bool sl_arena_layout_line(uint32_t index, char *out, size_t out_bytes)
{
	if (index >= SL_ARRAY_COUNT(fields))
		return false;
	snprintf(out, out_bytes, "%s:%u:%u;", fields[index].name, fields[index].offset,
		 fields[index].bytes);
	return true;
}

uint64_t sl_arena_layout_hash(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	char line[80];
	uint32_t i;
	const char *p;

	for (i = 0; sl_arena_layout_line(i, line, sizeof(line)); i++)
		for (p = line; *p; p++)
			hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return hash;
}
