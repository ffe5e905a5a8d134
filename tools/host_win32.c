/* SPDX-License-Identifier: MIT */

/* The counter's frequency never changes, and reading it cannot fail since Windows XP. */

#include "host.h"

#include <winsock2.h>

#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <psapi.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>

struct tofu_host_thread {
	HANDLE handle;
	void (*run)(void *context);
	void *context;
};

static UINT code_page_before;

static void put_code_page_back(void)
{
	(void)SetConsoleOutputCP(code_page_before);
}

/* A console shows UTF-8 if it is told to; the next program in it may not want that. */
static void speak_utf8(void)
{
	code_page_before = GetConsoleOutputCP();
	if (code_page_before != 0 && SetConsoleOutputCP(CP_UTF8))
		(void)atexit(put_code_page_back);
	(void)_setmode(_fileno(stdout), _O_BINARY);
	(void)_setmode(_fileno(stderr), _O_BINARY);
}

static char *to_utf8(const wchar_t *wide)
{
	int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
	char *out = size > 0 ? malloc((size_t)size) : NULL;

	if (out != NULL)
		(void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, out, size, NULL, NULL);
	return out;
}

/* All or nothing: what main() got is in the code page of the system, but better than an argument that is missing. */
char **tofu_host_begin(int argc, char **argv)
{
	int count = 0;
	wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &count);
	char **out = calloc((size_t)argc + 1, sizeof *out);
	int taken = 0;

	speak_utf8();
	while (wide != NULL && out != NULL && count == argc && taken < argc &&
	       (out[taken] = to_utf8(wide[taken])) != NULL)
		taken++;
	(void)LocalFree(wide);
	if (taken == argc)
		return out;
	while (taken > 0)
		free(out[--taken]);
	free(out);
	return argv;
}

int64_t tofu_host_now_ns(void)
{
	LARGE_INTEGER frequency, now;

	(void)QueryPerformanceFrequency(&frequency);
	(void)QueryPerformanceCounter(&now);
	return now.QuadPart / frequency.QuadPart * 1000000000 +
	       now.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart;
}

bool tofu_host_is_watched(void)
{
	return _isatty(_fileno(stderr)) != 0;
}

static int64_t ns_of(FILETIME time)
{
	return (int64_t)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) * 100;
}

int64_t tofu_host_cpu_ns(void)
{
	FILETIME start, end, kernel, user;

	if (!GetProcessTimes(GetCurrentProcess(), &start, &end, &kernel, &user))
		return 0;
	return ns_of(kernel) + ns_of(user);
}

uint64_t tofu_host_resident_bytes(void)
{
	PROCESS_MEMORY_COUNTERS counters = { .cb = sizeof counters };

	return K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.WorkingSetSize : 0;
}

void tofu_host_allow_files(uint64_t count)
{
	(void)count; /* nobody limits them here */
}

static unsigned __stdcall thread_main(void *context)
{
	struct tofu_host_thread *thread = context;

	thread->run(thread->context);
	return 0;
}

struct tofu_host_thread *tofu_host_thread_start(void (*run)(void *context), void *context)
{
	struct tofu_host_thread *thread = malloc(sizeof *thread);

	if (thread == NULL)
		return NULL;
	thread->run = run;
	thread->context = context;
	thread->handle = (HANDLE)_beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
	if (thread->handle != NULL)
		return thread;
	free(thread);
	return NULL;
}

void tofu_host_thread_join(struct tofu_host_thread *thread)
{
	if (thread == NULL)
		return;
	(void)WaitForSingleObject(thread->handle, INFINITE);
	(void)CloseHandle(thread->handle);
	free(thread);
}
