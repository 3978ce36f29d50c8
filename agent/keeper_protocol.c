/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keeper_protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more than is ever sent: what a peer sends too much is seen, and closed. */
enum { FDS_ROOM = 8 };

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_ROOM * sizeof(int))];
};

void sl_keeper_packet_init(struct sl_keeper_packet *packet, enum sl_keeper_kind kind)
{
	memset(packet, 0, sizeof(*packet));
	packet->msg.magic = SL_KEEPER_MAGIC;
	packet->msg.version = SL_KEEPER_VERSION;
	packet->msg.kind = kind;
	memcpy(packet->msg.build, SL_VERSION, sizeof(SL_VERSION));
	static_assert(sizeof(SL_VERSION) <= sizeof(packet->msg.build), "build fits");
	for (uint32_t i = 0; i < SL_KEEPER_FDS; i++)
		packet->fds[i] = -1;
}

void sl_keeper_packet_close(struct sl_keeper_packet *packet)
{
	for (uint32_t i = 0; i < packet->fd_count; i++) {
		close(packet->fds[i]);
		packet->fds[i] = -1;
	}
	packet->fd_count = 0;
}

int sl_keeper_packet_send(int sock, const struct sl_keeper_packet *packet)
{
	struct iovec bytes = {(void *)(uintptr_t)&packet->msg, sizeof(packet->msg)};
	union control control = {0};
	struct msghdr head = {.msg_iov = &bytes, .msg_iovlen = 1};
	size_t fds_bytes = packet->fd_count * sizeof(int);
	ssize_t sent;

	if (packet->fd_count) {
		struct cmsghdr *part;

		head.msg_control = control.bytes;
		head.msg_controllen = CMSG_SPACE(fds_bytes);
		part = CMSG_FIRSTHDR(&head);
		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(fds_bytes);
		memcpy(CMSG_DATA(part), packet->fds, fds_bytes);
	}
	do
		sent = sendmsg(sock, &head, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Takes the descriptors of a message out of its control part; true when there were no more than may
 * be. */
static bool fds_take(struct msghdr *head, struct sl_keeper_packet *packet)
{
	bool fits = true;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part; part = CMSG_NXTHDR(head, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
			if (packet->fd_count < SL_KEEPER_FDS) {
				packet->fds[packet->fd_count++] = fd;
			} else {
				close(fd);
				fits = false;
			}
		}
	}
	return fits;
}

int sl_keeper_packet_recv(int sock, struct sl_keeper_packet *packet)
{
	struct iovec bytes = {&packet->msg, sizeof(packet->msg)};
	union control control;
	struct msghdr head = {.msg_iov = &bytes,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes)};
	ssize_t got;
	bool fits;

	sl_keeper_packet_init(packet, 0);
	do
		got = recvmsg(sock, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	fits = fds_take(&head, packet);
	if (got == (ssize_t)sizeof(packet->msg) && fits &&
	    !(head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && packet->msg.magic == SL_KEEPER_MAGIC)
		return 0;
	sl_keeper_packet_close(packet);
	if (got == 0)
		return -EPIPE;
	return head.msg_flags & MSG_CTRUNC ? -EMFILE : -EBADMSG;
}
