/* SPDX-License-Identifier: Apache-2.0 */
/* sim: runs seeds. The exit code is 0 when all of them held; the first that did not ends it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/run.h"
#include "tests/sim/sim.h"

static const char usage[] =
	"usage: sim [--seed N [--verbose] | --seeds A..B | --file PATH] [--twice]\n"
	"  --seed N      one seed; --verbose prints its trace\n"
	"  --seeds A..B  all from A to B\n"
	"  --file PATH   seeds from a file: a number at the start of a line, # comments\n"
	"  --twice       each seed twice, and the two traces must be the same\n";

struct totals {
	uint64_t seeds, records, events, steps, faults, virtual_ns;
};

/* An assertion of the code under test is a finding like any other. */
static void on_abort(int number)
{
	if (sim_current)
		sim_violation(sim_current, "signal %d: an assertion does not hold, or worse",
			      number);
}

static void seed_run(uint64_t seed, bool verbose, bool twice, struct totals *totals)
{
	struct run_result result = run_seed(seed, verbose);

	totals->seeds++;
	totals->records += result.records;
	totals->events += result.events;
	totals->steps += result.steps;
	totals->faults += result.fault_count;
	totals->virtual_ns += result.virtual_ns;
	if (verbose)
		printf("seed %" PRIu64 ": %" PRIu64 " records, %" PRIu64
		       " faults, trace %016" PRIx64 "\n",
		       seed, result.records, result.fault_count, result.hash);
	if (twice && run_seed(seed, false).hash != result.hash) {
		fprintf(stderr, "VIOLATION seed %" PRIu64 ": two runs, two traces\n", seed);
		exit(1);
	}
}

static int file_run(const char *path, bool twice, struct totals *totals)
{
	FILE *in = fopen(path, "r");
	char line[512];

	if (!in) {
		fprintf(stderr, "sim: %s: cannot be read\n", path);
		return 2;
	}
	while (fgets(line, sizeof(line), in))
		if (*line >= '0' && *line <= '9')
			seed_run(strtoull(line, NULL, 10), false, twice, totals);
	fclose(in);
	return 0;
}

static void totals_print(const struct totals *totals, uint64_t begun_ns)
{
	double seconds = (double)(sl_clock_monotonic_ns() - begun_ns) / 1e9;

	printf("%" PRIu64 " seeds, %" PRIu64 " records, %" PRIu64 " faults, %" PRIu64
	       " steps, %.0f virtual s in %.1f s: %.1f seeds/s\n",
	       totals->seeds, totals->records, totals->faults, totals->steps,
	       (double)totals->virtual_ns / 1e9, seconds, (double)totals->seeds / seconds);
}

int main(int argc, char **argv)
{
	uint64_t first = 1, last = 100, begun_ns = sl_clock_monotonic_ns();
	bool verbose = false, twice = false;
	const char *file = NULL;
	struct totals totals = {0};
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		char *end = NULL;

		if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			first = last = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
			first = last = strtoull(argv[++i], &end, 10);
			if (strncmp(end, "..", 2) == 0)
				last = strtoull(end + 2, NULL, 10);
		} else if (strcmp(argv[i], "--file") == 0 && i + 1 < argc) {
			file = argv[++i];
		} else if (strcmp(argv[i], "--verbose") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "--twice") == 0) {
			twice = true;
		} else {
			fputs(usage, stderr);
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* the agent's log goes between the lines of a trace */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, on_abort);
	if (file)
		rc = file_run(file, twice, &totals);
	else
		for (uint64_t seed = first; seed <= last; seed++)
			seed_run(seed, verbose, twice, &totals);
	if (rc == 0)
		totals_print(&totals, begun_ns);
	return rc;
}
