/* SPDX-License-Identifier: MIT */

/*
 * Transports with options: an instance behaves as its options say, several stand side by side in an engine, and one lives for as
 * long as somebody has it - who made it, an engine, a lookup under way.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/raw.h"
#include "lib/steps.h"

static struct tofu_tcp_options tcp_options(const char *scheme)
{
	struct tofu_tcp_options o;

	tofu_tcp_options_init(&o, sizeof o);
	o.scheme = scheme;
	return o;
}

static struct tofu_unix_options unix_options(const char *scheme)
{
	struct tofu_unix_options o;

	tofu_unix_options_init(&o, sizeof o);
	o.scheme = scheme;
	return o;
}

/* The engine is its only holder afterwards. */
static void add_tcp(tofu_engine *engine, const struct tofu_tcp_options *options)
{
	struct tofu_transport *t;

	works(tofu_tcp_create(options, &t));
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
}

static void add_unix(tofu_engine *engine, const struct tofu_unix_options *options)
{
	struct tofu_transport *t;

	works(tofu_unix_create(options, &t));
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
}

/* A hello goes over it, and its answer comes back. */
static void expect_talk(const struct side *side, const char *address)
{
	struct tofu_header hello = call(side, address, "hello");
	tofu_msg *msg = expect_peer(side, TOFU_HELLO_REQUEST);

	(void)answer(side, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_on(side, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
}

/* --- schemes --- */

START_TEST(instances_stand_side_by_side_under_schemes_of_their_own)
{
	static const char *const schemes[][2] = { { "inner", "outer" }, { "near", "far" } };
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	char address[64];

	for (int i = 0; i < 2; i++) {
		const char *scheme = schemes[_i][i];

		if (_i == OVER_TCP) {
			struct tofu_tcp_options tcp = tcp_options(scheme);

			add_tcp(engine, &tcp);
		} else {
			struct tofu_unix_options uds = unix_options(scheme);

			add_unix(engine, &uds);
		}
		(void)snprintf(address, sizeof address, "%s|%s", scheme, path_of(over_anywhere(_i)));
		listen_at(&side, address, &at);
		must(strncmp(at.address, scheme, strlen(scheme)) == 0 && at.address[strlen(scheme)] == '|',
		     "%s is not of %s", at.address, scheme);
		expect_talk(&side, at.address);
	}
	engine_down(engine);
}
END_TEST

/* The text may go: it was copied. */
START_TEST(an_instance_keeps_its_scheme)
{
	struct tofu_transport *t;
	char name[] = "brief";
	struct tofu_tcp_options o = tcp_options(name);

	ck_status(tofu_tcp_create(&o, &t), TOFU_OK);
	memset(name, 'x', sizeof name - 1);
	ck_assert_str_eq(t->scheme, "brief");
	tofu_transport_destroy(t);
}
END_TEST

START_TEST(without_options_an_instance_is_as_the_static_one)
{
	struct tofu_transport *tcp, *uds;

	ck_status(tofu_tcp_create(NULL, &tcp), TOFU_OK);
	ck_status(tofu_unix_create(NULL, &uds), TOFU_OK);
	ck_assert_str_eq(tcp->scheme, tofu_tcp()->scheme);
	ck_assert_str_eq(uds->scheme, tofu_unix()->scheme);
	tofu_transport_destroy(tcp);
	tofu_transport_destroy(uds);
}
END_TEST

static const char *const no_schemes[] = { "", "a b", "tcp|", "a:b", "sixteen-letters." };

START_TEST(a_scheme_that_is_none_is_not_allowed)
{
	struct tofu_tcp_options tcp = tcp_options(no_schemes[_i]);
	struct tofu_unix_options uds = unix_options(no_schemes[_i]);
	struct tofu_transport *t = (struct tofu_transport *)&tcp;

	ck_status(tofu_tcp_create(&tcp, &t), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(t);
	ck_status(tofu_unix_create(&uds, &t), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(t);
}
END_TEST

/* --- what a system lacks --- */

START_TEST(owners_groups_and_lists_need_a_system_with_users)
{
	const enum tofu_status expected = os_has_users() ? TOFU_OK : TOFU_NOT_SUPPORTED;
	const uint32_t id = 0;

	for (int i = 0; i < 4; i++) {
		struct tofu_unix_options o = unix_options(NULL);
		struct tofu_transport *t;

		o.owner = i == 0 ? "0" : NULL;
		o.group = i == 1 ? "0" : NULL;
		o.allowed_uids = o.allowed_gids = &id;
		o.allowed_uid_count = i == 2;
		o.allowed_gid_count = i == 3;
		ck_status(tofu_unix_create(&o, &t), expected);
		tofu_transport_destroy(t);
	}
}
END_TEST

/* --- options of another version --- */

START_TEST(a_longer_struct_is_fine_while_it_says_nothing_new)
{
	struct {
		struct tofu_tcp_options known;
		uint64_t unknown;
	} newer;
	struct tofu_transport *t;

	memset(&newer, 0, sizeof newer);
	tofu_tcp_options_init(&newer.known, sizeof newer);
	ck_status(tofu_tcp_create(&newer.known, &t), TOFU_OK);
	tofu_transport_destroy(t);
	newer.unknown = 1;
	ck_status(tofu_tcp_create(&newer.known, &t), TOFU_NOT_SUPPORTED);
	newer.known.size = 1;
	ck_status(tofu_tcp_create(&newer.known, &t), TOFU_NOT_ALLOWED);
	ck_status(tofu_tcp_create(NULL, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_unix_create(NULL, NULL), TOFU_NOT_ALLOWED);
}
END_TEST

/* What lies beyond a shorter struct is not read. */
START_TEST(a_shorter_struct_has_defaults_beyond_its_end)
{
	struct tofu_tcp_options older = tcp_options(NULL);
	struct tofu_transport *t;

	older.size = offsetof(struct tofu_tcp_options, scheme);
	older.scheme = "a b";
	ck_status(tofu_tcp_create(&older, &t), TOFU_OK);
	ck_assert_str_eq(t->scheme, "tcp");
	tofu_transport_destroy(t);
}
END_TEST

/* --- who has it --- */

static atomic_int ended;

static void count_end(void *config)
{
	ck_assert_int_eq(*(int *)config, 42);
	atomic_fetch_add(&ended, 1);
}

static atomic_int looks_up;
static atomic_bool may_end;

static enum tofu_status look_up_slowly(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
                                       int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count)
{
	if (strncmp(rest, "slow:", 5) != 0)
		return tofu_tcp()->resolve(tofu_tcp(), rest, purpose, may_block, out, capacity, count);
	if (!may_block)
		return TOFU_WOULD_BLOCK;
	atomic_store(&looks_up, *(int *)t->config);
	while (!atomic_load(&may_end))
		os_pause();
	atomic_store(&looks_up, *(int *)t->config);
	return TOFU_HOST_NOT_FOUND;
}

static enum tofu_status listen_as_tcp(const struct tofu_transport *t, struct tofu_link *listener,
                                      const struct tofu_sockaddr *at)
{
	return tofu_tcp()->listen(tofu_tcp(), listener, at);
}

static enum tofu_status accept_as_tcp(const struct tofu_transport *t, struct tofu_link *listener,
                                      struct tofu_link *link)
{
	return tofu_tcp()->accept(tofu_tcp(), listener, link);
}

static enum tofu_status connect_as_tcp(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                       const struct tofu_sockaddr *to, unsigned *want)
{
	return tofu_tcp()->connect_start(tofu_tcp(), link, rest, to, want);
}

/* TCP whose config is a number of ours: what would look at it is called of the real one. */
static struct tofu_transport *counted_instance(void)
{
	struct tofu_transport table = *tofu_tcp(), *t;

	table.resolve = look_up_slowly;
	table.form = TOFU_FORM_TEXT;
	table.listen = listen_as_tcp;
	table.accept = accept_as_tcp;
	table.connect_start = connect_as_tcp;
	table.listen_all = NULL;
	atomic_store(&ended, 0);
	atomic_store(&looks_up, 0);
	atomic_store(&may_end, false);
	works(tofu_transport_create(&table, "held", sizeof(int), count_end, &t));
	ck_assert_int_eq(*(int *)t->config, 0);
	*(int *)t->config = 42;
	return t;
}

START_TEST(an_instance_goes_with_its_last_engine)
{
	struct tofu_transport *t = counted_instance();
	tofu_engine *one = engine_up(NULL), *other = engine_up(NULL);

	works(tofu_engine_register(one, t));
	works(tofu_engine_register(other, t));
	ck_status(tofu_engine_register(other, t), TOFU_NOT_ALLOWED); /* which does not hold it twice */
	tofu_transport_destroy(t);
	engine_down(one);
	ck_assert_int_eq(atomic_load(&ended), 0);
	engine_down(other);
	ck_assert_int_eq(atomic_load(&ended), 1);
}
END_TEST

START_TEST(an_instance_that_nobody_registered_goes_at_once)
{
	tofu_transport_destroy(counted_instance());
	ck_assert_int_eq(atomic_load(&ended), 1);
	tofu_transport_destroy(NULL);
}
END_TEST

START_TEST(an_instance_stays_for_the_links_that_the_engine_still_has)
{
	struct tofu_transport *t = counted_instance();
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;

	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	listen_at(&side, "held|127.0.0.1|0", &at);
	expect_talk(&side, at.address);
	ck_assert_int_eq(atomic_load(&ended), 0);
	engine_down(engine);
	ck_assert_int_eq(atomic_load(&ended), 1);
}
END_TEST

/* A lookup cannot be stopped: it is the last that has the instance, and its end is the instance's. */
START_TEST(an_instance_outlives_its_engine_while_it_looks_up_a_name)
{
	struct tofu_transport *t = counted_instance();
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);

	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	(void)call(&side, "held|slow:", "hello");
	eventually(atomic_load(&looks_up) == 42);
	engine_down(engine);
	ck_assert_int_eq(atomic_load(&ended), 0);
	atomic_store(&may_end, true);
	eventually(atomic_load(&ended) == 1);
}
END_TEST

/* --- what options do --- */

enum { CALLS = 64 };

/* Two engines, as two processes have them; every call reaches one of them. */
START_TEST(listeners_that_share_a_port_share_the_calls)
{
	struct tofu_tcp_options o = tcp_options("shared");
	tofu_engine *engines[] = { engine_up(NULL), engine_up(NULL) }, *caller = engine_up(NULL);
	struct side sides[] = { side_in(engines[0]), side_in(engines[1]) }, client = side_in(caller);
	struct listening first, second;
	tofu_msg *msg;

	o.share_port = 1;
	for (int i = 0; i < 2; i++)
		add_tcp(engines[i], &o);
	if (!os_shares_ports()) {
		listen_fails(&sides[0], "shared|127.0.0.1|0", TOFU_NOT_SUPPORTED);
	} else {
		char address[64];

		listen_at(&sides[0], "shared|127.0.0.1|0", &first);
		listen_at(&sides[1], first.address, &second);
		(void)snprintf(address, sizeof address, "tcp|%s", path_of(first.address));
		listen_fails(&client, address, TOFU_ADDRESS_IN_USE); /* one that does not say so */
		for (int i = 0; i < CALLS; i++)
			(void)call(&client, address, "hello");
		eventually(stats_of(engines[0]).messages_received + stats_of(engines[1]).messages_received == CALLS);
		for (int i = 0; i < 2; i++) {
			msg = expect_peer(&sides[i], TOFU_HELLO_REQUEST);
			tofu_msg_put(&msg);
		}
	}
	engine_down(caller);
	engine_down(engines[1]);
	engine_down(engines[0]);
}
END_TEST

/* A name has addresses of both families; those of the other one cannot be called. */
static const char *const called[] = { "127.0.0.1", "localhost" };

START_TEST(an_instance_calls_from_its_source)
{
	char source[] = "127.0.0.2", told[128], address[128], host[64];
	struct tofu_tcp_options o = tcp_options("from");
	tofu_engine *engine;
	struct side side;
	intptr_t listener;
	static struct raw peer;
	struct tofu_sockaddr who;
	uint16_t port;

	if (strcmp(called[_i], "localhost") == 0 && !os_knows_localhost())
		return;
	engine = engine_up(NULL);
	side = side_in(engine);
	listener = raw_listen(OVER_TCP, told, sizeof told);
	o.source = source;
	add_tcp(engine, &o);
	memset(source, '?', sizeof source); /* it has a copy */
	(void)snprintf(address, sizeof address, "from|%s%s", called[_i], strrchr(told, '|'));
	(void)call(&side, address, "hello");
	raw_accept(&peer, listener);
	raw_expect(&peer, TOFU_HELLO_REQUEST);
	works(tofu_socket_peer(peer.socket, &who));
	works(tofu_sockaddr_inet_text(&who, host, sizeof host, &port));
	ck_assert_str_eq(host, "127.0.0.2");
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

/* 203.0.113.1: for documentation, nobody's. */
START_TEST(a_source_that_is_not_of_this_host_calls_nobody_and_listens)
{
	struct tofu_tcp_options o = tcp_options("from");
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	char address[64];
	tofu_msg *msg;

	o.source = "203.0.113.1";
	add_tcp(engine, &o);
	listen_at(&side, "from|127.0.0.1|0", &at);
	call_fails(&side, at.address, TOFU_CONNECT_FAILED);
	(void)snprintf(address, sizeof address, "tcp|127.0.0.1%s", strrchr(at.address, '|'));
	(void)call(&side, address, "hello");
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	engine_down(engine);
}
END_TEST

START_TEST(an_instance_stays_with_its_interface)
{
	struct tofu_tcp_options o = tcp_options("by");
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char name[] = "lo", address[64];
	struct tofu_transport *t;
	struct listening at;

	o.interface_name = name;
	if (tofu_tcp_create(&o, &t) != TOFU_NOT_SUPPORTED) { /* as Windows has it */
		tofu_transport_destroy(t);
		add_tcp(engine, &o);
		memset(name, '?', sizeof name); /* it has a copy */
		listen_at(&side, "by|127.0.0.1|0", &at);
		expect_talk(&side, at.address);
		o.scheme = "nowhere";
		o.interface_name = "none-such";
		add_tcp(engine, &o);
		listen_fails(&side, "nowhere|127.0.0.1|0", TOFU_LISTEN_FAILED);
		(void)snprintf(address, sizeof address, "nowhere|127.0.0.1%s", strrchr(at.address, '|'));
		call_fails(&side, address, TOFU_CONNECT_FAILED);
	}
	engine_down(engine);
}
END_TEST

static const struct {
	const char *source, *interface_name;
	enum tofu_status status;
} no_origins[] = {
	{ "", NULL, TOFU_INVALID_ADDRESS },
	{ "localhost", NULL, TOFU_INVALID_ADDRESS },
	{ "127.0.0.1|80", NULL, TOFU_INVALID_ADDRESS },
	{ NULL, "", TOFU_NOT_ALLOWED },
	{ NULL, "longer-than-any-interface-is", TOFU_NOT_ALLOWED },
};

START_TEST(an_origin_that_is_none_is_refused)
{
	struct tofu_tcp_options o = tcp_options(NULL);
	struct tofu_transport *t = (void *)&o;
	enum tofu_status status = no_origins[_i].status;

	works(tofu_init());
	o.interface_name = "lo";
	if (status == TOFU_NOT_ALLOWED && tofu_tcp_create(&o, &t) == TOFU_NOT_SUPPORTED)
		status = TOFU_NOT_SUPPORTED;
	else if (status == TOFU_NOT_ALLOWED)
		tofu_transport_destroy(t);
	o.source = no_origins[_i].source;
	o.interface_name = no_origins[_i].interface_name;
	ck_status(tofu_tcp_create(&o, &t), status);
	ck_assert_ptr_null(t);
	tofu_deinit();
}
END_TEST

START_TEST(a_listener_for_ipv6_alone_leaves_the_port_to_ipv4)
{
	struct tofu_tcp_options o = tcp_options("six");
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening six, four;
	char address[64];

	if (!ipv6_here())
		return;
	o.only_ipv6 = 1;
	add_tcp(engine, &o);
	listen_at(&side, "six|::|0", &six);
	(void)snprintf(address, sizeof address, "tcp|0.0.0.0|%s", strrchr(six.address, '|') + 1);
	listen_at(&side, address, &four);
	expect_talk(&side, four.address);
	expect_talk(&side, six.address);
	engine_down(engine);
}
END_TEST

static Suite *suite_of_instances(void)
{
	Suite *suite = suite_create("instances");
	TCase *schemes = suite_case(suite, "schemes", 30), *versions = suite_case(suite, "versions", 30);
	TCase *holders = suite_case(suite, "holders", 30), *options = suite_case(suite, "options", 30);

	over_plain_sockets_add(schemes, instances_stand_side_by_side_under_schemes_of_their_own, 1);
	tcase_add_test(schemes, an_instance_keeps_its_scheme);
	tcase_add_test(schemes, without_options_an_instance_is_as_the_static_one);
	tcase_add_loop_test(schemes, a_scheme_that_is_none_is_not_allowed, 0, sizeof no_schemes / sizeof no_schemes[0]);
	tcase_add_test(options, owners_groups_and_lists_need_a_system_with_users);
	tcase_add_test(versions, a_longer_struct_is_fine_while_it_says_nothing_new);
	tcase_add_test(versions, a_shorter_struct_has_defaults_beyond_its_end);
	tcase_add_test(holders, an_instance_goes_with_its_last_engine);
	tcase_add_test(holders, an_instance_that_nobody_registered_goes_at_once);
	tcase_add_test(holders, an_instance_stays_for_the_links_that_the_engine_still_has);
	tcase_add_test(holders, an_instance_outlives_its_engine_while_it_looks_up_a_name);
	tcase_add_test(options, listeners_that_share_a_port_share_the_calls);
	tcase_add_loop_test(options, an_instance_calls_from_its_source, 0, sizeof called / sizeof called[0]);
	tcase_add_test(options, a_source_that_is_not_of_this_host_calls_nobody_and_listens);
	tcase_add_test(options, an_instance_stays_with_its_interface);
	tcase_add_loop_test(options, an_origin_that_is_none_is_refused, 0, sizeof no_origins / sizeof no_origins[0]);
	tcase_add_test(options, a_listener_for_ipv6_alone_leaves_the_port_to_ipv4);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_instances());
}
