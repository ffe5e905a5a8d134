/* SPDX-License-Identifier: MIT */

/*
 * What only Windows has: libraries that go away under a thread unless they are kept; a process that at its end runs code of
 * libraries when all other threads have been ended wherever they were.
 */

#include <winsock2.h>

#include <windows.h>

#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "platform/platform.h"
#include "reactor/engine.h"
#include "reactor/group.h"

/* Nobody else loads it; the function is never called. */
static const wchar_t library[] = L"cabinet.dll";

static struct tofu_transport transport_in(HMODULE dll)
{
	struct tofu_transport transport = *tofu_tcp();
	FARPROC function = GetProcAddress(dll, "FCICreate");

	ck_assert_ptr_nonnull((const void *)(uintptr_t)function);
	memcpy(&transport.resolve, &function, sizeof function);
	return transport;
}

START_TEST(library_of_a_transport_stays_loaded)
{
	struct tofu_transport transport;
	tofu_engine *engine;
	HMODULE dll;

	ck_assert_ptr_null(GetModuleHandleW(library));
	dll = LoadLibraryW(library);
	ck_assert_ptr_nonnull(dll);
	transport = transport_in(dll);
	FreeLibrary(dll);
	ck_assert_ptr_null(GetModuleHandleW(library)); /* so it does go, if nobody keeps it */
	ck_assert_ptr_eq(LoadLibraryW(library), dll);

	ck_status(tofu_init(), TOFU_OK);
	ck_status(tofu_engine_create(NULL, &engine), TOFU_OK);
	ck_status(tofu_engine_register(engine, &transport), TOFU_OK);
	tofu_engine_destroy(engine);
	tofu_deinit();
	FreeLibrary(dll);
	ck_assert_ptr_eq(GetModuleHandleW(library), dll);
}
END_TEST

/*
 * The process at whose end it happens is this program once more, told by a variable. What a library would do when it is
 * unloaded is done by a callback that the program has for that.
 */
static const wchar_t at_its_end[] = L"TOFU_TEST_AT_ITS_END";
enum { WENT_WELL = 42, DID_NOT = 43 };
static tofu_engine *last_engine;
static tofu_group *last_groups[2];
static tofu_msg *last_msg;

static void NTAPI at_detach(PVOID module, DWORD reason, PVOID reserved)
{
	(void)module;
	(void)reserved;
	if (reason != DLL_PROCESS_DETACH || last_engine == NULL)
		return;
	(void)tofu_group_destroy(last_groups[0]);
	tofu_engine_destroy(last_engine);
	(void)tofu_group_destroy(last_groups[1]);
	tofu_deinit();
	(void)TerminateProcess(GetCurrentProcess(), WENT_WELL);
}

extern const PIMAGE_TLS_CALLBACK detach_callback;
__attribute__((section(".CRT$XLF"), used)) const PIMAGE_TLS_CALLBACK detach_callback = at_detach;

/* A thread that is ended when it has every lock, and keeps it. */
static void hold_all_locks(void *context)
{
	HANDLE held = context;

	tofu_mutex_lock(&last_engine->reactor.turn);
	for (int i = 0; i < 2; i++)
		tofu_mutex_lock(&last_groups[i]->lock);
	tofu_mutex_lock(&last_engine->lock);
	tofu_pool_hold(last_engine->pool);
	(void)SetEvent(held);
	Sleep(INFINITE);
}

static int end_with_an_engine(void)
{
	HANDLE held = CreateEventW(NULL, TRUE, FALSE, NULL);
	struct tofu_thread thread;

	if (held == NULL || tofu_init() != TOFU_OK || tofu_engine_create(NULL, &last_engine) != TOFU_OK ||
	    tofu_group_create(last_engine, &last_groups[0]) != TOFU_OK ||
	    tofu_group_create(last_engine, &last_groups[1]) != TOFU_OK ||
	    tofu_msg_get(last_engine, TOFU_ALWAYS, &last_msg) != TOFU_OK ||
	    tofu_thread_start(&thread, hold_all_locks, held) != TOFU_OK)
		return DID_NOT;
	(void)WaitForSingleObject(held, INFINITE);
	ExitProcess(DID_NOT);
}

START_TEST(an_engine_may_be_destroyed_when_the_process_is_at_its_end_and_its_threads_are_gone)
{
	STARTUPINFOW startup = { .cb = sizeof startup };
	PROCESS_INFORMATION process;
	wchar_t program[MAX_PATH];
	DWORD status = 0;

	ck_assert_uint_ne(GetModuleFileNameW(NULL, program, MAX_PATH), 0);
	ck_assert(SetEnvironmentVariableW(at_its_end, L"1"));
	ck_assert(CreateProcessW(program, NULL, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &process));
	ck_assert(SetEnvironmentVariableW(at_its_end, NULL));
	ck_assert_uint_eq(WaitForSingleObject(process.hProcess, 60000), WAIT_OBJECT_0);
	ck_assert(GetExitCodeProcess(process.hProcess, &status));
	ck_assert_uint_eq(status, WENT_WELL);
	(void)CloseHandle(process.hThread);
	(void)CloseHandle(process.hProcess);
}
END_TEST

static Suite *suite_of_platform_win32(void)
{
	Suite *suite = suite_create("platform_win32");
	TCase *tc = tcase_create("libraries");

	tcase_add_test(tc, library_of_a_transport_stays_loaded);
	tcase_add_test(tc, an_engine_may_be_destroyed_when_the_process_is_at_its_end_and_its_threads_are_gone);
	tcase_set_timeout(tc, 90);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	if (GetEnvironmentVariableW(at_its_end, NULL, 0) > 0)
		return end_with_an_engine();
	return harness_run(suite_of_platform_win32());
}
