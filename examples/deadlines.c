/* SPDX-License-Identifier: MIT */

/*
 * A client that does not wait for ever: each question has a deadline, is asked once more when that is over, and is given up
 * after the third time. Answers come in any order, and perhaps twice: the id says which question they belong to, and whether
 * anybody still waits.
 *
 * The server of this program keeps the first question to itself until all others are answered, overhears another one once, and
 * a third one always. Both parties share a group and are told apart by the channel.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "../tools/host.h" /* a clock that never goes back */

#define DEADLINE_NS INT64_C(200000000)

enum { QUESTIONS = 6, TRIES = 3, KEPT = 0, OVERHEARD_ONCE = 2, OVERHEARD = 4 };

struct question {
	uint64_t id;
	int tries;
	int64_t deadline_ns; /* 0: nobody waits for it any more */
};

static tofu_engine *engine;
static tofu_group *group;
static uint16_t client; /* its channel */
static struct question questions[QUESTIONS];
static int answered, given_up;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "deadlines: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

/* Once more with the same id: whichever answer comes first is the answer. So a question has to do no harm when done twice. */
static void ask(int number)
{
	struct question *q = &questions[number];
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	tofu_msg_header(msg)->channel = client;
	tofu_msg_header(msg)->id = q->id;
	must(tofu_msg_body_set(msg, &number, sizeof number), "cannot ask");
	must(tofu_post(group, &msg, NULL), "cannot ask");
	q->tries++;
	q->deadline_ns = tofu_host_now_ns() + DEADLINE_NS;
}

/* Until the next deadline; -1: there is none. */
static int64_t patience(void)
{
	int64_t next_ns = INT64_MAX, now_ns = tofu_host_now_ns();

	for (int i = 0; i < QUESTIONS; i++)
		if (questions[i].deadline_ns != 0 && questions[i].deadline_ns < next_ns)
			next_ns = questions[i].deadline_ns;
	if (next_ns == INT64_MAX)
		return -1;
	return next_ns > now_ns ? next_ns - now_ns : 0;
}

static void look_at_deadlines(void)
{
	int64_t now_ns = tofu_host_now_ns();

	for (int i = 0; i < QUESTIONS; i++) {
		struct question *q = &questions[i];

		if (q->deadline_ns == 0 || q->deadline_ns > now_ns)
			continue;
		if (q->tries < TRIES) {
			printf("question %d: no answer, once more\n", i);
			ask(i);
		} else {
			printf("question %d: given up\n", i);
			q->deadline_ns = 0;
			given_up++;
		}
	}
}

static void answer_came(const struct tofu_header *h)
{
	for (int i = 0; i < QUESTIONS; i++) {
		if (questions[i].id != h->id)
			continue;
		printf("question %d: %s\n", i, questions[i].deadline_ns != 0 ? "answered" : "answered again, too late");
		answered += questions[i].deadline_ns != 0;
		questions[i].deadline_ns = 0;
	}
}

static void answer(tofu_msg **msg)
{
	tofu_msg_header(*msg)->opcode = TOFU_RESPONSE;
	must(tofu_post(group, msg, NULL), "cannot answer");
}

/* The server: a question came. */
static void serve(tofu_msg **msg)
{
	static tofu_msg *kept;
	static bool overheard;
	size_t len;
	int number;

	memcpy(&number, tofu_msg_body(*msg, &len), sizeof number);
	if (number == KEPT && kept == NULL) {
		kept = *msg;
		*msg = NULL;
	} else if (number == OVERHEARD || (number == OVERHEARD_ONCE && !overheard)) {
		overheard = overheard || number == OVERHEARD_ONCE;
	} else {
		answer(msg);
		if (number == QUESTIONS - 1 && kept != NULL)
			answer(&kept);
	}
}

static void dispatch(tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	must(h->status, "bad news");
	switch (h->opcode) {
	case TOFU_HELLO_REQUEST:
		h->opcode = TOFU_HELLO_RESPONSE;
		must(tofu_post(group, msg, NULL), "cannot say hello");
		break;
	case TOFU_HELLO_RESPONSE:
		for (int i = 0; i < QUESTIONS; i++) {
			questions[i].id = tofu_next_id();
			ask(i);
		}
		break;
	case TOFU_REQUEST:
		serve(msg);
		break;
	case TOFU_RESPONSE:
		answer_came(h);
		break;
	default:
		must(TOFU_INVALID_OP_CODE, "not what was expected");
	}
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

int main(void)
{
	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	join();
	while (answered + given_up < QUESTIONS) {
		tofu_msg *msg;
		enum tofu_status status = tofu_receive(group, &msg, patience());

		if (status == TOFU_OK) {
			dispatch(&msg);
			tofu_msg_put(&msg); /* NULL if it was posted */
		} else if (status != TOFU_TIMEOUT) {
			must(status, "cannot receive");
		}
		look_at_deadlines(); /* also when much comes in, for then no receive ever times out */
	}
	printf("%d answered, %d given up\n", answered, given_up);

	tofu_group_destroy(group);
	tofu_engine_destroy(engine);
	tofu_deinit();
}
