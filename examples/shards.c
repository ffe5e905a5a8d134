/* SPDX-License-Identifier: MIT */

/*
 * Many cores: an engine per thread. Each shard of this service is a thread with an engine, a listener and the data of its own. The
 * thread drives its engine by itself (TOFU_IO_CALLER), so nothing moves from one thread to another, and no lock is needed.
 *
 * The client chooses the shard by the key, so a key's data is in one thread only. The service counts how often it is asked for
 * each key.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "../tools/host.h" /* threads, of POSIX or of Windows */

enum { SHARDS = 2, KEYS = 16, ROUNDS = 25 };

/* An engine, and all that goes with it. */
struct end {
	tofu_engine *engine;
	tofu_group *group;
};

struct shard {
	struct tofu_host_thread *thread;
	struct end end;
	char address[64];
	int counts[KEYS]; /* the thread's alone */
};

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "shards: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void open_end(struct end *end, enum tofu_io io)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.io = io;
	must(tofu_engine_create(&options, &end->engine), "no engine");
	must(tofu_engine_register(end->engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(end->engine, &end->group), "no group");
}

static void close_end(struct end *end)
{
	tofu_group_destroy(end->group);
	tofu_engine_destroy(end->engine);
}

static tofu_msg *message(const struct end *end)
{
	tofu_msg *msg;

	must(tofu_msg_get(end->engine, TOFU_ALWAYS, &msg), "no message");
	return msg;
}

static int number_in(const tofu_msg *msg)
{
	size_t len;
	const void *body = tofu_msg_body(msg, &len);
	int number = 0;

	must(len == sizeof number ? TOFU_OK : TOFU_INVALID_BODY_LEN, "not a number");
	memcpy(&number, body, sizeof number);
	return number;
}

/* --- a shard --- */

static void listen_anywhere(struct shard *s)
{
	tofu_msg *msg = message(&s->end);
	const char *actual;
	size_t len;

	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(s->end.group, &msg, NULL), "cannot listen");
	must(tofu_receive(s->end.group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "cannot listen");
	actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	snprintf(s->address, sizeof s->address, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);
}

static void answer(struct shard *s, tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	if (h->opcode == TOFU_REQUEST) {
		int key = number_in(*msg);
		int count = key >= 0 && key < KEYS ? ++s->counts[key] : 0; /* a peer may ask for anything */

		must(tofu_msg_body_set(*msg, &count, sizeof count), "cannot answer");
	}
	h->opcode = (uint8_t)tofu_opcode_echo(h->opcode); /* HelloRequest: HelloResponse; Request: Response */
	must(tofu_post(s->end.group, msg, NULL), "cannot answer");
}

/* Until its client has said bye. The engine does its work while the thread waits in tofu_receive(). */
static void serve(void *context)
{
	struct shard *s = context;
	bool closed = false;

	while (!closed) {
		tofu_msg *msg;

		must(tofu_receive(s->end.group, &msg, -1), "cannot receive");
		closed = tofu_msg_header(msg)->status == TOFU_CHANNEL_CLOSED;
		if (!closed)
			answer(s, &msg);
		tofu_msg_put(&msg); /* NULL if it was posted */
	}
}

/* --- the client --- */

/* Post it, and wait for the answer; the client asks one thing at a time. */
static tofu_msg *ask(const struct end *client, tofu_msg *msg, struct tofu_header *out)
{
	must(tofu_post(client->group, &msg, out), "cannot ask");
	must(tofu_receive(client->group, &msg, -1), "cannot receive");
	must(tofu_msg_header(msg)->status, "no answer");
	return msg;
}

static uint16_t connect_to(const struct end *client, const char *address)
{
	tofu_msg *msg = message(client);
	struct tofu_header hello;

	must(tofu_msg_connect_to(msg, address), "cannot connect");
	msg = ask(client, msg, &hello);
	tofu_msg_put(&msg);
	return hello.channel;
}

static int count_of(const struct end *client, uint16_t channel, int key)
{
	tofu_msg *msg = message(client);
	int count;

	tofu_msg_header(msg)->channel = channel;
	must(tofu_msg_body_set(msg, &key, sizeof key), "cannot ask");
	msg = ask(client, msg, NULL);
	count = number_in(msg);
	tofu_msg_put(&msg);
	return count;
}

/* Bye, and the end of the channel. */
static void part(const struct end *client, uint16_t channel)
{
	tofu_msg *msg = message(client);

	tofu_msg_header(msg)->channel = channel;
	tofu_msg_header(msg)->opcode = TOFU_BYE_REQUEST;
	msg = ask(client, msg, NULL);
	tofu_msg_put(&msg);
	must(tofu_receive(client->group, &msg, -1), "cannot receive");
	tofu_msg_put(&msg);
}

int main(void)
{
	static struct shard shards[SHARDS];
	uint16_t channel[SHARDS];
	struct end client;
	int count = 0;

	must(tofu_init(), "cannot start");
	open_end(&client, TOFU_IO_THREAD);
	for (int i = 0; i < SHARDS; i++) {
		open_end(&shards[i].end, TOFU_IO_CALLER);
		listen_anywhere(&shards[i]);
		shards[i].thread = tofu_host_thread_start(serve, &shards[i]);
		must(shards[i].thread != NULL ? TOFU_OK : TOFU_LIMIT_REACHED, "no thread");
		channel[i] = connect_to(&client, shards[i].address);
	}
	for (int round = 1; round <= ROUNDS; round++)
		for (int key = 0; key < KEYS; key++) {
			count = count_of(&client, channel[key % SHARDS], key);
			must(count == round ? TOFU_OK : TOFU_UNKNOWN_ERROR, "counted wrong");
		}
	for (int i = 0; i < SHARDS; i++) {
		part(&client, channel[i]);
		tofu_host_thread_join(shards[i].thread);
		close_end(&shards[i].end);
	}
	close_end(&client);
	tofu_deinit();
	printf("%d shards counted %d keys, each %d times\n", SHARDS, KEYS, count);
}
