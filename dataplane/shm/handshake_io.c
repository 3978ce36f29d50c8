/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and the descriptors that go with them, over the socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/shm/handshake.h"

/* Room for more descriptors than any message has, so that a surplus arrives here, is counted and is
 * closed. */
enum { FDS_RECEIVED_MAX = 16 };

static int errno_of_peer(int code)
{
	return code == ECONNRESET || code == ENOTCONN || code == ESHUTDOWN ? -EPIPE : -code;
}

int sl_handshake_send(int sock, const union sl_hs_message *msg, const int *fds,
		      struct sl_error *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * SL_HS_FDS_MAX)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = msg->head.bytes};
	struct msghdr head = {.msg_iov = &iov, .msg_iovlen = 1};
	uint32_t fd_count = sl_handshake_fds(msg->head.type);
	ssize_t sent;
	int code;

	SL_ASSERT(msg->head.bytes == sl_handshake_bytes(msg->head.type));
	if (fd_count > 0) {
		struct cmsghdr *cmsg;

		head.msg_control = control.bytes;
		head.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		cmsg = CMSG_FIRSTHDR(&head);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	do {
		sent = sendmsg(sock, &head, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)msg->head.bytes)
		return 0;
	code = sent < 0 ? errno_of_peer(errno) : -EMSGSIZE;
	return sl_error_set(err, code, "send %s: %s", sl_handshake_name(msg->head.type),
			    strerror(-code));
}

static void close_all(const int *fds, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		close(fds[i]);
}

/* Every descriptor that came, also of a second control message. */
static uint32_t fds_collect(struct msghdr *head, int fds[FDS_RECEIVED_MAX])
{
	struct cmsghdr *cmsg;
	uint32_t count = 0;

	for (cmsg = CMSG_FIRSTHDR(head); cmsg; cmsg = CMSG_NXTHDR(head, cmsg)) {
		size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);
		size_t i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i + sizeof(int) <= bytes && count < FDS_RECEIVED_MAX; i += sizeof(int))
			memcpy(&fds[count++], CMSG_DATA(cmsg) + i, sizeof(int));
	}
	return count;
}

int sl_handshake_recv(int sock, enum sl_hs_side from, union sl_hs_message *msg,
		      int fds[SL_HS_FDS_MAX], struct sl_error *err)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FDS_RECEIVED_MAX)];
	} control;
	int received[FDS_RECEIVED_MAX];
	struct iovec iov = {.iov_base = msg, .iov_len = sizeof(*msg)};
	struct msghdr head = {.msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes)};
	uint32_t count, i;
	ssize_t bytes;
	int rc;

	for (i = 0; i < SL_HS_FDS_MAX; i++)
		fds[i] = -1;
	do {
		bytes = recvmsg(sock, &head, MSG_CMSG_CLOEXEC);
	} while (bytes < 0 && errno == EINTR);
	if (bytes < 0) {
		rc = errno_of_peer(errno);
		return sl_error_set(err, rc, "receive: %s", strerror(-rc));
	}
	count = fds_collect(&head, received);
	if (bytes == 0 && count == 0)
		return sl_error_set(err, -EPIPE, "the other side has closed the connection");
	if (head.msg_flags & (MSG_CTRUNC | MSG_TRUNC))
		rc = sl_error_set(err, -EPROTO, "message with too many bytes or descriptors");
	else
		rc = sl_handshake_check(msg, (size_t)bytes, count, from, err);
	if (rc < 0) {
		close_all(received, count);
		return rc;
	}
	SL_ASSERT(count <= SL_HS_FDS_MAX);
	memcpy(fds, received, sizeof(int) * count);
	return 0;
}
