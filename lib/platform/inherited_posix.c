/* SPDX-License-Identifier: MIT */
/*
 * Sockets that somebody else has made: systemd, inetd, a parent, the application. Their number stays the application's: what is
 * used here is a copy, and only after it was seen to be what was asked for is anything changed about it.
 *
 * Such an address has no family, which no address of the system lacks, and holds the descriptor.
 */

#include "platform/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/platform.h"

enum { FIRST_LISTEN_FD = 3 }; /* sd_listen_fds(3) */

struct address {
	struct sockaddr none; /* AF_UNSPEC */
	int descriptor;
	enum tofu_socket_kind kind;
};

/* A listener: its link's state. */
struct inherited {
	struct tofu_sockaddr local;
	struct tofu_event offer; /* of the one connection that it has; a real listener has no such event */
	intptr_t connection;     /* until it was taken */
};

/* Decimal digits and nothing else, or -1. */
static int parse_number(const char *digits)
{
	int64_t value = 0;

	if (*digits == '\0')
		return -1;
	for (; *digits != '\0'; digits++) {
		if (*digits < '0' || *digits > '9')
			return -1;
		value = value * 10 + (*digits - '0');
		if (value > INT_MAX)
			return -1;
	}
	return (int)value;
}

static int number_in_environment(const char *name)
{
	const char *value = tofu_plat_environment(name);

	return value != NULL ? parse_number(value) : -1;
}

/* What was handed over is meant for one process; the variables go on to its children. */
static int descriptor_named(const char *name)
{
	const int count = number_in_environment("LISTEN_FDS");
	const char *names = tofu_plat_environment("LISTEN_FDNAMES");
	const size_t len = strlen(name);

	if (names == NULL || number_in_environment("LISTEN_PID") != (int)getpid())
		return -1;
	for (int i = 0; i < count; i++) {
		const size_t next = strcspn(names, ":");

		if (next == len && memcmp(names, name, len) == 0)
			return FIRST_LISTEN_FD + i;
		if (names[next] == '\0')
			return -1;
		names += next + 1;
	}
	return -1;
}

enum tofu_status tofu_inherited_complete(const char *rest, char *out, size_t capacity)
{
	int descriptor, len;

	out[0] = '\0';
	if (rest[0] != '&' || rest[1] == '\0' || parse_number(rest + 1) >= 0)
		return TOFU_OK;
	descriptor = descriptor_named(rest + 1);
	if (descriptor < 0)
		return TOFU_OK;
	len = snprintf(out, capacity, "&%d", descriptor);
	return len > 0 && (size_t)len < capacity ? TOFU_OK : TOFU_INVALID_ADDRESS;
}

enum tofu_status tofu_inherited_address(const char *rest, enum tofu_socket_kind kind, struct tofu_sockaddr *out)
{
	struct address address = { .none.sa_family = AF_UNSPEC, .kind = kind };

	memset(out, 0, sizeof *out);
	address.descriptor = rest[0] == '&' ? parse_number(rest + 1) : -1;
	if (address.descriptor < 0)
		return TOFU_INVALID_ADDRESS;
	memcpy(out->bytes, &address, sizeof address);
	out->len = sizeof address;
	return TOFU_OK;
}

int tofu_inherited_is(const struct tofu_sockaddr *address)
{
	struct sockaddr any;

	memcpy(&any, address->bytes, sizeof any);
	return address->len == sizeof(struct address) && any.sa_family == AF_UNSPEC;
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool is_stream_of(int fd, enum tofu_socket_kind kind, struct tofu_sockaddr *local)
{
	struct sockaddr any;

	if (option_of(fd, SO_TYPE) != SOCK_STREAM || tofu_socket_local(fd, local) != TOFU_OK)
		return false;
	memcpy(&any, local->bytes, sizeof any);
	if (kind == TOFU_SOCKET_UNIX)
		return any.sa_family == AF_UNIX;
	return any.sa_family == AF_INET || any.sa_family == AF_INET6;
}

/* A copy, as soon as it is the right kind of socket. */
static enum tofu_status copy_of(const struct tofu_sockaddr *at, int *copy, struct tofu_sockaddr *local)
{
	struct address address;

	memcpy(&address, at->bytes, sizeof address);
	*copy = fcntl(address.descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (*copy < 0)
		return tofu_plat_status(errno, TOFU_INVALID_ADDRESS); /* EBADF: it is not open */
	if (is_stream_of(*copy, address.kind, local))
		return TOFU_OK;
	(void)close(*copy);
	return TOFU_INVALID_ADDRESS;
}

static bool make_nonblocking(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool is_connected(int fd)
{
	struct tofu_sockaddr peer;

	return tofu_socket_peer(fd, &peer) == TOFU_OK;
}

enum tofu_status tofu_inherited_connect(const struct tofu_sockaddr *to, intptr_t *out)
{
	struct tofu_sockaddr local;
	enum tofu_status st;
	int fd;

	*out = TOFU_NO_SOCKET;
	st = copy_of(to, &fd, &local);
	if (st != TOFU_OK)
		return st;
	if (!is_connected(fd) || !make_nonblocking(fd)) {
		(void)close(fd);
		return TOFU_CONNECT_FAILED;
	}
	*out = fd;
	return TOFU_OK;
}

/* The one connection is offered by an event: readable until it is taken, and quiet from then on. */
static enum tofu_status offer(struct inherited *own, int connection)
{
	enum tofu_status st = tofu_event_init(&own->offer);

	if (st != TOFU_OK)
		return st;
	tofu_event_raise(&own->offer);
	own->connection = connection;
	return TOFU_OK;
}

static enum tofu_status listen_on(struct inherited *own, int fd, intptr_t *handle)
{
	const bool listens = option_of(fd, SO_ACCEPTCONN) == 1;
	enum tofu_status st = TOFU_OK;

	if ((!listens && !is_connected(fd)) || !make_nonblocking(fd))
		return TOFU_LISTEN_FAILED;
	if (!listens)
		st = offer(own, fd);
	*handle = listens ? fd : own->offer.handle;
	return st;
}

enum tofu_status tofu_inherited_listen(const struct tofu_sockaddr *at, struct tofu_link *listener)
{
	struct inherited *own = calloc(1, sizeof *own);
	enum tofu_status st;
	int fd;

	listener->handle = TOFU_NO_SOCKET;
	listener->state = NULL;
	if (own == NULL)
		return TOFU_ALLOCATION_FAILED;
	own->offer.handle = TOFU_NO_SOCKET;
	own->connection = TOFU_NO_SOCKET;
	st = copy_of(at, &fd, &own->local);
	if (st == TOFU_OK) {
		st = listen_on(own, fd, &listener->handle);
		if (st != TOFU_OK)
			(void)close(fd);
	}
	if (st != TOFU_OK) {
		listener->handle = TOFU_NO_SOCKET;
		free(own);
		return st;
	}
	listener->state = own;
	return TOFU_OK;
}

enum tofu_status tofu_inherited_accept(struct tofu_link *listener, intptr_t *out)
{
	struct inherited *own = listener->state;

	if (own->offer.handle == TOFU_NO_SOCKET)
		return tofu_socket_accept(listener->handle, out);
	*out = own->connection;
	if (own->connection == TOFU_NO_SOCKET)
		return TOFU_WOULD_BLOCK;
	own->connection = TOFU_NO_SOCKET;
	tofu_event_clear(&own->offer);
	return TOFU_OK;
}

enum tofu_status tofu_inherited_local(const struct tofu_link *listener, struct tofu_sockaddr *out)
{
	const struct inherited *own = listener->state;

	*out = own->local;
	return TOFU_OK;
}

/* Others listen there, too, or will: a shutdown would stop them. */
void tofu_inherited_close(struct tofu_link *listener, enum tofu_close how)
{
	struct inherited *own = listener->state;

	if (own->offer.handle == TOFU_NO_SOCKET)
		tofu_socket_close(listener->handle, TOFU_CLOSE_FORGET);
	tofu_event_fini(&own->offer);
	tofu_socket_close(own->connection, how);
	free(own);
	listener->handle = TOFU_NO_SOCKET;
	listener->state = NULL;
}
