/* SPDX-License-Identifier: MIT */
/* first_server [ADDRESS]: greets whoever connects and sends every request back, until it is interrupted. */
#include <stdio.h>
#include <stdlib.h>
#include <tofu/tcp.h>
#include <tofu/tofu.h>

static void must(enum tofu_status status, const char *what)
{
	if (status != TOFU_OK) {
		fprintf(stderr, "first_server: %s: %s\n", what, tofu_strerror(status));
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "tcp|127.0.0.1|7099";
	tofu_engine *engine;
	tofu_group *group;
	tofu_msg *msg;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, address), address);
	must(tofu_post(group, &msg, NULL), "cannot post");

	for (;; tofu_msg_put(&msg)) {
		must(tofu_receive(group, &msg, -1), "cannot receive");
		struct tofu_header *header = tofu_msg_header(msg);
		const char *actual;
		size_t len;

		switch (header->opcode) {
		case TOFU_WELCOME_RESPONSE: /* from our own engine: do we listen? */
			must(header->status, address);
			actual = tofu_msg_headers_find(msg, "~listen_on", &len);
			printf("listening on %.*s\n", (int)len, actual);
			fflush(stdout);
			break;
		case TOFU_HELLO_REQUEST: /* a new connection, on a channel of its own */
		case TOFU_REQUEST:
		case TOFU_BYE_REQUEST:
			header->opcode++;             /* each request's number is followed by its response's */
			tofu_post(group, &msg, NULL); /* fails if the peer has gone: nobody waits for it then */
		}
	}
}
