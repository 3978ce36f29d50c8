/* SPDX-License-Identifier: Apache-2.0 */
/* The flight recorder's part of the status. Thread: control. */
#ifndef SL_AGENT_STATUS_EVENTS_H
#define SL_AGENT_STATUS_EVENTS_H

struct sl_agent;
struct sl_json;

enum {
	SL_STATUS_EVENTS_MAX = 1000,  /* of all workers and the control thread together */
	SL_STATUS_UNKNOWNS_MAX = 512, /* the same; each worker keeps SL_FLIGHT_UNKNOWNS */
};

/* "unknown_batches": how many there were, how many were pushed out, and the last of them, the
 * oldest first. */
void sl_status_unknowns(const struct sl_agent *agent, struct sl_json *json);

/* "events": the same of everything that was recorded. */
void sl_status_events(const struct sl_agent *agent, struct sl_json *json);

#endif
