/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a data segment that could fault, block or change under the agent is refused before it is
 * mapped. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/hostile/peer.h"

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void greet(struct peer *p)
{
	peer_connect(p);
	peer_hello(p);
	p->geometry = (struct sl_segment_geometry){SL_RING_BYTES_MIN, 2, 64};
}

static void offered(int fd)
{
	union sl_hs_message msg;
	struct peer p;

	CHECK(fd >= 0);
	greet(&p);
	peer_open_fill(&p, &msg);
	peer_send(&p, &msg, &fd, 1);
	peer_refused(&p, SL_REFUSE_SEGMENT);
	peer_close(&p);
	close(fd);
}

static uint64_t fitting(void)
{
	return sl_data_bytes(2, SL_RING_BYTES_MIN);
}

static int memfd(unsigned int flags, uint64_t bytes, int seals)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	CHECK(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static int file_of(const char *template)
{
	char path[64];
	int fd;

	strcpy(path, template);
	fd = mkstemp(path);
	CHECK(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)fitting()) == 0);
	return fd;
}

static int pipe_end(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	close(ends[1]);
	return ends[0];
}

static void kinds(void)
{
	int fd;

	offered(file_of("/var/tmp/sl-hostile-XXXXXX"));
	offered(file_of("/dev/shm/sl-hostile-XXXXXX"));
	offered(open("/proc/self/mem", O_RDWR));
	offered(open("/proc/self/status", O_RDONLY));
	offered(open("/dev/zero", O_RDWR));
	offered(open("/", O_RDONLY | O_DIRECTORY));
	offered(open("/", O_PATH));
	offered(pipe_end());
	offered(socket(AF_INET, SOCK_STREAM, 0));
	/* Huge pages may not be there at all: nothing is reserved before they are touched. */
	fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	if (fd >= 0) {
		(void)!ftruncate(fd, 2 << 20);
		fcntl(fd, F_ADD_SEALS, ALL_SEALS);
		offered(fd);
	}
}

static void seals(void)
{
	offered(memfd(0, fitting(), 0));
	offered(memfd(0, fitting(), F_SEAL_SHRINK));
	offered(memfd(0, fitting(), F_SEAL_SHRINK | F_SEAL_GROW));
	offered(memfd(0, fitting(), F_SEAL_GROW | F_SEAL_SEAL));
	offered(memfd(0, fitting(), ALL_SEALS | F_SEAL_WRITE));
	offered(memfd(0, fitting(), ALL_SEALS | F_SEAL_FUTURE_WRITE));
}

static void sizes(void)
{
	offered(memfd(0, 0, ALL_SEALS));
	offered(memfd(0, fitting() - 1, ALL_SEALS));
	offered(memfd(0, fitting() - SL_SHM_PAGE_BYTES, ALL_SEALS));
	offered(memfd(0, fitting() + SL_SHM_PAGE_BYTES, ALL_SEALS));
	offered(memfd(0, UINT64_C(1) << 40, ALL_SEALS));
}

static void geometry_refused(uint64_t ring_bytes, uint32_t rings, uint32_t slots,
			     enum sl_refuse code)
{
	union sl_hs_message msg;
	struct peer p;
	int fd = memfd(0, fitting(), ALL_SEALS);

	greet(&p);
	p.geometry.ring_count = rings < SL_SHM_RINGS_MAX ? rings : SL_SHM_RINGS_MAX;
	peer_open_fill(&p, &msg);
	msg.open.ring_bytes = ring_bytes;
	msg.open.ring_count = rings;
	msg.open.report_slots = slots;
	peer_send(&p, &msg, &fd, 1);
	peer_refused(&p, code);
	peer_close(&p);
	close(fd);
}

/* What is asked for, beyond what may be said at all and beyond what this agent grants (its limits
 * are the runner's). */
static void geometries(void)
{
	geometry_refused(SL_RING_BYTES_MIN, 0, 64, SL_REFUSE_MALFORMED);
	geometry_refused(SL_RING_BYTES_MIN, 65, 64, SL_REFUSE_MALFORMED);
	geometry_refused(SL_RING_BYTES_MIN, UINT32_MAX, 64, SL_REFUSE_MALFORMED);
	geometry_refused(0, 1, 64, SL_REFUSE_MALFORMED);
	geometry_refused(SL_RING_BYTES_MIN + 4096, 1, 64, SL_REFUSE_MALFORMED);
	geometry_refused(UINT64_C(1) << 63, 64, 64, SL_REFUSE_MALFORMED);
	geometry_refused(SL_RING_BYTES_MIN, 1, 63, SL_REFUSE_MALFORMED);
	geometry_refused(SL_RING_BYTES_MIN, 1, UINT32_C(1) << 31, SL_REFUSE_MALFORMED);
	geometry_refused(SL_RING_BYTES_MIN, 33, 64, SL_REFUSE_LIMIT);
	geometry_refused(SL_RING_BYTES_MAX, 1, 64, SL_REFUSE_LIMIT);
	geometry_refused(SL_RING_BYTES_MIN, 1, SL_REPORT_SLOTS_MAX, SL_REFUSE_LIMIT);
}

/* Attaches until the agent has no more to give; then it says so, and takes the next one after these
 * have gone. */
static void too_many(void)
{
	static struct peer peers[512];
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX];
	uint32_t count = 0, answer = 0;

	while (count < 512) {
		struct peer *p = &peers[count++];

		peer_connect(p);
		peer_hello(p);
		p->geometry = (struct sl_segment_geometry){SL_RING_BYTES_MIN, 32, 64};
		peer_data_make(p);
		peer_open_fill(p, &msg);
		peer_send(p, &msg, &p->data_fd, 1);
		answer = peer_answer(p, &msg, fds);
		if (answer != SL_HS_OPENED)
			break;
		p->status_fd = fds[0];
		p->bell_fd = fds[1];
	}
	CHECK(answer == SL_HS_REFUSE && msg.refuse.code == SL_REFUSE_LIMIT);
	while (count-- > 0)
		peer_close(&peers[count]);
}

static void reattach_refused(struct peer *p, union sl_hs_message *msg)
{
	int fds[2] = {p->data_fd, p->status_fd}, got[SL_HS_FDS_MAX];
	struct peer other;

	peer_connect(&other);
	peer_hello(&other);
	peer_send(&other, msg, fds, 2);
	CHECK(peer_answer(&other, msg, got) == SL_HS_REFUSE &&
	      msg->refuse.code == SL_REFUSE_UNKNOWN);
	peer_close(&other);
}

/* Somebody else's segment: without its token, with another number, with other memory. */
static void reattach(void)
{
	union sl_hs_message msg, right;
	struct peer p;

	peer_open(&p, 1, SL_RING_BYTES_MIN, 64);
	peer_open_fill(&p, &right);
	right.head.type = SL_HS_REATTACH;
	right.open.segment_id = p.segment_id;
	memcpy(right.open.token, p.token, sizeof(p.token));
	msg = right;
	msg.open.token[3] ^= 1;
	reattach_refused(&p, &msg);
	msg = right;
	msg.open.segment_id += 12345;
	msg.open.token[0] ^= 1;
	reattach_refused(&p, &msg);
	msg = right;
	msg.open.client_id[0] ^= 1;
	reattach_refused(&p, &msg);
	peer_put_good(&p, 0);
	peer_commit(&p, 0);
	peer_settled(&p, 0, 1);
	peer_close(&p);
}

const struct scenario scenarios_segment[] = {
	{"segment_kinds", kinds},
	{"segment_seals", seals},
	{"segment_sizes", sizes},
	{"segment_geometries", geometries},
	{"segment_too_many", too_many},
	{"segment_reattach", reattach},
	{NULL, NULL},
};
