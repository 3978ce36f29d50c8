/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a connection: bytes and the instants at which they arrive. */
#include "dataplane/transport/sim/internal.h"

#include <string.h>

void sl_sim_stream_reset(struct sl_sim_stream *stream)
{
	stream->write_pos = stream->read_pos = 0;
	stream->first = stream->last = 0;
	stream->last_at_ns = 0;
	stream->end_at_ns = SL_DEADLINE_NONE;
	stream->reset = false;
}

static struct sl_sim_segment *segment_at(const struct sl_sim_stream *stream, uint32_t pos)
{
	return &stream->segments[pos % SL_SIM_SEGMENTS_MAX];
}

static uint64_t arrival(const struct sl_sim *sim, const struct sl_sim_stream *stream)
{
	uint64_t at = sl_sim_now(sim) + sim->delay_ns;

	return at > stream->last_at_ns ? at : stream->last_at_ns;
}

uint32_t sl_sim_stream_room(const struct sl_sim *sim, const struct sl_sim_stream *stream)
{
	if (stream->end_at_ns != SL_DEADLINE_NONE ||
	    stream->last - stream->first == SL_SIM_SEGMENTS_MAX)
		return 0;
	return sim->options.wire_bytes - (uint32_t)(stream->write_pos - stream->read_pos);
}

static void copy_in(const struct sl_sim *sim, struct sl_sim_stream *stream, const uint8_t *data,
		    uint32_t bytes)
{
	uint32_t offset = (uint32_t)stream->write_pos & (sim->options.wire_bytes - 1);
	uint32_t first = sim->options.wire_bytes - offset;

	if (first > bytes)
		first = bytes;
	memcpy(stream->data + offset, data, first);
	memcpy(stream->data, data + first, bytes - first);
	stream->write_pos += bytes;
}

void sl_sim_stream_write(struct sl_sim *sim, struct sl_sim_stream *stream, const uint8_t *data,
			 uint32_t bytes, bool joined)
{
	uint64_t at = arrival(sim, stream);
	bool has_last = stream->first != stream->last;

	SL_ASSERT(bytes > 0 && bytes <= sl_sim_stream_room(sim, stream));
	copy_in(sim, stream, data, bytes);
	stream->last_at_ns = at;
	if (joined && has_last && segment_at(stream, stream->last - 1)->at_ns == at)
		segment_at(stream, stream->last - 1)->bytes += bytes;
	else
		*segment_at(stream, stream->last++) =
			(struct sl_sim_segment){.at_ns = at, .bytes = bytes};
}

static uint32_t arrived(const struct sl_sim *sim, const struct sl_sim_stream *stream, uint32_t max,
			bool joined)
{
	uint64_t bytes = 0;
	uint32_t pos;

	for (pos = stream->first; pos != stream->last && bytes < max; pos++) {
		const struct sl_sim_segment *segment = segment_at(stream, pos);

		if (segment->at_ns > sl_sim_now(sim) || (!joined && pos != stream->first))
			break;
		bytes += segment->bytes;
	}
	return bytes < max ? (uint32_t)bytes : max;
}

uint32_t sl_sim_stream_peek(const struct sl_sim *sim, const struct sl_sim_stream *stream,
			    uint8_t *out, uint32_t bytes, bool joined)
{
	uint32_t offset = (uint32_t)stream->read_pos & (sim->options.wire_bytes - 1);
	uint32_t first = sim->options.wire_bytes - offset;

	bytes = arrived(sim, stream, bytes, joined);
	if (!out || bytes == 0)
		return bytes;
	if (first > bytes)
		first = bytes;
	memcpy(out, stream->data + offset, first);
	memcpy(out + first, stream->data, bytes - first);
	return bytes;
}

void sl_sim_stream_consume(struct sl_sim_stream *stream, uint32_t bytes)
{
	stream->read_pos += bytes;
	while (bytes > 0) {
		struct sl_sim_segment *segment = segment_at(stream, stream->first);
		uint32_t taken = bytes < segment->bytes ? bytes : segment->bytes;

		SL_ASSERT(stream->first != stream->last);
		segment->bytes -= taken;
		bytes -= taken;
		if (segment->bytes == 0)
			stream->first++;
	}
}

void sl_sim_stream_end(struct sl_sim *sim, struct sl_sim_stream *stream, bool reset)
{
	uint64_t at = arrival(sim, stream);

	/* A reset may follow an orderly end; nothing follows a reset. */
	if (stream->reset || (stream->end_at_ns != SL_DEADLINE_NONE && !reset))
		return;
	stream->reset = reset;
	if (at < stream->end_at_ns)
		stream->end_at_ns = at;
}

uint64_t sl_sim_stream_next_ns(const struct sl_sim_stream *stream)
{
	uint64_t at = stream->first != stream->last ? segment_at(stream, stream->first)->at_ns
						    : SL_DEADLINE_NONE;

	return at < stream->end_at_ns ? at : stream->end_at_ns;
}
