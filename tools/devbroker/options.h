/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. Main thread, once. */
#ifndef SL_DEVBROKER_OPTIONS_H
#define SL_DEVBROKER_OPTIONS_H

#include "tools/devbroker/broker.h"

enum { SL_DB_SETTINGS_TOPICS_MAX = 256 };

struct sl_db_settings_topic {
	char name[SL_DB_TOPIC_NAME_BYTES_MAX + 1];
	int32_t partition_count;
	bool compacted;
};

struct sl_db_settings {
	struct sl_db_options options;
	struct sl_db_settings_topic topics[SL_DB_SETTINGS_TOPICS_MAX];
	uint32_t topic_count;
};

/* Returns 0, 1 after --help, or -EINVAL with the reason. */
int sl_db_settings_parse(struct sl_db_settings *settings, int argc, char **argv,
			 struct sl_error *err);

#endif
