/* SPDX-License-Identifier: MIT */
/* first_client [ADDRESS]: says hello to first_server, asks it something, prints the answer, says bye. */
#include <stdio.h>
#include <stdlib.h>
#include <tofu/tcp.h>
#include <tofu/tofu.h>

static void must(enum tofu_status status, const char *what)
{
	if (status != TOFU_OK) {
		fprintf(stderr, "first_client: %s: %s\n", what, tofu_strerror(status));
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "tcp|127.0.0.1|7099";
	struct tofu_header hello;
	tofu_engine *engine;
	tofu_group *group;
	tofu_msg *msg;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(group, &msg, &hello), "cannot say hello"); /* hello.channel is the connection from now on */
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, address); /* the server's answer, or why there is none */

	tofu_msg_reset(msg); /* an empty Request again */
	tofu_msg_header(msg)->channel = hello.channel;
	must(tofu_msg_body_set(msg, "What is tofu?", 13), "cannot ask");
	must(tofu_post(group, &msg, NULL), "cannot ask");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "no answer");
	size_t len;
	const char *body = tofu_msg_body(msg, &len);
	printf("%.*s\n", (int)len, body);

	tofu_msg_reset(msg);
	tofu_msg_header(msg)->channel = hello.channel;
	tofu_msg_header(msg)->opcode = TOFU_BYE_REQUEST;
	must(tofu_post(group, &msg, NULL), "cannot say bye");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "no bye");
	tofu_msg_put(&msg);

	must(tofu_group_destroy(group), "cannot tidy up");
	tofu_engine_destroy(engine);
	tofu_deinit();
}
