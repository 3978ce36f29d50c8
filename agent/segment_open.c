/* SPDX-License-Identifier: Apache-2.0 */
/* How a segment comes to be: OPEN of a new one, REATTACH to the one we know, REATTACH of one that
 * an earlier agent made. */
#include "agent/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/control.h"
#include "agent/keeper_use.h"

static const char status_magic[8] = {'S', 'L', 'U', 'I', 'C', 'E', '-', 'S'};

/* Where each ring of an adopted segment goes on. */
struct starts {
	uint64_t pos[SL_SHM_RINGS_MAX], seq[SL_SHM_RINGS_MAX];
	bool reset[SL_SHM_RINGS_MAX];
};

static int refuse(struct sl_agent_refusal *refusal, enum sl_refuse code, int rc)
{
	refusal->code = code;
	return rc;
}

static int limits_check(const struct sl_agent *agent, uid_t uid,
			const struct sl_segment_geometry *geometry,
			struct sl_agent_refusal *refusal)
{
	const struct sl_config *config = agent->config;
	int rc;

	if (agent->admission->stopped)
		return refuse(refusal, SL_REFUSE_STOPPING,
			      sl_error_set(&refusal->err, -ESHUTDOWN, "the agent is going down"));
	rc = sl_segment_geometry_check(geometry, &refusal->err);
	if (rc < 0)
		return refuse(refusal, SL_REFUSE_MALFORMED, rc);
	refusal->code = SL_REFUSE_LIMIT;
	if (geometry->ring_count > config->segment_rings_max)
		return sl_error_set(&refusal->err, -E2BIG,
				    "%u rings asked for, at most %u are granted",
				    geometry->ring_count, config->segment_rings_max);
	if (geometry->ring_bytes > config->ring_bytes_max)
		return sl_error_set(&refusal->err, -E2BIG,
				    "ring of %llu bytes asked for, ring.bytes.max is %llu",
				    (unsigned long long)geometry->ring_bytes,
				    (unsigned long long)config->ring_bytes_max);
	if (geometry->report_slots > config->report_slots_max)
		return sl_error_set(&refusal->err, -E2BIG,
				    "%u report slots asked for, at most %u are granted",
				    geometry->report_slots, config->report_slots_max);
	return sl_admission_room(agent, uid, sl_segment_bytes(geometry), &refusal->err);
}

static int32_t place_find(const struct sl_agent *agent)
{
	for (uint32_t i = 0; i < agent->admission->segments_max; i++)
		if (agent->admission->segments[i].state == SL_SEGMENT_FREE)
			return (int32_t)i;
	return -1;
}

/* Each ring to the worker whose arena knows it. */
static int workers_assign_known(struct sl_agent *agent, struct sl_agent_segment *segment,
				const struct sl_known_segment *known, struct sl_error *err)
{
	for (uint32_t r = 0; r < segment->geometry.ring_count; r++) {
		uint32_t worker = known->worker[r];

		if (worker == SL_KNOWN_NOWHERE) /* see starts_find() */
			worker = (uint32_t)__builtin_ctzll(known->worker_mask);
		agent->workers[worker].ring_count++;
		segment->worker[r] = (uint16_t)worker;
	}
	segment->worker_mask = known->worker_mask;
	return 0;
}

/* Each ring to the worker that reads the fewest. Takes back what it gave when not all find one. */
static int workers_assign(struct sl_agent *agent, struct sl_agent_segment *segment,
			  struct sl_error *err)
{
	for (uint32_t r = 0; r < segment->geometry.ring_count; r++) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < agent->worker_count; i++)
			if (agent->workers[i].ring_count < agent->workers[best].ring_count)
				best = i;
		if (agent->workers[best].ring_count >= agent->config->rings_max) {
			while (r-- > 0)
				agent->workers[segment->worker[r]].ring_count--;
			return sl_error_set(err, -ENOSPC, "all workers read %u rings, their limit",
					    agent->config->rings_max);
		}
		agent->workers[best].ring_count++;
		segment->worker[r] = (uint16_t)best;
		segment->worker_mask |= UINT64_C(1) << best;
	}
	return 0;
}

static void segment_reset(struct sl_agent_segment *segment, struct sl_known_segment *known)
{
	segment->state = SL_SEGMENT_ADDING;
	segment->known = known;
	segment->data_fd = segment->status_fd = segment->status_ro_fd = segment->bell_fd =
		segment->pidfd = -1;
	segment->client = -1;
}

/* A segment with its identity, on a free place. It owns nothing yet but its place among the
 * workers. */
static int segment_begin(struct sl_agent *agent, uint32_t client_index,
			 const struct sl_hs_open *open, struct sl_known_segment *known,
			 struct sl_agent_segment **out, struct sl_agent_refusal *refusal)
{
	struct sl_agent_client *client = &agent->admission->clients[client_index];
	struct sl_segment_geometry geometry = {open->ring_bytes, open->ring_count,
					       open->report_slots};
	struct sl_agent_segment *segment;
	int rc = limits_check(agent, client->uid, &geometry, refusal);
	int32_t place = place_find(agent);

	if (rc < 0)
		return rc;
	if (place < 0)
		return sl_error_set(&refusal->err, -ENOSPC,
				    "%u applications are attached, the limit",
				    agent->admission->segments_max);
	segment = &agent->admission->segments[place];
	segment->geometry = geometry;
	segment->worker_mask = 0;
	rc = known ? workers_assign_known(agent, segment, known, &refusal->err)
		   : workers_assign(agent, segment, &refusal->err);
	if (rc < 0) {
		memset(&segment->geometry, 0, sizeof(segment->geometry));
		return rc;
	}
	segment_reset(segment, known);
	segment->client = (int32_t)client_index;
	segment->pid = client->pid;
	segment->uid = client->uid;
	segment->gid = client->gid;
	memcpy(segment->name, client->name, sizeof(segment->name));
	memcpy(segment->client_id, open->client_id, sizeof(segment->client_id));
	memcpy(segment->report_mode, open->report_mode, sizeof(segment->report_mode));
	agent->admission->mapped_bytes += sl_segment_bytes(&geometry);
	refusal->code = SL_REFUSE_INTERNAL;
	*out = segment;
	return 0;
}

static int data_take(struct sl_agent_segment *segment, int data_fd,
		     struct sl_agent_refusal *refusal)
{
	int rc;

	segment->data_fd = data_fd;
	rc = sl_segment_data_check(data_fd, &segment->geometry, &refusal->err);
	if (rc < 0)
		return refuse(refusal, SL_REFUSE_SEGMENT, rc);
	rc = sl_segment_map(data_fd, sl_segment_data_bytes(&segment->geometry), false,
			    &segment->data, &refusal->err);
	return rc < 0 ? refuse(refusal, SL_REFUSE_SEGMENT, rc) : 0;
}

static int status_make(struct sl_agent *agent, struct sl_agent_segment *segment,
		       struct sl_error *err)
{
	struct sl_segment_ident ident = {.agent_epoch = agent->epoch};
	int rc;

	if (getrandom(segment->token, sizeof(segment->token), 0) != (ssize_t)sizeof(segment->token))
		return sl_error_set(err, -EIO, "no random bytes for a token");
	memcpy(ident.client_id, segment->client_id, sizeof(ident.client_id));
	memcpy(ident.token, segment->token, sizeof(ident.token));
	rc = sl_segment_status_create(&segment->geometry, &ident, &segment->status_ro_fd, err);
	if (rc < 0)
		return rc;
	segment->status_fd = rc;
	return sl_segment_map(segment->status_fd, sl_segment_status_bytes(&segment->geometry), true,
			      &segment->status, err);
}

static struct sl_worker_segment *object_make(const struct sl_agent *agent,
					     const struct sl_agent_segment *segment,
					     uint32_t worker, const struct starts *starts)
{
	struct sl_worker_segment *object = calloc(1, sizeof(*object));
	struct stat data, status;

	if (!object || fstat(segment->data_fd, &data) < 0 ||
	    fstat(segment->status_fd, &status) < 0) {
		free(object);
		return NULL;
	}
	object->data = segment->data;
	object->status = segment->status;
	object->ring_bytes = segment->geometry.ring_bytes;
	object->ring_count = segment->geometry.ring_count;
	object->report_slots = segment->geometry.report_slots;
	object->record_bytes_max = (uint32_t)sl_config_request_bytes_max(agent->config);
	object->bell_fd = segment->bell_fd;
	object->data_dev = data.st_dev;
	object->data_ino = data.st_ino;
	object->status_dev = status.st_dev;
	object->status_ino = status.st_ino;
	object->uid = segment->uid;
	object->gid = segment->gid;
	memcpy(object->client_id, segment->client_id, sizeof(object->client_id));
	memcpy(object->token, segment->token, sizeof(object->token));
	memcpy(object->report_mode, segment->report_mode, sizeof(object->report_mode));
	object->known = segment->known && segment->known->worker_mask & UINT64_C(1) << worker;
	if (object->known)
		object->arena_slot = segment->known->slot[worker];
	for (uint32_t r = 0; r < segment->geometry.ring_count; r++) {
		object->mine[r] = segment->worker[r] == worker;
		object->start_pos[r] = starts->pos[r];
		object->start_seq[r] = starts->seq[r];
		object->reset[r] = starts->reset[r];
	}
	return object;
}

/* Bell, topic slots, pidfd, and then the workers: all of them, or none. */
static int segment_tell(struct sl_agent *agent, struct sl_agent_segment *segment,
			const struct starts *starts, struct sl_error *err)
{
	uint32_t index = (uint32_t)(segment - agent->admission->segments);
	bool complete = true;

	segment->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	segment->topics = malloc(SL_SHM_TOPICS_MAX * sizeof(*segment->topics));
	if (segment->bell_fd < 0 || !segment->topics)
		return sl_error_set(err, -ENOMEM, "no memory or descriptor for a segment");
	memset(segment->topics, 0xff, SL_SHM_TOPICS_MAX * sizeof(*segment->topics));
	if (segment->known)
		memcpy(segment->topics, segment->known->topics,
		       SL_SHM_TOPICS_MAX * sizeof(*segment->topics));
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		if (!(segment->worker_mask & UINT64_C(1) << i))
			continue;
		segment->objects[i] = object_make(agent, segment, i, starts);
		complete &= segment->objects[i] != NULL;
	}
	for (uint32_t i = 0; complete && i < agent->worker_count; i++) {
		struct sl_msg msg = {
			.kind = SL_MSG_SEGMENT_ADD, .a = index, .object = segment->objects[i]};

		if (segment->objects[i])
			complete = sl_agent_tell(agent, i, &msg) == 0;
	}
	segment->wait_mask = segment->worker_mask;
	if (complete && segment->known)
		sl_known_take(agent, segment->known);
	segment->known = NULL;
	return complete ? 0 : sl_error_set(err, -ENOMEM, "no memory for a segment");
}

/* The segment watches its application from now on. */
static void process_watch(struct sl_agent *agent, struct sl_agent_segment *segment,
			  struct sl_agent_client *client)
{
	if (segment->pidfd >= 0) {
		sl_control_unwatch(agent->admission->control, segment->pidfd);
		close(segment->pidfd);
	}
	segment->pidfd = client->pidfd;
	client->pidfd = -1;
	if (segment->pidfd >= 0)
		sl_control_watch(agent->admission->control, segment->pidfd, SL_SOURCE_PROCESS,
				 (uint32_t)(segment - agent->admission->segments),
				 segment->generation);
}

static int segment_finish(struct sl_agent *agent, struct sl_agent_segment *segment,
			  const struct starts *starts, int rc, struct sl_agent_refusal *refusal)
{
	struct sl_agent_client *client;

	if (rc == 0)
		rc = segment_tell(agent, segment, starts, &refusal->err);
	if (rc < 0) {
		sl_agent_segment_release(agent, (uint32_t)(segment - agent->admission->segments));
		return rc;
	}
	if (segment->client < 0)
		return 0;
	client = &agent->admission->clients[segment->client];
	client->segment = (int32_t)(segment - agent->admission->segments);
	process_watch(agent, segment, client);
	return 0;
}

int sl_agent_segment_open(struct sl_agent *agent, uint32_t client, const struct sl_hs_open *open,
			  int data_fd, struct sl_agent_refusal *refusal)
{
	static const struct starts begin;
	struct sl_agent_segment *segment;
	int rc = segment_begin(agent, client, open, NULL, &segment, refusal);

	if (rc < 0) {
		close(data_fd);
		return rc;
	}
	rc = data_take(segment, data_fd, refusal);
	segment->id = agent->admission->segment_id_next++;
	if (rc == 0)
		rc = status_make(agent, segment, &refusal->err);
	return segment_finish(agent, segment, &begin, rc, refusal);
}

/* ---- REATTACH ---- */

static struct sl_agent_segment *known_find(struct sl_agent *agent, uid_t uid,
					   const struct sl_hs_open *open, int data_fd)
{
	for (uint32_t i = 0; i < agent->admission->segments_max; i++) {
		struct sl_agent_segment *segment = &agent->admission->segments[i];

		if ((segment->state == SL_SEGMENT_LIVE || segment->state == SL_SEGMENT_ADDING) &&
		    segment->id == open->segment_id && segment->uid == uid &&
		    memcmp(segment->token, open->token, sizeof(segment->token)) == 0 &&
		    memcmp(segment->client_id, open->client_id, sizeof(segment->client_id)) == 0 &&
		    sl_segment_same(segment->data_fd, data_fd))
			return segment;
	}
	return NULL;
}

/* The same agent: only the connection is new. */
static void known_attach(struct sl_agent *agent, struct sl_agent_segment *segment,
			 uint32_t client_index)
{
	struct sl_agent_client *client = &agent->admission->clients[client_index];
	int32_t old = segment->client;

	segment->client = (int32_t)client_index;
	if (old >= 0) {
		agent->admission->clients[old].segment = -1;
		sl_agent_client_end(agent, (uint32_t)old, "attached again on another connection");
	}
	client->segment = (int32_t)(segment - agent->admission->segments);
	process_watch(agent, segment, client);
	memset(segment->wake_set, 0, sizeof(segment->wake_set));
	sl_agent_client_opened(agent, client_index);
}

static bool ident_matches(const struct sl_agent_segment *segment, const struct sl_hs_open *open)
{
	struct sl_shm_ident ident;

	memcpy(&ident, segment->status, sizeof(ident));
	return memcmp(ident.magic, status_magic, sizeof(status_magic)) == 0 &&
	       ident.layout == SL_SHM_LAYOUT && ident.ring_count == segment->geometry.ring_count &&
	       ident.ring_bytes == segment->geometry.ring_bytes &&
	       ident.report_slots == segment->geometry.report_slots &&
	       memcmp(ident.token, open->token, sizeof(ident.token)) == 0 &&
	       memcmp(ident.client_id, open->client_id, sizeof(ident.client_id)) == 0;
}

/* The number of the next record has 64 bits; its header holds the low half, and it is not below
 * what was settled. */
static uint64_t seq_extend(uint64_t settled, uint32_t low)
{
	uint64_t seq = (settled & ~(uint64_t)UINT32_MAX) | low;

	return seq >= settled ? seq : seq + (UINT64_C(1) << 32);
}

/*
 * Where a ring goes on: behind what the earlier agent consumed. The number of the next record is in
 * its header; when none is there yet, the earlier agent's own count is right. Both memories are
 * the application's user's to write: what cannot be is refused here, what is wrong in another way
 * poisons that ring only.
 */
static int start_find(const struct sl_agent_segment *segment, uint32_t ring, struct starts *starts,
		      struct sl_error *err)
{
	const struct sl_app_page *app = sl_segment_app_page(segment->data, ring);
	const struct sl_agent_page *page = sl_segment_agent_page(segment->status, ring);
	const uint8_t *bytes = sl_segment_ring(segment->data, &segment->geometry, ring);
	uint64_t mask = segment->geometry.ring_bytes - 1;
	uint64_t committed = atomic_load_explicit(&app->committed_pos, memory_order_acquire);
	uint64_t pos = atomic_load_explicit(&page->consumed_pos, memory_order_acquire);
	uint64_t settled = atomic_load_explicit(&page->settled_count, memory_order_relaxed);
	uint64_t at = pos;
	struct sl_record_header header;

	if (pos % SL_RECORD_ALIGN || committed % SL_RECORD_ALIGN ||
	    committed - pos > segment->geometry.ring_bytes)
		return sl_error_set(err, -EBADMSG, "ring %u: positions do not fit together", ring);
	starts->pos[ring] = pos;
	starts->seq[ring] = atomic_load_explicit(&page->consumed_seq, memory_order_relaxed);
	/* Pads and flush marks take no number; there are at most as many as fit between the two
	 * positions. */
	while (committed - at >= SL_RECORD_HEADER_BYTES &&
	       committed - at <= segment->geometry.ring_bytes &&
	       (at & mask) + SL_RECORD_HEADER_BYTES <= segment->geometry.ring_bytes) {
		memcpy(&header, bytes + (at & mask), sizeof(header));
		if (header.type == SL_RECORD_DATA) {
			starts->seq[ring] = seq_extend(settled, header.seq_lo);
			break;
		}
		if (header.length < SL_RECORD_ALIGN ||
		    sl_record_span(header.length) > committed - at)
			break;
		at += sl_record_span(header.length);
	}
	return 0;
}

/*
 * For rings that no arena knows: all of them, when the segment is not known either, and their open
 * records are unknown then. Of a known segment one that its worker had drained and given back
 * before the agent died: nothing of it may be read again, and nothing of it is open. One whose
 * arena was put aside looks the same, but that it has records without an outcome.
 */
static int starts_find(const struct sl_agent_segment *segment, struct starts *starts,
		       struct sl_error *err)
{
	for (uint32_t r = 0; r < segment->geometry.ring_count; r++) {
		const struct sl_agent_page *page = sl_segment_agent_page(segment->status, r);
		int rc;

		if (segment->known && segment->known->worker[r] != SL_KNOWN_NOWHERE)
			continue;
		rc = start_find(segment, r, starts, err);
		if (rc < 0)
			return rc;
		starts->reset[r] = !segment->known ||
				   starts->seq[r] != atomic_load_explicit(&page->settled_count,
									  memory_order_relaxed);
	}
	return 0;
}

static int adopt(struct sl_agent *agent, struct sl_agent_segment *segment,
		 const struct sl_hs_open *open, int data_fd, struct starts *starts,
		 struct sl_agent_refusal *refusal)
{
	int rc = data_take(segment, data_fd, refusal);

	if (rc < 0)
		return rc;
	rc = sl_segment_status_reopen(segment->status_ro_fd, &segment->geometry,
				      &segment->status_fd, &refusal->err);
	if (rc < 0)
		return refuse(refusal, SL_REFUSE_UNKNOWN, rc);
	rc = sl_segment_map(segment->status_fd, sl_segment_status_bytes(&segment->geometry), true,
			    &segment->status, &refusal->err);
	if (rc < 0)
		return rc;
	refusal->code = SL_REFUSE_UNKNOWN;
	if (!ident_matches(segment, open))
		return sl_error_set(&refusal->err, -ENOENT,
				    "this agent knows nothing of the segment");
	rc = starts_find(segment, starts, &refusal->err);
	if (rc < 0)
		return rc;
	refusal->code = SL_REFUSE_INTERNAL;
	memcpy(segment->token, open->token, sizeof(segment->token));
	segment->id = open->segment_id;
	return 0;
}

static bool id_taken(const struct sl_agent *agent, uint64_t id)
{
	for (uint32_t i = 0; i < agent->admission->segments_max; i++)
		if (agent->admission->segments[i].state != SL_SEGMENT_FREE &&
		    agent->admission->segments[i].id == id)
			return true;
	return false;
}

/* The arenas know it, with these rings: it goes on where they say. */
static struct sl_known_segment *known_match(struct sl_agent *agent, uid_t uid,
					    const struct sl_hs_open *open, int data_fd,
					    int status_fd)
{
	struct sl_known_segment *known =
		sl_known_find(agent, data_fd, status_fd, open->client_id, open->token);

	return known && known->uid == uid && known->ring_count == open->ring_count &&
			       known->ring_bytes == open->ring_bytes
		       ? known
		       : NULL;
}

int sl_agent_segment_reattach(struct sl_agent *agent, uint32_t client,
			      const struct sl_hs_open *open, int data_fd, int status_fd,
			      struct sl_agent_refusal *refusal)
{
	struct sl_agent_segment *segment =
		known_find(agent, agent->admission->clients[client].uid, open, data_fd);
	struct starts starts = {0};
	struct sl_known_segment *known;
	int rc;

	if (segment) {
		close(data_fd);
		close(status_fd);
		/* The keeper gave it, and not all workers have it yet: its application, which
		 * waited at the socket, was faster than they. */
		if (segment->state == SL_SEGMENT_ADDING)
			return refuse(refusal, SL_REFUSE_BUSY,
				      sl_error_set(&refusal->err, -EAGAIN,
						   "the segment is being taken up"));
		known_attach(agent, segment, client);
		return 0;
	}
	known = known_match(agent, agent->admission->clients[client].uid, open, data_fd, status_fd);
	rc = id_taken(agent, open->segment_id)
		     ? refuse(refusal, SL_REFUSE_UNKNOWN,
			      sl_error_set(&refusal->err, -ENOENT,
					   "the segment is another application's"))
		     : segment_begin(agent, client, open, known, &segment, refusal);
	if (rc < 0) {
		close(data_fd);
		close(status_fd);
		return rc;
	}
	segment->status_ro_fd = status_fd;
	rc = adopt(agent, segment, open, data_fd, &starts, refusal);
	return segment_finish(agent, segment, &starts, rc, refusal);
}

/* ---- what the keeper gives back ---- */

/* The arena has the sizes of D; those of the reports stand in S and have to fit its size. */
static int kept_geometry(const struct sl_known_segment *known, const int fds[SL_KEEPER_FDS],
			 struct sl_segment_geometry *geometry, struct sl_error *err)
{
	struct sl_shm_ident ident;
	int rc;

	if (pread(fds[1], &ident, sizeof(ident), 0) != (ssize_t)sizeof(ident) ||
	    memcmp(ident.magic, status_magic, sizeof(status_magic)) != 0 ||
	    memcmp(ident.token, known->token, sizeof(ident.token)) != 0)
		return sl_error_set(err, -EBADMSG, "its status segment is another one");
	*geometry = (struct sl_segment_geometry){known->ring_bytes, known->ring_count,
						 ident.report_slots};
	rc = sl_segment_geometry_check(geometry, err);
	if (rc == 0)
		rc = sl_segment_data_check(fds[0], geometry, err);
	return rc == 0 ? sl_segment_status_check(fds[1], geometry, err) : rc;
}

/* Takes the descriptors, whatever comes of it. */
static int kept_open(struct sl_agent_segment *segment, const int fds[SL_KEEPER_FDS],
		     struct sl_error *err)
{
	int rc;

	segment->data_fd = fds[0];
	rc = sl_segment_map(fds[0], sl_segment_data_bytes(&segment->geometry), false,
			    &segment->data, err);
	segment->status_ro_fd = fds[1];
	if (rc == 0)
		rc = sl_segment_status_reopen(fds[1], &segment->geometry, &segment->status_fd, err);
	if (rc < 0)
		return rc;
	close(segment->status_ro_fd); /* the application may be given one to read with only */
	segment->status_ro_fd = sl_segment_read_only(segment->status_fd, err);
	if (segment->status_ro_fd < 0)
		return segment->status_ro_fd;
	return sl_segment_map(segment->status_fd, sl_segment_status_bytes(&segment->geometry), true,
			      &segment->status, err);
}

static int kept_adopt(struct sl_agent *agent, const struct sl_keeper_kept *kept,
		      struct sl_known_segment *known, struct sl_error *err)
{
	struct starts starts = {0};
	struct sl_agent_refusal refusal = {.code = SL_REFUSE_INTERNAL};
	struct sl_segment_geometry geometry;
	struct sl_agent_segment *segment;
	int32_t place = place_find(agent);
	int rc = kept_geometry(known, kept->fds, &geometry, err);

	if (rc == 0 && place < 0)
		rc = sl_error_set(err, -ENOSPC, "segments.max is reached");
	if (rc < 0) {
		close(kept->fds[0]);
		close(kept->fds[1]);
		return rc;
	}
	segment = &agent->admission->segments[place];
	segment->geometry = geometry;
	workers_assign_known(agent, segment, known, err);
	segment_reset(segment, known);
	segment->kept = true;
	segment->id = kept->id;
	segment->uid = known->uid;
	segment->gid = known->gid;
	memcpy(segment->client_id, known->client_id, sizeof(segment->client_id));
	memcpy(segment->token, known->token, sizeof(segment->token));
	memcpy(segment->report_mode, known->report_mode, sizeof(segment->report_mode));
	agent->admission->mapped_bytes += sl_segment_bytes(&geometry);
	rc = kept_open(segment, kept->fds, &refusal.err);
	if (rc == 0)
		rc = starts_find(segment, &starts, &refusal.err);
	rc = segment_finish(agent, segment, &starts, rc, &refusal);
	*err = refusal.err;
	return rc;
}

void sl_agent_segments_kept(struct sl_agent *agent)
{
	struct sl_keeper_kept *kept = calloc(SL_KEEPER_ENTRIES_MAX, sizeof(*kept));
	int count = kept ? agent->keeper->ops->list(agent->keeper, kept, SL_KEEPER_ENTRIES_MAX)
			 : -ENOMEM;

	for (int i = 0; i < count; i++) {
		struct sl_known_segment *known =
			sl_known_find(agent, kept[i].fds[0], kept[i].fds[1], NULL, NULL);
		struct sl_error err = {0};
		int rc = -ENOENT;

		if (known)
			rc = kept_adopt(agent, &kept[i], known, &err);
		if (rc == 0)
			continue;
		/* A living application shows its own descriptors when it comes back. */
		SL_LOG(&agent->log, SL_LOG_WARNING, "kept_not_taken", SL_N("id", kept[i].id),
		       SL_T("reason", known ? err.text : "no arena knows it"));
		if (!known) {
			close(kept[i].fds[0]);
			close(kept[i].fds[1]);
		}
		sl_agent_keep_drop(agent, kept[i].id);
	}
	free(kept);
}
