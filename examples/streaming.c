/* SPDX-License-Identifier: MIT */

/*
 * What is too long for one message goes as several of the same id. All but the last say that more follow.
 *
 * A client sends 300000 bytes up, the server sends them back turned around. Both parties are in this one program.
 */

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
	fprintf(stderr, "streaming: %s: %s\n", what, tofu_strerror(status));
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

enum { TOTAL = 300000, PART = TOFU_BODY_MAX };

/* Send data in parts. An id of 0 makes a new one with the first part; the others repeat it. */
static void send_stream(tofu_group *from, struct tofu_header stream, const char *data, size_t len)
{
	size_t at = 0;

	do {
		size_t part = len - at < PART ? len - at : PART;
		tofu_msg *msg;

		must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
		*tofu_msg_header(msg) = stream;
		tofu_msg_header(msg)->more = at + part < len;
		must(tofu_msg_body_set(msg, data + at, part), "cannot fill a part");
		must(tofu_post(from, &msg, &stream), "cannot send a part");
		at += part;
	} while (at < len);
}

/* Collect the parts of a stream. The header of the last one tells whose they were. */
static struct tofu_header receive_stream(tofu_group *group, enum tofu_opcode opcode, char *data, size_t *len)
{
	struct tofu_header h;
	int parts = 0;

	*len = 0;
	do {
		tofu_msg *msg = expect(group, opcode);
		size_t part;
		const void *body = tofu_msg_body(msg, &part);

		must(part <= TOTAL - *len ? TOFU_OK : TOFU_INVALID_BODY_LEN, "more than was agreed on");
		memcpy(data + *len, body, part);
		*len += part;
		h = *tofu_msg_header(msg);
		parts++;
		tofu_msg_put(&msg);
	} while (h.more);
	printf("%s: %zu bytes in %d parts\n", opcode == TOFU_REQUEST ? "request" : "response", *len, parts);
	return h;
}

static void turn_around(char *data, size_t len)
{
	for (size_t i = 0; i < len / 2; i++) {
		char c = data[i];

		data[i] = data[len - 1 - i];
		data[len - 1 - i] = c;
	}
}

int main(void)
{
	static char sent[TOTAL], received[TOTAL], answered[TOTAL];
	struct tofu_header up = { .opcode = TOFU_REQUEST }, down;
	size_t len;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &server), "no group");
	must(tofu_group_create(engine, &client), "no group");
	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (char)('a' + i % 26);
	up.channel = join();
	send_stream(client, up, sent, TOTAL);

	down = receive_stream(server, TOFU_REQUEST, received, &len);
	down.opcode = TOFU_RESPONSE; /* on the channel and with the id of the request */
	turn_around(received, len);
	send_stream(server, down, received, len);

	receive_stream(client, TOFU_RESPONSE, answered, &len);
	turn_around(answered, len);
	must(len == TOTAL && memcmp(answered, sent, len) == 0 ? TOFU_OK : TOFU_INVALID_MESSAGE, "not the same");
	printf("the same bytes, turned around twice\n");

	tofu_group_destroy(client); /* with its channels */
	tofu_group_destroy(server);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
