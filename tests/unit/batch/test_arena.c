/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the file is what the next agent expects, private, locked, and never replaced while it holds
 * records. */
#include "tests/unit/batch/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *golden_folder;

static void test_golden(void **state)
{
	char path[4096], have[80], want[80];
	uint32_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/arena_layout_v1.txt", golden_folder);
	f = fopen(path, "r");
	assert_non_null(f);
	for (i = 0; sl_arena_layout_line(i, have, sizeof(have)); i++) {
		assert_int_equal(fscanf(f, "%79s", want), 1);
		assert_string_equal(have, want);
	}
	assert_int_equal(fscanf(f, "%79s", want), 1);
	snprintf(have, sizeof(have), "hash:%016llx;", (unsigned long long)sl_arena_layout_hash());
	assert_string_equal(have, want);
	assert_int_equal(fscanf(f, "%79s", want), EOF);
	fclose(f);
}

static void test_packing(void **state)
{
	struct sl_life life = {SL_BATCH_SENT, 1, 127, 0xfedc, 0x89abcdef};
	struct sl_life back = sl_life_unpack(sl_life_pack(life));
	uint64_t run = sl_run_pack(0x123456789abcdef0, SL_BATCH_RECORDS_LIMIT, 4094);
	static const int16_t errors[] = {-1, 0, 1, 45, 130, 8191, -8192};
	uint32_t i;

	assert_true(back.state == life.state && back.selector == 1 && back.pid_slot == 127);
	assert_true(back.epoch == 0xfedc && back.base_seq == 0x89abcdef);
	assert_true(sl_run_seq_lo(run) == 0x9abcdef0 && sl_run_ring(run) == 4094);
	assert_int_equal(sl_run_first_index(run), SL_BATCH_RECORDS_LIMIT);
	assert_true(sl_seq_extend(5, 0x1fffffff0) == 0x200000005);
	assert_true(sl_seq_extend(0xfffffff0, 0x200000005) == 0x1fffffff0);
	for (i = 0; i < SL_ARRAY_COUNT(errors); i++) {
		assert_int_equal(sl_error_code(sl_error_pack(SL_OUTCOME_UNKNOWN, errors[i])),
				 errors[i]);
		assert_int_equal(sl_error_outcome(sl_error_pack(SL_OUTCOME_UNKNOWN, errors[i])),
				 SL_OUTCOME_UNKNOWN);
	}
	assert_int_equal(sl_error_outcome(0), 0);
	assert_int_equal(sl_chain_codec(sl_chain_pack(77, 4)), 4);
	assert_int_equal(sl_seq_add(INT32_MAX, 1), 0);
}

static void test_options(void **state)
{
	struct sl_arena_options opts = small_options();

	assert_int_equal(sl_arena_file_bytes(&opts) % SL_ARENA_ALIGN, 0);
	assert_true(sl_arena_memory_bytes(&opts) > opts.batch_bytes_max);
	opts.chunk_bytes = 5000;
	assert_int_equal(sl_arena_file_bytes(&opts), 0);
	opts = small_options();
	opts.rings_max = 4096; /* one is the tomb */
	assert_int_equal(sl_arena_file_bytes(&opts), 0);
	opts = small_options();
	opts.bytes = 100 * 1024; /* no batch fits beside the reserve */
	assert_int_equal(sl_arena_file_bytes(&opts), 0);
	opts = small_options();
	opts.batch_records_max = SL_BATCH_RECORDS_LIMIT + 1;
	assert_int_equal(sl_arena_file_bytes(&opts), 0);
}

static void record_add(struct sl_arena *a, uint32_t *batch)
{
	uint8_t tail[32];
	struct sl_batch_record r = {
		.timestamp_ms = base_ts, .tail = tail, .tail_bytes = tail_make(tail, 3, 9, 1)};

	assert_int_equal(sl_batch_open(a, 0, base_ts, 0, batch), 0);
	assert_int_equal(sl_batch_append(a, *batch, &r), 0);
}

static void test_file(void **state)
{
	struct sl_arena_options opts = small_options();
	char folder[] = "/dev/shm/arena_test_XXXXXX", path[64], link[64], build[40];
	struct sl_arena *a, *b;
	struct sl_error err;
	struct stat st;
	uint64_t records = 99;
	uint32_t batch;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/arena", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	assert_int_equal(sl_arena_probe(path, &records, build, &err), -ENOENT);
	assert_int_equal(sl_arena_create(&a, &opts, path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true((st.st_mode & 0777) == 0600 &&
		    (uint64_t)st.st_size == sl_arena_file_bytes(&opts));
	slots_add(a);
	record_add(a, &batch);
	check(a, false);
	/* The descriptor is closed: the mapping holds the lock. */
	assert_int_equal(sl_arena_create(&b, &opts, path, &err), -EWOULDBLOCK);
	assert_int_equal(sl_arena_probe(path, &records, build, &err), -EWOULDBLOCK);
	sl_arena_destroy(a, false);
	assert_int_equal(sl_arena_probe(path, &records, build, &err), 0);
	assert_true(records == 1);
	assert_string_equal(build, SL_VERSION);
	assert_int_equal(sl_arena_create(&b, &opts, path, &err), -EEXIST);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(sl_arena_probe(link, &records, build, &err), -ELOOP);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(sl_arena_probe(path, &records, build, &err), -EBADMSG);
	assert_int_equal(unlink(path), 0);
	/* Empty ones are replaced. */
	assert_int_equal(sl_arena_create(&a, &opts, path, &err), 0);
	sl_arena_destroy(a, false);
	assert_int_equal(sl_arena_create(&a, &opts, path, &err), 0);
	sl_arena_destroy(a, true);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(folder), 0);
}

static void test_damaged(void **state)
{
	struct sl_arena_options opts = small_options();
	char path[] = "/dev/shm/arena_bad_XXXXXX", build[40];
	int fd = mkstemp(path);
	uint64_t records;
	struct sl_arena *a;
	uint8_t byte = 0xee;

	assert_true(fd >= 0);
	assert_int_equal(sl_arena_probe(path, &records, build, NULL), -EBADMSG);
	assert_int_equal(unlink(path), 0);
	close(fd);
	assert_int_equal(sl_arena_create(&a, &opts, path, NULL), 0);
	sl_arena_destroy(a, false);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &byte, 1, offsetof(struct sl_arena_header, chunk_count)), 1);
	assert_int_equal(sl_arena_probe(path, &records, build, NULL), -EBADMSG);
	assert_int_equal(pwrite(fd, &byte, 1, offsetof(struct sl_arena_header, layout_version)), 1);
	assert_int_equal(sl_arena_probe(path, &records, build, NULL), -EPROTO);
	assert_int_equal(sl_arena_create(&a, &opts, path, NULL), -EPROTO);
	close(fd);
	unlink(path);
}

/* A child neither inherits the mapping nor keeps the lock. */
static void test_fork(void **state)
{
	struct sl_arena_options opts = small_options();
	char path[] = "/dev/shm/arena_fork_XXXXXX", build[40];
	int fd = mkstemp(path), go[2];
	struct sl_arena *a;
	uint64_t records;
	pid_t child;
	char byte;

	assert_true(fd >= 0 && pipe(go) == 0);
	close(fd);
	unlink(path);
	assert_int_equal(sl_arena_create(&a, &opts, path, NULL), 0);
	child = fork();
	if (child == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) != 0);
	}
	sl_arena_destroy(a, false);
	assert_int_equal(sl_arena_probe(path, &records, build, NULL), 0);
	close(go[1]);
	close(go[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	unlink(path);
}

/* A retired ring's slot waits for the batches that name it. */
static void test_ring_slots(void **state)
{
	struct sl_arena *a = small_arena();
	uint32_t batch, slot = 99;

	record_add(a, &batch);
	sl_arena_ring_cursor_store(a, 0, 64, 1);
	assert_int_equal(sl_arena_ring_add(a, 0, 9, &slot), -ENOSPC);
	sl_arena_ring_retire(a, 0);
	assert_int_equal(sl_arena_ring_add(a, 0, 9, &slot), -ENOSPC);
	sl_batch_resolve(a, batch, SL_OUTCOME_FAILED, 7, -1);
	runs_entomb(a, batch);
	sl_batch_free(a, batch);
	assert_int_equal(sl_arena_ring_add(a, 0, 9, &slot), 0);
	assert_int_equal(slot, 0);
	assert_true(sl_arena_ring_cursor(a, 0).pos == 0 && a->ring_seq[0] == 0);
	sl_arena_destroy(a, false);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),     cmocka_unit_test(test_packing),
		cmocka_unit_test(test_options),    cmocka_unit_test(test_file),
		cmocka_unit_test(test_damaged),    cmocka_unit_test(test_fork),
		cmocka_unit_test(test_ring_slots),
	};

	golden_folder = argc > 1 ? argv[1] : "tests/golden";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
