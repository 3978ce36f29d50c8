/* SPDX-License-Identifier: Apache-2.0 */
/* A sender's journal says what was true, whenever its sender is killed, and a reader believes
 * nothing of it unchecked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/sluice/journal_read.h"

enum { KILLS = 40 };

static char folder[64];
static struct journal_identity who = {.topic = "topic", .cluster = "cluster", .stream = 42};

static struct journal made(void)
{
	struct journal j;
	struct sl_error err;

	memset(&j, 0, sizeof(j));
	who.sender++;
	if (journal_create(&j, folder, &who, &err) < 0)
		fail_msg("%s", err.text);
	return j;
}

static struct journal_view view_of(const char *path)
{
	struct journal_view view;
	struct sl_error err;

	if (journal_read(path, &view, &err) < 0)
		fail_msg("%s", err.text);
	return view;
}

static void outcome(struct journal *j, uint64_t first, uint64_t count, enum journal_outcome how,
		    int16_t error)
{
	struct journal_slot run = {.first = first,
				   .count = count,
				   .offset = -1,
				   .partition = 3,
				   .error = error,
				   .outcome = (uint8_t)how};

	journal_outcome(j, &run);
}

static void round_trip(void **state)
{
	struct journal j = made();
	struct journal_view v;
	uint64_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		journal_claim(&j, i);
		journal_commit(&j, i);
	}
	journal_claim(&j, 1000);
	outcome(&j, 0, 400, JOURNAL_PERSISTED, 0);
	outcome(&j, 400, 50, JOURNAL_FAILED, 10);
	outcome(&j, 450, 50, JOURNAL_FAILED, 10);
	outcome(&j, 500, 7, JOURNAL_UNKNOWN, 7);
	journal_settle(&j, 507);
	v = view_of(j.path);
	assert_true(v.stream == 42 && v.sender == who.sender &&
		    v.end == JOURNAL_RUNNING);
	assert_string_equal(v.topic, "topic");
	assert_true(v.claimed == 1001 && v.committed == 1000 && v.settled_below == 507);
	assert_true(v.counts[JOURNAL_PERSISTED] == 400 && v.counts[JOURNAL_FAILED] == 100);
	assert_int_equal(v.slot_count, 2); /* neighbours are one */
	assert_true(v.slots[0].first == 400 && v.slots[0].count == 100 && v.slots[0].error == 10);
	assert_true(v.slots[1].first == 500 && v.slots[1].count == 7 &&
		    v.slots[1].outcome == JOURNAL_UNKNOWN);
	journal_view_free(&v);
	journal_end(&j, JOURNAL_ENDED);
	journal_close(&j);
}

/* More exceptions than there are slots: every one is in a slot or in the span where nothing can be
 * decided. */
static void overflow(void **state)
{
	struct journal j = made();
	struct journal_view v;
	uint64_t i, covered = 0;

	(void)state;
	for (i = 0; i < 3 * JOURNAL_SLOTS; i++) {
		journal_claim(&j, 2 * i + 1);
		journal_commit(&j, 2 * i + 1);
		outcome(&j, 2 * i, 1, JOURNAL_FAILED, 10);
	}
	v = view_of(j.path);
	assert_true(v.spill_low < v.spill_high);
	for (i = 0; i < v.slot_count; i++)
		covered += v.slots[i].first < v.spill_low || v.slots[i].first >= v.spill_high
				   ? v.slots[i].count
				   : 0;
	for (i = 0; i < 3 * JOURNAL_SLOTS; i++)
		covered += 2 * i >= v.spill_low && 2 * i < v.spill_high;
	assert_int_equal(covered, 3 * JOURNAL_SLOTS);
	assert_int_equal(v.counts[JOURNAL_FAILED], 3 * JOURNAL_SLOTS);
	journal_view_free(&v);
	journal_close(&j);
}

/* What a sender does for a record, for ever: claim, hand over (here: count in memory of both),
 * commit, outcome. */
static void sender_live(struct journal *j, _Atomic uint64_t *handed)
{
	uint64_t i;

	for (i = 0;; i++) {
		journal_claim(j, i);
		atomic_store(handed, i + 1);
		journal_commit(j, i);
		if (i % 3 == 0)
			outcome(j, i, 1, JOURNAL_UNKNOWN, (int16_t)(i % 5));
		else
			outcome(j, i, 1, JOURNAL_PERSISTED, 0);
		journal_settle(j, i + 1);
	}
}

/* SIGKILL at any instruction: claimed is never below what was handed over, committed never above,
 * slots are whole. */
static void killed(void **state)
{
	static _Atomic uint64_t *handed;
	int memory = memfd_create("handed", 0), n;

	(void)state;
	assert_true(memory >= 0 && ftruncate(memory, 4096) == 0);
	handed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	assert_ptr_not_equal(handed, MAP_FAILED);
	for (n = 0; n < KILLS; n++) {
		struct timespec pause = {0, 100000 + n * 173000};
		struct journal j = made();
		struct journal_view v;
		uint64_t i, known = 0;
		pid_t child;

		atomic_store(handed, 0);
		child = fork();
		if (child == 0)
			sender_live(&j, handed);
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		v = view_of(j.path);
		assert_true(v.committed <= atomic_load(handed) && atomic_load(handed) <= v.claimed);
		assert_true(v.claimed - v.committed <= 1 && v.settled_below <= v.committed);
		for (i = 0; i < v.slot_count; i++) {
			assert_true(v.slots[i].first + v.slots[i].count <= v.committed);
			assert_int_equal(v.slots[i].outcome, JOURNAL_UNKNOWN);
			known += v.slots[i].count;
		}
		if (v.spill_low >= v.spill_high)
			assert_true(known == (v.settled_below + 2) / 3 ||
				    known == (v.settled_below + 1 + 2) / 3);
		journal_view_free(&v);
		journal_close(&j);
	}
	munmap(handed, 4096);
	close(memory);
}

/* Any byte may be wrong: it is refused or read, never followed. */
static void damaged(void **state)
{
	struct journal j = made();
	struct journal_view v;
	struct sl_error err;
	uint32_t at, refused = 0;
	char path[4096];
	int fd;

	(void)state;
	journal_claim(&j, 99);
	journal_commit(&j, 99);
	outcome(&j, 10, 5, JOURNAL_FAILED, 1);
	strcpy(path, j.path);
	journal_close(&j);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (at = 0; at < 600; at++) {
		uint8_t byte, other;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		other = (uint8_t)~byte;
		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		if (journal_read(path, &v, &err) == 0)
			journal_view_free(&v);
		else
			refused++;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_true(refused > 30);
	assert_int_equal(ftruncate(fd, JOURNAL_HEADER_BYTES + 20), 0);
	assert_int_equal(journal_read(path, &v, &err), -EBADMSG);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(journal_read(path, &v, &err), -EBADMSG);
	close(fd);
}

static int folder_make(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/sluice-journal-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(overflow),
		cmocka_unit_test(killed),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
