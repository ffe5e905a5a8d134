/* SPDX-License-Identifier: MIT */

/*
 * A client that outlives its server: it is there before the server is, and still there when the server comes back.
 *
 * The engine does not reconnect by itself. It says what happened, and the application says hello again when it sees
 * fit. A channel number never comes back to life: every attempt is a new channel.
 */

#include <stdio.h>
#include <stdlib.h>

#include <tofu/tofu.h>
#include <tofu/unix.h>

#define MS INT64_C(1000000) /* in nanoseconds */

static tofu_engine *engine;
static tofu_group *client;
static char address[256];

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "reconnect: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* The next message of a group; a failure that it reports is for the caller to judge. */
static tofu_msg *next(tofu_group *group)
{
	tofu_msg *msg;

	must(tofu_receive(group, &msg, -1), "cannot receive");
	return msg;
}

/* Start a server: a group that listens. The first one may choose the address, the others come back to it. */
static tofu_group *start_server(void)
{
	tofu_group *server;
	tofu_msg *msg;
	size_t len;

	must(tofu_group_create(engine, &server), "no group");
	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, address), address);
	must(tofu_post(server, &msg, NULL), address);
	msg = next(server);
	must(tofu_msg_header(msg)->status, address);
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);
	printf("server: listening\n");
	return server;
}

static void stop_server(tofu_group *server)
{
	must(tofu_group_destroy(server), "cannot stop"); /* its listener and its connections go with it */
	printf("server: gone\n");
}

static void say_hello(void)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(client, &msg, NULL), address);
}

static void answer_hello(tofu_group *server)
{
	tofu_msg *msg = next(server);

	tofu_msg_header(msg)->opcode = TOFU_HELLO_RESPONSE;
	must(tofu_post(server, &msg, NULL), "cannot answer");
}

/* What became of the hello. Of a failure the closed channel is told, too. */
static enum tofu_status outcome(void)
{
	tofu_msg *msg = next(client);
	enum tofu_status status = tofu_msg_header(msg)->status;

	printf("client: %s\n", status == TOFU_OK ? "connected" : tofu_strerror(status));
	tofu_msg_put(&msg);
	return status;
}

static void wait_for_close(void)
{
	tofu_msg *msg = next(client);

	must(tofu_msg_header(msg)->status == TOFU_CHANNEL_CLOSED ? TOFU_OK : TOFU_UNKNOWN_ERROR, "still connected?");
	tofu_msg_put(&msg);
	printf("client: the channel is closed\n");
}

/* Wait before the next attempt, without being deaf: anything that arrives would end the wait. */
static void wait_ms(int64_t ms)
{
	tofu_msg *msg;
	enum tofu_status status = tofu_receive(client, &msg, ms * MS);

	must(status == TOFU_TIMEOUT ? TOFU_OK : TOFU_UNKNOWN_ERROR, "something came that nobody sent");
}

int main(void)
{
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_unix()), "no uds");
	must(tofu_group_create(engine, &client), "no group");

	snprintf(address, sizeof address, "uds|"); /* any new socket file: this is how we learn an address... */
	stop_server(start_server());               /* ...at which nobody listens */

	for (int64_t pause = 10; pause <= 40; pause *= 2) {
		say_hello();
		must(outcome() != TOFU_OK ? TOFU_OK : TOFU_UNKNOWN_ERROR, "who was that?");
		wait_for_close();
		wait_ms(pause); /* longer every time, so as not to knock without end */
	}
	for (int life = 1; life <= 2; life++) {
		tofu_group *server = start_server();

		say_hello();
		answer_hello(server);
		must(outcome(), address);
		stop_server(server);
		wait_for_close();
	}

	tofu_group_destroy(client);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
