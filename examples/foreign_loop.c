/* SPDX-License-Identifier: MIT */

/*
 * A program that has a loop of its own, here around poll(2): the group is one more descriptor in it.
 *
 * The loop waits for three things: the client's group, the server's group (a second party, to have somebody to talk
 * to) and a pipe, which stands for whatever else the program waits for. Each line from the pipe is sent to the server.
 */

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A line from the pipe. What is posted before the connection is there goes out behind the hello. */
static void on_line(const char *text, size_t len)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = channel;
	must(tofu_msg_body_set(msg, text, len), "cannot ask");
	must(tofu_post(client, &msg, NULL), "cannot ask");
}

static struct pollfd watch(tofu_group *group)
{
	intptr_t descriptor;

	must(tofu_group_pollable(group, &descriptor), "nothing to wait on");
	return (struct pollfd){ .fd = (int)descriptor, .events = POLLIN };
}

/* Until every line has its answer. poll() comes back as long as there is something: one receive per turn would do. */
static void loop(int pipe_end, int feeder)
{
	struct pollfd fds[] = { watch(client), watch(server), { .fd = pipe_end, .events = POLLIN } };
	int fed = 0, answers = 0;
	tofu_msg *msg;

	while (answers < LINES && poll(fds, 3, -1) > 0) {
		while (fds[0].revents != 0 && tofu_receive(client, &msg, 0) == TOFU_OK)
			answers += on_client(msg);
		while (fds[1].revents != 0 && tofu_receive(server, &msg, 0) == TOFU_OK)
			on_server(msg);
		if (fds[2].revents != 0) {
			char text[64];
			ssize_t n = read(pipe_end, text, sizeof text);

			must(n > 0 ? TOFU_OK : TOFU_RECV_FAILED, "pipe");
			on_line(text, (size_t)n);
		}
		if (channel != 0 && fed == answers && fed < LINES) { /* somebody writes into the pipe */
			ssize_t n = write(feeder, lines[fed], strlen(lines[fed]));

			must(n > 0 ? TOFU_OK : TOFU_SEND_FAILED, "pipe");
			fed++;
		}
	}
	must(answers == LINES ? TOFU_OK : TOFU_UNKNOWN_ERROR, "the loop ended early");
}

int main(void)
{
	int ends[2];

	must(pipe(ends) == 0 ? TOFU_OK : TOFU_LIMIT_REACHED, "no pipe");
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &client), "no group");
	must(tofu_group_create(engine, &server), "no group");

	listen_somewhere();
	loop(ends[0], ends[1]);

	tofu_group_destroy(client); /* with its channels */
	tofu_group_destroy(server);
	tofu_engine_destroy(engine);
	tofu_deinit();
	close(ends[0]);
	close(ends[1]);
}
