/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/thread.h"

int sl_thread_create(pthread_t *thread, void *(*main)(void *ctx), void *ctx)
{
	pthread_attr_t attributes;
	int rc = pthread_attr_init(&attributes);

	if (rc != 0)
		return rc;
	rc = pthread_attr_setstacksize(&attributes, SL_THREAD_STACK_BYTES);
	if (rc == 0)
		rc = pthread_create(thread, &attributes, main, ctx);
	pthread_attr_destroy(&attributes);
	return rc;
}
