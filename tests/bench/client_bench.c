/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record costs the application: sluice_send() and claim + commit of a 16-byte key and a
 * 100-byte value. The other core reads, either by moving the cursor only ("cursor") or by walking
 * the headers as a worker does ("walk").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/client/sluice.h"
#include "dataplane/shm/wake.h"
#include "tests/unit/client/fake_agent.h"

enum { RECORDS = 20000000, WARM = 1000000 };

struct consumer {
	struct fake_agent *agent;
	bool walk;
	_Atomic bool stop;
	uint64_t walk_ns, walked;
};

static void *consume(void *arg)
{
	struct consumer *consumer = arg;
	struct sl_app_page *app = sl_segment_app_page(consumer->agent->data, 0);
	struct sl_agent_page *page = sl_segment_agent_page(consumer->agent->status, 0);
	struct sl_ring_reader *reader = &consumer->agent->readers[0];
	struct sl_ring_item items[256];

	while (!atomic_load_explicit(&consumer->stop, memory_order_relaxed)) {
		enum sl_poison poison = sl_ring_reader_refresh(reader, app);

		if (poison != SL_POISON_NONE)
			abort();
		if (consumer->walk) {
			uint64_t start = sl_clock_thread_cpu_ns();
			uint32_t count = 0, n;

			while ((n = sl_ring_reader_walk(reader, items, 256, &poison)) > 0)
				count += n;
			if (count > 1000) {
				consumer->walk_ns += sl_clock_thread_cpu_ns() - start;
				consumer->walked += count;
			}
			if (poison != SL_POISON_NONE)
				abort();
		}
		if (!consumer->walk)
			reader->read_pos = reader->committed_pos;
		sl_ring_reader_publish(reader, page);
		atomic_thread_fence(memory_order_seq_cst);
		sl_wake_app(app, page, SL_WAIT_ROOM);
		usleep(200);
	}
	return NULL;
}

static uint64_t run(sluice_ring *ring, sluice_topic *topic, bool claims, int64_t timestamp_ms,
		    int64_t count)
{
	static const uint8_t value[100];
	struct sluice_record record = {.key = "0123456789abcdef",
				       .key_bytes = 16,
				       .value = value,
				       .value_bytes = 100,
				       .timestamp_ms = timestamp_ms};
	struct sluice_sizes sizes = {
		.key_bytes = 16, .value_bytes = 100, .timestamp_ms = timestamp_ms};
	uint64_t start = sl_clock_thread_cpu_ns();
	int64_t i;

	for (i = 0; i < count; i++) {
		struct sluice_claim claim;

		if (!claims) {
			if (sluice_send(ring, topic, &record) < 0)
				abort();
			continue;
		}
		if (sluice_claim(ring, topic, &sizes, &claim) < 0)
			abort();
		memcpy(claim.key, record.key, 16);
		memcpy(claim.value, value, 100);
		sluice_commit(ring, &claim);
	}
	return sl_clock_thread_cpu_ns() - start;
}

/* What the consumer left is skipped, so that the next one knows which number comes first. */
static void caught_up(struct fake_agent *agent, sluice_ring *ring)
{
	struct sl_ring_reader *reader = &agent->readers[0];
	struct sluice_stats stats;

	sluice_ring_stats(ring, &stats);
	sl_ring_reader_refresh(reader, sl_segment_app_page(agent->data, 0));
	reader->read_pos = reader->committed_pos;
	reader->next_seq = stats.sent;
	sl_ring_reader_publish(reader, sl_segment_agent_page(agent->status, 0));
}

int main(void)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	static struct fake_agent agent;
	sluice_client *client;
	sluice_topic *topic;
	sluice_ring *ring;
	char path[64];
	int i;

	snprintf(path, sizeof(path), "/tmp/sluice-bench-%d.sock", (int)getpid());
	fake_agent_start(&agent, path);
	atomic_store(&agent.paused, true);
	options.socket_path = path;
	options.ring_count = 1;
	if (sluice_open(&options, &client) || sluice_topic_bind(client, "bench", &topic) ||
	    sluice_ring_get(client, NULL, &ring))
		return 1;
	for (i = 0; i < 6; i++) {
		bool claims = i & 1;
		int64_t timestamp_ms = i < 2 ? 1 : 0;
		struct consumer consumer = {.agent = &agent, .walk = i >= 4};
		pthread_t thread;
		uint64_t ns;

		pthread_create(&thread, NULL, consume, &consumer);
		run(ring, topic, claims, timestamp_ms, WARM);
		ns = run(ring, topic, claims, timestamp_ms, RECORDS);
		atomic_store(&consumer.stop, true);
		pthread_join(thread, NULL);
		caught_up(&agent, ring);
		printf("%-5s timestamp=%-5s reader=%-6s %5.1f ns/record", claims ? "claim" : "send",
		       timestamp_ms ? "given" : "now", consumer.walk ? "walk" : "cursor",
		       (double)ns / RECORDS);
		if (consumer.walked)
			printf("  walk %.1f ns/record",
			       (double)consumer.walk_ns / (double)consumer.walked);
		printf("\n");
	}
	sluice_close(client);
	fake_agent_free(&agent);
	return 0;
}
