/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Systemd's descriptor store as keeper. Names: D-<id>, S-<id>, L-<dev>-<ino>, numbers as 16 hex
 * digits. What the store does with a message it does not say: a barrier behind it tells that it was
 * read, and the number of descriptors is counted here against what the unit allows.
 * Source of the protocol: sd_notify(3), sd_pid_notify_with_fds(3), sd_listen_fds(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper.h"
#include "agent/notify.h"

enum {
	LISTEN_FDS_START = 3, /* sd_listen_fds(3) */
	STORED_MAX = SL_KEEPER_FDS * SL_KEEPER_ENTRIES_MAX + 16,
	TEXT_BYTES = 160,
};

static const char parts[SL_KEEPER_FDS] = {'D', 'S'};

struct store {
	struct sl_keeper keeper; /* first: the ops get a pointer to it */
	uint32_t room;           /* descriptors */
	struct sl_keeper_kept *handed;
	uint32_t handed_count;
	struct sl_keeper_listener listener; /* fd -1: none was handed */
	char listener_name[64];             /* "": none is stored */
};

static struct store *store_of(struct sl_keeper *keeper)
{
	return (struct store *)keeper;
}

uint32_t sl_keeper_systemd_room(void)
{
	const char *text = getenv("FDSTORE");
	unsigned long room = text && *text >= '0' && *text <= '9' ? strtoul(text, NULL, 10) : 0;

	if (!sl_notify_present())
		return 0;
	return room < STORED_MAX ? (uint32_t)room : STORED_MAX;
}

/* ---- messages ---- */

static int store_put(const char *name, int fd)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	return sl_notify_fd(text, fd);
}

static int store_remove(const char *name)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return sl_notify_fd(text, -1);
}

static void part_name(char *name, size_t bytes, uint32_t part, uint64_t id)
{
	snprintf(name, bytes, "%c-%016" PRIx64, parts[part], id);
}

static int store_remove_segment(uint64_t id)
{
	char name[64];
	int rc = 0;

	for (uint32_t i = 0; i < SL_KEEPER_FDS && rc == 0; i++) {
		part_name(name, sizeof(name), i, id);
		rc = store_remove(name);
	}
	return rc;
}

/* A manager that does not read is lost, as a process would be. */
static int store_done(struct sl_keeper *keeper, int rc)
{
	if (rc == 0)
		rc = sl_notify_barrier(SL_KEEPER_TIMEOUT_MS);
	if (rc < 0)
		keeper->lost = true;
	return rc;
}

/* ---- the interface ---- */

static int store_keep(struct sl_keeper *keeper, uint64_t id, const int fds[SL_KEEPER_FDS])
{
	struct store *self = store_of(keeper);
	uint32_t stored = keeper->held * SL_KEEPER_FDS + (self->listener_name[0] != 0);
	char name[64];
	int rc = 0;

	if (keeper->lost)
		return -EPIPE;
	if (stored + SL_KEEPER_FDS > self->room)
		return -ENOSPC;
	for (uint32_t i = 0; i < SL_KEEPER_FDS && rc == 0; i++) {
		part_name(name, sizeof(name), i, id);
		rc = store_put(name, fds[i]);
	}
	rc = store_done(keeper, rc);
	keeper->held += rc == 0;
	return rc;
}

static void store_drop(struct sl_keeper *keeper, uint64_t id)
{
	if (keeper->lost || keeper->held == 0)
		return;
	if (store_done(keeper, store_remove_segment(id)) == 0)
		keeper->held--;
}

/* The descriptors of the start go with the first call; they came once. */
static int store_list(struct sl_keeper *keeper, struct sl_keeper_kept *out, uint32_t max)
{
	struct store *self = store_of(keeper);
	uint32_t count = self->handed_count < max ? self->handed_count : max;

	if (count)
		memcpy(out, self->handed, count * sizeof(*out));
	self->handed_count -= count;
	if (count)
		memmove(self->handed, self->handed + count,
			self->handed_count * sizeof(*self->handed));
	return (int)count;
}

static void listener_forget(struct store *self)
{
	if (self->listener_name[0])
		store_remove(self->listener_name);
	self->listener_name[0] = 0;
}

static int store_listener_put(struct sl_keeper *keeper, const struct sl_keeper_listener *listener)
{
	struct store *self = store_of(keeper);
	int rc;

	if (keeper->lost)
		return -EPIPE;
	listener_forget(self);
	snprintf(self->listener_name, sizeof(self->listener_name), "L-%016" PRIx64 "-%016" PRIx64,
		 listener->dev, listener->ino);
	rc = store_done(keeper, store_put(self->listener_name, listener->fd));
	if (rc < 0)
		self->listener_name[0] = 0;
	return rc;
}

static int store_listener_get(struct sl_keeper *keeper, struct sl_keeper_listener *out)
{
	struct store *self = store_of(keeper);

	if (self->listener.fd < 0)
		return -ENOENT;
	*out = self->listener;
	self->listener.fd = -1;
	return 0;
}

static void store_goodbye(struct sl_keeper *keeper)
{
	if (!keeper->lost)
		listener_forget(store_of(keeper));
}

static void store_destroy(struct sl_keeper *keeper)
{
	struct store *self = store_of(keeper);

	for (uint32_t i = 0; i < self->handed_count; i++)
		for (uint32_t j = 0; j < SL_KEEPER_FDS; j++)
			close(self->handed[i].fds[j]);
	if (self->listener.fd >= 0)
		close(self->listener.fd);
	free(self->handed);
	free(self);
}

static const struct sl_keeper_ops store_ops = {
	"systemd",          store_keep,         store_drop,    store_list,
	store_listener_put, store_listener_get, store_goodbye, store_destroy,
};

/* ---- what systemd handed over ---- */

static struct sl_keeper_kept *handed_place(struct store *self, uint64_t id)
{
	for (uint32_t i = 0; i < self->handed_count; i++)
		if (self->handed[i].id == id)
			return &self->handed[i];
	if (self->handed_count == SL_KEEPER_ENTRIES_MAX)
		return NULL;
	self->handed[self->handed_count] = (struct sl_keeper_kept){.id = id, .fds = {-1, -1}};
	return &self->handed[self->handed_count++];
}

static void handed_put(struct store *self, uint32_t part, uint64_t id, int fd)
{
	struct sl_keeper_kept *kept = handed_place(self, id);

	if (kept && kept->fds[part] < 0)
		kept->fds[part] = fd;
	else
		close(fd);
}

/* Others are left alone: they are not ours. */
static void handed_take(struct store *self, const char *name, int fd)
{
	uint64_t dev, ino, id;
	int end = -1;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	for (uint32_t i = 0; i < SL_KEEPER_FDS; i++)
		if (name[0] == parts[i] && strlen(name) == 18 &&
		    sscanf(name + 1, "-%16" SCNx64 "%n", &id, &end) == 1 && name[1 + end] == 0) {
			handed_put(self, i, id, fd);
			return;
		}
	if (sscanf(name, "L-%16" SCNx64 "-%16" SCNx64 "%n", &dev, &ino, &end) != 2 || name[end])
		return;
	if (self->listener.fd >= 0)
		close(self->listener.fd);
	self->listener = (struct sl_keeper_listener){fd, dev, ino};
	snprintf(self->listener_name, sizeof(self->listener_name), "%s", name);
}

/* One without its other half, which an agent left that died while it kept it: never offered to
 * anybody. */
static void halves_remove(struct store *self)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < self->handed_count; i++) {
		struct sl_keeper_kept *kept = &self->handed[i];

		if (kept->fds[0] >= 0 && kept->fds[1] >= 0) {
			self->handed[count++] = *kept;
			continue;
		}
		store_remove_segment(kept->id);
		close(kept->fds[kept->fds[0] < 0]);
	}
	self->handed_count = count;
}

static void handed_read(struct store *self)
{
	const char *pid = getenv("LISTEN_PID");
	const char *number = getenv("LISTEN_FDS");
	const char *text = getenv("LISTEN_FDNAMES");
	long count = number ? strtol(number, NULL, 10) : 0;
	char *names, *at, *name;

	if (!pid || strtol(pid, NULL, 10) != getpid() || count <= 0 || count > STORED_MAX || !text)
		return;
	names = at = strdup(text);
	for (int fd = LISTEN_FDS_START; names && fd < LISTEN_FDS_START + count; fd++) {
		name = strsep(&at, ":");
		if (!name)
			break;
		handed_take(self, name, fd);
	}
	free(names);
	halves_remove(self);
	/* They are taken: nobody else shall. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

struct sl_keeper *sl_keeper_systemd(void)
{
	struct store *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->handed = calloc(SL_KEEPER_ENTRIES_MAX, sizeof(*self->handed));
	if (!self->handed) {
		free(self);
		return NULL;
	}
	self->keeper.ops = &store_ops;
	self->keeper.watch_fd = -1;
	self->room = sl_keeper_systemd_room();
	self->listener.fd = -1;
	handed_read(self);
	self->keeper.held = self->handed_count;
	return &self->keeper;
}
