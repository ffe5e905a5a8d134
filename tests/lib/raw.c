/* SPDX-License-Identifier: MIT */

/*
 * Raw peers on the library's public socket helpers. Sockets do not block: each step waits with wait_working() and gives up after
 * PATIENCE_NS. The caller hangs up.
 */

#include "raw.h"

#include <stdio.h>
#include <string.h>

#include "over_tls.h"
#include "steps.h"

static unsigned char *put_be(unsigned char *at, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		*at++ = (unsigned char)(value >> (8 * i));
	return at;
}

static uint64_t get_be(const unsigned char *at, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static unsigned char *put_bytes(unsigned char *at, const void *from, size_t len)
{
	if (from != NULL)
		memcpy(at, from, len);
	else
		memset(at, 0, len);
	return at + len;
}

size_t raw_encode(const struct raw_frame *frame, unsigned char *out)
{
	unsigned char *at = put_be(out, frame->channel, 2);

	*at++ = frame->proto;
	*at++ = frame->status;
	at = put_be(at, frame->id, 8);
	at = put_be(at, frame->headers_len, 2);
	at = put_be(at, frame->body_len, 2);
	at = put_bytes(at, frame->headers, frame->headers_len);
	at = put_bytes(at, frame->body, frame->body_len);
	return (size_t)(at - out);
}

static void address_of(const char *address, struct tofu_sockaddr *out)
{
	char host[128];
	unsigned port;
	size_t count;

	if (sscanf(address, "%*[^|]|%127[^|]|%u", host, &port) == 2)
		works(tofu_sockaddr_inet(host, (uint16_t)port, 0, out, 1, &count));
	else
		works(tofu_sockaddr_unix(path_of(address), out));
}

void raw_take(struct raw *peer, intptr_t connected)
{
	peer->socket = connected;
	peer->tls = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
}

void raw_call(struct raw *peer, const char *address)
{
	struct tofu_sockaddr to;
	enum tofu_status st;

	raw_take(peer, TOFU_NO_SOCKET);
	if (strncmp(address, "tls|", 4) == 0) {
		over_tls_call(address, &peer->tls);
		peer->socket = peer->tls.handle;
		return;
	}
	address_of(address, &to);
	st = tofu_socket_connect(&to, &peer->socket);
	if (st == TOFU_WOULD_BLOCK) {
		must(wait_working(peer->socket, OS_WRITABLE) != 0, "no connection to %s", address);
		st = tofu_socket_connect_result(peer->socket);
	}
	must(st == TOFU_OK, "no connection to %s: %s", address, tofu_status_name(st));
}

intptr_t raw_listen(int transport, char *address, size_t capacity)
{
	char path[256], host[128];
	struct tofu_sockaddr at;
	enum tofu_status st;
	intptr_t listener;
	uint16_t port;

	if (transport == OVER_TLS)
		return over_tls_listen(address, capacity);
	if (transport == OVER_UDS) {
		os_fresh_path(path, sizeof path);
		snprintf(address, capacity, "uds|%s", path);
	} else {
		snprintf(address, capacity, "tcp|127.0.0.1|0");
	}
	address_of(address, &at);
	/* Beside a test that opens thousands of connections there may be no port for a moment. */
	eventually((st = tofu_socket_listen(&at, &listener)) != TOFU_ADDRESS_IN_USE);
	works(st);
	if (transport == OVER_UDS)
		return listener;
	works(tofu_socket_local(listener, &at));
	works(tofu_sockaddr_inet_text(&at, host, sizeof host, &port));
	snprintf(address, capacity, "tcp|%s|%u", host, port);
	return listener;
}

void raw_accept(struct raw *peer, intptr_t listener)
{
	enum tofu_status st;

	raw_take(peer, TOFU_NO_SOCKET);
	if (over_tls_accept(listener, &peer->tls)) {
		peer->socket = peer->tls.handle;
		return;
	}
	while ((st = tofu_socket_accept(listener, &peer->socket)) == TOFU_WOULD_BLOCK)
		must(wait_working(listener, OS_READABLE) != 0, "nobody called");
	works(st);
}

void raw_hang_up(struct raw *peer, enum tofu_close how)
{
	if (peer->tls.state != NULL)
		over_tls()->close(over_tls(), &peer->tls, how);
	else
		tofu_socket_close(peer->socket, how);
	peer->socket = TOFU_NO_SOCKET;
}

void raw_half_close(struct raw *peer)
{
	unsigned want;

	if (peer->tls.state != NULL)
		works(over_tls()->shutdown(over_tls(), &peer->tls, &want));
	else
		works(tofu_socket_shutdown(peer->socket));
}

static enum tofu_status send_some(struct raw *peer, const struct tofu_iov *iov, size_t *done, unsigned *want)
{
	*want = OS_WRITABLE;
	if (peer->tls.state != NULL)
		return over_tls()->send(over_tls(), &peer->tls, iov, 1, done, want);
	return tofu_socket_send(peer->socket, iov, 1, done);
}

static enum tofu_status receive_some(struct raw *peer, const struct tofu_iov *iov, size_t *done, unsigned *want)
{
	*want = OS_READABLE;
	if (peer->tls.state != NULL)
		return over_tls()->receive(over_tls(), &peer->tls, iov, 1, done, want);
	return tofu_socket_receive(peer->socket, iov, 1, done);
}

void raw_write(struct raw *peer, const void *data, size_t len)
{
	/* tofu_iov is for both directions; nothing is written through it here. */
	union {
		const void *from;
		void *base;
	} at = { .from = data };
	struct tofu_iov rest = { .base = at.base, .len = len };

	while (rest.len > 0) {
		size_t done = 0;
		unsigned want;
		enum tofu_status st = send_some(peer, &rest, &done, &want);

		if (st == TOFU_WOULD_BLOCK)
			must(wait_working(peer->socket, want) != 0, "the other side does not read");
		else
			must(st == TOFU_OK, "sending failed: %s", tofu_status_name(st));
		rest.base = (unsigned char *)rest.base + done;
		rest.len -= done;
	}
}

void raw_send(struct raw *peer, const struct raw_frame *frame)
{
	static _Thread_local unsigned char bytes[RAW_FRAME_MAX];

	raw_write(peer, bytes, raw_encode(frame, bytes));
}

void raw_say(struct raw *peer, unsigned proto, uint64_t id, const char *text)
{
	struct raw_frame frame = { .channel = 1, .proto = (uint8_t)proto, .id = id, .body = text };

	frame.body_len = (uint16_t)strlen(text);
	raw_send(peer, &frame);
}

void raw_hello(struct raw *peer, uint64_t id)
{
	raw_say(peer, TOFU_HELLO_REQUEST, id, "hello");
}

void raw_number(struct raw *peer, uint64_t number, size_t len)
{
	static _Thread_local unsigned char body[65535];
	struct raw_frame frame = { .channel = 1, .proto = TOFU_SIGNAL, .id = number, .body = body };

	memcpy(body, &number, sizeof number);
	for (size_t i = sizeof number; i < len; i++)
		body[i] = (unsigned char)(number + i);
	frame.body_len = (uint16_t)len;
	raw_send(peer, &frame);
}

/* False: the end came first. Within a frame that is a failure of whoever sent it, if it was to arrive whole. */
static bool read_all(struct raw *peer, void *to, size_t len)
{
	struct tofu_iov rest = { .base = to, .len = len };

	while (rest.len > 0) {
		size_t done = 0;
		unsigned want;
		enum tofu_status st = receive_some(peer, &rest, &done, &want);

		if (st == TOFU_WOULD_BLOCK)
			must(wait_working(peer->socket, want) != 0, "the other side says nothing");
		else if (st != TOFU_OK)
			return false;
		rest.base = (unsigned char *)rest.base + done;
		rest.len -= done;
	}
	return true;
}

bool raw_read(struct raw *peer, struct raw_frame *out)
{
	unsigned char header[RAW_HEADER];

	if (!read_all(peer, header, sizeof header))
		return false;
	*out = (struct raw_frame){
		.channel = (uint16_t)get_be(header, 2),
		.proto = header[2],
		.status = header[3],
		.id = get_be(header + 4, 8),
		.headers_len = (uint16_t)get_be(header + 12, 2),
		.body_len = (uint16_t)get_be(header + 14, 2),
		.headers = peer->headers,
		.body = peer->body,
	};
	peer->headers[out->headers_len] = '\0';
	peer->body[out->body_len] = '\0';
	return read_all(peer, peer->headers, out->headers_len) && read_all(peer, peer->body, out->body_len);
}

struct raw_frame raw_expect(struct raw *peer, unsigned proto)
{
	struct raw_frame frame;

	must(raw_read(peer, &frame), "the connection ended instead of a frame %#x", proto);
	must(frame.proto == proto, "a frame %#x instead of %#x", frame.proto, proto);
	must(frame.status == 0, "a status on the wire");
	return frame;
}
