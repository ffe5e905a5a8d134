/* SPDX-License-Identifier: MIT */
/*
 * The system as a whole. Winsock counts its users in a process: each start is one, each stop one less, and the last stop of
 * all closes every socket that is left, whoever opened it. init.c sees to it that ours come in pairs, and that a stop comes
 * after the last engine. Neither may happen in DllMain, where Windows loads no libraries: nothing here runs by itself
 * when the DLL is loaded.
 *
 * There is no fork().
 */

#include "platform/platform.h"

#include <stdlib.h>
#include <winsock2.h>

enum tofu_status tofu_plat_system_start(void)
{
	static const char here;
	const WORD version = MAKEWORD(2, 2);
	WSADATA data;
	const int error = WSAStartup(version, &data);

	if (error != 0)
		return tofu_plat_status(error, TOFU_NOT_SUPPORTED);
	if (data.wVersion != version) {
		(void)WSACleanup();
		return TOFU_NOT_SUPPORTED;
	}
	tofu_plat_keep_loaded(&here);
	return TOFU_OK;
}

void tofu_plat_system_stop(void)
{
	(void)WSACleanup();
}

/* Of ntdll, and in no header. Libraries are told so while they are unloaded for good: no other thread is left. */
BOOLEAN NTAPI RtlDllShutdownInProgress(void);

/* The end of a process is like a child of fork(): locks may belong to threads that are gone. */
unsigned tofu_plat_fork_generation(void)
{
	return RtlDllShutdownInProgress() != 0;
}

bool tofu_plat_past_use(unsigned generation)
{
	(void)generation;
	return tofu_plat_fork_generation() > 0;
}

/*
 * A thread that waits for a name server cannot be stopped: it may outlive its engine, and so the last FreeLibrary() of what
 * had loaded us. The code that it returns to has to be there still: here, and in the transport that asked.
 */
void tofu_plat_keep_loaded(const void *code)
{
	HMODULE module;

	(void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN, (LPCWSTR)code,
	                         &module); /* if it fails: as safe as the application is */
}

/* A program cannot have more rights than who started it without having been asked, so nothing is kept from it. */
const char *tofu_plat_environment(const char *name)
{
	return getenv(name);
}

/* The heap gives back pages of free blocks by itself. */
void tofu_plat_trim(void)
{
}
