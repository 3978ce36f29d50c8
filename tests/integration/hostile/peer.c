/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/hostile/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

const char *peer_socket;

void peer_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n", file, line, what, strerror(errno));
	_exit(1);
}

uint64_t peer_now_ms(void)
{
	return sl_clock_monotonic_ns() / SL_NS_PER_MS;
}

uint64_t peer_random(void)
{
	static uint64_t state;

	if (state == 0)
		state = sl_random_seed() | 1;
	return sl_random_next(&state);
}

bool peer_try_connect(struct peer *p)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(p, 0, sizeof(*p));
	p->data_fd = p->status_fd = p->bell_fd = -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", peer_socket);
	p->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(p->sock >= 0);
	if (connect(p->sock, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return true;
	CHECK(errno == EAGAIN);
	close(p->sock);
	p->sock = -1;
	return false;
}

void peer_connect(struct peer *p)
{
	uint64_t until_ms = peer_now_ms() + PEER_ANSWER_MS;

	while (!peer_try_connect(p)) {
		CHECK(peer_now_ms() < until_ms);
		usleep(1000);
	}
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void peer_close(struct peer *p)
{
	if (p->data)
		sl_segment_unmap(p->data, sl_segment_data_bytes(&p->geometry));
	if (p->status)
		sl_segment_unmap(p->status, sl_segment_status_bytes(&p->geometry));
	p->data = NULL;
	p->status = NULL;
	fd_close(&p->sock);
	fd_close(&p->data_fd);
	fd_close(&p->status_fd);
	fd_close(&p->bell_fd);
}

void peer_send_raw(struct peer *p, const void *bytes, size_t count, const int *fds,
		   uint32_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 64)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
	struct msghdr head = {.msg_iov = &iov, .msg_iovlen = 1};

	CHECK(fd_count <= 64);
	if (fd_count > 0) {
		struct cmsghdr *cmsg;

		head.msg_control = control.bytes;
		head.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		cmsg = CMSG_FIRSTHDR(&head);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	/* The agent may have hung up by now, or not read yet: both are its right. */
	if (sendmsg(p->sock, &head, MSG_NOSIGNAL) < 0)
		CHECK(errno == EPIPE || errno == ECONNRESET || errno == EAGAIN ||
		      errno == ETOOMANYREFS);
}

void peer_send(struct peer *p, const union sl_hs_message *msg, const int *fds, uint32_t fd_count)
{
	peer_send_raw(p, msg, msg->head.bytes, fds, fd_count);
}

uint32_t peer_answer(struct peer *p, union sl_hs_message *msg, int fds[SL_HS_FDS_MAX])
{
	struct pollfd pfd = {.fd = p->sock, .events = POLLIN};
	struct sl_error err;
	int rc;

	CHECK(poll(&pfd, 1, PEER_ANSWER_MS) == 1);
	rc = sl_handshake_recv(p->sock, SL_HS_FROM_AGENT, msg, fds, &err);
	if (rc == -EPIPE)
		return 0;
	CHECK(rc == 0);
	return msg->head.type;
}

void peer_refused(struct peer *p, enum sl_refuse code)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];

	CHECK(peer_answer(p, &msg, fds) == SL_HS_REFUSE);
	if (msg.refuse.code != code)
		fprintf(stderr, "refused as %s: %s\n", sl_refuse_name(msg.refuse.code),
			msg.refuse.text);
	CHECK(msg.refuse.code == code);
	CHECK(msg.refuse.text[0] != 0);
	CHECK(peer_answer(p, &msg, fds) == 0);
}

void peer_hello(struct peer *p)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];

	sl_handshake_init(&msg, SL_HS_HELLO);
	msg.hello.proto_min = msg.hello.proto_max = SL_HS_PROTO;
	msg.hello.layout_min = msg.hello.layout_max = SL_SHM_LAYOUT;
	msg.hello.pid = (uint32_t)getpid();
	CHECK(getrandom(p->client_id, sizeof(p->client_id), 0) == sizeof(p->client_id));
	memcpy(msg.hello.client_id, p->client_id, sizeof(p->client_id));
	strcpy(msg.hello.name, "hostile");
	peer_send(p, &msg, NULL, 0);
	CHECK(peer_answer(p, &msg, fds) == SL_HS_WELCOME);
	p->welcome = msg.welcome;
}

void peer_data_make(struct peer *p)
{
	struct sl_segment_ident ident = {.agent_epoch = 0};
	struct sl_error err;
	void *base;

	memcpy(ident.client_id, p->client_id, sizeof(ident.client_id));
	p->data_fd = sl_segment_data_create(&p->geometry, &ident, &err);
	CHECK(p->data_fd >= 0);
	CHECK(sl_segment_map(p->data_fd, sl_segment_data_bytes(&p->geometry), true, &base, &err) ==
	      0);
	p->data = base;
}

void peer_open_fill(const struct peer *p, union sl_hs_message *msg)
{
	sl_handshake_init(msg, SL_HS_OPEN);
	msg->open.ring_bytes = p->geometry.ring_bytes;
	msg->open.ring_count = p->geometry.ring_count;
	msg->open.report_slots = p->geometry.report_slots;
	memcpy(msg->open.client_id, p->client_id, sizeof(msg->open.client_id));
	for (uint32_t i = 0; i < p->geometry.ring_count; i++)
		msg->open.report_mode[i] = SL_REPORT_ALL;
}

void peer_bind(struct peer *p, uint32_t slot, const char *topic)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];

	sl_handshake_init(&msg, SL_HS_TOPIC);
	msg.topic.slot = slot;
	snprintf(msg.topic.name, sizeof(msg.topic.name), "%s", topic);
	peer_send(p, &msg, NULL, 0);
	CHECK(peer_answer(p, &msg, fds) == SL_HS_TOPIC_OK);
}

void peer_open(struct peer *p, uint32_t rings, uint64_t ring_bytes, uint32_t report_slots)
{
	union sl_hs_message msg;
	struct sl_error err;
	int fds[SL_HS_FDS_MAX];
	void *base;

	peer_connect(p);
	peer_hello(p);
	p->geometry = (struct sl_segment_geometry){ring_bytes, rings, report_slots};
	peer_data_make(p);
	CHECK(sl_segment_alive_lock(p->data_fd, &err) == 0);
	peer_open_fill(p, &msg);
	peer_send(p, &msg, &p->data_fd, 1);
	CHECK(peer_answer(p, &msg, fds) == SL_HS_OPENED);
	p->status_fd = fds[0];
	p->bell_fd = fds[1];
	p->segment_id = msg.opened.segment_id;
	memcpy(p->token, msg.opened.token, sizeof(p->token));
	CHECK(sl_segment_map(p->status_fd, sl_segment_status_bytes(&p->geometry), false, &base,
			     &err) == 0);
	p->status = base;
	peer_bind(p, 0, "hostile");
}

uint8_t *peer_at(struct peer *p, uint32_t ring)
{
	return sl_segment_ring(p->data, &p->geometry, ring) +
	       (p->pos[ring] & (p->geometry.ring_bytes - 1));
}

bool peer_has_room(struct peer *p, uint32_t ring, uint32_t bytes)
{
	uint64_t consumed =
		atomic_load_explicit(&peer_agent_page(p, ring)->consumed_pos, memory_order_acquire);

	return p->pos[ring] + bytes - consumed <= p->geometry.ring_bytes;
}

struct sl_record_header *peer_put(struct peer *p, uint32_t ring, const void *tail,
				  uint32_t tail_bytes)
{
	uint64_t span = sl_record_span(SL_RECORD_HEADER_BYTES + tail_bytes);
	uint64_t to_end = p->geometry.ring_bytes - (p->pos[ring] & (p->geometry.ring_bytes - 1));
	struct sl_record_header *header;

	if (span > to_end) {
		uint64_t pad = to_end | (uint64_t)SL_RECORD_PAD << 32;

		memcpy(peer_at(p, ring), &pad, sizeof(pad));
		p->pos[ring] += to_end;
	}
	header = (struct sl_record_header *)(void *)peer_at(p, ring);
	*header = (struct sl_record_header){
		.length = SL_RECORD_HEADER_BYTES + tail_bytes,
		.type = SL_RECORD_DATA,
		.seq_lo = p->seq[ring]++,
		.partition = -1,
		.timestamp_ms = (int64_t)(sl_clock_realtime_ns() / SL_NS_PER_MS)};
	memcpy(header + 1, tail, tail_bytes);
	p->pos[ring] += span;
	return header;
}

struct sl_record_header *peer_put_good(struct peer *p, uint32_t ring)
{
	static const uint8_t tail[] = {1, 2 * 8, 'h', 'o', 's', 't', 'i', 'l', 'e', '!', 0};

	return peer_put(p, ring, tail, sizeof(tail));
}

void peer_commit(struct peer *p, uint32_t ring)
{
	atomic_store_explicit(&peer_app_page(p, ring)->committed_pos, p->pos[ring],
			      memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&peer_agent_page(p, ring)->sleeping, memory_order_relaxed))
		eventfd_write(p->bell_fd, 1);
}

void peer_poisoned(struct peer *p, uint32_t ring, enum sl_poison code)
{
	const struct sl_agent_page *page = peer_agent_page(p, ring);
	uint64_t until_ms = peer_now_ms() + PEER_ANSWER_MS;

	while (atomic_load(&page->ring_state) != SL_RING_WIRE_POISONED) {
		CHECK(peer_now_ms() < until_ms);
		usleep(500);
	}
	if (atomic_load(&page->poison_code) != (uint32_t)code)
		fprintf(stderr, "poison code %u, not %u\n", atomic_load(&page->poison_code), code);
	CHECK(atomic_load(&page->poison_code) == (uint32_t)code);
}

void peer_settled(struct peer *p, uint32_t ring, uint64_t count)
{
	uint64_t until_ms = peer_now_ms() + 10 * PEER_ANSWER_MS;

	while (atomic_load(&peer_agent_page(p, ring)->settled_count) < count) {
		CHECK(peer_now_ms() < until_ms);
		usleep(1000);
	}
}
