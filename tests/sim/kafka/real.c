/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kafka/real.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SILENCE_S_MAX = 30 };

__attribute__((noreturn)) static void hopeless(const char *what)
{
	fprintf(stderr, "model_vs_kafka: %s: %s\n", what, strerror(errno));
	exit(2);
}

void real_init(struct real *real, uint16_t port)
{
	*real = (struct real){port, -1, malloc(REAL_ANSWER_BYTES_MAX)};
	if (!real->in)
		hopeless("no memory");
}

void real_disconnect(struct real *real)
{
	if (real->fd >= 0)
		close(real->fd);
	real->fd = -1;
}

void real_fini(struct real *real)
{
	real_disconnect(real);
	free(real->in);
}

static void connect_now(struct real *real)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(real->port)};
	struct timeval silence = {.tv_sec = SILENCE_S_MAX};
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	real->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (real->fd < 0 || connect(real->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		hopeless("no connection to the broker");
	setsockopt(real->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(real->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
}

/* False when the connection has ended. */
static bool read_all(struct real *real, uint8_t *out, uint32_t bytes)
{
	while (bytes > 0) {
		ssize_t n = recv(real->fd, out, bytes, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			hopeless("the broker does not answer");
		if (n <= 0)
			return false;
		out += n;
		bytes -= (uint32_t)n;
	}
	return true;
}

static bool write_all(struct real *real, const uint8_t *data, uint32_t bytes)
{
	while (bytes > 0) {
		ssize_t n = send(real->fd, data, bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		bytes -= (uint32_t)n;
	}
	return true;
}

int real_ask(struct real *real, const uint8_t *frame, uint32_t bytes, bool answered,
	     struct sl_rbuf *body)
{
	uint8_t size[4];
	uint32_t in_bytes;

	if (real->fd < 0)
		connect_now(real);
	if (!write_all(real, frame, bytes))
		goto ended;
	if (!answered)
		return 0;
	if (!read_all(real, size, sizeof(size)))
		goto ended;
	in_bytes = sl_load_be32(size);
	if (in_bytes > REAL_ANSWER_BYTES_MAX) {
		errno = EMSGSIZE;
		hopeless("the broker's answer");
	}
	if (!read_all(real, real->in, in_bytes))
		goto ended;
	*body = sl_rbuf_on(real->in, in_bytes);
	return 1;
ended:
	real_disconnect(real);
	return -EPIPE;
}
