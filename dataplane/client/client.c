/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing, topics and rings: all that happens once. */
#include "dataplane/client/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/wake.h"

static int ring_map(sluice_client *client, uint32_t index, struct sl_error *err)
{
	const struct sl_segment_geometry *geometry = &client->geometry;
	uint64_t share = geometry->ring_bytes / SL_RING_RECORD_SHARE;
	struct ring_cold *cold;
	sluice_ring *ring;

	ring = mmap(NULL, RING_HANDLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (ring == MAP_FAILED)
		return sl_error_set(err, -ENOMEM, "map a ring's handle");
	client->rings[index] = ring;
	client->rings_mapped = index + 1;
	if (madvise(ring, SL_SHM_PAGE_BYTES, MADV_WIPEONFORK) != 0)
		return sl_error_set(err, -errno, "MADV_WIPEONFORK: %s", strerror(errno));
	*ring = (struct sluice_ring){
		.data = sl_segment_ring(client->data, geometry, index),
		.mask = geometry->ring_bytes - 1,
		.limit_pos = geometry->ring_bytes,
		.app = sl_segment_app_page(client->data, index),
		.agent = sl_segment_agent_page(client->status, index),
		.client = client,
		.record_bytes_max = client->limits.record_bytes_max < share
					    ? client->limits.record_bytes_max
					    : (uint32_t)share,
		.fence = client->fence,
		.bell = client->bell,
	};
	cold = ring_cold(ring);
	cold->client = client;
	cold->index = index;
	cold->report_mode = client->report_mode[index];
	cold->reports = sl_segment_reports(client->status, geometry, index);
	cold->report_slots = geometry->report_slots;
	cold->wake[0] = cold->wake[1] = -1;
	return 0;
}

static int data_make(sluice_client *client, struct sl_error *err)
{
	struct sl_segment_ident ident = {.agent_epoch = 0};
	uint64_t bytes = sl_segment_data_bytes(&client->geometry);
	int rc;

	memcpy(ident.client_id, client->client_id, sizeof(ident.client_id));
	client->data_fd = sl_segment_data_create(&client->geometry, &ident, err);
	if (client->data_fd < 0)
		return client->data_fd;
	rc = sl_segment_alive_lock(client->data_fd, err);
	if (rc == 0)
		rc = sl_segment_map(client->data_fd, bytes, true, &client->data, err);
	if (rc == 0)
		sl_segment_prefault(client->data, bytes, true);
	return rc;
}

static int segments_open(sluice_client *client, struct sl_error *err)
{
	union sl_hs_message ask, answer;
	int fds[SL_HS_FDS_MAX];
	uint32_t i;
	int rc;

	sl_session_open_fill(&ask, client, false);
	rc = sl_session_exchange(client->sock, &ask, &client->data_fd, client->timeout_ms, &answer,
				 fds, err);
	if (rc < 0)
		return rc;
	client->status_fd = fds[0];
	client->bell = fds[1];
	if (answer.head.type != SL_HS_OPENED)
		return sl_error_set(err, -EPROTO, "the agent answered OPEN with %s",
				    sl_handshake_name(answer.head.type));
	client->segment_id = answer.opened.segment_id;
	memcpy(client->token, answer.opened.token, sizeof(client->token));
	rc = sl_segment_status_check(client->status_fd, &client->geometry, err);
	if (rc < 0)
		return rc;
	rc = sl_segment_map(client->status_fd, sl_segment_status_bytes(&client->geometry), false,
			    &client->status, err);
	for (i = 0; rc == 0 && i < client->geometry.ring_count; i++)
		rc = ring_map(client, i, err);
	return rc;
}

static int client_connect(sluice_client *client, const struct sluice_options *options,
			  struct sl_error *err)
{
	uint32_t i;
	int rc;

	client->sock = sl_session_connect(client->path, err);
	if (client->sock < 0)
		return client->sock;
	rc = sl_session_hello(client->sock, client->client_id, client->name, client->timeout_ms,
			      &client->limits, err);
	if (rc == 0)
		rc = sl_client_geometry(options, &client->limits, &client->geometry, err);
	if (rc < 0)
		return rc;
	for (i = 0; i < client->geometry.ring_count; i++)
		client->report_mode[i] = options->ring_report_modes ? options->ring_report_modes[i]
								    : (uint8_t)options->report_mode;
	client->fence = sl_wake_register() < 0 || (client->limits.flags & SL_HS_WELCOME_FENCE) != 0;
	rc = data_make(client, err);
	return rc < 0 ? rc : segments_open(client, err);
}

/* Printable and short enough for the handshake, whatever the program is called. */
static void name_copy(char *to, size_t bytes, const char *name)
{
	char *p;

	snprintf(to, bytes, "%s", name);
	for (p = to; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static int client_make(const struct sluice_options *options, sluice_client **out,
		       struct sl_error *err)
{
	sluice_client *client = calloc(1, sizeof(*client));
	int rc = 0;

	if (!client)
		return sl_error_set(err, -ENOMEM, "no memory for a client");
	client->owner = getpid();
	client->sock = client->data_fd = client->status_fd = client->bell = -1;
	client->retry_ms = CLIENT_RETRY_MS_MIN;
	client->timeout_ms = options->timeout_ms;
	client->random = sl_random_seed();
	pthread_mutex_init(&client->lock, NULL);
	atomic_init(&client->state, SESSION_ATTACHED);
	name_copy(client->name, sizeof(client->name), options->name);
	*out = client;
	if (getrandom(client->client_id, sizeof(client->client_id), 0) !=
	    (ssize_t)sizeof(client->client_id))
		return sl_error_set(err, -EIO, "getrandom");
	if (!options->socket_path)
		rc = sluice_socket_path(client->path, sizeof(client->path));
	else if ((size_t)snprintf(client->path, sizeof(client->path), "%s", options->socket_path) >=
		 sizeof(client->path))
		rc = -ENAMETOOLONG;
	return rc < 0 ? sl_error_set(err, rc, "the socket's path is too long") : 0;
}

int sluice_open(const struct sluice_options *given, sluice_client **out)
{
	struct sl_error error = {0};
	struct sluice_options options;
	sluice_client *client = NULL;
	int rc;

	*out = NULL;
	rc = sl_client_options(given, &options, &error);
	if (rc == 0)
		rc = client_make(&options, &client, &error);
	if (rc == 0)
		rc = client_connect(client, &options, &error);
	if (rc == 0) {
		*out = client;
		return 0;
	}
	sluice_close(client);
	if (given && given->struct_bytes >= sizeof(options) && given->error_text &&
	    given->error_text_bytes)
		snprintf(given->error_text, given->error_text_bytes, "%s", error.text);
	return rc;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void rings_free(sluice_client *client)
{
	uint32_t i;

	for (i = 0; i < client->rings_mapped; i++) {
		struct ring_cold *cold = ring_cold(client->rings[i]);

		close_fd(cold->wake[0]);
		close_fd(cold->wake[1]);
		sl_settled_free(&cold->map);
		munmap(client->rings[i], RING_HANDLE_BYTES);
	}
}

void sluice_close(sluice_client *client)
{
	uint32_t i;

	if (!client)
		return;
	rings_free(client);
	/* In a child the segments are not mapped, and something else may lie at their addresses by
	 * now. */
	if (!sl_client_is_child(client)) {
		if (client->data)
			sl_segment_unmap(client->data, sl_segment_data_bytes(&client->geometry));
		if (client->status)
			sl_segment_unmap(client->status,
					 sl_segment_status_bytes(&client->geometry));
		pthread_mutex_destroy(&client->lock);
	}
	close_fd(client->sock);
	close_fd(client->data_fd);
	close_fd(client->status_fd);
	close_fd(client->bell);
	for (i = 0; i < client->topic_count; i++)
		free(client->topics[i]);
	free(client);
}

static int topic_add(sluice_client *client, const char *name, sluice_topic **out)
{
	uint32_t slot = atomic_load_explicit(&client->topic_count, memory_order_relaxed);
	union sl_hs_message ask, answer;
	sluice_topic *topic;
	int rc;

	if (slot >= client->limits.topics_max)
		return sl_error_set(&client->error, -ENOSPC, "more than %u topics",
				    client->limits.topics_max);
	sl_session_topic_fill(&ask, slot, name);
	rc = sl_session_exchange(client->sock, &ask, NULL, client->timeout_ms, &answer, NULL,
				 &client->error);
	if (rc < 0)
		return rc == -EPIPE ? -ENOTCONN : rc;
	if (answer.head.type != SL_HS_TOPIC_OK || answer.topic_ok.slot != slot)
		return sl_error_set(&client->error, -EPROTO, "the agent answered TOPIC with %s",
				    sl_handshake_name(answer.head.type));
	topic = calloc(1, sizeof(*topic));
	if (!topic)
		return sl_error_set(&client->error, -ENOMEM, "no memory for a topic");
	topic->client = client;
	topic->slot = (uint16_t)slot;
	topic->partitions = answer.topic_ok.partitions;
	snprintf(topic->name, sizeof(topic->name), "%s", name);
	client->topics[slot] = topic;
	/* Release: pairs with the acquire in report_fill(), which reads the pointer without the
	 * lock. */
	atomic_store_explicit(&client->topic_count, slot + 1, memory_order_release);
	*out = topic;
	return 0;
}

int sluice_topic_bind(sluice_client *client, const char *name, sluice_topic **topic)
{
	uint32_t i;
	int rc;

	*topic = NULL;
	if (sl_client_is_child(client))
		return -ECHILD;
	if (!sl_topic_name_ok(name))
		return -EINVAL;
	sl_client_settle(client, client->timeout_ms);
	pthread_mutex_lock(&client->lock);
	for (i = 0; i < client->topic_count; i++)
		if (strcmp(client->topics[i]->name, name) == 0)
			*topic = client->topics[i];
	if (*topic)
		rc = 0;
	else if (sl_client_state(client) != SLUICE_ATTACHED)
		rc = sl_error_set(&client->error, -ENOTCONN, "the agent is away");
	else
		rc = topic_add(client, name, topic);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

const char *sluice_topic_name(const sluice_topic *topic)
{
	return topic->name;
}

int32_t sluice_topic_partitions(const sluice_topic *topic)
{
	return topic->partitions;
}

static int ring_options_read(const struct sluice_ring_options *given,
			     struct sluice_ring_options *options)
{
	if (given) {
		if (given->struct_bytes == 0 || given->struct_bytes > sizeof(*options))
			return -EINVAL;
		memcpy(options, given, given->struct_bytes);
	}
	if (options->full_policy == 0)
		options->full_policy = SLUICE_FULL_WAIT;
	if (options->full_timeout_ms == 0)
		options->full_timeout_ms = 30000;
	return options->full_policy > SLUICE_FULL_DROP || options->report_mode > SLUICE_REPORT_NONE
		       ? -EINVAL
		       : 0;
}

int sluice_ring_get(sluice_client *client, const struct sluice_ring_options *given,
		    sluice_ring **out)
{
	struct sluice_ring_options options = SLUICE_RING_OPTIONS_INIT;
	uint32_t i;
	int rc;

	*out = NULL;
	if (sl_client_is_child(client))
		return -ECHILD;
	rc = ring_options_read(given, &options);
	for (i = 0; rc == 0 && i < client->geometry.ring_count; i++) {
		struct ring_cold *cold = ring_cold(client->rings[i]);
		uint32_t is_free = 0;

		if (options.report_mode != 0 && options.report_mode != cold->report_mode)
			continue;
		/* Acquire: pairs with sluice_ring_put(), so that the handle is as the last thread
		 * left it. */
		if (!atomic_compare_exchange_strong_explicit(
			    &cold->taken, &is_free, 1, memory_order_acquire, memory_order_relaxed))
			continue;
		cold->full_policy = options.full_policy;
		cold->full_timeout_ms = options.full_timeout_ms;
		*out = client->rings[i];
		return 0;
	}
	return rc < 0 ? rc : -ENOENT;
}

void sluice_ring_put(sluice_ring *ring)
{
	ring->claim_end = 0;
	atomic_store_explicit(&ring_cold(ring)->taken, 0, memory_order_release);
}

int sluice_ping(sluice_client *client)
{
	return sl_client_is_child(client) ? -ECHILD : (int)sl_client_step(client);
}

int sluice_agent_status(const char *socket_path, uint32_t timeout_ms, int *fd, uint64_t *text_bytes)
{
	uint8_t client_id[SL_HS_CLIENT_ID_BYTES] = {1};
	union sl_hs_message ask, answer;
	struct sl_hs_welcome welcome;
	int fds[SL_HS_FDS_MAX] = {-1, -1};
	char path[108];
	int sock, rc;

	rc = socket_path ? 0 : sluice_socket_path(path, sizeof(path));
	if (rc < 0)
		return rc;
	sock = sl_session_connect(socket_path ? socket_path : path, NULL);
	if (sock < 0)
		return sock;
	rc = sl_session_hello(sock, client_id, "status", timeout_ms, &welcome, NULL);
	if (rc == 0) {
		sl_handshake_init(&ask, SL_HS_STATUS);
		ask.status.format = SL_STATUS_JSON;
		rc = sl_session_exchange(sock, &ask, NULL, timeout_ms, &answer, fds, NULL);
	}
	close(sock);
	if (rc < 0)
		return rc;
	if (answer.head.type != SL_HS_STATUS_REPLY) {
		close_fd(fds[0]);
		close_fd(fds[1]);
		return -EPROTO;
	}
	*fd = fds[0];
	*text_bytes = answer.status.text_bytes;
	return 0;
}

const char *sluice_last_error(const sluice_client *client)
{
	return client->error.text;
}

const char *sluice_ring_last_error(const sluice_ring *ring)
{
	return ring_cold(ring)->error.text;
}
