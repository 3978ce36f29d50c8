/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread's requests as a worker's carry encodes them: the encode functions run on a
 * worker's thread and read nothing but what the request holds.
 */
#ifndef SL_AGENT_REQUEST_H
#define SL_AGENT_REQUEST_H

#include "dataplane/wire/api.h"

struct sl_agent;
struct sl_carry;
struct sl_refresh_request;

/* A copy of all topics' names; NULL without memory. */
struct sl_refresh_request *sl_refresh_request_new(const struct sl_agent *agent);
void sl_refresh_request_free(struct sl_refresh_request *request);

/* For sl_carry.encode; its context is the request. */
int sl_refresh_request_encode(const struct sl_carry *carry, const struct sl_request_head *head,
			      struct sl_wbuf *out);

/* For sl_carry.encode; it needs no context. */
int sl_producer_request_encode(const struct sl_carry *carry, const struct sl_request_head *head,
			       struct sl_wbuf *out);

#endif
