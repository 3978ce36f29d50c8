/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transport/rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "tests/unit/transport/peer.h"

static uint8_t pattern[RIG_PATTERN_BYTES];
static uint8_t scratch[1 << 20];

static const uint8_t *pattern_at(const struct rig *rig, const struct rig_link *link, uint64_t pos,
				 uint64_t bytes)
{
	uint64_t offset = (uint64_t)(link - rig->links) * 4099 + pos;

	assert_true(offset + bytes <= sizeof(pattern));
	return pattern + offset;
}

uint32_t rig_random(struct rig *rig, uint32_t below)
{
	return (uint32_t)((sl_random_next(&rig->random) >> 32) % below);
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
	return value ? value : standard;
}

static void sim_open(struct rig *rig, const struct rig_sizes *sizes)
{
	struct sl_sim_options options = {
		.now_ns = &rig->now_ns,
		.conns_max = or_default(sizes->conns, 4),
		.sends_max = or_default(sizes->sends, RIG_SENDS_MAX),
		.recv_buffer_bytes = or_default(sizes->buffer_bytes, 16384),
		.recv_buffer_count = or_default(sizes->buffers, 64),
		.wire_bytes = sizes->conns > 16 ? 1 << 16 : 1 << 20,
		.window_bytes = sizes->socket_send_bytes,
		.delay_ns = rig->backend->delay_ns,
		.sent_when_read = rig->backend->sent_when_read,
	};

	assert_int_equal(sl_sim_create(&options, &rig->t, NULL), 0);
	sl_sim_send_step_set(rig->t, rig->backend->send_step);
	rig->address = (struct sl_address){.family = 4, .port = 9092, .ip = {127, 0, 0, 1}};
	assert_int_equal(sl_sim_reach_set(rig->t, &rig->address, SL_SIM_LISTENING), 0);
}

static void uring_open(struct rig *rig, const struct rig_sizes *sizes)
{
	struct sl_uring_options options = {
		.conns_max = or_default(sizes->conns, 4),
		.sends_max = or_default(sizes->sends, RIG_SENDS_MAX),
		.recv_buffer_bytes = or_default(sizes->buffer_bytes, 16384),
		.recv_buffer_count = or_default(sizes->buffers, 64),
		.socket_send_bytes = sizes->socket_send_bytes,
		.send_zc = rig->backend->zero_copy,
		.send_zc_local = rig->backend->zero_copy,
		.keepalive_s = 10,
		.user_timeout_ms = 10000,
	};
	struct sl_error err;

	memcpy(options.disabled, rig->backend->disabled, sizeof(options.disabled));
	if (sl_uring_create(&options, &rig->t, &err) < 0)
		fail_msg("%s", err.text);
	rig->listener = peer_listen(&rig->address, sizes->backlog ? sizes->backlog : 256,
				    (int)sizes->peer_receive_bytes);
}

void rig_open(struct rig *rig, const struct rig_backend *backend, const struct rig_sizes *sizes)
{
	uint64_t random = 88172645463325252u;
	size_t i;

	for (i = 0; i < sizeof(pattern); i += 8) {
		uint64_t word = sl_random_next(&random);

		memcpy(pattern + i, &word, 8);
	}
	memset(rig, 0, sizeof(*rig));
	rig->backend = backend;
	rig->random = random;
	rig->listener = -1;
	if (backend->sim)
		sim_open(rig, sizes);
	else
		uring_open(rig, sizes);
}

void rig_close(struct rig *rig)
{
	uint32_t i;

	rig->t->ops->destroy(rig->t);
	for (i = 0; i < rig->link_count; i++) {
		free(rig->links[i].iov);
		if (!rig->backend->sim && rig->links[i].peer >= 0)
			close((int)rig->links[i].peer);
	}
	if (rig->listener >= 0)
		close(rig->listener);
}

static void on_sent(struct rig *rig, struct rig_link *link, const struct sl_event *event)
{
	assert_int_equal(event->token, (uint64_t)(link - rig->links) << 32 | link->returned);
	link->returned++;
	assert_true(link->returned <= link->submitted);
	if (event->error)
		link->failed++;
	else
		assert_int_equal(link->failed, 0); /* after one that failed none succeeds */
}

static void on_received(struct rig *rig, struct rig_link *link, const struct sl_event *event)
{
	assert_true(event->bytes > 0);
	if (memcmp(event->data, pattern_at(rig, link, link->received_bytes, event->bytes),
		   event->bytes) != 0)
		fail_msg("bytes differ after %llu", (unsigned long long)link->received_bytes);
	link->received_bytes += event->bytes;
	if (rig->hold)
		rig->held[rig->held_count++] = event->buffer;
	else
		rig->t->ops->recv_release(rig->t, event->buffer);
}

static void on_event(struct rig *rig, const struct sl_event *event)
{
	struct rig_link *link;

	assert_true(event->user < rig->link_count);
	link = &rig->links[event->user];
	assert_int_equal(event->conn, link->conn);
	assert_false(link->closed);
	switch (event->kind) {
	case SL_EVENT_CONNECTED:
		assert_false(link->connected);
		link->connected = true;
		break;
	case SL_EVENT_SENT:
		on_sent(rig, link, event);
		break;
	case SL_EVENT_RECEIVED:
		on_received(rig, link, event);
		break;
	case SL_EVENT_CLOSED:
		assert_int_equal(link->returned, link->submitted);
		link->closed = true;
		link->close_error = event->error;
		break;
	}
}

static void sim_time_pass(struct rig *rig)
{
	uint64_t next = rig->t->ops->next_deadline_ns(rig->t);
	uint64_t arrival = sl_sim_next_arrival_ns(rig->t);

	if (arrival < next)
		next = arrival;
	if (next != SL_DEADLINE_NONE && next > rig->now_ns)
		rig->now_ns = next;
}

uint32_t rig_turn(struct rig *rig)
{
	struct sl_event events[16];
	uint32_t max = 1 + rig_random(rig, 16), i;
	uint32_t count = rig->t->ops->poll(rig->t, events, max);

	assert_true(count <= max);
	for (i = 0; i < count; i++)
		on_event(rig, &events[i]);
	rig->events += count;
	if (count == 0 && rig->backend->sim)
		sim_time_pass(rig);
	return count;
}

struct rig_link *rig_connect(struct rig *rig)
{
	struct rig_link *link = &rig->links[rig->link_count];

	assert_true(rig->link_count < RIG_LINKS_MAX);
	*link = (struct rig_link){.peer = -1};
	link->iov = calloc(RIG_SENDS_MAX * SL_TRANSPORT_IOV_MAX, sizeof(*link->iov));
	assert_int_equal(rig->t->ops->connect(rig->t, &rig->address, rig->link_count, &link->conn),
			 0);
	rig->link_count++;
	return link;
}

void rig_accept(struct rig *rig, struct rig_link *link)
{
	uint32_t peer;

	if (!rig->backend->sim)
		link->peer = peer_accept(rig->listener);
	else if (sl_sim_accept(rig->t, &rig->address, &peer) == 0)
		link->peer = peer;
	assert_true(link->peer >= 0);
}

struct rig_link *rig_link(struct rig *rig)
{
	struct rig_link *link = rig_connect(rig);

	RIG_UNTIL(rig, link->connected);
	rig_accept(rig, link);
	return link;
}

int rig_submit(struct rig *rig, struct rig_link *link, uint32_t bytes, uint32_t pieces)
{
	struct iovec *iov =
		link->iov + (size_t)(link->submitted % RIG_SENDS_MAX) * SL_TRANSPORT_IOV_MAX;
	uint8_t *data = (uint8_t *)(uintptr_t)pattern_at(rig, link, link->sent_bytes, bytes);
	uint32_t left = bytes, i;
	int rc;

	for (i = 0; i < pieces; i++) {
		uint32_t part =
			i + 1 == pieces ? left : rig_random(rig, left / (pieces - i) * 2 + 1);

		iov[i] = (struct iovec){.iov_base = data, .iov_len = part < left ? part : left};
		data += iov[i].iov_len;
		left -= (uint32_t)iov[i].iov_len;
	}
	rc = rig->t->ops->submit(rig->t, link->conn, iov, pieces,
				 (uint64_t)(link - rig->links) << 32 | link->submitted);
	if (rc == 0) {
		link->submitted++;
		link->sent_bytes += bytes;
	}
	return rc;
}

uint32_t rig_peer_read(struct rig *rig, struct rig_link *link, uint32_t bytes)
{
	int64_t got;

	if (bytes > sizeof(scratch))
		bytes = sizeof(scratch);
	if (rig->backend->sim) {
		got = sl_sim_peer_read(rig->t, (uint32_t)link->peer, scratch, bytes);
		link->peer_ended = sl_sim_peer_ended(rig->t, (uint32_t)link->peer, NULL);
	} else {
		got = peer_read((int)link->peer, scratch, bytes);
		link->peer_ended |= got < 0;
	}
	if (got <= 0)
		return 0;
	assert_memory_equal(scratch, pattern_at(rig, link, link->peer_read_bytes, (uint64_t)got),
			    (size_t)got);
	link->peer_read_bytes += (uint64_t)got;
	return (uint32_t)got;
}

uint32_t rig_peer_write(struct rig *rig, struct rig_link *link, uint32_t bytes)
{
	const uint8_t *data = pattern_at(rig, link, link->peer_written_bytes, bytes);
	int64_t put;

	if (bytes == 0)
		return 0;
	if (rig->backend->sim) {
		uint32_t chunk = bytes < 50000 ? bytes : 50000;

		put = sl_sim_peer_write(rig->t, (uint32_t)link->peer, data, chunk);
	} else {
		put = peer_write((int)link->peer, data, bytes);
	}
	if (put <= 0)
		return 0;
	link->peer_written_bytes += (uint64_t)put;
	return (uint32_t)put;
}

void rig_peer_echo(struct rig *rig, struct rig_link *link)
{
	rig_peer_read(rig, link, 1 + rig_random(rig, 300000));
	rig_peer_write(rig, link, (uint32_t)(link->peer_read_bytes - link->peer_written_bytes));
}

void rig_peer_reset(struct rig *rig, struct rig_link *link)
{
	if (rig->backend->sim)
		sl_sim_peer_reset(rig->t, (uint32_t)link->peer);
	else
		peer_reset((int)link->peer);
	link->peer = -1;
}

void rig_peer_close(struct rig *rig, struct rig_link *link)
{
	if (rig->backend->sim)
		sl_sim_peer_close(rig->t, (uint32_t)link->peer);
	else
		close((int)link->peer);
	link->peer = -1;
}

void rig_release_held(struct rig *rig)
{
	while (rig->held_count > 0)
		rig->t->ops->recv_release(rig->t, rig->held[--rig->held_count]);
}
