/* SPDX-License-Identifier: MIT */
/*
 * Addresses: what people write, as struct sockaddr, and back. A struct tofu_sockaddr holds the system's form from its first
 * byte and zeroes after it; it is read and written by memcpy, for it is no struct sockaddr to the compiler. Nothing is
 * allocated here; address_*.c asks the system for names.
 */

#include <tofu/transport.h>

#include <stdbool.h>
#include <string.h>

#include "platform/address.h"
#include "platform/net.h"
#include "platform/platform.h"
#include "platform/socket.h"

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

static tofu_net_family family_of(const struct tofu_sockaddr *address)
{
	struct sockaddr any;

	memcpy(&any, address->bytes, sizeof any);
	return address->len > 0 ? any.sa_family : (tofu_net_family)AF_UNSPEC;
}

/*
 * An IPv4 address that is written as an IPv6 one ("::ffff:127.0.0.1") is the IPv4 address: there is one form of it here, which
 * works without IPv6, and on systems that keep the two apart.
 */
static struct tofu_sockaddr unmapped(const struct tofu_sockaddr *address)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six;
	struct tofu_sockaddr out = *address;

	memcpy(&six, address->bytes, sizeof six);
	if (family_of(address) != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
		return out;
	memcpy(&four.sin_addr, (const unsigned char *)&six.sin6_addr + 12, sizeof four.sin_addr);
	four.sin_port = six.sin6_port;
	put(&out, &four, sizeof four);
	return out;
}

int tofu_sockaddr_family(const struct tofu_sockaddr *address)
{
	switch (family_of(address)) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 6;
	default:
		return 0;
	}
}

struct tofu_sockaddr tofu_sockaddr_called(const struct tofu_sockaddr *to)
{
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct tofu_sockaddr out = *to;

	memcpy(&four, to->bytes, sizeof four);
	memcpy(&six, to->bytes, sizeof six);
	if (family_of(to) == AF_INET && four.sin_addr.s_addr == htonl(INADDR_ANY)) {
		four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		put(&out, &four, sizeof four);
	} else if (family_of(to) == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr)) {
		six.sin6_addr = loopback;
		put(&out, &six, sizeof six);
	}
	return out;
}

/* The port is at one place in both forms. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "one place for the port");

/* An address list as it is filled. */
struct list {
	struct tofu_sockaddr *out;
	size_t capacity;
	size_t count;  /* found: those beyond the capacity are only counted */
	uint16_t port; /* network order */
};

/* Once each: a hosts file may name one twice. */
static void list_add(struct list *list, const void *system, size_t len)
{
	struct tofu_sockaddr one;

	if (len > sizeof one.bytes)
		return;
	put(&one, system, len);
	one = unmapped(&one);
	if (family_of(&one) != AF_INET && family_of(&one) != AF_INET6)
		return;
	memcpy((unsigned char *)one.bytes + offsetof(struct sockaddr_in, sin_port), &list->port, sizeof list->port);
	for (size_t i = 0; i < list->count && i < list->capacity; i++)
		if (memcmp(&list->out[i], &one, sizeof one) == 0)
			return;
	if (list->count < list->capacity)
		list->out[list->count] = one;
	list->count++;
}

static void list_found(void *list, const void *system, size_t len)
{
	list_add(list, system, len);
}

/* "::" stands for IPv4, too. 0.0.0.0 is for hosts without IPv6, and no second choice: if somebody has the port, it is in use. */
static void list_every_interface(struct list *list)
{
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	const struct sockaddr_in four = { .sin_family = AF_INET };

	if (tofu_plat_has_ipv6())
		list_add(list, &six, sizeof six);
	else
		list_add(list, &four, sizeof four);
}

static enum tofu_status list_lookup(struct list *list, const char *host, bool may_block)
{
	const enum tofu_status st = tofu_plat_lookup(host, may_block, list_found, list);

	return st == TOFU_OK && list->count == 0 ? TOFU_HOST_NOT_FOUND : st;
}

enum tofu_status tofu_sockaddr_inet(const char *host, uint16_t port, int may_block, struct tofu_sockaddr *out,
                                    size_t capacity, size_t *count)
{
	struct list list = { out, capacity, 0, htons(port) };
	enum tofu_status st = TOFU_OK;

	*count = 0;
	if (capacity == 0)
		return TOFU_NOT_ALLOWED;
	if (host == NULL || host[0] == '\0') {
		list_every_interface(&list);
	} else {
		st = list_lookup(&list, host, may_block != 0);
		if (st == TOFU_HOST_NOT_FOUND && !may_block)
			st = TOFU_WOULD_BLOCK; /* not a number: perhaps a name */
	}
	*count = list.count;
	return st;
}

/* An abstract name begins with a zero byte, and each byte up to the length counts: there is no zero at its end. */
static enum tofu_status put_abstract(const char *name, size_t len, struct tofu_sockaddr *out)
{
	struct sockaddr_un system = { .sun_family = AF_UNIX };

	if (!TOFU_NET_HAS_ABSTRACT_NAMES)
		return TOFU_NOT_SUPPORTED;
	if (len == 0)
		return TOFU_INVALID_ADDRESS;
	if (len >= sizeof system.sun_path)
		return TOFU_PATH_TOO_LONG;
	memcpy(system.sun_path + 1, name, len);
	put(out, &system, offsetof(struct sockaddr_un, sun_path) + 1 + len);
	return TOFU_OK;
}

enum tofu_status tofu_sockaddr_unix(const char *path, struct tofu_sockaddr *out)
{
	struct sockaddr_un system = { .sun_family = AF_UNIX };
	size_t len = path == NULL ? 0 : strlen(path);

	memset(out, 0, sizeof *out);
	if (len == 0)
		return TOFU_INVALID_ADDRESS;
	if (path[0] == '@')
		return put_abstract(path + 1, len - 1, out);
	if (len >= sizeof system.sun_path)
		return TOFU_PATH_TOO_LONG;
	memcpy(system.sun_path, path, len + 1);
	put(out, &system, offsetof(struct sockaddr_un, sun_path) + len + 1);
	return TOFU_OK;
}

size_t tofu_sockaddr_inet_bytes(const struct tofu_sockaddr *address, unsigned char out[16])
{
	struct tofu_sockaddr plain = unmapped(address);
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	memcpy(&four, plain.bytes, sizeof four);
	memcpy(&six, plain.bytes, sizeof six);
	if (family_of(&plain) == AF_INET) {
		memcpy(out, &four.sin_addr, sizeof four.sin_addr);
		return sizeof four.sin_addr;
	}
	if (family_of(&plain) != AF_INET6)
		return 0;
	memcpy(out, &six.sin6_addr, sizeof six.sin6_addr);
	return sizeof six.sin6_addr;
}

enum tofu_status tofu_sockaddr_inet_text(const struct tofu_sockaddr *address, char *host, size_t capacity,
                                         uint16_t *port)
{
	const tofu_net_family family = family_of(address);
	const struct tofu_sockaddr plain = unmapped(address);
	struct sockaddr_in6 both = { 0 };

	*port = 0;
	if (capacity == 0)
		return TOFU_INVALID_ADDRESS;
	host[0] = '\0';
	if (family != AF_INET && family != AF_INET6)
		return TOFU_INVALID_ADDRESS;
	/* With NI_NUMERICHOST this asks nobody, and it knows the names of scopes. */
	if (getnameinfo((const struct sockaddr *)plain.bytes, (socklen_t)plain.len, host, (unsigned)capacity, NULL, 0,
	                NI_NUMERICHOST) != 0) {
		host[0] = '\0';
		return TOFU_INVALID_ADDRESS;
	}
	memcpy(&both, plain.bytes, sizeof both);
	*port = ntohs(both.sin6_port);
	return TOFU_OK;
}

const char *tofu_sockaddr_unix_path(const struct tofu_sockaddr *address)
{
	const size_t at = offsetof(struct sockaddr_un, sun_path);

	return family_of(address) == AF_UNIX && address->len > at ? (const char *)address->bytes + at : "";
}

static enum tofu_status write_text(const char *prefix, const char *text, size_t len, char *out, size_t capacity)
{
	const size_t before = strlen(prefix);

	if (before + len >= capacity)
		return TOFU_INVALID_ADDRESS;
	memcpy(out, prefix, before);
	for (size_t i = 0; i < len; i++)
		out[before + i] = text[i] != '\0' ? text[i] : '@';
	out[before + len] = '\0';
	return TOFU_OK;
}

/* Somebody else may have bound a file by a relative path that begins with '@'. */
enum tofu_status tofu_sockaddr_unix_text(const struct tofu_sockaddr *address, char *out, size_t capacity)
{
	const size_t at = offsetof(struct sockaddr_un, sun_path);
	const char *path = (const char *)address->bytes + at;

	if (capacity == 0)
		return TOFU_INVALID_ADDRESS;
	out[0] = '\0';
	if (family_of(address) != AF_UNIX)
		return TOFU_INVALID_ADDRESS;
	if (address->len > at + 1 && path[0] == '\0')
		return write_text("@", path + 1, address->len - at - 1, out, capacity);
	path = tofu_sockaddr_unix_path(address);
	return write_text(path[0] == '@' ? "./" : "", path, strlen(path), out, capacity);
}
