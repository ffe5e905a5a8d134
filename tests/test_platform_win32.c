/* SPDX-License-Identifier: MIT */

/*
 * What only Windows has: libraries that go away under a thread unless they are kept, and code that runs at the end of a
 * process, when the system has ended all other threads, with the locks that they had.
 */

#include <winsock2.h>

#include <windows.h>

#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "message/pool.h"
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

/* In another process */

static struct {
	tofu_engine *engine;
	tofu_group *group;
	tofu_msg *msg;
	HANDLE held;
} leftover;

static void hold_all(void *context)
{
	tofu_mutex_lock(&leftover.group->lock);
	tofu_mutex_lock(&leftover.engine->lock);
	tofu_mutex_lock(&leftover.engine->registry.lock);
	tofu_pool_hold(leftover.engine->pool);
	SetEvent(leftover.held);
	Sleep(INFINITE);
	(void)context;
}

/* The system calls it when it has ended all other threads; a DLL would be told by its DllMain() a moment later. */
static void WINAPI free_all(void *context)
{
	static const char text[] = "freed\n";
	DWORD written;

	(void)context;
	tofu_msg_put(&leftover.msg);
	(void)tofu_group_destroy(leftover.group);
	tofu_engine_destroy(leftover.engine);
	tofu_deinit();
	WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), text, sizeof text - 1, &written, NULL);
}

static int end_with_all_held(void)
{
	DWORD index = FlsAlloc(free_all);
	struct tofu_thread thread;

	leftover.held = CreateEventA(NULL, TRUE, FALSE, NULL);
	if (leftover.held == NULL || index == FLS_OUT_OF_INDEXES || !FlsSetValue(index, &leftover))
		return 1;
	if (tofu_init() != TOFU_OK || tofu_engine_create(NULL, &leftover.engine) != TOFU_OK ||
	    tofu_group_create(leftover.engine, &leftover.group) != TOFU_OK ||
	    tofu_msg_get(leftover.engine, TOFU_POOL_ONLY, &leftover.msg) != TOFU_OK ||
	    tofu_thread_start(&thread, hold_all, NULL) != TOFU_OK)
		return 2;
	return WaitForSingleObject(leftover.held, INFINITE) == WAIT_OBJECT_0 ? 0 : 3;
}

START_TEST(at_the_end_of_a_process_all_can_be_freed_whatever_its_threads_held)
{
	struct os_process process;
	char line[64] = "nothing: it hangs, or has failed";

	ck_assert(os_spawn_self(&process, "end", NULL));
	if (!os_read_line(&process, line, sizeof line, 10 * TOFU_NS_PER_S))
		os_kill(&process);
	ck_assert_str_eq(line, "freed");
	ck_assert_int_eq(os_reap(&process), 0);
}
END_TEST

static Suite *suite_of_platform_win32(void)
{
	Suite *suite = suite_create("platform_win32");
	TCase *tc = tcase_create("libraries");

	tcase_add_test(tc, library_of_a_transport_stays_loaded);
	suite_add_tcase(suite, tc);
	tc = tcase_create("end of the process");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, at_the_end_of_a_process_all_can_be_freed_whatever_its_threads_held);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "end") == 0)
		return end_with_all_held();
	return harness_run(suite_of_platform_win32());
}
