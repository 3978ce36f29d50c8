/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever is said on the socket, in whatever order and with whatever descriptors, gets a
 * refusal that says why. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/hostile/peer.h"

static void hello_fill(union sl_hs_message *msg)
{
	sl_handshake_init(msg, SL_HS_HELLO);
	msg->hello.proto_min = msg->hello.proto_max = SL_HS_PROTO;
	msg->hello.layout_min = msg->hello.layout_max = SL_SHM_LAYOUT;
	memset(msg->hello.client_id, 7, sizeof(msg->hello.client_id));
}

/* Says it on a connection of its own, first thing or after HELLO, and is refused. */
static void refused(bool greeted, const void *bytes, size_t count, const int *fds,
		    uint32_t fd_count, enum sl_refuse code)
{
	struct peer p;

	peer_connect(&p);
	if (greeted)
		peer_hello(&p);
	peer_send_raw(&p, bytes, count, fds, fd_count);
	peer_refused(&p, code);
	peer_close(&p);
}

static void sizes(void)
{
	union sl_hs_message msg;
	uint8_t long_one[4096] = {0};

	hello_fill(&msg);
	memcpy(long_one, &msg, sizeof(msg.hello));
	refused(false, &msg, 4, NULL, 0, SL_REFUSE_MALFORMED);
	refused(false, &msg, sizeof(msg.hello) - 1, NULL, 0, SL_REFUSE_MALFORMED);
	refused(false, &msg, sizeof(msg.hello) + 1, NULL, 0, SL_REFUSE_MALFORMED);
	refused(false, long_one, sizeof(long_one), NULL, 0, SL_REFUSE_MALFORMED);
	msg.head.bytes++;
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
}

static void hellos(void)
{
	union sl_hs_message msg;

	hello_fill(&msg);
	msg.hello.proto_min = msg.hello.proto_max = 9;
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_VERSION);
	hello_fill(&msg);
	msg.hello.layout_min = 3;
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
	hello_fill(&msg);
	msg.hello.flags = 1;
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
	hello_fill(&msg);
	memset(msg.hello.name, 'x', sizeof(msg.hello.name));
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
	hello_fill(&msg);
	strcpy(msg.hello.name, "red\033[31m\nready socket=forged");
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
	hello_fill(&msg);
	memset(msg.hello.client_id, 0, sizeof(msg.hello.client_id));
	refused(false, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
	hello_fill(&msg);
	refused(true, &msg, sizeof(msg.hello), NULL, 0, SL_REFUSE_MALFORMED);
}

static void orders(void)
{
	static const enum sl_hs_type early[] = {SL_HS_OPEN, SL_HS_REATTACH, SL_HS_TOPIC,
						SL_HS_WAKE, SL_HS_STATUS,   SL_HS_CLOSE};
	int fds[] = {open("/dev/null", O_RDWR), open("/dev/null", O_RDWR)};

	for (uint32_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		union sl_hs_message msg;

		sl_handshake_init(&msg, early[i]);
		refused(false, &msg, msg.head.bytes, fds, sl_handshake_fds(early[i]),
			SL_REFUSE_MALFORMED);
	}
	for (uint32_t type = SL_HS_HELLO; type < SL_HS_TYPE_END; type++) {
		union sl_hs_message msg;

		if (type == SL_HS_STATUS)
			continue;
		sl_handshake_init(&msg, type);
		refused(true, &msg, msg.head.bytes, fds, sl_handshake_fds(type),
			SL_REFUSE_MALFORMED);
	}
}

/* More descriptors than a message has, also more than the agent has room to receive. */
static void surplus_descriptors(void)
{
	union sl_hs_message msg;
	int fds[64];

	for (uint32_t i = 0; i < 64; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	hello_fill(&msg);
	refused(false, &msg, sizeof(msg.hello), fds, 1, SL_REFUSE_MALFORMED);
	refused(false, &msg, sizeof(msg.hello), fds, 16, SL_REFUSE_MALFORMED);
	refused(false, &msg, sizeof(msg.hello), fds, 64, SL_REFUSE_MALFORMED);
	sl_handshake_init(&msg, SL_HS_OPEN);
	refused(true, &msg, msg.head.bytes, NULL, 0, SL_REFUSE_MALFORMED);
	refused(true, &msg, msg.head.bytes, fds, 2, SL_REFUSE_MALFORMED);
	refused(true, &msg, msg.head.bytes, fds, 40, SL_REFUSE_MALFORMED);
}

static void random_bytes(void)
{
	for (uint32_t i = 0; i < 300; i++) {
		uint64_t bytes[64];
		union sl_hs_message msg;
		size_t count = 1 + peer_random() % sizeof(bytes);

		for (uint32_t j = 0; j < 64; j++)
			bytes[j] = peer_random();
		refused(i & 1, bytes, count, NULL, 0, SL_REFUSE_MALFORMED);
		hello_fill(&msg);
		((uint8_t *)&msg)[8 + peer_random() % 16] ^= (uint8_t)(1u << peer_random() % 8);
		if (i % 10 == 0) {
			struct peer p;

			peer_connect(&p);
			peer_send_raw(&p, &msg, sizeof(msg.hello), NULL, 0);
			peer_close(&p);
		}
	}
}

/* Silent connections, and ones that stop in the middle: the agent ends them, others do not wait. */
static void stalled(void)
{
	struct peer silent[16], greeted[16];
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];

	for (uint32_t i = 0; i < 16; i++) {
		peer_connect(&silent[i]);
		peer_connect(&greeted[i]);
		peer_hello(&greeted[i]);
	}
	for (uint32_t i = 0; i < 16; i++) {
		CHECK(peer_answer(&silent[i], &msg, fds) == 0);
		CHECK(peer_answer(&greeted[i], &msg, fds) == 0);
		peer_close(&silent[i]);
		peer_close(&greeted[i]);
	}
}

static void halves(void)
{
	union sl_hs_message msg;
	struct peer p;

	for (uint32_t i = 0; i < 100; i++) {
		peer_connect(&p);
		hello_fill(&msg);
		peer_send(&p, &msg, NULL, 0);
		if (i & 1) {
			p.geometry = (struct sl_segment_geometry){SL_RING_BYTES_MIN, 1, 64};
			memset(p.client_id, 7, sizeof(p.client_id));
			peer_data_make(&p);
			peer_open_fill(&p, &msg);
			peer_send(&p, &msg, &p.data_fd, 1);
		}
		if (i & 2)
			shutdown(p.sock, SHUT_WR);
		peer_close(&p);
	}
}

static void not_allowed(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct peer p;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(0); /* not root: nothing to try here */
		for (uint32_t i = 0; i < 20; i++) {
			peer_connect(&p);
			peer_refused(&p, SL_REFUSE_ACCESS);
			peer_close(&p);
		}
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void topics(void)
{
	static const char *const names[] = {"", ".", "..", "a/b", "a b", "\x01", "topic\n"};
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];
	struct peer p;

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
		sl_handshake_init(&msg, SL_HS_TOPIC);
		strcpy(msg.topic.name, names[i]);
		peer_send(&p, &msg, NULL, 0);
		peer_refused(&p, SL_REFUSE_MALFORMED);
		peer_close(&p);
	}
	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	sl_handshake_init(&msg, SL_HS_TOPIC);
	strcpy(msg.topic.name, "hostile-other");
	peer_send(&p, &msg, NULL, 0);
	CHECK(peer_answer(&p, &msg, fds) == SL_HS_TOPIC_REFUSED &&
	      msg.refuse.code == SL_REFUSE_MALFORMED);
	peer_bind(&p, 0, "hostile");
	sl_handshake_init(&msg, SL_HS_TOPIC);
	msg.topic.slot = SL_SHM_TOPICS_MAX;
	strcpy(msg.topic.name, "hostile");
	peer_send(&p, &msg, NULL, 0);
	peer_refused(&p, SL_REFUSE_MALFORMED);
	peer_close(&p);
}

static void wake_refused(int fd, uint32_t ring)
{
	union sl_hs_message msg;
	struct peer p;

	CHECK(fd >= 0);
	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	sl_handshake_init(&msg, SL_HS_WAKE);
	msg.ring.ring = ring;
	peer_send(&p, &msg, &fd, 1);
	peer_refused(&p, SL_REFUSE_MALFORMED);
	peer_close(&p);
	close(fd);
}

static int unix_half(int type)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, type, 0, pair) == 0);
	close(pair[1]);
	return pair[0];
}

static void wakes(void)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX], ends[2];
	struct peer p;
	int fd;

	CHECK(pipe(ends) == 0);
	close(ends[0]);
	wake_refused(ends[1], 0);
	wake_refused(socket(AF_INET, SOCK_STREAM, 0), 0);
	wake_refused(socket(AF_INET, SOCK_DGRAM, 0), 0);
	wake_refused(unix_half(SOCK_STREAM), 0);
	wake_refused(unix_half(SOCK_SEQPACKET), 0);
	wake_refused(open("/dev/zero", O_RDWR), 0);
	wake_refused(open("/proc/self/status", O_RDONLY), 0);
	wake_refused(eventfd(0, 0), 0);
	wake_refused(unix_half(SOCK_DGRAM), 1);
	wake_refused(unix_half(SOCK_DGRAM), 70);
	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	sl_handshake_init(&msg, SL_HS_WAKE);
	fd = unix_half(SOCK_DGRAM); /* its other end is gone: the agent's byte goes nowhere */
	peer_send(&p, &msg, &fd, 1);
	CHECK(peer_answer(&p, &msg, fds) == SL_HS_WAKE_OK);
	peer_put_good(&p, 0);
	peer_commit(&p, 0);
	peer_settled(&p, 0, 1);
	sl_handshake_init(&msg, SL_HS_WAKE);
	peer_send(&p, &msg, &fd, 1);
	peer_refused(&p, SL_REFUSE_MALFORMED);
	peer_close(&p);
	close(fd);
}

const struct scenario scenarios_handshake[] = {
	{"sizes", sizes},
	{"hellos", hellos},
	{"orders", orders},
	{"surplus_descriptors", surplus_descriptors},
	{"random_bytes", random_bytes},
	{"stalled", stalled},
	{"halves", halves},
	{"not_allowed", not_allowed},
	{"topics", topics},
	{"wakes", wakes},
	{NULL, NULL},
};
