/* SPDX-License-Identifier: MIT */

/*
 * Connections that come and go: a thousand rounds, a client that is earlier than its server, a server that is restarted
 * under its client, and all of that on four threads at once.
 */

#include "lib/steps.h"

enum { ROUNDS = 1000 };

/* Server and client in turn, on the caller's thread. */
static void rounds_on_one_thread(int transport)
{
	struct pair p;
	tofu_engine *engine = engine_up(NULL);

	p.server = side_in(engine);
	p.client = side_in(engine);
	listen_over(&p.server, transport, &p.at);
	for (unsigned i = 0; i < rounds(ROUNDS); i++) {
		pair_meet(&p);
		pair_talk(&p);
		pair_bye(&p);
	}
	expect_silence(&p.client);
	expect_silence(&p.server);
	must(connections_of(engine) == 0, "connections are left");
	eventually(stats_of(engine).messages_out == 0);
	engine_down(engine);
}

static void one_round(const struct side *side, const char *address)
{
	struct tofu_header hello = call(side, address, "hello"), h;
	tofu_msg *msg = expect_on(side, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);

	tofu_msg_put(&msg);
	h = say(side, hello.channel, TOFU_REQUEST, 0, "a question");
	msg = expect_on(side, hello.channel, h.id, TOFU_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	must(says(msg, "a question"), "the body changed");
	tofu_msg_put(&msg);
	h = say(side, hello.channel, TOFU_BYE_REQUEST, 0, NULL);
	msg = expect_on(side, hello.channel, h.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(side, hello.channel, hello.id);
}

static void rounds_on_two_threads(int transport)
{
	struct echo echo;
	tofu_engine *client = engine_up(NULL);
	struct side side = side_in(client);

	echo_start(&echo, engine_up(NULL));
	for (unsigned i = 0; i < rounds(ROUNDS); i++)
		one_round(&side, echo.at[transport].address);
	expect_silence(&side);
	must(connections_of(client) == 0, "connections are left");
	echo_stop(&echo);
	must(echo.answered == 3 * rounds(ROUNDS), "%lu answers", (unsigned long)echo.answered);
	engine_down(client);
	engine_down(echo.side.engine);
}

/* Tries until the server is up; each failure is told in the same way. */
static void client_before_server(int transport)
{
	const enum tofu_status nobody = over_nobody(transport);
	struct pair p;
	tofu_engine *engine = engine_up(NULL);
	char address[300];

	p.server = side_in(engine);
	p.client = side_in(engine);
	vacant_address(transport, address, sizeof address);
	for (int i = 0; i < 10; i++)
		call_fails(&p.client, address, nobody);
	listen_at(&p.server, address, &p.at);
	pair_meet(&p);
	pair_talk(&p);
	pair_bye(&p);
	engine_down(engine);
}

static void server_restarted(int transport)
{
	tofu_engine *client = engine_up(NULL), *server;
	struct pair p;
	char address[300];

	p.client = side_in(client);
	vacant_address(transport, address, sizeof address);
	for (int i = 0; i < 10; i++) {
		server = engine_up(NULL);
		p.server = side_in(server);
		listen_at(&p.server, address, &p.at);
		pair_meet(&p);
		pair_talk(&p);
		engine_down(server);
		expect_end(&p.client, p.client_channel, p.hello, TOFU_PEER_DISCONNECTED);
	}
	expect_silence(&p.client);
	engine_down(client);
}

START_TEST(a_thousand_rounds_on_one_thread)
{
	rounds_on_one_thread(_i);
}
END_TEST

START_TEST(a_thousand_rounds_on_two_threads)
{
	rounds_on_two_threads(_i);
}
END_TEST

START_TEST(a_client_may_be_earlier_than_its_server)
{
	client_before_server(_i);
}
END_TEST

START_TEST(a_server_may_be_restarted_under_its_client)
{
	server_restarted(_i);
}
END_TEST

struct at_once {
	void (*what)(int transport);
	int transport;
	struct tofu_thread thread;
};

static void run_at_once(void *context)
{
	struct at_once *a = context;

	a->what(a->transport);
}

START_TEST(all_of_this_at_once)
{
	struct at_once all[] = { { .what = rounds_on_one_thread },
		                 { .what = rounds_on_two_threads },
		                 { .what = client_before_server },
		                 { .what = server_restarted } };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		all[i].transport = over_some((int)i + _i);
		ck_status(tofu_thread_start(&all[i].thread, run_at_once, &all[i]), TOFU_OK);
	}
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		tofu_thread_join(&all[i].thread);
}
END_TEST

static Suite *suite_of_reconnect(void)
{
	Suite *suite = suite_create("reconnect");
	TCase *tc = suite_case(suite, "reconnect", 60);

	over_add(tc, a_thousand_rounds_on_one_thread, 1);
	over_add(tc, a_thousand_rounds_on_two_threads, 1);
	over_add(tc, a_client_may_be_earlier_than_its_server, 1);
	over_add(tc, a_server_may_be_restarted_under_its_client, 1);
	over_add(tc, all_of_this_at_once, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_reconnect());
}
