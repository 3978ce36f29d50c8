/* SPDX-License-Identifier: Apache-2.0 */
/* From the configuration to the plain structs of the data plane, which knows no configuration.
 * Thread: control. */
#ifndef SL_AGENT_SETTINGS_H
#define SL_AGENT_SETTINGS_H

#include <stdint.h>

#include "config/config.h"
#include "dataplane/batch/arena.h"
#include "dataplane/transport/uring/uring.h"
#include "dataplane/worker/messages.h"
#include "dataplane/worker/worker.h"

struct sl_agent;
struct sl_agent_worker;

void sl_settings_worker(const struct sl_config *config, uint32_t index,
			struct sl_worker_options *out);
void sl_settings_arena(const struct sl_config *config, uint32_t index,
		       struct sl_arena_options *out);
void sl_settings_uring(const struct sl_config *config, struct sl_uring_options *out);

/*
 * A topic's settings for one worker. Makes the worker's codec where it is not there yet; when that
 * fails, which is logged, batches go uncompressed.
 */
void sl_settings_topic(struct sl_agent *agent, struct sl_agent_worker *worker,
		       const struct sl_config_topic *config, struct sl_topic_settings *out);

/* The level of the codec that a topic is compressed with. */
int32_t sl_settings_codec_level(const struct sl_config_topic *config);

#endif
