/* SPDX-License-Identifier: Apache-2.0 */
/* The arena's file: made under another name, locked, initialised, renamed. Control thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/batch/arena.h"
#include "dataplane/batch/arena_internal.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int sl_arena_file_lock(const char *path, struct sl_error *err)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0)
		return sl_error_set(err, -errno, "open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = sl_error_set(err, -errno, "%s belongs to a running agent", path);
	} else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		   (st.st_mode & 077)) {
		rc = sl_error_set(err, -EBADMSG, "%s is not a private regular file of this user",
				  path);
	} else {
		return fd;
	}
	close(fd);
	return rc;
}

bool sl_arena_header_sane(const struct sl_arena_header *h, struct sl_arena_geometry *g)
{
	*g = (struct sl_arena_geometry){
		.chunk_bytes = h->chunk_bytes,
		.chunk_count = h->chunk_count,
		.segment_count = h->segment_count,
		.ring_count = h->ring_count,
		.topic_count = h->topic_count,
		.partition_count = h->partition_count,
	};
	return h->fixed_sum == sl_arena_header_sum(h) && h->batch_count == h->chunk_count &&
	       sl_arena_geometry_fill(g) && g->file_bytes == h->file_bytes;
}

/* Records of all live descriptors, read in pieces. */
static int live_records_count(int fd, const struct sl_arena_geometry *g, uint64_t *records)
{
	enum { PIECE = 64 };
	struct sl_arena_batch piece[PIECE];
	uint32_t at, i, count;

	*records = 0;
	for (at = 0; at < g->chunk_count; at += count) {
		count = g->chunk_count - at < PIECE ? g->chunk_count - at : PIECE;
		if (pread(fd, piece, count * sizeof(piece[0]),
			  (off_t)(g->batches + at * sizeof(piece[0]))) !=
		    (ssize_t)(count * sizeof(piece[0])))
			return -EBADMSG;
		for (i = 0; i < count; i++)
			if (sl_life_load(&piece[i]).state != SL_BATCH_FREE)
				*records += sl_tail_records(sl_tail_load(&piece[i]));
	}
	return 0;
}

static int probe_fd(int fd, const char *path, uint64_t *live_records, char build[static 40],
		    struct sl_error *err)
{
	struct sl_arena_header h;
	struct sl_arena_geometry g;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    memcmp(h.magic, SL_ARENA_MAGIC, sizeof(h.magic)) != 0)
		return sl_error_set(err, -EBADMSG, "%s is not an arena", path);
	memcpy(build, h.build, sizeof(h.build));
	build[sizeof(h.build) - 1] = '\0';
	if (h.layout_version != SL_ARENA_LAYOUT || h.layout_hash != sl_arena_layout_hash()) {
		*live_records = atomic_load_explicit(&h.live_count, memory_order_relaxed) != 0;
		return sl_error_set(err, -EPROTO, "%s has another layout, written by %s", path,
				    build);
	}
	if (!sl_arena_header_sane(&h, &g) || live_records_count(fd, &g, live_records) < 0)
		return sl_error_set(err, -EBADMSG, "%s is damaged", path);
	return 0;
}

int sl_arena_probe(const char *path, uint64_t *live_records, char build[static 40],
		   struct sl_error *err)
{
	int fd = sl_arena_file_lock(path, err);
	int rc;

	if (fd < 0)
		return fd;
	rc = probe_fd(fd, path, live_records, build, err);
	close(fd);
	return rc;
}

/* Pages are faulted in now: later it would be the worker who waits for them. */
static void populate(uint8_t *base, uint64_t bytes)
{
	uint64_t at;

	madvise(base, bytes, MADV_HUGEPAGE);
	if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0)
		return;
	/* Before Linux 5.14. The file was made a moment ago: all is zero. */
	for (at = 0; at < bytes; at += SL_SHM_PAGE_BYTES)
		base[at] = 0;
}

static int file_make(const char *path, uint64_t bytes, struct sl_error *err)
{
	int fd, rc;

	if (unlink(path) < 0 && errno != ENOENT)
		return sl_error_set(err, -errno, "remove %s: %s", path, strerror(errno));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sl_error_set(err, -errno, "create %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    fallocate(fd, 0, 0, (off_t)bytes) < 0) {
		rc = sl_error_set(err, -errno, "%s: %llu bytes: %s", path,
				  (unsigned long long)bytes, strerror(errno));
		close(fd);
		unlink(path);
		return rc;
	}
	return fd;
}

void sl_boot_id_read(uint8_t out[16])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	uint32_t i = 0;
	unsigned int byte;

	/* Two digits a byte; the dashes stand between whole bytes. */
	while (f && i < 16 && fscanf(f, "%2x%*1[-]", &byte) != EOF)
		out[i++] = (uint8_t)byte;
	if (f)
		fclose(f);
}

static int file_arena(struct sl_arena **out, const struct sl_arena_options *opts,
		      const char *new_path, const char *path, struct sl_error *err)
{
	uint64_t bytes = sl_arena_file_bytes(opts);
	void *base;
	int fd = file_make(new_path, bytes, err);
	int rc;

	if (fd < 0)
		return fd;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rc = base == MAP_FAILED ? sl_error_set(err, -errno, "map %s: %s", new_path, strerror(errno))
				: 0;
	/* The mapping keeps the file description, and so the lock; without a descriptor nobody can
	 * inherit it. */
	close(fd);
	if (rc < 0)
		goto out_unlink;
	madvise(base, bytes, MADV_DONTFORK);
	madvise(base, bytes, MADV_DONTDUMP);
	populate(base, bytes);
	rc = sl_arena_attach_new(out, opts, base, err);
	if (rc < 0)
		goto out_unmap;
	sl_boot_id_read((*out)->header->boot_id);
	(*out)->header->fixed_sum = sl_arena_header_sum((*out)->header);
	(*out)->path = strdup(path);
	if (!(*out)->path || rename(new_path, path) < 0) {
		rc = sl_error_set(err, -errno, "rename %s: %s", new_path, strerror(errno));
		free((*out)->path);
		free(*out);
		goto out_unmap;
	}
	return 0;
out_unmap:
	munmap(base, bytes);
out_unlink:
	unlink(new_path);
	return rc;
}

int sl_arena_create(struct sl_arena **out, const struct sl_arena_options *opts, const char *path,
		    struct sl_error *err)
{
	uint64_t live_records = 0;
	char build[40], new_path[4096];
	int old, rc;

	if (sl_arena_file_bytes(opts) == 0)
		return sl_error_set(err, -EINVAL, "arena of %llu bytes: sizes are out of range",
				    (unsigned long long)opts->bytes);
	if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
		return sl_error_set(err, -ENAMETOOLONG, "%s: too long a path", path);
	old = sl_arena_file_lock(path, err);
	if (old < 0 && old != -ENOENT)
		return old;
	rc = old < 0 ? 0 : probe_fd(old, path, &live_records, build, err);
	if (rc == 0 && live_records > 0)
		rc = sl_error_set(err, -EEXIST, "%s holds %llu records written by %s", path,
				  (unsigned long long)live_records, build);
	if (rc == 0)
		rc = file_arena(out, opts, new_path, path, err);
	if (old >= 0)
		close(old); /* its lock lasted until its name was taken over */
	return rc;
}

void sl_arena_destroy(struct sl_arena *a, bool remove)
{
	if (!a)
		return;
	if (remove && a->path)
		unlink(a->path);
	munmap(a->base, a->file_bytes);
	free(a->path);
	free(a);
}
