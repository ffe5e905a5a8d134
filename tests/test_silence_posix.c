/* SPDX-License-Identifier: MIT */

/*
 * The peer's process is stopped (SIGSTOP), and its system is not: connections are accepted, bytes are taken in and acknowledged,
 * and nobody answers. What of it each time-out notices, and that without one all goes on when the process does. The peer is this
 * program again, which answers what it is sent.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/steps.h"

enum { SHORT_MS = 300, REQUESTS = 200 };

/* --- the other process --- */

struct other {
	struct os_process process;
	char address[600];
};

/* what: "tcp" or "uds", and its receive_timeout_ms. */
static void other_start(struct other *o, int transport, uint32_t receive_timeout_ms)
{
	char what[64];

	(void)snprintf(what, sizeof what, "%s %" PRIu32, over_scheme(transport), receive_timeout_ms);
	must(os_spawn_self(&o->process, "serve", what), "no process");
	must(os_read_line(&o->process, o->address, sizeof o->address, PATIENCE_NS), "the server says nothing");
}

static void stop(const struct other *o)
{
	int status;

	must(kill((pid_t)o->process.id, SIGSTOP) == 0, "SIGSTOP");
	must(waitpid((pid_t)o->process.id, &status, WUNTRACED) == o->process.id && WIFSTOPPED(status), "it goes on");
}

static void go_on(const struct other *o)
{
	must(kill((pid_t)o->process.id, SIGCONT) == 0, "SIGCONT");
}

static void other_end(struct other *o)
{
	os_kill(&o->process);
	ck_assert_int_eq(os_reap(&o->process), -1);
	if (strncmp(o->address, "uds|", 4) == 0)
		os_file_remove(path_of(o->address));
}

/* Answer for ever. */
static int serve(const char *what)
{
	struct tofu_options options;
	char scheme[8] = "";
	struct side side;
	struct listening at;

	(void)prctl(PR_SET_PDEATHSIG,
	            SIGKILL); /* a test that fails leaves nobody behind, and least of all one that is stopped */
	tofu_options_init(&options, sizeof options);
	must(sscanf(what, "%7s %" SCNu32, scheme, &options.receive_timeout_ms) == 2, "serve what?");
	side = side_in(engine_up(&options));
	listen_over(&side, over_of(scheme), &at);
	printf("%s\n", at.address);
	(void)fflush(stdout);
	for (;;) {
		tofu_msg *msg;
		int answer = -1;

		if (tofu_receive(side.group, &msg, -1) != TOFU_OK)
			return 1;
		if (tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION)
			answer = tofu_opcode_echo(tofu_msg_header(msg)->opcode);
		if (answer >= 0) {
			tofu_msg_header(msg)->opcode = (uint8_t)answer;
			(void)tofu_post(side.group, &msg, NULL);
		}
		tofu_msg_put(&msg);
	}
}

/* --- this one --- */

struct caller {
	struct other other;
	struct side side;
	struct tofu_header hello;
	int64_t since_ns; /* when the other process was stopped */
};

/* Call it, if it is there to answer, and then stop it. */
static void caller_open(struct caller *c, int transport, const struct tofu_options *options, bool calls)
{
	tofu_msg *msg;

	other_start(&c->other, transport, 0);
	c->side = side_in(engine_up(options));
	if (calls) {
		c->hello = call(&c->side, c->other.address, "hello");
		msg = expect_peer(&c->side, TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
	}
	stop(&c->other);
	c->since_ns = tofu_plat_now_ns();
}

static void caller_close(struct caller *c)
{
	engine_down(c->side.engine);
	other_end(&c->other);
}

static void it_took(const struct caller *c, uint32_t least_ms)
{
	int64_t took_ms = (tofu_plat_now_ns() - c->since_ns) / TOFU_NS_PER_MS;

	printf("noticed after %" PRId64 " ms, of %" PRIu32 "\n", took_ms, least_ms);
	/* The last byte may have come a moment before the process was stopped. */
	must(took_ms >= least_ms / 2, "that was early");
}

static void passes(const struct side *side, int64_t ns)
{
	tofu_msg *msg;

	must(tofu_receive(side->group, &msg, ns) == TOFU_TIMEOUT, "%s", describe(msg));
}

static void requests_go(const struct caller *c)
{
	for (uint64_t i = 1; i <= REQUESTS; i++)
		say(&c->side, c->hello.channel, TOFU_REQUEST, i, "still there?");
}

static void responses_come(const struct caller *c)
{
	for (uint64_t i = 1; i <= REQUESTS; i++) {
		tofu_msg *msg =
			expect_on(&c->side, c->hello.channel, i, TOFU_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);

		tofu_msg_put(&msg);
	}
}

START_TEST(a_hello_to_a_stopped_process_is_answered_with_timeout)
{
	struct tofu_options options = options_with_pool(64);
	struct caller c;

	options.handshake_timeout_ms = SHORT_MS;
	caller_open(&c, _i, &options, false);
	call_fails(&c.side, c.other.address, TOFU_TIMEOUT);
	it_took(&c, SHORT_MS);
	caller_close(&c);
}
END_TEST

START_TEST(a_bye_to_a_stopped_process_ends_with_timeout)
{
	struct tofu_options options = options_with_pool(64);
	struct caller c;

	options.bye_timeout_ms = SHORT_MS;
	caller_open(&c, _i, &options, true);
	say(&c.side, c.hello.channel, TOFU_BYE_REQUEST, 0, NULL);
	expect_end(&c.side, c.hello.channel, c.hello.id, TOFU_TIMEOUT);
	it_took(&c, SHORT_MS);
	expect_silence(&c.side);
	caller_close(&c);
}
END_TEST

START_TEST(a_stopped_process_is_given_up_when_nothing_was_received_for_so_long)
{
	struct tofu_options options = options_with_pool(64);
	struct caller c;

	options.receive_timeout_ms = 1000; /* it has to answer the hello, too */
	caller_open(&c, _i, &options, true);
	requests_go(&c); /* its system takes them */
	expect_end(&c.side, c.hello.channel, c.hello.id, TOFU_TIMEOUT);
	it_took(&c, options.receive_timeout_ms);
	expect_silence(&c.side);
	caller_close(&c);
}
END_TEST

START_TEST(without_a_time_a_stopped_process_loses_nothing)
{
	struct caller c;

	caller_open(&c, _i, NULL, true);
	requests_go(&c);
	passes(&c.side, TOFU_NS_PER_S);
	go_on(&c.other);
	responses_come(&c);
	caller_close(&c);
}
END_TEST

/* It is stopped for longer than it waits for us. What we said lies there when it goes on. */
START_TEST(a_process_that_was_stopped_does_not_give_up_those_who_spoke)
{
	struct caller c;
	tofu_msg *msg;

	other_start(&c.other, _i, 1000);
	c.side = side_in(engine_up(NULL));
	c.hello = call(&c.side, c.other.address, "hello");
	msg = expect_peer(&c.side, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	stop(&c.other);
	requests_go(&c);
	passes(&c.side, 3 * TOFU_NS_PER_S / 2);
	go_on(&c.other);
	responses_come(&c);
	expect_end(&c.side, c.hello.channel, c.hello.id, TOFU_PEER_DISCONNECTED); /* we say nothing more */
	caller_close(&c);
}
END_TEST

static Suite *suite_of_silence(void)
{
	Suite *suite = suite_create("silence_posix");
	TCase *given_up = suite_case(suite, "given up", 30), *goes_on = suite_case(suite, "goes on", 30);

	over_sockets_add(given_up, a_hello_to_a_stopped_process_is_answered_with_timeout, 1);
	over_sockets_add(given_up, a_bye_to_a_stopped_process_ends_with_timeout, 1);
	over_sockets_add(given_up, a_stopped_process_is_given_up_when_nothing_was_received_for_so_long, 1);
	over_sockets_add(goes_on, without_a_time_a_stopped_process_loses_nothing, 1);
	over_sockets_add(goes_on, a_process_that_was_stopped_does_not_give_up_those_who_spoke, 1);
	return suite;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	return harness_run(suite_of_silence());
}
