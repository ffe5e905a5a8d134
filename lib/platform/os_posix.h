/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_OS_POSIX_H
#define TOFU_PLATFORM_OS_POSIX_H

/*
 * What POSIX threads need to be kept in. Zeroed memory is "none" in each: fini, join and detach accept it. Nobody but
 * thread_posix.c looks inside.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct tofu_thread {
	pthread_t id;
	unsigned number;     /* 0: no thread. Known before the thread runs, unlike id */
	unsigned generation; /* the fork generation it lives in; there is nothing to join in another */
};

struct tofu_mutex {
	pthread_mutex_t mutex;
	bool live;
};

#define TOFU_MUTEX_INITIALIZER                                                                                         \
	{                                                                                                              \
		PTHREAD_MUTEX_INITIALIZER, true                                                                        \
	}

struct tofu_cond {
	pthread_cond_t cond;
	unsigned generation; /* of fork, in which it was made */
	bool live;
};

/**
 * The same open file under a number above 2, or -1 with errno; fd is gone either way. For what the system calls give when
 * the application runs without standard streams: else its next line on stderr would go to a peer. It also makes 0, which is
 * what zeroed memory holds, never a descriptor of ours.
 */
int tofu_plat_fd_above_stdio(int fd);

/* platform.h says what these two are. Each message asks for them. */

extern atomic_uint tofu_fork_generation __attribute__((visibility("hidden")));

static inline unsigned tofu_plat_fork_generation(void)
{
	return atomic_load_explicit(&tofu_fork_generation, memory_order_relaxed);
}

extern _Thread_local unsigned tofu_current_number __attribute__((tls_model("initial-exec"), visibility("hidden")));
unsigned tofu_thread_take_number(void);

static inline unsigned tofu_thread_number(void)
{
	return tofu_current_number != 0 ? tofu_current_number : tofu_thread_take_number();
}

/*
 * Locks of ours that the thread has, counted from before it asks to after it has let go, so that a signal handler in between
 * never finds too few: the calls between are opaque, so the compiler moves nothing across them. The counter is found through
 * the thread's own register, for a call of the dynamic linker for each lock would be dear. For the same reason the calls that
 * take and release a lock are inline.
 */
extern _Thread_local unsigned tofu_thread_locks __attribute__((tls_model("initial-exec"), visibility("hidden")));

/**
 * Has the calling thread a lock of ours, or is about to take or has just released one? Then it is in the middle of a call,
 * and a fork() that it makes now, in a signal handler, must not wait for a lock.
 */
static inline bool tofu_thread_holds_locks(void)
{
	return tofu_thread_locks > 0;
}

/* The same for a lock that is not the system's: nothing opaque is called, so the compiler is told. */
static inline void tofu_thread_locks_more(void)
{
	tofu_thread_locks++;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void tofu_thread_locks_fewer(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	tofu_thread_locks--;
}

static inline void tofu_mutex_lock(struct tofu_mutex *m)
{
	tofu_thread_locks++;
	(void)pthread_mutex_lock(&m->mutex);
}

static inline bool tofu_mutex_try(struct tofu_mutex *m)
{
	tofu_thread_locks++;
	if (pthread_mutex_trylock(&m->mutex) == 0)
		return true;
	tofu_thread_locks--;
	return false;
}

static inline void tofu_mutex_unlock(struct tofu_mutex *m)
{
	(void)pthread_mutex_unlock(&m->mutex);
	tofu_thread_locks--;
}

#endif
