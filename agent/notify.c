/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

bool sl_notify_present(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && (path[0] == '/' || path[0] == '@');
}

/* Where NOTIFY_SOCKET says. The address's length or -errno. */
static int address_of_manager(struct sockaddr_un *to)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t path_bytes;

	if (!sl_notify_present())
		return -ENOENT;
	path_bytes = strlen(path);
	if (path_bytes >= sizeof(to->sun_path))
		return -ENAMETOOLONG;
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, path, path_bytes);
	if (path[0] == '@') /* an abstract name begins with a zero byte */
		to->sun_path[0] = 0;
	return (int)(offsetof(struct sockaddr_un, sun_path) + path_bytes);
}

static int message_send(const char *state, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct sockaddr_un to;
	int to_bytes = address_of_manager(&to);
	struct iovec text = {(void *)(uintptr_t)state, strlen(state)};
	struct msghdr head = {.msg_name = &to,
			      .msg_namelen = (socklen_t)to_bytes,
			      .msg_iov = &text,
			      .msg_iovlen = 1};
	const struct timeval limit = {.tv_sec = 1};
	ssize_t sent;
	int error;
	int sock;

	if (to_bytes < 0)
		return to_bytes;
	if (fd >= 0) {
		head.msg_control = control.bytes;
		head.msg_controllen = sizeof(control.bytes);
		*CMSG_FIRSTHDR(&head) = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
							 .cmsg_type = SCM_RIGHTS,
							 .cmsg_len = CMSG_LEN(sizeof(fd))};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&head)), &fd, sizeof(fd));
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	/* The manager's queue is short and all services' together. */
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	sent = sendmsg(sock, &head, MSG_NOSIGNAL);
	error = errno;
	close(sock);
	return sent < 0 ? -error : 0;
}

int sl_notify(const char *state)
{
	return message_send(state, -1);
}

int sl_notify_fd(const char *state, int fd)
{
	return message_send(state, fd);
}

int sl_notify_barrier(int timeout_ms)
{
	struct pollfd polled = {0};
	int ends[2];
	int rc;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* The manager closes its copy of this end when it comes to the message. */
	rc = sl_notify_fd("BARRIER=1", ends[1]);
	close(ends[1]);
	polled.fd = ends[0];
	if (rc == 0) {
		rc = poll(&polled, 1, timeout_ms);
		rc = rc > 0 ? 0 : rc == 0 ? -ETIMEDOUT : -errno;
	}
	close(ends[0]);
	return rc;
}

bool sl_notify_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(fd, &st) < 0)
		return false;
	return st.st_dev == device && st.st_ino == inode;
}
