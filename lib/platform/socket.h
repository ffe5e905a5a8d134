/* SPDX-License-Identifier: MIT */
#ifndef TOFU_PLATFORM_SOCKET_H
#define TOFU_PLATFORM_SOCKET_H

/* What socket_posix.c and socket_win32.c have in common: what a status means in the place where it happened. */

#include <stdbool.h>
#include <stddef.h>

#include <tofu/status.h>
#include <tofu/transport.h>

/** Some numbers speak of a connection; to a listener they are just a failure. */
enum tofu_status tofu_socket_listen_status(enum tofu_status st);

/** st of an accept; lost: it is about the one connection that was taken off the queue, or the network it came by. */
enum tofu_status tofu_socket_accept_status(enum tofu_status st, bool lost);

/**
 * st of a connect that is not under way. No connection stood yet, so none was lost. Nor is there anything to wait for: the
 * socket is not connecting then, it would poll as ready for ever. The caller may begin anew.
 */
enum tofu_status tofu_socket_connect_status(enum tofu_status st);

/** Where nothing is asked for, nothing is done, and that is no end of the connection: 0 must not be read as FIN. */
bool tofu_iov_is_empty(const struct tofu_iov *iov, size_t count);

#endif
