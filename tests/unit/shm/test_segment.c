/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a descriptor that could hurt the agent is refused, each kind with its own error. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/assert.h"
#include "dataplane/shm/handshake.h"
#include "dataplane/shm/segment.h"

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static const struct sl_segment_geometry geometry = {
	.ring_bytes = 65536, .ring_count = 2, .report_slots = 64};
static const struct sl_segment_ident ident = {.client_id = {1}};

static void refuse(int fd, int expected)
{
	struct sl_error err = {0};

	assert_true(fd >= 0);
	assert_int_equal(sl_segment_data_check(fd, &geometry, &err), expected);
	assert_true(err.text[0] != '\0');
	close(fd);
}

static int memfd_of(uint64_t bytes, unsigned int flags, int seals)
{
	int fd = memfd_create("test", flags | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, (off_t)bytes) != 0 || fcntl(fd, F_ADD_SEALS, seals) != 0))
		fail_msg("memfd: errno %d", errno);
	return fd;
}

static void test_foreign_descriptors(void **state)
{
	uint64_t bytes = sl_segment_data_bytes(&geometry);
	char plain[] = "/tmp/sluice-test-XXXXXX";
	int fd, pair[2];

	(void)state;
	refuse(memfd_of(bytes, 0, F_SEAL_SHRINK | F_SEAL_GROW), -EPERM);
	refuse(memfd_of(bytes, 0, F_SEAL_GROW | F_SEAL_SEAL), -EPERM);
	refuse(memfd_of(bytes, 0, SEALS | F_SEAL_WRITE), -EPERM);
	refuse(memfd_of(bytes - 4096, 0, SEALS), -ERANGE);
	refuse(memfd_of(bytes + 4096, 0, SEALS), -ERANGE);
	fd = memfd_create("huge", MFD_HUGETLB | MFD_ALLOW_SEALING);
	if (fd >= 0)
		refuse(fd, -EOPNOTSUPP);
	fd = mkstemp(plain);
	unlink(plain);
	assert_true(sl_segment_data_check(fd, &geometry, NULL) < 0);
	close(fd);
	fd = open("/proc/self/status", O_RDONLY);
	refuse(fd, -EINVAL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	refuse(pair[0], -EINVAL);
	close(pair[1]);
	fd = open("/dev/shm/sluice-test", O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd >= 0) {
		unlink("/dev/shm/sluice-test");
		assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
		refuse(fd, -EPERM);
	}
}

static void test_own_segments(void **state)
{
	int read_only, again, data, status;
	void *base;

	(void)state;
	data = sl_segment_data_create(&geometry, &ident, NULL);
	assert_int_equal(sl_segment_data_check(data, &geometry, NULL), 0);
	assert_int_equal(ftruncate(data, 0), -1);
	status = sl_segment_status_create(&geometry, &ident, &read_only, NULL);
	assert_int_equal(sl_segment_status_check(read_only, &geometry, NULL), 0);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0),
			 MAP_FAILED);
	assert_int_equal(sl_segment_status_reopen(read_only, &geometry, &again, NULL), 0);
	assert_int_equal(
		sl_segment_map(again, sl_segment_status_bytes(&geometry), true, &base, NULL), 0);
	assert_true(sl_segment_same(again, status) && !sl_segment_same(again, data));
	assert_int_equal(fchmod(status, 0644), 0);
	assert_int_equal(sl_segment_status_reopen(read_only, &geometry, &again, NULL), -EACCES);
	sl_segment_unmap(base, sl_segment_status_bytes(&geometry));
	close(data);
	close(status);
	close(read_only);
}

static void test_alive(void **state)
{
	int fd = sl_segment_data_create(&geometry, &ident, NULL);
	int ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		sl_segment_alive_lock(fd, NULL);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(sl_segment_alive(fd), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(sl_segment_alive(fd), 0);
	close(fd);
}

static void test_handshake_refusals(void **state)
{
	union sl_hs_message msg;
	int pair[2], fds[SL_HS_FDS_MAX], before, after;

	(void)state;
	sl_handshake_init(&msg, SL_HS_TOPIC);
	strcpy(msg.topic.name, "a/b");
	assert_int_equal(sl_handshake_check(&msg, msg.head.bytes, 0, SL_HS_FROM_APP, NULL),
			 -EPROTO);
	strcpy(msg.topic.name, "a-b");
	assert_int_equal(sl_handshake_check(&msg, msg.head.bytes, 0, SL_HS_FROM_APP, NULL), 0);
	assert_int_equal(sl_handshake_check(&msg, msg.head.bytes, 1, SL_HS_FROM_APP, NULL),
			 -EPROTO);
	assert_int_equal(sl_handshake_check(&msg, msg.head.bytes, 0, SL_HS_FROM_AGENT, NULL),
			 -EPROTO);
	assert_int_equal(sl_handshake_check(&msg, msg.head.bytes - 1u, 0, SL_HS_FROM_APP, NULL),
			 -EPROTO);
	memset(msg.topic.name, 'a', sizeof(msg.topic.name));
	assert_int_equal(sl_handshake_check(&msg, msg.head.bytes, 0, SL_HS_FROM_APP, NULL),
			 -EPROTO);
	/* Descriptors of a message that is refused do not stay open. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	sl_handshake_init(&msg, SL_HS_WAKE);
	msg.ring.zero = 1;
	before = dup(0);
	close(before);
	assert_int_equal(sl_handshake_send(pair[0], &msg, &pair[0], NULL), 0);
	assert_int_equal(sl_handshake_recv(pair[1], SL_HS_FROM_APP, &msg, fds, NULL), -EPROTO);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	close(pair[0]);
	assert_int_equal(sl_handshake_recv(pair[1], SL_HS_FROM_APP, &msg, fds, NULL), -EPIPE);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_descriptors),
		cmocka_unit_test(test_own_segments),
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_handshake_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
