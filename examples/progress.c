/* SPDX-License-Identifier: MIT */

/*
 * A request that takes a while. Until the response is there, signals with the id of the request tell how far it is.
 *
 * Both parties are in this one program, a group each.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

static tofu_engine *engine;
static tofu_group *server, *client;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "progress: %s: %s\n", what, tofu_strerror(status));
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

enum { STEPS = 5 };

/* Post a message about a request: on its channel, with its id. */
static void tell(const struct tofu_header *request, enum tofu_opcode opcode, const char *name, const char *value)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = request->channel;
	tofu_msg_header(msg)->id = request->id;
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	must(tofu_msg_headers_add(msg, name, value), "cannot tell");
	must(tofu_post(server, &msg, NULL), "cannot tell");
}

/* The server works and says so. Here the work is to add the numbers up to 5 million, a million at a time. */
static void work(void)
{
	tofu_msg *msg = expect(server, TOFU_REQUEST);
	struct tofu_header request = *tofu_msg_header(msg);
	uint64_t sum = 0, n = 0;
	char text[32];

	tofu_msg_put(&msg);
	for (int step = 1; step <= STEPS; step++) {
		for (int i = 0; i < 1000000; i++)
			sum += ++n;
		snprintf(text, sizeof text, "%d%%", step * 100 / STEPS);
		tell(&request, TOFU_SIGNAL, "progress", text);
	}
	snprintf(text, sizeof text, "%" PRIu64, sum);
	tell(&request, TOFU_RESPONSE, "sum", text);
}

/* The client listens until the response comes. True: this was it. */
static bool listen_once(uint64_t id)
{
	tofu_msg *msg;
	struct tofu_text_header told = { 0 };

	must(tofu_receive(client, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "bad news");
	must(tofu_msg_header(msg)->id == id ? TOFU_OK : TOFU_INVALID_MESSAGE_ID, "about another request");
	bool is_last = tofu_msg_header(msg)->opcode == TOFU_RESPONSE;
	if (tofu_msg_headers_next(msg, 0, &told) != 0)
		printf("%.*s: %.*s\n", (int)told.name_len, told.name, (int)told.value_len, told.value);
	tofu_msg_put(&msg);
	return is_last;
}

int main(void)
{
	struct tofu_header sent;
	tofu_msg *msg;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &server), "no group");
	must(tofu_group_create(engine, &client), "no group");
	uint16_t channel = join();
	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = channel;
	must(tofu_post(client, &msg, &sent), "cannot ask");
	work();
	while (!listen_once(sent.id))
		;

	tofu_group_destroy(client); /* with its channels */
	tofu_group_destroy(server);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
