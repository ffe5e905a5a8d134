/* SPDX-License-Identifier: MIT */
/*
 * Addresses: what people write, as struct sockaddr, and back. A struct tofu_sockaddr holds the system's form from its first
 * byte and zeroes after it; it is read and written by memcpy, for it is no struct sockaddr to the compiler.
 *
 * The result of getaddrinfo() is freed here; nothing else is allocated.
 */

#include <tofu/transport.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform/platform.h"

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((struct tofu_sockaddr *)NULL)->bytes),
               "every address of the system fits");
_Static_assert(sizeof(struct sockaddr_un) < sizeof(((struct tofu_sockaddr *)NULL)->bytes),
               "a zero follows the longest path");
_Static_assert(_Alignof(struct sockaddr_storage) <= _Alignof(struct tofu_sockaddr), "and is aligned");

static void put(struct tofu_sockaddr *out, const void *system, size_t len)
{
	memset(out, 0, sizeof *out);
	memcpy(out->bytes, system, len);
	out->len = (uint32_t)len;
}

static sa_family_t family_of(const struct tofu_sockaddr *address)
{
	struct sockaddr any;

	memcpy(&any, address->bytes, sizeof any);
	return address->len > 0 ? any.sa_family : (sa_family_t)AF_UNSPEC;
}

/* An address list as it is filled. */
struct list {
	struct tofu_sockaddr *out;
	size_t capacity;
	size_t count;
};

/* Once each, as long as there is room: a hosts file may name one twice. */
static void list_add(struct list *list, const void *system, size_t len)
{
	struct tofu_sockaddr one;

	if (list->count == list->capacity || len > sizeof one.bytes)
		return;
	put(&one, system, len);
	for (size_t i = 0; i < list->count; i++)
		if (memcmp(&list->out[i], &one, sizeof one) == 0)
			return;
	list->out[list->count++] = one;
}

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EAFNOSUPPORT; /* no descriptor left: the listen will say so itself */
	(void)close(fd);
	return true;
}

/* "::" stands for IPv4, too; 0.0.0.0 is for when it cannot be had. */
static void list_every_interface(struct list *list, uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (has_ipv6())
		list_add(list, &six, sizeof six);
	list_add(list, &four, sizeof four);
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

static enum tofu_status list_lookup(struct list *list, const char *host, uint16_t port, int flags)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	struct addrinfo *found = NULL;
	char service[8];
	int result;

	(void)snprintf(service, sizeof service, "%u", (unsigned)port);
	result = getaddrinfo(host, service, &hints, &found);
	if (result != 0)
		return lookup_status(result, errno);
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
		if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
			list_add(list, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
	return list->count > 0 ? TOFU_OK : TOFU_HOST_NOT_FOUND;
}

enum tofu_status tofu_sockaddr_inet(const char *host, uint16_t port, int may_block, struct tofu_sockaddr *out,
                                    size_t capacity, size_t *count)
{
	struct list list = { out, capacity, 0 };
	enum tofu_status st = TOFU_OK;

	*count = 0;
	if (capacity == 0)
		return TOFU_NOT_ALLOWED;
	if (host == NULL || host[0] == '\0') {
		list_every_interface(&list, port);
	} else {
		st = list_lookup(&list, host, port, AI_NUMERICSERV | (may_block ? 0 : AI_NUMERICHOST));
		if (st == TOFU_HOST_NOT_FOUND && !may_block)
			st = TOFU_WOULD_BLOCK; /* not a number: perhaps a name */
	}
	*count = list.count;
	return st;
}

enum tofu_status tofu_sockaddr_unix(const char *path, struct tofu_sockaddr *out)
{
	struct sockaddr_un system = { .sun_family = AF_UNIX };
	size_t len = path == NULL ? 0 : strlen(path);

	memset(out, 0, sizeof *out);
	if (len == 0)
		return TOFU_INVALID_ADDRESS;
	if (len >= sizeof system.sun_path)
		return TOFU_PATH_TOO_LONG;
	memcpy(system.sun_path, path, len + 1);
	put(out, &system, offsetof(struct sockaddr_un, sun_path) + len + 1);
	return TOFU_OK;
}

enum tofu_status tofu_sockaddr_inet_text(const struct tofu_sockaddr *address, char *host, size_t capacity,
                                         uint16_t *port)
{
	const sa_family_t family = family_of(address);
	struct sockaddr_in6 both = { 0 }; /* the port is at one place in both forms */

	*port = 0;
	if (capacity == 0)
		return TOFU_INVALID_ADDRESS;
	host[0] = '\0';
	if (family != AF_INET && family != AF_INET6)
		return TOFU_INVALID_ADDRESS;
	/* With NI_NUMERICHOST this asks nobody, and it knows the names of scopes. */
	if (getnameinfo((const struct sockaddr *)address->bytes, (socklen_t)address->len, host, (socklen_t)capacity,
	                NULL, 0, NI_NUMERICHOST) != 0) {
		host[0] = '\0';
		return TOFU_INVALID_ADDRESS;
	}
	_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
	               "one place for the port");
	memcpy(&both, address->bytes, sizeof both);
	*port = ntohs(both.sin6_port);
	return TOFU_OK;
}

const char *tofu_sockaddr_unix_path(const struct tofu_sockaddr *address)
{
	const size_t at = offsetof(struct sockaddr_un, sun_path);

	return family_of(address) == AF_UNIX && address->len > at ? (const char *)address->bytes + at : "";
}
