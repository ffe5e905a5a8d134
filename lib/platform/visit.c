/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a lock that is held for a few instructions. It is free at the next look, unless the system has stopped its thread
 * in between. That thread may have a lower priority than the visitor, which then has to leave it the processor: a yield would not.
 */

#include "platform/platform.h"

enum { LOOKS = 100, PAUSE_NS = 20000 };

void tofu_visit_begin(struct tofu_visit_lock *v)
{
	for (int looks = 0; !tofu_visit_try(v); looks++)
		if (looks >= LOOKS)
			tofu_plat_sleep(PAUSE_NS);
}
