/* SPDX-License-Identifier: MIT */

/*
 * worker_pool boss [ADDRESS]: hands out jobs to the workers that call, one at a time to each, until all are done.
 * worker_pool work ADDRESS: a worker. Start as many as you like, whenever you like.
 * worker_pool hang ADDRESS: a worker that takes a job and never ends it.
 *
 * A worker may be killed at any time. The boss learns it by the last word on the worker's channel, and the job goes to another
 * one. So a job may be done twice, when its worker dies between the work and the answer: jobs have to be such that this does no
 * harm. A worker that hangs is not noticed here: give its job a deadline (deadlines.c) or the engine a receive_timeout_ms.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

enum { JOBS = 20, CHANNELS = 65536 };

enum state { WAITING, GIVEN, DONE };

static tofu_engine *engine;
static tofu_group *group;

static void must(enum tofu_status status, const char *what)
{
	if (status == TOFU_OK)
		return;
	fprintf(stderr, "worker_pool: %s: %s\n", what, tofu_strerror(status));
	exit(EXIT_FAILURE);
}

static void say(const char *before, uint64_t number, const char *after)
{
	printf("%s%" PRIu64 "%s\n", before, number, after);
	fflush(stdout); /* somebody may read this by a pipe, while we go on */
}

static tofu_msg *message(void)
{
	tofu_msg *msg;

	must(tofu_msg_get(engine, TOFU_ALWAYS, &msg), "no message");
	return msg;
}

static uint64_t number_in(const tofu_msg *msg)
{
	char text[24];
	size_t len;
	const char *body = tofu_msg_body(msg, &len);

	snprintf(text, sizeof text, "%.*s", len < sizeof text ? (int)len : 0, body);
	return strtoull(text, NULL, 10);
}

static void set_number(tofu_msg *msg, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	must(tofu_msg_body_set(msg, text, strlen(text)), "cannot fill");
}

/* --- the boss --- */

static enum state states[JOBS];
static int job_of[CHANNELS];   /* what the worker on that channel has, counted from 1; 0: nothing */
static bool is_idle[CHANNELS]; /* a worker that has nothing to do */
static int done;
static uint64_t sum;

static int waiting_job(void)
{
	int job = 0;

	while (job < JOBS && states[job] != WAITING)
		job++;
	return job;
}

/* Something for a worker to do, if there is something. */
static void give(uint16_t channel)
{
	int job = waiting_job();
	tofu_msg *msg;

	is_idle[channel] = job == JOBS;
	if (job == JOBS)
		return;
	msg = message();
	tofu_msg_header(msg)->channel = channel;
	set_number(msg, (uint64_t)job + 1);
	if (tofu_post(group, &msg, NULL) != TOFU_OK) { /* it has gone, and its last word is on the way */
		tofu_msg_put(&msg);
		return;
	}
	states[job] = GIVEN;
	job_of[channel] = job + 1;
}

static void take_result(tofu_msg *msg)
{
	uint16_t channel = tofu_msg_header(msg)->channel;
	int job = job_of[channel];

	if (job == 0)
		return; /* an answer to nothing: peers may say what they like */
	states[job - 1] = DONE;
	job_of[channel] = 0;
	done++;
	sum += number_in(msg);
}

/* A worker is gone, whatever the cause; what it had waits again, and somebody who is idle gets it. */
static void lose(uint16_t channel)
{
	int job = job_of[channel];

	is_idle[channel] = false;
	job_of[channel] = 0;
	if (job == 0)
		return;
	say("a worker has gone, job ", (uint64_t)job, " waits again");
	states[job - 1] = WAITING;
	for (uint32_t other = 0; other < CHANNELS; other++)
		if (is_idle[other]) {
			give((uint16_t)other);
			return;
		}
}

static void listening(const tofu_msg *msg)
{
	size_t len;
	const char *actual = tofu_msg_headers_find(msg, "~listen_on", &len);

	printf("listening on %.*s\n", (int)len, actual);
	fflush(stdout);
}

static void dispatch(tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);
	uint16_t channel = h->channel;

	if (h->status == TOFU_CHANNEL_CLOSED && h->reason != TOFU_OK) {
		lose(channel); /* the last word */
		return;
	}
	if (h->origin == TOFU_ORIGIN_ENGINE && h->opcode != TOFU_WELCOME_RESPONSE)
		return; /* what we posted to a worker that has gone comes back: its last word follows */
	switch (h->opcode) {
	case TOFU_WELCOME_RESPONSE:
		must(h->status, "cannot listen");
		listening(*msg);
		break;
	case TOFU_HELLO_REQUEST:
		h->opcode = TOFU_HELLO_RESPONSE;
		tofu_post(group, msg, NULL); /* fails if it has gone already */
		give(channel);
		break;
	case TOFU_RESPONSE:
		take_result(*msg);
		give(channel);
		break;
	case TOFU_BYE_REQUEST:
		h->opcode = TOFU_BYE_RESPONSE;
		tofu_post(group, msg, NULL);
	}
}

static void boss(const char *address)
{
	tofu_msg *msg = message();

	must(tofu_msg_listen_on(msg, address), address);
	must(tofu_post(group, &msg, NULL), address);
	while (done < JOBS) {
		must(tofu_receive(group, &msg, -1), "cannot receive");
		dispatch(&msg);
		tofu_msg_put(&msg); /* NULL if it was posted */
	}
	say("all jobs are done, the sum of their results is ", sum, "");
}

/* --- a worker --- */

/* The work: how many steps does the number take to 1, if it is halved when it is even, else tripled and one added? */
static uint64_t steps(uint64_t number)
{
	uint64_t count = 0;

	for (; number > 1; count++)
		number = number % 2 == 0 ? number / 2 : 3 * number + 1;
	return count;
}

/* Until the boss goes, which is how this worker learns that there is no more to do. */
static void work(const char *address, bool hang)
{
	tofu_msg *msg = message();

	must(tofu_msg_connect_to(msg, address), address);
	must(tofu_post(group, &msg, NULL), address);
	for (;; tofu_msg_put(&msg)) {
		must(tofu_receive(group, &msg, -1), "cannot receive");
		struct tofu_header *h = tofu_msg_header(msg);

		if (h->status == TOFU_CHANNEL_CLOSED && h->reason != TOFU_OK) {
			tofu_msg_put(&msg);
			return;
		}
		if (h->opcode == TOFU_HELLO_RESPONSE)
			must(h->status, address);
		if (h->opcode != TOFU_REQUEST || h->origin == TOFU_ORIGIN_ENGINE)
			continue;
		say("job ", number_in(msg), "");
		if (hang)
			continue;
		set_number(msg, steps(number_in(msg)));
		h->opcode = TOFU_RESPONSE; /* on the same channel, with the same id */
		tofu_post(group, &msg, NULL);
	}
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "boss";
	const char *address = argc > 2 ? argv[2] : "tcp|127.0.0.1|7099";

	must(tofu_init(), "cannot start");
	must(tofu_engine_create(NULL, &engine), "no engine");
	must(tofu_engine_register(engine, tofu_tcp()), "no tcp");
	must(tofu_group_create(engine, &group), "no group");
	if (strcmp(role, "boss") == 0)
		boss(address);
	else
		work(address, strcmp(role, "hang") == 0);

	tofu_group_destroy(group); /* with its channels: who is at the other end sees a disconnect */
	tofu_engine_destroy(engine);
	tofu_deinit();
}
