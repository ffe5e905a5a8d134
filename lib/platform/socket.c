/* SPDX-License-Identifier: MIT */
/* What a status means in the place where it happened. No system calls of its own. */

#include "platform/socket.h"

#include <string.h>

#include "platform/net.h"
#include "platform/platform.h"

static bool is_inet(const struct tofu_sockaddr *address)
{
	struct sockaddr any;

	memcpy(&any, address->bytes, sizeof any);
	return any.sa_family == AF_INET || any.sa_family == AF_INET6;
}

static bool is_any_port(const struct tofu_sockaddr *address)
{
	struct sockaddr_in inet; /* the port of an IPv6 address lies at the same place */

	memcpy(&inet, address->bytes, sizeof inet);
	return is_inet(address) && inet.sin_port == 0;
}

void tofu_listen_options_init(struct tofu_listen_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

enum tofu_status tofu_socket_listen(const struct tofu_sockaddr *at, intptr_t *out)
{
	return tofu_socket_listen_with(at, NULL, out);
}

void tofu_connect_options_init(struct tofu_connect_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

enum tofu_status tofu_socket_connect_options(const struct tofu_connect_options *from, struct tofu_connect_options *out)
{
	enum tofu_status st = tofu_options_take(from, out, sizeof *out);

	if (st == TOFU_OK)
		st = tofu_socket_interface_status(out->interface_name);
	if (st == TOFU_OK && out->source != NULL &&
	    (tofu_sockaddr_family(out->source) == 0 || out->source->len > sizeof out->source->bytes))
		st = TOFU_INVALID_ADDRESS;
	return st;
}

enum tofu_status tofu_socket_connect(const struct tofu_sockaddr *to, intptr_t *out)
{
	return tofu_socket_connect_with(to, NULL, out);
}

enum tofu_status tofu_socket_listen_status(const struct tofu_sockaddr *at, enum tofu_status st)
{
	const bool of_connections = st == TOFU_WOULD_BLOCK || st == TOFU_PEER_DISCONNECTED || st == TOFU_CONNECT_FAILED;

	if (st == TOFU_ADDRESS_IN_USE && is_any_port(at)) /* the system has none left to pick */
		return TOFU_LIMIT_REACHED;
	return of_connections ? TOFU_LISTEN_FAILED : st;
}

enum tofu_status tofu_socket_accept_status(enum tofu_status st, bool lost)
{
	/* Whoever waits on the listener is told at once if there are more. */
	if (st == TOFU_WOULD_BLOCK || lost)
		return TOFU_WOULD_BLOCK;
	return st == TOFU_LIMIT_REACHED || st == TOFU_ALLOCATION_FAILED ? TOFU_LIMIT_REACHED : TOFU_ACCEPT_FAILED;
}

enum tofu_status tofu_socket_connect_status(enum tofu_status st)
{
	/* It would be our own, which the system picks: there are no more ports (Windows). */
	if (st == TOFU_ADDRESS_IN_USE)
		return TOFU_LIMIT_REACHED;
	return st == TOFU_PEER_DISCONNECTED || st == TOFU_WOULD_BLOCK ? TOFU_CONNECT_FAILED : st;
}

enum tofu_status tofu_socket_connected_status(intptr_t socket)
{
	struct tofu_sockaddr local;
	struct tofu_sockaddr peer;

	/* No error can also be one that was read before. */
	if (tofu_socket_peer(socket, &peer) != TOFU_OK || tofu_socket_local(socket, &local) != TOFU_OK)
		return TOFU_CONNECT_FAILED;
	if (!is_inet(&peer) || memcmp(&local, &peer, sizeof peer) != 0)
		return TOFU_OK;
	tofu_socket_reset(socket);
	return TOFU_CONNECT_FAILED;
}
