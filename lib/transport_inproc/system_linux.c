/* SPDX-License-Identifier: MIT */
/* A signal is an eventfd: readable while its counter is not 0. Raising adds 1, clearing reads it back to 0. */

#include "transport_inproc/system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*forget_names)(void);

enum tofu_status tofu_inproc_signal_open(intptr_t *out)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd >= 0 && fd <= STDERR_FILENO) { /* a program that closed its standard streams may open them again */
		int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		int error = errno;

		(void)close(fd);
		errno = error;
		fd = above;
	}
	*out = fd < 0 ? TOFU_NO_SOCKET : fd;
	return fd < 0 ? tofu_system_status(errno, TOFU_LIMIT_REACHED) : TOFU_OK;
}

intptr_t tofu_inproc_signal_handle(intptr_t signal)
{
	return signal;
}

void tofu_inproc_signal_raise(intptr_t signal)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write((int)signal, &one, sizeof one);
	} while (n < 0 && errno == EINTR); /* EAGAIN: the counter is full, that is, raised */
}

void tofu_inproc_signal_clear(intptr_t signal)
{
	uint64_t raised;
	ssize_t n;

	do {
		n = read((int)signal, &raised, sizeof raised);
	} while (n < 0 && errno == EINTR); /* EAGAIN: it was not raised */
}

void tofu_inproc_signal_close(intptr_t signal)
{
	if (signal != TOFU_NO_SOCKET)
		(void)close((int)signal);
}

void tofu_inproc_lock(void)
{
	(void)pthread_mutex_lock(&lock);
}

void tofu_inproc_unlock(void)
{
	(void)pthread_mutex_unlock(&lock);
}

/* The thread that has the lock at a fork is not in the child: the lock is made anew. */
static void in_child(void)
{
	(void)pthread_mutex_init(&lock, NULL);
	forget_names();
}

enum tofu_status tofu_inproc_watch_fork(void (*forget)(void))
{
	forget_names = forget;
	return pthread_atfork(NULL, NULL, in_child) == 0 ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

void tofu_inproc_who(struct tofu_identity *out)
{
	out->uid = geteuid();
	out->gid = getegid();
	out->pid = getpid();
}
