/* SPDX-License-Identifier: MIT */

/*
 * What bodies of any size cost: 1 GiB as one body, from a source into a sink, against 1 GiB as messages of 60 KiB that the
 * application posts and receives by itself. Two processes over TCP for each run; the median of the runs, and the most memory that
 * either process had resident.
 *
 *     bench/parts [RUNS]
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

enum { BODY = 60 * 1024, RUNS_MAX = 100 };
static const uint64_t total = UINT64_C(1) << 30;

static tofu_engine *engine;
static tofu_group *group;
static tofu_parts *parts;
static char block[TOFU_BODY_MAX];

struct result {
	double seconds;
	long kib;
};

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "bench/parts: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void check(bool holds, const char *what)
{
	must(holds ? TOFU_OK : TOFU_PROCESSING_FAILED, what);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long resident_most(void)
{
	struct rusage usage;

	check(getrusage(RUSAGE_SELF, &usage) == 0, "cannot ask");
	return usage.ru_maxrss;
}

static void start(tofu_part_fn *sink)
{
	struct tofu_parts_options options;

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	tofu_parts_options_init(&options, sizeof options);
	options.sink = sink;
	must(tofu_parts_create(group, &options, &parts), "no parts");
}

static tofu_msg *message(int opcode, uint16_t channel)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	tofu_msg_header(msg)->channel = channel;
	return msg;
}

/* --- the server: says when all is there --- */

static uint64_t arrived;

static void count(const tofu_msg *msg)
{
	size_t len;

	(void)tofu_msg_body(msg, &len);
	arrived += len;
}

static enum tofu_status count_part(void *context, tofu_msg *part, uint64_t at, void **user)
{
	(void)context, (void)at, (void)user;
	count(part);
	return TOFU_OK;
}

static void tell_when_all_is_there(uint16_t channel)
{
	tofu_msg *msg;

	if (arrived < total)
		return;
	msg = message(TOFU_SIGNAL, channel);
	must(tofu_post(group, &msg, NULL), "cannot tell");
	arrived = 0;
}

/* True: it was the last word. */
static bool serve_one(tofu_msg *msg)
{
	struct tofu_header h = *tofu_msg_header(msg);

	must(tofu_parts_take(parts, &msg), "cannot take");
	if (h.origin == TOFU_ORIGIN_APPLICATION && h.opcode == TOFU_HELLO_REQUEST) {
		tofu_msg_header(msg)->opcode = TOFU_HELLO_RESPONSE;
		must(tofu_post(group, &msg, NULL), "cannot say hello");
	} else if (h.origin == TOFU_ORIGIN_APPLICATION) {
		count(msg);
		tell_when_all_is_there(h.channel);
	}
	tofu_msg_put(&msg);
	return h.reason != TOFU_OK;
}

static struct result serve(int address_to)
{
	const char *address;
	tofu_msg *msg;
	size_t len;

	start(count_part);
	msg = message(TOFU_WELCOME_REQUEST, 0);
	must(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), "cannot listen");
	must(tofu_post(group, &msg, NULL), "cannot listen");
	must(tofu_receive(group, &msg, -1), "cannot receive");
	address = tofu_msg_headers_find(msg, "~listen_on", &len);
	check(address != NULL && write(address_to, address, len) == (ssize_t)len, "cannot tell the address");
	tofu_msg_put(&msg);
	do
		must(tofu_receive(group, &msg, -1), "cannot receive");
	while (!serve_one(msg));
	return (struct result){ .kib = resident_most() };
}

/* --- the client --- */

static enum tofu_status draw(void *context, void *out, size_t capacity, size_t *len)
{
	uint64_t *drawn = context;

	*len = total - *drawn < capacity ? (size_t)(total - *drawn) : capacity;
	memcpy(out, block, *len);
	*drawn += *len;
	return TOFU_OK;
}

static void post_body(uint16_t channel, uint64_t *drawn)
{
	const struct tofu_source source = { .read = draw, .context = drawn };
	tofu_msg *msg = message(TOFU_REQUEST, channel);

	must(tofu_parts_post_from(parts, &msg, &source, NULL), "cannot post");
}

/* What there is room for, as a program does it that has no parts. */
static void post_messages(uint16_t channel, uint64_t *drawn)
{
	while (*drawn < total) {
		size_t len = total - *drawn < BODY ? (size_t)(total - *drawn) : BODY;
		tofu_msg *msg = message(TOFU_REQUEST, channel);
		enum tofu_status status;
		void *body;

		must(tofu_msg_body_reserve(msg, len, &body), "no memory");
		memcpy(body, block, len);
		status = tofu_post(group, &msg, NULL);
		tofu_msg_put(&msg);
		if (status == TOFU_WOULD_BLOCK)
			return;
		must(status, "cannot post");
		*drawn += len;
	}
}

static struct result ask(int address_from, bool as_one_body)
{
	char address[64] = "";
	uint64_t drawn = 0;
	double began = 0;
	bool done = false;
	tofu_msg *msg;

	check(read(address_from, address, sizeof address - 1) > 0, "no address");
	start(NULL);
	msg = message(TOFU_HELLO_REQUEST, 0);
	must(tofu_msg_connect_to(msg, address), "cannot connect");
	must(tofu_post(group, &msg, NULL), "cannot connect");
	while (!done) {
		struct tofu_header h;

		must(tofu_receive(group, &msg, -1), "cannot receive");
		h = *tofu_msg_header(msg);
		must(tofu_parts_take(parts, &msg), "cannot take");
		tofu_msg_put(&msg);
		if (h.opcode == TOFU_HELLO_RESPONSE) {
			began = now();
			(as_one_body ? post_body : post_messages)(h.channel, &drawn);
		} else if (h.status == TOFU_SEND_READY && !as_one_body) {
			post_messages(h.channel, &drawn);
		}
		done = h.origin == TOFU_ORIGIN_APPLICATION && h.opcode == TOFU_SIGNAL;
	}
	return (struct result){ .seconds = now() - began, .kib = resident_most() };
}

/* --- runs --- */

static void finish(int result_to, struct result r)
{
	check(write(result_to, &r, sizeof r) == sizeof r, "cannot tell");
	_exit(EXIT_SUCCESS);
}

static double by_time[2][RUNS_MAX];
static long client_kib[2], server_kib[2];

static void run(int round, bool as_one_body)
{
	int address[2], from_server[2], from_client[2], status;
	struct result server, client;

	check(pipe(address) == 0 && pipe(from_server) == 0 && pipe(from_client) == 0, "no pipe");
	fflush(NULL);
	if (fork() == 0)
		finish(from_server[1], serve(address[1]));
	if (fork() == 0)
		finish(from_client[1], ask(address[0], as_one_body));
	while (wait(&status) > 0)
		check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a process failed");
	check(read(from_server[0], &server, sizeof server) == sizeof server &&
	              read(from_client[0], &client, sizeof client) == sizeof client,
	      "no result");
	for (int i = 0; i < 2; i++) {
		close(address[i]);
		close(from_server[i]);
		close(from_client[i]);
	}
	by_time[as_one_body][round] = client.seconds;
	if (client.kib > client_kib[as_one_body])
		client_kib[as_one_body] = client.kib;
	if (server.kib > server_kib[as_one_body])
		server_kib[as_one_body] = server.kib;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double report(const char *what, int kind, int runs)
{
	double rate;

	qsort(by_time[kind], (size_t)runs, sizeof(double), compare);
	rate = (double)total / by_time[kind][runs / 2] / 1e6;
	printf("%-22s %7.0f MB/s, best %7.0f; resident at most: client %6.1f MiB, server %6.1f MiB\n", what, rate,
	       (double)total / by_time[kind][0] / 1e6, (double)client_kib[kind] / 1024,
	       (double)server_kib[kind] / 1024);
	return rate;
}

int main(int argc, char **argv)
{
	int runs = argc > 1 ? atoi(argv[1]) : 7;
	double messages, body;

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: bench/parts [RUNS]\n");
		return EXIT_FAILURE;
	}
	memset(block, 'b', sizeof block);
	for (int i = 0; i < runs; i++) {
		run(i, false);
		run(i, true);
	}
	messages = report("messages of 60 KiB", false, runs);
	body = report("one body of 1 GiB", true, runs);
	printf("ratio %.2f\n", body / messages);
}
