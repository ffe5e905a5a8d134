/* SPDX-License-Identifier: MIT */
/*
 * An event object that is reset by hand: signalled while it is raised. It is waited on by WaitForSingleObject() and its kin.
 * One handle does both, so raiser is unused. An event that was never made, or is gone, ignores raise and clear.
 */

#include "platform/platform.h"

#include <windows.h>

static HANDLE handle_of(const struct tofu_event *e)
{
	return (HANDLE)e->handle;
}

/* Zeroed memory is none. */
static bool is_open(const struct tofu_event *e)
{
	return e->handle != 0 && e->handle != TOFU_NO_SOCKET;
}

enum tofu_status tofu_event_init(struct tofu_event *e)
{
	HANDLE made = CreateEventW(NULL, TRUE, FALSE, NULL); /* no name, not inherited */

	e->handle = made == NULL ? TOFU_NO_SOCKET : (intptr_t)made;
	e->raiser = TOFU_NO_SOCKET;
	return made == NULL ? tofu_plat_status((int)GetLastError(), TOFU_LIMIT_REACHED) : TOFU_OK;
}

void tofu_event_fini(struct tofu_event *e)
{
	if (is_open(e))
		(void)CloseHandle(handle_of(e));
	e->handle = TOFU_NO_SOCKET;
	e->raiser = TOFU_NO_SOCKET;
}

void tofu_event_raise(struct tofu_event *e)
{
	if (is_open(e))
		(void)SetEvent(handle_of(e));
}

void tofu_event_clear(struct tofu_event *e)
{
	if (is_open(e))
		(void)ResetEvent(handle_of(e));
}
