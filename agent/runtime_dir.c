/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 256 };

/* mkdir -p, each folder on the way 0755. */
static int folders_make(const char *path, struct sl_error *err)
{
	char part[SL_PATH_BYTES + 16];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return sl_error_set(err, -errno, "make folder %s: %s", part,
					    strerror(errno));
		*slash = '/';
	}
	if (mkdir(part, 0755) < 0 && errno != EEXIST)
		return sl_error_set(err, -errno, "make folder %s: %s", part, strerror(errno));
	return 0;
}

/* The folder is ours, no symbolic link, and has exactly this mode. */
static int folder_settle(const char *path, mode_t mode, struct sl_error *err)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return sl_error_set(err, -errno, "make folder %s: %s", path, strerror(errno));
	if (lstat(path, &st) < 0)
		return sl_error_set(err, -errno, "look at folder %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return sl_error_set(err, -ENOTDIR, "%s is no folder", path);
	if (st.st_uid != geteuid())
		return sl_error_set(err, -EPERM,
				    "folder %s belongs to user %u, not to this agent's user %u",
				    path, st.st_uid, geteuid());
	if ((st.st_mode & 07777) != mode && chmod(path, mode) < 0)
		return sl_error_set(err, -errno, "set mode of %s: %s", path, strerror(errno));
	return 0;
}

static int lock_take(struct sl_runtime_dir *dir, struct sl_error *err)
{
	char path[SL_PATH_BYTES + 32];
	char text[32] = "";

	snprintf(path, sizeof(path), "%s/lock", dir->private_path);
	dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (dir->lock_fd < 0)
		return sl_error_set(err, -errno, "open %s: %s", path, strerror(errno));
	if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return sl_error_set(err, -errno, "lock %s: %s", path, strerror(errno));
		if (pread(dir->lock_fd, text, sizeof(text) - 1, 0) <= 0)
			snprintf(text, sizeof(text), "unknown");
		text[strcspn(text, "\n")] = 0;
		return sl_error_set(err, -EADDRINUSE, "another agent lives in %s (pid %s)",
				    dir->path, text);
	}
	snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(dir->lock_fd, 0) < 0 || pwrite(dir->lock_fd, text, strlen(text), 0) < 0)
		return sl_error_set(err, -errno, "write %s: %s", path, strerror(errno));
	return 0;
}

static int listener_open(struct sl_runtime_dir *dir, struct sl_error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat st;

	memcpy(at.sun_path, dir->socket_path, sizeof(at.sun_path));
	/* We hold the lock, so whoever made this socket is dead; anything that is no socket is not
	 * ours to remove. */
	if (lstat(dir->socket_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return sl_error_set(err, -EEXIST, "%s is in the way and no socket",
					    dir->socket_path);
		unlink(dir->socket_path);
	}
	dir->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (dir->listen_fd < 0)
		return sl_error_set(err, -errno, "socket: %s", strerror(errno));
	if (bind(dir->listen_fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return sl_error_set(err, -errno, "bind %s: %s", dir->socket_path, strerror(errno));
	if (chmod(dir->socket_path, 0666) < 0)
		return sl_error_set(err, -errno, "set mode of %s: %s", dir->socket_path,
				    strerror(errno));
	if (listen(dir->listen_fd, LISTEN_BACKLOG) < 0)
		return sl_error_set(err, -errno, "listen on %s: %s", dir->socket_path,
				    strerror(errno));
	return 0;
}

static int paths_make(struct sl_runtime_dir *dir, const char *path, struct sl_error *err)
{
	size_t bytes = strlen(path);

	while (bytes > 1 && path[bytes - 1] == '/')
		bytes--;
	if (bytes == 0 || path[0] != '/')
		return sl_error_set(err, -EINVAL, "runtime.dir '%s' is no absolute path", path);
	if (bytes + sizeof("/agent.sock") > sizeof(dir->socket_path))
		return sl_error_set(
			err, -ENAMETOOLONG,
			"runtime.dir %s: the socket's path would have more than %zu bytes", path,
			sizeof(dir->socket_path) - 1);
	memcpy(dir->path, path, bytes);
	dir->path[bytes] = 0;
	memcpy(dir->private_path, path, bytes);
	memcpy(dir->private_path + bytes, "/private", sizeof("/private"));
	memset(dir->socket_path, 0, sizeof(dir->socket_path));
	memcpy(dir->socket_path, path, bytes);
	memcpy(dir->socket_path + bytes, "/agent.sock", sizeof("/agent.sock"));
	return 0;
}

int sl_runtime_dir_take(struct sl_runtime_dir *dir, const char *path, struct sl_error *err)
{
	int rc;

	dir->lock_fd = -1;
	dir->listen_fd = -1;
	rc = paths_make(dir, path, err);
	if (rc == 0)
		rc = folders_make(dir->path, err);
	if (rc == 0)
		rc = folder_settle(dir->path, 0755, err);
	if (rc == 0)
		rc = folder_settle(dir->private_path, 0700, err);
	if (rc == 0)
		rc = lock_take(dir, err);
	if (rc < 0 && dir->lock_fd >= 0) {
		close(dir->lock_fd);
		dir->lock_fd = -1;
	}
	return rc;
}

/* It listens at our path, and that path leads to it. */
static bool is_ours(const struct sl_runtime_dir *dir, const struct sl_keeper_listener *earlier)
{
	struct sockaddr_un at = {0};
	socklen_t bytes = sizeof(at);
	struct stat st;

	return getsockname(earlier->fd, (struct sockaddr *)&at, &bytes) == 0 &&
	       at.sun_family == AF_UNIX &&
	       strncmp(at.sun_path, dir->socket_path, sizeof(at.sun_path)) == 0 &&
	       lstat(dir->socket_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       st.st_dev == earlier->dev && st.st_ino == earlier->ino;
}

int sl_runtime_dir_listen(struct sl_runtime_dir *dir, const struct sl_keeper_listener *earlier,
			  struct sl_error *err)
{
	int rc;

	if (earlier && is_ours(dir, earlier)) {
		dir->listen_fd = earlier->fd;
		return 0;
	}
	if (earlier)
		close(earlier->fd);
	rc = listener_open(dir, err);
	if (rc < 0 && dir->listen_fd >= 0) {
		close(dir->listen_fd);
		dir->listen_fd = -1;
	}
	return rc;
}

int sl_runtime_dir_open(struct sl_runtime_dir *dir, const char *path, struct sl_error *err)
{
	int rc = sl_runtime_dir_take(dir, path, err);

	if (rc == 0) {
		rc = sl_runtime_dir_listen(dir, NULL, err);
		if (rc < 0)
			sl_runtime_dir_close(dir);
	}
	return rc;
}

int sl_runtime_dir_listener(const struct sl_runtime_dir *dir, struct sl_keeper_listener *out)
{
	struct stat st;

	if (lstat(dir->socket_path, &st) < 0)
		return -errno;
	*out = (struct sl_keeper_listener){dir->listen_fd, st.st_dev, st.st_ino};
	return 0;
}

void sl_runtime_dir_unlisten(struct sl_runtime_dir *dir)
{
	if (dir->listen_fd < 0)
		return;
	unlink(dir->socket_path);
	close(dir->listen_fd);
	dir->listen_fd = -1;
}

void sl_runtime_dir_close(struct sl_runtime_dir *dir)
{
	sl_runtime_dir_unlisten(dir);
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}
