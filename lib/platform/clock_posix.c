/* SPDX-License-Identifier: MIT */
/* The monotonic clock, the one that condition variables wait by too (thread_posix.c). */

#include "platform/platform.h"

#include <errno.h>
#include <time.h>

int64_t tofu_plat_now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists, the pointer is good */
	return (int64_t)now.tv_sec * TOFU_NS_PER_S + now.tv_nsec;
}

void tofu_plat_sleep(int64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / TOFU_NS_PER_S), .tv_nsec = (long)(ns % TOFU_NS_PER_S) };

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}
