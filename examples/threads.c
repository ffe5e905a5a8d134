/* SPDX-License-Identifier: MIT */

/*
 * Which thread may do what: any thread may post, on any channel; one at a time receives from a group. Whatever another thread
 * has to tell the one that receives goes through tofu_update_receiver(), so that it waits for one thing only.
 *
 * Here main() is the one that receives. Workers ask a server for squares, all on one connection, each as it likes; main()
 * gathers the answers. A worker that is done hands main() a message that says how many it asked for.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "../tools/host.h" /* threads, of POSIX or of Windows */

enum { WORKERS = 4, QUESTIONS = 100 };

struct worker {
	struct tofu_host_thread *thread;
	uint16_t channel;
	long long first;
};

static tofu_engine *engine;
static tofu_group *group;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "threads: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* A worker's thread. What it has posted is no longer its own, so nothing is shared here but the engine and the group. */
static void work(void *context)
{
	const struct worker *w = context;
	long long count = 0;
	tofu_msg *msg;

	for (; count < QUESTIONS; count++) {
		long long number = w->first + count;

		must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
		tofu_msg_header(msg)->channel = w->channel;
		must(tofu_msg_body_set(msg, &number, sizeof number), "cannot ask");
		must(tofu_post(group, &msg, NULL), "cannot ask"); /* the queue has room for all: see streaming.c */
	}
	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	must(tofu_msg_body_set(msg, &count, sizeof count), "cannot tell");
	must(tofu_update_receiver(group, &msg), "cannot tell");
}

static long long number_in(const tofu_msg *msg)
{
	size_t len;
	const void *body = tofu_msg_body(msg, &len);
	long long number = 0;

	must(len == sizeof number ? TOFU_OK : TOFU_INVALID_BODY_LEN, "not a number");
	memcpy(&number, body, sizeof number);
	return number;
}

/* The server's side, in the same group. */
static void serve(tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	if (h->opcode == TOFU_REQUEST) {
		long long number = number_in(*msg);

		number *= number;
		must(tofu_msg_body_set(*msg, &number, sizeof number), "cannot answer");
	}
	h->opcode = (uint8_t)tofu_opcode_echo(h->opcode); /* HelloRequest: HelloResponse; Request: Response */
	must(tofu_post(group, msg, NULL), "cannot answer");
}

/* Listen on any free port, and call there. Returns the client's channel, once it is connected. */
static uint16_t join(void)
{
	char address[64];
	struct tofu_header hello;
	tofu_msg *msg;
	size_t len;
	bool connected = false;

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
	while (!connected) {
		must(tofu_receive(group, &msg, -1), "cannot receive");
		must(tofu_msg_header(msg)->status, "cannot connect");
		connected = tofu_msg_header(msg)->opcode == TOFU_HELLO_RESPONSE;
		if (!connected)
			serve(&msg);
		tofu_msg_put(&msg);
	}
	return hello.channel;
}

int main(void)
{
	static struct worker workers[WORKERS];
	long long asked = 0, answers = 0, sum = 0;
	int done = 0;
	uint16_t channel;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	channel = join();
	for (int i = 0; i < WORKERS; i++) {
		workers[i].channel = channel;
		workers[i].first = 1 + (long long)i * QUESTIONS;
		workers[i].thread = tofu_host_thread_start(work, &workers[i]);
		must(workers[i].thread != NULL ? TOFU_OK : TOFU_LIMIT_REACHED, "no thread");
	}
	while (done < WORKERS || answers < asked) {
		const struct tofu_header *h;
		tofu_msg *msg;

		must(tofu_receive(group, &msg, -1), "cannot receive");
		h = tofu_msg_header(msg);
		if (h->status == TOFU_RECEIVER_UPDATE) {
			asked += number_in(msg);
			done++;
		} else {
			must(h->status, "bad news");
			if (h->opcode == TOFU_RESPONSE) {
				sum += number_in(msg);
				answers++;
			} else {
				serve(&msg);
			}
		}
		tofu_msg_put(&msg); /* NULL if it was posted */
	}
	for (int i = 0; i < WORKERS; i++)
		tofu_host_thread_join(workers[i].thread); /* before what they use is destroyed */
	printf("%d threads asked, the sum of %lld squares is %lld\n", WORKERS, answers, sum);

	tofu_group_destroy(group);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
