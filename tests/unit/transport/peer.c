/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transport/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"

static int bound_socket(struct sl_address *address, int receive_bytes)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	SL_ASSERT(fd >= 0);
	if (receive_bytes)
		SL_ASSERT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
				     sizeof(receive_bytes)) == 0);
	SL_ASSERT(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
	SL_ASSERT(getsockname(fd, (struct sockaddr *)&in, &bytes) == 0);
	*address = (struct sl_address){.family = 4, .port = ntohs(in.sin_port)};
	memcpy(address->ip, &in.sin_addr, 4);
	return fd;
}

int peer_listen(struct sl_address *address, int backlog, int receive_bytes)
{
	int fd = bound_socket(address, receive_bytes);

	SL_ASSERT(listen(fd, backlog) == 0);
	return fd;
}

void peer_nobody(struct sl_address *address)
{
	close(bound_socket(address, 0));
}

int peer_accept(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static int64_t moved(ssize_t bytes)
{
	if (bytes < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return bytes == 0 ? -1 : bytes;
}

int64_t peer_read(int fd, void *out, uint32_t bytes)
{
	return moved(read(fd, out, bytes));
}

int64_t peer_write(int fd, const void *data, uint32_t bytes)
{
	return moved(send(fd, data, bytes, MSG_NOSIGNAL));
}

void peer_reset(int fd)
{
	const struct linger at_once = {.l_onoff = 1};

	SL_ASSERT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	close(fd);
}
