/* SPDX-License-Identifier: MIT */

/*
 * What happens when a program holds on to what it receives. Messages are received into an engine's pool; while that has none to
 * spare for a connection, nothing more is read there, and its peer has to wait. Nothing is lost by it: as soon as messages are
 * put back, reading goes on where it stopped.
 *
 * A server gathers what comes, to write it somewhere in large pieces. It has to let go of what it has not only when it has
 * enough, but also when no more comes because it has so much: pool_empty tells, or a time-out. Each party has an engine of its
 * own, and the server's has a pool of eight.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#define PATIENCE_NS INT64_C(100000000)

enum { SMALL_POOL = 8, ENOUGH = 20, TOTAL = 100 };

struct party {
	tofu_engine *engine;
	tofu_group *group;
};

static tofu_msg *gathered[ENOUGH];
static int held, written, pieces;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "full_pool: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static struct party party(uint32_t pool)
{
	struct tofu_options options;
	struct party p;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = options.pool_max = pool;
	must(tofu_engine_create(&options, &p.engine), "no engine");
	must(tofu_engine_register(p.engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(p.engine, &p.group), "no group");
	return p;
}

static void leave(struct party *p)
{
	tofu_group_destroy(p->group);
	tofu_engine_destroy(p->engine);
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
static uint16_t join(struct party *server, struct party *client)
{
	char address[64];
	struct tofu_header hello;
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(server->engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(server->group, &msg, NULL), "cannot listen");
	msg = expect(server->group, TOFU_WELCOME_RESPONSE);
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);

	must(tofu_msg_get(client->engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(client->group, &msg, &hello), "cannot connect");
	msg = expect(server->group, TOFU_HELLO_REQUEST);
	tofu_msg_header(msg)->opcode = TOFU_HELLO_RESPONSE;
	must(tofu_post(server->group, &msg, NULL), "cannot say hello");
	msg = expect(client->group, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	return hello.channel;
}

static void send_all(struct party *client, uint16_t channel)
{
	for (int i = 0; i < TOTAL; i++) {
		tofu_msg *msg;

		/* To send, there is always new memory; TOFU_POOL_ONLY would say pool_empty. */
		must(tofu_msg_get(client->engine, TOFU_ALWAYS, &msg), "no message");
		tofu_msg_header(msg)->opcode = TOFU_SIGNAL;
		tofu_msg_header(msg)->channel = channel;
		must(tofu_msg_body_set(msg, &i, sizeof i), "cannot fill");
		must(tofu_post(client->group, &msg, NULL), "cannot send");
	}
}

/* Write what was gathered, and put it back: from here on the engine reads on. */
static void write_piece(void)
{
	if (held == 0)
		return;
	for (int i = 0; i < held; i++) {
		size_t len;
		int number;

		memcpy(&number, tofu_msg_body(gathered[i], &len), sizeof number);
		must(number == written ? TOFU_OK : TOFU_INVALID_MESSAGE, "one is missing");
		written++;
		tofu_msg_put(&gathered[i]);
	}
	held = 0;
	pieces++;
}

static void gather(struct party *server)
{
	while (written + held < TOTAL) {
		tofu_msg *msg;
		enum tofu_status status = tofu_receive(server->group, &msg, PATIENCE_NS);

		if (status == TOFU_TIMEOUT) {
			write_piece(); /* perhaps no more comes because we have so much */
			continue;
		}
		must(status, "cannot receive");
		if (tofu_msg_header(msg)->status == TOFU_POOL_EMPTY) {
			tofu_msg_put(&msg);
			write_piece();
			continue;
		}
		must(tofu_msg_header(msg)->status, "bad news");
		gathered[held++] = msg;
		if (held == ENOUGH)
			write_piece();
	}
	write_piece();
}

int main(void)
{
	struct party server, client;

	must(tofu_init(), "cannot start");
	server = party(SMALL_POOL);
	client = party(1024);
	send_all(&client, join(&server, &client));
	gather(&server);
	must(pieces > TOTAL / ENOUGH ? TOFU_OK : TOFU_UNKNOWN_ERROR, "the pool was never too small");
	printf("%d messages through a pool of %d, in order\n", written, SMALL_POOL);

	leave(&client);
	leave(&server);
	tofu_deinit();
}
