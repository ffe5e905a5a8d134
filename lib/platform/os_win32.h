/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_OS_WIN32_H
#define TOFU_PLATFORM_OS_WIN32_H

/*
 * What Windows' threads need to be kept in, without <windows.h>, which would end up in every file. Zeroed memory is "none"
 * in each: fini, join and detach accept it. Nobody but thread_win32.c looks inside; it asserts the sizes.
 */

struct tofu_thread {
	void *handle;     /* NULL: no thread */
	unsigned long id; /* known before the thread runs; nobody else's while the handle is open */
};

/* An SRWLOCK. All zero is one that is free. */
struct tofu_mutex {
	void *lock;
};

#define TOFU_MUTEX_INITIALIZER                                                                                         \
	{                                                                                                              \
		0                                                                                                      \
	}

/* A CONDITION_VARIABLE. All zero is one that nobody waits for. */
struct tofu_cond {
	void *cond;
};

unsigned tofu_plat_fork_generation(void);
unsigned tofu_thread_number(void);

/* No signal handler forks here. */
static inline void tofu_thread_locks_more(void)
{
}

static inline void tofu_thread_locks_fewer(void)
{
}

#endif
