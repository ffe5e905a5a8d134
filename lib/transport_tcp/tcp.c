/* SPDX-License-Identifier: MIT */

/*
 * TCP: "tcp|HOST|PORT", and "tcp|&N", a socket that is there already.
 *
 * The sockets are the library's plain ones; what is TCP's own is the form of its addresses, that small messages do not wait
 * (NODELAY, on both ends), and that a dead peer is noticed. A link holds a socket and no state, except for an inherited listener. An
 * operation that opens one and fails leaves TOFU_NO_SOCKET or a socket for close, which takes either.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>

#include "transport_tcp/digits.h"
#include "transport_tcp/prefixes.h"

/* The longest name of DNS is 253 bytes; a numeric address with its zone is far shorter. */
enum { HOST_MAX = 255 };

enum { PORTS_TRIED = 32 };

/* The config of an instance. That of tofu_tcp() is NULL: every default. */
struct config {
	struct tofu_listen_options listen;
	struct tofu_connect_options connect;
	struct tofu_sockaddr source;
	struct tofu_prefix *allow; /* NULL: everybody may call */
	size_t allow_count;
	uint32_t dead_after_ms;
	char interface_name[];
};

/*
 * The default of dead_after_ms: long enough to move a cable, and under a minute, the longest that people wait. Sent data is looked
 * at LOOKS times in that period, so the last look falls within the minute, too.
 */
enum { DEAD_AFTER_MS = 45000, LOOKS = 4, DEAD_AFTER_LEAST_MS = 1000 };

#define NEVER UINT32_MAX

static uint32_t dead_after_ms(const struct tofu_transport *t)
{
	const struct config *config = t->config;

	return config != NULL ? config->dead_after_ms : DEAD_AFTER_MS;
}

static int parse_port(const char *text, uint16_t *out)
{
	int port = tofu_digits(text, UINT16_MAX);

	*out = port >= 0 ? (uint16_t)port : 0;
	return port >= 0;
}

/* Copy the host without the brackets of a URL. Those are for IPv6 only, whose colons are why URLs have them. */
static int parse_host(const char *text, size_t len, char host[HOST_MAX + 1])
{
	int bracketed = len > 0 && text[0] == '[';

	if (bracketed) {
		if (len < 2 || text[len - 1] != ']' || memchr(text, ':', len) == NULL)
			return 0;
		text++;
		len -= 2;
	}
	if (len > HOST_MAX || memchr(text, '[', len) != NULL || memchr(text, ']', len) != NULL)
		return 0;
	memcpy(host, text, len);
	host[len] = '\0';
	return 1;
}

/*
 * Who listens on "::" takes IPv4, too. Where the host's own IPv6 address is switched off, that is the way to call it.
 */
static void add_ipv4_of_every_interface(uint16_t port, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	char host[HOST_MAX + 1];
	uint16_t same;
	size_t more;

	if (*count == 1 && capacity > 1 && tofu_sockaddr_inet_text(&out[0], host, sizeof host, &same) == TOFU_OK &&
	    strcmp(host, "::") == 0 && tofu_sockaddr_inet("0.0.0.0", port, 0, &out[1], 1, &more) == TOFU_OK)
		*count = 2;
}

static enum tofu_status tcp_resolve(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                    int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	char host[HOST_MAX + 1];
	const char *bar = strchr(rest, '|');
	enum tofu_status st;
	uint16_t port;

	*count = 0;
	if (rest[0] == '&') {
		*count = 1;
		return tofu_inherited_address(rest, TOFU_SOCKET_INET, out);
	}
	if (bar == NULL || !parse_host(rest, (size_t)(bar - rest), host) || !parse_port(bar + 1, &port))
		return TOFU_INVALID_ADDRESS;
	/* Every interface and any port are places to listen at, not to connect to. */
	if (purpose == TOFU_TO_CONNECT && (host[0] == '\0' || port == 0))
		return TOFU_INVALID_ADDRESS;
	st = tofu_sockaddr_inet(host[0] != '\0' ? host : NULL, port, may_block, out, capacity, count);
	if (st == TOFU_OK && purpose == TOFU_TO_CONNECT)
		add_ipv4_of_every_interface(port, out, capacity, count);
	return st;
}

static enum tofu_status tcp_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                   const struct tofu_sockaddr *at)
{
	const struct config *config = t->config;

	if (tofu_inherited_is(at))
		return tofu_inherited_listen(at, listener);
	listener->handle = TOFU_NO_SOCKET;
	return tofu_socket_listen_with(at, config != NULL ? &config->listen : NULL, &listener->handle);
}

static void tcp_close(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how)
{
	if (link->state != NULL)
		tofu_inherited_close(link, how);
	tofu_socket_close(link->handle, how);
	link->handle = TOFU_NO_SOCKET;
}

static int port_of(const struct tofu_sockaddr *address)
{
	char host[HOST_MAX + 1];
	uint16_t port;

	return tofu_sockaddr_inet_text(address, host, sizeof host, &port) == TOFU_OK ? port : -1;
}

/* Where the system chooses the port, it is the first socket's. */
static enum tofu_status listen_beside(const struct tofu_transport *t, const struct tofu_link *first,
                                      struct tofu_link *listener, const struct tofu_sockaddr *at)
{
	char host[HOST_MAX + 1];
	struct tofu_sockaddr chosen, same;
	enum tofu_status st;
	uint16_t port;
	size_t count;

	if (port_of(at) != 0)
		return tcp_listen(t, listener, at);
	st = tofu_socket_local(first->handle, &chosen);
	if (st == TOFU_OK)
		st = tofu_sockaddr_inet_text(at, host, sizeof host, &port);
	if (st == TOFU_OK)
		st = tofu_sockaddr_inet(host, (uint16_t)port_of(&chosen), 0, &same, 1, &count);
	return st == TOFU_OK ? tcp_listen(t, listener, &same) : st;
}

/*
 * An address that is not of this host, or of a family that it has switched off, is left out: nobody else can have it either.
 * Whatever else is in the way ends all of it.
 */
static enum tofu_status listen_at_each(const struct tofu_transport *t, struct tofu_link *listeners,
                                       const struct tofu_sockaddr *at, size_t count, size_t *opened)
{
	enum tofu_status st, missing = TOFU_LISTEN_FAILED;

	*opened = 0;
	for (size_t i = 0; i < count; i++) {
		struct tofu_link *next = &listeners[*opened];

		st = *opened == 0 ? tcp_listen(t, next, &at[i]) : listen_beside(t, &listeners[0], next, &at[i]);
		if (st == TOFU_OK) {
			++*opened;
		} else if (st == TOFU_LISTEN_FAILED || st == TOFU_NOT_SUPPORTED) {
			missing = st;
		} else {
			while (*opened > 0)
				tcp_close(t, &listeners[--*opened], TOFU_CLOSE_ORDERLY);
			return st;
		}
	}
	return *opened > 0 ? TOFU_OK : missing;
}

/*
 * A port that was chosen for one address may be another's at the next one: there are others. If not, it is no address that is in
 * use: there are no more ports, as for one address (tofu_socket_listen()).
 */
static enum tofu_status tcp_listen_all(const struct tofu_transport *t, struct tofu_link *listeners,
                                       const struct tofu_sockaddr *at, size_t count, size_t *opened)
{
	enum tofu_status st = TOFU_ADDRESS_IN_USE;

	for (int i = 0; i < PORTS_TRIED && st == TOFU_ADDRESS_IN_USE; i++) {
		st = listen_at_each(t, listeners, at, count, opened);
		if (port_of(&at[0]) != 0)
			return st;
	}
	return st == TOFU_ADDRESS_IN_USE ? TOFU_LIMIT_REACHED : st;
}

static enum tofu_status set_options(const struct tofu_transport *t, intptr_t socket)
{
	enum tofu_status st = tofu_socket_nodelay(socket);

	return st == TOFU_OK ? tofu_socket_keepalive(socket, dead_after_ms(t)) : st;
}

static bool may_call(const struct config *config, intptr_t socket)
{
	struct tofu_sockaddr peer;

	if (config == NULL || config->allow == NULL)
		return true;
	return tofu_socket_peer(socket, &peer) == TOFU_OK &&
	       tofu_prefixes_have(config->allow, config->allow_count, &peer);
}

static enum tofu_status accept_any(struct tofu_link *listener, intptr_t *out)
{
	return listener->state != NULL ? tofu_inherited_accept(listener, out)
	                               : tofu_socket_accept(listener->handle, out);
}

/* Some systems refuse an option once the peer has reset the connection. That one is gone then; the next may be fine. */
static enum tofu_status tcp_accept(const struct tofu_transport *t, struct tofu_link *listener, struct tofu_link *link)
{
	enum tofu_status st;

	link->handle = TOFU_NO_SOCKET;
	while ((st = accept_any(listener, &link->handle)) == TOFU_OK) {
		if (set_options(t, link->handle) == TOFU_OK)
			break;
		tcp_close(t, link, TOFU_CLOSE_ABORT);
	}
	return st == TOFU_OK && !may_call(t->config, link->handle) ? TOFU_PERMISSION_DENIED : st;
}

/* The options are set before the connection stands: nothing can be sent without them. */
static enum tofu_status tcp_connect_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                          const struct tofu_sockaddr *to, unsigned *want)
{
	const struct config *config = t->config;
	enum tofu_status st, options;

	link->handle = TOFU_NO_SOCKET;
	st = tofu_socket_connect_with(to, config != NULL ? &config->connect : NULL, &link->handle);
	if (st != TOFU_OK && st != TOFU_WOULD_BLOCK)
		return st;
	*want = TOFU_WRITABLE;
	options = set_options(t, link->handle);
	return options == TOFU_OK ? st : options;
}

static enum tofu_status tcp_connect_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_connect_result(link->handle);
}

static enum tofu_status tcp_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                 size_t count, size_t *done, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_send(link->handle, iov, count, done);
}

static enum tofu_status tcp_receive(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                    size_t count, size_t *done, unsigned *want)
{
	*want = TOFU_READABLE;
	return tofu_socket_receive(link->handle, iov, count, done);
}

static void tcp_acknowledge(const struct tofu_transport *t, struct tofu_link *link)
{
	tofu_socket_acknowledge(link->handle);
}

static enum tofu_status tcp_look(const struct tofu_transport *t, struct tofu_link *link, uint32_t waited_ms,
                                 int *settled)
{
	return tofu_socket_look(link->handle, waited_ms, dead_after_ms(t), settled);
}

static enum tofu_status tcp_shutdown(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_shutdown(link->handle);
}

static enum tofu_status write_address(const struct tofu_transport *t, const struct tofu_sockaddr *address, char *out,
                                      size_t capacity)
{
	char host[HOST_MAX + 1];
	uint16_t port;
	enum tofu_status st = tofu_sockaddr_inet_text(address, host, sizeof host, &port);
	int len;

	if (st != TOFU_OK)
		return st;
	len = snprintf(out, capacity, "%s|%s|%u", t->scheme, host, (unsigned)port);
	return len >= 0 && (size_t)len < capacity ? TOFU_OK : TOFU_INVALID_ADDRESS;
}

/* A host has as many IPv6 addresses as it likes, within its network. */
static size_t tcp_peer_key(const struct tofu_transport *t, const struct tofu_link *link, unsigned char *key,
                           size_t capacity)
{
	enum { NETWORK = 8 };
	struct tofu_sockaddr peer;
	unsigned char bytes[16];
	size_t len = tofu_socket_peer(link->handle, &peer) == TOFU_OK ? tofu_sockaddr_inet_bytes(&peer, bytes) : 0;

	if (len > NETWORK)
		len = NETWORK;
	if (len > capacity)
		return 0;
	memcpy(key, bytes, len);
	return len;
}

static enum tofu_status tcp_local_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                          size_t capacity)
{
	struct tofu_sockaddr address;
	enum tofu_status st =
		link->state != NULL ? tofu_inherited_local(link, &address) : tofu_socket_local(link->handle, &address);

	return st == TOFU_OK ? write_address(t, &address, out, capacity) : st;
}

static enum tofu_status tcp_peer_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                         size_t capacity)
{
	struct tofu_sockaddr address;
	enum tofu_status st = tofu_socket_peer(link->handle, &address);

	return st == TOFU_OK ? write_address(t, &address, out, capacity) : st;
}

static enum tofu_status tcp_complete(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                     char *out, size_t capacity)
{
	return tofu_inherited_complete(rest, out, capacity);
}

static const struct tofu_transport plain = {
	.abi = TOFU_TRANSPORT_ABI,
	.scheme = "tcp",
	.resolve = tcp_resolve,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.connect_start = tcp_connect_start,
	.connect_finish = tcp_connect_finish,
	.send = tcp_send,
	.receive = tcp_receive,
	.shutdown = tcp_shutdown,
	.close = tcp_close,
	.local_address = tcp_local_address,
	.peer_address = tcp_peer_address,
	.listen_all = tcp_listen_all,
	.acknowledge = tcp_acknowledge,
	.complete = tcp_complete,
	.look = tcp_look,
	.look_ms = DEAD_AFTER_MS / LOOKS,
	.form = TOFU_FORM_HOST_PORT,
	.peer_key = tcp_peer_key,
};

const struct tofu_transport *tofu_tcp(void)
{
	return &plain;
}

void tofu_tcp_options_init(struct tofu_tcp_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

/* "" is every interface to listen on, and nothing to call from. */
static enum tofu_status parse_source(const char *text, struct tofu_sockaddr *out)
{
	enum tofu_status st;
	size_t count;

	if (text[0] == '\0')
		return TOFU_INVALID_ADDRESS;
	st = tofu_sockaddr_inet(text, 0, 0, out, 1, &count);
	return st == TOFU_WOULD_BLOCK ? TOFU_INVALID_ADDRESS : st;
}

/* Those of a connect are judged first: to nowhere, it says nothing else. */
static enum tofu_status judge(const struct tofu_connect_options *connect)
{
	const struct tofu_sockaddr nowhere = { 0 };
	intptr_t none;
	enum tofu_status st = tofu_socket_connect_with(&nowhere, connect, &none);

	return st == TOFU_INVALID_ADDRESS ? TOFU_OK : st;
}

static void end(void *config)
{
	free(((struct config *)config)->allow);
}

/* From here on, options are the instance's own. */
static void keep(struct config *config, const struct tofu_tcp_options *o, const struct tofu_sockaddr *source)
{
	tofu_listen_options_init(&config->listen, sizeof config->listen);
	config->listen.backlog = o->backlog;
	config->listen.share_port = o->share_port;
	config->listen.only_ipv6 = o->only_ipv6;
	config->dead_after_ms = o->dead_after_ms;
	tofu_connect_options_init(&config->connect, sizeof config->connect);
	config->source = *source;
	if (o->source != NULL)
		config->connect.source = &config->source;
	if (o->interface_name != NULL)
		config->listen.interface_name = config->connect.interface_name =
			strcpy(config->interface_name, o->interface_name);
}

enum tofu_status tofu_tcp_create(const struct tofu_tcp_options *options, struct tofu_transport **out)
{
	struct tofu_connect_options connect;
	struct tofu_sockaddr source = { 0 };
	struct tofu_tcp_options o;
	struct config *config;
	enum tofu_status st;
	size_t size;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	st = tofu_options_take(options, &o, sizeof o);
	if (st == TOFU_OK && o.dead_after_ms == 0)
		o.dead_after_ms = DEAD_AFTER_MS;
	if (st == TOFU_OK && o.dead_after_ms < DEAD_AFTER_LEAST_MS)
		st = TOFU_NOT_ALLOWED;
	if (st == TOFU_OK && o.source != NULL)
		st = parse_source(o.source, &source);
	tofu_connect_options_init(&connect, sizeof connect);
	connect.interface_name = o.interface_name;
	if (st == TOFU_OK)
		st = judge(&connect);
	if (st != TOFU_OK)
		return st;
	size = sizeof(struct config) + (o.interface_name != NULL ? strlen(o.interface_name) + 1 : 0);
	st = tofu_transport_create(&plain, o.scheme, size, end, out);
	if (st != TOFU_OK)
		return st;
	config = (*out)->config;
	keep(config, &o, &source);
	st = tofu_prefixes_parse(o.allow, &config->allow, &config->allow_count);
	if (st != TOFU_OK) {
		tofu_transport_destroy(*out);
		*out = NULL;
		return st;
	}
	(*out)->look_ms = o.dead_after_ms / LOOKS;
	if (o.dead_after_ms == NEVER) {
		(*out)->look = NULL;
		(*out)->look_ms = 0;
	}
	return TOFU_OK;
}
