/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what is wrong in a ring poisons that ring, says why, and nothing of it reaches a batch. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/varint.h"
#include "tests/integration/hostile/peer.h"

enum { RINGS = 16 };

typedef void (*spoil_fn)(struct peer *p, uint32_t ring);

/* A good record first, which is persisted; then one that spoil() makes bad. */
static void spoilt(struct peer *p, uint32_t ring, spoil_fn spoil, enum sl_poison code)
{
	peer_put_good(p, ring);
	peer_commit(p, ring);
	peer_settled(p, ring, 1);
	spoil(p, ring);
	peer_commit(p, ring);
	peer_poisoned(p, ring, code);
	CHECK(atomic_load(&peer_agent_page(p, ring)->settled_count) == 1);
}

#define SPOIL(name, ...)                                                                           \
	static void name(struct peer *p, uint32_t ring)                                            \
	{                                                                                          \
		struct sl_record_header *h = peer_put_good(p, ring);                               \
		__VA_ARGS__;                                                                       \
		(void)h;                                                                           \
	}

SPOIL(length_zero, h->length = 0)
SPOIL(length_short, h->length = SL_RECORD_HEADER_BYTES + 2)
SPOIL(length_beyond, h->length += 64)
SPOIL(length_huge, h->length = UINT32_MAX)
SPOIL(type_unknown, h->type = 77)
SPOIL(flags_unknown, h->flags = 2)
SPOIL(sampled_short, h->flags = SL_RECORD_SAMPLED)
SPOIL(topic_unbound, h->topic_slot = 5)
SPOIL(topic_beyond, h->topic_slot = UINT16_MAX)
SPOIL(sequence_gap, h->seq_lo++)
SPOIL(sequence_back, h->seq_lo--)
SPOIL(partition_low, h->partition = -2)
SPOIL(pad_inside, h->type = SL_RECORD_PAD)
SPOIL(pad_flags, h->type = SL_RECORD_PAD; h->flags = 1)
SPOIL(flush_long, h->type = SL_RECORD_FLUSH)
SPOIL(flush_flags, h->type = SL_RECORD_FLUSH; h->flags = 1)
SPOIL(cursor_unaligned, p->pos[ring] -= 4)
SPOIL(cursor_back, p->pos[ring] = 0)
SPOIL(cursor_forward, p->pos[ring] += p->geometry.ring_bytes)
SPOIL(cursor_far, p->pos[ring] = UINT64_MAX & ~UINT64_C(7))

static void headers(void)
{
	static const struct {
		spoil_fn spoil;
		enum sl_poison code;
	} rows[] = {
		{length_zero, SL_POISON_LENGTH},
		{length_short, SL_POISON_LENGTH},
		{length_beyond, SL_POISON_LENGTH},
		{length_huge, SL_POISON_LENGTH},
		{type_unknown, SL_POISON_TYPE},
		{flags_unknown, SL_POISON_TYPE},
		{topic_unbound, SL_POISON_TOPIC},
		{topic_beyond, SL_POISON_TOPIC},
		{sequence_gap, SL_POISON_SEQUENCE},
		{sequence_back, SL_POISON_SEQUENCE},
		{partition_low, SL_POISON_PARTITION},
		{pad_inside, SL_POISON_PAD},
		{pad_flags, SL_POISON_TYPE},
		{flush_long, SL_POISON_LENGTH},
		{flush_flags, SL_POISON_TYPE},
		{sampled_short, SL_POISON_TAIL},
		{cursor_unaligned, SL_POISON_POSITION},
		{cursor_back, SL_POISON_POSITION},
		{cursor_forward, SL_POISON_POSITION},
		{cursor_far, SL_POISON_POSITION},
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct peer p;

	peer_open(&p, ROWS, SL_RING_BYTES_MIN, 64);
	for (uint32_t i = 0; i < ROWS; i++)
		spoilt(&p, i, rows[i].spoil, rows[i].code);
	peer_close(&p);
}

/* Each varint of a tail, wrong in each way: negative, beyond the record, cut off, too long. */
static void tails(void)
{
	static const struct {
		uint8_t bytes[16];
		uint8_t count;
	} rows[] = {
		{{3, 0, 0, 0}, 4},                         /* key length -2 */
		{{2 * 60, 0, 0, 0}, 4},                    /* key beyond */
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 6}, /* key length too long a varint */
		{{0x80, 0x80, 0x80}, 3},                   /* key length cut off */
		{{1, 5, 0, 0}, 4},                         /* value length -3 */
		{{1, 2 * 60, 0, 0}, 4},                    /* value beyond */
		{{1, 0xff, 0xff, 0xff, 0xff, 0xff}, 6},    /* value length too long */
		{{1, 1, 0x80}, 3},                         /* header count cut off */
		{{1, 1, 1}, 3},                            /* header count -1 */
		{{1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, 7}, /* the lowest count */
		{{1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}, 7}, /* the highest count */
		{{1, 1, 2, 1, 1}, 5},                      /* a header without a key */
		{{1, 1, 2, 2 * 9, 1}, 5},                  /* a header's key beyond */
		{{1, 1, 2, 0, 2 * 9}, 5},                  /* a header's value beyond */
		{{1, 1, 2, 0, 3}, 5},                      /* a header's value of -2 */
		{{1, 1, 0, 0}, 4},                         /* a byte behind the end */
		{{1, 1, 2, 0, 1, 9}, 6},                   /* a byte behind the headers */
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct peer p;

	peer_open(&p, ROWS, SL_RING_BYTES_MIN, 64);
	for (uint32_t i = 0; i < ROWS; i++) {
		peer_put_good(&p, i);
		peer_put(&p, i, rows[i].bytes, rows[i].count);
		peer_put_good(&p, i);
		peer_commit(&p, i);
		peer_poisoned(&p, i, SL_POISON_TAIL);
		peer_settled(&p, i, 1);
	}
	peer_close(&p);
}

struct race {
	struct sl_record_header *header;
	_Atomic bool stop;
};

static void *flip(void *arg)
{
	struct race *race = arg;
	_Atomic uint64_t *words = (void *)race->header;

	while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
		atomic_fetch_xor_explicit(&words[0], (uint64_t)peer_random() >> 20,
					  memory_order_relaxed);
		atomic_fetch_xor_explicit(&words[3], (uint64_t)peer_random(), memory_order_relaxed);
	}
	return NULL;
}

/* Header and tail change all the time while the agent reads them: taken or poisoned, and nothing
 * worse. */
static void mutated(void)
{
	struct peer p;

	peer_open(&p, RINGS, SL_RING_BYTES_MIN, 64);
	for (uint32_t ring = 0; ring < RINGS; ring++) {
		struct race race = {.stop = false};
		pthread_t id;
		uint64_t until_ms = peer_now_ms() + 30;

		race.header = peer_put_good(&p, ring);
		CHECK(pthread_create(&id, NULL, flip, &race) == 0);
		peer_commit(&p, ring);
		while (peer_now_ms() < until_ms &&
		       atomic_load(&peer_agent_page(&p, ring)->ring_state) == SL_RING_WIRE_OPEN &&
		       atomic_load(&peer_agent_page(&p, ring)->consumed_pos) < p.pos[ring])
			usleep(200);
		atomic_store(&race.stop, true);
		pthread_join(id, NULL);
	}
	peer_close(&p);
}

/* Batches of one record each, so that each takes a report of its own. */
static void fill_reports(struct peer *p, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct sl_record_header *h;

		peer_put_good(p, 0)->partition = (int32_t)(i & 3);
		h = (struct sl_record_header *)(void *)peer_at(p, 0);
		*h = (struct sl_record_header){.length = SL_RECORD_HEADER_BYTES,
					       .type = SL_RECORD_FLUSH};
		p->pos[0] += SL_RECORD_HEADER_BYTES;
		peer_commit(p, 0);
		if (i % 4 == 3)
			usleep(500);
	}
}

static void reports_filled(struct peer *p)
{
	uint64_t until_ms = peer_now_ms() + PEER_ANSWER_MS;

	fill_reports(p, 400);
	while (atomic_load(&peer_agent_page(p, 0)->report_write_pos) < 64) {
		CHECK(peer_now_ms() < until_ms);
		usleep(1000);
	}
}

static void reports_lie(void)
{
	struct peer p;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	reports_filled(&p);
	atomic_store(&peer_app_page(&p, 0)->report_read_pos, 1000000);
	peer_poisoned(&p, 0, SL_POISON_REPORTS);
	peer_close(&p);
}

/* Its records keep their place in the arena until it reads or dies; others are reported meanwhile.
 */
static void reports_unread(void)
{
	struct peer p;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	reports_filled(&p);
	usleep(300 * 1000);
	CHECK(atomic_load(&peer_agent_page(&p, 0)->report_write_pos) == 64);
	CHECK(atomic_load(&peer_agent_page(&p, 0)->ring_state) == SL_RING_WIRE_OPEN);
	peer_close(&p);
}

const struct scenario scenarios_ring[] = {
	{"ring_headers", headers},          {"ring_tails", tails},
	{"ring_mutated", mutated},          {"reports_lie", reports_lie},
	{"reports_unread", reports_unread}, {NULL, NULL},
};
