/* SPDX-License-Identifier: MIT */
/* first_talk [ADDRESS]: asks first_server something every second and prints whatever it is told, until the end of the channel. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tofu/tcp.h>
#include <tofu/tofu.h>

#define SECOND_NS INT64_C(1000000000)

static tofu_engine *engine;
static tofu_group *group;

static void must(enum tofu_status status, const char *what)
{
	if (status != TOFU_OK) {
		fprintf(stderr, "first_talk: %s: %s\n", what, tofu_strerror(status));
		exit(EXIT_FAILURE);
	}
}

static uint16_t say_hello(const char *address)
{
	struct tofu_header hello;
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(group, &msg, &hello), "cannot say hello");
	return hello.channel;
}

static void ask(uint16_t channel, int number)
{
	enum tofu_status status;
	char text[32];
	tofu_msg *msg;

	snprintf(text, sizeof text, "question %d", number);
	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = channel;
	must(tofu_msg_body_set(msg, text, strlen(text)), "cannot ask");
	status = tofu_post(group, &msg, NULL);
	if (status != TOFU_OK) {
		printf("not posted: %s\n", tofu_status_name(status));
		tofu_msg_put(&msg); /* what was not taken is still ours */
	}
}

static void tell(tofu_msg *msg)
{
	const struct tofu_header *h = tofu_msg_header(msg);
	size_t len;
	const char *body = tofu_msg_body(msg, &len);

	printf("%s of the %s: %s", tofu_opcode_name(h->opcode), h->origin == TOFU_ORIGIN_ENGINE ? "engine" : "peer",
	       tofu_status_name(h->status));
	if (h->reason != TOFU_OK)
		printf(", by %s", tofu_status_name(h->reason));
	if (len > 0)
		printf(", \"%.*s\"", (int)len, body);
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint16_t channel;
	bool open = true;
	int number = 0;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	channel = say_hello(argc > 1 ? argv[1] : "tcp|127.0.0.1|7099");
	ask(channel, ++number); /* it need not wait for the answer to the hello */
	while (open) {
		tofu_msg *msg;
		enum tofu_status status = tofu_receive(group, &msg, SECOND_NS);

		if (status == TOFU_TIMEOUT) {
			ask(channel, ++number);
			continue;
		}
		must(status, "cannot receive");
		tell(msg);
		open = tofu_msg_header(msg)->reason == TOFU_OK; /* only the last word has a reason */
		tofu_msg_put(&msg);
	}

	must(tofu_group_destroy(group), "cannot tidy up");
	tofu_engine_destroy(engine);
	tofu_deinit();
}
