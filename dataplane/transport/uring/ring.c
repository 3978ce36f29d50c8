/* SPDX-License-Identifier: Apache-2.0 */
/* The ring: made, entered, undone. */
#include "dataplane/transport/uring/internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SQ_ENTRIES_MIN = 64, SQ_ENTRIES_MAX = 4096, CQ_ENTRIES_MAX = 65536 };

/* fast poll: sockets never go to kernel threads; stable: arrays are read at submission; no drop:
 * completions wait. */
static const unsigned int features_needed =
	IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL;

static uint32_t entries_bounded(uint64_t wanted, uint32_t min, uint32_t max)
{
	uint32_t entries = min;

	while (entries < max && entries < wanted)
		entries *= 2;
	return entries;
}

static int ring_setup(struct sl_uring *u)
{
	uint64_t conns = u->options.conns_max;
	uint32_t sq_entries = entries_bounded(conns * 2, SQ_ENTRIES_MIN, SQ_ENTRIES_MAX);
	uint32_t cq_entries = entries_bounded(conns * 4 + u->options.recv_buffer_count * 2ull,
					      SQ_ENTRIES_MIN * 2, CQ_ENTRIES_MAX);
	int rc;

	do {
		struct io_uring_params params = {
			.flags = sl_uring_setup_flags(u) | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = cq_entries,
		};

		rc = io_uring_queue_init_params(sq_entries, &u->ring, &params);
	} while (rc == -EINVAL && sl_uring_setup_flags_reduce(u));
	return rc;
}

static int bell_open(struct sl_uring *u)
{
	int rc;

	u->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->bell_fd < 0)
		return -errno;
	rc = io_uring_register_eventfd(&u->ring, u->bell_fd);
	if (rc == 0)
		rc = io_uring_cq_eventfd_toggle(&u->ring, false);
	if (rc < 0)
		close(u->bell_fd);
	return rc;
}

int sl_uring_ring_open(struct sl_uring *u, struct sl_error *err)
{
	uint32_t i;
	int rc;

	for (i = 0; i < SL_URING_FEATURE_COUNT; i++)
		u->in_use[i] = !u->options.disabled[i];
	u->in_use[SL_URING_SEND_ZC] &= u->options.send_zc;
	/* The kernel defers task work only for a single issuer. */
	u->in_use[SL_URING_DEFER_TASKRUN] &= u->in_use[SL_URING_SINGLE_ISSUER];
	rc = ring_setup(u);
	if (rc < 0)
		return sl_error_set(err, rc, "io_uring_setup: %s", strerror(-rc));
	if ((u->ring.features & features_needed) != features_needed) {
		io_uring_queue_exit(&u->ring);
		return sl_error_set(err, -EOPNOTSUPP, "io_uring of a kernel before 5.7");
	}
	u->get_events = u->in_use[SL_URING_DEFER_TASKRUN] || u->in_use[SL_URING_COOP_TASKRUN];
	sl_uring_features_probe(u);
	rc = bell_open(u);
	if (rc < 0) {
		io_uring_queue_exit(&u->ring);
		return sl_error_set(err, rc, "eventfd of the ring: %s", strerror(-rc));
	}
	return 0;
}

void sl_uring_ring_close(struct sl_uring *u)
{
	io_uring_queue_exit(&u->ring);
	close(u->bell_fd);
}

static bool kernel_has_reason(const struct sl_uring *u)
{
	unsigned int flags = IO_URING_READ_ONCE(*u->ring.sq.kflags);

	return io_uring_sq_ready(&u->ring) > 0 || io_uring_cq_ready(&u->ring) > 0 ||
	       (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

bool sl_uring_has_reason(const struct sl_uring *u)
{
	return u->lists[SL_URING_LIST_DIRTY].first || u->returned_count > 0 || kernel_has_reason(u);
}

bool sl_uring_bell_arm(struct sl_uring *u)
{
	if (SL_LIKELY(u->bell_armed))
		return true;
	(void)io_uring_cq_eventfd_toggle(&u->ring, true);
	u->bell_armed = true;
	/* The kernel publishes work and then looks at the switch; we turn the switch and then look
	 * for work. */
	atomic_thread_fence(memory_order_seq_cst);
	return !sl_uring_has_reason(u);
}

void sl_uring_bell_disarm(struct sl_uring *u)
{
	uint64_t rings;

	if (!u->bell_armed)
		return;
	(void)io_uring_cq_eventfd_toggle(&u->ring, false);
	u->bell_armed = false;
	(void)!read(u->bell_fd, &rings,
		    sizeof(rings)); /* silent when our own submission ends the idleness */
}

/* Errors of entering (EINTR, EAGAIN, EBUSY) leave the entries in the queue: the next poll() tries
 * again. */
void sl_uring_enter(struct sl_uring *u)
{
	unsigned int flags = IO_URING_READ_ONCE(*u->ring.sq.kflags);
	bool pending = io_uring_sq_ready(&u->ring) > 0;

	if (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
		(void)io_uring_submit_and_get_events(&u->ring);
	else if (pending && u->get_events)
		(void)io_uring_submit_and_get_events(&u->ring);
	else if (pending)
		(void)io_uring_submit(&u->ring);
}

struct io_uring_sqe *sl_uring_sqe(struct sl_uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (SL_LIKELY(sqe))
		return sqe;
	(void)io_uring_submit(&u->ring);
	return io_uring_get_sqe(&u->ring);
}
