/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what an agent gave to a keeper process outlives the agent, nothing else does, and nobody
 * can talk a keeper out of it.
 * Method: real processes, killed with -9; each case has a folder and a keeper of its own, which is
 * gone at its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/keeper_protocol.h"
#include "agent/runtime_dir.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/segment.h"
#include "tests/unit/agent/keeper_files.h"

enum { IDLE_MS = 200, WAIT_MS = 5000 };

static char base[64];
static char private_path[80];
static struct sl_keeper_options options;

static int setup(void **state)
{
	snprintf(base, sizeof(base), "%s/sl-keeper-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	assert_non_null(mkdtemp(base));
	snprintf(private_path, sizeof(private_path), "%s/private", base);
	assert_int_equal(mkdir(private_path, 0700), 0);
	options = (struct sl_keeper_options){.private_path = private_path, .idle_ms = IDLE_MS};
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	/* A keeper whose socket is gone ends: no case leaves one behind, however it failed. */
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static struct sl_keeper *keeper_open(void)
{
	struct sl_keeper *keeper = sl_keeper_process(&options);

	assert_non_null(keeper);
	if (strcmp(keeper->ops->name, "process") != 0)
		fail_msg("no process: %s", keeper->reason);
	return keeper;
}

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	assert_true(fd >= 0);
	return fd;
}

/* Does the process behind it end within this time? */
static int ends_within(int pidfd, int ms)
{
	struct pollfd polled = {.fd = pidfd, .events = POLLIN};

	return poll(&polled, 1, ms) == 1;
}

/* Says goodbye and sees the process go. */
static void keeper_end(struct sl_keeper *keeper)
{
	int pidfd = pidfd_of(keeper->pid);

	assert_false(keeper->lost);
	assert_int_equal(keeper->held, 0);
	keeper->ops->goodbye(keeper);
	keeper->ops->destroy(keeper);
	assert_true(ends_within(pidfd, WAIT_MS));
	close(pidfd);
}

static void drop_all(struct sl_keeper *keeper)
{
	static struct sl_keeper_kept kept[SL_KEEPER_ENTRIES_MAX];
	int count = keeper->ops->list(keeper, kept, SL_KEEPER_ENTRIES_MAX);

	assert_true(count >= 0);
	for (int i = 0; i < count; i++) {
		files_close(kept[i].fds);
		keeper->ops->drop(keeper, kept[i].id);
	}
}

/* ---- an agent that dies ---- */

static int listener_make(struct sl_keeper_listener *out)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat st;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/agent.sock", base);
	out->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(out->fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(out->fd, 8) < 0 ||
	    lstat(at.sun_path, &st) < 0)
		return -1;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 0;
}

/* An agent with three segments and a socket, until it is killed. */
static pid_t agent_begin(int *told)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct sl_keeper_listener listener;
		struct sl_keeper *keeper = sl_keeper_process(&options);
		char good = keeper && listener_make(&listener) == 0 &&
			    keeper->ops->listener_put(keeper, &listener) == 0;

		for (uint64_t id = 1; id <= 3; id++)
			good = good && files_keep(keeper, id << 60) == 0;
		if (write(ends[1], &good, 1) == 1)
			pause();
		_exit(1);
	}
	close(ends[1]);
	*told = ends[0];
	return pid;
}

static void agent_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int agent_sock_connect(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/agent.sock", base);
	assert_int_equal(connect(sock, (const struct sockaddr *)&at, sizeof(at)), 0);
	return sock;
}

static void test_outlives_the_agent(void **state)
{
	struct sl_keeper_kept kept[8];
	struct sl_keeper_listener listener;
	struct sl_keeper *keeper;
	char good = 0, word = 0;
	int told, waiting, served;
	pid_t agent = agent_begin(&told);

	assert_int_equal(read(told, &good, 1), 1);
	close(told);
	assert_true(good);
	agent_kill(agent);
	waiting = agent_sock_connect(); /* nobody is there, and it is not refused */
	assert_int_equal(send(waiting, "?", 1, 0), 1);
	keeper = keeper_open();
	assert_int_equal(keeper->held, 3);
	assert_int_equal(keeper->ops->listener_get(keeper, &listener), 0);
	served = accept(listener.fd, NULL, NULL);
	assert_int_equal(recv(served, &word, 1, 0), 1);
	assert_int_equal(word, '?');
	assert_int_equal(keeper->ops->list(keeper, kept, 2), 2); /* no more than asked for */
	files_close(kept[0].fds);
	files_close(kept[1].fds);
	assert_int_equal(keeper->ops->list(keeper, kept, 8), 3); /* what was listed stays */
	for (int i = 0; i < 3; i++) {
		assert_true(files_are(kept[i].id, kept[i].fds));
		files_close(kept[i].fds);
		keeper->ops->drop(keeper, kept[i].id);
	}
	assert_int_equal(keeper->ops->list(keeper, kept, 8), 0);
	close(served);
	close(waiting);
	close(listener.fd);
	keeper_end(keeper);
}

/* ---- its end ---- */

static void test_ends_when_idle(void **state)
{
	struct sl_keeper_listener listener;
	struct sl_keeper *keeper = keeper_open();
	int pidfd = pidfd_of(keeper->pid);

	assert_int_equal(listener_make(&listener), 0);
	assert_int_equal(keeper->ops->listener_put(keeper, &listener), 0);
	close(listener.fd);
	assert_false(ends_within(pidfd, 3 * IDLE_MS)); /* somebody is connected */
	keeper->ops->destroy(keeper);
	assert_false(ends_within(pidfd, IDLE_MS / 2));
	assert_true(ends_within(pidfd, WAIT_MS));
	close(pidfd);
}

static void test_stays_while_it_holds(void **state)
{
	char name[128];
	struct sl_keeper *keeper = keeper_open();
	int pidfd = pidfd_of(keeper->pid);

	assert_int_equal(files_keep(keeper, 1), 0);
	keeper->ops->goodbye(keeper);
	keeper->ops->destroy(keeper);
	assert_false(ends_within(pidfd, 4 * IDLE_MS));
	/* Nobody can ever ask for it any more. */
	snprintf(name, sizeof(name), "%s/keeper.sock", private_path);
	assert_int_equal(unlink(name), 0);
	assert_true(ends_within(pidfd, WAIT_MS));
	close(pidfd);
}

static void test_dead_keeper_is_replaced(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper *next;
	pid_t pid = keeper->pid;
	int pidfd = pidfd_of(pid);

	assert_int_equal(files_keep(keeper, 1), 0);
	assert_int_equal(kill(pid, SIGTERM), 0); /* which ends it, as any other process */
	assert_true(ends_within(pidfd, WAIT_MS));
	close(pidfd);
	assert_true(files_keep(keeper, 2) < 0);
	assert_true(keeper->lost);
	assert_int_equal(files_keep(keeper, 2), -EPIPE);
	keeper->ops->destroy(keeper);
	next = keeper_open();
	assert_int_not_equal(next->pid, pid);
	keeper_end(next);
}

static void test_stopped_keeper_is_given_up(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper *other;
	uint64_t begin_ns = sl_clock_monotonic_ns();
	int pidfd = pidfd_of(keeper->pid);

	assert_int_equal(kill(keeper->pid, SIGSTOP), 0);
	assert_int_equal(files_keep(keeper, 1), -ETIMEDOUT);
	assert_in_range(sl_clock_monotonic_ns() - begin_ns, SL_NS_PER_S, 3 * SL_NS_PER_S);
	begin_ns = sl_clock_monotonic_ns();
	assert_int_equal(files_keep(keeper, 1), -EPIPE);
	assert_in_range(sl_clock_monotonic_ns() - begin_ns, 0, SL_NS_PER_S / 2);
	other = sl_keeper_process(&options); /* an agent that starts now */
	assert_string_equal(other->ops->name, "none");
	assert_non_null(strstr(other->reason, "does not answer"));
	other->ops->destroy(other);
	assert_int_equal(kill(keeper->pid, SIGKILL), 0);
	keeper->ops->destroy(keeper);
	assert_true(ends_within(pidfd, WAIT_MS));
	close(pidfd);
}

/* ---- what it is ---- */

/* With two for the folder itself; 0: only its owner or root may look. */
static uint32_t descriptors_of(pid_t pid)
{
	char path[64];
	uint32_t count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	folder = opendir(path);
	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

static void test_process_is_small(void **state)
{
	int inherited = open("/dev/null", O_RDONLY); /* not close-on-exec, which is no exec */
	struct sl_keeper *keeper = keeper_open();
	char path[64], line[128], word[64] = "";
	long threads = 0, new_privileges = 0, filter = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", keeper->pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "Name: %63s", word);
		sscanf(line, "Threads: %ld", &threads);
		sscanf(line, "NoNewPrivs: %ld", &new_privileges);
		sscanf(line, "Seccomp: %ld", &filter);
	}
	fclose(file);
	assert_string_equal(word, "sluice-keeper");
	assert_int_not_equal(getsid(keeper->pid), getsid(0));
	/* Three of /dev/null, its socket, its folder, and us. */
	if (descriptors_of(keeper->pid))
		assert_int_equal(descriptors_of(keeper->pid), 6 + 2);
	close(inherited);
	/* Sanitizers need more system calls than the filter has; then it says so. */
	assert_int_equal(filter, keeper->reason[0] ? 0 : SECCOMP_MODE_FILTER);
	assert_int_equal(new_privileges, keeper->reason[0] ? 0 : 1);
	assert_true(threads == 1 || keeper->reason[0]);
	keeper_end(keeper);
}

/* ---- limits ---- */

static void test_full(void **state)
{
	struct rlimit limit;
	struct sl_keeper *keeper;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < 2 * SL_KEEPER_ENTRIES_MAX + 64)
		skip();
	keeper = keeper_open();
	for (uint64_t id = 0; id < SL_KEEPER_ENTRIES_MAX; id++)
		assert_int_equal(files_keep(keeper, id), 0);
	assert_int_equal(files_keep(keeper, SL_KEEPER_ENTRIES_MAX), -ENOSPC);
	assert_int_equal(files_keep(keeper, 5), 0); /* which it has already */
	assert_int_equal(keeper->held, SL_KEEPER_ENTRIES_MAX);
	assert_false(keeper->lost);
	for (uint64_t id = 0; id < SL_KEEPER_ENTRIES_MAX; id++)
		keeper->ops->drop(keeper, id);
	keeper_end(keeper);
}

static void test_no_descriptors_left(void **state)
{
	struct rlimit limit, low;
	struct sl_keeper *keeper;
	uint64_t id = 0;
	int rc;

	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = low.rlim_max = 48; /* only the keeper's */
	keeper = keeper_open();
	if (prlimit(keeper->pid, RLIMIT_NOFILE, &low, NULL) < 0) {
		keeper_end(keeper);
		skip();
	}
	while ((rc = files_keep(keeper, id)) == 0)
		id++;
	assert_int_equal(rc, -EMFILE);
	assert_in_range(id, 15, 24);
	assert_int_equal(keeper->held, id);
	keeper->ops->drop(keeper, 0);
	assert_int_equal(files_keep(keeper, 1000), 0);
	drop_all(keeper);
	keeper_end(keeper);
}

static void test_cost(void **state)
{
	enum { ROUNDS = 2000 };
	struct sl_keeper *keeper = keeper_open();
	int fds[SL_KEEPER_FDS];
	uint64_t begin_ns;

	assert_int_equal(files_make(1, fds), 0);
	begin_ns = sl_clock_monotonic_ns();
	for (uint64_t i = 0; i < ROUNDS; i++)
		assert_int_equal(keeper->ops->keep(keeper, 1, fds), 0);
	print_message("keep(): %.1f us\n",
		      (double)(sl_clock_monotonic_ns() - begin_ns) / ROUNDS / 1000);
	keeper->ops->drop(keeper, 1);
	files_close(fds);
	keeper_end(keeper);
}

/* ---- peers that lie ---- */

static int raw_connect(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/keeper.sock", private_path);
	assert_int_equal(connect(sock, (const struct sockaddr *)&at, sizeof(at)), 0);
	return sock;
}

/* The keeper's answer; its result, or -EPIPE when it hung up. */
static int raw_answer(int sock, struct sl_keeper_packet *answer)
{
	struct pollfd polled = {.fd = sock, .events = POLLIN};
	int rc;

	assert_int_equal(poll(&polled, 1, WAIT_MS), 1);
	rc = sl_keeper_packet_recv(sock, answer);
	if (rc == -ECONNRESET)
		return -EPIPE;
	if (rc == 0)
		sl_keeper_packet_close(answer);
	return rc < 0 ? rc : answer->msg.result;
}

static int raw_ask(int sock, struct sl_keeper_packet *packet)
{
	struct sl_keeper_packet answer;
	int rc = sl_keeper_packet_send(sock, packet);

	return rc < 0 ? rc : raw_answer(sock, &answer);
}

static int raw_hello(void)
{
	struct sl_keeper_packet hello;
	int sock = raw_connect();

	sl_keeper_packet_init(&hello, SL_KEEPER_HELLO);
	hello.msg.a = IDLE_MS;
	assert_int_equal(raw_ask(sock, &hello), 0);
	return sock;
}

static void test_same_id_is_replaced(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	uint32_t before;

	assert_int_equal(files_keep(keeper, 7), 0);
	before = descriptors_of(keeper->pid);
	assert_int_equal(files_keep(keeper, 7), 0);
	assert_int_equal(keeper->held, 1);
	assert_int_equal(descriptors_of(keeper->pid), before);
	keeper->ops->drop(keeper, 8); /* not held: no error */
	assert_int_equal(keeper->held, 1);
	keeper->ops->drop(keeper, 7);
	keeper_end(keeper);
}

/* One message on a connection of its own, with so many descriptors. */
static int lie(bool hello, struct sl_keeper_packet *packet, const int *fds, uint32_t count)
{
	int sock = hello ? raw_hello() : raw_connect();
	int rc;

	memcpy(packet->fds, fds, count * sizeof(*fds));
	packet->fd_count = count;
	rc = raw_ask(sock, packet);
	close(sock);
	return rc;
}

static void lies_tell(const int files[SL_KEEPER_FDS], int sock)
{
	struct sl_keeper_packet packet;
	const int sockets[SL_KEEPER_FDS] = {sock, sock};

	sl_keeper_packet_init(&packet, SL_KEEPER_KEEP);
	assert_int_equal(lie(false, &packet, files, 2), -EPIPE); /* before HELLO */
	assert_int_equal(lie(true, &packet, files, 0), -EPIPE);
	assert_int_equal(lie(true, &packet, files, 1), -EPIPE);
	assert_int_equal(lie(true, &packet, sockets, 2), -EBADF);
	sl_keeper_packet_init(&packet, SL_KEEPER_LISTENER_PUT);
	assert_int_equal(lie(true, &packet, files, 1), -EBADF);
	assert_int_equal(lie(true, &packet, sockets, 1), -EBADF); /* it does not listen */
	sl_keeper_packet_init(&packet, SL_KEEPER_LIST);
	packet.msg.a = UINT64_MAX;
	assert_int_equal(lie(true, &packet, files, 0), -ENOENT);
	assert_int_equal(lie(true, &packet, files, 1), -EPIPE); /* a descriptor too many */
	for (uint32_t kind = SL_KEEPER_KIND_END; kind < SL_KEEPER_KIND_END + 3; kind++) {
		sl_keeper_packet_init(&packet, (enum sl_keeper_kind)kind);
		assert_int_equal(lie(true, &packet, files, 0), -EPIPE);
	}
	sl_keeper_packet_init(&packet, SL_KEEPER_DROP);
	packet.msg.version++;
	assert_int_equal(lie(true, &packet, files, 0), -EPIPE);
	sl_keeper_packet_init(&packet, SL_KEEPER_DROP);
	packet.msg.magic++;
	assert_int_equal(lie(true, &packet, files, 0), -EPIPE);
}

/* Sizes from nothing to far too much, bytes at random. */
static void noise_send(void)
{
	uint64_t random = 88172645463325252u;
	uint8_t bytes[512];

	for (int i = 0; i < 500; i++) {
		struct sl_keeper_packet answer;
		int sock = i % 2 ? raw_hello() : raw_connect();
		size_t count = sl_random_next(&random) % sizeof(bytes);

		for (size_t j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)sl_random_next(&random);
		if (send(sock, bytes, count, MSG_NOSIGNAL) >= 0 && count)
			assert_int_equal(raw_answer(sock, &answer), -EPIPE);
		close(sock);
	}
}

static void test_hostile(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper_kept kept[2];
	uint32_t before;
	int fds[SL_KEEPER_FDS], pair[2];

	assert_int_equal(files_keep(keeper, 42), 0);
	assert_int_equal(files_make(1, fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = descriptors_of(keeper->pid);
	lies_tell(fds, pair[0]);
	noise_send();
	assert_int_equal(keeper->ops->list(keeper, kept, 2), 1);
	assert_true(files_are(42, kept[0].fds));
	files_close(kept[0].fds);
	assert_int_equal(descriptors_of(keeper->pid), before);
	files_close(fds);
	close(pair[0]);
	close(pair[1]);
	keeper->ops->drop(keeper, 42);
	keeper_end(keeper);
}

/* Whoever says nothing holds a place for a second; who comes when all are taken is sent away. */
static void test_silent_peers(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper_packet answer;
	int socks[SL_KEEPER_CONNS_MAX];

	for (int i = 0; i < SL_KEEPER_CONNS_MAX; i++)
		socks[i] = raw_connect();
	for (int i = SL_KEEPER_CONNS_MAX - 1; i >= 0; i--) {
		assert_int_equal(raw_answer(socks[i], &answer), -EPIPE);
		close(socks[i]);
	}
	close(raw_hello());
	keeper_end(keeper);
}

static void test_other_user(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	char name[128];
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		keeper_end(keeper);
		skip();
	}
	/* As if the folder's modes were no obstacle. */
	snprintf(name, sizeof(name), "%s/keeper.sock", private_path);
	assert_int_equal(chmod(base, 0755) | chmod(private_path, 0755) | chmod(name, 0666), 0);
	pid = fork();
	if (pid == 0) {
		struct sl_keeper_packet hello;
		int sock;

		if (setuid(65534) < 0)
			_exit(2);
		sock = raw_connect();
		sl_keeper_packet_init(&hello, SL_KEEPER_HELLO);
		_exit(raw_ask(sock, &hello) == -EPIPE ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	keeper_end(keeper);
}

/* ---- other versions ---- */

static void test_agent_of_another_version(void **state)
{
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper_packet hello, answer;
	int sock = raw_connect();

	assert_int_equal(files_keep(keeper, 1), 0);
	sl_keeper_packet_init(&hello, SL_KEEPER_HELLO);
	hello.msg.version = 99;
	assert_int_equal(sl_keeper_packet_send(sock, &hello), 0);
	assert_int_equal(raw_answer(sock, &answer), -EPROTONOSUPPORT);
	assert_int_equal(answer.msg.version, SL_KEEPER_VERSION);
	assert_int_equal(answer.msg.a, 1);
	assert_string_equal(answer.msg.build, SL_VERSION);
	close(sock);
	keeper->ops->drop(keeper, 1);
	keeper_end(keeper);
}

/* A keeper of version 7 that holds 12 segments. */
static pid_t old_keeper_begin(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	pid_t pid;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/keeper.sock", private_path);
	assert_int_equal(bind(sock, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(sock, 4), 0);
	pid = fork();
	while (pid == 0) {
		int peer = accept(sock, NULL, NULL);
		struct pollfd polled = {.fd = peer, .events = POLLIN};
		struct sl_keeper_packet packet;

		poll(&polled, 1, WAIT_MS);
		sl_keeper_packet_recv(peer, &packet);
		packet.msg.version = 7;
		packet.msg.result = -EPROTONOSUPPORT;
		packet.msg.a = 12;
		snprintf(packet.msg.build, sizeof(packet.msg.build), "9.8.7");
		sl_keeper_packet_send(peer, &packet);
		close(peer);
	}
	close(sock);
	return pid;
}

static void test_keeper_of_another_version(void **state)
{
	pid_t old = old_keeper_begin();
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper *again;
	char name[128];
	pid_t pid = keeper->pid;

	assert_non_null(strstr(keeper->reason, "build 9.8.7"));
	assert_non_null(strstr(keeper->reason, "12 segments"));
	snprintf(name, sizeof(name), "%s/keeper-%d.sock", private_path, SL_KEEPER_VERSION);
	assert_int_equal(access(name, F_OK), 0);
	assert_int_equal(files_keep(keeper, 1), 0);
	keeper->ops->destroy(keeper);
	again = keeper_open(); /* the next agent comes to the same one */
	assert_int_equal(again->pid, pid);
	assert_int_equal(again->held, 1);
	again->ops->drop(again, 1);
	agent_kill(old);
	keeper_end(again);
}

/* ---- around it ---- */

/* A folder whose name leaves no room for the socket's in an address. */
static void test_long_folder(void **state)
{
	char longer[200];
	struct sl_keeper *keeper;

	snprintf(longer, sizeof(longer), "%s/%080d", private_path, 0);
	assert_int_equal(mkdir(longer, 0700), 0);
	options.private_path = longer;
	keeper = keeper_open();
	assert_int_equal(files_keep(keeper, 1), 0);
	keeper->ops->drop(keeper, 1);
	keeper_end(keeper);
}

static void test_first_process_of_a_container(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		pid_t first;

		if (unshare(CLONE_NEWPID) < 0)
			_exit(77);
		first = fork();
		if (first == 0) {
			struct sl_keeper *keeper = sl_keeper_open(&options);

			_exit(strcmp(keeper->ops->name, "none") != 0 ||
			      !strstr(keeper->reason, "pid 1"));
		}
		waitpid(first, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* The application's child lives on; the lock on the kept D says that the application does not. */
static void test_dead_application_with_a_child(void **state)
{
	static const struct sl_segment_geometry geometry = {1 << 16, 1, 64};
	struct sl_keeper *keeper = keeper_open();
	struct sl_keeper_kept kept;
	struct sl_segment_ident ident = {0};
	int fds[SL_KEEPER_FDS], ends[2];
	pid_t application, child = 0;

	fds[0] = fds[1] = sl_segment_data_create(&geometry, &ident, NULL);
	assert_true(fds[0] >= 0);
	assert_int_equal(keeper->ops->keep(keeper, 1, fds), 0);
	assert_int_equal(pipe(ends), 0);
	application = fork();
	if (application == 0) {
		sl_segment_alive_lock(fds[0], NULL);
		child = fork();
		if (child != 0 && write(ends[1], &child, sizeof(child)) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &child, sizeof(child)), sizeof(child));
	close(fds[0]);
	assert_int_equal(keeper->ops->list(keeper, &kept, 1), 1);
	assert_int_equal(sl_segment_alive(kept.fds[0]), 1);
	agent_kill(application);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(sl_segment_alive(kept.fds[0]), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	files_close(kept.fds);
	close(ends[0]);
	close(ends[1]);
	keeper->ops->drop(keeper, 1);
	keeper_end(keeper);
}

static void test_none(void **state)
{
	struct sl_keeper *keeper = sl_keeper_none("for a test");
	struct sl_keeper_listener listener;
	struct sl_keeper_kept kept;

	assert_int_equal(files_keep(keeper, 1), 0);
	assert_int_equal(keeper->held, 0);
	assert_int_equal(keeper->ops->list(keeper, &kept, 1), 0);
	assert_int_equal(keeper->ops->listener_get(keeper, &listener), -ENOENT);
	assert_string_equal(keeper->reason, "for a test");
	keeper->ops->destroy(keeper);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_outlives_the_agent),
		CASE(test_same_id_is_replaced),
		CASE(test_ends_when_idle),
		CASE(test_stays_while_it_holds),
		CASE(test_dead_keeper_is_replaced),
		CASE(test_stopped_keeper_is_given_up),
		CASE(test_process_is_small),
		CASE(test_full),
		CASE(test_no_descriptors_left),
		CASE(test_cost),
		CASE(test_hostile),
		CASE(test_silent_peers),
		CASE(test_other_user),
		CASE(test_agent_of_another_version),
		CASE(test_keeper_of_another_version),
		CASE(test_long_folder),
		CASE(test_first_process_of_a_container),
		CASE(test_dead_application_with_a_child),
		CASE(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
