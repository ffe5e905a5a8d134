/* SPDX-License-Identifier: MIT */

/*
 * Several questions under way at once. Answers may come in any order, so each carries the id of its question.
 *
 * Both parties are in this one program, a group each. In life they are two programs, and nothing else changes.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

static tofu_engine *engine;
static tofu_group *server, *client;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "correlation: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* The next message of the group, which has to be of this kind and no failure. */
static tofu_msg *expect(tofu_group *group, enum tofu_opcode opcode)
{
	tofu_msg *msg;

	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "bad news");
	must(tofu_msg_header(msg)->opcode == opcode ? TOFU_OK : TOFU_INVALID_OP_CODE, "not what was expected");
	return msg;
}

/* The server listens on any free port, the client connects to it. Returns the client's channel. */
static uint16_t join(void)
{
	char address[64];
	struct tofu_header hello;
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(server, &msg, NULL), "cannot listen");
	msg = expect(server, TOFU_WELCOME_RESPONSE);
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);

	tofu_msg_reset(msg);
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(client, &msg, &hello), "cannot connect");
	msg = expect(server, TOFU_HELLO_REQUEST);
	tofu_msg_header(msg)->opcode = TOFU_HELLO_RESPONSE;
	must(tofu_post(server, &msg, NULL), "cannot say hello");
	msg = expect(client, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	return hello.channel;
}

enum { QUESTIONS = 4, FIRST = 11 };

/* Ask for squares without waiting for an answer. ids[i] is how the answer to question i will be known. */
static void ask(uint16_t channel, uint64_t *ids)
{
	for (int i = 0; i < QUESTIONS; i++) {
		char number[16];
		struct tofu_header sent;
		tofu_msg *msg;

		snprintf(number, sizeof number, "%d", FIRST + i);
		must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
		tofu_msg_header(msg)->channel = channel; /* the id is 0: post assigns the next one */
		must(tofu_msg_body_set(msg, number, strlen(number)), "cannot ask");
		must(tofu_post(client, &msg, &sent), "cannot ask");
		ids[i] = sent.id;
		printf("question %" PRIu64 ": what is the square of %s?\n", sent.id, number);
	}
}

/* Take all the questions, then answer the last one first. The id stays as it came. */
static void answer(void)
{
	tofu_msg *asked[QUESTIONS];

	for (int i = 0; i < QUESTIONS; i++)
		asked[i] = expect(server, TOFU_REQUEST);
	for (int i = QUESTIONS - 1; i >= 0; i--) {
		char text[32];
		size_t len;
		const char *number = tofu_msg_body(asked[i], &len);

		snprintf(text, sizeof text, "%.*s", (int)len, number);
		long n = strtol(text, NULL, 10);
		snprintf(text, sizeof text, "%ld", n * n);
		tofu_msg_header(asked[i])->opcode = TOFU_RESPONSE;
		must(tofu_msg_body_set(asked[i], text, strlen(text)), "cannot answer");
		must(tofu_post(server, &asked[i], NULL), "cannot answer");
	}
}

/* Which question was this the answer to? */
static void match(const uint64_t *ids)
{
	for (int answers = 0; answers < QUESTIONS; answers++) {
		tofu_msg *msg = expect(client, TOFU_RESPONSE);
		uint64_t id = tofu_msg_header(msg)->id;
		int i = 0;
		size_t len;
		const char *body = tofu_msg_body(msg, &len);

		while (i < QUESTIONS && ids[i] != id)
			i++;
		must(i < QUESTIONS ? TOFU_OK : TOFU_INVALID_MESSAGE_ID, "an answer to no question");
		printf("answer   %" PRIu64 ": the square of %d is %.*s\n", id, FIRST + i, (int)len, body);
		tofu_msg_put(&msg);
	}
}

int main(void)
{
	uint64_t ids[QUESTIONS];

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &server), "no group");
	must(tofu_group_create(engine, &client), "no group");
	ask(join(), ids);
	answer();
	match(ids);

	tofu_group_destroy(client); /* with its channels */
	tofu_group_destroy(server);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
