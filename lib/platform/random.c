/* SPDX-License-Identifier: MIT */
/* Random bits: the system's, and something to go on with when it has none to give. */

#include "platform/platform.h"

#include <stdatomic.h>

/* A finaliser known from splitmix64: every bit of x reaches every bit of the result. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t tofu_plat_random(void)
{
	static atomic_uint calls;
	uint64_t bits = 0;

	if (tofu_plat_system_random(&bits))
		return bits;
	bits = mix((uint64_t)tofu_plat_now_ns());
	bits = mix(bits + tofu_plat_process_id());
	return mix(bits + atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed));
}
