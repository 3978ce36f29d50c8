/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: what brokers answer to a worker, one action after the other, and how it is split; when the
 * input ends they are honest again. Oracle: the worker asserts nothing, its counts add up after
 * each turn, and at the end each record has one outcome and nothing is kept. Which outcome is the
 * broker's to say, so that is not looked at.
 *
 * The first byte is Produce's highest version. An action is a byte, then: what it takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/endian.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/worker/rig.h"

enum action {
	ACTION_TRUTH,
	ACTION_BODY,   /* split, count, bytes: another body behind the true head */
	ACTION_CHANGE, /* split, at, mask: the truth with one byte changed */
	ACTION_RAW,    /* split, count, bytes: in place of a frame */
	ACTION_CUT,    /* count: so much of the truth, then nothing */
	ACTION_RESET,
	ACTION_CLOSE, /* behind the truth */
	ACTION_MORE,  /* count, bytes: behind the truth */
	ACTION_STORE, /* at, two bytes: the truth with these there, an error say */
	ACTIONS,
};

enum { HEAD_BYTES = 8, ROUNDS = 6, PARTITIONS = 3, LATE_SECONDS = 12 };

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* The next count bytes, or as many as there are. */
static const uint8_t *take_bytes(struct input *in, uint32_t *bytes)
{
	const uint8_t *p;

	*bytes = take(in);
	p = in->at;
	if (*bytes > in->end - p)
		*bytes = (uint32_t)(in->end - p);
	in->at += *bytes;
	return p;
}

/* In pieces of step bytes, or whole when that is 0. What the wire does not hold is lost: an answer
 * cut short like another. */
static void out(struct rig *rig, uint32_t handle, uint32_t step, const uint8_t *data,
		uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t n = step && step < bytes ? step : bytes;

		if (sl_sim_peer_write(rig->transport, handle, data, n) == 0)
			return;
		data += n;
		bytes -= n;
	}
}

static void body_out(struct rig *rig, uint32_t handle, struct input *in, const uint8_t *truth)
{
	uint8_t frame[HEAD_BYTES + UINT8_MAX];
	uint32_t step = take(in), bytes;
	const uint8_t *body = take_bytes(in, &bytes);

	memcpy(frame, truth, HEAD_BYTES);
	memcpy(frame + HEAD_BYTES, body, bytes);
	sl_store_be32(frame, HEAD_BYTES - 4 + bytes);
	out(rig, handle, step, frame, HEAD_BYTES + bytes);
}

static void answer(struct rig *rig, struct rig_peer *peer, uint8_t *truth, uint32_t bytes)
{
	struct input *in = rig->answer_ctx;
	uint32_t handle = peer->handle, step = 0, at, n;
	const uint8_t *p;

	switch (take(in) % ACTIONS) {
	case ACTION_BODY:
		body_out(rig, handle, in, truth);
		return;
	case ACTION_CHANGE:
		step = take(in);
		at = take(in) % bytes;
		truth[at] ^= take(in);
		break;
	case ACTION_RAW:
		step = take(in);
		p = take_bytes(in, &n);
		out(rig, handle, step, p, n);
		return;
	case ACTION_CUT:
		bytes = take(in) % bytes;
		break;
	case ACTION_STORE:
		at = take(in) % (bytes - 1);
		truth[at] = take(in);
		truth[at + 1] = take(in);
		break;
	case ACTION_RESET:
		sl_sim_peer_reset(rig->transport, handle);
		peer->open = false;
		return;
	case ACTION_CLOSE:
		out(rig, handle, 0, truth, bytes);
		sl_sim_peer_close(rig->transport, handle);
		peer->open = false;
		return;
	case ACTION_MORE:
		out(rig, handle, 0, truth, bytes);
		p = take_bytes(in, &n);
		out(rig, handle, 0, p, n);
		return;
	}
	out(rig, handle, step, truth, bytes);
}

static struct rig *rig_make(struct input *in)
{
	static const int16_t versions[] = {9, 13, 7, 12, 3, 8, 10, 11};
	struct rig_options options = {
		.settings = rig_settings(),
		.settings_given = true,
		.no_metadata = true,
		.ring_bytes = SL_RING_BYTES_MIN,
		.report_slots = 64,
		.small = true,
	};
	uint8_t how = take(in);
	struct rig *rig;

	options.produce_version_max = versions[how % 8];
	options.settings.idempotent = !(how & 8);
	options.settings.delivery_timeout_ns = 5 * SL_NS_PER_S;
	options.settings.batch_bytes = 4096;
	options.settings.request_bytes_max = 16 * 1024;
	rig = rig_create(&options);
	rig->topic_ids = options.produce_version_max >= 13;
	rig->answer = answer;
	rig->answer_ctx = in;
	rig_routes(rig, 0, 0, PARTITIONS, 0);
	return rig;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input in = {data, data + bytes};
	uint64_t count[4] = {0};
	struct rig *rig;
	int32_t i, p;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	rig = rig_make(&in);
	for (i = 0; i < ROUNDS; i++) {
		for (p = 0; p < PARTITIONS; p++)
			(void)rig_send(rig, "key", p, 100);
		/* Past the linger, and past what is waited before another try. */
		rig->now_ns += 9 * SL_NS_PER_MS;
		rig_run(rig, 1);
		rig->now_ns += 99 * SL_NS_PER_MS;
		rig_run(rig, 1);
	}
	in.at = in.end;
	for (i = 0; i < LATE_SECONDS; i++) {
		rig->now_ns += 999 * SL_NS_PER_MS;
		rig_run(rig, 1);
	}
	rig_check_told(rig, count);
	rig_destroy(rig);
	return 0;
}
