/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that forks all the while it sends. Its children have copies of every handle and
 * mapping; calls there must be refused, some close their copies, some outlive their parent. None of
 * it may disturb what the parent sends.
 *
 * usage: forker SOCKET TOPIC JOURNALS RATE SEED; ends on INT or TERM as `sluice bench` does, 70
 * when a child was served.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "tools/sluice/cli.h"

enum {
	KEYS = 500,
	FORK_EVERY_MS = 150,
	IDLE_US = 2000,
	CHILD_WAIT_US = 2 * 1000 * 1000,
	CHILD_SERVED = 70
};

struct forker {
	sluice_client *client;
	struct sender sender;
	struct stamper stamper;
	uint64_t sent, forks, seed;
	double rate;
	int served; /* children whose calls were not refused */
};

static int send_one(struct forker *f)
{
	struct sluice_record record = {0};
	char key[24], value[64];

	record.key = key;
	record.key_bytes =
		snprintf(key, sizeof(key), "%" PRIu64 "-%" PRIu64, f->seed, f->sent % KEYS);
	record.value = value;
	record.value_bytes =
		snprintf(value, sizeof(value), "record %" PRIu64 " after %" PRIu64 " forks",
			 f->sent, f->forks);
	return sender_send(&f->sender, &record);
}

/* The child's whole life. Never returns. */
static void child_live(struct forker *f)
{
	struct sluice_record record = {.value = "of a child", .value_bytes = 10};
	struct sluice_stats stats;
	int refused = sluice_send(f->sender.ring, f->sender.topic, &record) == -ECHILD &&
		      sluice_flush(f->sender.ring, 1) == -ECHILD &&
		      sluice_ring_stats(f->sender.ring, &stats) == -ECHILD;

	if (f->forks % 2 == 0)
		sluice_close(f->client);
	if (f->forks % 4 == 1)
		usleep(CHILD_WAIT_US);
	_exit(refused ? 0 : CHILD_SERVED);
}

static void children_reap(struct forker *f)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		f->served += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static int produce(struct forker *f)
{
	uint64_t start_ns = sl_clock_monotonic_ns(), fork_ns = start_ns;
	int rc = 0;

	while (rc == 0 && !interrupted && f->served == 0) {
		uint64_t now_ns = sl_clock_monotonic_ns();
		uint64_t due = (uint64_t)((double)(now_ns - start_ns) * 1e-9 * f->rate);

		while (rc == 0 && f->sent < due && !interrupted) {
			rc = send_one(f);
			f->sent += rc == 0;
		}
		sender_reports(&f->sender);
		if (now_ns - fork_ns > FORK_EVERY_MS * SL_NS_PER_MS) {
			fork_ns = now_ns;
			f->forks++;
			if (fork() == 0)
				child_live(f);
		}
		children_reap(f);
		usleep(IDLE_US);
	}
	return rc == -EINTR ? 0 : rc;
}

static int open_all(struct forker *f, char **argv)
{
	struct sender_options options = {.socket = argv[1],
					 .topic = argv[2],
					 .rings = 1,
					 .record_bytes_max = 256,
					 .report_mode = SLUICE_REPORT_ALL,
					 .report_slots = 1 << 12};
	struct stamping stamping;
	int rc = sender_open(&options, &f->client, &f->sender.topic);

	if (rc != 0)
		return rc;
	if (sluice_ring_get(f->client, NULL, &f->sender.ring) < 0)
		return complain(EXIT_NO_AGENT, "%s", sluice_last_error(f->client));
	if (stamping_begin(&stamping, argv[1], argv[3]) < 0 ||
	    stamper_open(&f->stamper, &stamping, argv[2], 0) < 0)
		return EXIT_SOME_FAILED;
	f->sender.stamper = &f->stamper;
	f->rate = strtod(argv[4], NULL);
	f->seed = strtoull(argv[5], NULL, 10);
	return 0;
}

int main(int argc, char **argv)
{
	static struct forker f;
	struct outcome_counts counts;
	int rc;

	if (argc != 6)
		return complain(EXIT_USAGE, "SOCKET TOPIC JOURNALS RATE SEED");
	complain_as("forker");
	interrupts_catch();
	rc = open_all(&f, argv);
	if (rc != 0)
		return rc;
	rc = produce(&f);
	if (rc < 0)
		complain(0, "ended early: %s", sluice_strerror(rc));
	sender_finish(&f.sender);
	counts = sender_counts(&f.sender);
	sender_end(&f.sender);
	stamper_close(&f.stamper);
	sluice_close(f.client);
	if (f.served > 0)
		return complain(CHILD_SERVED, "%d children were served, or died", f.served);
	return rc < 0 ? EXIT_SOME_FAILED : outcome_exit(&counts);
}
