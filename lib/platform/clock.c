/* SPDX-License-Identifier: MIT */
/* Deadlines: the arithmetic on top of any system's clock. */

#include "platform/platform.h"

int64_t tofu_plat_deadline(int64_t timeout_ns)
{
	int64_t now;

	if (timeout_ns < 0)
		return TOFU_FOREVER;
	now = tofu_plat_now_ns();
	return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}
