/* SPDX-License-Identifier: MIT */

/* What only Windows has: libraries that go away under a thread unless they are kept. */

#include <winsock2.h>

#include <windows.h>

#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "platform/platform.h"

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

static Suite *suite_of_platform_win32(void)
{
	Suite *suite = suite_create("platform_win32");
	TCase *tc = tcase_create("libraries");

	tcase_add_test(tc, library_of_a_transport_stays_loaded);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_platform_win32());
}
