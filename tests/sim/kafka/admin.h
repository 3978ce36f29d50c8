/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the real broker's topics. Each waits until the broker itself goes by it; what
 * does not come about in time ends the process. */
#ifndef SL_SIM_KAFKA_ADMIN_H
#define SL_SIM_KAFKA_ADMIN_H

#include <stdint.h>

#include "dataplane/wire/topics.h"
#include "tests/sim/kafka/real.h"

/* Returns the new topic's id. */
struct sl_uuid admin_create(struct real *real, const char *name, uint32_t partitions,
			    const struct sl_topic_config *configs, uint32_t config_count);
void admin_delete(struct real *real, const char *name);
void admin_grow(struct real *real, const char *name, uint32_t partitions);
/* Until each partition is led by the broker. */
void admin_wait(struct real *real, const char *name, uint32_t partitions);
/* Returns a Kafka error code, and the log's start in *low. */
int16_t admin_records_delete(struct real *real, const char *name, int32_t partition, int64_t offset,
			     int64_t *low);

#endif
