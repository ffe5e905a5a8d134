/* SPDX-License-Identifier: MIT */

#include "system.h"

#include <winsock2.h>

#include <tofu/transport.h>

#include "os.h"

static bool wait_for(intptr_t handle, unsigned want, int64_t timeout_ns)
{
	unsigned bits = 0;

	if ((want & TOFU_READABLE) != 0)
		bits |= OS_READABLE;
	if ((want & TOFU_WRITABLE) != 0)
		bits |= OS_WRITABLE;
	return os_wait(handle, bits, timeout_ns) != 0;
}

bool test_wait(intptr_t handle, unsigned want)
{
	return wait_for(handle, want, INT64_C(10000000000));
}

bool test_ready(intptr_t handle, unsigned want)
{
	return wait_for(handle, want, 0);
}

bool test_nodelay(intptr_t handle)
{
	BOOL on = FALSE;
	int len = sizeof on;

	return getsockopt((SOCKET)handle, IPPROTO_TCP, TCP_NODELAY, (char *)&on, &len) == 0 && on;
}

int test_open_descriptors(void)
{
	return os_descriptors();
}
