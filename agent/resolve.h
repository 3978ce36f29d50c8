/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, in a thread of its own because getaddrinfo blocks. The control thread asks
 * and collects; between the two threads a mutex guards two short lists (neither is a worker).
 * Addresses as text are answered without the thread.
 */
#ifndef SL_AGENT_RESOLVE_H
#define SL_AGENT_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/base/error.h"
#include "dataplane/transport/transport.h"

enum { SL_RESOLVE_ADDRESSES_MAX = 16, SL_HOST_BYTES = 256 };

enum sl_resolve_for { SL_RESOLVE_SEED = 1, SL_RESOLVE_NODE = 2 };

struct sl_resolve {
	struct sl_resolve *next;
	enum sl_resolve_for what;
	int32_t who; /* index of a seed, or node id */
	char host[SL_HOST_BYTES];
	uint16_t port;
	/* The answer: all addresses in the order of preference of the system, without repetitions.
	 */
	int error; /* 0 or negative errno; -ENOENT: no such name */
	uint32_t count;
	struct sl_address addresses[SL_RESOLVE_ADDRESSES_MAX];
};

struct sl_resolver;

/* Begins the thread. notify is called on it after each answer. */
int sl_resolver_create(struct sl_resolver **out, void (*notify)(void *ctx), void *ctx,
		       struct sl_error *err);

/* Waits for a look-up that is under way (seconds at worst), drops the rest. NULL is allowed. */
void sl_resolver_destroy(struct sl_resolver *resolver);

/* The request, allocated, is the resolver's until sl_resolver_take() gives it back. */
void sl_resolver_ask(struct sl_resolver *resolver, struct sl_resolve *request);
struct sl_resolve *sl_resolver_take(struct sl_resolver *resolver);

/* Answers now when host is an address as text; false when it is a name. */
bool sl_resolve_literal(struct sl_resolve *request);

/* Blocks: what the thread does. */
void sl_resolve_now(struct sl_resolve *request);

#endif
