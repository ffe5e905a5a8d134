/* SPDX-License-Identifier: MIT */

/*
 * A server is replaced by a new one, and no client loses anything: it stops listening and tells its clients by a Signal that
 * it goes away. Each client asks nothing more once it has heard that, takes the answers that are still to come, says bye, and
 * calls again. The server answers whatever comes until the bye, for a question may be on its way while the Signal is. If it
 * were the server that says bye, it could not answer that one any more.
 *
 * "going-away" is a word between this server and this client; the library does not know it.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#define PATIENCE_NS INT64_C(5000000000)

enum { AT_ONCE = 3 }; /* questions before the server says that it goes */

static tofu_engine *engine;
static tofu_group *client;
static char address[64] = "tcp|127.0.0.1|0"; /* any free port; the one that it was, from then on */
static int asked, answered;

/* A life of the server. */
struct server {
	tofu_group *group;
	uint16_t listener;
	uint16_t channel; /* its client's */
};

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "restart: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static tofu_msg *next(tofu_group *group)
{
	tofu_msg *msg;

	must(tofu_receive(group, &msg, PATIENCE_NS), "cannot receive");
	return msg;
}

/* The next message of the group, which has to be of this kind and no failure. */
static tofu_msg *expect(tofu_group *group, enum tofu_opcode opcode)
{
	tofu_msg *msg = next(group);

	must(tofu_msg_header(msg)->status, "bad news");
	must(tofu_msg_header(msg)->opcode == opcode ? TOFU_OK : TOFU_INVALID_OP_CODE, "not what was expected");
	return msg;
}

static tofu_msg *message(enum tofu_opcode opcode, uint16_t channel)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	tofu_msg_header(msg)->channel = channel;
	return msg;
}

static void say(tofu_group *group, enum tofu_opcode opcode, uint16_t channel)
{
	tofu_msg *msg = message(opcode, channel);

	must(tofu_post(group, &msg, NULL), "cannot send");
}

static void answer(tofu_group *group, tofu_msg **msg, enum tofu_opcode opcode)
{
	tofu_msg_header(*msg)->opcode = (uint8_t)opcode;
	must(tofu_post(group, msg, NULL), "cannot answer");
}

/* the server */

static void start(struct server *s)
{
	struct tofu_header sent;
	tofu_msg *msg = message(TOFU_REQUEST, 0);
	size_t len;

	must(tofu_group_create(engine, &s->group), "no group");
	must(tofu_msg_listen_on(msg, address), address);
	must(tofu_post(s->group, &msg, &sent), address);
	s->listener = sent.channel;
	msg = expect(s->group, TOFU_WELCOME_RESPONSE);
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);
}

/* The answer to a bye, and the last word on its channel. */
static void wait_for_end(tofu_group *group)
{
	tofu_msg *msg = expect(group, TOFU_BYE_RESPONSE);

	tofu_msg_put(&msg);
	msg = next(group);
	must(tofu_msg_header(msg)->status == TOFU_CHANNEL_CLOSED ? TOFU_OK : TOFU_INVALID_MESSAGE, "no end");
	tofu_msg_put(&msg);
}

/* Nobody new; then tell those who are there. */
static void announce(struct server *s)
{
	tofu_msg *msg;

	say(s->group, TOFU_BYE_REQUEST, s->listener);
	wait_for_end(s->group);
	msg = message(TOFU_SIGNAL, s->channel);
	must(tofu_msg_headers_add(msg, "going-away", "calls again in a moment"), "cannot announce");
	must(tofu_post(s->group, &msg, NULL), "cannot announce");
	printf("server: going away\n");
}

/* The client has seen all that was said, and says bye. A server with clients that may hang would wait only so long for
 * that, and then say bye itself. */
static void stop(struct server *s)
{
	tofu_msg *msg = expect(s->group, TOFU_BYE_REQUEST);

	answer(s->group, &msg, TOFU_BYE_RESPONSE);
	must(tofu_group_drain(s->group, PATIENCE_NS), "not everything is out");
	must(tofu_group_destroy(s->group), "cannot stop");
	printf("server: gone\n");
}

/* the client */

static uint16_t call(struct server *s)
{
	struct tofu_header hello;
	tofu_msg *msg = message(TOFU_REQUEST, 0);

	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(client, &msg, &hello), address);
	msg = expect(s->group, TOFU_HELLO_REQUEST);
	s->channel = tofu_msg_header(msg)->channel;
	answer(s->group, &msg, TOFU_HELLO_RESPONSE);
	msg = expect(client, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	return hello.channel;
}

static void ask(uint16_t channel)
{
	say(client, TOFU_REQUEST, channel);
	asked++;
}

/* Take what comes until nothing more is to come, and say bye. */
static void finish(uint16_t channel)
{
	bool told = false;

	while (!told || answered < asked) {
		tofu_msg *msg = next(client);
		const struct tofu_header *h = tofu_msg_header(msg);

		must(h->status, "bad news");
		if (h->opcode == TOFU_RESPONSE)
			answered++;
		else if (h->opcode == TOFU_SIGNAL && tofu_msg_headers_find(msg, "going-away", NULL) != NULL)
			told = true; /* from here on, ask nothing more on this channel */
		tofu_msg_put(&msg);
	}
	say(client, TOFU_BYE_REQUEST, channel);
	printf("client: %d of %d questions answered\n", answered, asked);
}

/* A life of the server, from its client's hello to its end. */
static void live(struct server *s)
{
	uint16_t channel = call(s);
	tofu_msg *questions[AT_ONCE], *late;

	for (int i = 0; i < AT_ONCE; i++)
		ask(channel);
	for (int i = 0; i < AT_ONCE; i++)
		questions[i] = expect(s->group, TOFU_REQUEST);
	answer(s->group, &questions[0], TOFU_RESPONSE);
	announce(s);
	ask(channel); /* the client has not looked yet */
	for (int i = 1; i < AT_ONCE; i++)
		answer(s->group, &questions[i], TOFU_RESPONSE);
	late = expect(s->group, TOFU_REQUEST);
	answer(s->group, &late, TOFU_RESPONSE);
	finish(channel);
	stop(s);
	wait_for_end(client);
}

int main(void)
{
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &client), "no group");
	for (int life = 1; life <= 2; life++) {
		struct server server;

		start(&server);
		live(&server);
	}
	must(answered == asked ? TOFU_OK : TOFU_UNKNOWN_ERROR, "an answer is missing");
	printf("all %d questions were answered\n", answered);

	tofu_group_destroy(client);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
