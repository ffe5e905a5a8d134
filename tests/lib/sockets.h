/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_SOCKETS_H
#define TOFU_TESTS_SOCKETS_H

/*
 * Connected sockets for tests, over TCP or Unix sockets, made with the library's own helpers so that they are the same on
 * every system. What goes wrong here fails the test; between tofu_init() and tofu_deinit().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/transport.h>

enum sockets_kind { SOCKETS_TCP, SOCKETS_UNIX, SOCKETS_KINDS };

/** A listener on an address of its own: any free port of 127.0.0.1, a new path in the temporary directory. */
struct sockets_listener {
	intptr_t handle;
	struct tofu_sockaddr at;
};

/** Does this system have that kind? */
bool sockets_have(enum sockets_kind kind);

void sockets_listen(enum sockets_kind kind, struct sockets_listener *out);
/** Close it and remove its path. */
void sockets_unlisten(struct sockets_listener *l);

/** Start to connect to it; the connection is open or under way. */
intptr_t sockets_connect(const struct sockets_listener *l);
/** Take a connection, waiting for it. */
intptr_t sockets_accept(const struct sockets_listener *l);
/** Both ends of a new connection: [0] connected, [1] accepted. False: the system has no more descriptors. */
bool sockets_try_pair(const struct sockets_listener *l, intptr_t ends[2]);
void sockets_pair(const struct sockets_listener *l, intptr_t ends[2]);

/** Send so many bytes that fit into an empty socket buffer. */
void sockets_send(intptr_t socket, const void *data, size_t len);
/** Receive up to len bytes, waiting for the first; 0 at the end, orderly or not. */
size_t sockets_receive(intptr_t socket, void *data, size_t len);
void sockets_close(intptr_t socket);
/** Let the peer see a reset. */
void sockets_abort(intptr_t socket);

#endif
