/* SPDX-License-Identifier: MIT */

/*
 * A program that has a loop of its own, here around WaitForMultipleObjects(): the group is one more handle in it.
 *
 * The loop waits for three things: the client's group, the server's group (a second party, to have somebody to talk
 * to) and an event, which stands for whatever else the program waits for. Each time it is set a line is sent to the server.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <windows.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

static const char *const lines[] = { "silken", "firm", "smoked" };
enum { LINES = sizeof lines / sizeof *lines };

static tofu_engine *engine;
static tofu_group *client, *server;
static uint16_t channel; /* the client's connection, once it is there */

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "foreign_loop: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void listen_somewhere(void)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(server, &msg, NULL), "cannot listen");
}

/* The server listens: now the client knows where to go. */
static void connect_to(tofu_msg *welcome)
{
	char address[64];
	struct tofu_header hello;
	size_t len;
	const char *actual = tofu_msg_headers_find(welcome, "~listen_on", &len);

	snprintf(address, sizeof address, "%.*s", (int)len, actual);
	tofu_msg_reset(welcome);
	must(tofu_msg_connect_to(welcome, address), address);
	must(tofu_post(client, &welcome, &hello), address);
	channel = hello.channel;
}

static void on_server(tofu_msg *msg)
{
	struct tofu_header *h = tofu_msg_header(msg);

	must(h->status, "server");
	if (h->opcode == TOFU_WELCOME_RESPONSE) {
		connect_to(msg);
		return;
	}
	h->opcode = h->opcode == TOFU_HELLO_REQUEST ? TOFU_HELLO_RESPONSE : TOFU_RESPONSE;
	must(tofu_post(server, &msg, NULL), "cannot answer");
}

/* True: that was an answer. */
static bool on_client(tofu_msg *msg)
{
	bool answer = tofu_msg_header(msg)->opcode == TOFU_RESPONSE;
	size_t len;
	const char *body = tofu_msg_body(msg, &len);

	must(tofu_msg_header(msg)->status, "client");
	printf("%s%.*s\n", answer ? "answer: " : "connected", (int)len, body);
	tofu_msg_put(&msg);
	return answer;
}

/* A line to send. What is posted before the connection is there goes out behind the hello. */
static void on_line(const char *text)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = channel;
	must(tofu_msg_body_set(msg, text, strlen(text)), "cannot ask");
	must(tofu_post(client, &msg, NULL), "cannot ask");
}

static HANDLE watch(tofu_group *group)
{
	intptr_t handle;

	must(tofu_group_pollable(group, &handle), "nothing to wait on");
	return (HANDLE)handle;
}

/*
 * Until every line has its answer. A group's handle stays signalled as long as there is something to receive; of several
 * that are, the wait names the first, so all there is of each is taken, not just that of the one named.
 */
static void loop(HANDLE fed_event)
{
	HANDLE handles[] = { watch(client), watch(server), fed_event };
	int fed = 0, answers = 0;
	tofu_msg *msg;

	while (answers < LINES && WaitForMultipleObjects(3, handles, FALSE, INFINITE) != WAIT_FAILED) {
		while (tofu_receive(client, &msg, 0) == TOFU_OK)
			answers += on_client(msg);
		while (tofu_receive(server, &msg, 0) == TOFU_OK)
			on_server(msg);
		if (WaitForSingleObject(fed_event, 0) == WAIT_OBJECT_0) {
			must(ResetEvent(fed_event) ? TOFU_OK : TOFU_UNKNOWN_ERROR, "event");
			on_line(lines[fed++]);
		} else if (channel != 0 && fed == answers && fed < LINES) { /* somebody has something for us */
			must(SetEvent(fed_event) ? TOFU_OK : TOFU_UNKNOWN_ERROR, "event");
		}
	}
	must(answers == LINES ? TOFU_OK : TOFU_UNKNOWN_ERROR, "the loop ended early");
}

int main(void)
{
	HANDLE fed_event = CreateEventW(NULL, TRUE, FALSE, NULL);

	must(fed_event != NULL ? TOFU_OK : TOFU_LIMIT_REACHED, "no event");
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &client), "no group");
	must(tofu_group_create(engine, &server), "no group");

	listen_somewhere();
	loop(fed_event);

	tofu_group_destroy(client); /* with its channels */
	tofu_group_destroy(server);
	tofu_engine_destroy(engine);
	tofu_deinit();
	CloseHandle(fed_event);
}
