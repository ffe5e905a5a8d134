/* SPDX-License-Identifier: MIT */

/*
 * A transport of one's own, with an option, and a program that uses it.
 *
 * The page tofu_transport(3) shows the transport, which is all between the two marks, in the width of a terminal. In life it is
 * a library of its own. The program follows; with TCP it would differ in register_loopback() and one address.
 */

/* clang-format off */
/* --- the manual's example begins --- */
/* TCP within this host: "loopback|PORT". Links need a socket, no state. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/transport.h>

/* What a program sees: in a library, its header. 0 and NULL: default. */
struct loopback_options {
	size_t size;        /* set by loopback_options_init() */
	const char *scheme; /* default "loopback"; copied */
	uint32_t backlog;   /* may wait to be accepted; default: most */
};

void loopback_options_init(struct loopback_options *options, size_t size);
enum tofu_status loopback_create(const struct loopback_options *options,
                                 struct tofu_transport **out);

/* An address in numbers takes no lookup: this never blocks. */
static enum tofu_status
loopback_resolve(const struct tofu_transport *t, const char *rest,
                 enum tofu_purpose purpose, int may_block,
                 struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	size_t digits = strspn(rest, "0123456789");
	unsigned long port = strtoul(rest, NULL, 10);

	*count = 0;
	if (digits == 0 || rest[digits] != '\0' || port > UINT16_MAX)
		return TOFU_INVALID_ADDRESS;
	/* Port 0 is any free one: to listen at, not to connect to. */
	if (port == 0 && purpose == TOFU_TO_CONNECT)
		return TOFU_INVALID_ADDRESS;
	return tofu_sockaddr_inet("127.0.0.1", (uint16_t)port, 0, out,
	                          capacity, count);
}

/* loopback_create() has put into config what is wanted here. */
static enum tofu_status
loopback_listen(const struct tofu_transport *t, struct tofu_link *listener,
                const struct tofu_sockaddr *at)
{
	return tofu_socket_listen_with(at, t->config, &listener->handle);
}

/* This follows after a failure, too. TOFU_NO_SOCKET is fine. */
static void
loopback_close(const struct tofu_transport *t, struct tofu_link *link,
               enum tofu_close how)
{
	tofu_socket_close(link->handle, how);
	link->handle = TOFU_NO_SOCKET;
}

/*
 * Some systems refuse an option once the peer has reset the connection.
 * That one is gone then, and the listener is fine: take the next.
 */
static enum tofu_status
loopback_accept(const struct tofu_transport *t, struct tofu_link *listener,
                struct tofu_link *link)
{
	enum tofu_status st;

	while ((st = tofu_socket_accept(listener->handle,
	                                &link->handle)) == TOFU_OK) {
		if (tofu_socket_nodelay(link->handle) == TOFU_OK)
			break;
		loopback_close(t, link, TOFU_CLOSE_ABORT);
	}
	return st;
}

/*
 * Small messages do not wait for others to go with them (nodelay). If
 * that fails, the socket stays in the link: the engine calls close.
 */
static enum tofu_status
loopback_connect_start(const struct tofu_transport *t,
                       struct tofu_link *link, const char *rest,
                       const struct tofu_sockaddr *to, unsigned *want)
{
	enum tofu_status st = tofu_socket_connect(to, &link->handle);
	enum tofu_status option;

	*want = TOFU_WRITABLE;
	if (st != TOFU_OK && st != TOFU_WOULD_BLOCK)
		return st;
	option = tofu_socket_nodelay(link->handle);
	return option == TOFU_OK ? st : option;
}

static enum tofu_status
loopback_connect_finish(const struct tofu_transport *t,
                        struct tofu_link *link, unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_connect_result(link->handle);
}

static enum tofu_status
loopback_send(const struct tofu_transport *t, struct tofu_link *link,
              const struct tofu_iov *iov, size_t count, size_t *done,
              unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_send(link->handle, iov, count, done);
}

static enum tofu_status
loopback_receive(const struct tofu_transport *t, struct tofu_link *link,
                 const struct tofu_iov *iov, size_t count, size_t *done,
                 unsigned *want)
{
	*want = TOFU_READABLE;
	return tofu_socket_receive(link->handle, iov, count, done);
}

static enum tofu_status
loopback_shutdown(const struct tofu_transport *t, struct tofu_link *link,
                  unsigned *want)
{
	*want = TOFU_WRITABLE;
	return tofu_socket_shutdown(link->handle);
}

/* With the scheme of the instance, so that it can be connected to. */
static enum tofu_status
write_address(const struct tofu_transport *t,
              const struct tofu_sockaddr *end, char *out, size_t capacity)
{
	char host[sizeof "255.255.255.255"];
	enum tofu_status st;
	uint16_t port;
	int len;

	st = tofu_sockaddr_inet_text(end, host, sizeof host, &port);
	if (st != TOFU_OK)
		return st;
	len = snprintf(out, capacity, "%s|%u", t->scheme, (unsigned)port);
	if (len < 0 || (size_t)len >= capacity)
		return TOFU_INVALID_ADDRESS;
	return TOFU_OK;
}

static enum tofu_status
loopback_local_address(const struct tofu_transport *t,
                       const struct tofu_link *link, char *out,
                       size_t capacity)
{
	struct tofu_sockaddr end;
	enum tofu_status st = tofu_socket_local(link->handle, &end);

	return st == TOFU_OK ? write_address(t, &end, out, capacity) : st;
}

static enum tofu_status
loopback_peer_address(const struct tofu_transport *t,
                      const struct tofu_link *link, char *out,
                      size_t capacity)
{
	struct tofu_sockaddr end;
	enum tofu_status st = tofu_socket_peer(link->handle, &end);

	return st == TOFU_OK ? write_address(t, &end, out, capacity) : st;
}

/*
 * The other operations are NULL: there is one address, and it is complete;
 * a host does not lose itself; all callers are one host, and TCP does not
 * prove which user they are.
 */
static const struct tofu_transport loopback = {
	.abi = TOFU_TRANSPORT_ABI,
	.scheme = "loopback",
	.resolve = loopback_resolve,
	.listen = loopback_listen,
	.accept = loopback_accept,
	.connect_start = loopback_connect_start,
	.connect_finish = loopback_connect_finish,
	.send = loopback_send,
	.receive = loopback_receive,
	.shutdown = loopback_shutdown,
	.close = loopback_close,
	.local_address = loopback_local_address,
	.peer_address = loopback_peer_address,
	.form = TOFU_FORM_TEXT,
};

void
loopback_options_init(struct loopback_options *options, size_t size)
{
	tofu_options_begin(options, size);
}

enum tofu_status
loopback_create(const struct loopback_options *options,
                struct tofu_transport **out)
{
	struct tofu_listen_options *config;
	struct loopback_options o;
	enum tofu_status st;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	st = tofu_options_take(options, &o, sizeof o);
	if (st == TOFU_OK)
		st = tofu_transport_create(&loopback, o.scheme,
		                           sizeof *config, NULL, out);
	if (st != TOFU_OK)
		return st;
	config = (*out)->config; /* all 0; freed with the instance */
	tofu_listen_options_init(config, sizeof *config);
	config->backlog = o.backlog;
	return TOFU_OK;
}
/* --- the manual's example ends --- */
/* clang-format on */

#include <tofu/tofu.h>

static tofu_engine *engine;
static tofu_group *group; /* of server and client: what goes wrong on either side is seen at once */

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "transport: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void register_loopback(void)
{
	struct loopback_options options;
	struct tofu_transport *instance;

	loopback_options_init(&options, sizeof options);
	options.backlog = 16;
	must(loopback_create(&options, &instance), "no loopback");
	must(tofu_engine_register(engine, instance), "no loopback");
	tofu_transport_destroy(instance); /* the engine has it */
}

/*
 * The next message, which has to be of this kind and no failure. That the server's channel has closed, as was wanted, may be told
 * before its last word has come to the client.
 */
static tofu_msg *expect(enum tofu_opcode opcode)
{
	tofu_msg *msg = NULL;

	do {
		tofu_msg_put(&msg);
		must(tofu_receive(group, &msg, -1), "cannot receive");
	} while (tofu_msg_header(msg)->reason == TOFU_CHANNEL_CLOSED);
	must(tofu_msg_header(msg)->status, "bad news");
	must(tofu_msg_header(msg)->opcode == opcode ? TOFU_OK : TOFU_INVALID_OP_CODE, "not what was expected");
	return msg;
}

/* Listen at any free port. The engine says which one, by the transport's local_address. */
static void listen_anywhere(char *address, size_t capacity)
{
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "loopback|0"), "cannot listen");
	must(tofu_post(group, &msg, NULL), "cannot listen");
	msg = expect(TOFU_WELCOME_RESPONSE);
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, capacity, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);
}

/* The server's part, three times over: what comes goes back, as the answer to it. */
static void answer(enum tofu_opcode request, enum tofu_opcode response)
{
	tofu_msg *msg = expect(request);

	tofu_msg_header(msg)->opcode = (uint8_t)response;
	must(tofu_post(group, &msg, NULL), "cannot answer");
}

/* The client's part: a hello, a question and a bye, each answered. */
static void talk(const char *address)
{
	static const char question[] = "Is anybody there?";
	struct tofu_header hello;
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(group, &msg, &hello), address);
	answer(TOFU_HELLO_REQUEST, TOFU_HELLO_RESPONSE);
	msg = expect(TOFU_HELLO_RESPONSE);

	tofu_msg_reset(msg);
	tofu_msg_header(msg)->channel = hello.channel;
	must(tofu_msg_body_set(msg, question, strlen(question)), "cannot ask");
	must(tofu_post(group, &msg, NULL), "cannot ask");
	answer(TOFU_REQUEST, TOFU_RESPONSE);
	msg = expect(TOFU_RESPONSE);
	const char *body = tofu_msg_body(msg, &len);
	printf("%s: %.*s\n", address, (int)len, body);

	tofu_msg_reset(msg);
	tofu_msg_header(msg)->channel = hello.channel;
	tofu_msg_header(msg)->opcode = TOFU_BYE_REQUEST;
	must(tofu_post(group, &msg, NULL), "cannot say bye");
	answer(TOFU_BYE_REQUEST, TOFU_BYE_RESPONSE);
	msg = expect(TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
}

int main(void)
{
	char address[64];

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	register_loopback();
	must(tofu_group_create(engine, &group), "no group");
	listen_anywhere(address, sizeof address);
	talk(address);

	must(tofu_group_destroy(group), "cannot tidy up"); /* with its channels */
	tofu_engine_destroy(engine);
	tofu_deinit();
}
