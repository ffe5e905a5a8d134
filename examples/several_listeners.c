/* SPDX-License-Identifier: MIT */

/*
 * One service at several addresses: two TCP ports and a Unix socket, all in one group, all on one thread.
 *
 * What arrives says by its channel number where it came from; the service need not care. The clients are in this
 * program, too, in a group of their own.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>

enum { LISTENERS = 3 };

/* Port 0 is any free one, an empty path a new socket file in the temporary directory. */
static const char *const wanted[LISTENERS] = { "tcp|127.0.0.1|0", "tcp|127.0.0.1|0", "uds|" };

static tofu_engine *engine;
static tofu_group *service, *clients;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "several_listeners: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* The next message of the group, which has to be no failure. */
static tofu_msg *next(tofu_group *group)
{
	tofu_msg *msg;

	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "bad news");
	return msg;
}

static void listen_on(const char *address)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, address), address);
	must(tofu_post(service, &msg, NULL), address);
}

/* The engine says where it listens. A client connects to that and sends its question right behind its hello. */
static void call_new_listener(void)
{
	tofu_msg *msg = next(service);
	struct tofu_header hello;
	char address[256];
	size_t len;
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);

	snprintf(address, sizeof address, "%.*s", (int)len, actual);
	printf("listening on %s\n", address);

	tofu_msg_reset(msg);
	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(clients, &msg, &hello), address);
	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = hello.channel;
	must(tofu_msg_body_set(msg, address, strlen(address)), "cannot ask");
	must(tofu_post(clients, &msg, NULL), "cannot ask");
}

/* The whole service: one place for everybody, whatever the transport. */
static void serve_one(void)
{
	tofu_msg *msg = next(service);
	struct tofu_header *h = tofu_msg_header(msg);

	h->opcode = h->opcode == TOFU_HELLO_REQUEST ? TOFU_HELLO_RESPONSE : TOFU_RESPONSE;
	must(tofu_post(service, &msg, NULL), "cannot answer");
}

static void print_answer(void)
{
	tofu_msg *msg = next(clients);
	size_t len;
	const char *body = tofu_msg_body(msg, &len);

	if (tofu_msg_header(msg)->opcode == TOFU_RESPONSE)
		printf("an answer came through %.*s\n", (int)len, body);
	tofu_msg_put(&msg);
}

int main(void)
{
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_engine_register(engine, tofu_unix()), "no uds");
	must(tofu_group_create(engine, &service), "no group");
	must(tofu_group_create(engine, &clients), "no group");

	for (int i = 0; i < LISTENERS; i++) {
		listen_on(wanted[i]);
		call_new_listener();
		serve_one(); /* the hello */
		serve_one(); /* the question */
	}
	for (int i = 0; i < 2 * LISTENERS; i++)
		print_answer();

	tofu_group_destroy(clients); /* with its channels */
	tofu_group_destroy(service); /* the socket file goes, too */
	tofu_engine_destroy(engine);
	tofu_deinit();
}
