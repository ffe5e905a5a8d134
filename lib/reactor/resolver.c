/* SPDX-License-Identifier: MIT */

/*
 * A question gets a thread at once: an idle one, or a new one. As many as LOOKUPS_MAX that somebody waits for are looked up at
 * the same time; others queue up. The newest of those is the next, for it has the most time left. One that nobody waits for
 * any more leaves the queue, so that it costs the others no time. The answer goes to the reactor's mailbox, under the
 * resolver's lock, so that an engine that is gone is not written to.
 *
 * The lookup itself cannot be interrupted. If nobody waits for it any more, its thread is lost until the system answers, so
 * it no longer counts and another takes its place, up to THREADS_MAX. A thread that finds nothing to do waits for more,
 * unless IDLE_MAX of them do. At the end idle threads are joined, and busy ones are left: they hold a reference each, find
 * that nobody wants their answer, and free the resolver when they are the last.
 */

#include "reactor/resolver.h"

#include <stdlib.h>

#include "platform/platform.h"
#include "reactor/engine.h"
#include "reactor/transport.h"

enum {
	LOOKUPS_MAX = 72,
	THREADS_MAX = 1024,
	IDLE_MAX = 4,
	STACK = 512 * 1024 /* bytes; the system's resolver has plugins */
};

struct worker {
	struct tofu_list of_resolver;
	struct tofu_thread thread;
	struct tofu_resolver *resolver;
	bool busy;
	bool joined; /* tofu_resolver_destroy() waits for its end, and frees it */
};

struct tofu_resolver {
	struct tofu_mutex lock; /* all below */
	struct tofu_cond asked;
	struct tofu_engine *engine; /* NULL: gone */
	struct tofu_list queue;     /* questions that no thread has taken yet */
	struct tofu_list taken;     /* questions that threads are at */
	struct tofu_list workers;
	unsigned queued;
	unsigned running; /* of those taken, so many are still waited for */
	unsigned threads;
	unsigned idle;       /* of the threads */
	unsigned references; /* the engine's, and one per thread */
};

void tofu_lookup_free(struct tofu_lookup *l)
{
	tofu_transport_release(l->transport);
	free(l->dial);
	free(l);
}

enum tofu_status tofu_resolver_create(struct tofu_engine *engine, struct tofu_resolver **out)
{
	struct tofu_resolver *res = calloc(1, sizeof *res);
	enum tofu_status status;

	*out = NULL;
	if (res == NULL)
		return TOFU_ALLOCATION_FAILED;
	res->engine = engine;
	res->references = 1;
	tofu_list_init(&res->queue);
	tofu_list_init(&res->taken);
	tofu_list_init(&res->workers);
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
	struct tofu_list *node = res->running < LOOKUPS_MAX ? tofu_list_pop(&res->queue) : NULL;
	struct tofu_lookup *l;

	if (node == NULL)
		return NULL;
	l = TOFU_LIST_OWNER(node, struct tofu_lookup, of_resolver);
	l->state = TOFU_LOOKUP_RUNNING;
	tofu_list_append(&res->taken, node);
	res->queued--;
	res->running++;
	return l;
}

static void look_up(struct tofu_lookup *l)
{
	struct tofu_sockaddr found[TOFU_ADDRESSES_MAX];
	size_t count = 0;

	l->status = l->transport->resolve(l->transport, l->rest, l->purpose, 1, found, TOFU_ADDRESSES_MAX, &count);
	if (l->status == TOFU_OK && count == 0)
		l->status = TOFU_HOST_NOT_FOUND;
	if (l->status == TOFU_WOULD_BLOCK) /* not an answer here */
		l->status = TOFU_PROCESSING_FAILED;
	if (l->status != TOFU_OK)
		return;
	l->dial = tofu_dial_make(found, count);
	if (l->dial == NULL)
		l->status = TOFU_ALLOCATION_FAILED;
}

static void set_busy(struct tofu_resolver *res, struct worker *w, bool busy)
{
	w->busy = busy;
	res->idle += busy ? -1u : 1u;
}

/* With the lock, which is let go meanwhile. */
static void find_answer(struct tofu_resolver *res, struct worker *w, struct tofu_lookup *l)
{
	set_busy(res, w, true);
	tofu_mutex_unlock(&res->lock);
	look_up(l);
	tofu_mutex_lock(&res->lock);
	set_busy(res, w, false);
	tofu_list_remove(&l->of_resolver);
	res->running -= l->state == TOFU_LOOKUP_RUNNING;
	if (l->state == TOFU_LOOKUP_FORGOTTEN || res->engine == NULL) {
		/* Without the lock: this may end an instance of a transport, and so call a plugin's code. */
		tofu_mutex_unlock(&res->lock);
		tofu_lookup_free(l);
		tofu_mutex_lock(&res->lock);
		return;
	}
	l->state = TOFU_LOOKUP_ANSWERED;
	if (tofu_mailbox_command(&res->engine->mailbox, &l->answer))
		tofu_engine_wake(res->engine);
}

static void work(void *context)
{
	struct worker *w = context;
	struct tofu_resolver *res = w->resolver;

	tofu_mutex_lock(&res->lock);
	while (res->engine != NULL) {
		struct tofu_lookup *l = next_question(res);

		if (l != NULL)
			find_answer(res, w, l);
		else if (res->idle <= IDLE_MAX)
			(void)tofu_cond_wait_until(&res->asked, &res->lock, TOFU_FOREVER);
		else
			break;
	}
	res->threads--;
	res->idle--;
	if (!w->joined) {
		tofu_list_remove(&w->of_resolver);
		tofu_thread_detach(&w->thread);
		free(w);
	}
	unref(res);
}

static enum tofu_status add_worker(struct tofu_resolver *res)
{
	struct worker *w = calloc(1, sizeof *w);
	enum tofu_status status;

	if (w == NULL)
		return TOFU_ALLOCATION_FAILED;
	w->resolver = res;
	status = tofu_thread_start_with_stack(&w->thread, STACK, work, w);
	if (status != TOFU_OK) {
		free(w);
		return status;
	}
	tofu_list_append(&res->workers, &w->of_resolver);
	res->threads++;
	res->idle++;
	res->references++;
	return TOFU_OK;
}

/* With the lock: somebody for a question whose turn has come, if there is one. Why no thread was added, if one is missing. */
static enum tofu_status engage(struct tofu_resolver *res)
{
	unsigned free_turns = LOOKUPS_MAX - res->running;
	unsigned due = res->queued < free_turns ? res->queued : free_turns;
	enum tofu_status status = TOFU_OK;

	if (res->idle < due && res->threads < THREADS_MAX)
		status = add_worker(res);
	if (due > 0)
		tofu_cond_signal(&res->asked);
	return status;
}

enum tofu_status tofu_resolver_ask(struct tofu_resolver *res, struct tofu_lookup *l)
{
	enum tofu_status status;

	tofu_mutex_lock(&res->lock);
	l->state = TOFU_LOOKUP_QUEUED;
	tofu_list_append(res->queue.next, &l->of_resolver); /* before the first */
	res->queued++;
	status = engage(res);
	if (res->threads > 0) {
		status = TOFU_OK; /* if not a new one, then one of those will take it */
	} else {
		tofu_list_remove(&l->of_resolver);
		res->queued--;
	}
	tofu_mutex_unlock(&res->lock);
	return status;
}

void tofu_resolver_forget(struct tofu_resolver *res, struct tofu_lookup *l)
{
	bool queued;

	l->channel = NULL;
	tofu_mutex_lock(&res->lock);
	queued = l->state == TOFU_LOOKUP_QUEUED;
	if (queued) {
		tofu_list_remove(&l->of_resolver);
		res->queued--;
	} else if (l->state == TOFU_LOOKUP_RUNNING) {
		l->state = TOFU_LOOKUP_FORGOTTEN;
		res->running--;
		(void)engage(res); /* without a new thread, one of those that there are will take the next */
	}
	tofu_mutex_unlock(&res->lock);
	if (queued)
		tofu_lookup_free(l);
}

static void free_lookups(struct tofu_list *list)
{
	struct tofu_list *node;

	while ((node = tofu_list_pop(list)) != NULL)
		tofu_lookup_free(TOFU_LIST_OWNER(node, struct tofu_lookup, of_resolver));
}

void tofu_resolver_destroy(struct tofu_resolver *res)
{
	struct tofu_list idlers;
	struct tofu_list *node, *next;

	if (res == NULL)
		return;
	tofu_list_init(&idlers);
	tofu_mutex_lock(&res->lock);
	res->engine = NULL;
	free_lookups(&res->queue);
	for (node = res->workers.next; node != &res->workers; node = next) {
		struct worker *w = TOFU_LIST_OWNER(node, struct worker, of_resolver);

		next = node->next;
		if (w->busy)
			continue;
		w->joined = true;
		tofu_list_remove(node);
		tofu_list_append(&idlers, node);
	}
	tofu_cond_broadcast(&res->asked);
	tofu_mutex_unlock(&res->lock);
	while ((node = tofu_list_pop(&idlers)) != NULL) {
		struct worker *w = TOFU_LIST_OWNER(node, struct worker, of_resolver);

		tofu_thread_join(&w->thread);
		free(w);
	}
	tofu_mutex_lock(&res->lock);
	unref(res);
}

/* Its threads are not here, their stacks neither; what they were at is. */
void tofu_resolver_abandon(struct tofu_resolver *res)
{
	struct tofu_list *node;

	if (res == NULL)
		return;
	free_lookups(&res->queue);
	free_lookups(&res->taken);
	while ((node = tofu_list_pop(&res->workers)) != NULL)
		free(TOFU_LIST_OWNER(node, struct worker, of_resolver));
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
