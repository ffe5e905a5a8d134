/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_SOCKET_H
#define TOFU_PLATFORM_SOCKET_H

/* What socket_posix.c and socket_win32.c have in common: what a status means in the place where it happened. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/status.h>
#include <tofu/transport.h>

/** st of a listen at that address. Some numbers speak of a connection; to a listener they are just a failure. */
enum tofu_status tofu_socket_listen_status(const struct tofu_sockaddr *at, enum tofu_status st);

/** st of an accept; lost: it is about the one connection that was taken off the queue, or the network it came by. */
enum tofu_status tofu_socket_accept_status(enum tofu_status st, bool lost);

/**
 * st of a connect that is not under way. No connection stood yet, so none was lost. Nor is there anything to wait for: the
 * socket is not connecting then, it would poll as ready for ever. The caller may begin anew.
 */
enum tofu_status tofu_socket_connect_status(enum tofu_status st);

/**
 * How a connect went that the system calls done. TCP can connect a socket to itself: when nobody listens on the port that is
 * called, and the system picks that very port to call from. Nobody answered then: it is refused, and reset at once, for its end
 * would keep the port in TIME_WAIT.
 */
enum tofu_status tofu_socket_connected_status(intptr_t socket);

/** The options of a connect as they are used, or what is wrong with them. */
enum tofu_status tofu_socket_connect_options(const struct tofu_connect_options *from, struct tofu_connect_options *out);

/**
 * socket_*.c: can a socket be bound to an interface of that name, as far as the name and the system tell? TOFU_NOT_SUPPORTED,
 * TOFU_NOT_ALLOWED. NULL is fine.
 */
enum tofu_status tofu_socket_interface_status(const char *name);

/** socket_*.c: reset a TCP connection, or see to it that closing does. The socket stays open. */
void tofu_socket_reset(intptr_t socket);

/**
 * sockaddr.c: where a call to that address goes. 0.0.0.0 and "::" name every interface of this host to listen on, and this host
 * to call it; not every system knows the latter.
 */
struct tofu_sockaddr tofu_sockaddr_called(const struct tofu_sockaddr *to);

/** Where nothing is asked for, nothing is done, and that is no end of the connection: 0 must not be read as FIN. */
static inline bool tofu_iov_is_empty(const struct tofu_iov *iov, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (iov[i].len > 0)
			return false;
	return true;
}

#endif
