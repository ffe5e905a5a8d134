/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_OS_POSIX_H
#define TOFU_PLATFORM_OS_POSIX_H

/*
 * What POSIX threads need to be kept in. Zeroed memory is "none" in each: fini, join and detach accept it. Nobody but
 * thread_posix.c looks inside.
 */

#include <pthread.h>
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

/**
 * Has the calling thread a lock of ours, or is about to take or has just given back one? Then it is in the middle of a call,
 * and a fork() that it makes now, in a signal handler, must not wait for a lock.
 */
bool tofu_thread_holds_locks(void);

#endif
