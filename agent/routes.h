/* SPDX-License-Identifier: Apache-2.0 */
/* What the workers have to know of leaders: worked out from topics and cluster, sent when it
 * differs from what they have. */
#ifndef SL_AGENT_ROUTES_H
#define SL_AGENT_ROUTES_H

struct sl_agent;
struct sl_topic_routes;

/* Brokers' indices changed: every topic is looked at in this turn. */
void sl_routes_all_dirty(struct sl_agent *agent);

/* With the tables that came back in it. */
void sl_routes_free(struct sl_topic_routes *routes);

/* Sends what changed. */
void sl_routes_turn(struct sl_agent *agent);

#endif
