/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of config/ share: load a text, look at what came out.
 */
#ifndef SL_TESTS_CONFIG_LOADING_H
#define SL_TESTS_CONFIG_LOADING_H

#include "config/config.h"

struct loading {
	struct sl_config *cfg; /* NULL when the text was refused */
	struct sl_config_report report;
	char *errors; /* as printed */
};

/* CPUs 0 to 3 are allowed, whatever the machine has; bootstrap.servers is set unless the text
 * begins with '!'. */
struct loading load_text(const char *text, const char *set);
void loading_fini(struct loading *loading);

/* Dumps, loads the dump, and fails unless the second configuration equals the first. */
void check_round_trip(const struct sl_config *cfg);

#endif
