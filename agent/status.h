/* SPDX-License-Identifier: Apache-2.0 */
/* What `sluice status` shows, as JSON. Thread: control. */
#ifndef SL_AGENT_STATUS_H
#define SL_AGENT_STATUS_H

#include <stddef.h>

struct sl_agent;

/* The text is the caller's to free; NULL when memory ran out. */
char *sl_status_json(struct sl_agent *agent, size_t *bytes);

#endif
