/* SPDX-License-Identifier: MIT */
/*
 * POSIX threads. A thread starts with every signal blocked, so that the application's handlers run on the application's
 * threads. What it runs is handed over in memory of its own, which the new thread frees; the struct tofu_thread may
 * therefore go as soon as it was joined or detached.
 *
 * In a child of fork() the threads and waiters of the parent are not there, though the memory says they are: join and
 * detach only forget, and a condition variable is not destroyed (glibc would wait for the waiters to leave).
 *
 * Calls that return void ignore results: with objects that init made, and used as platform.h says, they cannot fail.
 */

#include "platform/platform.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct start {
	void (*run)(void *context);
	void *context;
	unsigned number;
};

/* Which thread this is; 0: one of the application's that has not asked yet. pthread_self() would not do: a thread may run, and
 * ask, before pthread_create() has told its creator the id. */
_Thread_local unsigned tofu_current_number;

_Thread_local unsigned tofu_thread_locks;

static enum tofu_status thread_status(int error)
{
	return error == ENOMEM ? TOFU_ALLOCATION_FAILED : TOFU_LIMIT_REACHED;
}

static unsigned next_number(void)
{
	static atomic_uint last;
	unsigned number;

	do {
		number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	} while (number == 0);
	return number;
}

static void *thread_main(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	tofu_current_number = start.number;
	start.run(start.context);
	return NULL;
}

static int create(pthread_t *id, size_t stack, struct start *start)
{
	pthread_attr_t attributes;
	int error;

	if (stack == 0)
		return pthread_create(id, NULL, thread_main, start);
	error = pthread_attr_init(&attributes);
	if (error != 0)
		return error;
	error = pthread_attr_setstacksize(&attributes, stack);
	if (error == 0)
		error = pthread_create(id, &attributes, thread_main, start);
	(void)pthread_attr_destroy(&attributes);
	if (error == EINVAL) /* a program's thread-local variables, which lie there, too, may need all of it */
		error = pthread_create(id, NULL, thread_main, start);
	return error;
}

static int create_blocking_signals(pthread_t *id, size_t stack, struct start *start)
{
	sigset_t all;
	sigset_t before;
	int error;

	(void)sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error != 0)
		return error;
	error = create(id, stack, start);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

enum tofu_status tofu_thread_start(struct tofu_thread *t, void (*run)(void *context), void *context)
{
	return tofu_thread_start_with_stack(t, 0, run, context);
}

enum tofu_status tofu_thread_start_with_stack(struct tofu_thread *t, size_t bytes, void (*run)(void *context),
                                              void *context)
{
	struct start *start = malloc(sizeof *start);
	int error;

	memset(t, 0, sizeof *t);
	if (start == NULL)
		return TOFU_ALLOCATION_FAILED;
	t->number = next_number();
	t->generation = tofu_plat_fork_generation();
	start->run = run;
	start->context = context;
	start->number = t->number;
	error = create_blocking_signals(&t->id, bytes, start);
	if (error != 0) {
		free(start);
		memset(t, 0, sizeof *t);
		return thread_status(error);
	}
	return TOFU_OK;
}

static bool is_here(const struct tofu_thread *t)
{
	return t->number != 0 && t->generation == tofu_plat_fork_generation();
}

void tofu_thread_join(struct tofu_thread *t)
{
	if (is_here(t))
		(void)pthread_join(t->id, NULL);
	memset(t, 0, sizeof *t);
}

void tofu_thread_detach(struct tofu_thread *t)
{
	if (is_here(t))
		(void)pthread_detach(t->id);
	memset(t, 0, sizeof *t);
}

bool tofu_thread_is_current(const struct tofu_thread *t)
{
	return t->number != 0 && t->number == tofu_current_number;
}

const void *tofu_thread_self(void)
{
	return &tofu_current_number;
}

/* For a thread of the application's; none of ours has it. */
unsigned tofu_thread_take_number(void)
{
	tofu_current_number = next_number();
	return tofu_current_number;
}

enum tofu_status tofu_mutex_init(struct tofu_mutex *m)
{
	int error;

	memset(m, 0, sizeof *m);
	error = pthread_mutex_init(&m->mutex, NULL);
	if (error != 0)
		return thread_status(error);
	m->live = true;
	return TOFU_OK;
}

void tofu_mutex_fini(struct tofu_mutex *m)
{
	if (m->live)
		(void)pthread_mutex_destroy(&m->mutex); /* EBUSY in a child of fork(): nothing to free in it anyway */
	m->live = false;
}

enum tofu_status tofu_cond_init(struct tofu_cond *c)
{
	pthread_condattr_t attributes;
	int error;

	memset(c, 0, sizeof *c);
	error = pthread_condattr_init(&attributes);
	if (error != 0)
		return thread_status(error);
	error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (error == 0)
		error = pthread_cond_init(&c->cond, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	if (error != 0)
		return thread_status(error);
	c->generation = tofu_plat_fork_generation();
	c->live = true;
	return TOFU_OK;
}

void tofu_cond_fini(struct tofu_cond *c)
{
	if (c->live && c->generation == tofu_plat_fork_generation())
		(void)pthread_cond_destroy(&c->cond);
	c->live = false;
}

bool tofu_cond_wait_until(struct tofu_cond *c, struct tofu_mutex *m, int64_t deadline_ns)
{
	int64_t seconds = deadline_ns / TOFU_NS_PER_S;
	struct timespec at = { 0 };

	if (deadline_ns < 0) {
		(void)pthread_cond_wait(&c->cond, &m->mutex);
		return true;
	}
	/* A time_t of 32 bits ends here; no machine has been up for so long. */
	at.tv_sec = (time_t)(seconds < INT32_MAX ? seconds : INT32_MAX);
	at.tv_nsec = (long)(deadline_ns % TOFU_NS_PER_S);
	return pthread_cond_timedwait(&c->cond, &m->mutex, &at) != ETIMEDOUT;
}

void tofu_cond_signal(struct tofu_cond *c)
{
	(void)pthread_cond_signal(&c->cond);
}

void tofu_cond_broadcast(struct tofu_cond *c)
{
	(void)pthread_cond_broadcast(&c->cond);
}
