/* SPDX-License-Identifier: MIT */
/*
 * Non-blocking stream sockets, Internet and Unix, on Winsock. A socket comes out of listen, accept or connect, moves bytes by
 * WSASend and WSARecv without OVERLAPPED (one buffer or many), and goes by close, which is the only one to free it. What a
 * system error means is in errors.h; here is only what it means in the place where it happened.
 *
 * *out is TOFU_NO_SOCKET after every failure but "under way". A failed listen takes the socket file that it made with it.
 * Handles of 0 or less are no sockets: zeroed memory can be closed.
 *
 * A system without Unix sockets says so when one is to be made: the status is TOFU_NOT_SUPPORTED. Their paths are UTF-8 for
 * the socket, and UTF-16 for all else; no option of TCP is set on them.
 */

#include <tofu/transport.h>

#include <string.h>

#include "platform/net.h"
#include "platform/platform.h"
#include "platform/socket.h"

_Static_assert(sizeof(SOCKET) == sizeof(intptr_t), "a socket fits");

enum {
	BACKLOG_INET = -65535, /* SOMAXCONN_HINT(65535): as many, or as the system allows. SOMAXCONN is 200 of these */
	BACKLOG_UNIX = SOMAXCONN,
	MODE = 0600,      /* what the rights of a user's own directory come to */
	BUFFERS_MAX = 64, /* of one call */
	/* Windows takes all of a big request or refuses it for lack of buffers, and takes the more from others the more it
	 * takes. */
	SEND_MAX = 256 * 1024,
	SEND_LEAST = 4096,
	RECEIVE_MAX = 1 << 30 /* what a count of the system's holds */
};

/* INVALID_SOCKET: the system says that it is none. */
static SOCKET socket_of(intptr_t socket)
{
	return socket > 0 ? (SOCKET)socket : INVALID_SOCKET;
}

static const struct sockaddr *system_address(const struct tofu_sockaddr *address)
{
	return (const struct sockaddr *)address->bytes;
}

/* The status, and no socket. The error was saved before anything was cleaned up. */
static enum tofu_status give_up(SOCKET s, int error, enum tofu_status otherwise)
{
	if (s != INVALID_SOCKET)
		(void)closesocket(s);
	return tofu_plat_status(error, otherwise);
}

static bool make_nonblocking(SOCKET s)
{
	u_long on = 1;

	return ioctlsocket(s, (long)FIONBIO, &on) == 0;
}

/* Not inherited by processes that the application starts, from the first moment. */
static enum tofu_status open_socket(const struct tofu_sockaddr *address, struct sockaddr_in6 *copy, SOCKET *s,
                                    enum tofu_status otherwise)
{
	memset(copy, 0, sizeof *copy);
	*s = INVALID_SOCKET;
	if (address->len < sizeof(ADDRESS_FAMILY) || address->len > sizeof address->bytes)
		return TOFU_INVALID_ADDRESS;
	memcpy(copy, address->bytes, sizeof *copy); /* the family, and all of an IPv6 address if it is one */
	*s = WSASocketW(copy->sin6_family, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
	if (*s == INVALID_SOCKET)
		return tofu_plat_status(WSAGetLastError(), otherwise);
	if (make_nonblocking(*s))
		return TOFU_OK;
	otherwise = give_up(*s, WSAGetLastError(), otherwise);
	*s = INVALID_SOCKET;
	return otherwise;
}

/* listen */

static bool set_flag(SOCKET s, int level, int option, DWORD value)
{
	return setsockopt(s, level, option, (const char *)&value, sizeof value) == 0;
}

/*
 * SO_EXCLUSIVEADDRUSE: nobody shares the port or takes it away. SO_REUSEADDR would let others do just that, here. The price:
 * the port is free again when the last connection that came in by it has ended (those in TIME_WAIT do not count).
 * IPV6_V6ONLY is said either way, for its default is the administrator's.
 */
static bool prepare_inet(SOCKET s, const struct sockaddr_in6 *at, const struct tofu_listen_options *o)
{
	const bool any = IN6_IS_ADDR_UNSPECIFIED(&at->sin6_addr);

	if (!set_flag(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1))
		return false;
	return at->sin6_family != AF_INET6 || set_flag(s, IPPROTO_IPV6, IPV6_V6ONLY, o->only_ipv6 || !any);
}

/* The path of a Unix socket's address in the form that all of Windows but its sockets takes. Empty: it has none. */
static void wide_path(const struct tofu_sockaddr *address, wchar_t out[UNIX_PATH_MAX])
{
	out[0] = L'\0';
	(void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, tofu_sockaddr_unix_path(address), -1, out,
	                          UNIX_PATH_MAX);
}

/* Ours: bind refuses one that is there. Deleting removes the file itself, it does not follow what it stands for. */
static void remove_file(const struct tofu_sockaddr *at)
{
	wchar_t path[UNIX_PATH_MAX];

	wide_path(at, path);
	if (path[0] != L'\0')
		(void)DeleteFileW(path);
}

/* A backlog is taken as it is when it is negative; else the system makes it its own. */
static int backlog_of(int family, const struct tofu_listen_options *o)
{
	if (family == AF_UNIX)
		return o->backlog != 0 && o->backlog < BACKLOG_UNIX ? (int)o->backlog : BACKLOG_UNIX;
	return o->backlog != 0 && o->backlog < -BACKLOG_INET ? -(int)o->backlog : BACKLOG_INET;
}

static int bind_and_listen(SOCKET s, const struct tofu_sockaddr *at, const struct tofu_listen_options *o)
{
	int error;

	if (bind(s, system_address(at), (int)at->len) != 0)
		return WSAGetLastError();
	if (listen(s, backlog_of(system_address(at)->sa_family, o)) == 0)
		return 0;
	error = WSAGetLastError();
	remove_file(at);
	return error;
}

/* A port that is another's own, or that would have to be shared, gives WSAEACCES: somebody has it. A directory that is not
 * there gives WSAENETDOWN, as if it were a network. */
static int meaning_of_bind(int error, int family)
{
	if (family == AF_UNIX)
		return error == WSAENETDOWN ? ERROR_PATH_NOT_FOUND : error;
	return error == WSAEACCES ? WSAEADDRINUSE : error;
}

enum tofu_status tofu_socket_interface_status(const char *name)
{
	return name == NULL ? TOFU_OK : TOFU_NOT_SUPPORTED;
}

/* A port can only be shared in a way that lets others take it away, and a file has no mode, and nobody by a number. */
static bool can_be_had(const struct tofu_listen_options *o, int family)
{
	if (family == AF_UNIX)
		return (o->mode == 0 || o->mode == MODE) && o->owner == NULL && o->group == NULL;
	return !o->share_port;
}

enum tofu_status tofu_socket_listen_with(const struct tofu_sockaddr *at, const struct tofu_listen_options *options,
                                         intptr_t *out)
{
	struct tofu_listen_options o;
	struct sockaddr_in6 copy;
	enum tofu_status st;
	int error;
	SOCKET s;

	*out = TOFU_NO_SOCKET;
	st = tofu_options_take(options, &o, sizeof o);
	if (st == TOFU_OK && tofu_sockaddr_family(at) != 0)
		st = tofu_socket_interface_status(o.interface_name);
	if (st != TOFU_OK)
		return st;
	st = open_socket(at, &copy, &s, TOFU_LISTEN_FAILED);
	if (st != TOFU_OK)
		return tofu_socket_listen_status(at, st);
	if (!can_be_had(&o, copy.sin6_family)) {
		(void)closesocket(s);
		return TOFU_NOT_SUPPORTED;
	}
	if (copy.sin6_family != AF_UNIX && !prepare_inet(s, &copy, &o))
		return tofu_socket_listen_status(at, give_up(s, WSAGetLastError(), TOFU_SETSOCKOPT_FAILED));
	error = meaning_of_bind(bind_and_listen(s, at, &o), copy.sin6_family);
	if (error != 0)
		return tofu_socket_listen_status(at, give_up(s, error, TOFU_LISTEN_FAILED));
	*out = (intptr_t)s;
	return TOFU_OK;
}

/* accept */

/* Errors of the one connection that was taken off the queue, or of the network it came by. */
static bool lost_before_accept(int error)
{
	switch (error) {
	case WSAECONNRESET:
	case WSAECONNABORTED:
	case WSAENETDOWN:
	case WSAENETRESET:
	case WSAENETUNREACH:
	case WSAEHOSTDOWN:
	case WSAEHOSTUNREACH:
	case WSAETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* What a listener is does not pass on to its connections. */
static bool prepare_accepted(SOCKET s)
{
	return SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0) && make_nonblocking(s);
}

enum tofu_status tofu_socket_accept(intptr_t listener, intptr_t *out)
{
	int error;
	SOCKET s;

	*out = TOFU_NO_SOCKET;
	s = accept(socket_of(listener), NULL,
	           NULL); /* who is gone has no address any more, and must not fail for that */
	if (s == INVALID_SOCKET) {
		error = WSAGetLastError();
		return tofu_socket_accept_status(tofu_plat_status(error, TOFU_ACCEPT_FAILED),
		                                 lost_before_accept(error));
	}
	if (!prepare_accepted(s))
		return tofu_socket_accept_status(give_up(s, (int)GetLastError(), TOFU_LIMIT_REACHED), false);
	*out = (intptr_t)s;
	return TOFU_OK;
}

/* connect */

static enum tofu_status connect_status(int error)
{
	return tofu_socket_connect_status(tofu_plat_status(error, TOFU_CONNECT_FAILED));
}

static bool is_loopback(const struct tofu_sockaddr *to)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	memcpy(&four, to->bytes, sizeof four);
	memcpy(&six, to->bytes, sizeof six);
	if (four.sin_family == AF_INET)
		return ntohl(four.sin_addr.s_addr) >> 24 == 127;
	return six.sin6_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
}

/*
 * Windows asks again when a connection is refused, and so takes two seconds to say that nobody listens. On this machine
 * nothing gets lost on the way: once is enough. Windows before 10.0.16299 does not know how, and takes its time.
 */
static void refuse_quickly(SOCKET s)
{
	TCP_INITIAL_RTO_PARAMETERS once = { .Rtt = TCP_INITIAL_RTO_UNSPECIFIED_RTT,
		                            .MaxSynRetransmissions = TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS };
	DWORD got = 0;

	(void)WSAIoctl(s, SIO_TCP_INITIAL_RTO, &once, sizeof once, NULL, 0, &got, NULL, NULL);
}

/* Windows calls it refused when there is no such file: TOFU_UDS_PATH_NOT_FOUND, or TOFU_OK if something is there. */
static enum tofu_status find_file(const struct tofu_sockaddr *to)
{
	wchar_t path[UNIX_PATH_MAX];
	enum tofu_status st;

	wide_path(to, path);
	if (path[0] == L'\0' || GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES)
		return TOFU_OK;
	st = tofu_plat_status((int)GetLastError(), TOFU_OK);
	return st == TOFU_UDS_PATH_NOT_FOUND ? st : TOFU_OK; /* whatever else it is, connect will know */
}

/* The port may be one that calls others already, and so there are enough; a system that cannot do that has fewer. */
static enum tofu_status call_from(SOCKET s, const struct tofu_sockaddr *source)
{
#ifdef SO_REUSE_UNICASTPORT
	(void)set_flag(s, SOL_SOCKET, SO_REUSE_UNICASTPORT, 1);
#endif
	if (bind(s, system_address(source), (int)source->len) == 0)
		return TOFU_OK;
	return connect_status(WSAGetLastError());
}

static enum tofu_status prepare_connect(SOCKET s, const struct tofu_sockaddr *to, int family,
                                        const struct tofu_connect_options *o)
{
	if (family == AF_UNIX)
		return find_file(to);
	if (is_loopback(to))
		refuse_quickly(s);
	if (o->source == NULL)
		return TOFU_OK;
	return tofu_sockaddr_family(o->source) == tofu_sockaddr_family(to) ? call_from(s, o->source)
	                                                                   : TOFU_CONNECT_FAILED;
}

enum tofu_status tofu_socket_connect_with(const struct tofu_sockaddr *to, const struct tofu_connect_options *options,
                                          intptr_t *out)
{
	const struct tofu_sockaddr called = tofu_sockaddr_called(to);
	struct tofu_connect_options o;
	struct sockaddr_in6 copy;
	enum tofu_status st;
	int error;
	SOCKET s;

	*out = TOFU_NO_SOCKET;
	st = tofu_socket_connect_options(options, &o);
	if (st != TOFU_OK)
		return st;
	st = open_socket(&called, &copy, &s, TOFU_CONNECT_FAILED);
	if (st != TOFU_OK)
		return st == TOFU_PEER_DISCONNECTED ? TOFU_CONNECT_FAILED : st;
	st = prepare_connect(s, &called, copy.sin6_family, &o);
	if (st != TOFU_OK) {
		(void)closesocket(s);
		return st;
	}
	error = connect(s, system_address(&called), (int)called.len) == 0 ? 0 : WSAGetLastError();
	st = error == 0 ? tofu_socket_connected_status((intptr_t)s) : TOFU_WOULD_BLOCK;
	if (st == TOFU_OK || error == WSAEWOULDBLOCK) {
		*out = (intptr_t)s;
		return st;
	}
	(void)closesocket(s);
	return error == 0 ? st : connect_status(error);
}

/* Over, well or not. By select(), for WSAPoll() of older Windows never tells of a failure; a set of one has room for any
 * number of a socket. */
static bool connect_has_ended(SOCKET s)
{
	fd_set connected = { .fd_count = 1, .fd_array = { s } };
	fd_set failed = connected;
	struct timeval now = { 0 };

	return select(0, NULL, &connected, &failed, &now) != 0; /* a wait that fails must not be waited for */
}

/* In this order: asked the other way round, a connect that ends between two questions would look like a failure. */
enum tofu_status tofu_socket_connect_result(intptr_t socket)
{
	const SOCKET s = socket_of(socket);
	int error = 0;
	int error_len = sizeof error;

	if (!connect_has_ended(s))
		return TOFU_WOULD_BLOCK;
	if (getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &error_len) != 0)
		error = WSAGetLastError();
	return error != 0 ? connect_status(error) : tofu_socket_connected_status(socket);
}

/* bytes */

/* The first pieces of a vector, `most` bytes of it at most. */
struct buffers {
	WSABUF all[BUFFERS_MAX];
	DWORD count;
};

static void take_buffers(struct buffers *b, const struct tofu_iov *iov, size_t count, size_t most)
{
	b->count = 0;
	for (size_t i = 0; i < count && b->count < BUFFERS_MAX && most > 0; i++) {
		const size_t len = iov[i].len < most ? iov[i].len : most;

		if (len == 0)
			continue;
		b->all[b->count].buf = iov[i].base;
		b->all[b->count].len = (ULONG)len;
		b->count++;
		most -= len;
	}
}

/* 0, or the error. */
static int send_once(SOCKET s, const struct tofu_iov *iov, size_t count, size_t most, size_t *done)
{
	struct buffers b;
	DWORD sent = 0;

	take_buffers(&b, iov, count, most);
	if (WSASend(s, b.all, b.count, &sent, 0, NULL, NULL) != 0)
		return WSAGetLastError();
	*done = sent;
	return 0;
}

/* WSAENOBUFS: too much for now. Less may do; if not even that, it is the shortage that it says. */
enum tofu_status tofu_socket_send(intptr_t socket, const struct tofu_iov *iov, size_t count, size_t *done)
{
	int error = WSAENOBUFS;

	*done = 0;
	if (tofu_iov_is_empty(iov, count))
		return TOFU_OK;
	for (size_t most = SEND_MAX; error == WSAENOBUFS && most >= SEND_LEAST; most /= 4)
		error = send_once(socket_of(socket), iov, count, most, done);
	return error == 0 ? TOFU_OK : tofu_plat_status(error, TOFU_SEND_FAILED);
}

enum tofu_status tofu_socket_receive(intptr_t socket, const struct tofu_iov *iov, size_t count, size_t *done)
{
	struct buffers b;
	DWORD got = 0;
	DWORD flags = 0;

	*done = 0;
	if (tofu_iov_is_empty(iov, count))
		return TOFU_OK;
	take_buffers(&b, iov, count, RECEIVE_MAX);
	if (WSARecv(socket_of(socket), b.all, b.count, &got, &flags, NULL, NULL) != 0)
		return tofu_plat_status(WSAGetLastError(), TOFU_RECV_FAILED);
	*done = got;
	return got == 0 ? TOFU_PEER_DISCONNECTED : TOFU_OK;
}

/* the rest of a life */

enum tofu_status tofu_socket_nodelay(intptr_t socket)
{
	if (set_flag(socket_of(socket), IPPROTO_TCP, TCP_NODELAY, 1))
		return TOFU_OK;
	return tofu_plat_status(WSAGetLastError(), TOFU_SETSOCKOPT_FAILED);
}

/* The system sends ten probes in what is left after the first third. */
enum tofu_status tofu_socket_keepalive(intptr_t socket, uint32_t dead_after_ms)
{
	const uint32_t dead_ms = dead_after_ms < 1000 ? 1000 : dead_after_ms;
	struct tcp_keepalive values = { .onoff = dead_after_ms != UINT32_MAX,
		                        .keepalivetime = dead_ms / 3,
		                        .keepaliveinterval = (dead_ms - dead_ms / 3) / 10 };
	DWORD none;

	if (WSAIoctl(socket_of(socket), SIO_KEEPALIVE_VALS, &values, sizeof values, NULL, 0, &none, NULL, NULL) == 0)
		return TOFU_OK;
	return tofu_plat_status(WSAGetLastError(), TOFU_SETSOCKOPT_FAILED);
}

/* Nothing here tells when the peer last acknowledged. By itself the system gives up after five more attempts
 * (TcpMaxDataRetransmissions). */
enum tofu_status tofu_socket_look(intptr_t socket, uint32_t waited_ms, uint32_t dead_after_ms, int *settled)
{
	*settled = 1;
	return TOFU_OK;
}

/* SIO_TCP_SET_ACK_FREQUENCY would stay, and every packet of a bulk transfer be acknowledged. */
void tofu_socket_acknowledge(intptr_t socket)
{
	(void)socket;
}

enum tofu_status tofu_socket_shutdown(intptr_t socket)
{
	if (shutdown(socket_of(socket), SD_SEND) == 0)
		return TOFU_OK;
	return tofu_plat_status(WSAGetLastError(), TOFU_COMMUNICATION_FAILED);
}

/* To linger for no time is RST, when it is closed. */
void tofu_socket_reset(intptr_t socket)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(socket_of(socket), SOL_SOCKET, SO_LINGER, (const char *)&at_once, sizeof at_once);
}

/*
 * Closing sends what is left, and then FIN, without waiting: the default of SO_LINGER. There are no children that have copies
 * to be thought of, so FORGET is like ORDERLY.
 */
void tofu_socket_close(intptr_t socket, enum tofu_close how)
{
	const SOCKET s = socket_of(socket);

	if (s == INVALID_SOCKET)
		return;
	if (how == TOFU_CLOSE_ABORT)
		tofu_socket_reset(socket);
	(void)closesocket(s);
}

void tofu_socket_identify(intptr_t socket, struct tofu_identity *out)
{
	ULONG pid = 0;
	DWORD got = 0;

	out->uid = -1;
	out->gid = -1;
	out->pid = -1;
	if (WSAIoctl(socket_of(socket), SIO_AF_UNIX_GETPEERPID, NULL, 0, &pid, sizeof pid, &got, NULL, NULL) == 0 &&
	    got == sizeof pid)
		out->pid = (int64_t)pid;
}

typedef int WSAAPI address_call(SOCKET s, struct sockaddr *address, int *len);

static enum tofu_status address_by(address_call *call, intptr_t socket, struct tofu_sockaddr *out)
{
	int len = sizeof out->bytes;

	memset(out, 0, sizeof *out);
	if (call(socket_of(socket), (struct sockaddr *)out->bytes, &len) != 0)
		return tofu_plat_status(WSAGetLastError(), TOFU_COMMUNICATION_FAILED);
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
