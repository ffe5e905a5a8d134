/* SPDX-License-Identifier: MIT */

/*
 * The paths of a message, for counting instructions: `paths out COUNT` posts messages of 64 bytes which a socket
 * of our own takes from the wire; `paths in COUNT` writes such frames to the wire and receives them. out-many and in-many do
 * so with tofu_post_many() and tofu_receive_many(). Run alone, out writes nearly every message by itself, since a
 * program that counts instructions is slow; out-many gathers them, as load does. The socket moves
 * a batch with one call, so nearly all that is counted is the library's. Two runs that differ in COUNT tell the cost
 * of one message, since whatever happens once cancels out.
 *
 * A batch is waited for before the next one begins: the engine sleeps and is woken once or a few times per batch,
 * however the threads are scheduled. Anything unexpected ends the program with 1; nothing is freed then.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

enum { BATCH = 512, HEADER = 16, BODY = 64, FRAME = HEADER + BODY, SIGNAL = 2, HELLO_RESPONSE = 4 };

static tofu_engine *engine;
static tofu_group *group;
static uint16_t channel;
static int wire;
static unsigned char frames[BATCH * FRAME];

static void must(bool right, const char *what)
{
	if (!right) {
		(void)fprintf(stderr, "paths: %s\n", what);
		exit(1);
	}
}

static void must_be_ok(enum tofu_status status, const char *what)
{
	if (status != TOFU_OK)
		(void)fprintf(stderr, "paths: %s\n", tofu_strerror(status));
	must(status == TOFU_OK, what);
}

static tofu_msg *get(void)
{
	tofu_msg *msg = NULL;

	must_be_ok(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "get");
	return msg;
}

static tofu_msg *receive(void)
{
	tofu_msg *msg = NULL;

	must_be_ok(tofu_receive(group, &msg, -1), "receive");
	return msg;
}

static void read_whole(unsigned char *bytes, size_t n)
{
	for (size_t have = 0; have < n;) {
		ssize_t got = recv(wire, bytes + have, n - have, MSG_WAITALL);

		must(got > 0, "the wire ended");
		have += (size_t)got;
	}
}

/* An engine with one connection to a socket of ours. */
static void set_up(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	tofu_msg *msg = NULL;
	struct tofu_header header;
	char address[40];

	must(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 1) == 0 &&
	             getsockname(listener, (struct sockaddr *)&at, &length) == 0,
	     "listen");
	(void)snprintf(address, sizeof address, "tcp|127.0.0.1|%u", (unsigned)ntohs(at.sin_port));
	must_be_ok(tofu_init(), "init");
	must_be_ok(tofu_engine_create(NULL, &engine), "engine");
	must_be_ok(tofu_engine_register(engine, tofu_tcp()), "register");
	must_be_ok(tofu_group_create(engine, &group), "group");
	msg = get();
	must_be_ok(tofu_msg_connect_to(msg, address), "connect_to");
	must_be_ok(tofu_post(group, &msg, &header), "hello");
	channel = header.channel;
	wire = accept(listener, NULL, NULL);
	must(wire >= 0, "accept");
	(void)close(listener);
}

/* The HelloRequest is the first frame: its lengths say how much else of it there is. The answer has its id. */
static void answer_hello(void)
{
	tofu_msg *msg;

	read_whole(frames, HEADER);
	read_whole(frames + HEADER, (size_t)(frames[12] << 8 | frames[13]) + (size_t)(frames[14] << 8 | frames[15]));
	frames[2] = HELLO_RESPONSE;
	memset(frames + 12, 0, 4);
	must(send(wire, frames, HEADER, MSG_NOSIGNAL) == HEADER, "a short write");
	msg = receive();
	must(tofu_msg_header(msg)->opcode == HELLO_RESPONSE && tofu_msg_header(msg)->status == 0,
	     "no answer to the hello");
	tofu_msg_put(&msg);
}

static tofu_msg *message(void)
{
	static const unsigned char body[BODY] = "sixty-four bytes";
	tofu_msg *msg = get();
	struct tofu_header *header = tofu_msg_header(msg);

	header->opcode = TOFU_SIGNAL;
	header->channel = channel;
	header->id = 1;
	must_be_ok(tofu_msg_body_set(msg, body, sizeof body), "body");
	return msg;
}

static void post_each(void)
{
	for (int i = 0; i < BATCH; i++) {
		tofu_msg *msg = message();

		must_be_ok(tofu_post(group, &msg, NULL), "post");
	}
}

static void post_many(void)
{
	tofu_msg *msgs[BATCH];

	for (int i = 0; i < BATCH; i++)
		msgs[i] = message();
	must_be_ok(tofu_post_many(group, msgs, BATCH, NULL), "post_many");
}

static void out(unsigned long batches, void (*post)(void))
{
	for (; batches > 0; batches--) {
		post();
		read_whole(frames, sizeof frames);
		must_be_ok(tofu_group_drain(group, -1), "drain");
	}
}

static void check_and_put(tofu_msg *msg)
{
	size_t size = 0;

	must(tofu_msg_header(msg)->status == 0 && tofu_msg_body(msg, &size) != NULL && size == BODY,
	     "not what was sent");
	tofu_msg_put(&msg);
}

static void receive_each(void)
{
	for (int i = 0; i < BATCH; i++)
		check_and_put(receive());
}

static void receive_many(void)
{
	for (size_t have = 0, count = 0; have < BATCH; have += count) {
		tofu_msg *msgs[BATCH];

		must_be_ok(tofu_receive_many(group, msgs, BATCH - have, &count, -1), "receive_many");
		for (size_t i = 0; i < count; i++)
			check_and_put(msgs[i]);
	}
}

static void in(unsigned long batches, void (*receive_all)(void))
{
	memset(frames, 0, sizeof frames);
	for (size_t i = 0; i < BATCH; i++) {
		frames[i * FRAME + 2] = SIGNAL;
		frames[i * FRAME + 11] = 1; /* the id */
		frames[i * FRAME + 15] = BODY;
	}
	for (; batches > 0; batches--) {
		must(send(wire, frames, sizeof frames, MSG_NOSIGNAL) == (ssize_t)sizeof frames, "a short write");
		receive_all();
	}
}

static bool run(const char *path, unsigned long batches)
{
	if (strcmp(path, "out") == 0)
		out(batches, post_each);
	else if (strcmp(path, "out-many") == 0)
		out(batches, post_many);
	else if (strcmp(path, "in") == 0)
		in(batches, receive_each);
	else if (strcmp(path, "in-many") == 0)
		in(batches, receive_many);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	unsigned long batches = 0;

	if (argc == 3)
		batches = strtoul(argv[2], NULL, 10) / BATCH;
	if (batches == 0) {
		(void)fprintf(stderr, "usage: paths out|out-many|in|in-many COUNT, %d or more\n", BATCH);
		return 2;
	}
	set_up();
	answer_hello();
	must(run(argv[1], batches), "no such path");
	must_be_ok(tofu_group_destroy(group), "group");
	tofu_engine_destroy(engine);
	tofu_deinit();
	(void)close(wire);
	return 0;
}
