/* SPDX-License-Identifier: Apache-2.0 */
/* What the control thread says, applied. */
#include "dataplane/worker/internal.h"

static void release(struct sl_worker *w, const struct sl_msg *msg)
{
	struct sl_msg back = {SL_MSG_RELEASE, msg->kind, 0, 0, msg->object};

	sl_worker_tell(w, &back);
}

static void producer_id_want(struct sl_worker *w)
{
	struct sl_msg msg = {.kind = SL_MSG_PRODUCER_ID_WANTED};

	if (w->pid_slot != NONE || w->pid_wanted)
		return;
	w->pid_wanted = true;
	sl_worker_tell(w, &msg);
}

static void topic_add(struct sl_worker *w, uint32_t index, struct sl_worker_topic *object)
{
	static const uint8_t no_id[SL_UUID_BYTES];
	struct topic *topic = &w->topics[index];

	SL_ASSERT(index < w->options.topics_max && !topic->object);
	topic->object = object;
	topic->settings = object->settings;
	topic->error = 0;
	/* The table in the arena is as large as ours. */
	if (!sl_resume_topic(w, index))
		SL_ASSERT(sl_arena_topic_add(w->arena, object->name, no_id, &topic->slot) == 0);
	if (topic->settings.idempotent)
		producer_id_want(w);
}

/* Rings that wait for this topic look again. */
static void rings_unblock(struct sl_worker *w)
{
	uint32_t i;

	for (i = 0; i < w->ring_count; i++)
		w->rings[i].waits_topic = false;
}

/* Larger tables take the place of those in use, which go back with the message. */
static void tables_swap(struct topic *topic, struct sl_topic_routes *routes)
{
	struct sl_topic_tables *old = topic->tables;
	struct sl_topic_tables *new = routes->tables;

	if (!new || (old && old->count >= new->count))
		return;
	if (old) {
		memcpy(new->partitions, old->partitions, old->count * sizeof(*old->partitions));
		memcpy(new->queue, old->queue, old->count * sizeof(*old->queue));
		memcpy(new->available, old->available, old->count * sizeof(*old->available));
	}
	topic->tables = new;
	routes->tables = old;
}

/* Partitions are only ever added. Returns how many of count there are then. */
static uint32_t partitions_grow(struct sl_worker *w, uint32_t index, uint32_t count)
{
	struct topic *topic = &w->topics[index];

	while (topic->partition_count < count && topic->tables && topic->partition_count < topic->tables->count) {
		int32_t number = (int32_t)topic->partition_count;
		struct partition *p = sl_resume_partition(w, index, number);

		if (!p)
			p = sl_partition_add(w, index, number);
		if (!p)
			break;
		topic->tables->partitions[topic->partition_count++] = (uint32_t)(p - w->partitions);
	}
	return topic->partition_count;
}

static void leader_set(struct sl_worker *w, struct partition *p, const struct sl_topic_route *route)
{
	uint32_t broker = route->broker < 0 ? NONE : (uint32_t)route->broker;
	uint32_t before;

	if (route->leader_epoch >= 0 && route->leader_epoch < p->leader_epoch)
		return; /* from a broker that is behind */
	if (broker == p->broker && route->leader_epoch == p->leader_epoch)
		return;
	if (p->listed_in)
		sl_conn_ready_remove(w, p);
	if (broker != p->broker) {
		p->warm = false;
		sl_doubt_moved(w, p);
	}
	before = p->broker;
	p->broker = broker;
	sl_share_move(w, p);
	p->leader_epoch = route->leader_epoch;
	p->held = false;
	sl_flight_leader(w, p, before);
}

static void topic_routes(struct sl_worker *w, uint32_t index, struct sl_topic_routes *routes)
{
	struct topic *topic = &w->topics[index];
	bool recreated = topic->known && !sl_uuid_is_zero(&topic->id) &&
			 memcmp(&topic->id, routes->topic_id, sizeof(topic->id)) != 0;
	uint32_t i, count;

	SL_ASSERT(topic->object);
	rings_unblock(w);
	if (routes->error != 0) {
		/* A topic that is known stays known: its queued records wait for it, new ones fail meanwhile. */
		topic->error = routes->error;
		topic->known = true;
		return;
	}
	tables_swap(topic, routes);
	count = partitions_grow(w, index, routes->partition_count);
	memcpy(&topic->id, routes->topic_id, sizeof(topic->id));
	topic->error = 0;
	topic->known = count > 0;
	if (count == 0)
		return;
	topic->modulus = sl_modulus_of(count);
	sl_arena_topic_partitions_store(w->arena, topic->slot, count);
	for (i = 0; i < count && i < routes->partition_count; i++) {
		struct partition *p = &w->partitions[topic->tables->partitions[i]];

		if (recreated) {
			p->leader_epoch = -1;
			sl_arena_partition_leader_store(w->arena, p->slot, 0);
		}
		leader_set(w, p, &routes->partitions[i]);
		sl_available_set(w, p);
		sl_partition_update(w, p);
	}
	if (topic->sticky.bytes == 0 || !topic->tables->available[topic->sticky.partition])
		sl_topic_sticky_next(w, topic);
}

static void partition_retry(struct sl_worker *w, uint32_t index, uint64_t partition)
{
	struct topic *topic = &w->topics[index];
	struct partition *p;

	if (partition >= topic->partition_count)
		return;
	p = &w->partitions[topic->tables->partitions[partition]];
	p->held = false;
	sl_available_update(w, p);
	sl_partition_update(w, p);
}

static void partition_seen(struct sl_worker *w, const struct sl_msg *msg)
{
	struct topic *topic = &w->topics[msg->a];
	uint32_t partition = (uint32_t)msg->b;
	struct partition *p;

	if (partition >= topic->partition_count)
		return;
	p = &w->partitions[topic->tables->partitions[partition]];
	sl_doubt_seen(w, p, (enum sl_seen)(msg->b >> 32), (int16_t)(uint16_t)msg->c, (uint32_t)(msg->c >> 32));
	sl_partition_update(w, p);
}

static void broker_set(struct sl_worker *w, uint32_t index, const struct sl_worker_broker *broker)
{
	struct broker *b = &w->brokers[index];
	uint32_t i;

	SL_ASSERT(index < w->options.brokers_max);
	if (b->set && !sl_address_equal(&b->address, &broker->address))
		sl_conn_disconnect(w, index);
	/*
	 * The place of a broker that left: a connection of its is held still, and the control thread, which knows only
	 * of the new one, would never release it.
	 */
	for (i = 0; !b->set && i < SL_CONN_CLASS_COUNT; i++) {
		struct conn *c = &w->conns[index * SL_CONN_CLASS_COUNT + i];

		if (c->state == CONN_HELD)
			c->state = CONN_IDLE;
		sl_conn_down_set(w, c, false);
	}
	b->address = broker->address;
	b->node = broker->node;
	b->set = true;
	b->removing = false;
	if (index >= w->brokers_high)
		w->brokers_high = index + 1;
	sl_partition_update_all(w);
}

static void broker_remove(struct sl_worker *w, uint32_t index)
{
	struct sl_msg gone = {.kind = SL_MSG_BROKER_GONE, .a = index};

	w->brokers[index].removing = true;
	w->brokers[index].set = false;
	sl_ledger_broker_gone(w, index);
	sl_conn_disconnect(w, index);
	sl_worker_tell(w, &gone);
}

static void conn_release(struct sl_worker *w, uint32_t broker, uint64_t class)
{
	struct conn *c = &w->conns[broker * SL_CONN_CLASS_COUNT + class];

	if (c->state == CONN_HELD)
		c->state = CONN_IDLE;
	if (c->ready_head != NONE)
		sl_conn_want(w, c);
	else
		sl_conn_down_set(w, c, false); /* nobody would find out otherwise */
}

static void producer_id_set(struct sl_worker *w, int64_t producer_id)
{
	/* More ids than slots: an agent that lived through four times 32 767 epochs of one partition. */
	if (sl_arena_pid_add(w->arena, producer_id, w->env->realtime_ms(w->env->ctx), &w->pid_slot) < 0)
		w->pid_slot = NONE;
	w->pid_wanted = false;
	w->pid_lost = false;
	sl_partition_update_all(w);
}

static void flush_set(struct sl_worker *w, bool on)
{
	uint32_t i;

	w->flushing = on;
	for (i = 0; on && i < w->active_count; i++)
		sl_partition_leave(w, &w->partitions[w->active[i]]);
}

static void stop(struct sl_worker *w, bool at_once)
{
	w->stopping = true;
	w->stop_at_once = at_once;
	if (!at_once) {
		sl_rings_stop(w);
		flush_set(w, true);
	}
}

static void message_apply(struct sl_worker *w, const struct sl_msg *msg)
{
	switch ((enum sl_msg_to_worker)msg->kind) {
	case SL_MSG_SEGMENT_ADD:
		sl_segment_add(w, msg->a, msg->object);
		break;
	case SL_MSG_SEGMENT_DRAIN:
		sl_segment_drain(w, msg->a, msg->b != 0);
		break;
	case SL_MSG_SEGMENT_WAKE_FD:
		sl_segment_wake_fd(w, msg->a, (uint32_t)msg->b, (int)msg->c);
		break;
	case SL_MSG_TOPIC_ADD:
		topic_add(w, msg->a, msg->object);
		break;
	case SL_MSG_TOPIC_BIND:
		sl_segment_bind(w, msg->a, (uint32_t)msg->b, (uint32_t)msg->c);
		break;
	case SL_MSG_TOPIC_ROUTES:
		topic_routes(w, msg->a, msg->object);
		release(w, msg);
		break;
	case SL_MSG_TIMEOUTS: /* of what is sent from now on */
		w->options.request_timeout_ns = msg->b;
		w->options.connect_timeout_ns = msg->c;
		break;
	case SL_MSG_SEGMENT_GIVE_UP:
		sl_resume_give_up(w, msg->a);
		break;
	case SL_MSG_CLUSTER:
		sl_resume_cluster(w, msg->object);
		release(w, msg);
		break;
	case SL_MSG_TOPIC_SETTINGS:
		w->topics[msg->a].settings = *(struct sl_topic_settings *)msg->object;
		w->topics[msg->a].learned_ns = 0;
		release(w, msg);
		break;
	case SL_MSG_BROKER_SET:
		broker_set(w, msg->a, msg->object);
		release(w, msg);
		break;
	case SL_MSG_BROKER_REMOVE:
		broker_remove(w, msg->a);
		break;
	case SL_MSG_CONN_RELEASE:
		conn_release(w, msg->a, msg->b);
		break;
	case SL_MSG_PARTITION_RETRY:
		partition_retry(w, msg->a, msg->b);
		break;
	case SL_MSG_PARTITION_SEEN:
		partition_seen(w, msg);
		break;
	case SL_MSG_PRODUCER_ID:
		producer_id_set(w, (int64_t)msg->b);
		break;
	case SL_MSG_CARRY:
		sl_carry_add(w, msg->object);
		break;
	case SL_MSG_FLUSH:
		flush_set(w, msg->a != 0);
		break;
	case SL_MSG_STOP:
		stop(w, msg->a != 0);
		break;
	}
}

uint32_t sl_worker_messages(struct sl_worker *w)
{
	struct sl_msg msg;
	uint32_t count = 0;

	while (count < MESSAGES_A_TURN && sl_msg_ring_pop(&w->inbox, &msg)) {
		message_apply(w, &msg);
		count++;
	}
	if (w->pid_slot == NONE && w->pid_lost)
		producer_id_want(w);
	return count;
}
