/* SPDX-License-Identifier: MIT */

#include "lib/system.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <tofu/transport.h>

static bool wait_for(intptr_t handle, unsigned want, int timeout_ms)
{
	struct pollfd p = { .fd = (int)handle };
	int n;

	if ((want & TOFU_READABLE) != 0)
		p.events |= POLLIN;
	if ((want & TOFU_WRITABLE) != 0)
		p.events |= POLLOUT;
	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

bool test_wait(intptr_t handle, unsigned want)
{
	return wait_for(handle, want, 10000);
}

bool test_ready(intptr_t handle, unsigned want)
{
	return wait_for(handle, want, 0);
}

bool test_nodelay(intptr_t handle)
{
	int on = 0;
	socklen_t len = sizeof on;

	return getsockopt((int)handle, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0;
}

int test_open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (d == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}
