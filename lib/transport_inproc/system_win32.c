/* SPDX-License-Identifier: MIT */
/* A link of a plugin has to be a socket here, and a signal is none: this transport is not there. */

#include "transport_inproc/system.h"

#include <windows.h>

static SRWLOCK lock = SRWLOCK_INIT;

enum tofu_status tofu_inproc_signal_open(intptr_t *out)
{
	*out = TOFU_NO_SOCKET;
	return TOFU_NOT_SUPPORTED;
}

void tofu_inproc_signal_raise(intptr_t signal)
{
}

void tofu_inproc_signal_clear(intptr_t signal)
{
}

void tofu_inproc_signal_close(intptr_t signal)
{
}

void tofu_inproc_lock(void)
{
	AcquireSRWLockExclusive(&lock);
}

void tofu_inproc_unlock(void)
{
	ReleaseSRWLockExclusive(&lock);
}

enum tofu_status tofu_inproc_watch_fork(void (*forget)(void))
{
	return TOFU_OK;
}

void tofu_inproc_who(struct tofu_identity *out)
{
	out->pid = GetCurrentProcessId();
}
