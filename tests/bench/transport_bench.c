/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU of this thread per KiB sent over loopback to a process on another core that discards what it
 * reads: the uring transport against writev(2), in sends of 256 KiB and 1 MiB made of 16 KiB
 * pieces; and what an idle poll() costs. On loopback the sender also pays for the receiver's
 * softirq, so only the comparison means something.
 *
 * Usage: transport_bench [MiB a run]
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/transport/uring/uring.h"

enum { PIECE_BYTES = 16 << 10, MEMORY_BYTES = 4 << 20, DEPTH = 4, RUNS = 5, IDLE_POLLS = 10000000 };

static uint8_t memory[MEMORY_BYTES];
static struct iovec pieces[MEMORY_BYTES / PIECE_BYTES];

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static _Noreturn void discard(int listener)
{
	static uint8_t sink[1 << 18];

	pin(1);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		while (recv(fd, sink, sizeof(sink), MSG_TRUNC) > 0)
			;
		close(fd);
	}
}

static pid_t receiver_start(struct sockaddr_in *in)
{
	socklen_t bytes = sizeof(*in);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	*in = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	SL_ASSERT(bind(listener, (struct sockaddr *)in, sizeof(*in)) == 0);
	SL_ASSERT(listen(listener, 8) == 0);
	SL_ASSERT(getsockname(listener, (struct sockaddr *)in, &bytes) == 0);
	pid = fork();
	if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		discard(listener);
	close(listener);
	return pid;
}

static double per_kib(uint64_t ns, uint64_t bytes)
{
	return (double)ns * 1024 / (double)bytes;
}

static double run_writev(const struct sockaddr_in *in, uint32_t send_bytes, uint64_t total)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	uint64_t begin, sent = 0;

	SL_ASSERT(connect(fd, (const struct sockaddr *)in, sizeof(*in)) == 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	begin = sl_clock_thread_cpu_ns();
	while (sent < total) {
		const struct iovec *iov = pieces + sent % MEMORY_BYTES / PIECE_BYTES;

		ssize_t rc = writev(fd, iov, (int)(send_bytes / PIECE_BYTES));

		if (rc != (ssize_t)send_bytes) {
			fprintf(stderr, "writev: %zd of %u: %m\n", rc, send_bytes);
			exit(1);
		}
		sent += send_bytes;
	}
	begin = sl_clock_thread_cpu_ns() - begin;
	close(fd);
	return per_kib(begin, sent);
}

struct bench {
	struct sl_transport *t;
	uint32_t conn, open;
	uint64_t events;
	bool closed;
};

static uint64_t turn(struct bench *bench)
{
	struct sl_event events[32];
	uint32_t count = bench->t->ops->poll(bench->t, events, 32), i;

	for (i = 0; i < count; i++) {
		bench->open -= events[i].kind == SL_EVENT_SENT;
		bench->closed |= events[i].kind == SL_EVENT_CLOSED;
	}
	bench->events += count;
	return count;
}

/* Sleeps in the kernel as a worker would, so that waiting for the receiver is not counted as work.
 */
static void turn_or_wait(struct bench *bench)
{
	fd_set set;
	int fd = bench->t->ops->wait_fd(bench->t);

	if (turn(bench) > 0)
		return;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	(void)select(fd + 1, &set, NULL, NULL, NULL);
}

static void bench_open(struct bench *bench, const struct sockaddr_in *in)
{
	struct sl_uring_options options = {.conns_max = 4,
					   .sends_max = 16,
					   .recv_buffer_bytes = 16384,
					   .recv_buffer_count = 16};
	struct sl_address to = {.family = 4, .port = ntohs(in->sin_port)};

	*bench = (struct bench){0};
	memcpy(to.ip, &in->sin_addr, 4);
	SL_ASSERT(sl_uring_create(&options, &bench->t, NULL) == 0);
	SL_ASSERT(bench->t->ops->connect(bench->t, &to, 0, &bench->conn) == 0);
	while (bench->events == 0)
		turn(bench);
}

static double run_uring(const struct sockaddr_in *in, uint32_t send_bytes, uint64_t total)
{
	struct bench bench;
	uint64_t begin, sent = 0;

	bench_open(&bench, in);
	begin = sl_clock_thread_cpu_ns();
	while (sent < total || bench.open > 0) {
		while (sent < total && bench.open < DEPTH) {
			const struct iovec *iov = pieces + sent % MEMORY_BYTES / PIECE_BYTES;

			SL_ASSERT(bench.t->ops->submit(bench.t, bench.conn, iov,
						       send_bytes / PIECE_BYTES, sent) == 0);
			bench.open++;
			sent += send_bytes;
		}
		turn_or_wait(&bench);
	}
	begin = sl_clock_thread_cpu_ns() - begin;
	bench.t->ops->destroy(bench.t);
	return per_kib(begin, sent);
}

static double idle_poll_ns(const struct sockaddr_in *in)
{
	struct bench bench;
	uint64_t begin, i;

	bench_open(&bench, in);
	while (turn(&bench) > 0)
		;
	begin = sl_clock_thread_cpu_ns();
	for (i = 0; i < IDLE_POLLS; i++)
		turn(&bench);
	begin = sl_clock_thread_cpu_ns() - begin;
	bench.t->ops->destroy(bench.t);
	return (double)begin / IDLE_POLLS;
}

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Runs of the two interleaved, so that a neighbour's load falls on both. */
static void compare(const struct sockaddr_in *in, uint32_t send_bytes, uint64_t total)
{
	double plain[RUNS], uring[RUNS];
	int i;

	for (i = 0; i < RUNS; i++) {
		plain[i] = run_writev(in, send_bytes, total);
		uring[i] = run_uring(in, send_bytes, total);
	}
	qsort(plain, RUNS, sizeof(plain[0]), double_compare);
	qsort(uring, RUNS, sizeof(uring[0]), double_compare);
	printf("%5u KiB: writev %6.1f (min %6.1f)  uring %6.1f (min %6.1f) cpu-ns/KiB, median of "
	       "%d\n",
	       send_bytes >> 10, plain[RUNS / 2], plain[0], uring[RUNS / 2], uring[0], RUNS);
}

int main(int argc, char **argv)
{
	uint64_t total = (argc > 1 ? strtoull(argv[1], NULL, 10) : 512) << 20;
	struct sockaddr_in in;
	pid_t receiver = receiver_start(&in);
	uint32_t i;

	pin(0);
	memset(memory, 7, sizeof(memory));
	for (i = 0; i < SL_ARRAY_COUNT(pieces); i++)
		pieces[i] = (struct iovec){memory + (size_t)i * PIECE_BYTES, PIECE_BYTES};
	compare(&in, 256 << 10, total);
	compare(&in, 1 << 20, total);
	printf("idle poll: %.1f ns\n", idle_poll_ns(&in));
	kill(receiver, SIGKILL);
	waitpid(receiver, NULL, 0);
	return 0;
}
