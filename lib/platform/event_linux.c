/* SPDX-License-Identifier: MIT */
/*
 * An eventfd: readable while its counter is not 0, which is what "raised" is. Raising adds 1, clearing reads it back to 0.
 * One descriptor does both, so raiser is unused. An event that was never made, or is gone, ignores raise and clear.
 */

#include "platform/platform.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum tofu_status tofu_event_init(struct tofu_event *e)
{
	int fd = tofu_plat_fd_above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	e->handle = fd < 0 ? TOFU_NO_SOCKET : fd;
	e->raiser = TOFU_NO_SOCKET;
	return fd < 0 ? tofu_plat_status(errno, TOFU_LIMIT_REACHED) : TOFU_OK;
}

void tofu_event_fini(struct tofu_event *e)
{
	if (e->handle > 0) /* 0 is zeroed memory, never a descriptor of ours */
		(void)close((int)e->handle);
	e->handle = TOFU_NO_SOCKET;
	e->raiser = TOFU_NO_SOCKET;
}

void tofu_event_raise(struct tofu_event *e)
{
	const uint64_t one = 1;
	int saved = errno; /* of whatever a signal handler has interrupted */
	ssize_t n;

	if (e->handle <= 0)
		return;
	do {
		n = write((int)e->handle, &one, sizeof one);
	} while (n < 0 && errno == EINTR); /* EAGAIN: the counter is full, that is, raised */
	errno = saved;
}

void tofu_event_clear(struct tofu_event *e)
{
	uint64_t raised;
	ssize_t n;

	if (e->handle <= 0)
		return;
	do {
		n = read((int)e->handle, &raised, sizeof raised);
	} while (n < 0 && errno == EINTR); /* EAGAIN: it was not raised */
}
