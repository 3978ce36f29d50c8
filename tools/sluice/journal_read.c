/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/journal_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 16 };

static int bad(struct sl_error *err, const char *path, const char *why)
{
	return sl_error_set(err, -EBADMSG, "%s: %s", path, why);
}

static bool text_ends(const char *text, size_t bytes)
{
	return memchr(text, '\0', bytes) != NULL;
}

static int head_check(const struct journal_file *f, const char *path, struct sl_error *err)
{
	if (memcmp(f->magic, JOURNAL_MAGIC, sizeof(f->magic)) != 0)
		return bad(err, path, "not a journal");
	if (f->version != JOURNAL_VERSION)
		return sl_error_set(err, -EPROTONOSUPPORT, "%s: a journal of version %u, known is %d", path, f->version,
				    JOURNAL_VERSION);
	if (f->header_bytes != JOURNAL_HEADER_BYTES || f->slots != JOURNAL_SLOTS ||
	    f->file_bytes != JOURNAL_HEADER_BYTES + 2 * JOURNAL_SLOTS * sizeof(struct journal_slot))
		return bad(err, path, "sizes are not those of its version");
	if (!text_ends(f->topic, sizeof(f->topic)) || !text_ends(f->cluster, sizeof(f->cluster)) || f->topic[0] == '\0')
		return bad(err, path, "no topic");
	if (f->table >> 32 > 1 || (f->table & UINT32_MAX) > JOURNAL_SLOTS || f->end > JOURNAL_ENDED_OPEN)
		return bad(err, path, "its table is out of range");
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct journal_slot *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorted, and each record told of once: two outcomes of one record are the sender's mistake or the file's. */
static int slots_check(struct journal_view *v, struct sl_error *err)
{
	uint64_t end = 0;
	uint32_t i;

	qsort(v->slots, v->slot_count, sizeof(*v->slots), by_first);
	for (i = 0; i < v->slot_count; i++) {
		const struct journal_slot *s = &v->slots[i];

		if (s->outcome <= JOURNAL_PERSISTED || s->outcome >= JOURNAL_OUTCOMES)
			return bad(err, v->path, "an outcome that is none");
		if (s->count == 0 || s->first < end || s->count > UINT64_MAX - s->first)
			return bad(err, v->path, "two outcomes for one record");
		end = s->first + s->count;
	}
	return end > v->claimed ? bad(err, v->path, "an outcome of a record that was not sent") : 0;
}

static int slots_take(int fd, uint64_t table, struct journal_view *v, struct sl_error *err)
{
	size_t count = table & UINT32_MAX, bytes = count * sizeof(*v->slots);
	off_t at = (off_t)(JOURNAL_HEADER_BYTES + (table >> 32) * JOURNAL_SLOTS * sizeof(*v->slots));

	free(v->slots);
	v->slot_count = 0;
	v->slots = malloc(bytes ? bytes : 1);
	if (!v->slots)
		return sl_error_set(err, -ENOMEM, "no memory");
	if (pread(fd, v->slots, bytes, at) != (ssize_t)bytes)
		return bad(err, v->path, "cut short");
	v->slot_count = (uint32_t)count;
	return 0;
}

/*
 * While the sender runs, its words were copied at different instants: the later ones are right, the earlier ones catch
 * up. Of a dead one each must fit the other.
 */
static int counts_check(struct journal_view *v, struct sl_error *err)
{
	if (v->alive && v->claimed < v->committed)
		v->claimed = v->committed;
	if (v->alive && v->settled_below > v->committed)
		v->settled_below = v->committed;
	if (v->claimed < v->committed || (!v->alive && v->claimed - v->committed > 1) || v->settled_below > v->committed)
		return bad(err, v->path, "its counts contradict each other");
	return 0;
}

static void view_fill(struct journal_view *v, const struct journal_file *f)
{
	memcpy(v->topic, f->topic, sizeof(v->topic));
	memcpy(v->cluster, f->cluster, sizeof(v->cluster));
	v->stream = f->stream;
	v->sender = f->sender;
	v->started_ms = f->started_ms;
	v->claimed = f->claimed;
	v->committed = f->committed;
	v->settled_below = f->settled_below;
	memcpy(v->counts, f->counts, sizeof(v->counts));
	v->spill_low = f->spill_low;
	v->spill_high = f->spill_high;
	v->end = (enum journal_end)f->end;
}

/*
 * A copy while the sender writes may be torn between two words, and its table may be switched under us; one that has
 * the same words before and after is whole.
 */
static int read_once(int fd, struct journal_view *v, struct sl_error *err)
{
	struct journal_file before, after;
	int rc;

	if (pread(fd, &before, sizeof(before), 0) != sizeof(before))
		return bad(err, v->path, "too short for a journal");
	rc = head_check(&before, v->path, err);
	if (rc == 0)
		rc = slots_take(fd, before.table, v, err);
	if (rc < 0)
		return rc;
	view_fill(v, &before);
	rc = counts_check(v, err);
	if (rc == 0)
		rc = slots_check(v, err);
	if (pread(fd, &after, sizeof(after), 0) != sizeof(after))
		return bad(err, v->path, "cut short");
	/* Only the table's own words decide: a busy sender claims without end. */
	if (rc == 0 && before.table == after.table && memcmp(before.counts, after.counts, sizeof(after.counts)) == 0)
		return 0;
	return rc < 0 ? rc : -EAGAIN;
}

static bool is_alive(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int journal_reread(struct journal_view *v, struct sl_error *err)
{
	int fd = open(v->path, O_RDONLY | O_CLOEXEC);
	int rc = -EAGAIN, i;

	if (fd < 0)
		return sl_error_set(err, -errno, "%s: %s", v->path, strerror(errno));
	v->alive = is_alive(fd);
	for (i = 0; i < TRIES && rc == -EAGAIN; i++) {
		rc = read_once(fd, v, err);
		/* Torn words of a sender that runs look like nonsense for a moment. */
		if (rc == -EBADMSG && v->alive && i + 1 < TRIES)
			rc = -EAGAIN;
	}
	close(fd);
	if (rc == -EAGAIN)
		rc = v->alive ? 0 : sl_error_set(err, -EBADMSG, "%s: changes while it is read", v->path);
	return rc;
}

int journal_read(const char *path, struct journal_view *out, struct sl_error *err)
{
	int rc;

	*out = (struct journal_view){0};
	if ((size_t)snprintf(out->path, sizeof(out->path), "%s", path) >= sizeof(out->path))
		return sl_error_set(err, -ENAMETOOLONG, "%s: too long", path);
	rc = journal_reread(out, err);
	if (rc < 0)
		journal_view_free(out);
	return rc;
}

void journal_view_free(struct journal_view *view)
{
	free(view->slots);
	view->slots = NULL;
	view->slot_count = 0;
}
