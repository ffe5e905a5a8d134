/* SPDX-License-Identifier: MIT */

/*
 * A peer's host is gone without a word. This side looks at what it sent until that is acknowledged. The first cases show when it
 * looks and what follows, with a transport that answers as the test says. The TCP cases show that a live peer is never taken for
 * dead. test_dead_link_posix.c cuts a real link.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/raw.h"
#include "lib/steps.h"

/* --- when it is asked --- */

static atomic_int looks;
static atomic_int looks_until_settled;
static atomic_uint waited; /* what the last look was told */
static atomic_bool dead;

static enum tofu_status told_look(const struct tofu_transport *t, struct tofu_link *link, uint32_t waited_ms,
                                  int *settled)
{
	atomic_fetch_add(&looks, 1);
	atomic_store(&waited, waited_ms);
	*settled = atomic_fetch_sub(&looks_until_settled, 1) <= 1;
	return atomic_load(&dead) ? TOFU_PEER_DISCONNECTED : TOFU_OK;
}

/* A client over such a transport, whose hello was looked at and is settled. */
static void meet(struct pair *p)
{
	static struct tofu_transport told;
	char address[600];
	struct tofu_header hello;
	tofu_msg *msg;

	atomic_store(&looks, 0);
	atomic_store(&looks_until_settled, 0);
	atomic_store(&dead, false);
	memset(p, 0, sizeof *p);
	p->descriptors = os_descriptors();
	p->server = side_in(engine_up(NULL));
	p->client = side_in(engine_up(NULL));
	told = *tofu_tcp();
	told.scheme = "told";
	told.look = told_look;
	told.look_ms = 2;
	works(tofu_engine_register(p->client.engine, &told));
	listen_over(&p->server, OVER_TCP, &p->at);
	(void)snprintf(address, sizeof address, "told|%s", path_of(p->at.address));
	hello = call(&p->client, address, "hello");
	p->client_channel = hello.channel;
	p->hello = hello.id;
	msg = expect_peer(&p->server, TOFU_HELLO_REQUEST);
	p->server_channel = tofu_msg_header(msg)->channel;
	(void)answer(&p->server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&p->client, TOFU_HELLO_RESPONSE);
	tofu_msg_put(&msg);
	eventually(atomic_load(&looks) == 1);
}

START_TEST(it_is_looked_at_until_all_is_acknowledged_and_not_again)
{
	struct pair p;
	tofu_msg *msg;

	meet(&p);
	atomic_store(&looks, 0);
	atomic_store(&looks_until_settled, 3);
	(void)say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "");
	msg = expect_peer(&p.server, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	eventually(atomic_load(&looks) == 3);
	comes_to_rest(&p.client, 50 * TOFU_NS_PER_MS); /* 25 times the time of a look */
	ck_assert_int_eq(atomic_load(&looks), 3);
	pair_close(&p);
}
END_TEST

/* Whoever writes it: the engine's thread, or one that posts while that sleeps. */
START_TEST(each_message_after_a_rest_is_looked_at)
{
	struct pair p;
	tofu_msg *msg;

	meet(&p);
	for (int i = 1; i <= 20; i++) {
		atomic_store(&looks, 0);
		(void)say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "");
		msg = expect_peer(&p.server, TOFU_SIGNAL);
		tofu_msg_put(&msg);
		eventually(atomic_load(&looks) > 0);
		comes_to_rest(&p.client, 10 * TOFU_NS_PER_MS);
	}
	pair_close(&p);
}
END_TEST

START_TEST(the_time_that_is_awaited_begins_with_the_first_look)
{
	struct pair p;

	meet(&p);
	ck_assert_uint_eq(atomic_load(&waited), 2);
	for (int i = 0; i < 2; i++) {
		atomic_store(&looks, 0);
		atomic_store(&looks_until_settled, 5);
		(void)say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "");
		eventually(atomic_load(&looks) == 5);
		ck_assert_uint_eq(atomic_load(&waited), 5 * 2);
	}
	pair_close(&p);
}
END_TEST

START_TEST(a_peer_that_answers_no_more_ends_its_channel)
{
	struct pair p;

	meet(&p);
	atomic_store(&dead, true);
	(void)say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "");
	expect_end(&p.client, p.client_channel, p.hello, TOFU_PEER_DISCONNECTED);
	ck_status(try_say(&p.client, p.client_channel, TOFU_SIGNAL, 0, ""), TOFU_CHANNEL_CLOSED);
	pair_close(&p);
}
END_TEST

/* --- TCP --- */

static atomic_int tcp_looks;

static enum tofu_status counted_look(const struct tofu_transport *t, struct tofu_link *link, uint32_t waited_ms,
                                     int *settled)
{
	atomic_fetch_add(&tcp_looks, 1);
	return tofu_tcp()->look(t, link, waited_ms, settled);
}

/* Its window is closed for four times as long as a dead one may be silent. */
START_TEST(a_peer_that_does_not_read_is_not_dead)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_tcp_options o;
	struct tofu_transport *t;
	struct tofu_header hello;
	struct raw peer;
	char address[600], real[600];
	intptr_t listener = raw_listen(OVER_TCP, real, sizeof real);
	uint64_t end;

	tofu_tcp_options_init(&o, sizeof o);
	o.scheme = "brief";
	o.dead_after_ms = 1000;
	works(tofu_tcp_create(&o, &t));
	t->look = counted_look;
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	(void)snprintf(address, sizeof address, "brief|%s", path_of(real));
	hello = call(&side, address, "hello");
	raw_accept(&peer, listener);
	(void)raw_expect(&peer, TOFU_HELLO_REQUEST);
	end = fill_queue(&side, hello.channel, 0, 60000);
	eventually(atomic_load(&tcp_looks) >= 8);
	eventually(atomic_load(&tcp_looks) >= 16);
	for (uint64_t i = 0; i < end; i++) {
		struct raw_frame frame = raw_expect(&peer, TOFU_REQUEST);

		must(number_in(frame.body, frame.body_len) == i, "out of order");
	}
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

START_TEST(less_than_a_second_is_not_allowed)
{
	struct tofu_tcp_options o;
	struct tofu_transport *t;

	tofu_tcp_options_init(&o, sizeof o);
	o.dead_after_ms = 999;
	ck_status(tofu_tcp_create(&o, &t), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(t);
}
END_TEST

START_TEST(never_means_that_nothing_is_looked_at)
{
	struct tofu_tcp_options o;
	struct tofu_transport *t;

	tofu_tcp_options_init(&o, sizeof o);
	o.dead_after_ms = UINT32_MAX;
	ck_status(tofu_tcp_create(&o, &t), TOFU_OK);
	ck_assert(t->look == NULL);
	ck_assert_uint_eq(t->look_ms, 0);
	tofu_transport_destroy(t);
}
END_TEST

static Suite *suite_of_dead_peer(void)
{
	Suite *suite = suite_create("dead_peer");
	TCase *look = suite_case(suite, "look", 30), *tcp = suite_case(suite, "tcp", 60);

	tcase_add_test(look, it_is_looked_at_until_all_is_acknowledged_and_not_again);
	tcase_add_test(look, each_message_after_a_rest_is_looked_at);
	tcase_add_test(look, the_time_that_is_awaited_begins_with_the_first_look);
	tcase_add_test(look, a_peer_that_answers_no_more_ends_its_channel);
	if (os_tells_of_acknowledgements())
		tcase_add_test(tcp, a_peer_that_does_not_read_is_not_dead);
	tcase_add_test(tcp, less_than_a_second_is_not_allowed);
	tcase_add_test(tcp, never_means_that_nothing_is_looked_at);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_dead_peer());
}
