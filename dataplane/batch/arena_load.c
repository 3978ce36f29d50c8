/* SPDX-License-Identifier: Apache-2.0 */
/* An arena that an earlier agent left: opened, judged by its header, mapped, recovered. Control
 * thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/batch/arena_internal.h"
#include "dataplane/batch/batch.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* The build's text, printable and ended. */
static void build_copy(char out[static 41], const struct sl_arena_header *h)
{
	uint32_t i;

	for (i = 0; i < sizeof(h->build) && h->build[i]; i++)
		out[i] = h->build[i] >= ' ' && h->build[i] <= '~' ? h->build[i] : '?';
	out[i] = 0;
}

static int header_check(const struct sl_arena_header *h, uint64_t bytes,
			struct sl_arena_geometry *g, struct sl_error *err)
{
	char build[41];
	uint32_t live;

	if (memcmp(h->magic, SL_ARENA_MAGIC, sizeof(h->magic)) != 0)
		return sl_error_set(err, -EBADMSG, "it is no arena");
	build_copy(build, h);
	if (h->layout_version != SL_ARENA_LAYOUT || h->layout_hash != sl_arena_layout_hash()) {
		live = atomic_load_explicit(&h->live_count, memory_order_relaxed);
		return sl_error_set(
			err, live ? -EPROTO : -ESTALE,
			"arena holds %u batches written by sluiced %s: run that version "
			"with --drain, or remove the file",
			live, build);
	}
	if (!sl_arena_header_sane(h, g) || g->file_bytes != bytes)
		return sl_error_set(err, -EBADMSG, "its header is damaged");
	return 0;
}

static int boot_check(const struct sl_arena_header *h, struct sl_error *err)
{
	uint8_t boot[16] = {0};

	sl_boot_id_read(boot);
	if (memcmp(boot, h->boot_id, sizeof(boot)) != 0)
		return sl_error_set(err, -EBADMSG, "it is from before the host was started");
	return 0;
}

/* Batches that were made under larger limits than today's still have to fit where they are cut. */
static void limits_raise(struct sl_arena_options *own, const struct sl_arena_batch *batches,
			 uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint64_t tail = sl_tail_load(&batches[i]);

		if (sl_life_load(&batches[i]).state == SL_BATCH_FREE)
			continue;
		if (sl_tail_bytes(tail) > own->batch_bytes_max)
			own->batch_bytes_max = sl_tail_bytes(tail);
		if (sl_tail_records(tail) > own->batch_records_max)
			own->batch_records_max = sl_tail_records(tail);
	}
}

/* Its own geometry, today's limits of a batch. */
static struct sl_arena_options options_of(const struct sl_arena_options *opts,
					  const struct sl_arena_geometry *g)
{
	struct sl_arena_options own = *opts;

	own.chunk_bytes = g->chunk_bytes;
	own.bytes = (uint64_t)g->chunk_count * g->chunk_bytes;
	own.partitions_max = g->partition_count;
	own.topics_max = g->topic_count;
	own.segments_max = g->segment_count;
	own.rings_max = g->ring_count;
	return own;
}

static int recover(struct sl_arena *a, struct sl_arena_loaded *loaded, struct sl_error *err)
{
	int rc;

	memset(loaded, 0, sizeof(*loaded));
	a->turn = (uint32_t)atomic_load_explicit(&a->header->turn, memory_order_relaxed);
	sl_slots_recover(a, loaded);
	sl_budget_recount(a); /* no batch counts yet: slots that are dropped on the way were taken in */
	rc = sl_batches_recover(a, loaded, err);
	if (rc < 0)
		return rc;
	sl_slots_tidy(a);
	sl_budget_recount(a);
	return 0;
}

int sl_arena_load_memory(struct sl_arena **out, const struct sl_arena_options *opts, uint8_t *base,
			 uint64_t bytes, struct sl_arena_loaded *loaded, struct sl_error *err)
{
	struct sl_arena_geometry g;
	struct sl_arena_options own;
	struct sl_arena *a;
	int rc;

	if (bytes < sizeof(struct sl_arena_header))
		return sl_error_set(err, -EBADMSG, "it is too small for an arena");
	rc = header_check((const struct sl_arena_header *)base, bytes, &g, err);
	if (rc < 0)
		return rc;
	own = options_of(opts, &g);
	limits_raise(&own, (const struct sl_arena_batch *)(base + g.batches), g.chunk_count);
	rc = sl_arena_tables_make(&a, &own, &g, base, err);
	if (rc < 0)
		return rc;
	if (a->chunks_reserve > a->chunk_count / 2)
		a->chunks_reserve = a->chunk_count / 2;
	rc = recover(a, loaded, err);
	if (rc < 0) {
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

/* Without records or applications nothing speaks for an arena of other sizes than are configured.
 */
static bool sizes_differ(const struct sl_arena *a, const struct sl_arena_options *opts)
{
	struct sl_arena_geometry g;

	return sl_arena_geometry_of(opts, &g) &&
	       (g.chunk_bytes != a->chunk_bytes || g.chunk_count != a->chunk_count ||
		g.segment_count != a->segment_count || g.ring_count != a->ring_count ||
		g.topic_count != a->topic_count || g.partition_count != a->partition_count);
}

static int file_load(struct sl_arena **out, const struct sl_arena_options *opts, int fd,
		     const char *path, struct sl_arena_loaded *loaded, struct sl_error *err)
{
	struct stat st;
	uint8_t *base;
	int rc;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct sl_arena_header))
		return sl_error_set(err, -EBADMSG, "it is too small for an arena");
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return sl_error_set(err, -errno, "map %s: %s", path, strerror(errno));
	madvise(base, (size_t)st.st_size, MADV_DONTFORK);
	madvise(base, (size_t)st.st_size, MADV_DONTDUMP);
	madvise(base, (size_t)st.st_size, MADV_HUGEPAGE);
	rc = boot_check((const struct sl_arena_header *)base, err);
	if (rc == 0)
		rc = sl_arena_load_memory(out, opts, base, (uint64_t)st.st_size, loaded, err);
	if (rc == 0 && !sl_arena_holds(*out) && sizes_differ(*out, opts)) {
		free(*out);
		rc = sl_error_set(err, -ESTALE, "it is empty and of another size");
	}
	if (rc < 0)
		munmap(base, (size_t)st.st_size);
	return rc;
}

int sl_arena_load(struct sl_arena **out, const struct sl_arena_options *opts, const char *path,
		  struct sl_arena_loaded *loaded, struct sl_error *err)
{
	int fd = sl_arena_file_lock(path, err);
	int rc;

	if (fd < 0)
		return fd;
	rc = file_load(out, opts, fd, path, loaded, err);
	close(fd); /* the mapping keeps the lock, as it does for one that is new */
	if (rc < 0)
		return rc;
	(*out)->path = strdup(path);
	if (!(*out)->path) {
		sl_arena_destroy(*out, false);
		return sl_error_set(err, -ENOMEM, "no memory for a path");
	}
	return 0;
}

bool sl_arena_holds(const struct sl_arena *a)
{
	uint32_t i;

	if (a->batches_free < a->batch_count)
		return true;
	for (i = 0; i < a->segment_count; i++)
		if (atomic_load_explicit(&a->segments[i].state, memory_order_relaxed) ==
		    SL_SLOT_LIVE)
			return true;
	return false;
}
