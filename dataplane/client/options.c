/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/client/client.h"

enum {
	RINGS_DEFAULT = 4,
	RING_BYTES_DEFAULT = 1 << 20, /* stays in the cache of a core */
	REPORT_SLOTS_DEFAULT = 4096,
	TIMEOUT_MS_DEFAULT = 5000,
	/* Header, sample, two length varints and a header count of five bytes each, rounded up. */
	RECORD_OVERHEAD_BYTES = 64,
};

int sluice_socket_path(char *text, size_t text_bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *given = getenv("SLUICE_SOCKET");
	int bytes;

	if (given && *given)
		bytes = snprintf(text, text_bytes, "%s", given);
	else if (geteuid() == 0 || !runtime || !*runtime)
		bytes = snprintf(text, text_bytes, "/run/sluice/agent.sock");
	else
		bytes = snprintf(text, text_bytes, "%s/sluice/agent.sock", runtime);
	return bytes >= 0 && (size_t)bytes < text_bytes ? 0 : -ENAMETOOLONG;
}

int sl_client_options(const struct sluice_options *given, struct sluice_options *out,
		      struct sl_error *err)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	uint32_t i;

	if (given) {
		if (given->struct_bytes == 0 || given->struct_bytes > sizeof(options))
			return sl_error_set(err, -EINVAL,
					    "struct_bytes %u: begin with SLUICE_OPTIONS_INIT",
					    given->struct_bytes);
		memcpy(&options, given, given->struct_bytes);
	}
	if (options.ring_count == 0)
		options.ring_count = RINGS_DEFAULT;
	if (options.report_slots == 0)
		options.report_slots = REPORT_SLOTS_DEFAULT;
	if (options.timeout_ms == 0)
		options.timeout_ms = TIMEOUT_MS_DEFAULT;
	if (options.report_mode == 0)
		options.report_mode = SLUICE_REPORT_ERRORS;
	if (!options.name)
		options.name = program_invocation_short_name;
	if (options.ring_count > SLUICE_RINGS_MAX)
		return sl_error_set(err, -EINVAL, "%u rings, more than %d", options.ring_count,
				    SLUICE_RINGS_MAX);
	for (i = 0; i < options.ring_count; i++) {
		uint32_t mode = options.ring_report_modes ? options.ring_report_modes[i]
							  : options.report_mode;

		if (mode < SLUICE_REPORT_ALL || mode > SLUICE_REPORT_NONE)
			return sl_error_set(err, -EINVAL, "report mode %u of ring %u", mode, i);
	}
	*out = options;
	return 0;
}

static uint64_t power_of_two_above(uint64_t n)
{
	uint64_t p = 1;

	while (p < n && p < UINT64_C(1) << 62)
		p <<= 1;
	return p;
}

int sl_client_geometry(const struct sluice_options *options, const struct sl_hs_welcome *limits,
		       struct sl_segment_geometry *geometry, struct sl_error *err)
{
	uint64_t record = (uint64_t)options->record_bytes_max + RECORD_OVERHEAD_BYTES;
	uint64_t ring = options->ring_bytes;

	if (ring == 0) {
		ring = RING_BYTES_DEFAULT < limits->ring_bytes_max ? RING_BYTES_DEFAULT
								   : limits->ring_bytes_max;
		if (options->record_bytes_max && ring < record * SL_RING_RECORD_SHARE)
			ring = record * SL_RING_RECORD_SHARE;
	}
	if (ring < SL_RING_BYTES_MIN)
		ring = SL_RING_BYTES_MIN;
	ring = power_of_two_above(ring);
	if (options->record_bytes_max && record > ring / SL_RING_RECORD_SHARE)
		return sl_error_set(err, -EINVAL,
				    "records of %u bytes need a ring of %" PRIu64 " bytes",
				    options->record_bytes_max,
				    power_of_two_above(record * SL_RING_RECORD_SHARE));
	if (options->record_bytes_max && record > limits->record_bytes_max)
		return sl_error_set(err, -E2BIG, "the agent takes records of at most %u bytes",
				    limits->record_bytes_max - RECORD_OVERHEAD_BYTES);
	if (ring > limits->ring_bytes_max)
		return sl_error_set(err, -E2BIG,
				    "the agent takes rings of at most %" PRIu64
				    " bytes, not %" PRIu64,
				    limits->ring_bytes_max, ring);
	if (options->ring_count > limits->rings_max)
		return sl_error_set(err, -E2BIG, "the agent takes at most %u rings, not %u",
				    limits->rings_max, options->ring_count);
	if (options->report_slots > limits->report_slots_max)
		return sl_error_set(err, -E2BIG, "the agent takes at most %u report slots, not %u",
				    limits->report_slots_max, options->report_slots);
	geometry->ring_bytes = ring;
	geometry->ring_count = options->ring_count;
	geometry->report_slots = options->report_slots;
	if (sl_segment_geometry_check(geometry, err) < 0)
		return -EINVAL;
	if (limits->segment_bytes_max &&
	    sl_segment_data_bytes(geometry) > limits->segment_bytes_max)
		return sl_error_set(err, -E2BIG,
				    "the agent takes at most %" PRIu64 " bytes of rings together",
				    limits->segment_bytes_max);
	return 0;
}

uint32_t sluice_ring_record_bytes_max(const sluice_ring *ring)
{
	uint32_t bytes = ring->record_bytes_max;

	return bytes > RECORD_OVERHEAD_BYTES ? bytes - RECORD_OVERHEAD_BYTES : 0;
}
