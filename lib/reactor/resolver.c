/* SPDX-License-Identifier: MIT */

/*
 * Questions queue up; an idle thread takes the next, and a thread is added as long as there are fewer than four and none is
 * idle. One that nobody waits for any more leaves the queue, so that it costs the others no time. The answer goes to the
 * reactor's mailbox, under the resolver's lock, so that an engine that is gone is not written to.
 *
 * The lookup itself cannot be interrupted. So at the end idle threads are joined, and busy ones are left: they hold a
 * reference each, find that nobody wants their answer, and free the resolver when they are the last.
 */

#include "reactor/resolver.h"

#include <stdlib.h>

#include "platform/platform.h"
#include "reactor/engine.h"

enum { THREADS_MAX = 4 };

struct worker {
	struct tofu_thread thread;
	struct tofu_resolver *resolver;
	bool started;
	bool busy;
};

struct tofu_resolver {
	struct tofu_mutex lock; /* all below */
	struct tofu_cond asked;
	struct tofu_engine *engine; /* NULL: gone */
	struct tofu_lookup *first;
	struct tofu_lookup *last;
	unsigned idle;       /* threads that wait for a question */
	unsigned queued;     /* questions that no thread has taken yet */
	unsigned references; /* the engine's, and one per thread */
	struct worker workers[THREADS_MAX];
};

enum tofu_status tofu_resolver_create(struct tofu_engine *engine, struct tofu_resolver **out)
{
	struct tofu_resolver *res = calloc(1, sizeof *res);
	enum tofu_status status;

	*out = NULL;
	if (res == NULL)
		return TOFU_ALLOCATION_FAILED;
	res->engine = engine;
	res->references = 1;
	status = tofu_plat_hold(); /* a thread that is left behind still needs the system's sockets */
	if (status != TOFU_OK)
		goto no_hold;
	status = tofu_mutex_init(&res->lock);
	if (status != TOFU_OK)
		goto no_lock;
	status = tofu_cond_init(&res->asked);
	if (status != TOFU_OK)
		goto no_cond;
	*out = res;
	return TOFU_OK;
no_cond:
	tofu_mutex_fini(&res->lock);
no_lock:
	tofu_plat_release();
no_hold:
	free(res);
	return status;
}

/* With the lock, which is gone afterwards. */
static void unref(struct tofu_resolver *res)
{
	bool last = --res->references == 0;

	tofu_mutex_unlock(&res->lock);
	if (!last)
		return;
	tofu_cond_fini(&res->asked);
	tofu_mutex_fini(&res->lock);
	free(res);
	tofu_plat_release();
}

static struct tofu_lookup *next_question(struct tofu_resolver *res)
{
	struct tofu_lookup *l = res->first;

	if (l == NULL)
		return NULL;
	res->first = l->next;
	if (res->first == NULL)
		res->last = NULL;
	res->queued--;
	return l;
}

static void look_up(struct tofu_lookup *l)
{
	l->count = 0;
	l->status = l->transport->resolve(l->rest, l->purpose, 1, l->addresses, TOFU_ADDRESSES_MAX, &l->count);
	if (l->status == TOFU_OK && l->count == 0)
		l->status = TOFU_HOST_NOT_FOUND;
	if (l->status == TOFU_WOULD_BLOCK) /* not an answer here */
		l->status = TOFU_PROCESSING_FAILED;
}

static void work(void *context)
{
	struct worker *w = context;
	struct tofu_resolver *res = w->resolver;

	tofu_mutex_lock(&res->lock);
	while (res->engine != NULL) {
		struct tofu_lookup *l = next_question(res);

		if (l == NULL) {
			res->idle++;
			(void)tofu_cond_wait_until(&res->asked, &res->lock, TOFU_FOREVER);
			res->idle--;
			continue;
		}
		w->busy = true;
		tofu_mutex_unlock(&res->lock);
		look_up(l);
		tofu_mutex_lock(&res->lock);
		w->busy = false;
		if (res->engine == NULL)
			free(l);
		else if (tofu_mailbox_command(&res->engine->mailbox, &l->answer))
			tofu_engine_wake(res->engine);
	}
	unref(res);
}

/* With the lock. One thread more, if that helps and can be had. True: somebody will take the next question. */
static bool have_worker(struct tofu_resolver *res)
{
	bool any = false;

	if (res->idle > res->queued)
		return true;
	for (size_t i = 0; i < THREADS_MAX; i++) {
		struct worker *w = &res->workers[i];

		if (!w->started) {
			w->resolver = res;
			w->started = tofu_thread_start(&w->thread, work, w) == TOFU_OK;
			res->references += w->started;
			return any || w->started;
		}
		any = true;
	}
	return any;
}

enum tofu_status tofu_resolver_ask(struct tofu_resolver *res, struct tofu_lookup *lookup)
{
	enum tofu_status status = TOFU_OK;

	tofu_mutex_lock(&res->lock);
	if (have_worker(res)) {
		lookup->next = NULL;
		if (res->last != NULL)
			res->last->next = lookup;
		else
			res->first = lookup;
		res->last = lookup;
		res->queued++;
		tofu_cond_signal(&res->asked);
	} else {
		status = TOFU_LIMIT_REACHED;
	}
	tofu_mutex_unlock(&res->lock);
	return status;
}

void tofu_resolver_forget(struct tofu_resolver *res, uint64_t serial)
{
	struct tofu_lookup *before = NULL;
	struct tofu_lookup *l;

	tofu_mutex_lock(&res->lock);
	for (l = res->first; l != NULL && l->serial != serial; l = l->next)
		before = l;
	if (l != NULL) {
		if (before != NULL)
			before->next = l->next;
		else
			res->first = l->next;
		if (res->last == l)
			res->last = before;
		res->queued--;
	}
	tofu_mutex_unlock(&res->lock);
	free(l);
}

void tofu_resolver_destroy(struct tofu_resolver *res)
{
	struct tofu_lookup *l;
	bool idle[THREADS_MAX] = { false };

	if (res == NULL)
		return;
	tofu_mutex_lock(&res->lock);
	res->engine = NULL;
	while ((l = next_question(res)) != NULL)
		free(l);
	for (size_t i = 0; i < THREADS_MAX; i++) {
		struct worker *w = &res->workers[i];

		if (!w->started)
			continue;
		idle[i] = !w->busy;
		if (w->busy)
			tofu_thread_detach(&w->thread);
	}
	tofu_cond_broadcast(&res->asked);
	tofu_mutex_unlock(&res->lock);
	for (size_t i = 0; i < THREADS_MAX; i++)
		if (idle[i])
			tofu_thread_join(&res->workers[i].thread);
	tofu_mutex_lock(&res->lock);
	unref(res);
}

void tofu_resolver_abandon(struct tofu_resolver *res)
{
	struct tofu_lookup *l;

	if (res == NULL)
		return;
	while ((l = next_question(res)) != NULL)
		free(l);
	free(res);
	tofu_plat_release();
}

void tofu_resolver_hold(struct tofu_resolver *res)
{
	tofu_mutex_lock(&res->lock);
}

void tofu_resolver_go_on(struct tofu_resolver *res)
{
	tofu_mutex_unlock(&res->lock);
}
