/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has, less what the options switch off. */
#include "dataplane/transport/uring/internal.h"

static const char *const feature_names[SL_URING_FEATURE_COUNT] = {
	[SL_URING_SINGLE_ISSUER] = "single_issuer",
	[SL_URING_DEFER_TASKRUN] = "defer_taskrun",
	[SL_URING_COOP_TASKRUN] = "coop_taskrun",
	[SL_URING_SUBMIT_ALL] = "submit_all",
	[SL_URING_BUFFER_RING] = "buffer_ring",
	[SL_URING_RECV_MULTISHOT] = "recv_multishot",
	[SL_URING_RING_FD] = "ring_fd",
	[SL_URING_SEND_ZC] = "send_zc",
};

/* Flags of setup, newest kernel first: a kernel that refuses one has none of those before it. */
static const struct {
	enum sl_uring_feature feature;
	unsigned int flag;
} setup_flags[] = {
	{SL_URING_DEFER_TASKRUN, IORING_SETUP_DEFER_TASKRUN},
	{SL_URING_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER},
	{SL_URING_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN},
	{SL_URING_SUBMIT_ALL, IORING_SETUP_SUBMIT_ALL},
};

const char *sl_uring_feature_name(uint32_t feature)
{
	return feature < SL_URING_FEATURE_COUNT ? feature_names[feature] : NULL;
}

unsigned int sl_uring_setup_flags(const struct sl_uring *u)
{
	unsigned int flags = 0;
	size_t i;

	for (i = 0; i < SL_ARRAY_COUNT(setup_flags); i++)
		if (u->in_use[setup_flags[i].feature])
			flags |= setup_flags[i].flag;
	/* The flag word that says "enter the kernel" exists for exactly those rings that wait to be
	 * entered. */
	if (flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN))
		flags |= IORING_SETUP_TASKRUN_FLAG;
	return flags;
}

bool sl_uring_setup_flags_reduce(struct sl_uring *u)
{
	size_t i;

	for (i = 0; i < SL_ARRAY_COUNT(setup_flags); i++) {
		if (u->in_use[setup_flags[i].feature]) {
			u->in_use[setup_flags[i].feature] = false;
			return true;
		}
	}
	return false;
}

/*
 * Features without an opcode or a call to ask for are read from an opcode of the same kernel:
 * multishot receive came with IORING_OP_SEND_ZC (6.0).
 */
void sl_uring_features_probe(struct sl_uring *u)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);

	if (!probe || !io_uring_opcode_supported(probe, SL_URING_KERNEL_SEND_ZC))
		u->in_use[SL_URING_RECV_MULTISHOT] = false;
	if (!probe || !io_uring_opcode_supported(probe, SL_URING_KERNEL_SENDMSG_ZC))
		u->in_use[SL_URING_SEND_ZC] = false;
	if (probe)
		io_uring_free_probe(probe);
	if (u->in_use[SL_URING_RING_FD] && io_uring_register_ring_fd(&u->ring) < 0)
		u->in_use[SL_URING_RING_FD] = false;
}
