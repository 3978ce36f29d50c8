/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_agent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/shm/wake.h"

bool fake_tail_ok(const uint8_t *p, uint32_t bytes)
{
	const uint8_t *end = p + bytes;
	int32_t length, count, i;

	for (i = 0; i < 2; i++) {
		p = sl_varint32_get(p, end, &length);
		if (!p || length < -1 || length > end - p)
			return false;
		p += length < 0 ? 0 : length;
	}
	p = sl_varint32_get(p, end, &count);
	if (!p || count < 0)
		return false;
	for (i = 0; i < 2 * count; i++) {
		p = sl_varint32_get(p, end, &length);
		if (!p || length < -(i & 1) || length > end - p)
			return false;
		p += length < 0 ? 0 : length;
	}
	return p == end;
}

static void segments_map(struct fake_agent *agent, struct sl_error *err)
{
	uint32_t i;

	SL_ASSERT(sl_segment_map(agent->data_fd, sl_segment_data_bytes(&agent->geometry), false,
				 &agent->data, err) == 0);
	SL_ASSERT(sl_segment_map(agent->status_fd, sl_segment_status_bytes(&agent->geometry), true,
				 &agent->status, err) == 0);
	for (i = 0; i < agent->geometry.ring_count; i++) {
		struct sl_agent_page *page = sl_segment_agent_page(agent->status, i);

		sl_ring_reader_init(&agent->readers[i],
				    sl_segment_ring(agent->data, &agent->geometry, i),
				    agent->geometry.ring_bytes, 1 << 20, 0, 0);
		agent->readers[i].topic_slots = FAKE_TOPICS;
		agent->wake[i] = -1;
		atomic_store(&page->ring_state, SL_RING_WIRE_OPEN);
	}
}

static void answer_refuse(struct fake_agent *agent, enum sl_hs_type type, enum sl_refuse code,
			  uint32_t slot)
{
	union sl_hs_message msg;

	sl_handshake_refuse(&msg, type, code, slot, "the test says so");
	sl_handshake_send(agent->sock, &msg, NULL, NULL);
}

static void answer_opened(struct fake_agent *agent, int read_only, bool again)
{
	union sl_hs_message msg;
	int fds[2] = {read_only, agent->bell};

	sl_handshake_init(&msg, SL_HS_OPENED);
	msg.opened.segment_id = 7;
	msg.opened.ring_count = agent->geometry.ring_count;
	msg.opened.flags = again ? SL_HS_OPENED_AGAIN : 0;
	memcpy(msg.opened.token, agent->token, sizeof(agent->token));
	sl_handshake_send(agent->sock, &msg, fds, NULL);
	close(read_only);
}

static void on_open(struct fake_agent *agent, const struct sl_hs_open *open, const int *fds)
{
	struct sl_segment_ident ident = {.agent_epoch = 1};
	struct sl_error err;
	int read_only;

	agent->geometry = (struct sl_segment_geometry){open->ring_bytes, open->ring_count,
						       open->report_slots};
	if (sl_segment_data_check(fds[0], &agent->geometry, &err) < 0) {
		answer_refuse(agent, SL_HS_REFUSE, SL_REFUSE_SEGMENT, 0);
		return;
	}
	memset(agent->token, 0x5a, sizeof(agent->token));
	memcpy(agent->mode, open->report_mode, sizeof(agent->mode));
	agent->data_fd = dup(fds[0]);
	agent->status_fd = sl_segment_status_create(&agent->geometry, &ident, &read_only, &err);
	SL_ASSERT(agent->status_fd >= 0);
	segments_map(agent, &err);
	answer_opened(agent, read_only, false);
	atomic_fetch_add(&agent->attached, 1);
}

static void on_reattach(struct fake_agent *agent, const struct sl_hs_open *open, const int *fds)
{
	if (atomic_load(&agent->forget) || open->segment_id != 7 ||
	    memcmp(open->token, agent->token, sizeof(agent->token)) != 0 ||
	    !sl_segment_same(fds[0], agent->data_fd) ||
	    !sl_segment_same(fds[1], agent->status_fd)) {
		answer_refuse(agent, SL_HS_REFUSE, SL_REFUSE_UNKNOWN, 0);
		return;
	}
	answer_opened(agent, dup(fds[1]), true);
	atomic_fetch_add(&agent->reattached, 1);
}

static void on_topic(struct fake_agent *agent, const struct sl_hs_topic *topic)
{
	union sl_hs_message msg;

	if (strcmp(topic->name, "forbidden") == 0 || topic->slot >= FAKE_TOPICS) {
		answer_refuse(agent, SL_HS_TOPIC_REFUSED, SL_REFUSE_ACCESS, topic->slot);
		return;
	}
	memcpy(agent->topics[topic->slot], topic->name, sizeof(topic->name));
	sl_handshake_init(&msg, SL_HS_TOPIC_OK);
	msg.topic_ok.slot = topic->slot;
	msg.topic_ok.partitions = -1;
	sl_handshake_send(agent->sock, &msg, NULL, NULL);
}

static void on_message(struct fake_agent *agent, union sl_hs_message *msg, const int *fds)
{
	union sl_hs_message answer;

	switch ((enum sl_hs_type)msg->head.type) {
	case SL_HS_HELLO:
		sl_handshake_init(&answer, SL_HS_WELCOME);
		answer.welcome.proto = answer.welcome.layout = 1;
		answer.welcome.rings_max = SL_SHM_RINGS_MAX;
		answer.welcome.ring_bytes_max = SL_RING_BYTES_MAX;
		answer.welcome.report_slots_max = SL_REPORT_SLOTS_MAX;
		answer.welcome.record_bytes_max = 1 << 20;
		answer.welcome.topics_max = FAKE_TOPICS;
		sl_handshake_send(agent->sock, &answer, NULL, NULL);
		break;
	case SL_HS_OPEN:
		on_open(agent, &msg->open, fds);
		break;
	case SL_HS_REATTACH:
		on_reattach(agent, &msg->open, fds);
		break;
	case SL_HS_TOPIC:
		on_topic(agent, &msg->topic);
		break;
	case SL_HS_WAKE:
		agent->wake[msg->ring.ring] = dup(fds[0]);
		sl_handshake_init(&answer, SL_HS_WAKE_OK);
		sl_handshake_send(agent->sock, &answer, NULL, NULL);
		break;
	default:
		break;
	}
}

static void socket_turn(struct fake_agent *agent)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];
	int rc;

	if (agent->sock < 0)
		agent->sock = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (agent->sock < 0)
		return;
	rc = sl_handshake_recv(agent->sock, SL_HS_FROM_APP, &msg, fds, NULL);
	if (rc == 0) {
		on_message(agent, &msg, fds);
		for (int i = 0; i < SL_HS_FDS_MAX; i++)
			if (fds[i] >= 0)
				close(fds[i]);
	} else if (rc != -EAGAIN) {
		close(agent->sock);
		agent->sock = -1;
	}
}

static void report_put(struct fake_agent *agent, uint32_t ring, const struct sl_report *report)
{
	struct sl_agent_page *page = sl_segment_agent_page(agent->status, ring);
	uint32_t slots = agent->geometry.report_slots;

	sl_segment_reports(agent->status, &agent->geometry,
			   ring)[agent->report_pos[ring] & (slots - 1)] = *report;
	atomic_store_explicit(&page->report_write_pos, ++agent->report_pos[ring],
			      memory_order_release);
}

void fake_agent_reset(struct fake_agent *agent, uint64_t first_seq)
{
	struct sl_report report = {
		.first_seq = first_seq, .kind = SL_REPORT_KIND_RESET, .base_offset = -1};

	report_put(agent, 0, &report);
}

static void settle(struct fake_agent *agent, uint32_t ring)
{
	struct sl_agent_page *page = sl_segment_agent_page(agent->status, ring);
	uint64_t end = agent->readers[ring].next_seq;
	struct sl_report report = {
		.first_seq = agent->settled_seq[ring],
		.base_offset = (int64_t)agent->settled_seq[ring],
		.count = (uint32_t)(end - agent->settled_seq[ring]),
		.outcome = SL_OUTCOME_PERSISTED,
	};
	uint32_t room;

	if (report.count == 0)
		return;
	if (agent->mode[ring] == SL_REPORT_ALL) {
		SL_ASSERT(sl_report_room(sl_segment_app_page(agent->data, ring),
					 agent->report_pos[ring], agent->geometry.report_slots,
					 &agent->report_seen[ring], &room) == SL_POISON_NONE);
		if (room == 0)
			return;
		report_put(agent, ring, &report);
	}
	agent->settled_seq[ring] = end;
	atomic_store_explicit(&page->settled_count, end, memory_order_release);
}

static uint32_t ring_turn(struct fake_agent *agent, uint32_t ring)
{
	struct sl_app_page *app = sl_segment_app_page(agent->data, ring);
	struct sl_agent_page *page = sl_segment_agent_page(agent->status, ring);
	struct sl_ring_reader *reader = &agent->readers[ring];
	struct sl_ring_item items[64];
	enum sl_poison poison = sl_ring_reader_refresh(reader, app);
	uint32_t count = 0, i;

	if (poison == SL_POISON_NONE)
		count = sl_ring_reader_walk(reader, items, SL_ARRAY_COUNT(items), &poison);
	if (poison != SL_POISON_NONE) {
		atomic_store(&agent->poison, poison);
		atomic_store(&page->poison_code, poison);
		atomic_store(&page->ring_state, SL_RING_WIRE_POISONED);
	}
	for (i = 0; i < count; i++) {
		if (items[i].type == SL_RECORD_FLUSH)
			atomic_fetch_add(&agent->flushes, 1);
		else if (!fake_tail_ok(items[i].tail, items[i].tail_bytes) ||
			 (agent->content_ok && !agent->content_ok(&items[i])))
			atomic_fetch_add(&agent->tail_errors, 1);
		atomic_fetch_add(&agent->records, items[i].type == SL_RECORD_DATA);
	}
	sl_ring_reader_publish(reader, page);
	settle(agent, ring);
	atomic_thread_fence(memory_order_seq_cst);
	if (count > 0 && sl_wake_app(app, page, SL_WAIT_ROOM | SL_WAIT_REPORTS) &&
	    agent->wake[ring] >= 0)
		send(agent->wake[ring], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return count;
}

static uint32_t rings_turn(struct fake_agent *agent)
{
	bool paused = atomic_load(&agent->paused);
	uint32_t work = 0, i;

	atomic_store(&agent->quiet, paused);
	for (i = 0; agent->data && !paused && i < agent->geometry.ring_count; i++)
		if (atomic_load(&sl_segment_agent_page(agent->status, i)->ring_state) ==
		    SL_RING_WIRE_OPEN)
			work += ring_turn(agent, i);
	return work;
}

/* As a worker sleeps: say so, order it, look once more, and only then wait for the bell. */
static void bell_sleep(struct fake_agent *agent)
{
	struct pollfd pfd = {.fd = agent->bell, .events = POLLIN};
	uint32_t number = atomic_load(&agent->sleeps) + 1;
	uint64_t count;
	uint32_t i;

	for (i = 0; i < agent->geometry.ring_count; i++)
		atomic_store(&sl_segment_agent_page(agent->status, i)->sleeping, number);
	sl_wake_order();
	atomic_store(&agent->sleeps, number);
	if (rings_turn(agent) == 0) {
		/* The test's agent has the bell to itself, so it may read it. */
		if (poll(&pfd, 1, 1000) > 0 && read(agent->bell, &count, sizeof(count)) < 0)
			atomic_fetch_add(&agent->tail_errors, 1);
	}
	for (i = 0; i < agent->geometry.ring_count; i++)
		atomic_store(&sl_segment_agent_page(agent->status, i)->sleeping, 0);
}

static void *agent_thread(void *arg)
{
	struct fake_agent *agent = arg;

	while (!atomic_load(&agent->stop)) {
		uint32_t work = rings_turn(agent);

		socket_turn(agent);
		if (work == 0 && atomic_load(&agent->sleepy) && agent->data)
			bell_sleep(agent);
		else if (work == 0)
			usleep(50);
	}
	return NULL;
}

void fake_agent_start(struct fake_agent *agent, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(agent->path, sizeof(agent->path), "%s", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	agent->sock = -1;
	agent->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	agent->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	SL_ASSERT(bind(agent->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	SL_ASSERT(listen(agent->listener, 8) == 0);
	atomic_store(&agent->stop, false);
	SL_ASSERT(pthread_create(&agent->thread, NULL, agent_thread, agent) == 0);
}

void fake_agent_kill(struct fake_agent *agent)
{
	atomic_store(&agent->stop, true);
	pthread_join(agent->thread, NULL);
	if (agent->sock >= 0)
		close(agent->sock);
	close(agent->listener);
	close(agent->bell);
	unlink(agent->path);
}

void fake_agent_free(struct fake_agent *agent)
{
	uint32_t i;

	fake_agent_kill(agent);
	if (!agent->data)
		return;
	for (i = 0; i < agent->geometry.ring_count; i++)
		if (agent->wake[i] >= 0)
			close(agent->wake[i]);
	sl_segment_unmap(agent->data, sl_segment_data_bytes(&agent->geometry));
	sl_segment_unmap(agent->status, sl_segment_status_bytes(&agent->geometry));
	close(agent->data_fd);
	close(agent->status_fd);
}
