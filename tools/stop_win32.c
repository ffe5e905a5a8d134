/* SPDX-License-Identifier: MIT */

/*
 * Ctrl-C, Ctrl-Break, a console that is closed: the system starts a thread in this process for each, which calls us. They take
 * turns. When a console is closed, the process has a few seconds, and is ended as soon as that thread returns: so it does
 * not. A process that was started with Ctrl-C ignored (in a new process group) gets to know of Ctrl-Break only.
 */

#include "stop.h"

#include <winsock2.h>

#include <windows.h>

#include <stddef.h>

static struct {
	SRWLOCK lock; /* held while told is called */
	tofu_stop_fn *told;
	void *context;
} watch = { .lock = SRWLOCK_INIT };

static BOOL WINAPI tell(DWORD what)
{
	AcquireSRWLockExclusive(&watch.lock);
	if (watch.told != NULL)
		watch.told(watch.context);
	ReleaseSRWLockExclusive(&watch.lock);
	if (what != CTRL_C_EVENT && what != CTRL_BREAK_EVENT)
		Sleep(INFINITE);
	return TRUE;
}

bool tofu_stop_open(tofu_stop_fn *told, void *context)
{
	AcquireSRWLockExclusive(&watch.lock);
	watch.told = told;
	watch.context = context;
	ReleaseSRWLockExclusive(&watch.lock);
	return SetConsoleCtrlHandler(tell, TRUE);
}

void tofu_stop_close(void)
{
	AcquireSRWLockExclusive(&watch.lock);
	watch.told = NULL;
	ReleaseSRWLockExclusive(&watch.lock);
}
