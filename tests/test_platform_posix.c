/* SPDX-License-Identifier: MIT */
/*
 * What only POSIX has: signals, descriptors that exec would inherit, file modes, fork(). The fork tests run a child that
 * reports by its exit status.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tofu/engine.h>
#include <tofu/transport.h>

#include "harness.h"
#include "os.h"
#include "platform/platform.h"

static const int64_t long_enough = 10 * TOFU_NS_PER_S;

static void setup(void)
{
	ck_status(tofu_init(), TOFU_OK);
}

static void teardown(void)
{
	tofu_deinit();
}

/* A listener and a connection to it, over IPv4 or a file. */
struct pair {
	struct tofu_sockaddr at;
	char path[108];
	intptr_t listener;
	intptr_t client;
	intptr_t server;
};

enum { OVER_TCP, OVER_FILE, OVER_NR };

static void wait_for(intptr_t socket, unsigned bits)
{
	ck_assert_uint_ne(os_wait(socket, bits, long_enough), 0);
}

static enum tofu_status connect_to_the_end(const struct tofu_sockaddr *to, intptr_t *out)
{
	enum tofu_status st = tofu_socket_connect(to, out);

	while (st == TOFU_WOULD_BLOCK) {
		wait_for(*out, OS_WRITABLE);
		st = tofu_socket_connect_result(*out);
	}
	return st;
}

static void pair_open(struct pair *p, int over)
{
	size_t count;

	memset(p, 0, sizeof *p);
	if (over == OVER_FILE) {
		os_fresh_path(p->path, sizeof p->path);
		ck_status(tofu_sockaddr_unix(p->path, &p->at), TOFU_OK);
	} else {
		ck_status(tofu_sockaddr_inet("127.0.0.1", 0, 0, &p->at, 1, &count), TOFU_OK);
	}
	ck_status(tofu_socket_listen(&p->at, &p->listener), TOFU_OK);
	ck_status(tofu_socket_local(p->listener, &p->at), TOFU_OK);
	ck_status(connect_to_the_end(&p->at, &p->client), TOFU_OK);
	wait_for(p->listener, OS_READABLE);
	ck_status(tofu_socket_accept(p->listener, &p->server), TOFU_OK);
}

static void pair_close(struct pair *p)
{
	tofu_socket_close(p->client, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(p->server, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(p->listener, TOFU_CLOSE_ORDERLY);
	if (p->path[0] != '\0')
		os_file_remove(p->path);
}

/* signals */

static void read_signal_mask(void *context)
{
	(void)pthread_sigmask(SIG_SETMASK, NULL, context);
}

START_TEST(thread_blocks_all_signals_and_its_creator_as_before)
{
	struct tofu_thread thread;
	sigset_t inside;
	sigset_t before;
	sigset_t after;

	ck_assert_int_eq(sigemptyset(&inside), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	ck_status(tofu_thread_start(&thread, read_signal_mask, &inside), TOFU_OK);
	tofu_thread_join(&thread);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	for (int number = 1; number < 32; number++) { /* after these come two that belong to the C library */
		if (number != SIGKILL && number != SIGSTOP)
			ck_assert_msg(sigismember(&inside, number) == 1, "signal %d is not blocked", number);
		ck_assert_int_eq(sigismember(&before, number), sigismember(&after, number));
	}
}
END_TEST

/* descriptors */

static void expect_not_inherited_nor_blocking(intptr_t descriptor)
{
	ck_assert_int_gt(descriptor, STDERR_FILENO);
	ck_assert_int_ne(fcntl((int)descriptor, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl((int)descriptor, F_GETFL) & O_NONBLOCK, 0);
}

START_TEST(descriptors_are_not_inherited_and_do_not_block)
{
	struct tofu_event event;
	struct pair p;

	pair_open(&p, _i);
	expect_not_inherited_nor_blocking(p.listener);
	expect_not_inherited_nor_blocking(p.client);
	expect_not_inherited_nor_blocking(p.server);
	pair_close(&p);
	ck_status(tofu_event_init(&event), TOFU_OK);
	expect_not_inherited_nor_blocking(event.handle);
	tofu_event_fini(&event);
}
END_TEST

/* In a child without standard streams: 0 if all descriptors are above them. Nothing can be printed there. */
static int open_without_standard_streams(void *context)
{
	struct tofu_event event;
	struct tofu_sockaddr at;
	intptr_t listener, client, server;
	size_t count;

	(void)context;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		(void)close(fd);
	if (tofu_event_init(&event) != TOFU_OK || event.handle <= STDERR_FILENO)
		return 1;
	if (tofu_sockaddr_inet("127.0.0.1", 0, 0, &at, 1, &count) != TOFU_OK)
		return 2;
	if (tofu_socket_listen(&at, &listener) != TOFU_OK || listener <= STDERR_FILENO)
		return 3;
	if (tofu_socket_local(listener, &at) != TOFU_OK || connect_to_the_end(&at, &client) != TOFU_OK)
		return 4;
	wait_for(listener, OS_READABLE);
	if (tofu_socket_accept(listener, &server) != TOFU_OK || server <= STDERR_FILENO || client <= STDERR_FILENO)
		return 5;
	if (fcntl((int)server, F_GETFL) < 0 || (fcntl((int)server, F_GETFL) & O_NONBLOCK) == 0 ||
	    (fcntl((int)server, F_GETFD) & FD_CLOEXEC) == 0)
		return 6;
	return 0;
}

START_TEST(descriptors_stay_above_the_standard_streams)
{
	ck_assert_int_eq(os_in_fork(open_without_standard_streams, NULL), 0);
}
END_TEST

static int finish_zeroed_objects(void *context)
{
	struct tofu_event event = { 0 };

	(void)context;
	(void)close(STDIN_FILENO);
	if (open("/dev/null", O_RDONLY | O_CLOEXEC) != STDIN_FILENO)
		return 1;
	tofu_event_fini(&event);
	tofu_socket_close(0, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(0, TOFU_CLOSE_ABORT);
	tofu_socket_close(0, TOFU_CLOSE_FORGET);
	return fcntl(STDIN_FILENO, F_GETFD) < 0 ? 2 : 0;
}

START_TEST(zeroed_handle_is_not_standard_input)
{
	ck_assert_int_eq(os_in_fork(finish_zeroed_objects, NULL), 0);
}
END_TEST

/* files */

START_TEST(socket_file_is_for_the_user_only)
{
	static const mode_t masks[] = { 0, 022, 0777 };
	const mode_t before = umask(masks[_i]);
	struct tofu_sockaddr at;
	intptr_t listener;
	char path[108];

	os_fresh_path(path, sizeof path);
	ck_status(tofu_sockaddr_unix(path, &at), TOFU_OK);
	ck_status(tofu_socket_listen(&at, &listener), TOFU_OK);
	ck_assert(os_file_is_private(path));
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	os_file_remove(path);
	(void)umask(before);
}
END_TEST

START_TEST(listen_leaves_a_file_alone_that_was_there)
{
	struct tofu_sockaddr at;
	intptr_t listener;
	char path[108];
	int fd;

	os_fresh_path(path, sizeof path);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_status(tofu_sockaddr_unix(path, &at), TOFU_OK);
	ck_status(tofu_socket_listen(&at, &listener), TOFU_ADDRESS_IN_USE);
	ck_assert(os_file_exists(path));
	ck_status(tofu_socket_connect(&at, &listener), TOFU_CONNECT_FAILED);
	os_file_remove(path);
}
END_TEST

/* fork */

static int fork_generation_went_up(void *context)
{
	return tofu_plat_fork_generation() == *(const unsigned *)context + 1 ? 0 : 1;
}

START_TEST(fork_generation_goes_up_in_the_child_only)
{
	const unsigned before = tofu_plat_fork_generation();
	unsigned generation = before;

	tofu_deinit(); /* another start does not count twice */
	ck_status(tofu_init(), TOFU_OK);
	ck_assert_int_eq(os_in_fork(fork_generation_went_up, &generation), 0);
	ck_assert_uint_eq(tofu_plat_fork_generation(), before);
}
END_TEST

struct waiter {
	struct tofu_thread thread;
	struct tofu_mutex mutex;
	struct tofu_cond cond;
	struct tofu_cond waiting_changed;
	bool waiting; /* under mutex, as stop */
	bool stop;
};

static void wait_for_stop(void *context)
{
	struct waiter *w = context;

	tofu_mutex_lock(&w->mutex);
	w->waiting = true;
	tofu_cond_signal(&w->waiting_changed);
	while (!w->stop)
		(void)tofu_cond_wait_until(&w->cond, &w->mutex, TOFU_FOREVER);
	tofu_mutex_unlock(&w->mutex);
}

static void waiter_start(struct waiter *w)
{
	*w = (struct waiter){ .stop = false };
	ck_status(tofu_mutex_init(&w->mutex), TOFU_OK);
	ck_status(tofu_cond_init(&w->cond), TOFU_OK);
	ck_status(tofu_cond_init(&w->waiting_changed), TOFU_OK);
	ck_status(tofu_thread_start(&w->thread, wait_for_stop, w), TOFU_OK);
	tofu_mutex_lock(&w->mutex);
	while (!w->waiting)
		(void)tofu_cond_wait_until(&w->waiting_changed, &w->mutex, TOFU_FOREVER);
	tofu_mutex_unlock(&w->mutex);
}

static void waiter_stop(struct waiter *w)
{
	tofu_mutex_lock(&w->mutex);
	w->stop = true;
	tofu_cond_signal(&w->cond);
	tofu_mutex_unlock(&w->mutex);
	tofu_thread_join(&w->thread);
	tofu_cond_fini(&w->waiting_changed);
	tofu_cond_fini(&w->cond);
	tofu_mutex_fini(&w->mutex);
}

static int finish_in_child(void *context)
{
	struct waiter *w = context;

	(void)alarm(20); /* a hang is a death */
	tofu_cond_fini(&w->cond);
	tofu_mutex_fini(&w->mutex);
	tofu_thread_join(&w->thread);
	return 0;
}

START_TEST(child_does_not_wait_for_threads_of_the_parent)
{
	struct waiter w;

	waiter_start(&w);
	ck_assert_int_eq(os_in_fork(finish_in_child, &w), 0);
	waiter_stop(&w); /* the parent never noticed */
}
END_TEST

/* A thread that is in the middle of init.c until the one that forks has come to wait for it. */
struct in_init {
	struct tofu_thread thread;
	int64_t forker;
	atomic_bool inside;
	atomic_bool forking;
};

static void stay_in_init(void *context)
{
	struct in_init *in = context;

	tofu_plat_fork_begin();
	atomic_store(&in->inside, true);
	while (!atomic_load(&in->forking))
		os_pause();
	(void)os_await_sleeping(in->forker); /* in fork(), for our lock */
	tofu_plat_fork_end();
	while (atomic_load(&in->forking))
		os_pause(); /* a thread that ended in the middle of a fork looks leaked to the child */
}

static int init_in_child(void *context)
{
	(void)context;
	(void)alarm(3); /* a hang is a death */
	if (tofu_init() != TOFU_OK)
		return 1;
	tofu_deinit();
	return 0;
}

START_TEST(child_of_a_fork_in_the_middle_of_init_can_init)
{
	struct in_init in = { .forker = os_thread_id() };
	int status;

	ck_status(tofu_thread_start(&in.thread, stay_in_init, &in), TOFU_OK);
	while (!atomic_load(&in.inside))
		os_pause();
	atomic_store(&in.forking, true);
	status = os_in_fork(init_in_child, NULL);
	atomic_store(&in.forking, false);
	tofu_thread_join(&in.thread);
	ck_assert_int_eq(status, 0);
}
END_TEST

static int forget_all(void *context)
{
	const struct pair *p = context;

	tofu_socket_close(p->client, TOFU_CLOSE_FORGET);
	tofu_socket_close(p->server, TOFU_CLOSE_FORGET);
	tofu_socket_close(p->listener, TOFU_CLOSE_FORGET);
	return 0;
}

START_TEST(forgetting_in_a_child_leaves_the_parents_sockets_alone)
{
	struct pair p;
	char got[8];
	const struct tofu_iov out = { "hello", 5 };
	const struct tofu_iov in = { got, sizeof got };
	size_t done;
	intptr_t more;

	pair_open(&p, _i);
	ck_assert_int_eq(os_in_fork(forget_all, &p), 0);
	ck_status(tofu_socket_send(p.client, &out, 1, &done), TOFU_OK);
	wait_for(p.server, OS_READABLE);
	ck_status(tofu_socket_receive(p.server, &in, 1, &done), TOFU_OK);
	ck_assert_uint_eq(done, 5);
	ck_status(connect_to_the_end(&p.at, &more), TOFU_OK);
	tofu_socket_close(more, TOFU_CLOSE_ORDERLY);
	pair_close(&p);
}
END_TEST

/* A child that holds copies of everything until hold_end, written to by the parent, is closed. */
static pid_t child_that_holds(int *hold_end)
{
	int pipe_fds[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		(void)alarm(20);
		(void)close(pipe_fds[1]);
		(void)!read(pipe_fds[0], &byte, 1);
		_exit(0);
	}
	(void)close(pipe_fds[0]);
	*hold_end = pipe_fds[1];
	return pid;
}

START_TEST(closing_takes_effect_while_a_child_holds_copies)
{
	const enum tofu_close how = _i < OVER_NR ? TOFU_CLOSE_ORDERLY : TOFU_CLOSE_ABORT;
	struct os_process child = { 0 };
	struct pair p;
	intptr_t more;
	int hold_end;

	pair_open(&p, _i % OVER_NR);
	child.id = child_that_holds(&hold_end);
	child.out = -1;
	tofu_socket_close(p.client, how);
	p.client = TOFU_NO_SOCKET;
	ck_assert_int_eq(os_read_to_end(p.server, long_enough),
	                 how == TOFU_CLOSE_ABORT && _i % OVER_NR == OVER_TCP ? OS_RESET : OS_FIN);
	tofu_socket_close(p.listener, how);
	p.listener = TOFU_NO_SOCKET;
	ck_status(connect_to_the_end(&p.at, &more), TOFU_CONNECT_FAILED);
	tofu_socket_close(more, TOFU_CLOSE_ORDERLY);
	if (p.path[0] != '\0')
		os_file_remove(p.path);
	ck_status(tofu_socket_listen(&p.at, &p.listener), TOFU_OK);
	(void)close(hold_end);
	ck_assert_int_eq(os_reap(&child), 0);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_platform_posix(void)
{
	Suite *suite = suite_create("platform_posix");
	TCase *system = tcase_create("system");
	TCase *forked = tcase_create("fork");

	tcase_add_checked_fixture(system, setup, teardown);
	tcase_add_test(system, thread_blocks_all_signals_and_its_creator_as_before);
	tcase_add_loop_test(system, descriptors_are_not_inherited_and_do_not_block, 0, OVER_NR);
	tcase_add_test(system, descriptors_stay_above_the_standard_streams);
	tcase_add_test(system, zeroed_handle_is_not_standard_input);
	tcase_add_loop_test(system, socket_file_is_for_the_user_only, 0, 3);
	tcase_add_test(system, listen_leaves_a_file_alone_that_was_there);
	suite_add_tcase(suite, system);

	tcase_add_checked_fixture(forked, setup, teardown);
	tcase_add_test(forked, fork_generation_goes_up_in_the_child_only);
	tcase_add_test(forked, child_does_not_wait_for_threads_of_the_parent);
	tcase_add_test(forked, child_of_a_fork_in_the_middle_of_init_can_init);
	tcase_add_loop_test(forked, forgetting_in_a_child_leaves_the_parents_sockets_alone, 0, OVER_NR);
	tcase_add_loop_test(forked, closing_takes_effect_while_a_child_holds_copies, 0, 2 * OVER_NR);
	suite_add_tcase(suite, forked);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_platform_posix());
}
