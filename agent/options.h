/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of sluiced. Values point into argv. */
#ifndef SL_AGENT_OPTIONS_H
#define SL_AGENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { SL_OPTION_SETS_MAX = 256 };

/* What the process ends with: a contract with scripts and service managers. */
enum sl_exit { SL_EXIT_OK = 0, SL_EXIT_FAILED = 1, SL_EXIT_KEPT = 75, SL_EXIT_CONFIG = 78 };

struct sl_options {
	const char *file;
	const char *sets[SL_OPTION_SETS_MAX];
	uint32_t set_count;
	bool check, dump, drain;
};

/* 0: go on. 1: answered on stdout (help, version), end with SL_EXIT_OK. Negative: told on stderr,
 * end with SL_EXIT_CONFIG. */
int sl_options_parse(struct sl_options *options, int argc, char **argv);

#endif
