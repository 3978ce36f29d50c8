/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: one that only makes work, or dies in the middle of it, costs the others little and leaves
 * nothing behind. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/hostile/peer.h"

static void bell_flood(void)
{
	struct peer p;
	uint64_t until_ms;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	until_ms = peer_now_ms() + 300;
	while (peer_now_ms() < until_ms)
		for (uint32_t i = 0; i < 100; i++)
			eventfd_write(p.bell_fd, 1);
	peer_put_good(&p, 0);
	peer_commit(&p, 0);
	peer_settled(&p, 0, 1);
	peer_close(&p);
}

/* Both sides share the bell's flags and counter: an agent that wrote or read it would stand still
 * from here on. */
static void bell_blocks(void)
{
	struct peer p;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	CHECK(fcntl(p.bell_fd, F_SETFL, 0) == 0);
	peer_put_good(&p, 0);
	peer_commit(&p, 0);
	peer_settled(&p, 0, 1);
	CHECK(eventfd_write(p.bell_fd, UINT64_MAX - 1 - 1000) == 0);
	usleep(200 * 1000);
	peer_put_good(&p, 0);
	peer_commit(&p, 0);
	peer_settled(&p, 0, 2);
	peer_close(&p);
}

static void flush_flood(void)
{
	struct peer p;
	uint64_t until_ms;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	until_ms = peer_now_ms() + 300;
	while (peer_now_ms() < until_ms) {
		struct sl_record_header *h;
		uint64_t to_end = p.geometry.ring_bytes - (p.pos[0] & (p.geometry.ring_bytes - 1));

		if (!peer_has_room(&p, 0, 2 * SL_RECORD_HEADER_BYTES))
			continue;
		h = (struct sl_record_header *)(void *)peer_at(&p, 0);
		h->length = SL_RECORD_HEADER_BYTES;
		if (to_end < SL_RECORD_HEADER_BYTES)
			h->length = (uint32_t)to_end;
		h->type = to_end < SL_RECORD_HEADER_BYTES ? SL_RECORD_PAD : SL_RECORD_FLUSH;
		h->flags = 0;
		h->topic_slot = 0;
		p.pos[0] += h->length;
		peer_commit(&p, 0);
	}
	CHECK(atomic_load(&peer_agent_page(&p, 0)->ring_state) == SL_RING_WIRE_OPEN);
	peer_close(&p);
}

static void connection_storm(void)
{
	for (uint32_t i = 0; i < 500; i++) {
		struct peer p;

		peer_connect(&p);
		if (i % 3 == 1)
			peer_send_raw(&p, "x", 1, NULL, 0);
		peer_close(&p);
	}
}

/* As many connections as the agent gives. Behind its limit it says that it is busy, and it never
 * stops to answer. */
static void connections_held(void)
{
	static struct peer peers[400];
	uint32_t count = 0;

	while (count < 400 && peer_try_connect(&peers[count]))
		count++;
	while (count-- > 0)
		peer_close(&peers[count]);
}

static void segment_storm(void)
{
	for (uint32_t i = 0; i < 60; i++) {
		struct peer p;

		peer_open(&p, 1 + i % 8, SL_RING_BYTES_MIN, 64);
		peer_put_good(&p, 0);
		peer_commit(&p, 0);
		if (i & 1)
			peer_settled(&p, 0, 1);
		peer_close(&p);
	}
}

/* Questions without reading an answer: the agent gives up on it. */
static void message_flood(void)
{
	union sl_hs_message msg;
	struct peer p;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	for (uint32_t i = 0; i < 3000; i++) {
		sl_handshake_init(&msg, i & 1 ? SL_HS_STATUS : SL_HS_TOPIC);
		if (i & 1)
			msg.status.format = SL_STATUS_JSON;
		else
			strcpy(msg.topic.name, "hostile");
		peer_send(&p, &msg, NULL, 0);
	}
	peer_close(&p);
}

static void killed(void)
{
	for (uint32_t round = 0; round < 10; round++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			struct peer p;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			peer_open(&p, 4, SL_RING_BYTES_MIN, 64);
			for (uint32_t ring = 0;; ring = (ring + 1) & 3) {
				/* Half of a record is there when it dies, as like as not. */
				if (!peer_has_room(&p, ring, 128))
					continue;
				peer_put_good(&p, ring);
				peer_commit(&p, ring);
				atomic_store(
					&peer_app_page(&p, ring)->report_read_pos,
					atomic_load(&peer_agent_page(&p, ring)->report_write_pos));
			}
		}
		usleep(20 * 1000 + (useconds_t)(peer_random() % 30000));
		CHECK(kill(child, SIGKILL) == 0);
		CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	}
}

/* CLOSE with reports outstanding that it never reads, and a hang-up right behind. */
static void close_and_leave(void)
{
	for (uint32_t i = 0; i < 20; i++) {
		union sl_hs_message msg;
		struct peer p;

		peer_open(&p, 2, SL_RING_BYTES_MIN, 64);
		for (uint32_t j = 0; j < 100; j++)
			peer_put_good(&p, j & 1);
		peer_commit(&p, 0);
		peer_commit(&p, 1);
		sl_handshake_init(&msg, SL_HS_CLOSE);
		peer_send(&p, &msg, NULL, 0);
		peer_send(&p, &msg, NULL, 0);
		peer_close(&p);
	}
}

const struct scenario scenarios_flood[] = {
	{"bell_flood", bell_flood},
	{"bell_blocks", bell_blocks},
	{"flush_flood", flush_flood},
	{"connection_storm", connection_storm},
	{"connections_held", connections_held},
	{"segment_storm", segment_storm},
	{"message_flood", message_flood},
	{"killed", killed},
	{"close_and_leave", close_and_leave},
	{NULL, NULL},
};
