/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/kafka_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "dataplane/wire/api_versions.h"

enum { RECEIVE_BYTES = 4 << 20 };

static int refuse(struct kafka_link *link, struct sl_error *err, int code, const char *why)
{
	kafka_link_close(link);
	return sl_error_set(err, code, "%s:%u: %s", link->host, link->port, why);
}

static int socket_connect(const struct addrinfo *at)
{
	struct timeval limit = {.tv_sec = KAFKA_TIMEOUT_S};
	int one = 1, bytes = RECEIVE_BYTES;
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

static int any_connect(struct kafka_link *link, struct sl_error *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list, *at;
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", link->port);
	rc = getaddrinfo(link->host, port, &hints, &list);
	if (rc != 0)
		return sl_error_set(err, -EHOSTUNREACH, "%s: %s", link->host, gai_strerror(rc));
	for (at = list; at; at = at->ai_next) {
		rc = socket_connect(at);
		if (rc >= 0)
			break;
	}
	freeaddrinfo(list);
	if (rc < 0)
		return refuse(link, err, rc, strerror(-rc));
	link->fd = rc;
	return 0;
}

void kafka_link_close(struct kafka_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

int kafka_link_send(struct kafka_link *link, const uint8_t *frame, int bytes, struct sl_error *err)
{
	if (bytes < 0)
		return refuse(link, err, bytes, "a request that does not fit");
	while (bytes > 0) {
		ssize_t sent = send(link->fd, frame, (size_t)bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return refuse(link, err, -errno, strerror(errno));
		frame += sent;
		bytes -= (int)sent;
	}
	return 0;
}

static int take(struct kafka_link *link, uint8_t *to, size_t bytes, struct sl_error *err)
{
	while (bytes > 0) {
		ssize_t got = recv(link->fd, to, bytes, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return refuse(link, err, -ETIMEDOUT, "no answer");
		if (got <= 0)
			return refuse(link, err, got < 0 ? -errno : -ECONNRESET,
				      got < 0 ? strerror(errno) : "closed the connection");
		to += got;
		bytes -= (size_t)got;
	}
	return 0;
}

int kafka_link_receive(struct kafka_link *link, int16_t api, const struct sl_request_head *head, struct kafka_buffer *in,
		       struct sl_rbuf *body, struct sl_error *err)
{
	uint8_t size[4];
	uint32_t bytes;
	int32_t correlation_id;
	int rc = take(link, size, sizeof(size), err);

	if (rc < 0)
		return rc;
	bytes = sl_load_be32(size);
	if (bytes > KAFKA_FRAME_BYTES_MAX)
		return refuse(link, err, -EBADMSG, "an answer that is no Kafka's");
	if (bytes > in->room) {
		free(in->data);
		in->data = malloc(bytes);
		in->room = in->data ? bytes : 0;
		if (!in->data)
			return refuse(link, err, -ENOMEM, "no memory for an answer");
	}
	rc = take(link, in->data, bytes, err);
	if (rc < 0)
		return rc;
	*body = sl_rbuf_on(in->data, bytes);
	if (sl_response_begin(body, api, head->version, &correlation_id) < 0 || correlation_id != head->correlation_id)
		return refuse(link, err, -EBADMSG, "an answer to another question");
	return 0;
}

int kafka_link_head(struct kafka_link *link, int16_t api, struct sl_request_head *head, struct sl_error *err)
{
	int version = sl_api_version_pick(&link->versions, api);

	if (version < 0)
		return sl_error_set(err, -EPROTONOSUPPORT, "%s:%u: no version of %s in common", link->host, link->port,
				    sl_api_name(api));
	*head = (struct sl_request_head){(int16_t)version, ++link->correlation_id, sl_slice_of("sluice-verify")};
	return 0;
}

static int versions_ask(struct kafka_link *link, int16_t version, struct sl_error *err)
{
	struct sl_request_head head = {version, ++link->correlation_id, sl_slice_of("sluice-verify")};
	struct sl_api_versions_answer answer = {.error_code = 0};
	struct kafka_buffer in = {NULL, 0};
	uint8_t frame[KAFKA_REQUEST_BYTES];
	struct sl_wbuf w = sl_wbuf_on(frame, sizeof(frame));
	struct sl_rbuf body;
	int bytes = sl_api_versions_request_encode(&w, &head, sl_slice_of("sluice"), sl_slice_of(SL_VERSION));
	int rc = kafka_link_send(link, frame, bytes, err);

	if (rc == 0)
		rc = kafka_link_receive(link, SL_API_API_VERSIONS, &head, &in, &body, err);
	if (rc == 0 && sl_api_versions_response_decode(&body, version, &answer) < 0)
		rc = refuse(link, err, -EBADMSG, "an answer that is no Kafka's");
	free(in.data);
	if (rc == 0 && answer.error_code != 0 && answer.retry_version >= 0)
		return versions_ask(link, answer.retry_version, err);
	if (rc == 0 && answer.error_code != 0)
		rc = refuse(link, err, -EPROTONOSUPPORT, "its versions are not ours");
	if (rc == 0)
		link->versions = answer.table;
	return rc;
}

int kafka_link_open(struct kafka_link *link, const char *host, uint16_t port, struct sl_error *err)
{
	int rc;

	*link = (struct kafka_link){.fd = -1, .port = port};
	snprintf(link->host, sizeof(link->host), "%s", host);
	rc = any_connect(link, err);
	return rc < 0 ? rc : versions_ask(link, 3, err);
}
