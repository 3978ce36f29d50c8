/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: segments are in systemd's store before keep() returns, and the next agent gets them.
 * Method: a manager of our own that does with each datagram what sd_notify(3) says: stores
 * descriptors by name, removes them, closes barriers in their turn, and hands all of it to the next
 * process as descriptors from 3 on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "dataplane/base/clock.h"
#include "tests/unit/agent/keeper_files.h"

enum { STORED_MAX = 32, FD_ASIDE = 100 };

struct manager {
	char path[80];
	int sock;
	pthread_t thread;
	atomic_bool stop;
	struct {
		char name[256];
		int fd;
	} stored[STORED_MAX];
	uint32_t count;
	uint32_t bad; /* messages that the protocol does not know */
};

static struct manager manager;

static int remove_named(const char *name)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < manager.count; i++) {
		if (strcmp(manager.stored[i].name, name) == 0)
			close(manager.stored[i].fd);
		else
			manager.stored[kept++] = manager.stored[i];
	}
	manager.count = kept;
	return 0;
}

/* One datagram: assignments by line, at most one descriptor. It is the manager's. */
static void message_do(char *text, int fd)
{
	bool store = false, forget = false, barrier = false, poll_off = false;
	char name[256] = "stored";
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n"));) {
		store |= strcmp(line, "FDSTORE=1") == 0;
		forget |= strcmp(line, "FDSTOREREMOVE=1") == 0;
		barrier |= strcmp(line, "BARRIER=1") == 0;
		poll_off |= strcmp(line, "FDPOLL=0") == 0;
		if (strncmp(line, "FDNAME=", 7) == 0)
			snprintf(name, sizeof(name), "%s", line + 7);
	}
	if (forget && fd < 0)
		remove_named(name);
	if (store && poll_off && fd >= 0 && !strchr(name, ':') && manager.count < STORED_MAX) {
		snprintf(manager.stored[manager.count].name, sizeof(name), "%s", name);
		manager.stored[manager.count++].fd = fd;
		return;
	}
	/* A barrier has nothing beside it and exactly one descriptor. */
	manager.bad += !(forget && fd < 0) && !(barrier && fd >= 0 && !store);
	if (fd >= 0)
		close(fd);
}

static void message_take(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control;
	char text[512];
	struct iovec part = {text, sizeof(text) - 1};
	struct msghdr head = {.msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(manager.sock, &head, MSG_CMSG_CLOEXEC);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&head);
	int fd = -1;

	if (got <= 0)
		return;
	text[got] = 0;
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	message_do(text, fd);
}

static void *manager_run(void *arg)
{
	struct pollfd polled = {.fd = manager.sock, .events = POLLIN};

	while (!atomic_load(&manager.stop))
		if (poll(&polled, 1, 20) == 1)
			message_take();
	return NULL;
}

static void manager_start(void)
{
	atomic_store(&manager.stop, false);
	assert_int_equal(pthread_create(&manager.thread, NULL, manager_run, NULL), 0);
}

/* From here on it does not read, and what it stored may be looked at. */
static void manager_stop(void)
{
	atomic_store(&manager.stop, true);
	assert_int_equal(pthread_join(manager.thread, NULL), 0);
}

static int setup(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	memset(&manager, 0, sizeof(manager));
	snprintf(manager.path, sizeof(manager.path), "%s/sl-notify-%d",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir, getpid());
	unlink(manager.path);
	manager.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(at.sun_path, manager.path, strlen(manager.path) + 1);
	assert_int_equal(bind(manager.sock, (const struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", manager.path, 1);
	setenv("FDSTORE", "8", 1);
	unsetenv("LISTEN_FDS");
	manager_start();
	return 0;
}

static int teardown(void **state)
{
	for (uint32_t i = 0; i < manager.count; i++)
		close(manager.stored[i].fd);
	close(manager.sock);
	unlink(manager.path);
	return 0;
}

static bool is_stored(const char *name)
{
	for (uint32_t i = 0; i < manager.count; i++)
		if (strcmp(manager.stored[i].name, name) == 0)
			return true;
	return false;
}

static void test_choice(void **state)
{
	struct sl_keeper *keeper;

	assert_int_equal(sl_keeper_systemd_room(), 8);
	keeper = sl_keeper_open(&(struct sl_keeper_options){.private_path = "/nowhere"});
	assert_string_equal(keeper->ops->name, "systemd");
	keeper->ops->destroy(keeper);
	setenv("FDSTORE", "0", 1);
	assert_int_equal(sl_keeper_systemd_room(), 0);
	setenv("FDSTORE", "many", 1);
	assert_int_equal(sl_keeper_systemd_room(), 0);
	unsetenv("FDSTORE");
	assert_int_equal(sl_keeper_systemd_room(), 0);
	setenv("FDSTORE", "8", 1);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(sl_keeper_systemd_room(), 0);
	manager_stop();
}

static void test_keep_and_drop(void **state)
{
	struct sl_keeper *keeper = sl_keeper_systemd();

	assert_int_equal(files_keep(keeper, 0xabc), 0);
	assert_int_equal(files_keep(keeper, UINT64_MAX), 0);
	/* The barrier is behind them, so they are there already. */
	manager_stop();
	assert_int_equal(manager.count, 4);
	assert_true(is_stored("D-0000000000000abc") && is_stored("S-0000000000000abc"));
	assert_true(is_stored("D-ffffffffffffffff") && is_stored("S-ffffffffffffffff"));
	assert_int_equal(keeper->held, 2);
	manager_start();
	keeper->ops->drop(keeper, 0xabc);
	manager_stop();
	assert_int_equal(manager.count, 2);
	assert_int_equal(keeper->held, 1);
	assert_int_equal(manager.bad, 0);
	keeper->ops->destroy(keeper);
}

/* The store drops what is too much without a word: so it is counted here. */
static void test_full(void **state)
{
	struct sl_keeper *keeper = sl_keeper_systemd();

	for (uint64_t id = 0; id < 4; id++)
		assert_int_equal(files_keep(keeper, id), 0);
	assert_int_equal(files_keep(keeper, 4), -ENOSPC);
	assert_false(keeper->lost);
	keeper->ops->drop(keeper, 0);
	assert_int_equal(files_keep(keeper, 4), 0);
	manager_stop();
	assert_int_equal(manager.count, 8);
	keeper->ops->destroy(keeper);
}

static void test_manager_that_does_not_read(void **state)
{
	struct sl_keeper *keeper = sl_keeper_systemd();
	uint64_t begin_ns = sl_clock_monotonic_ns();

	manager_stop();
	assert_int_equal(files_keep(keeper, 1), -ETIMEDOUT);
	assert_in_range(sl_clock_monotonic_ns() - begin_ns, SL_NS_PER_S / 2, 4 * SL_NS_PER_S);
	assert_true(keeper->lost);
	assert_int_equal(files_keep(keeper, 1), -EPIPE);
	assert_int_equal(keeper->held, 0);
	keeper->ops->destroy(keeper);
}

/* What systemd does before exec(): all that is stored lies from 3 on, named in the environment. */
static void descriptors_hand_over(void)
{
	char names[STORED_MAX * 64] = "", number[16];

	for (uint32_t i = 0; i < manager.count; i++)
		if (fcntl(manager.stored[i].fd, F_DUPFD, FD_ASIDE + (int)i) != FD_ASIDE + (int)i)
			_exit(90);
	for (uint32_t i = 0; i < manager.count; i++) {
		dup2(FD_ASIDE + (int)i, 3 + (int)i);
		strcat(strcat(names, i ? ":" : ""), manager.stored[i].name);
	}
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%u", manager.count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static int next_agent(const struct sl_keeper_listener *expected)
{
	struct sl_keeper_listener listener;
	struct sl_keeper_kept kept[8];
	struct sl_keeper *keeper;
	struct stat st;
	int count;

	descriptors_hand_over();
	keeper = sl_keeper_systemd();
	if (keeper->held != 2 || getenv("LISTEN_FDS"))
		return 1;
	count = keeper->ops->list(keeper, kept, 8);
	if (count != 2)
		return 2;
	for (int i = 0; i < count; i++)
		if (!files_are(kept[i].id, kept[i].fds) ||
		    fcntl(kept[i].fds[0], F_GETFD) != FD_CLOEXEC)
			return 3;
	if (keeper->ops->listener_get(keeper, &listener) != 0 || listener.dev != expected->dev ||
	    listener.ino != expected->ino || fstat(listener.fd, &st) != 0 || !S_ISSOCK(st.st_mode))
		return 4;
	for (int i = 0; i < count; i++)
		keeper->ops->drop(keeper, kept[i].id);
	keeper->ops->goodbye(keeper);
	return keeper->lost || keeper->held != 0 ? 5 : 0;
}

static void test_next_agent(void **state)
{
	struct sl_keeper *keeper = sl_keeper_systemd();
	struct sl_keeper_listener listener = {
		.fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), .dev = 12, .ino = UINT64_MAX - 1};
	int fds[SL_KEEPER_FDS], status;
	pid_t pid;

	assert_int_equal(files_keep(keeper, 1), 0);
	assert_int_equal(files_keep(keeper, UINT64_MAX), 0);
	assert_int_equal(keeper->ops->listener_put(keeper, &listener), 0);
	manager_stop();
	/* Half a segment, of an agent that died between the two; and things that are not ours. */
	assert_int_equal(files_make(7, fds), 0);
	manager.stored[manager.count].fd = fds[0];
	strcpy(manager.stored[manager.count++].name, "D-0000000000000007");
	manager.stored[manager.count].fd = fds[1];
	strcpy(manager.stored[manager.count++].name, "D-00000000000000zz");
	keeper->ops->destroy(keeper);
	pid = fork();
	if (pid == 0)
		_exit(next_agent(&listener));
	manager_start();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Whatever it sent is read before this. */
	usleep(100000);
	manager_stop();
	assert_int_equal(manager.count, 1);
	assert_true(is_stored("D-00000000000000zz"));
	assert_int_equal(manager.bad, 0);
	close(listener.fd);
}

/* Somebody else's LISTEN_FDS, inherited by mistake. */
static void test_descriptors_of_another(void **state)
{
	struct sl_keeper *keeper;
	struct sl_keeper_kept kept;

	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "D-0000000000000001:S-0000000000000001", 1);
	keeper = sl_keeper_systemd();
	assert_int_equal(keeper->held, 0);
	assert_int_equal(keeper->ops->list(keeper, &kept, 1), 0);
	keeper->ops->destroy(keeper);
	manager_stop();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_choice),     CASE(test_keep_and_drop),
		CASE(test_full),       CASE(test_manager_that_does_not_read),
		CASE(test_next_agent), CASE(test_descriptors_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
