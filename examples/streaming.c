/* SPDX-License-Identifier: MIT */

/*
 * What is too long for one message goes as several of the same id; all but the last say that more follow. <tofu/parts.h> cuts it
 * and puts it together.
 *
 * A send queue is bounded. What it has no room for waits, and goes on when the engine says send_ready. Meanwhile the program does
 * what else there is to do: here it receives, and gives each message to tofu_parts_take().
 *
 * A client sends 24 MB up, the server sends them back turned around. Both parties are in this one program and share a group;
 * they are told apart by the opcode.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

enum { TOTAL = 24000000 };

static tofu_engine *engine;
static tofu_group *group;
static tofu_parts *parts;
static char sent[TOTAL];
static int pauses; /* how often the queue was full */

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "streaming: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* A message may be posted whose body is longer than what travels in one. */
static void post(tofu_msg **msg)
{
	must(tofu_parts_post(parts, msg, NULL), "cannot send");
	pauses += tofu_parts_waiting(parts, 0) > 0;
}

static void ask(uint16_t channel)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = channel;
	must(tofu_msg_body_set(msg, sent, TOTAL), "no memory");
	post(&msg);
}

static void turn_around(tofu_msg *msg)
{
	size_t len;
	void *body;
	char *data;

	(void)tofu_msg_body(msg, &len);
	must(tofu_msg_body_reserve(msg, len, &body), "cannot write");
	data = body;
	for (size_t i = 0; i < len / 2; i++) {
		char c = data[i];

		data[i] = data[len - 1 - i];
		data[len - 1 - i] = c;
	}
}

static void compare(tofu_msg *msg)
{
	size_t len;
	const void *body = tofu_msg_body(msg, &len);

	must(len == TOTAL && memcmp(body, sent, TOTAL) == 0 ? TOFU_OK : TOFU_INVALID_MESSAGE, "not the same");
	printf("the same bytes, turned around twice\n");
}

/* What the engine has to say. */
static void notice(tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h->status == TOFU_SEND_READY)
		pauses += tofu_parts_waiting(parts, h->channel) > 0;
	else if (h->status != TOFU_POOL_EMPTY) /* that one passes: each message is put back here */
		must(h->status, "bad news");
}

/* What the peer has to say. True: the answer is here, whole. */
static bool peer(tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	switch (h->opcode) {
	case TOFU_HELLO_REQUEST: /* the server */
		h->opcode = TOFU_HELLO_RESPONSE;
		must(tofu_post(group, msg, NULL), "cannot say hello");
		return false;
	case TOFU_HELLO_RESPONSE: /* the client */
		ask(h->channel);
		return false;
	case TOFU_REQUEST: /* the server */
		turn_around(*msg);
		h->opcode = TOFU_RESPONSE; /* on its channel and with its id */
		post(msg);
		return false;
	case TOFU_RESPONSE: /* the client */
		turn_around(*msg);
		compare(*msg);
		return true;
	default:
		must(TOFU_INVALID_OP_CODE, "not what was expected");
		return false;
	}
}

/* Listen on any free port, and call there. */
static void join(void)
{
	char address[64];
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(group, &msg, NULL), "cannot listen");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "cannot listen");
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);

	tofu_msg_reset(msg);
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(group, &msg, NULL), "cannot connect");
}

int main(void)
{
	struct tofu_parts_options options;
	bool done = false;

	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (char)('a' + i % 26);
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	tofu_parts_options_init(&options, sizeof options);
	options.body_max = TOTAL; /* more was not agreed on */
	must(tofu_parts_create(group, &options, &parts), "no parts");
	join();
	while (!done) {
		tofu_msg *msg;

		must(tofu_receive(group, &msg, -1), "cannot receive");
		must(tofu_parts_take(parts, &msg), "cannot put it together");
		if (msg == NULL)
			continue; /* a part */
		if (tofu_msg_header(msg)->origin == TOFU_ORIGIN_ENGINE)
			notice(msg);
		else
			done = peer(&msg);
		tofu_msg_put(&msg); /* NULL if it was posted */
	}
	printf("the queue was full %d times\n", pauses);

	tofu_parts_destroy(parts);
	tofu_group_destroy(group); /* with its channels */
	tofu_engine_destroy(engine);
	tofu_deinit();
}
