/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/request.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "dataplane/wire/init_producer_id.h"
#include "dataplane/wire/metadata.h"

struct sl_refresh_request {
	struct sl_metadata_request wire;
	struct sl_slice *slices;
	char (*names)[SL_TOPIC_NAME_BYTES];
};

struct sl_refresh_request *sl_refresh_request_new(const struct sl_agent *agent)
{
	uint32_t count = agent->topics.count;
	struct sl_refresh_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->slices = calloc(count + 1, sizeof(*request->slices));
	request->names = calloc(count + 1, sizeof(*request->names));
	if (!request->slices || !request->names) {
		sl_refresh_request_free(request);
		return NULL;
	}
	for (uint32_t i = 0; i < count; i++) {
		memcpy(request->names[i], agent->topics.list[i].name, SL_TOPIC_NAME_BYTES);
		request->slices[i] = sl_slice_of(request->names[i]);
	}
	request->wire.topics = request->slices;
	request->wire.topic_count = count;
	request->wire.allow_auto_create = agent->config->allow_auto_create_topics;
	return request;
}

void sl_refresh_request_free(struct sl_refresh_request *request)
{
	if (!request)
		return;
	free(request->slices);
	free(request->names);
	free(request);
}

int sl_refresh_request_encode(const struct sl_carry *carry, const struct sl_request_head *head,
			      struct sl_wbuf *out)
{
	const struct sl_refresh_request *request = carry->context;

	return sl_metadata_request_encode(out, head, &request->wire);
}

int sl_producer_request_encode(const struct sl_carry *carry, const struct sl_request_head *head,
			       struct sl_wbuf *out)
{
	return sl_init_producer_id_request_encode(out, head);
}
