/* SPDX-License-Identifier: MIT */

/*
 * A transport as a third party writes one: with the installed headers and the library's socket helpers, nothing else.
 * It moves bytes over TCP and counts. What it takes: an address form, and a line or two per operation.
 */

#include "loud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loud_counts counts;

static enum tofu_status loud_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	const char *bar = strchr(rest, '|');
	char host[256], *end;
	long port;

	(void)purpose;
	*count = 0;
	if (bar == NULL || (size_t)(bar - rest) >= sizeof host)
		return TOFU_INVALID_ADDRESS;
	memcpy(host, rest, (size_t)(bar - rest));
	host[bar - rest] = '\0';
	port = strtol(bar + 1, &end, 10);
	if (end == bar + 1 || *end != '\0' || port < 0 || port > 65535)
		return TOFU_INVALID_ADDRESS;
	return tofu_sockaddr_inet(host, (uint16_t)port, may_block, out, capacity, count);
}

static enum tofu_status loud_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                    const struct tofu_sockaddr *at)
{
	counts.listens++;
	return tofu_socket_listen(at, &listener->handle);
}

static enum tofu_status loud_accept(const struct tofu_transport *t, struct tofu_link *listener, struct tofu_link *link)
{
	enum tofu_status st = tofu_socket_accept(listener->handle, &link->handle);

	counts.accepts += st == TOFU_OK;
	return st;
}

static enum tofu_status loud_connect_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                           const struct tofu_sockaddr *to, unsigned *want)
{
	counts.connects++;
	*want = TOFU_WRITABLE;
	return tofu_socket_connect(to, &link->handle);
}

static enum tofu_status loud_connect_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_connect_result(link->handle);
}

static enum tofu_status loud_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                  size_t count, size_t *done, unsigned *want)
{
	enum tofu_status st = tofu_socket_send(link->handle, iov, count, done);

	*want = TOFU_WRITABLE;
	counts.sends++;
	counts.bytes_sent += st == TOFU_OK ? *done : 0;
	return st;
}

static enum tofu_status loud_receive(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                     size_t count, size_t *done, unsigned *want)
{
	enum tofu_status st = tofu_socket_receive(link->handle, iov, count, done);

	*want = TOFU_READABLE;
	counts.receives++;
	counts.bytes_received += st == TOFU_OK ? *done : 0;
	return st;
}

static enum tofu_status loud_shutdown(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	(void)want;
	counts.shutdowns++;
	return tofu_socket_shutdown(link->handle);
}

static void loud_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	counts.closes++;
	tofu_socket_close(link->handle, how);
	link->handle = TOFU_NO_SOCKET;
}

static void loud_acknowledge(const struct tofu_transport *t, struct tofu_link *link)
{
	tofu_socket_acknowledge(link->handle);
}

static enum tofu_status loud_local_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                           size_t capacity)
{
	struct tofu_sockaddr address;
	enum tofu_status st = tofu_socket_local(link->handle, &address);
	char host[256];
	uint16_t port;
	int len;

	if (st == TOFU_OK)
		st = tofu_sockaddr_inet_text(&address, host, sizeof host, &port);
	if (st != TOFU_OK)
		return st;
	len = snprintf(out, capacity, "loud|%s|%u", host, (unsigned)port);
	return len >= 0 && (size_t)len < capacity ? TOFU_OK : TOFU_INVALID_ADDRESS;
}

const struct tofu_transport *loud(void)
{
	static const struct tofu_transport transport = {
		.abi = TOFU_TRANSPORT_ABI,
		.scheme = "loud",
		.resolve = loud_resolve,
		.listen = loud_listen,
		.accept = loud_accept,
		.connect_start = loud_connect_start,
		.connect_finish = loud_connect_finish,
		.send = loud_send,
		.receive = loud_receive,
		.shutdown = loud_shutdown,
		.close = loud_close,
		.local_address = loud_local_address,
		.acknowledge = loud_acknowledge, /* it may be missing, as .peer_address and .listen_all are */
	};

	return &transport;
}

const struct loud_counts *loud_counts(void)
{
	return &counts;
}
