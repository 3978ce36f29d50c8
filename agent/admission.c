/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/admission.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/control.h"

enum {
	ACCEPT_MAX = 16, /* in one turn */
	NSS_BYTES = 16384,
	GROUPS_MAX = 256,
};

#define PROCESS_CHECK_NS (1 * SL_NS_PER_S)
#define ACCEPT_REST_NS (100 * SL_NS_PER_MS)

int sl_admission_create(struct sl_agent *agent, struct sl_control *control, int listen_fd,
			struct sl_error *err)
{
	struct sl_admission *admission = calloc(1, sizeof(*admission));

	if (!admission)
		return sl_error_set(err, -ENOMEM, "no memory for admission");
	admission->control = control;
	admission->listen_fd = listen_fd;
	admission->listen_again_ns = SL_DEADLINE_NONE;
	admission->segments_max = agent->config->segments_max;
	admission->clients_max = agent->config->segments_max + SL_ADMISSION_CLIENTS_SPARE;
	admission->clients = calloc(admission->clients_max, sizeof(*admission->clients));
	admission->segments = calloc(admission->segments_max, sizeof(*admission->segments));
	admission->process_check_ns = SL_DEADLINE_NONE;
	/* Ids of different agents must not meet in a keeper. */
	if (getrandom(&admission->segment_id_next, sizeof(admission->segment_id_next), 0) < 0)
		admission->segment_id_next = sl_agent_now_ns(agent) << 20;
	if (!admission->clients || !admission->segments) {
		free(admission->clients);
		free(admission->segments);
		free(admission);
		return sl_error_set(err, -ENOMEM, "no memory for admission");
	}
	agent->admission = admission;
	return 0;
}

void sl_admission_destroy(struct sl_agent *agent)
{
	struct sl_admission *admission = agent->admission;

	if (!admission)
		return;
	for (uint32_t i = 0; i < admission->clients_max; i++)
		if (admission->clients[i].state != SL_CLIENT_FREE)
			sl_agent_client_end(agent, i, "the agent ends");
	for (uint32_t i = 0; i < admission->segments_max; i++)
		if (admission->segments[i].state != SL_SEGMENT_FREE)
			sl_agent_segment_release(agent, i);
	agent->admission = NULL;
	free(admission->clients);
	free(admission->segments);
	free(admission);
}

void sl_admission_refused(struct sl_agent *agent, enum sl_refuse code, const char *text)
{
	struct sl_admission_refusals *refusals = &agent->admission->refusals[code];

	SL_ASSERT(code < SL_REFUSE_COUNT);
	agent->admission->refused++;
	refusals->count++;
	snprintf(refusals->text, sizeof(refusals->text), "%s", text);
}

/*
 * Out of descriptors or memory: who waits at the listener keeps it readable, and looking again at
 * once would take the control thread's whole core.
 */
static void listener_rest(struct sl_agent *agent, int error)
{
	struct sl_admission *admission = agent->admission;

	if (!admission->accept_failing)
		SL_LOG(&agent->log, SL_LOG_ERROR, "accept_failed", SL_T("error", strerror(error)),
		       SL_N("again_in_ms", ACCEPT_REST_NS / SL_NS_PER_MS));
	admission->accept_failing = true;
	sl_control_unwatch(admission->control, admission->listen_fd);
	admission->listen_again_ns = sl_agent_now_ns(agent) + ACCEPT_REST_NS;
}

static uint64_t listener_turn(struct sl_admission *admission, uint64_t now_ns)
{
	if (admission->listen_again_ns > now_ns)
		return admission->listen_again_ns;
	admission->listen_again_ns = SL_DEADLINE_NONE;
	if (!admission->stopped)
		sl_control_watch(admission->control, admission->listen_fd, SL_SOURCE_LISTENER, 0, 0);
	return SL_DEADLINE_NONE;
}

void sl_admission_accept(struct sl_agent *agent)
{
	struct sl_admission *admission = agent->admission;

	for (uint32_t i = 0; i < ACCEPT_MAX && !admission->stopped; i++) {
		int sock = accept4(admission->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (sock < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				listener_rest(agent, errno);
			return;
		}
		admission->accept_failing = false;
		admission->accepted++;
		sl_agent_client_accept(agent, sock);
	}
}

void sl_admission_stop(struct sl_agent *agent)
{
	agent->admission->stopped = true;
	if (agent->admission->control)
		sl_control_unlisten(agent->admission->control);
}

static uint64_t clients_turn(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_admission *admission = agent->admission;
	uint64_t next_ns = SL_DEADLINE_NONE;

	for (uint32_t i = 0; i < admission->clients_max; i++) {
		struct sl_agent_client *client = &admission->clients[i];

		if (client->state == SL_CLIENT_FREE)
			continue;
		if (client->deadline_ns <= now_ns)
			sl_agent_client_time_out(agent, i);
		else if (client->deadline_ns < next_ns)
			next_ns = client->deadline_ns;
	}
	return next_ns;
}

/* Applications without a connection: the pidfd tells of most deaths, the lock of all. */
static uint64_t processes_turn(struct sl_agent *agent, uint64_t now_ns)
{
	struct sl_admission *admission = agent->admission;
	bool any = false;

	if (admission->process_check_ns > now_ns)
		return admission->process_check_ns;
	for (uint32_t i = 0; i < admission->segments_max; i++) {
		const struct sl_agent_segment *segment = &admission->segments[i];

		if (segment->state == SL_SEGMENT_LIVE && segment->client < 0)
			any |= sl_agent_segment_check(agent, i);
	}
	admission->process_check_ns = any ? now_ns + PROCESS_CHECK_NS : SL_DEADLINE_NONE;
	return admission->process_check_ns;
}

uint64_t sl_admission_turn(struct sl_agent *agent, uint64_t now_ns)
{
	uint64_t clients_ns = clients_turn(agent, now_ns);
	uint64_t processes_ns = processes_turn(agent, now_ns);
	uint64_t listener_ns = listener_turn(agent->admission, now_ns);
	uint64_t next_ns = clients_ns < processes_ns ? clients_ns : processes_ns;

	return next_ns < listener_ns ? next_ns : listener_ns;
}

/* ---- allow ---- */

static bool number_equals(const char *text, uint32_t number)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == 0 && value == number;
}

static bool user_matches(const char *name, uid_t uid)
{
	struct passwd entry, *found = NULL;
	char buffer[NSS_BYTES];

	if (number_equals(name, uid))
		return true;
	return getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) == 0 && found &&
	       found->pw_uid == uid;
}

static bool group_of(const char *name, gid_t *gid)
{
	struct group entry, *found = NULL;
	char buffer[NSS_BYTES];

	if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return false;
	*gid = found->gr_gid;
	return true;
}

static bool group_matches(const char *name, uid_t uid, gid_t gid)
{
	struct passwd entry, *found = NULL;
	char buffer[NSS_BYTES];
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;
	gid_t wanted = 0;
	bool named = group_of(name, &wanted);

	if (number_equals(name, gid) || (named && wanted == gid))
		return true;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return false;
	if (getgrouplist(found->pw_name, gid, groups, &count) < 0)
		return false;
	for (int i = 0; i < count; i++)
		if (number_equals(name, groups[i]) || (named && wanted == groups[i]))
			return true;
	return false;
}

static bool rule_matches_who(const struct sl_config_allow *rule, uid_t uid, gid_t gid)
{
	switch ((enum sl_config_who)rule->who) {
	case SL_CONFIG_WHO_ANYBODY:
		return true;
	case SL_CONFIG_WHO_USER:
		return user_matches(rule->name, uid);
	case SL_CONFIG_WHO_GROUP:
		return group_matches(rule->name, uid, gid);
	}
	return false;
}

bool sl_admission_allowed(const struct sl_agent *agent, uid_t uid, gid_t gid, const char *topic)
{
	for (uint32_t i = 0; i < agent->config->allow_count; i++) {
		const struct sl_config_allow *rule = &agent->config->allow[i];

		if (!rule_matches_who(rule, uid, gid))
			continue;
		if (!topic)
			return true;
		for (uint32_t j = 0; j < rule->pattern_count; j++)
			if (sl_config_pattern_matches(rule->patterns[j], topic))
				return true;
	}
	return false;
}

/* ---- quotas ---- */

int sl_admission_room(const struct sl_agent *agent, uid_t uid, uint64_t bytes, struct sl_error *err)
{
	const struct sl_admission *admission = agent->admission;
	uint64_t own_bytes = 0;

	for (uint32_t i = 0; i < admission->segments_max; i++) {
		const struct sl_agent_segment *segment = &admission->segments[i];

		if (segment->state != SL_SEGMENT_FREE && segment->uid == uid)
			own_bytes += sl_segment_bytes(&segment->geometry);
	}
	if (bytes > agent->config->quota_uid_bytes ||
	    own_bytes > agent->config->quota_uid_bytes - bytes)
		return sl_error_set(err, -EDQUOT,
				    "user %u would have %" PRIu64
				    " bytes of rings and reports, quota.uid.bytes is %" PRIu64,
				    uid, own_bytes + bytes, agent->config->quota_uid_bytes);
	if (bytes > agent->config->rings_bytes_total ||
	    admission->mapped_bytes > agent->config->rings_bytes_total - bytes)
		return sl_error_set(err, -ENOSPC,
				    "rings and reports of %" PRIu64 " bytes asked for, %" PRIu64
				    " of rings.bytes.total %" PRIu64 " bytes are in use",
				    bytes, admission->mapped_bytes,
				    agent->config->rings_bytes_total);
	return 0;
}
