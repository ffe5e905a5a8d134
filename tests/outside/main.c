/* SPDX-License-Identifier: MIT */

/*
 * A program outside of the tree: it registers a transport of its own and talks to itself over it: welcome, hello,
 * one echo, bye. Two groups, one thread, one engine. It prints what the transport counted; status 0: all went well.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <tofu/tofu.h>

#include "loud.h"

static const int64_t patience = INT64_C(10000000000); /* 10 s */

/* The first thing that went wrong ends the program's part; what was made is torn down by main all the same. */
static bool ok(enum tofu_status st, const char *what)
{
	if (st != TOFU_OK)
		fprintf(stderr, "%s: %s\n", what, tofu_strerror(st));
	return st == TOFU_OK;
}

/* Receive a message that must be of that opcode and status. */
static tofu_msg *expect(tofu_group *group, enum tofu_opcode opcode, enum tofu_status status, const char *what)
{
	tofu_msg *msg = NULL;
	const struct tofu_header *h;

	if (!ok(tofu_receive(group, &msg, patience), what))
		return NULL;
	h = tofu_msg_header(msg);
	if (h->opcode == opcode && h->status == status)
		return msg;
	fprintf(stderr, "%s: got opcode %u, status %s\n", what, (unsigned)h->opcode, tofu_status_name(h->status));
	tofu_msg_put(&msg);
	return NULL;
}

/* Turn a request into its answer and post it. The message is gone either way. */
static bool answer(tofu_group *group, tofu_msg *msg, enum tofu_opcode opcode, const char *what)
{
	bool good;

	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	good = ok(tofu_post(group, &msg, NULL), what);
	tofu_msg_put(&msg);
	return good;
}

/* Welcome: the actual address, port and all, is in the answer. */
static bool listen_somewhere(tofu_engine *engine, tofu_group *group, char *address, size_t capacity)
{
	tofu_msg *msg = NULL;
	const char *value;
	size_t len = 0;
	bool good;

	good = ok(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "get") &&
	       ok(tofu_msg_listen_on(msg, "loud|127.0.0.1|0"), "listen_on") &&
	       ok(tofu_post(group, &msg, NULL), "post welcome");
	tofu_msg_put(&msg);
	if (!good)
		return false;
	msg = expect(group, TOFU_WELCOME_RESPONSE, TOFU_OK, "welcome");
	if (msg == NULL)
		return false;
	value = tofu_msg_headers_find(msg, "~listen_on", &len);
	good = value != NULL && len < capacity;
	if (good) {
		memcpy(address, value, len);
		address[len] = '\0';
	}
	tofu_msg_put(&msg);
	return good;
}

static bool hello(tofu_engine *engine, tofu_group *server, tofu_group *client, const char *address, uint16_t *channel)
{
	struct tofu_header sent;
	tofu_msg *msg = NULL;
	bool good;

	good = ok(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "get") &&
	       ok(tofu_msg_connect_to(msg, address), "connect_to") && ok(tofu_post(client, &msg, &sent), "post hello");
	tofu_msg_put(&msg);
	if (!good)
		return false;
	*channel = sent.channel;
	msg = expect(server, TOFU_HELLO_REQUEST, TOFU_OK, "hello arrives");
	if (msg == NULL || !answer(server, msg, TOFU_HELLO_RESPONSE, "answer hello"))
		return false;
	msg = expect(client, TOFU_HELLO_RESPONSE, TOFU_OK, "hello is answered");
	good = msg != NULL;
	tofu_msg_put(&msg);
	return good;
}

static bool echo(tofu_engine *engine, tofu_group *server, tofu_group *client, uint16_t channel)
{
	static const char text[] = "is there anybody out there?";
	tofu_msg *msg = NULL;
	const void *body;
	size_t len;
	bool good;

	if (!ok(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "get"))
		return false;
	tofu_msg_header(msg)->channel = channel;
	good = ok(tofu_msg_body_set(msg, text, sizeof text), "body") &&
	       ok(tofu_post(client, &msg, NULL), "post request");
	tofu_msg_put(&msg);
	if (!good)
		return false;
	msg = expect(server, TOFU_REQUEST, TOFU_OK, "request arrives");
	if (msg == NULL || !answer(server, msg, TOFU_RESPONSE, "answer request"))
		return false;
	msg = expect(client, TOFU_RESPONSE, TOFU_OK, "request is answered");
	if (msg == NULL)
		return false;
	body = tofu_msg_body(msg, &len);
	good = len == sizeof text && memcmp(body, text, len) == 0;
	tofu_msg_put(&msg);
	return good;
}

static bool expect_closed(tofu_group *group, const char *what)
{
	tofu_msg *msg = expect(group, TOFU_SIGNAL, TOFU_CHANNEL_CLOSED, what);
	bool good = msg != NULL;

	tofu_msg_put(&msg);
	return good;
}

static bool bye(tofu_engine *engine, tofu_group *server, tofu_group *client, uint16_t channel)
{
	tofu_msg *msg = NULL;
	bool good;

	if (!ok(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "get"))
		return false;
	tofu_msg_header(msg)->channel = channel;
	tofu_msg_header(msg)->opcode = TOFU_BYE_REQUEST;
	good = ok(tofu_post(client, &msg, NULL), "post bye");
	tofu_msg_put(&msg);
	if (!good)
		return false;
	msg = expect(server, TOFU_BYE_REQUEST, TOFU_OK, "bye arrives");
	if (msg == NULL || !answer(server, msg, TOFU_BYE_RESPONSE, "answer bye"))
		return false;
	msg = expect(client, TOFU_BYE_RESPONSE, TOFU_OK, "bye is answered");
	if (msg == NULL)
		return false;
	tofu_msg_put(&msg);
	return expect_closed(client, "client closed") && expect_closed(server, "server closed");
}

static bool talk(tofu_engine *engine)
{
	tofu_group *server = NULL, *client = NULL;
	char address[256];
	uint16_t channel = 0;
	bool good;

	good = ok(tofu_engine_register(engine, loud()), "register") &&
	       ok(tofu_group_create(engine, &server), "group") && ok(tofu_group_create(engine, &client), "group") &&
	       listen_somewhere(engine, server, address, sizeof address) &&
	       hello(engine, server, client, address, &channel) && echo(engine, server, client, channel) &&
	       bye(engine, server, client, channel);
	(void)tofu_group_destroy(client);
	(void)tofu_group_destroy(server);
	return good;
}

/* Every link that was opened was closed, and every byte that was sent was received. */
static bool counts_agree(const struct loud_counts *c)
{
	printf("listens %zu, accepts %zu, connects %zu, sends %zu, receives %zu, shutdowns %zu, closes %zu, bytes "
	       "%zu\n",
	       c->listens, c->accepts, c->connects, c->sends, c->receives, c->shutdowns, c->closes, c->bytes_sent);
	return c->listens == 1 && c->accepts == 1 && c->connects == 1 && c->closes == 3 &&
	       c->bytes_sent == c->bytes_received;
}

int main(void)
{
	tofu_engine *engine = NULL;
	bool good;

	if (!ok(tofu_init(), "init"))
		return 1;
	good = ok(tofu_engine_create(NULL, &engine), "engine") && talk(engine);
	tofu_engine_destroy(engine);
	tofu_deinit();
	return good && counts_agree(loud_counts()) ? 0 : 1;
}
