/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a writer killed at any instant leaves whole records only, and the ring image is that of the
 * golden file. Method: a child writes as fast as it can and is killed after a random pause; the
 * agent reads all that was committed and checks header, tail and content.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/client/sluice.h"
#include "tests/unit/client/fake_agent.h"

enum { KILLS = 200 };

static void child_write(const char *path)
{
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	static uint8_t value[3000];
	sluice_client *client;
	sluice_topic *topic;
	sluice_ring *ring;
	uint32_t i;

	options.socket_path = path;
	options.ring_bytes = 65536;
	options.ring_count = 1;
	if (sluice_open(&options, &client) || sluice_topic_bind(client, "t", &topic) ||
	    sluice_ring_get(client, NULL, &ring))
		_exit(1);
	for (i = 0;; i++) {
		struct sluice_record record = {.key = &i, .key_bytes = 4, .value = value};

		record.value_bytes = (int32_t)(i * 37 % sizeof(value));
		memset(value, (int)(i & 0xff), (size_t)record.value_bytes);
		if (sluice_send(ring, topic, &record) < 0)
			_exit(1);
	}
}

/* The key is the record's number, and every byte of the value its low byte. */
static bool content_ok(const struct sl_ring_item *item)
{
	const uint8_t *end = item->tail + item->tail_bytes;
	const uint8_t *key, *p;
	int32_t key_bytes, value_bytes;
	uint32_t number;

	if (!sl_ring_item_key(item, &key, &key_bytes) || key_bytes != 4)
		return false;
	memcpy(&number, key, sizeof(number));
	p = sl_varint32_get(key + 4, end, &value_bytes);
	if (!p || value_bytes != (int32_t)(number * 37 % 3000))
		return false;
	for (; value_bytes > 0; value_bytes--)
		if (*p++ != (uint8_t)number)
			return false;
	return true;
}

static bool all_read(struct fake_agent *agent)
{
	uint64_t committed = atomic_load(&sl_segment_app_page(agent->data, 0)->committed_pos);

	return atomic_load(&sl_segment_agent_page(agent->status, 0)->consumed_pos) == committed;
}

static void test_killed_writer(void **state)
{
	uint64_t random = sl_random_seed(), records = 0;
	char path[64];
	int round;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/sluice-kill-%d.sock", (int)getpid());
	for (round = 0; round < KILLS; round++) {
		struct fake_agent agent = {0};
		int status, waited = 0;
		pid_t pid;

		agent.content_ok = content_ok;
		fake_agent_start(&agent, path);
		pid = fork();
		if (pid == 0)
			child_write(path);
		while (atomic_load(&agent.records) == 0 && waited++ < 5000)
			usleep(1000);
		usleep((useconds_t)(sl_random_next(&random) % 3000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		/* Killed between its commit and the bell, a writer leaves the agent asleep: it looks by itself
		 * after a while, as a real one does when the socket hangs up. */
		for (waited = 0; waited < 3000 && !all_read(&agent); waited++)
			usleep(1000);
		fake_agent_kill(&agent);
		assert_true(atomic_load(&agent.records) > 0);
		assert_int_equal(atomic_load(&agent.poison), 0);
		assert_int_equal(atomic_load(&agent.tail_errors), 0);
		assert_true(agent.readers[0].read_pos ==
			    atomic_load(&sl_segment_app_page(agent.data, 0)->committed_pos));
		assert_int_equal(sl_segment_alive(agent.data_fd), 0);
		records += atomic_load(&agent.records);
		fake_agent_start(&agent, path);
		fake_agent_free(&agent);
	}
	print_message("%d kills, %llu records\n", KILLS, (unsigned long long)records);
}

static void test_golden_ring_is_written(void **state)
{
	static const struct sluice_header headers[] = {{"h", "v", 1, 1}, {"n", NULL, 1, 0}};
	struct sluice_record records[] = {
		{.key = "key",
		 .key_bytes = 3,
		 .value = "value",
		 .value_bytes = 5,
		 .timestamp_ms = 1},
		{.timestamp_ms = 2},
		{.key = "",
		 .value = "",
		 .headers = headers,
		 .header_count = 2,
		 .timestamp_ms = 3,
		 .flags = SLUICE_TO_PARTITION,
		 .partition = 7},
	};
	struct sluice_options options = SLUICE_OPTIONS_INIT;
	struct fake_agent agent = {0};
	static uint8_t golden[65536], ours[65536];
	sluice_client *client;
	sluice_topic *topic;
	sluice_ring *ring;
	uint64_t bytes, i;
	char path[64];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/sluice-gold-%d.sock", (int)getpid());
	fake_agent_start(&agent, path);
	atomic_store(&agent.paused, true);
	options.socket_path = path;
	options.ring_bytes = 65536;
	assert_int_equal(sluice_open(&options, &client), 0);
	assert_int_equal(sluice_topic_bind(client, "t", &topic), 0);
	assert_int_equal(sluice_ring_get(client, NULL, &ring), 0);
	for (i = 0; i < 3; i++)
		assert_true(sluice_send(ring, topic, &records[i]) == (int64_t)i);
	assert_true(sluice_flush(ring, 1) < 0);
	bytes = atomic_load(&sl_segment_app_page(agent.data, 0)->committed_pos);
	memcpy(ours, sl_segment_ring(agent.data, &agent.geometry, 0), bytes);
	memset(ours + SL_RECORD_HEADER_BYTES, 0, 8); /* sent_ns is a time */
	file = fopen(SL_GOLDEN "/shm_ring_v1.bin", getenv("SL_GOLDEN_WRITE") ? "wb" : "rb");
	assert_non_null(file);
	if (getenv("SL_GOLDEN_WRITE"))
		fwrite(ours, 1, bytes, file);
	else
		assert_true(fread(golden, 1, sizeof(golden), file) == bytes &&
			    memcmp(golden, ours, bytes) == 0);
	fclose(file);
	sluice_close(client);
	fake_agent_free(&agent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_ring_is_written),
		cmocka_unit_test(test_killed_writer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
