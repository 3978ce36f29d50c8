/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dispatch.h"

#include <stdlib.h>

#include "agent/agent.h"
#include "agent/retry.h"
#include "agent/routes.h"
#include "agent/segment.h"

static void carried(struct sl_agent *agent, uint32_t worker, struct sl_carry *carry)
{
	if (carry == agent->refresh.carry)
		sl_refresh_carried(agent);
	else if (carry == agent->workers[worker].producer.carry)
		sl_producer_carried(agent, worker);
	else
		sl_resolution_carried(agent, carry);
}

void sl_dispatch(struct sl_agent *agent, uint32_t worker, const struct sl_msg *msg)
{
	switch ((enum sl_msg_to_control)msg->kind) {
	case SL_MSG_SEGMENT_ADDED:
		sl_agent_segment_added(agent, worker, msg->a, msg->b != 0);
		break;
	case SL_MSG_TOPIC_BOUND:
		sl_agent_segment_bound(agent, msg->a);
		break;
	case SL_MSG_SEGMENT_GONE:
		sl_agent_segment_gone(agent, worker, msg->a, msg->object);
		break;
	case SL_MSG_RING_POISONED:
		sl_agent_segment_poisoned(agent, worker, msg);
		break;
	case SL_MSG_RELEASE:
		if (msg->a == SL_MSG_TOPIC_ROUTES)
			sl_routes_free(msg->object);
		else
			free(msg->object);
		break;
	case SL_MSG_CARRIED:
		carried(agent, worker, msg->object);
		break;
	case SL_MSG_CONN_UP:
		sl_reconnect_up(agent, worker, msg);
		break;
	case SL_MSG_CONN_DOWN:
		sl_reconnect_down(agent, worker, msg);
		break;
	case SL_MSG_BROKER_GONE:
		sl_cluster_broker_gone(agent, msg->a);
		break;
	case SL_MSG_PARTITION_TROUBLE:
		sl_retry_trouble(agent, worker, msg);
		break;
	case SL_MSG_PARTITION_DOUBT:
		sl_resolution_want(agent, worker, msg);
		break;
	case SL_MSG_PARTITION_FAILED:
		sl_retry_failed(agent, worker, msg);
		break;
	case SL_MSG_BATCH_CUT:
		sl_retry_cut(agent, worker, msg);
		break;
	case SL_MSG_PRODUCER_ID_WANTED:
		sl_producer_wanted(agent, worker);
		break;
	case SL_MSG_STOPPED:
		sl_shutdown_stopped(agent, worker, msg->a != 0);
		break;
	}
}
