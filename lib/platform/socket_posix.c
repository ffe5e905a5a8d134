/* SPDX-License-Identifier: MIT */
/*
 * Non-blocking stream sockets, Internet and Unix. A socket comes out of listen, accept or connect, moves bytes by sendmsg and
 * recvmsg (one buffer or many: only those take MSG_NOSIGNAL and vectors alike), and goes by close, which is the only
 * one to free it. What a system error means is in errors.h; here is only what it means in the place where it happened.
 *
 * *out is TOFU_NO_SOCKET after every failure but "under way". A failed listen takes the socket file that it made with
 * it. Handles of 0 or less are no sockets: zeroed memory can be closed.
 */

#include <tofu/transport.h>

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/inherited.h"
#include "platform/platform.h"
#include "platform/socket.h"

/* A vector of ours is a vector of the system's, so none is copied. */
_Static_assert(sizeof(struct tofu_iov) == sizeof(struct iovec), "same size");
_Static_assert(offsetof(struct tofu_iov, base) == offsetof(struct iovec, iov_base), "same base");
_Static_assert(offsetof(struct tofu_iov, len) == offsetof(struct iovec, iov_len), "same length");

/* More than any system keeps: it takes its own limit (net.core.somaxconn). */
enum { BACKLOG = 65535 };

static int fd_of(intptr_t socket)
{
	return socket > 0 && socket <= INT_MAX ? (int)socket : -1; /* -1: the system says EBADF */
}

static const struct sockaddr *system_address(const struct tofu_sockaddr *address)
{
	return (const struct sockaddr *)address->bytes;
}

/* The status, and no socket. errno was saved as error before anything was cleaned up. */
static enum tofu_status give_up(int fd, int error, enum tofu_status otherwise)
{
	if (fd >= 0)
		(void)close(fd);
	return tofu_plat_status(error, otherwise);
}

static enum tofu_status open_socket(const struct tofu_sockaddr *address, struct sockaddr_in6 *copy, int *fd,
                                    enum tofu_status otherwise)
{
	memset(copy, 0, sizeof *copy);
	*fd = -1;
	if (address->len < sizeof(sa_family_t) || address->len > sizeof address->bytes)
		return TOFU_INVALID_ADDRESS;
	memcpy(copy, address->bytes, sizeof *copy); /* the family, and all of an IPv6 address if it is one */
	*fd = tofu_plat_fd_above_stdio(socket(copy->sin6_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	return *fd < 0 ? tofu_plat_status(errno, otherwise) : TOFU_OK;
}

/* listen */

static bool set_flag(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

enum tofu_status tofu_socket_interface_status(const char *name)
{
	if (name == NULL)
		return TOFU_OK;
#if defined SO_BINDTODEVICE || defined IP_BOUND_IF
	return name[0] != '\0' && strlen(name) < IF_NAMESIZE ? TOFU_OK : TOFU_NOT_ALLOWED;
#else
	return TOFU_NOT_SUPPORTED;
#endif
}

/* False: errno says why. */
static bool set_interface(int fd, int family, const char *name)
{
	if (name == NULL)
		return true;
#if defined SO_BINDTODEVICE
	(void)family;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) == 0;
#elif defined IP_BOUND_IF
	const int index = (int)if_nametoindex(name);

	if (index == 0)
		return false;
	return family == AF_INET6 ? set_flag(fd, IPPROTO_IPV6, IPV6_BOUND_IF, index)
	                          : set_flag(fd, IPPROTO_IP, IP_BOUND_IF, index);
#else
	(void)fd, (void)family;
	return false; /* tofu_socket_interface_status() has said so */
#endif
}

/*
 * SO_REUSEADDR: connections of a listener before us that linger in TIME_WAIT do not matter; a live listener still does.
 * IPV6_V6ONLY is said either way, for its default is the administrator's.
 */
static bool prepare_inet(int fd, const struct sockaddr_in6 *at, const struct tofu_listen_options *o)
{
	const bool any = IN6_IS_ADDR_UNSPECIFIED(&at->sin6_addr);

	if (!set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return false;
	if (o->share_port && !set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return false;
	return at->sin6_family != AF_INET6 || set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->only_ipv6 || !any);
}

static mode_t mode_of(const struct tofu_listen_options *o)
{
	return o->mode != 0 ? (mode_t)o->mode : S_IRUSR | S_IWUSR;
}

/*
 * Linux gives the socket file the mode of the socket, less the umask: it is never open to others, not for a moment. The
 * chmod after bind is for umasks that take from the user, too, for files that get another group first, and for systems where
 * fchmod does nothing to a socket; nobody can connect before listen.
 */
static bool prepare_unix(int fd, const struct tofu_listen_options *o)
{
	return fchmod(fd, o->owner == NULL && o->group == NULL ? mode_of(o) : S_IRUSR | S_IWUSR) == 0;
}

/* An id that the user namespace does not have (EINVAL) is as much out of reach as one that is not ours to give. */
static bool give_to(const char *path, const uint32_t *owner, const uint32_t *group)
{
	if (owner == NULL && group == NULL)
		return true;
	if (lchown(path, owner != NULL ? *owner : (uid_t)-1, group != NULL ? *group : (gid_t)-1) == 0)
		return true;
	if (errno == EINVAL)
		errno = EPERM;
	return false;
}

/*
 * The group before its rights, so that no other group has them in between. The owner last: who has given a file away may not be
 * allowed to change its mode.
 */
static bool finish_file(const char *path, const struct tofu_listen_options *o)
{
	return give_to(path, NULL, o->group) && chmod(path, mode_of(o)) == 0 && give_to(path, o->owner, NULL);
}

static int bind_and_listen(int fd, const struct tofu_sockaddr *at, const struct tofu_listen_options *o)
{
	const int backlog = o->backlog != 0 && o->backlog < BACKLOG ? (int)o->backlog : BACKLOG;
	const char *path = tofu_sockaddr_unix_path(at);
	int error = 0;

	if (bind(fd, system_address(at), (socklen_t)at->len) != 0)
		return errno;
	if ((path[0] != '\0' && !finish_file(path, o)) || listen(fd, backlog) != 0) {
		error = errno;
		if (path[0] != '\0')
			(void)unlink(path); /* ours: bind refuses one that is there */
	}
	return error;
}

enum tofu_status tofu_socket_listen_with(const struct tofu_sockaddr *at, const struct tofu_listen_options *options,
                                         intptr_t *out)
{
	struct tofu_listen_options o;
	struct sockaddr_in6 copy;
	enum tofu_status st;
	bool prepared;
	int error;
	int fd;

	*out = TOFU_NO_SOCKET;
	st = tofu_options_take(options, &o, sizeof o);
	if (st == TOFU_OK && tofu_sockaddr_family(at) != 0)
		st = tofu_socket_interface_status(o.interface_name);
	if (st != TOFU_OK)
		return st;
	st = open_socket(at, &copy, &fd, TOFU_LISTEN_FAILED);
	if (st != TOFU_OK)
		return tofu_socket_listen_status(at, st);
	prepared = copy.sin6_family == AF_UNIX ? prepare_unix(fd, &o) : prepare_inet(fd, &copy, &o);
	if (!prepared)
		return tofu_socket_listen_status(at, give_up(fd, errno, TOFU_SETSOCKOPT_FAILED));
	if (copy.sin6_family != AF_UNIX && !set_interface(fd, copy.sin6_family, o.interface_name))
		return tofu_socket_listen_status(at, give_up(fd, errno, TOFU_LISTEN_FAILED));
	error = bind_and_listen(fd, at, &o);
	if (error != 0)
		return tofu_socket_listen_status(at, give_up(fd, error, TOFU_LISTEN_FAILED));
	*out = fd;
	return TOFU_OK;
}

/* accept */

/* accept(2): errors of the one connection that was taken off the queue, or of the network it came by. */
static bool lost_before_accept(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
	case EPERM: /* a firewall */
		return true;
	default:
		return false;
	}
}

enum tofu_status tofu_socket_accept(intptr_t listener, intptr_t *out)
{
	int fd;

	*out = TOFU_NO_SOCKET;
	do {
		fd = accept4(fd_of(listener), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	fd = tofu_plat_fd_above_stdio(fd);
	if (fd < 0)
		return tofu_socket_accept_status(tofu_plat_status(errno, TOFU_ACCEPT_FAILED),
		                                 lost_before_accept(errno));
	*out = fd;
	return TOFU_OK;
}

/* connect */

static enum tofu_status connect_status(int error)
{
	return tofu_socket_connect_status(tofu_plat_status(error, TOFU_CONNECT_FAILED));
}

/*
 * EADDRNOTAVAIL: no port is left to call from, or no address (of IPv6, where that is switched off). A datagram socket has ports
 * of its own and needs the same address, so it tells; nothing is sent.
 */
static enum tofu_status no_local_address(const struct tofu_sockaddr *to, sa_family_t family)
{
	int fd, rc;

	if (family != AF_INET6)
		return TOFU_LIMIT_REACHED;
	fd = tofu_plat_fd_above_stdio(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return TOFU_LIMIT_REACHED;
	rc = connect(fd, system_address(to), (socklen_t)to->len);
	(void)close(fd);
	return rc == 0 ? TOFU_LIMIT_REACHED : TOFU_CONNECT_FAILED;
}

/*
 * Where an Internet socket calls from. The port is chosen when it is known who is called: it need not be one that nobody calls from,
 * and so there are enough. 0, or the error.
 */
static int call_from(int fd, int family, const struct tofu_connect_options *o)
{
	if (!set_interface(fd, family, o->interface_name))
		return errno;
	if (o->source == NULL)
		return 0;
#ifdef IP_BIND_ADDRESS_NO_PORT
	(void)set_flag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); /* without it there are fewer */
#endif
	return bind(fd, system_address(o->source), (socklen_t)o->source->len) == 0 ? 0 : errno;
}

static enum tofu_status prepare_connect(int fd, const struct tofu_sockaddr *to, const struct tofu_connect_options *o)
{
	const int family = tofu_sockaddr_family(to);
	int error;

	if (family == 0)
		return TOFU_OK;
	if (o->source != NULL && tofu_sockaddr_family(o->source) != family)
		return TOFU_CONNECT_FAILED;
	error = call_from(fd, system_address(to)->sa_family, o);
	return error != 0 ? connect_status(error) : TOFU_OK;
}

enum tofu_status tofu_socket_connect_with(const struct tofu_sockaddr *to, const struct tofu_connect_options *options,
                                          intptr_t *out)
{
	const struct tofu_sockaddr called = tofu_sockaddr_called(to);
	struct tofu_connect_options o;
	struct sockaddr_in6 copy;
	enum tofu_status st;
	int error;
	int fd;

	if (tofu_inherited_is(to))
		return tofu_inherited_connect(to, out);
	*out = TOFU_NO_SOCKET;
	st = tofu_socket_connect_options(options, &o);
	if (st != TOFU_OK)
		return st;
	st = open_socket(&called, &copy, &fd, TOFU_CONNECT_FAILED);
	if (st != TOFU_OK)
		return st == TOFU_PEER_DISCONNECTED ? TOFU_CONNECT_FAILED : st;
	st = prepare_connect(fd, &called, &o);
	if (st != TOFU_OK) {
		(void)close(fd);
		return st;
	}
	error = connect(fd, system_address(&called), (socklen_t)called.len) == 0 ? 0 : errno;
	st = error == 0 ? tofu_socket_connected_status(fd) : TOFU_WOULD_BLOCK;
	if (st == TOFU_OK || error == EINPROGRESS || error == EINTR) { /* EINTR: goes on by itself */
		*out = fd;
		return st;
	}
	(void)close(fd);
	if (error == EADDRNOTAVAIL)
		return no_local_address(&called, copy.sin6_family);
	if (error == EAGAIN) /* the one queue is full, or there is no local port */
		return copy.sin6_family == AF_UNIX ? TOFU_WOULD_BLOCK : TOFU_LIMIT_REACHED;
	return error == 0 ? st : connect_status(error);
}

/* Over, well or not. */
static bool connect_has_ended(int fd)
{
	struct pollfd item = { .fd = fd, .events = POLLOUT };
	int n;

	do {
		n = poll(&item, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n != 0; /* a poll that fails must not be waited for */
}

/* In this order: asked the other way round, a connect that ends between two questions would look like a failure. */
enum tofu_status tofu_socket_connect_result(intptr_t socket)
{
	const int fd = fd_of(socket);
	int error = 0;
	socklen_t error_len = sizeof error;

	if (fd >= 0 && !connect_has_ended(fd)) /* poll() overlooks -1 */
		return TOFU_WOULD_BLOCK;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0)
		error = errno;
	return error != 0 ? connect_status(error) : tofu_socket_connected_status(socket);
}

/* bytes */

static struct msghdr message_of(const struct tofu_iov *iov, size_t count)
{
	struct msghdr message = { 0 };

	message.msg_iov = (struct iovec *)iov;                         /* never written to */
	message.msg_iovlen = (int)(count < IOV_MAX ? count : IOV_MAX); /* size_t in glibc, int in musl */
	return message;
}

enum tofu_status tofu_socket_send(intptr_t socket, const struct tofu_iov *iov, size_t count, size_t *done)
{
	struct msghdr message = message_of(iov, count);
	ssize_t n;

	*done = 0;
	if (tofu_iov_is_empty(iov, message.msg_iovlen))
		return TOFU_OK;
	do {
		n = sendmsg(fd_of(socket), &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return tofu_plat_status(errno, TOFU_SEND_FAILED);
	*done = (size_t)n;
	return TOFU_OK;
}

enum tofu_status tofu_socket_receive(intptr_t socket, const struct tofu_iov *iov, size_t count, size_t *done)
{
	struct msghdr message = message_of(iov, count);
	ssize_t n;

	*done = 0;
	if (tofu_iov_is_empty(iov, message.msg_iovlen))
		return TOFU_OK;
	do {
		n = recvmsg(fd_of(socket), &message, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return tofu_plat_status(errno, TOFU_RECV_FAILED);
	*done = (size_t)n;
	return n == 0 ? TOFU_PEER_DISCONNECTED : TOFU_OK;
}

/* the rest of a life */

enum tofu_status tofu_socket_nodelay(intptr_t socket)
{
	if (set_flag(fd_of(socket), IPPROTO_TCP, TCP_NODELAY, 1))
		return TOFU_OK;
	return tofu_plat_status(errno, TOFU_SETSOCKOPT_FAILED);
}

enum tofu_status tofu_socket_shutdown(intptr_t socket)
{
	return shutdown(fd_of(socket), SHUT_WR) == 0 ? TOFU_OK : tofu_plat_status(errno, TOFU_COMMUNICATION_FAILED);
}

/*
 * RST instead of FIN. The linger option makes close(2) do that, but only the last close of a socket, and a child of fork()
 * may hold copies; disconnecting does it at once (Linux). A Unix socket takes the first, refuses the second.
 */
void tofu_socket_reset(intptr_t socket)
{
	const int fd = fd_of(socket);
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	(void)connect(fd, &nobody, sizeof nobody);
}

/*
 * shutdown(2) before close(2) for the same children: it ends the connection, or stops a listener, whoever else holds it.
 * For a socket that is only ours it changes nothing: what was sent still goes out, then FIN. Its failures, like those of
 * a socket that never connected, have no meaning here. close(2) is never repeated: after EINTR the number is free.
 */
void tofu_socket_close(intptr_t socket, enum tofu_close how)
{
	const int fd = fd_of(socket);

	if (fd < 0)
		return;
	switch (how) {
	case TOFU_CLOSE_ABORT:
		tofu_socket_reset(socket);
		(void)shutdown(fd, SHUT_RDWR);
		break;
	case TOFU_CLOSE_ORDERLY:
		(void)shutdown(fd, SHUT_RDWR);
		break;
	case TOFU_CLOSE_FORGET:
		break;
	}
	(void)close(fd);
}

typedef int address_call(int fd, struct sockaddr *address, socklen_t *len);

static enum tofu_status address_by(address_call *call, intptr_t socket, struct tofu_sockaddr *out)
{
	socklen_t len = sizeof out->bytes;

	memset(out, 0, sizeof *out);
	if (call(fd_of(socket), (struct sockaddr *)out->bytes, &len) != 0)
		return tofu_plat_status(errno, TOFU_COMMUNICATION_FAILED);
	out->len = (uint32_t)len;
	return TOFU_OK;
}

enum tofu_status tofu_socket_local(intptr_t socket, struct tofu_sockaddr *out)
{
	return address_by(getsockname, socket, out);
}

enum tofu_status tofu_socket_peer(intptr_t socket, struct tofu_sockaddr *out)
{
	return address_by(getpeername, socket, out);
}
