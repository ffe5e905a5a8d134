/* SPDX-License-Identifier: MIT */

/*
 * Sockets that somebody else has made: listeners of an activator, by number and by name, and connections, as inetd and
 * socketpair() make them. The activator is this program; what it starts is this program, too, told to serve one caller.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tofu/tcp.h>
#include <tofu/unix.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/sockets.h"
#include "lib/steps.h"
#include "lib/system.h"

enum { FIRST_LISTEN_FD = 3 };

/* What a listener of the activator is called. */
static const char *address_of(int transport, const struct sockets_listener *l, char *out, size_t capacity)
{
	struct tofu_link link = { .handle = l->handle };

	works(over_transport(transport)->local_address(over_transport(transport), &link, out, capacity));
	return out;
}

static enum sockets_kind kind_of(int transport)
{
	return transport == OVER_TCP ? SOCKETS_TCP : SOCKETS_UNIX;
}

static const char *numbered(int transport, intptr_t descriptor)
{
	static char text[64];

	(void)snprintf(text, sizeof text, "%s|&%d", over_scheme(transport), (int)descriptor);
	return text;
}

/* A caller is greeted, asks, and leaves. */
static void talk_and_leave(const struct side *server, const struct side *client, const char *address)
{
	struct tofu_header hello = call(client, address, "hello");
	tofu_msg *msg = expect_peer(server, TOFU_HELLO_REQUEST);
	uint16_t channel = tofu_msg_header(msg)->channel;
	uint64_t id = tofu_msg_header(msg)->id;

	(void)answer(server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_on(client, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	(void)say(client, hello.channel, TOFU_BYE_REQUEST, 7, "");
	msg = expect_peer(server, TOFU_BYE_REQUEST);
	(void)answer(server, &msg, TOFU_BYE_RESPONSE);
	msg = expect_peer(client, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(client, hello.channel, hello.id);
	expect_closed(server, channel, id);
}

static void stop_listening(const struct side *server, const struct listening *at)
{
	(void)say(server, at->channel, TOFU_BYE_SIGNAL, 0, "");
	expect_closed(server, at->channel, at->id);
}

/* --- listeners --- */

START_TEST(a_listener_that_is_handed_over_is_used_and_stays)
{
	const int transport = _i % OVER_NR;
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct sockets_listener made;
	struct listening at;
	char address[200];

	sockets_listen(kind_of(transport), &made);
	(void)address_of(transport, &made, address, sizeof address);
	for (int i = 0; i < 3; i++) {
		listen_at(&server, numbered(transport, made.handle), &at);
		ck_assert_str_eq(at.address, address);
		talk_and_leave(&server, &client, address);
		stop_listening(&server, &at);
	}
	engine_down(engine);
	works(tofu_init());
	if (transport == OVER_UDS)
		ck_assert(os_file_exists(path_of(address)));
	sockets_close(sockets_connect(&made));
	sockets_close(sockets_accept(&made));
	sockets_unlisten(&made);
	tofu_deinit();
}
END_TEST

/* The number is not taken away, and a program that the application starts gets no copy that it does not know. */
START_TEST(nothing_is_left_open_but_the_original)
{
	const int transport = _i % OVER_NR;
	const struct tofu_transport *t = over_transport(transport);
	struct sockets_listener made;
	struct tofu_link listener;
	struct tofu_sockaddr at;
	int before, seen;

	works(tofu_init());
	sockets_listen(kind_of(transport), &made);
	ck_assert_int_eq(fcntl((int)made.handle, F_SETFL, 0), 0);
	before = os_descriptors();
	for (int i = 0; i < 2; i++) {
		listener = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
		works(tofu_inherited_address(strchr(numbered(transport, made.handle), '&'),
		                             (enum tofu_socket_kind)kind_of(transport), &at));
		ck_status(t->listen(t, &listener, &at), TOFU_OK);
		ck_assert_int_ne(listener.handle, made.handle);
		seen = fcntl((int)listener.handle, F_GETFD);
		ck_assert_int_eq(seen, FD_CLOEXEC);
		ck_assert_int_ne(fcntl((int)listener.handle, F_GETFL) & O_NONBLOCK, 0);
		t->close(t, &listener, i == 0 ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_ABORT);
		ck_assert_ptr_null(listener.state);
		ck_assert_int_eq(os_descriptors(), before);
	}
	sockets_unlisten(&made);
	tofu_deinit();
}
END_TEST

/* --- connections --- */

/* Blocking, as others make them. */
static void connected_pair(int transport, int ends[2])
{
	struct sockets_listener made;
	intptr_t both[2];

	if (transport == OVER_UDS) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		return;
	}
	sockets_listen(SOCKETS_TCP, &made);
	sockets_pair(&made, both);
	sockets_unlisten(&made);
	for (int i = 0; i < 2; i++) {
		ends[i] = (int)both[i];
		ck_assert_int_eq(fcntl(ends[i], F_SETFL, 0), 0);
	}
}

/* One end says hello, the other one listens, as who is started by inetd does: it accepts this connection and no other. */
START_TEST(a_connection_that_is_there_is_called_and_accepted_once)
{
	const int transport = _i % OVER_NR;
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	int ends[2];

	connected_pair(transport, ends);
	listen_at(&server, numbered(transport, ends[1]), &at);
	talk_and_leave(&server, &client, numbered(transport, ends[0]));
	comes_to_rest(&server, 50 * TOFU_NS_PER_MS);
	stop_listening(&server, &at);
	engine_down(engine);
	ck_assert_int_eq(close(ends[0]), 0);
	ck_assert_int_eq(close(ends[1]), 0);
}
END_TEST

/* Whoever made it may have sent already, and closed its own copies. */
START_TEST(a_connection_ends_with_its_channel_though_the_original_is_open)
{
	const int transport = _i % OVER_NR;
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	int ends[2];

	connected_pair(transport, ends);
	(void)call(&side, numbered(transport, ends[0]), "hello");
	ck_assert(test_wait(ends[1], TOFU_READABLE));
	ck_assert_int_ne(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
	side_down(&side);
	ck_assert_int_ne(os_read_to_end(ends[1], PATIENCE_NS), OS_NOT_THE_END);
	engine_down(engine);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_connection_that_nobody_took_ends_with_its_listener)
{
	static const enum tofu_close ways[] = { TOFU_CLOSE_ORDERLY, TOFU_CLOSE_ABORT };
	const int transport = _i % OVER_NR;
	const struct tofu_transport *t = over_transport(transport);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
	struct tofu_sockaddr at;
	int ends[2], before;

	works(tofu_init());
	connected_pair(transport, ends);
	before = os_descriptors();
	works(tofu_inherited_address(strchr(numbered(transport, ends[1]), '&'),
	                             (enum tofu_socket_kind)kind_of(transport), &at));
	ck_status(t->listen(t, &listener, &at), TOFU_OK);
	ck_assert(test_ready(listener.handle, TOFU_READABLE));
	ck_assert_int_ne(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	t->close(t, &listener, ways[_i / OVER_NR]);
	ck_assert_int_eq(os_descriptors(), before);
	ck_assert_int_ne(os_read_to_end(ends[0], PATIENCE_NS), OS_NOT_THE_END);
	close(ends[0]);
	close(ends[1]);
	tofu_deinit();
}
END_TEST

/* --- wrong ones --- */

static int plain_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void expect_refusal(int transport, int fd, enum tofu_status to_listen, enum tofu_status to_connect)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	const int flags = fcntl(fd, F_GETFL);

	listen_fails(&side, numbered(transport, fd), to_listen);
	call_fails(&side, numbered(transport, fd), to_connect);
	ck_assert_int_eq(fcntl(fd, F_GETFL), flags); /* what was wrong was left alone */
	engine_down(engine);
	close(fd);
}

START_TEST(a_descriptor_that_is_no_such_socket_is_no_address)
{
	const int transport = _i % OVER_NR;
	const int own = transport == OVER_TCP ? AF_INET : AF_UNIX, other = transport == OVER_TCP ? AF_UNIX : AF_INET;
	const int closed = os_hold_descriptor();

	expect_refusal(transport, os_hold_descriptor(), TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS);
	expect_refusal(transport, plain_socket(own, SOCK_DGRAM), TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS);
	expect_refusal(transport, plain_socket(other, SOCK_STREAM), TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS);
	expect_refusal(transport, plain_socket(own, SOCK_STREAM), TOFU_LISTEN_FAILED, TOFU_CONNECT_FAILED);
	os_drop_descriptor(closed);
	expect_refusal(transport, closed + 500, TOFU_INVALID_ADDRESS, TOFU_INVALID_ADDRESS);
}
END_TEST

START_TEST(a_listener_is_not_called_by_its_number)
{
	const int transport = _i % OVER_NR;
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct sockets_listener made;

	sockets_listen(kind_of(transport), &made);
	call_fails(&side, numbered(transport, made.handle), TOFU_CONNECT_FAILED);
	sockets_unlisten(&made);
	engine_down(engine);
}
END_TEST

START_TEST(what_is_neither_a_number_nor_a_known_name_is_no_address)
{
	static const char *const rests[] = { "&", "&-1", "&99999999999", "&3x", "&no such name", "&3|80", "& 3" };
	const int transport = _i % OVER_NR;
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	char address[64];

	for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
		(void)snprintf(address, sizeof address, "%s|%s", over_scheme(transport), rests[i]);
		listen_fails(&side, address, TOFU_INVALID_ADDRESS);
		call_fails(&side, address, TOFU_INVALID_ADDRESS);
	}
	engine_down(engine);
}
END_TEST

START_TEST(at_the_descriptor_limit_it_is_the_limit_that_is_told)
{
	const int transport = _i % OVER_NR;
	const struct tofu_transport *t = over_transport(transport);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET };
	struct tofu_sockaddr at;
	int ends[2];

	works(tofu_init());
	connected_pair(transport, ends);
	works(tofu_inherited_address(strchr(numbered(transport, ends[1]), '&'),
	                             (enum tofu_socket_kind)kind_of(transport), &at));
	for (unsigned more = 0; more < 2; more++) { /* the copy; the event beside it */
		os_exhaust_descriptors(more);
		ck_status(t->listen(t, &listener, &at), TOFU_LIMIT_REACHED);
		os_free_descriptors();
		ck_assert_ptr_null(listener.state);
	}
	close(ends[0]);
	close(ends[1]);
	tofu_deinit();
}
END_TEST

/* --- activated --- */

/* In the process that was started: serve one caller, then end. */
static int serve(const char *address)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	uint16_t channel;
	uint64_t id;
	tofu_msg *msg;

	listen_at(&side, address, &at);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	id = tofu_msg_header(msg)->id;
	(void)answer(&side, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&side, TOFU_BYE_REQUEST);
	(void)answer(&side, &msg, TOFU_BYE_RESPONSE);
	expect_closed(&side, channel, id);
	engine_down(engine);
	return 0;
}

/* The link is read, for under valgrind it is valgrind that has it. */
static _Noreturn void start_service(const char *address)
{
	char path[4096] = { 0 };

	if (readlink("/proc/self/exe", path, sizeof path - 1) > 0)
		execl(path, path, "serve", address, (char *)NULL);
	_exit(3);
}

static void set_number(const char *name, long number)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%ld", number);
	(void)setenv(name, text, 1);
}

/* As systemd does: the sockets are the descriptors from 3 on, and the environment tells whose they are and their names. */
static pid_t activate(int first, int second, const char *names, const char *address)
{
	const pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child != 0)
		return child;
	first = fcntl(first, F_DUPFD, 100);
	second = fcntl(second, F_DUPFD, 100);
	if (dup2(first, FIRST_LISTEN_FD) < 0 || dup2(second, FIRST_LISTEN_FD + 1) < 0)
		_exit(2);
	close(first);
	close(second);
	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", 2);
	(void)setenv("LISTEN_FDNAMES", names, 1);
	start_service(address);
}

static void expect_success_of(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

static void call_and_leave(const struct side *client, const char *address)
{
	struct tofu_header hello = call(client, address, "hello");
	tofu_msg *msg =
		expect_on(client, hello.channel, hello.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);

	tofu_msg_put(&msg);
	(void)say(client, hello.channel, TOFU_BYE_REQUEST, 7, "");
	msg = expect_peer(client, TOFU_BYE_RESPONSE);
	tofu_msg_put(&msg);
	expect_closed(client, hello.channel, hello.id);
}

/* A call may come before the service is there. It ends, and the next call finds another one. */
START_TEST(an_activated_service_answers_by_the_name_of_its_socket)
{
	const int transport = _i % OVER_NR;
	const int other = os_hold_descriptor();
	tofu_engine *engine = engine_up(NULL);
	struct side client = side_in(engine);
	struct sockets_listener made;
	char address[200], name[32];

	sockets_listen(kind_of(transport), &made);
	(void)address_of(transport, &made, address, sizeof address);
	(void)snprintf(name, sizeof name, "%s|&service", over_scheme(transport));
	for (int i = 0; i < 3; i++) {
		const bool second = i == 1;
		pid_t child = activate(second ? other : (int)made.handle, second ? (int)made.handle : other,
		                       second ? "serv:service" : "service:services", name);

		call_and_leave(&client, address);
		expect_success_of(child);
	}
	if (transport == OVER_UDS)
		ck_assert(os_file_exists(path_of(address)));
	sockets_unlisten(&made);
	os_drop_descriptor(other);
	engine_down(engine);
}
END_TEST

/* inetd's nowait: standard input is the connection. */
START_TEST(a_service_of_inetd_answers_on_its_standard_input)
{
	const int transport = _i % OVER_NR;
	tofu_engine *engine = engine_up(NULL);
	struct side client = side_in(engine);
	char address[32];
	pid_t child;
	int ends[2];

	connected_pair(transport, ends);
	(void)snprintf(address, sizeof address, "%s|&0", over_scheme(transport));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		(void)dup2(ends[1], STDIN_FILENO);
		start_service(address);
	}
	close(ends[1]);
	call_and_leave(&client, numbered(transport, ends[0]));
	expect_success_of(child);
	close(ends[0]);
	engine_down(engine);
}
END_TEST

/* --- names --- */

static void expect_completed(const char *rest, const char *expected)
{
	char out[32];

	ck_status(tofu_inherited_complete(rest, out, sizeof out), TOFU_OK);
	ck_assert_str_eq(out, expected);
}

START_TEST(names_are_those_of_this_process_and_of_whole_words)
{
	char little[3];

	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", 3);
	(void)setenv("LISTEN_FDNAMES", "web:admin::web:beyond", 1);
	expect_completed("&web", "&3");
	expect_completed("&admin", "&4");
	expect_completed("&adm", "");
	expect_completed("&administration", "");
	expect_completed("&beyond", ""); /* there are three */
	expect_completed("&", "");
	expect_completed("&7", "");
	expect_completed("web", "");
	expect_completed("", "");
	ck_status(tofu_inherited_complete("&web", little, sizeof little), TOFU_OK);
	ck_status(tofu_inherited_complete("&web", little, 2), TOFU_INVALID_ADDRESS);
	set_number("LISTEN_FDS", -1);
	expect_completed("&web", "");
	set_number("LISTEN_FDS", 3);
	set_number("LISTEN_PID", getppid());
	expect_completed("&web", "");
	os_set_variable("LISTEN_PID", NULL);
	expect_completed("&web", "");
	os_set_variable("LISTEN_FDS", NULL);
	os_set_variable("LISTEN_FDNAMES", NULL);
	expect_completed("&web", "");
}
END_TEST

static Suite *suite_of_inherited(void)
{
	Suite *suite = suite_create("inherited_posix");
	TCase *listeners = suite_case(suite, "listeners", 30), *connections = suite_case(suite, "connections", 30);
	TCase *wrong = suite_case(suite, "wrong", 30), *activated = suite_case(suite, "activated", 30);
	TCase *names = suite_case(suite, "names", 30);

	over_sockets_add(listeners, a_listener_that_is_handed_over_is_used_and_stays, 1);
	over_sockets_add(listeners, nothing_is_left_open_but_the_original, 1);
	over_sockets_add(connections, a_connection_that_is_there_is_called_and_accepted_once, 1);
	over_sockets_add(connections, a_connection_ends_with_its_channel_though_the_original_is_open, 1);
	over_sockets_add(connections, a_connection_that_nobody_took_ends_with_its_listener, 2);
	over_sockets_add(wrong, a_descriptor_that_is_no_such_socket_is_no_address, 1);
	over_sockets_add(wrong, a_listener_is_not_called_by_its_number, 1);
	over_sockets_add(wrong, what_is_neither_a_number_nor_a_known_name_is_no_address, 1);
	over_sockets_add(wrong, at_the_descriptor_limit_it_is_the_limit_that_is_told, 1);
	over_sockets_add(activated, an_activated_service_answers_by_the_name_of_its_socket, 1);
	over_sockets_add(activated, a_service_of_inetd_answers_on_its_standard_input, 1);
	tcase_add_test(names, names_are_those_of_this_process_and_of_whole_words);
	return suite;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	return harness_run(suite_of_inherited());
}
