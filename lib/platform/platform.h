/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_H
#define TOFU_PLATFORM_H

/*
 * Floor 1: the only place that knows the operating system. What a port supplies, one file per subject and system
 * (thread_posix.c, thread_win32.c, ...), chosen by Automake:
 *
 *   system_*   prepare and release the system's sockets; fork; environment; free memory
 *   clock_*    a monotonic clock
 *   thread_*   threads, mutexes, condition variables
 *   event_*    something level-triggered to wait on, raised from any thread
 *   error_*    the system's error numbers as tofu_status
 *   address_*  sockaddr: numeric, resolved, text         (public: <tofu/transport.h>)
 *   socket_*   non-blocking stream sockets               (public: <tofu/transport.h>)
 *
 * Nothing here aborts, prints or logs: a failure is a status. EINTR never leaves this floor.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/status.h>
#include <tofu/transport.h>

#include "platform/os.h" /* struct tofu_thread, tofu_mutex, tofu_cond: the only system types that show */

/** For the rare path of a function that every message calls. Kept out of line, it costs the usual path nothing. */
#define TOFU_APART __attribute__((noinline))

/* init.c: the count behind tofu_init() and tofu_deinit(). */

/** One more holder, if there is one already. TOFU_NOT_INITIALIZED otherwise. Every engine holds one. */
enum tofu_status tofu_plat_hold(void);
/** One holder less; the last one releases the system's sockets. */
void tofu_plat_release(void);

/**
 * Something that fork() must not copy in the middle of a change. hold is called before the fork, on the forking thread, and
 * returns when all is still; go_on after it, in the parent and in the child. Under no lock but init.c's.
 *
 * hold_last is called when each of them holds: it takes the locks that one of them may need to become still in another.
 */
struct tofu_fork_watch {
	struct tofu_fork_watch *next;
	bool watched;
	void (*hold)(struct tofu_fork_watch *w);
	void (*hold_last)(struct tofu_fork_watch *w);
	void (*go_on)(struct tofu_fork_watch *w);
};

void tofu_plat_fork_watch(struct tofu_fork_watch *w);
/** Fine if it is not watched. */
void tofu_plat_fork_unwatch(struct tofu_fork_watch *w);
/** For system_*.c, around a fork: everything holds still in between, init.c included. */
void tofu_plat_fork_begin(void);
void tofu_plat_fork_end(void);
/** For system_*.c, in a child that was forked without them: who holds what is not known here, and nobody is watched. */
void tofu_plat_fork_forget(void);

/* system_*.c */

/** Prepare / release the system's sockets (WSAStartup; nothing on POSIX but watching for fork). Called by init.c only. */
enum tofu_status tofu_plat_system_start(void);
void tofu_plat_system_stop(void);
/* tofu_plat_fork_generation() goes up by one in a child of fork(). What was created under another number is inert here. os_*.h */
/**
 * Is what was created under that number past use? Threads that are not there any more may have left it half changed, and nobody
 * gives back their locks: leave it alone, without even freeing it. On POSIX in a child that was forked by a thread in the
 * middle of a call of ours, as by a signal handler, so that nothing could be held still; on Windows when the process is at its
 * end, and the system has ended all other threads.
 */
bool tofu_plat_past_use(unsigned generation);
/**
 * Keep the library that this code is in loaded until the process ends: a thread may still run there when its engine is gone.
 * On POSIX nothing is done: such libraries are linked with -z nodelete.
 */
void tofu_plat_keep_loaded(const void *code);
/**
 * A variable of the environment, valid until that changes. NULL: not set, or the program has more rights than who started
 * it, and must not be told what to do.
 */
const char *tofu_plat_environment(const char *name);
/**
 * Let the system have what the C library keeps of freed memory, of the whole process. Any thread; some tens of milliseconds
 * per 100 MiB. Nothing where the C library does so by itself, as on Windows, or cannot be told to.
 */
void tofu_plat_trim(void);

/* clock_*.c */

#define TOFU_NS_PER_MS INT64_C(1000000)
#define TOFU_NS_PER_S INT64_C(1000000000)
#define TOFU_FOREVER INT64_C(-1)

/** Nanoseconds from some fixed point; never goes back. */
int64_t tofu_plat_now_ns(void);
/** now + timeout without overflow; TOFU_FOREVER stays TOFU_FOREVER. A deadline. */
int64_t tofu_plat_deadline(int64_t timeout_ns);

/** Do nothing for so long. For the one case where there is nothing to wait on. */
void tofu_plat_sleep(int64_t ns);

/* thread_*.c */

/** Start a thread that blocks all signals. TOFU_LIMIT_REACHED when the system has none to give. */
enum tofu_status tofu_thread_start(struct tofu_thread *t, void (*run)(void *context), void *context);
/** The same, with so many bytes of stack instead of the system's default, or with that if it cannot be had otherwise. */
enum tofu_status tofu_thread_start_with_stack(struct tofu_thread *t, size_t bytes, void (*run)(void *context),
                                              void *context);
/** Wait for its end, then free it. */
void tofu_thread_join(struct tofu_thread *t);
/** Never to be joined: frees itself at its end. */
void tofu_thread_detach(struct tofu_thread *t);
/** Is the caller running on t? For debug assertions. */
bool tofu_thread_is_current(const struct tofu_thread *t);
/** The calling thread, whoever made it: the same value each time, and no other thread's while it lives. */
const void *tofu_thread_self(void);
/* tofu_thread_number(): the same each time; threads that were made one after the other have different ones. os_*.h */

enum tofu_status tofu_mutex_init(struct tofu_mutex *m);
void tofu_mutex_fini(struct tofu_mutex *m);
void tofu_mutex_lock(struct tofu_mutex *m);
/** False: it is locked. Never blocks. */
bool tofu_mutex_try(struct tofu_mutex *m);
void tofu_mutex_unlock(struct tofu_mutex *m);

enum tofu_status tofu_cond_init(struct tofu_cond *c);
void tofu_cond_fini(struct tofu_cond *c);
/** Wait until signalled, or until the deadline (tofu_plat_deadline()). Spurious returns happen. False: deadline reached. */
bool tofu_cond_wait_until(struct tofu_cond *c, struct tofu_mutex *m, int64_t deadline_ns);
void tofu_cond_signal(struct tofu_cond *c);
void tofu_cond_broadcast(struct tofu_cond *c);

/*
 * A lock for a few instructions, and for data that is one thread's but for rare visits. That thread only tries: it has something
 * else to do when a visitor is there. So it takes one atomic operation instead of two, and no call. All zero is one that is free.
 */
struct tofu_visit_lock {
	atomic_bool taken;
};

static inline bool tofu_visit_try(struct tofu_visit_lock *v)
{
	tofu_thread_locks_more();
	if (!atomic_exchange_explicit(&v->taken, true, memory_order_acquire))
		return true;
	tofu_thread_locks_fewer();
	return false;
}

static inline void tofu_visit_end(struct tofu_visit_lock *v)
{
	atomic_store_explicit(&v->taken, false, memory_order_release);
	tofu_thread_locks_fewer();
}

/** The visitor's: wait until it is free. */
void tofu_visit_begin(struct tofu_visit_lock *v);

/* event_*.c: raised stays raised until cleared; raising twice is raising once. */

struct tofu_event {
	intptr_t handle; /* a descriptor, readable while raised; a waitable HANDLE on Windows. TOFU_NO_SOCKET: none */
	intptr_t raiser; /* the other end where the system needs one */
};

enum tofu_status tofu_event_init(struct tofu_event *e);
void tofu_event_fini(struct tofu_event *e);
void tofu_event_raise(struct tofu_event *e);
void tofu_event_clear(struct tofu_event *e);

/* error.c, with a table from error_*.c */

/** A system error number (errno, WSA code) as a status; otherwise, if it says nothing by itself. The only place that maps. */
enum tofu_status tofu_plat_status(int system_error, enum tofu_status otherwise);

/** sockaddr.c: 4 or 6, as the Internet has it; 0: something else. */
int tofu_sockaddr_family(const struct tofu_sockaddr *address);

#endif
