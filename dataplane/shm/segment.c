/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dataplane/base/assert.h"

#define SEGMENT_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static_assert((uint64_t)SL_SHM_RINGS_MAX * SL_RING_BYTES_MAX < UINT64_C(1) << 40,
	      "sizes cannot overflow");
static_assert((uint64_t)SL_SHM_RINGS_MAX * SL_REPORT_SLOTS_MAX < UINT64_C(1) << 40,
	      "sizes cannot overflow");

int sl_segment_geometry_check(const struct sl_segment_geometry *geometry, struct sl_error *err)
{
	uint64_t ring_bytes = geometry->ring_bytes;
	uint32_t slots = geometry->report_slots;

	if (geometry->ring_count < 1 || geometry->ring_count > SL_SHM_RINGS_MAX)
		return sl_error_set(err, -EINVAL, "%u rings, not 1 to %d", geometry->ring_count,
				    SL_SHM_RINGS_MAX);
	if (ring_bytes < SL_RING_BYTES_MIN || ring_bytes > SL_RING_BYTES_MAX ||
	    (ring_bytes & (ring_bytes - 1)))
		return sl_error_set(err, -EINVAL,
				    "ring of %" PRIu64 " bytes, not a power of two from %d to %d",
				    ring_bytes, SL_RING_BYTES_MIN, SL_RING_BYTES_MAX);
	if (slots < SL_REPORT_SLOTS_MIN_ABI || slots > SL_REPORT_SLOTS_MAX || (slots & (slots - 1)))
		return sl_error_set(err, -EINVAL,
				    "%u report slots, not a power of two from %d to %d", slots,
				    SL_REPORT_SLOTS_MIN_ABI, SL_REPORT_SLOTS_MAX);
	return 0;
}

uint64_t sl_segment_data_bytes(const struct sl_segment_geometry *geometry)
{
	SL_ASSERT(sl_segment_geometry_check(geometry, NULL) == 0);
	return sl_data_bytes(geometry->ring_count, geometry->ring_bytes);
}

uint64_t sl_segment_status_bytes(const struct sl_segment_geometry *geometry)
{
	SL_ASSERT(sl_segment_geometry_check(geometry, NULL) == 0);
	return sl_status_bytes(geometry->ring_count, geometry->report_slots);
}

static int ident_write(int fd, const char *magic, const struct sl_segment_geometry *geometry,
		       const struct sl_segment_ident *ident, struct sl_error *err)
{
	struct sl_shm_ident page = {
		.layout = SL_SHM_LAYOUT,
		.ring_count = geometry->ring_count,
		.ring_bytes = geometry->ring_bytes,
		.report_slots = geometry->report_slots,
		.agent_epoch = ident->agent_epoch,
	};

	memcpy(page.magic, magic, sizeof(page.magic));
	memcpy(page.client_id, ident->client_id, sizeof(page.client_id));
	memcpy(page.token, ident->token, sizeof(page.token));
	if (pwrite(fd, &page, sizeof(page), 0) != (ssize_t)sizeof(page))
		return sl_error_set(err, -EIO, "write the segment's ident");
	return 0;
}

static int segment_create(const char *name, mode_t mode, uint64_t bytes, struct sl_error *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc;

	if (fd < 0)
		return sl_error_set(err, -errno, "memfd_create: %s", strerror(errno));
	/* A memfd is born with mode 0777: any user that gets to see it in /proc could open it anew.
	 */
	if (fchmod(fd, mode) != 0) {
		rc = sl_error_set(err, -errno, "fchmod of a segment: %s", strerror(errno));
		goto out_close;
	}
	/* fallocate() allocates the pages now, so that lack of memory is an error here, not a
	 * SIGBUS later. */
	if (fallocate(fd, 0, 0, (off_t)bytes) != 0) {
		rc = sl_error_set(err, -errno, "allocate %" PRIu64 " bytes of shared memory: %s",
				  bytes, strerror(errno));
		goto out_close;
	}
	if (fcntl(fd, F_ADD_SEALS, SEGMENT_SEALS) != 0) {
		rc = sl_error_set(err, -errno, "seal a segment: %s", strerror(errno));
		goto out_close;
	}
	return fd;
out_close:
	close(fd);
	return rc;
}

int sl_segment_data_create(const struct sl_segment_geometry *geometry,
			   const struct sl_segment_ident *ident, struct sl_error *err)
{
	int fd, rc;

	rc = sl_segment_geometry_check(geometry, err);
	if (rc < 0)
		return rc;
	fd = segment_create("sluice-data", 0600, sl_segment_data_bytes(geometry), err);
	if (fd < 0)
		return fd;
	rc = ident_write(fd, "SLUICE-D", geometry, ident, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int reopen(int fd, int flags, struct sl_error *err)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	if (again < 0)
		return sl_error_set(err, -errno, "reopen a segment through %s: %s", path,
				    strerror(errno));
	return again;
}

int sl_segment_status_create(const struct sl_segment_geometry *geometry,
			     const struct sl_segment_ident *ident, int *read_only,
			     struct sl_error *err)
{
	int fd, rc;

	rc = sl_segment_geometry_check(geometry, err);
	if (rc < 0)
		return rc;
	fd = segment_create("sluice-status", 0600, sl_segment_status_bytes(geometry), err);
	if (fd < 0)
		return fd;
	rc = ident_write(fd, "SLUICE-S", geometry, ident, err);
	if (rc < 0)
		goto out_close;
	rc = reopen(fd, O_RDONLY, err);
	if (rc < 0)
		goto out_close;
	*read_only = rc;
	return fd;
out_close:
	close(fd);
	return rc;
}

static int segment_check(int fd, const char *what, uint64_t bytes, struct stat *st,
			 struct sl_error *err)
{
	struct statfs fs;
	/* First: only shared memory has seals, and a file of FUSE would let its owner hold us in fstat(). */
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return sl_error_set(err, -EINVAL, "%s is not a memfd: it has no seals", what);
	if (fstat(fd, st) != 0 || fstatfs(fd, &fs) != 0)
		return sl_error_set(err, -errno, "%s: %s", what, strerror(errno));
	/* Huge pages of hugetlbfs: punching a hole and an empty pool would make our next read a
	 * SIGBUS. */
	if (fs.f_type == HUGETLBFS_MAGIC)
		return sl_error_set(err, -EOPNOTSUPP,
				    "%s lies on hugetlbfs: make it without MFD_HUGETLB", what);
	/* Anything but tmpfs may be truncated or, with FUSE, make our page faults wait for a
	 * stranger. */
	if (fs.f_type != TMPFS_MAGIC || !S_ISREG(st->st_mode))
		return sl_error_set(err, -EINVAL, "%s is not a memfd (file system type 0x%lx)",
				    what, (unsigned long)fs.f_type);
	if ((seals & SEGMENT_SEALS) != SEGMENT_SEALS)
		return sl_error_set(err, -EPERM,
				    "%s is not sealed against shrinking, growing and unsealing",
				    what);
	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return sl_error_set(err, -EPERM, "%s is sealed against its own writer", what);
	if (st->st_size < 0 || (uint64_t)st->st_size != bytes)
		return sl_error_set(err, -ERANGE, "%s has %lld bytes, not %" PRIu64, what,
				    (long long)st->st_size, bytes);
	return 0;
}

int sl_segment_data_check(int fd, const struct sl_segment_geometry *geometry, struct sl_error *err)
{
	struct stat st;
	int rc = sl_segment_geometry_check(geometry, err);

	if (rc < 0)
		return rc;
	return segment_check(fd, "data segment", sl_segment_data_bytes(geometry), &st, err);
}

int sl_segment_status_check(int fd, const struct sl_segment_geometry *geometry,
			    struct sl_error *err)
{
	struct stat st;
	int rc = sl_segment_geometry_check(geometry, err);

	if (rc < 0)
		return rc;
	return segment_check(fd, "status segment", sl_segment_status_bytes(geometry), &st, err);
}

int sl_segment_status_reopen(int fd, const struct sl_segment_geometry *geometry, int *read_write,
			     struct sl_error *err)
{
	struct stat st;
	int rc = sl_segment_geometry_check(geometry, err);

	if (rc < 0)
		return rc;
	rc = segment_check(fd, "status segment", sl_segment_status_bytes(geometry), &st, err);
	if (rc < 0)
		return rc;
	if (st.st_uid != geteuid() || (st.st_mode & 07777) != 0600)
		return sl_error_set(err, -EACCES,
				    "status segment is of user %u with mode %04o, not ours",
				    (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
	rc = reopen(fd, O_RDWR, err);
	if (rc < 0)
		return rc;
	*read_write = rc;
	return 0;
}

int sl_segment_read_only(int fd, struct sl_error *err)
{
	return reopen(fd, O_RDONLY, err);
}

int sl_segment_map(int fd, uint64_t bytes, bool writable, void **base, struct sl_error *err)
{
	void *p =
		mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	*base = NULL;
	if (p == MAP_FAILED)
		return sl_error_set(err, -errno, "map %" PRIu64 " bytes: %s", bytes,
				    strerror(errno));
	if (madvise(p, bytes, MADV_DONTFORK) != 0) {
		int code = -errno;

		munmap(p, bytes);
		return sl_error_set(err, code, "keep a segment out of children: %s",
				    strerror(-code));
	}
	/* Best effort: only the size of core dumps and the number of TLB misses depend on these. */
	madvise(p, bytes, MADV_DONTDUMP);
	madvise(p, bytes, MADV_HUGEPAGE);
	*base = p;
	return 0;
}

void sl_segment_unmap(void *base, uint64_t bytes)
{
	if (base)
		munmap(base, bytes);
}

void sl_segment_prefault(void *base, uint64_t bytes, bool writable)
{
	madvise(base, bytes, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

bool sl_segment_same(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

int sl_segment_alive_lock(int fd, struct sl_error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

	if (fcntl(fd, F_SETLK, &lock) != 0)
		return sl_error_set(err, -errno, "lock the data segment: %s", strerror(errno));
	return 0;
}

int sl_segment_alive(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

	if (fcntl(fd, F_GETLK, &lock) != 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}
