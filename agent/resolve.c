/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/thread.h"

struct list {
	struct sl_resolve *first, *last;
};

struct sl_resolver {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t asked;
	struct list todo, done; /* under mutex */
	bool stop;              /* under mutex */
	void (*notify)(void *ctx);
	void *ctx;
};

static void list_add(struct list *list, struct sl_resolve *request)
{
	request->next = NULL;
	if (list->last)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
}

static struct sl_resolve *list_take(struct list *list)
{
	struct sl_resolve *request = list->first;

	if (!request)
		return NULL;
	list->first = request->next;
	if (!list->first)
		list->last = NULL;
	return request;
}

static void list_free(struct list *list)
{
	struct sl_resolve *request;

	while ((request = list_take(list)))
		free(request);
}

static void address_add(struct sl_resolve *request, const struct sockaddr *from)
{
	struct sl_address address = {.port = request->port};

	if (from->sa_family == AF_INET) {
		address.family = 4;
		memcpy(address.ip, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;

		address.family = 6;
		address.scope_id = six->sin6_scope_id;
		memcpy(address.ip, &six->sin6_addr, 16);
	} else {
		return;
	}
	for (uint32_t i = 0; i < request->count; i++)
		if (sl_address_equal(&request->addresses[i], &address))
			return;
	if (request->count < SL_RESOLVE_ADDRESSES_MAX)
		request->addresses[request->count++] = address;
}

static int look_up(struct sl_resolve *request, int flags)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(request->host, NULL, &hints, &list);

	request->count = 0;
	if (rc == 0)
		for (const struct addrinfo *at = list; at; at = at->ai_next)
			address_add(request, at->ai_addr);
	if (list)
		freeaddrinfo(list);
	if (rc == EAI_MEMORY)
		return -ENOMEM;
	if (rc == EAI_AGAIN)
		return -EAGAIN;
	return request->count ? 0 : -ENOENT;
}

bool sl_resolve_literal(struct sl_resolve *request)
{
	request->error = look_up(request, AI_NUMERICHOST);
	return request->error == 0;
}

void sl_resolve_now(struct sl_resolve *request)
{
	/* ADDRCONFIG first: a host without IPv6 would otherwise try addresses that cannot work. */
	request->error = look_up(request, AI_ADDRCONFIG);
	if (request->error == -ENOENT)
		request->error = look_up(request, 0);
}

static void *resolver_main(void *arg)
{
	struct sl_resolver *resolver = arg;

	pthread_mutex_lock(&resolver->mutex);
	for (;;) {
		struct sl_resolve *request;

		while (!resolver->stop && !resolver->todo.first)
			pthread_cond_wait(&resolver->asked, &resolver->mutex);
		if (resolver->stop)
			break;
		request = list_take(&resolver->todo);
		pthread_mutex_unlock(&resolver->mutex);
		sl_resolve_now(request);
		pthread_mutex_lock(&resolver->mutex);
		list_add(&resolver->done, request);
		resolver->notify(resolver->ctx);
	}
	pthread_mutex_unlock(&resolver->mutex);
	return NULL;
}

int sl_resolver_create(struct sl_resolver **out, void (*notify)(void *ctx), void *ctx,
		       struct sl_error *err)
{
	struct sl_resolver *resolver = calloc(1, sizeof(*resolver));
	int rc;

	if (!resolver)
		return sl_error_set(err, -ENOMEM, "no memory for the resolver");
	resolver->notify = notify;
	resolver->ctx = ctx;
	pthread_mutex_init(&resolver->mutex, NULL);
	pthread_cond_init(&resolver->asked, NULL);
	rc = sl_thread_create(&resolver->thread, resolver_main, resolver);
	if (rc != 0) {
		pthread_cond_destroy(&resolver->asked);
		pthread_mutex_destroy(&resolver->mutex);
		free(resolver);
		return sl_error_set(err, -rc, "resolver's thread: %s", strerror(rc));
	}
	pthread_setname_np(resolver->thread, "resolver");
	*out = resolver;
	return 0;
}

void sl_resolver_destroy(struct sl_resolver *resolver)
{
	if (!resolver)
		return;
	pthread_mutex_lock(&resolver->mutex);
	resolver->stop = true;
	pthread_cond_signal(&resolver->asked);
	pthread_mutex_unlock(&resolver->mutex);
	pthread_join(resolver->thread, NULL);
	list_free(&resolver->todo);
	list_free(&resolver->done);
	pthread_cond_destroy(&resolver->asked);
	pthread_mutex_destroy(&resolver->mutex);
	free(resolver);
}

void sl_resolver_ask(struct sl_resolver *resolver, struct sl_resolve *request)
{
	pthread_mutex_lock(&resolver->mutex);
	list_add(&resolver->todo, request);
	pthread_cond_signal(&resolver->asked);
	pthread_mutex_unlock(&resolver->mutex);
}

struct sl_resolve *sl_resolver_take(struct sl_resolver *resolver)
{
	struct sl_resolve *request;

	pthread_mutex_lock(&resolver->mutex);
	request = list_take(&resolver->done);
	pthread_mutex_unlock(&resolver->mutex);
	return request;
}
