/* SPDX-License-Identifier: MIT */
/* The monotonic clock: the performance counter, which has been the same on all processors since Windows 7. */

#include "platform/platform.h"

#include <windows.h>

static int64_t frequency(void)
{
	LARGE_INTEGER ticks_per_s;

	(void)QueryPerformanceFrequency(&ticks_per_s); /* neither call fails since Windows XP */
	return ticks_per_s.QuadPart;
}

int64_t tofu_plat_now_ns(void)
{
	const int64_t per_s = frequency();
	LARGE_INTEGER ticks;

	(void)QueryPerformanceCounter(&ticks);
	/* In two steps: the product of all of it would overflow after minutes. */
	return ticks.QuadPart / per_s * TOFU_NS_PER_S + ticks.QuadPart % per_s * TOFU_NS_PER_S / per_s;
}

/* Sleep() can return early, by as much as a tick of the system's clock. */
void tofu_plat_sleep(int64_t ns)
{
	const int64_t deadline = tofu_plat_deadline(ns);
	int64_t left = ns;

	while (left > 0) {
		const int64_t ms = (left - 1) / TOFU_NS_PER_MS + 1;

		Sleep(ms < INT32_MAX ? (DWORD)ms : INT32_MAX);
		left = deadline - tofu_plat_now_ns();
	}
}
