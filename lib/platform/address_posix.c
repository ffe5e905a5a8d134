/* SPDX-License-Identifier: MIT */
/* Looking up names on POSIX. The results of getaddrinfo() and getifaddrs() are freed here; nothing else is allocated. */

#include "platform/address.h"

#include <errno.h>
#include <ifaddrs.h>
#include <unistd.h>

#include "platform/net.h"
#include "platform/platform.h"

static bool has_ipv6_sockets(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EAFNOSUPPORT; /* no descriptor left: the listen will say so itself */
	(void)close(fd);
	return true;
}

static bool has_ipv6_address(void)
{
	struct ifaddrs *all = NULL;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return true;
	for (const struct ifaddrs *a = all; a != NULL && !found; a = a->ifa_next)
		found = a->ifa_addr != NULL && a->ifa_addr->sa_family == AF_INET6;
	freeifaddrs(all);
	return found;
}

/* Where the administrator has switched IPv6 off there are sockets all the same, and they can be bound, but not called. */
bool tofu_plat_has_ipv6(void)
{
	return has_ipv6_sockets() && has_ipv6_address();
}

/* system_error is what errno was; only EAI_SYSTEM reads it. */
static enum tofu_status lookup_status(int result, int system_error)
{
	enum tofu_status st = TOFU_HOST_NOT_FOUND; /* nobody knows the name, or nobody gave an answer */

	if (result == EAI_MEMORY)
		return TOFU_ALLOCATION_FAILED;
	if (result ==
	    EAI_SYSTEM) /* of files and sockets that the resolver opened: only shortages tell the caller more */
		st = tofu_plat_status(system_error, TOFU_HOST_NOT_FOUND);
	return st == TOFU_LIMIT_REACHED || st == TOFU_ALLOCATION_FAILED ? st : TOFU_HOST_NOT_FOUND;
}

enum tofu_status tofu_plat_lookup(const char *host, bool may_block, tofu_plat_found *found, void *context)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		                        .ai_socktype = SOCK_STREAM,
		                        .ai_flags = may_block ? 0 : AI_NUMERICHOST };
	struct addrinfo *all = NULL;
	const int result = getaddrinfo(host, NULL, &hints, &all);

	if (result != 0)
		return lookup_status(result, errno);
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		found(context, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(all);
	return TOFU_OK;
}
