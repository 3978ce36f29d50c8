/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/sluice/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

enum { FILE_BYTES = JOURNAL_HEADER_BYTES + 2 * JOURNAL_SLOTS * (int)sizeof(struct journal_slot) };

static void store(uint64_t *word, uint64_t value)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static struct journal_slot *table_of(const struct journal *j, uint64_t which)
{
	uint8_t *base = (uint8_t *)j->file + JOURNAL_HEADER_BYTES;

	return (struct journal_slot *)(void *)base + which * JOURNAL_SLOTS;
}

int journal_folder(char *text, size_t bytes)
{
	const char *own = getenv("SLUICE_JOURNALS");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int n;

	if (own && own[0])
		n = snprintf(text, bytes, "%s", own);
	else if (state && state[0])
		n = snprintf(text, bytes, "%s/sluice/journals", state);
	else if (geteuid() == 0)
		n = snprintf(text, bytes, "/var/lib/sluice/journals");
	else if (home && home[0])
		n = snprintf(text, bytes, "%s/.local/state/sluice/journals", home);
	else
		return -ENOENT;
	return (size_t)n < bytes ? 0 : -ENAMETOOLONG;
}

/* mkdir -p. */
static int folder_make(const char *path)
{
	char part[4096];
	size_t i, bytes = strlen(path);

	if (bytes == 0 || bytes >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, bytes + 1);
	for (i = 1; i <= bytes; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -errno;
		part[i] = path[i];
	}
	return 0;
}

/* The lock goes by itself when the sender dies, which is how a reader tells a killed one from one that runs. */
static int file_prepare(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int rc = posix_fallocate(fd, 0, FILE_BYTES);

	if (rc != 0)
		return -rc;
	return fcntl(fd, F_SETLK, &lock) < 0 ? -errno : 0;
}

static void file_begin(struct journal_file *file, const struct journal_identity *who)
{
	file->version = JOURNAL_VERSION;
	file->header_bytes = JOURNAL_HEADER_BYTES;
	file->file_bytes = FILE_BYTES;
	file->stream = who->stream;
	file->sender = who->sender;
	file->slots = JOURNAL_SLOTS;
	file->started_ms = (int64_t)(sl_clock_realtime_ns() / SL_NS_PER_MS);
	file->pid = (uint64_t)getpid();
	snprintf(file->cluster, sizeof(file->cluster), "%s", who->cluster ? who->cluster : "");
	snprintf(file->topic, sizeof(file->topic), "%s", who->topic);
	file->spill_low = UINT64_MAX;
	/* A file without its magic is none: a sender that dies here has sent nothing. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(file->magic, JOURNAL_MAGIC, sizeof(file->magic));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

int journal_create(struct journal *j, const char *folder, const struct journal_identity *who, struct sl_error *err)
{
	int rc = folder_make(folder);
	int n = snprintf(j->path, sizeof(j->path), "%s/%016" PRIx64 "-%08" PRIx32 JOURNAL_SUFFIX, folder, who->stream,
			 who->sender);

	j->file = NULL;
	j->spilled = 0;
	if (rc < 0 || (size_t)n >= sizeof(j->path))
		return sl_error_set(err, rc < 0 ? rc : -ENAMETOOLONG, "%s: %s", folder,
				    strerror(rc < 0 ? -rc : ENAMETOOLONG));
	j->fd = open(j->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return sl_error_set(err, -errno, "%s: %s", j->path, strerror(errno));
	rc = file_prepare(j->fd);
	if (rc == 0) {
		j->file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);
		rc = j->file == MAP_FAILED ? -errno : 0;
	}
	if (rc == 0) {
		file_begin(j->file, who);
		return 0;
	}
	j->file = NULL;
	unlink(j->path);
	close(j->fd);
	return sl_error_set(err, rc, "%s: %s", j->path, strerror(-rc));
}

void journal_close(struct journal *j)
{
	if (!j->file)
		return;
	munmap(j->file, FILE_BYTES);
	close(j->fd);
	j->file = NULL;
}

/* True when b begins where a ends and tells the same of its records. */
static bool follows(const struct journal_slot *a, const struct journal_slot *b)
{
	if (a->first + a->count != b->first || a->outcome != b->outcome || a->error != b->error ||
	    a->partition != b->partition)
		return false;
	return a->offset < 0 ? b->offset < 0 : b->offset == a->offset + (int64_t)a->count;
}

static int by_first(const void *a, const void *b)
{
	const struct journal_slot *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The same outcome in a row, though partition, offset or error differ: what differs is given up. */
static bool joins(struct journal_slot *a, const struct journal_slot *b)
{
	if (a->first + a->count != b->first || a->outcome != b->outcome)
		return false;
	a->offset = -1;
	a->partition = a->partition == b->partition ? a->partition : -1;
	a->error = a->error == b->error ? a->error : 0;
	return true;
}

static uint64_t merge(struct journal_slot *slots, uint64_t used, bool coarsely)
{
	uint64_t i, count = 0;

	for (i = 0; i < used; i++) {
		if (count > 0 && (follows(&slots[count - 1], &slots[i]) || (coarsely && joins(&slots[count - 1], &slots[i]))))
			slots[count - 1].count += slots[i].count;
		else
			slots[count++] = slots[i];
	}
	return count;
}

/* Writes the other table, sorted and merged, and switches. Returns the slots that are in use then. */
static uint64_t compact(struct journal *j, uint64_t which, uint64_t used)
{
	struct journal_slot *to = table_of(j, which ^ 1);
	uint64_t count;

	memcpy(to, table_of(j, which), used * sizeof(*to));
	qsort(to, used, sizeof(*to), by_first);
	count = merge(to, used, false);
	if (count > JOURNAL_SLOTS / 2)
		count = merge(to, count, true);
	store(&j->file->table, (which ^ 1) << 32 | count);
	j->spilled = 0;
	return count;
}

static void spill(struct journal_file *file, const struct journal_slot *run)
{
	if (run->first < file->spill_low)
		store(&file->spill_low, run->first);
	if (run->first + run->count > file->spill_high)
		store(&file->spill_high, run->first + run->count);
}

static void exception_add(struct journal *j, const struct journal_slot *run)
{
	uint64_t which = j->file->table >> 32, used = j->file->table & UINT32_MAX;
	struct journal_slot *last = used > 0 ? &table_of(j, which)[used - 1] : NULL;

	if (last && follows(last, run)) {
		store(&last->count, last->count + run->count);
		return;
	}
	/* A full table that does not shrink is not sorted again for every run. */
	if (used == JOURNAL_SLOTS && (j->file->spill_high == 0 || j->spilled++ == JOURNAL_SLOTS / 8)) {
		used = compact(j, which, used);
		which ^= 1;
	}
	if (used == JOURNAL_SLOTS) {
		spill(j->file, run);
		return;
	}
	table_of(j, which)[used] = *run;
	store(&j->file->table, which << 32 | (used + 1));
}

void journal_outcome(struct journal *j, const struct journal_slot *run)
{
	if (run->outcome == 0 || run->outcome >= JOURNAL_OUTCOMES || run->count == 0)
		return;
	if (run->outcome != JOURNAL_PERSISTED)
		exception_add(j, run);
	store(&j->file->counts[run->outcome], j->file->counts[run->outcome] + run->count);
}

void journal_persisted(struct journal *j, uint64_t count)
{
	store(&j->file->counts[JOURNAL_PERSISTED], count);
}

void journal_settle(struct journal *j, uint64_t sequence)
{
	store(&j->file->settled_below, sequence);
}

void journal_end(struct journal *j, enum journal_end how)
{
	store(&j->file->end, (uint64_t)how);
}
