/* SPDX-License-Identifier: MIT */

/*
 * Is the peer still alive? A connection on which nothing is said looks the same whether the peer is idle, hangs, or is gone with
 * its network. So the client sends a Signal whenever nothing came for a while, which the peer sends back; when three in a
 * row were not, it hangs up.
 *
 * The server of this program sends five back and then hangs. Both parties share a group and are told apart by the channel.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#define BEAT_NS INT64_C(50000000)

enum { MISSED_MAX = 3, HEALTHY = 5 };

static tofu_engine *engine;
static tofu_group *group;
static uint16_t client; /* its channel */
static bool connected;
static int beats, missed;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "heartbeat: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void say(enum tofu_opcode opcode)
{
	enum tofu_status status;
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = client;
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	status = tofu_post(group, &msg, NULL);
	/* The queue may be full of what the peer does not read: then this is one that it missed. */
	if (status == TOFU_WOULD_BLOCK)
		tofu_msg_put(&msg);
	else
		must(status, "cannot send");
}

/* Nothing came from the peer for a beat. */
static void silence(void)
{
	if (missed == MISSED_MAX) {
		printf("client: nothing came back %d times, hanging up\n", missed);
		say(TOFU_BYE_SIGNAL); /* at once: who does not answer would not answer a ByeRequest either */
		connected = false;
		return;
	}
	missed++;
	say(TOFU_SIGNAL);
}

/* The server sends back what comes, as long as it is well. */
static void serve(tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	if (h->opcode == TOFU_HELLO_REQUEST)
		h->opcode = TOFU_HELLO_RESPONSE;
	else if (beats++ >= HEALTHY)
		return;
	must(tofu_post(group, msg, NULL), "cannot send back");
}

/* Listen on any free port, and call there. */
static void join(void)
{
	char address[64];
	struct tofu_header hello;
	tofu_msg *msg;
	size_t len;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(group, &msg, NULL), "cannot listen");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "cannot listen");
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(address, sizeof address, "%.*s", (int)len, actual);

	tofu_msg_reset(msg);
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(group, &msg, &hello), "cannot connect");
	client = hello.channel;
}

/* False: the client's channel is closed. */
static bool dispatch(tofu_msg **msg)
{
	struct tofu_header h = *tofu_msg_header(*msg);

	if (h.status == TOFU_CHANNEL_CLOSED)
		return h.channel != client;
	must(h.status, "bad news");
	if (h.channel != client) {
		serve(msg);
	} else {
		connected = connected || h.opcode == TOFU_HELLO_RESPONSE;
		missed = 0; /* whatever came, it lives */
	}
	return true;
}

int main(void)
{
	bool open = true;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	join();
	/*
	 * That nothing comes for a beat is a time-out here, for the client's channel is the only one that much comes on. With more
	 * of them, note for each when something came last, and wait until the first of them is due: see deadlines.c.
	 */
	while (open) {
		tofu_msg *msg;
		enum tofu_status status = tofu_receive(group, &msg, connected ? BEAT_NS : -1);

		if (status == TOFU_TIMEOUT) {
			silence();
			continue;
		}
		must(status, "cannot receive");
		open = dispatch(&msg);
		tofu_msg_put(&msg);
	}
	must(beats > HEALTHY ? TOFU_OK : TOFU_UNKNOWN_ERROR, "hung up on a server that is well");
	printf("the server hung, and the client is free again\n");

	tofu_group_destroy(group);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
