/* SPDX-License-Identifier: MIT */

/*
 * TCP on a host that is not like this one: IPv6 is switched off, or there are so few ports to call from that a socket meets
 * itself. Each case makes itself a network of its own (Linux: a namespace), in the process that Check forks for it. Where
 * that is not allowed, or where Check does not fork, it is passed over, and says so.
 */

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/fake.h"
#include "lib/harness.h"
#include "lib/raw.h"
#include "lib/steps.h"

static bool write_setting(const char *name, const char *value)
{
	char path[128];
	int fd;
	bool done;

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	done = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	if (fd >= 0)
		(void)close(fd);
	return done;
}

static bool loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool done = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0;

	request.ifr_flags |= IFF_UP;
	done = done && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
	if (fd >= 0)
		(void)close(fd);
	return done;
}

/* A network with nothing but a loopback interface and these two settings. False: it cannot be had. */
static bool enter_network(const char *ipv6_off, const char *ports)
{
	bool done = os_leave_network() && write_setting("ipv6/conf/all/disable_ipv6", ipv6_off) &&
	            write_setting("ipv4/ip_local_port_range", ports) && loopback_up();

	if (!done)
		printf("passed over: no network of its own\n");
	return done;
}

static const char any_ports[] = "32768 60999";
static const char ten_ports[] = "40000 40009";

static void expect_reached(const struct side *server, const struct side *client, const char *address)
{
	tofu_msg *msg;

	(void)call(client, address, "hello");
	msg = expect_peer(server, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
}

/* By the address that the WelcomeResponse tells, by us and by others; and by IPv4. */
static void expect_all_reach(const char *address, const char *told)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	char ipv4[64];

	listen_at(&server, address, &at);
	ck_assert_msg(strncmp(at.address, told, strlen(told)) == 0, "%s", at.address);
	expect_reached(&server, &client, at.address);
	snprintf(ipv4, sizeof ipv4, "tcp|127.0.0.1%s", strrchr(at.address, '|'));
	expect_reached(&server, &client, ipv4);
	engine_down(engine);
}

START_TEST(every_interface_of_a_host_without_ipv6_is_called_by_what_the_answer_says)
{
	if (enter_network("1", any_ports))
		expect_all_reach("tcp||0", "tcp|0.0.0.0|");
}
END_TEST

START_TEST(every_interface_of_a_host_with_ipv6_is_called_by_what_the_answer_says)
{
	if (enter_network("0", any_ports))
		expect_all_reach("tcp||0", "tcp|::|");
}
END_TEST

START_TEST(the_ipv6_name_of_every_interface_can_be_called_where_ipv6_is_off)
{
	if (enter_network("1", any_ports))
		expect_all_reach("tcp|::|0", "tcp|::|");
}
END_TEST

/* Of ten ports to call from, the one that is called is picked every now and then: TCP connects the socket to itself. */
START_TEST(a_call_to_a_port_where_nobody_listens_is_refused_each_time)
{
	static const char *const nobody[] = { "tcp|127.0.0.1|40004", "tcp|::1|40004" };
	tofu_engine *engine;
	struct side side;

	if (!enter_network("0", ten_ports))
		return;
	engine = engine_up(NULL);
	side = side_in(engine);
	for (int i = 0; i < 200; i++)
		call_fails(&side, nobody[_i], TOFU_CONNECT_FAILED);
	engine_down(engine);
}
END_TEST

/* What some other program has, whatever options it has set. */
static int foreign_listener(const char *host, uint16_t port)
{
	const int on = 1;
	struct tofu_sockaddr at;
	size_t count;
	int fd;

	works(tofu_sockaddr_inet(host, port, 0, &at, 1, &count));
	fd = socket(strchr(host, ':') != NULL ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	ck_assert(strchr(host, ':') == NULL || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
	ck_assert(bind(fd, (const struct sockaddr *)at.bytes, at.len) == 0);
	ck_assert(listen(fd, 5) == 0);
	return fd;
}

START_TEST(a_port_that_another_program_has_for_one_family_is_in_use_for_every_interface)
{
	static const char *const hosts[] = { "::", "::1", "0.0.0.0", "127.0.0.1" };
	tofu_engine *engine;
	struct side side;
	int fd;

	if (!enter_network("0", any_ports))
		return;
	engine = engine_up(NULL);
	side = side_in(engine);
	fd = foreign_listener(hosts[_i], 4711);
	listen_fails(&side, "tcp||4711", TOFU_ADDRESS_IN_USE);
	(void)close(fd);
	engine_down(engine);
}
END_TEST

/* Ten ports, three of which somebody has on the second address: of those that Linux tries first, which are five. */
START_TEST(a_name_gets_a_port_that_is_free_at_all_its_addresses)
{
	tofu_engine *engine;
	struct side side, client;
	struct listening at;
	char six[64];

	if (!enter_network("0", ten_ports))
		return;
	for (uint16_t port = 40000; port < 40003; port++)
		(void)foreign_listener("::1", port);
	engine = engine_up(NULL);
	works(tofu_engine_register(engine, fake_many(OVER_TCP)));
	side = side_in(engine);
	client = side_in(engine);
	listen_at(&side, "many|127.0.0.1|0,::1|0", &at);
	snprintf(six, sizeof six, "tcp|::1%s", strrchr(at.address, '|'));
	expect_reached(&side, &client, six);
	expect_reached(&side, &client, at.address);
	engine_down(engine);
}
END_TEST

START_TEST(an_address_of_a_family_that_is_off_is_left_out_of_a_name)
{
	tofu_engine *engine;
	struct side side, client;
	struct listening at;

	if (!enter_network("1", any_ports))
		return;
	engine = engine_up(NULL);
	works(tofu_engine_register(engine, fake_many(OVER_TCP)));
	side = side_in(engine);
	client = side_in(engine);
	listen_at(&side, "many|::1|0,127.0.0.1|0", &at);
	ck_assert_int_eq(strncmp(at.address, "many|127.0.0.1|", 15), 0);
	expect_reached(&side, &client, at.address);
	engine_down(engine);
}
END_TEST

enum { PORTS = 4 };
static const char four_ports[] = "40000 40003";

static const char *const loopbacks[] = { "127.0.0.1", "::1" };

START_TEST(a_call_for_which_no_port_is_left_says_limit_reached)
{
	tofu_engine *engine;
	struct side server, client;
	struct listening at;
	char address[64];

	if (!enter_network("0", four_ports))
		return;
	engine = engine_up(NULL);
	server = side_in(engine);
	client = side_in(engine);
	snprintf(address, sizeof address, "tcp|%s|4711", loopbacks[_i]);
	listen_at(&server, address, &at);
	for (int i = 0; i < PORTS; i++)
		expect_reached(&server, &client, address);
	call_fails(&client, address, TOFU_LIMIT_REACHED);
	engine_down(engine);
}
END_TEST

/* A port that calls one peer may call another as well. */
START_TEST(a_source_does_not_use_up_the_ports)
{
	struct tofu_tcp_options options;
	struct tofu_transport *from;
	tofu_engine *engine;
	struct side server, client;
	struct listening at;

	if (!enter_network("0", four_ports))
		return;
	engine = engine_up(NULL);
	server = side_in(engine);
	client = side_in(engine);
	tofu_tcp_options_init(&options, sizeof options);
	options.scheme = "from";
	options.source = loopbacks[_i];
	works(tofu_tcp_create(&options, &from));
	works(tofu_engine_register(engine, from));
	tofu_transport_destroy(from);
	for (int i = 0; i < 3 * PORTS; i++) {
		char address[64];

		snprintf(address, sizeof address, "from|%s|%d", loopbacks[_i], 4711 + i % 3);
		if (i < 3)
			listen_at(&server, address, &at);
		expect_reached(&server, &client, address);
	}
	for (int i = 0; i < 3; i++) {
		char address[64];

		snprintf(address, sizeof address, "from|%s|%d", loopbacks[_i], 4711 + i);
		call_fails(&client, address, TOFU_LIMIT_REACHED);
	}
	engine_down(engine);
}
END_TEST

START_TEST(a_listener_for_which_no_port_is_left_says_limit_reached)
{
	static const char *const anywhere[] = { "tcp|127.0.0.1|0", "tcp|::1|0", "tcp||0" };
	tofu_engine *engine;
	struct side side;
	struct listening at;

	if (!enter_network("0", four_ports))
		return;
	engine = engine_up(NULL);
	side = side_in(engine);
	for (int i = 0; i < PORTS; i++)
		listen_at(&side, anywhere[_i], &at);
	listen_fails(&side, anywhere[_i], TOFU_LIMIT_REACHED);
	engine_down(engine);
}
END_TEST

/* Each of them is another program's at the second address. */
START_TEST(a_name_for_which_no_port_is_left_at_all_its_addresses_says_limit_reached)
{
	tofu_engine *engine;
	struct side side;

	if (!enter_network("0", four_ports))
		return;
	for (uint16_t port = 40000; port < 40000 + PORTS; port++)
		(void)foreign_listener("::1", port);
	engine = engine_up(NULL);
	works(tofu_engine_register(engine, fake_many(OVER_TCP)));
	side = side_in(engine);
	listen_fails(&side, "many|127.0.0.1|0,::1|0", TOFU_LIMIT_REACHED);
	listen_fails(&side, "many|127.0.0.1|40001,::1|40001", TOFU_ADDRESS_IN_USE);
	engine_down(engine);
}
END_TEST

/* Linux drops calls to a listener whose queue is full. */
static intptr_t full_listener(char *address, size_t capacity)
{
	enum { ROOM = 2 }; /* of a backlog of 1 */
	struct tofu_listen_options options;
	struct tofu_sockaddr at;
	intptr_t listener, caller;
	uint16_t port;
	char host[64];
	size_t count;

	tofu_listen_options_init(&options, sizeof options);
	options.backlog = 1;
	works(tofu_sockaddr_inet("127.0.0.1", 0, 0, &at, 1, &count));
	works(tofu_socket_listen_with(&at, &options, &listener));
	works(tofu_socket_local(listener, &at));
	works(tofu_sockaddr_inet_text(&at, host, sizeof host, &port));
	for (int i = 0; i < ROOM; i++) {
		(void)tofu_socket_connect(&at, &caller); /* open until the process ends */
		ck_assert_uint_ne(os_wait(caller, OS_WRITABLE, PATIENCE_NS), 0);
	}
	snprintf(address, capacity, "127.0.0.1|%u", (unsigned)port);
	return listener;
}

START_TEST(an_address_that_does_not_answer_delays_a_call_by_its_head_start)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	char silent[64], address[256];
	intptr_t listener = full_listener(silent, sizeof silent);
	struct listening at;
	int64_t before_ns, took_ns;

	works(tofu_engine_register(engine, fake_many(OVER_TCP)));
	listen_at(&server, "tcp|127.0.0.1|0", &at);
	snprintf(address, sizeof address, "many|%s,%.100s", silent, path_of(at.address));
	before_ns = tofu_plat_now_ns();
	expect_reached(&server, &client, address);
	took_ns = tofu_plat_now_ns() - before_ns;
	ck_assert_int_ge(took_ns, 250 * TOFU_NS_PER_MS);
	ck_assert_int_lt(took_ns, 4 * TOFU_NS_PER_S); /* its share of the handshake time would be five */
	engine_down(engine);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
}
END_TEST

static Suite *suite_of_tcp(void)
{
	Suite *s = suite_create("tcp on another host");
	TCase *tc = suite_case(s, "networks", 60);

	tcase_add_test(tc, every_interface_of_a_host_without_ipv6_is_called_by_what_the_answer_says);
	tcase_add_test(tc, every_interface_of_a_host_with_ipv6_is_called_by_what_the_answer_says);
	tcase_add_test(tc, the_ipv6_name_of_every_interface_can_be_called_where_ipv6_is_off);
	tcase_add_loop_test(tc, a_call_to_a_port_where_nobody_listens_is_refused_each_time, 0, 2);
	tcase_add_loop_test(tc, a_port_that_another_program_has_for_one_family_is_in_use_for_every_interface, 0, 4);
	tcase_add_test(tc, a_name_gets_a_port_that_is_free_at_all_its_addresses);
	tcase_add_test(tc, an_address_of_a_family_that_is_off_is_left_out_of_a_name);
	tcase_add_loop_test(tc, a_call_for_which_no_port_is_left_says_limit_reached, 0, 2);
	tcase_add_loop_test(tc, a_source_does_not_use_up_the_ports, 0, 2);
	tcase_add_loop_test(tc, a_listener_for_which_no_port_is_left_says_limit_reached, 0, 3);
	tcase_add_test(tc, a_name_for_which_no_port_is_left_at_all_its_addresses_says_limit_reached);
	tcase_add_test(tc, an_address_that_does_not_answer_delays_a_call_by_its_head_start);
	return s;
}

int main(void)
{
	return harness_run(suite_of_tcp());
}
