/* SPDX-License-Identifier: MIT */
/*
 * The system as a whole. Sockets need no preparation here; what has to be known is fork(): the first start registers
 * handlers, for good (there is no way to withdraw them, and a second set would count twice).
 *
 * The handlers also keep init.c's lock over the fork, so that a child never inherits it locked by a thread it has not got,
 * and let everything that asked for it hold still. But a thread that has one of our locks cannot wait for them: it would
 * wait for itself, or for somebody who waits for it. It is in the middle of a call of ours, and a signal handler, or a transport,
 * forks. Then nothing is held, and the child only knows that all it got is past use.
 *
 * Registering happens under that lock, but only while no handler is there to wait for it.
 */

#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

atomic_uint tofu_fork_generation;
static bool watching_fork;      /* under init.c's lock */
static unsigned spoiled_before; /* what was created under a lower generation is past use in this child */

static _Thread_local unsigned forks_unheld; /* of this thread, under way: one in a handler may interrupt another */

static void before_fork(void)
{
	if (tofu_thread_holds_locks())
		forks_unheld++;
	else
		tofu_plat_fork_begin();
}

static void forked_parent(void)
{
	if (forks_unheld > 0)
		forks_unheld--;
	else
		tofu_plat_fork_end();
}

static void forked_child(void)
{
	unsigned generation = atomic_fetch_add_explicit(&tofu_fork_generation, 1, memory_order_relaxed) + 1;

	if (forks_unheld > 0) {
		forks_unheld = 0;
		spoiled_before = generation;
		tofu_plat_fork_forget();
	} else {
		tofu_plat_fork_end();
	}
}

enum tofu_status tofu_plat_system_start(void)
{
	if (watching_fork)
		return TOFU_OK;
	if (pthread_atfork(before_fork, forked_parent, forked_child) != 0)
		return TOFU_ALLOCATION_FAILED;
	watching_fork = true;
	return TOFU_OK;
}

void tofu_plat_system_stop(void)
{
}

bool tofu_plat_past_use(unsigned generation)
{
	return generation < spoiled_before;
}

void tofu_plat_keep_loaded(const void *code)
{
	(void)code;
}

const char *tofu_plat_environment(const char *name)
{
	return secure_getenv(name);
}

void tofu_plat_trim(void)
{
#ifdef HAVE_MALLOC_TRIM
	(void)malloc_trim(0); /* it only says whether there was anything */
#endif
}

int tofu_plat_fd_above_stdio(int fd)
{
	int other;
	int error;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = errno;
	(void)close(fd);
	errno = error;
	return other;
}
