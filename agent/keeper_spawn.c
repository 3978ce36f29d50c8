/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the keeper process: everything between the agent's fork and the loop of keeper_serve.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keeper_protocol.h"

/* Short enough for the kernel's 15 bytes, and not found by whoever looks for sluiced. */
#define PROCESS_NAME "sluice-keeper"

/* Where the process has its descriptors; 0 to 2 are /dev/null, as some library may write there. */
enum { FD_LISTEN = 3, FD_DIR, FD_READY, FD_OURS_END, FD_ASIDE = 64 };

static void name_set(char *title, size_t title_bytes)
{
	prctl(PR_SET_NAME, PROCESS_NAME, 0, 0, 0);
	if (title && title_bytes > sizeof(PROCESS_NAME)) {
		memset(title, 0, title_bytes);
		memcpy(title, PROCESS_NAME, sizeof(PROCESS_NAME));
	}
}

/* TERM ends it; what a terminal or a lost peer would send does not. */
static void signals_set(void)
{
	sigset_t none;

	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First out of the way, so that no one of them is overwritten while they are put in order. */
static int descriptors_set(struct sl_keeper_server_options *options)
{
	int aside[] = {fcntl(options->listen_fd, F_DUPFD, FD_ASIDE),
		       fcntl(options->dir_fd, F_DUPFD, FD_ASIDE),
		       fcntl(options->ready_fd, F_DUPFD, FD_ASIDE)};
	int null_fd = open("/dev/null", O_RDWR);

	if (null_fd < 0)
		return -errno;
	for (int i = 0; i < FD_LISTEN; i++)
		if (dup2(null_fd, i) < 0)
			return -errno;
	for (int i = 0; i < FD_OURS_END - FD_LISTEN; i++)
		if (aside[i] < 0 || dup2(aside[i], FD_LISTEN + i) < 0)
			return -errno;
	if (close_range(FD_OURS_END, ~0u, 0) < 0)
		return -errno;
	options->listen_fd = FD_LISTEN;
	options->dir_fd = FD_DIR;
	options->ready_fd = FD_READY;
	return 0;
}

static _Noreturn void process_run(const struct sl_keeper_server_options *given)
{
	struct sl_keeper_server_options options = *given;

	name_set(options.title, options.title_bytes);
	signals_set();
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (descriptors_set(&options) < 0 || chdir("/") < 0)
		_exit(1);
	_exit(sl_keeper_serve(&options) < 0);
}

/* The one in between ends at once, so that init has the keeper, and no terminal has it. */
static _Noreturn void between_run(const struct sl_keeper_server_options *options)
{
	pid_t child;

	setsid();
	child = fork();
	if (child == 0)
		process_run(options);
	_exit(child < 0);
}

static int ready_wait(int fd, bool *sandboxed, struct sl_error *err)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	struct sl_keeper_packet ready;
	int rc = poll(&polled, 1, SL_KEEPER_TIMEOUT_MS);

	if (rc == 0)
		return sl_error_set(err, -ETIMEDOUT, "the keeper did not begin within %d ms",
				    SL_KEEPER_TIMEOUT_MS);
	rc = rc < 0 ? -errno : sl_keeper_packet_recv(fd, &ready);
	if (rc < 0)
		return sl_error_set(err, rc, "the keeper could not begin: %s", strerror(-rc));
	*sandboxed = ready.msg.result == 0;
	return 0;
}

int sl_keeper_spawn(const struct sl_keeper_server_options *options, bool *sandboxed,
		    struct sl_error *err)
{
	struct sl_keeper_server_options given = *options;
	int ready[2];
	pid_t between;
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ready) < 0)
		return sl_error_set(err, -errno, "socket pair: %s", strerror(errno));
	given.ready_fd = ready[1];
	between = fork();
	if (between == 0)
		between_run(&given);
	rc = between < 0 ? -errno : 0;
	close(ready[1]);
	if (rc < 0) {
		sl_error_set(err, rc, "fork: %s", strerror(-rc));
	} else {
		while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
			;
		rc = ready_wait(ready[0], sandboxed, err);
	}
	close(ready[0]);
	return rc;
}
