/* SPDX-License-Identifier: MIT */

/*
 * The demonstration: an echo service at two addresses, TCP and a Unix socket, in one group on one thread; and clients
 * of it, with an engine of their own, as if they were another program. All kinds of messages go back and forth, every
 * byte is compared, and what came of it is printed as a table. Exit status 0 only if all was right. A system without
 * Unix sockets (an older Windows) has it all over TCP.
 *
 * What each step shows stands at the step, in the order of main(). Anything unexpected ends the program with a
 * sentence.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>

#include "../tools/host.h" /* a clock and a thread, which systems have each in their way */

enum {
	TRANSPORTS = 2,  /* if the system has both */
	CONNECTIONS = 8, /* on each transport */
	WINDOW = 64,     /* requests under way on a connection */
	SMALL = 64,      /* bytes in a request whose round trip is measured */
	USUAL = 512,     /* bytes in the others */
	SIGNALS = 500,   /* on each connection */
	PARTS = 8,       /* of a stream */
	PART = 40000,    /* bytes */
	QUESTIONS = 200, /* each way on each connection, when both ask at once */
	SAMPLES = 400000,
	CHANNELS = 65536
};

#define MS INT64_C(1000000) /* in nanoseconds */
#define PATIENCE (5000 * MS)
#define ROUND_TRIPS (500 * MS)
#define FULL_LOAD (900 * MS)

/* A connection, seen by the client. Ids count up on each, and answers come in order. */
struct connection {
	struct side *side;
	uint16_t channel;
	uint64_t first_id;
	uint64_t sent;
	uint64_t right;
};

/* A transport, and what was counted on it. */
struct side {
	const char *name;
	const char *wanted;
	char address[256];
	struct connection connections[CONNECTIONS];
	uint64_t hellos, answers, signals, parts, questions, byes;
	uint64_t messages, bytes; /* both ways; bytes of bodies */
	double p50_us, p99_us, rate;
};

static int transports = TRANSPORTS; /* the first so many of these */
static struct side sides[TRANSPORTS] = { { .name = "tcp", .wanted = "tcp|127.0.0.1|0" },
	                                 { .name = "uds", .wanted = "uds|" } };

/* One of the two parties. */
struct party {
	tofu_engine *engine;
	tofu_group *group;
};

static struct party service, clients;
static struct connection *connection_of[CHANNELS];  /* the clients' */
static uint64_t service_questions, service_answers; /* the service's own; read after its thread has ended */

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static void
die(enum tofu_status status, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "\ndemo: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, status == TOFU_OK ? "\n" : ": %s\n", tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void must(enum tofu_status status, const char *what)
{
	if (status != TOFU_OK)
		die(status, "%s", what);
}

static void step(const char *what)
{
	printf("  %-28s", what);
	fflush(stdout);
}

/* contents: bytes that follow from the id, so that both ends can tell what they have to be */

static void fill(tofu_msg *msg, size_t len)
{
	void *body;
	uint64_t z = tofu_msg_header(msg)->id * UINT64_C(0x9e3779b97f4a7c15);

	must(tofu_msg_body_reserve(msg, len, &body), "no memory");
	for (size_t at = 0; at < len; at++) {
		z = z * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		((unsigned char *)body)[at] = (unsigned char)(z >> 56);
	}
}

static void compare(tofu_msg *msg, size_t len)
{
	size_t got;
	const unsigned char *body = tofu_msg_body(msg, &got);
	uint64_t z = tofu_msg_header(msg)->id * UINT64_C(0x9e3779b97f4a7c15);

	if (got != len)
		die(TOFU_OK, "a body of %" PRIu64 " bytes, where %" PRIu64 " were expected", (uint64_t)got,
		    (uint64_t)len);
	for (size_t at = 0; at < len; at++) {
		z = z * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		if (body[at] != (unsigned char)(z >> 56))
			die(TOFU_OK, "a body that differs at byte %" PRIu64 " of %" PRIu64, (uint64_t)at,
			    (uint64_t)len);
	}
}

/* the two parties */

static void open_party(struct party *p)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = 16384;   /* more than is ever held: the two parties cannot starve each other */
	options.send_queue_max = 16384; /* likewise: post need not wait */
	options.send_queue_max_bytes = UINT64_C(64) << 20;
	must(tofu_engine_create(&options, &p->engine), "no engine");
	must(tofu_engine_register(p->engine, tofu_tcp()), "no tcp");
	must(tofu_engine_register(p->engine, tofu_unix()), "no uds");
	must(tofu_group_create(p->engine, &p->group), "no group");
}

static void close_party(struct party *p)
{
	tofu_group_destroy(p->group);
	tofu_engine_destroy(p->engine);
}

static tofu_msg *new_message(struct party *p, enum tofu_opcode opcode, uint16_t channel)
{
	tofu_msg *msg;

	must(tofu_msg_get(p->engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	tofu_msg_header(msg)->channel = channel;
	return msg;
}

static void post(struct party *p, tofu_msg *msg)
{
	must(tofu_post(p->group, &msg, NULL), "cannot post");
}

static tofu_msg *receive(struct party *p, const char *what)
{
	tofu_msg *msg;

	must(tofu_receive(p->group, &msg, PATIENCE), what);
	return msg;
}

/* the service: all of it runs on one thread */

static enum tofu_status listen_on(struct side *side)
{
	tofu_msg *msg = new_message(&service, TOFU_WELCOME_REQUEST, 0);
	size_t len;

	must(tofu_msg_listen_on(msg, side->wanted), side->wanted);
	post(&service, msg);
	msg = receive(&service, side->wanted);
	enum tofu_status status = tofu_msg_header(msg)->status;
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);
	if (status == TOFU_OK)
		snprintf(side->address, sizeof side->address, "%.*s", (int)len, actual);
	tofu_msg_put(&msg);
	return status;
}

/* At both addresses, or at the first one, where there are no sockets for the other. */
static void listen_on_all(void)
{
	enum tofu_status status;

	must(listen_on(&sides[0]), sides[0].wanted);
	status = listen_on(&sides[1]);
	if (status == TOFU_NOT_SUPPORTED)
		transports = 1;
	else
		must(status, sides[1].wanted);
}

/* A client wishes to be asked: the service is a peer like any other and may send requests, too. */
static void ask_back(uint16_t channel)
{
	for (int i = 0; i < QUESTIONS; i++) {
		tofu_msg *msg = new_message(&service, TOFU_REQUEST, channel);

		tofu_msg_header(msg)->id = UINT64_C(1) << 60 | ++service_questions;
		fill(msg, USUAL);
		post(&service, msg);
	}
}

static void answer(tofu_msg *msg, enum tofu_opcode opcode)
{
	tofu_msg_header(msg)->opcode = (uint8_t)opcode;
	post(&service, msg);
}

static void serve(tofu_msg *msg)
{
	size_t len;

	switch ((enum tofu_opcode)tofu_msg_header(msg)->opcode) {
	case TOFU_HELLO_REQUEST:
		answer(msg, TOFU_HELLO_RESPONSE);
		return;
	case TOFU_REQUEST:
		answer(msg, TOFU_RESPONSE);
		return;
	case TOFU_SIGNAL:
		if (tofu_msg_headers_find(msg, "ask me", &len) == NULL) {
			answer(msg, TOFU_SIGNAL);
			return;
		}
		ask_back(tofu_msg_header(msg)->channel);
		break;
	case TOFU_RESPONSE:
		compare(msg, USUAL);
		service_answers++;
		break;
	case TOFU_BYE_REQUEST:
		answer(msg, TOFU_BYE_RESPONSE);
		return;
	case TOFU_HELLO_RESPONSE:
	case TOFU_BYE_RESPONSE:
	case TOFU_BYE_SIGNAL:
	case TOFU_WELCOME_REQUEST:
	case TOFU_WELCOME_RESPONSE:
		die(TOFU_INVALID_OP_CODE, "service");
	}
	tofu_msg_put(&msg);
}

/* Notices want nothing done here: a channel closed, the pool was empty for a while. An update means: enough. */
static void run_service(void *unused)
{
	(void)unused;
	for (;;) {
		tofu_msg *msg;

		must(tofu_receive(service.group, &msg, -1), "service");
		if (tofu_msg_header(msg)->status == TOFU_RECEIVER_UPDATE) {
			tofu_msg_put(&msg);
			return;
		}
		if (tofu_msg_header(msg)->origin == TOFU_ORIGIN_ENGINE)
			tofu_msg_put(&msg);
		else
			serve(msg);
	}
}

/* the clients */

static void count(struct side *side, tofu_msg *msg)
{
	size_t len;

	(void)tofu_msg_body(msg, &len);
	side->messages++;
	side->bytes += len;
}

/* Send a message of the connection's next id; msg may be one that came, to be used again. */
static void send_next(struct connection *c, tofu_msg *msg, size_t len)
{
	tofu_msg_header(msg)->id = c->first_id + c->sent++;
	fill(msg, len);
	count(c->side, msg);
	post(&clients, msg);
}

static void send_new(struct connection *c, enum tofu_opcode opcode, size_t len, bool more)
{
	tofu_msg *msg = new_message(&clients, opcode, c->channel);

	tofu_msg_header(msg)->more = more;
	send_next(c, msg, len);
}

/* The next message for the clients, and whose it is. A notice is bad news here, unless it is about the pool. */
static tofu_msg *next(struct connection **from)
{
	for (;;) {
		tofu_msg *msg = receive(&clients, "nothing came");
		const struct tofu_header *h = tofu_msg_header(msg);

		*from = connection_of[h->channel];
		if (h->origin == TOFU_ORIGIN_APPLICATION && *from != NULL) {
			count((*from)->side, msg);
			return msg;
		}
		if (h->status != TOFU_POOL_EMPTY)
			die(h->status, "channel %u", (unsigned)h->channel);
		tofu_msg_put(&msg);
	}
}

static void expect(tofu_msg *msg, enum tofu_opcode opcode)
{
	if (tofu_msg_header(msg)->opcode != opcode)
		die(TOFU_INVALID_OP_CODE, "opcode %u instead of %u", (unsigned)tofu_msg_header(msg)->opcode,
		    (unsigned)opcode);
}

/* The echo of the oldest message of its connection that has none yet, byte for byte. */
static void expect_echo(struct connection *c, tofu_msg *msg, enum tofu_opcode opcode, size_t len)
{
	expect(msg, opcode);
	if (tofu_msg_header(msg)->id != c->first_id + c->right)
		die(TOFU_INVALID_MESSAGE_ID, "an answer out of order");
	compare(msg, len);
	c->right++;
}

/* step: hello. Connections are made of messages, and all of them are made at once. */
static void say_hello(void)
{
	uint64_t id = 0;

	step("hello");
	for (struct side *s = sides; s < sides + transports; s++) {
		for (struct connection *c = s->connections; c < s->connections + CONNECTIONS; c++) {
			tofu_msg *msg = new_message(&clients, TOFU_HELLO_REQUEST, 0);
			struct tofu_header sent;

			must(tofu_msg_connect_to(msg, s->address), s->address);
			count(s, msg);
			must(tofu_post(clients.group, &msg, &sent), s->address);
			*c = (struct connection){ .side = s, .channel = sent.channel, .first_id = ++id << 40 };
			connection_of[sent.channel] = c;
		}
	}
	for (int i = 0; i < transports * CONNECTIONS; i++) {
		struct connection *c;
		tofu_msg *msg = next(&c);

		expect(msg, TOFU_HELLO_RESPONSE);
		c->side->hellos++;
		tofu_msg_put(&msg);
	}
	printf("%d connections\n", transports * CONNECTIONS);
}

/* step: one request at a time, to see how long an answer takes. */
static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void measure_round_trips(struct side *s)
{
	uint32_t *samples = malloc(SAMPLES * sizeof *samples);
	size_t n = 0;
	int64_t start = tofu_host_now_ns(), before = start;

	if (samples == NULL)
		die(TOFU_ALLOCATION_FAILED, "no room for samples");
	step("round trips");
	while (before - start < ROUND_TRIPS && n < SAMPLES) {
		struct connection *c;
		tofu_msg *msg;

		send_new(&s->connections[n % CONNECTIONS], TOFU_REQUEST, SMALL, false);
		msg = next(&c);
		int64_t after = tofu_host_now_ns();
		expect_echo(c, msg, TOFU_RESPONSE, SMALL);
		tofu_msg_put(&msg);
		s->answers++;
		samples[n++] = (uint32_t)(after - before);
		before = tofu_host_now_ns();
	}
	qsort(samples, n, sizeof *samples, by_value);
	s->p50_us = samples[n / 2] / 1e3;
	s->p99_us = samples[n * 99 / 100] / 1e3;
	free(samples);
	printf("%s: %zu, one at a time\n", s->name, n);
}

/* step: as many as the window allows on all connections. A checked answer becomes the next request. */
static void measure_full_load(struct side *s)
{
	int64_t start = tofu_host_now_ns(), now = start;
	uint64_t under_way = CONNECTIONS * WINDOW, answers = 0;

	step("full load");
	for (uint64_t i = 0; i < under_way; i++)
		send_new(&s->connections[i % CONNECTIONS], TOFU_REQUEST, USUAL, false);
	while (under_way > 0) {
		struct connection *c;
		tofu_msg *msg = next(&c);

		expect_echo(c, msg, TOFU_RESPONSE, USUAL);
		answers++;
		if (answers % WINDOW == 0)
			now = tofu_host_now_ns();
		if (now - start < FULL_LOAD) {
			tofu_msg_header(msg)->opcode = TOFU_REQUEST;
			send_next(c, msg, USUAL);
		} else {
			tofu_msg_put(&msg);
			under_way--;
		}
	}
	s->answers += answers;
	s->rate = (double)answers * 1e9 / (double)(tofu_host_now_ns() - start);
	printf("%s: %" PRIu64 " requests of %d bytes\n", s->name, answers, USUAL);
}

/* step: signals, which need no answer; the service echoes them all the same. On both transports at once. */
static void send_signals(void)
{
	uint64_t n = (uint64_t)transports * CONNECTIONS * SIGNALS;

	step("signals");
	for (struct side *s = sides; s < sides + transports; s++) {
		for (uint64_t i = 0; i < CONNECTIONS * SIGNALS; i++)
			send_new(&s->connections[i % CONNECTIONS], TOFU_SIGNAL, SMALL, false);
	}
	for (uint64_t i = 0; i < n; i++) {
		struct connection *c;
		tofu_msg *msg = next(&c);

		expect_echo(c, msg, TOFU_SIGNAL, SMALL);
		c->side->signals++;
		tofu_msg_put(&msg);
	}
	printf("%" PRIu64 " there and back\n", n);
}

/* step: streams, in parts of which all but the last say that more follow. They go up, and their echoes come down. */
static void send_streams(void)
{
	step("streams");
	for (int part = 0; part < PARTS; part++) {
		for (struct side *s = sides; s < sides + transports; s++) {
			for (int i = 0; i < CONNECTIONS; i++)
				send_new(&s->connections[i], TOFU_REQUEST, PART, part < PARTS - 1);
		}
	}
	for (int i = 0; i < PARTS * transports * CONNECTIONS; i++) {
		struct connection *c;
		tofu_msg *msg = next(&c);

		expect_echo(c, msg, TOFU_RESPONSE, PART);
		if (tofu_msg_header(msg)->more != (c->right < c->sent))
			die(TOFU_INVALID_MORE_USAGE, "a stream that ends at the wrong part");
		c->side->parts++;
		tofu_msg_put(&msg);
	}
	printf("%d of %d bytes each way\n", transports * CONNECTIONS, PARTS * PART);
}

/* step: both ask at once. A signal makes the service ask; meanwhile it is asked. */
static void answer_question(struct connection *c, tofu_msg *msg)
{
	expect(msg, TOFU_REQUEST);
	compare(msg, USUAL);
	tofu_msg_header(msg)->opcode = TOFU_RESPONSE;
	count(c->side, msg);
	post(&clients, msg);
	c->side->questions++;
}

static void ask_both_ways(void)
{
	int each_way = transports * CONNECTIONS * QUESTIONS;

	step("both ask at once");
	for (int i = 0; i < transports * CONNECTIONS; i++) {
		struct connection *c = &sides[i % transports].connections[i / transports];
		tofu_msg *msg = new_message(&clients, TOFU_SIGNAL, c->channel);

		must(tofu_msg_headers_add(msg, "ask me", "please"), "no memory");
		count(c->side, msg);
		post(&clients, msg);
		for (int k = 0; k < QUESTIONS; k++)
			send_new(c, TOFU_REQUEST, USUAL, false);
	}
	for (int i = 0; i < 2 * each_way; i++) {
		struct connection *c;
		tofu_msg *msg = next(&c);

		if (tofu_msg_header(msg)->opcode == TOFU_RESPONSE) {
			expect_echo(c, msg, TOFU_RESPONSE, USUAL);
			c->side->answers++;
			tofu_msg_put(&msg);
		} else {
			answer_question(c, msg);
		}
	}
	printf("%d questions each way\n", each_way);
}

/* step: somebody who does not speak the protocol, with the helpers that a transport is made of. It is turned away. */
static uint64_t refused(void)
{
	struct tofu_stats stats = { .size = sizeof stats };

	must(tofu_engine_stats(service.engine, &stats), "no statistics");
	return stats.frames_refused;
}

static void pause_1ms(void)
{
	tofu_msg *msg;
	enum tofu_status status = tofu_receive(clients.group, &msg, MS);

	if (status != TOFU_TIMEOUT)
		die(status, "something came that nobody sent");
}

static void intrude(void)
{
	static char text[] = "GET / HTTP/1.1\r\nHost: tofu\r\n\r\n";
	struct tofu_iov iov = { text, sizeof text - 1 };
	const char *port = strrchr(sides[0].address, '|') + 1;
	struct tofu_sockaddr to;
	size_t done;
	intptr_t intruder;
	enum tofu_status status;

	step("an intruder");
	must(tofu_sockaddr_inet("127.0.0.1", (uint16_t)strtoul(port, NULL, 10), 0, &to, 1, &done), "no address");
	status = tofu_socket_connect(&to, &intruder);
	for (int64_t until = tofu_host_now_ns() + PATIENCE; status == TOFU_WOULD_BLOCK && tofu_host_now_ns() < until;
	     pause_1ms())
		status = tofu_socket_connect_result(intruder);
	must(status, "cannot intrude");
	must(tofu_socket_send(intruder, &iov, 1, &done), "cannot intrude");
	for (int64_t until = tofu_host_now_ns() + PATIENCE; refused() == 0 && tofu_host_now_ns() < until;)
		pause_1ms();
	tofu_socket_close(intruder, TOFU_CLOSE_ORDERLY);
	if (refused() != 1)
		die(TOFU_OK, "the intruder was let in");
	printf("spoke HTTP, was refused\n");
}

/* step: bye. It goes out behind everything else, is answered, and then the channel closes: the last word on it. */
static void say_bye(void)
{
	int closed = 0;

	step("bye");
	for (int i = 0; i < transports * CONNECTIONS; i++) {
		struct connection *c = &sides[i % transports].connections[i / transports];
		tofu_msg *msg = new_message(&clients, TOFU_BYE_REQUEST, c->channel);

		count(c->side, msg);
		post(&clients, msg);
	}
	while (closed < transports * CONNECTIONS) {
		tofu_msg *msg = receive(&clients, "no bye");
		const struct tofu_header *h = tofu_msg_header(msg);
		struct side *s = connection_of[h->channel]->side;

		if (h->opcode == TOFU_BYE_RESPONSE && h->status == TOFU_OK) {
			count(s, msg);
			s->byes++;
		} else if (h->status == TOFU_CHANNEL_CLOSED) {
			closed++;
		} else {
			die(h->status, "bye");
		}
		tofu_msg_put(&msg);
	}
	printf("%d connections closed\n", closed);
}

/* the table */

/* 1234567 as 1,234,567. Text in one of a few buffers, so that a line can have several. */
static const char *grouped(uint64_t n)
{
	static char buffers[4][32];
	static int at;
	char digits[24], *out = buffers[at = (at + 1) % 4];
	int len = snprintf(digits, sizeof digits, "%" PRIu64, n);

	for (int i = 0; i < len; i++) {
		*out++ = digits[i];
		if (i < len - 1 && (len - 1 - i) % 3 == 0)
			*out++ = ',';
	}
	*out = '\0';
	return buffers[at];
}

static void row(const char *name, uint64_t tcp, uint64_t uds)
{
	printf("  %-28s%14s%14s%14s\n", name, grouped(tcp), transports == TRANSPORTS ? grouped(uds) : "-",
	       grouped(tcp + uds));
}

static void row_of_times(const char *name, double tcp_us, double uds_us)
{
	printf("  %-28s%11.1f us", name, tcp_us);
	if (transports == TRANSPORTS)
		printf("%11.1f us\n", uds_us);
	else
		printf("%14s\n", "-");
}

static void rule(void)
{
	printf("  ----------------------------------------------------------------------\n");
}

static void print_table(const struct side *tcp, const struct side *uds)
{
	printf("\n  %-28s%14s%14s%14s\n", "", tcp->name, uds->name, "total");
	rule();
	row("connections", tcp->hellos, uds->hellos);
	row("requests answered", tcp->answers, uds->answers);
	row("signals echoed", tcp->signals, uds->signals);
	row("parts of streams", tcp->parts, uds->parts);
	row("questions of the service", tcp->questions, uds->questions);
	row("byes", tcp->byes, uds->byes);
	rule();
	row("messages, both ways", tcp->messages, uds->messages);
	row("bytes of bodies, both ways", tcp->bytes, uds->bytes);
	row_of_times("round trip, p50", tcp->p50_us, uds->p50_us);
	row_of_times("round trip, p99", tcp->p99_us, uds->p99_us);
	printf("  %-28s%14s%14s\n", "answers a second, full load", grouped((uint64_t)tcp->rate),
	       transports == TRANSPORTS ? grouped((uint64_t)uds->rate) : "-");
	rule();
}

/* What one engine has sent, the other has received: the engines' own count, not ours. */
static bool print_verdict(void)
{
	struct tofu_stats a = { .size = sizeof a }, b = { .size = sizeof b };
	uint64_t sent, received, returned, expected = (uint64_t)transports * CONNECTIONS * QUESTIONS;
	bool right;

	must(tofu_engine_stats(service.engine, &a), "no statistics");
	must(tofu_engine_stats(clients.engine, &b), "no statistics");
	sent = a.messages_sent + b.messages_sent;
	received = a.messages_received + b.messages_received;
	returned = a.messages_returned + b.messages_returned;
	returned -= (uint64_t)(TRANSPORTS - transports); /* the request to listen where nobody can */
	right = sent == received && sent == sides[0].messages + sides[1].messages && returned == 0 &&
	        service_answers == expected;
	printf("  the engines: %s messages sent, %s received, lost %s, returned %s\n", grouped(sent), grouped(received),
	       grouped(sent > received ? sent - received : 0), grouped(returned));
	printf("  %s\n", right ? "all right: every byte was compared" : "NOT right: the numbers do not agree");
	return right;
}

int main(void)
{
	struct tofu_host_thread *thread;
	bool right;

	must(tofu_init(), "cannot start");
	open_party(&service);
	open_party(&clients);
	listen_on_all();
	printf("tofu %s: one service at %s, one group, one thread\n\n", tofu_version(),
	       transports == TRANSPORTS ? "two addresses" : "one address");
	for (struct side *s = sides; s < sides + transports; s++)
		printf("  listening                   %s\n", s->address);
	if (transports < TRANSPORTS)
		printf("  no Unix sockets             this system has none for us: all of it over TCP\n");
	thread = tofu_host_thread_start(run_service, NULL);
	if (thread == NULL)
		die(TOFU_OK, "no thread");

	say_hello();
	for (struct side *s = sides; s < sides + transports; s++) {
		measure_round_trips(s);
		measure_full_load(s);
	}
	send_signals();
	send_streams();
	ask_both_ways();
	intrude();
	say_bye();

	must(tofu_update_receiver(service.group, NULL), "cannot stop the service");
	tofu_host_thread_join(thread);
	print_table(&sides[0], &sides[1]);
	right = print_verdict();
	close_party(&clients);
	close_party(&service);
	tofu_deinit();
	return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
