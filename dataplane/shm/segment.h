/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two shared segments: how large they are, making them, and checking one that somebody else
 * made.
 *
 * D is a memfd of the application, S of the agent. Both are sealed against any change of size, so
 * that no access can ever fault (a truncated file raises SIGBUS in whoever reads it), and allocated
 * before use, so that a full memory shows here as -ENOMEM or -ENOSPC and not later. Control threads
 * and slow paths only. Errors are negative errno with a text.
 */
#ifndef SL_SHM_SEGMENT_H
#define SL_SHM_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dataplane/base/error.h"
#include "dataplane/shm/layout.h"

struct sl_segment_geometry {
	uint64_t ring_bytes;   /* a power of two, SL_RING_BYTES_MIN..SL_RING_BYTES_MAX */
	uint32_t ring_count;   /* 1..SL_SHM_RINGS_MAX */
	uint32_t report_slots; /* of each ring, a power of two,
				  SL_REPORT_SLOTS_MIN_ABI..SL_REPORT_SLOTS_MAX */
};

struct sl_segment_ident { /* what the first 64 bytes of a segment say besides its geometry */
	uint8_t client_id[16];
	uint8_t token[16];    /* S only */
	uint32_t agent_epoch; /* S only */
};

/* Are all three in range? 0 or -EINVAL. With them in range, the sizes below cannot overflow. */
int sl_segment_geometry_check(const struct sl_segment_geometry *geometry, struct sl_error *err);

uint64_t sl_segment_data_bytes(const struct sl_segment_geometry *geometry);
uint64_t sl_segment_status_bytes(const struct sl_segment_geometry *geometry);

/* Both: what an application's rings and reports take of the machine. */
static inline uint64_t sl_segment_bytes(const struct sl_segment_geometry *geometry)
{
	return sl_segment_data_bytes(geometry) + sl_segment_status_bytes(geometry);
}

/* The application's side: a new D, allocated, sealed, with its ident written. The descriptor or
 * -errno. */
int sl_segment_data_create(const struct sl_segment_geometry *geometry,
			   const struct sl_segment_ident *ident, struct sl_error *err);

/*
 * The agent's side: a new S, mode 0600, allocated, sealed, with its ident written. Returns a
 * descriptor to write with; *read_only gets one that another user can neither map writable nor
 * reopen for writing.
 */
int sl_segment_status_create(const struct sl_segment_geometry *geometry,
			     const struct sl_segment_ident *ident, int *read_only,
			     struct sl_error *err);

/*
 * Is fd, which a stranger sent, a memfd on ordinary pages, sealed and of exactly this size? -EINVAL
 * not a file on tmpfs (plain files, FUSE, sockets), -EOPNOTSUPP on huge pages of hugetlbfs, -EPERM
 * without the seals, -ERANGE the size.
 */
int sl_segment_data_check(int fd, const struct sl_segment_geometry *geometry, struct sl_error *err);

/* The same for S: by an application with what the agent sent. */
int sl_segment_status_check(int fd, const struct sl_segment_geometry *geometry,
			    struct sl_error *err);

/*
 * By an agent that holds no copy of its own, on an S that an application shows it: the above, and
 * it is owned by us with mode 0600 (-EACCES), so that no other user can have forged it. *read_write
 * is a new descriptor to write with.
 */
int sl_segment_status_reopen(int fd, const struct sl_segment_geometry *geometry, int *read_write,
			     struct sl_error *err);

/* Another descriptor of our own S, to be given away: it can only be read with. The descriptor or
 * -errno. */
int sl_segment_read_only(int fd, struct sl_error *err);

/*
 * Maps all of it, shared; not inherited by children (MADV_DONTFORK) and not part of core dumps.
 * *base is NULL on error.
 */
int sl_segment_map(int fd, uint64_t bytes, bool writable, void **base, struct sl_error *err);
void sl_segment_unmap(void *base, uint64_t bytes);

/* Maps the pages in now rather than at first touch, best effort. */
void sl_segment_prefault(void *base, uint64_t bytes, bool writable);

/* Are both descriptors of one file? */
bool sl_segment_same(int a, int b);

/*
 * The application says that it lives: a POSIX write lock on byte 0 of D, gone with the process
 * whatever kills it, not inherited. Closing any descriptor of D drops it. 0 or -errno.
 */
int sl_segment_alive_lock(int fd, struct sl_error *err);

/* Does the process that made D still live? 1, 0 or -errno. Never true for a lock of the caller
 * itself. */
int sl_segment_alive(int fd);

static inline struct sl_app_page *sl_segment_app_page(void *data, uint32_t ring)
{
	return (struct sl_app_page *)(void *)((uint8_t *)data + sl_data_page_offset(ring));
}

static inline uint8_t *sl_segment_ring(void *data, const struct sl_segment_geometry *geometry,
				       uint32_t ring)
{
	return (uint8_t *)data +
	       sl_data_ring_offset(geometry->ring_count, geometry->ring_bytes, ring);
}

static inline struct sl_agent_page *sl_segment_agent_page(void *status, uint32_t ring)
{
	return (struct sl_agent_page *)(void *)((uint8_t *)status + sl_status_page_offset(ring));
}

static inline struct sl_report *
sl_segment_reports(void *status, const struct sl_segment_geometry *geometry, uint32_t ring)
{
	return (struct sl_report *)(void *)((uint8_t *)status +
					    sl_status_reports_offset(geometry->ring_count,
								     geometry->report_slots, ring));
}

#endif
