/* SPDX-License-Identifier: MIT */

/*
 * fork() under a running engine: the child's copies are inert, may be destroyed, and the parent never notices. A child says by
 * its exit status what went wrong.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fake.h"
#include "lib/raw.h"
#include "lib/steps.h"
#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"

struct inherited {
	struct pair *pair;
	tofu_msg *msg;
};

#define CHILD_EXPECTS(call, status)                                                                                    \
	do {                                                                                                           \
		enum tofu_status got = (call);                                                                         \
		if (got != (status)) {                                                                                 \
			fprintf(stderr, "in the child: %s gave %s\n", #call, tofu_status_name(got));                   \
			return 1;                                                                                      \
		}                                                                                                      \
	} while (0)

static int child_calls(void *context)
{
	struct inherited *in = context;
	tofu_engine *engine = in->pair->client.engine, *fresh;
	tofu_group *group = in->pair->client.group, *other;
	struct tofu_stats stats = { .size = sizeof stats };
	tofu_msg *msg;
	intptr_t pollable;
	size_t count;

	CHILD_EXPECTS(tofu_post(group, &in->msg, NULL), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_post_many(group, &in->msg, 1, &count), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_receive(group, &msg, 0), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_receive(group, &msg, TOFU_FOREVER), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_receive_many(group, &msg, 1, &count, TOFU_FOREVER), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_engine_run(engine, TOFU_FOREVER), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_engine_pollable(engine, &pollable), TOFU_NOT_ALLOWED);
	if (tofu_engine_timeout(engine) != -1)
		return 1;
	CHILD_EXPECTS(tofu_update_receiver(group, NULL), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_group_interrupt(group), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_group_drain(group, TOFU_FOREVER), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_group_pollable(group, &pollable), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_group_create(engine, &other), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_engine_stats(engine, &stats), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_msg_get(engine, TOFU_ALWAYS, &msg), TOFU_NOT_ALLOWED);
	tofu_engine_destroy(engine);
	CHILD_EXPECTS(tofu_post(group, &in->msg, NULL), TOFU_NOT_ALLOWED);
	CHILD_EXPECTS(tofu_receive(group, &msg, 0), TOFU_NOT_ALLOWED);
	side_down(&in->pair->client);
	side_down(&in->pair->server);
	tofu_deinit();
	/* And may begin anew. */
	if (!os_threads_after_fork())
		return 0;
	CHILD_EXPECTS(tofu_init(), TOFU_OK);
	CHILD_EXPECTS(tofu_engine_create(NULL, &fresh), TOFU_OK);
	tofu_engine_destroy(fresh);
	tofu_deinit();
	return 0;
}

/* With a thread, without, and with one that lends nothing. */
static struct tofu_options options_of(int io)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.io = (enum tofu_io)io;
	return options;
}

enum { IO_NR = TOFU_IO_THREAD_ONLY + 1 };

START_TEST(in_a_child_of_fork_calls_give_not_allowed_and_the_parent_never_notices)
{
	struct tofu_options options = options_of(_i / OVER_NR);
	int over = _i % OVER_NR;
	struct pair p;
	struct inherited in;

	pair_open(&p, over, &options);
	in.pair = &p;
	in.msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, "twice");
	ck_assert_int_eq(os_in_fork(child_calls, &in), 0);
	/* The connection, the listener and its file are as they were. */
	pair_talk(&p);
	if (over == OVER_UDS)
		ck_assert(os_file_exists(path_of(p.at.address)));
	pair_bye(&p);
	pair_meet(&p);
	expect_silence(&p.client);
	expect_silence(&p.server);
	tofu_msg_put(&in.msg);
	pair_close(&p);
}
END_TEST

static int child_destroys_a_busy_engine(void *context)
{
	const struct pair *p = context;

	side_down(&p->server);
	tofu_engine_destroy(p->client.engine);
	side_down(&p->client);
	return 0;
}

START_TEST(a_child_may_destroy_its_copy_at_any_moment)
{
	struct tofu_options options = options_of(_i / OVER_NR);
	struct pair p;

	pair_open(&p, _i % OVER_NR, &options);
	for (unsigned i = 0; i < rounds(50); i++) {
		/* The engine's thread is somewhere in its work when fork() copies it. */
		for (int n = 0; n < 20; n++)
			say(&p.client, p.client_channel, TOFU_SIGNAL, 0, "work");
		ck_assert_int_eq(os_in_fork(child_destroys_a_busy_engine, &p), 0);
		for (int n = 0; n < 20; n++) {
			tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);

			tofu_msg_put(&msg);
		}
	}
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

static int child_takes_the_name(void *context)
{
	const struct pair *p = context;
	const struct tofu_transport *t = over_transport(OVER_INPROC);
	const char *name = path_of(p->at.address);
	struct tofu_link listener = { .handle = TOFU_NO_SOCKET }, caller = { .handle = TOFU_NO_SOCKET };
	unsigned want = TOFU_WRITABLE;
	struct tofu_sockaddr to;
	size_t count;

	works(t->resolve(t, name, TOFU_TO_LISTEN, 0, &to, 1, &count));
	must(t->connect_start(t, &caller, name, &to, &want) == TOFU_CONNECT_FAILED, "the parent's listener is there");
	works(t->listen(t, &listener, &to));
	works(t->connect_start(t, &caller, name, &to, &want));
	/* The copy of the parent's listener leaves this one alone. */
	tofu_engine_destroy(p->client.engine);
	t->close(t, &caller, TOFU_CLOSE_ORDERLY);
	works(t->connect_start(t, &caller, name, &to, &want));
	t->close(t, &caller, TOFU_CLOSE_ORDERLY);
	t->close(t, &listener, TOFU_CLOSE_ORDERLY);
	return 0;
}

START_TEST(a_child_has_none_of_the_names_of_its_parents_process)
{
	struct pair p;

	pair_open(&p, OVER_INPROC, NULL);
	ck_assert_int_eq(os_in_fork(child_takes_the_name, &p), 0);
	pair_talk(&p);
	pair_bye(&p);
	pair_meet(&p);
	pair_close(&p);
}
END_TEST

/*
 * A side of an engine whose thread has begun. Before that, a child of fork() has the memory that tells the thread what to run.
 * Nothing in the child frees it, and valgrind reports a leak.
 */
static struct side side_at_work(tofu_engine *engine)
{
	struct side side = side_in(engine);

	expect_silence(&side);
	return side;
}

/* Threads of the parent wait in the library; in the child they are not there, though its memory says so. */
struct waiting {
	struct side side;
	struct tofu_thread thread;
	atomic_llong id;
	enum tofu_status status;
};

static void wait_for_ever(void *context)
{
	struct waiting *w = context;
	tofu_msg *msg;

	atomic_store(&w->id, os_thread_id());
	w->status = tofu_receive(w->side.group, &msg, TOFU_FOREVER);
	tofu_msg_put(&msg);
}

static int child_destroys_all(void *context)
{
	const struct waiting *w = context;

	side_down(&w[0].side);
	tofu_engine_destroy(w[0].side.engine);
	side_down(&w[1].side);
	return 0;
}

/* One of them may lead, and the other follow. */
START_TEST(a_child_may_destroy_what_threads_of_the_parent_wait_in)
{
	struct tofu_options options = options_of(_i);
	tofu_engine *engine = engine_up(&options);
	struct waiting w[2] = { { .side = side_at_work(engine) }, { .side = side_in(engine) } };

	for (int i = 0; i < 2; i++) {
		ck_status(tofu_thread_start(&w[i].thread, wait_for_ever, &w[i]), TOFU_OK);
		eventually(atomic_load(&w[i].id) != 0);
		must(os_await_sleeping(atomic_load(&w[i].id)), "the thread does not wait");
	}
	ck_assert_int_eq(os_in_fork(child_destroys_all, w), 0);
	for (int i = 0; i < 2; i++) {
		ck_status(tofu_update_receiver(w[i].side.group, NULL), TOFU_OK);
		tofu_thread_join(&w[i].thread);
		ck_status(w[i].status, TOFU_OK);
	}
	engine_down(engine);
}
END_TEST

/*
 * Messages of one engine that another one sends. The engine that sends is held first, the one whose pool they go back to
 * last, or the other way round: the newest is the first.
 */
struct traffic {
	struct pair pair;
	struct side of; /* whose messages they are */
	struct tofu_thread poster, taker;
	atomic_bool stop;
};

static void post_on_and_on(void *context)
{
	struct traffic *t = context;

	while (!atomic_load(&t->stop)) {
		tofu_msg *msg = message(&t->of, TOFU_SIGNAL, t->pair.client_channel, 0, "another engine's");

		if (tofu_post(t->pair.client.group, &msg, NULL) != TOFU_OK) {
			tofu_msg_put(&msg);
			os_pause();
		}
	}
}

static void take_on_and_on(void *context)
{
	struct traffic *t = context;
	tofu_msg *msg;

	while (tofu_receive(t->pair.server.group, &msg, TOFU_FOREVER) == TOFU_OK) {
		bool last = tofu_msg_header(msg)->status == TOFU_RECEIVER_UPDATE;

		tofu_msg_put(&msg);
		if (last)
			return;
	}
}

/*
 * The child stops when it is out of fork(), too. Then it is killed from outside, so that nobody looks for leaks in it, as
 * valgrind does where a process ends itself: what other threads of the test hold at that instant is lost there.
 */
static void fork_for_nothing(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		for (;;)
			(void)raise(SIGSTOP);
	must(pid > 0, "no child");
	must(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "the child did not stop: %#x",
	     (unsigned)status);
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "no end of the child");
}

START_TEST(fork_finds_an_end_while_engines_send_each_others_messages)
{
	static struct traffic t;
	tofu_engine *other = _i == 0 ? engine_up(NULL) : NULL;

	memset(&t, 0, sizeof t);
	pair_open(&t.pair, OVER_TCP, NULL);
	if (other == NULL)
		other = engine_up(NULL);
	t.of = side_in(other);
	ck_status(tofu_thread_start(&t.poster, post_on_and_on, &t), TOFU_OK);
	ck_status(tofu_thread_start(&t.taker, take_on_and_on, &t), TOFU_OK);
	for (unsigned i = 0; i < rounds(300); i++)
		fork_for_nothing();
	atomic_store(&t.stop, true);
	tofu_thread_join(&t.poster);
	drain_group(t.pair.client.group);
	ck_status(tofu_update_receiver(t.pair.server.group, NULL), TOFU_OK);
	tofu_thread_join(&t.taker);
	engine_down(t.pair.client.engine);
	engine_down(other);
}
END_TEST

/* How many turns the engine begins between a thread's wish to fork and the moment when all holds still. */
struct turns {
	struct tofu_fork_watch watch; /* the newest, so that it is asked first */
	tofu_engine *engine;
	uint64_t begun;
	unsigned forks, slow;
};

static struct turns *turns_of(struct tofu_fork_watch *w)
{
	return (struct turns *)(void *)w;
}

static void count_from_here(struct tofu_fork_watch *w)
{
	turns_of(w)->begun = atomic_load(&turns_of(w)->engine->reactor.counters.wakeups);
}

static void count_to_here(struct tofu_fork_watch *w)
{
	struct turns *t = turns_of(w);

	t->forks++;
	t->slow += atomic_load(&t->engine->reactor.counters.wakeups) - t->begun > 1;
}

static void count_no_more(struct tofu_fork_watch *w)
{
	(void)w;
}

START_TEST(a_thread_that_forks_has_the_next_turn_of_a_busy_engine)
{
	static struct traffic t;
	static struct turns turns;

	memset(&t, 0, sizeof t);
	turns = (struct turns){ .watch = {
					.hold = count_from_here, .hold_last = count_to_here, .go_on = count_no_more } };
	pair_open(&t.pair, OVER_TCP, NULL);
	t.of = t.pair.client;
	turns.engine = t.of.engine;
	tofu_plat_fork_watch(&turns.watch);
	ck_status(tofu_thread_start(&t.poster, post_on_and_on, &t), TOFU_OK);
	ck_status(tofu_thread_start(&t.taker, take_on_and_on, &t), TOFU_OK);
	for (unsigned i = 0; i < rounds(300); i++)
		fork_for_nothing();
	tofu_plat_fork_unwatch(&turns.watch);
	atomic_store(&t.stop, true);
	tofu_thread_join(&t.poster);
	drain_group(t.pair.client.group);
	ck_status(tofu_update_receiver(t.pair.server.group, NULL), TOFU_OK);
	tofu_thread_join(&t.taker);
	engine_down(t.of.engine);
	/* Not each: the thread may lose its processor between the two counts, before it has said that it wants the turn. */
	must(turns.slow * 10 <= turns.forks, "%u of %u forks had to wait for more than a turn", turns.slow,
	     turns.forks);
}
END_TEST

/* A thread that forks in the middle of a call of ours, which holds this lock. */
enum held { GROUP, ENGINE, REGISTRY, TURN, POOL, HELDS };

static void hold(const struct side *s, enum held which)
{
	if (which == TURN)
		eventually(tofu_reactor_try_turn(&s->engine->reactor));
	else if (which == POOL)
		tofu_pool_hold(s->engine->pool);
	else if (which == REGISTRY)
		tofu_mutex_lock(&s->engine->registry.lock);
	else
		tofu_mutex_lock(which == GROUP ? &s->group->lock : &s->engine->lock);
}

static void let_go(const struct side *s, enum held which)
{
	if (which == TURN)
		tofu_reactor_end_turn(&s->engine->reactor);
	else if (which == POOL)
		tofu_pool_go_on(s->engine->pool);
	else if (which == REGISTRY)
		tofu_mutex_unlock(&s->engine->registry.lock);
	else
		tofu_mutex_unlock(which == GROUP ? &s->group->lock : &s->engine->lock);
}

START_TEST(a_fork_in_the_middle_of_a_call_does_not_hang_nor_does_its_child)
{
	struct pair p;
	struct inherited in = { .pair = &p };

	pair_open(&p, OVER_TCP, NULL);
	in.msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, "twice");
	hold(&p.client, (enum held)_i);
	ck_assert_int_eq(os_in_fork(child_calls, &in), 0);
	let_go(&p.client, (enum held)_i);
	pair_talk(&p);
	ck_assert_int_eq(os_in_fork(child_destroys_a_busy_engine, &p), 0);
	pair_bye(&p);
	tofu_msg_put(&in.msg);
	pair_close(&p);
}
END_TEST

/* A handler that forks, as those do that start a debugger, interrupts calls wherever they are. */
static struct side interrupted;
static atomic_uint forks_in_handler;
static atomic_bool handler_failed;

static void fork_in_handler(int number)
{
	pid_t pid = fork();
	int status = 1;

	(void)number;
	if (pid == 0) /* to free anything is not for a signal handler, in a child either */
		_exit(tofu_group_drain(interrupted.group, 0) == TOFU_NOT_ALLOWED ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		atomic_store(&handler_failed, true);
	atomic_fetch_add(&forks_in_handler, 1);
}

struct interrupter {
	struct tofu_thread thread;
	pthread_t target;
	atomic_bool stop;
};

static void interrupt_again_and_again(void *context)
{
	struct interrupter *in = context;

	for (unsigned sent = 0; !atomic_load(&in->stop); sent++) {
		(void)pthread_kill(in->target, SIGUSR1);
		while (!atomic_load(&in->stop) && atomic_load(&forks_in_handler) <= sent)
			os_pause();
	}
}

START_TEST(a_signal_handler_may_fork_whatever_call_it_interrupts)
{
	struct interrupter in = { .target = pthread_self() };
	struct sigaction action, before;
	unsigned wanted = rounds(300);

	memset(&action, 0, sizeof action);
	action.sa_handler = fork_in_handler;
	interrupted = side_at_work(engine_up(NULL));
	atomic_store(&forks_in_handler, 0);
	ck_status(tofu_update_receiver(interrupted.group, NULL), TOFU_OK); /* there is a notice from now on */
	ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
	ck_status(tofu_thread_start(&in.thread, interrupt_again_and_again, &in), TOFU_OK);
	while (atomic_load(&forks_in_handler) < wanted) {
		tofu_msg *msg = take(&interrupted);

		tofu_msg_put(&msg);
		ck_status(tofu_msg_get(interrupted.engine, TOFU_POOL_ONLY, &msg), TOFU_OK);
		tofu_msg_put(&msg);
		ck_status(tofu_update_receiver(interrupted.group, NULL), TOFU_OK);
	}
	atomic_store(&in.stop, true);
	tofu_thread_join(&in.thread);
	ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
	ck_assert(!atomic_load(&handler_failed));
	engine_down(interrupted.engine);
}
END_TEST

/* The log, which the application may do with as it likes. */
struct logger {
	struct tofu_mutex lock;
	atomic_bool begun;
	atomic_bool done;
};

static void log_under_lock(void *context, enum tofu_log_level level, const char *text)
{
	struct logger *l = context;

	(void)level;
	(void)text;
	atomic_store(&l->begun, true);
	tofu_mutex_lock(&l->lock);
	atomic_store(&l->done, true);
	tofu_mutex_unlock(&l->lock);
}

static void log_by_forking(void *context, enum tofu_log_level level, const char *text)
{
	struct logger *l = context;

	(void)level;
	(void)text;
	atomic_store(&l->begun, true);
	for (int i = 0; i < 20; i++) {
		works(tofu_init());
		fork_for_nothing();
		tofu_deinit();
	}
	atomic_store(&l->done, true);
}

/* An engine that has something to say, and says it by now. */
static tofu_engine *engine_that_logs(tofu_log_fn *log, struct logger *l)
{
	struct tofu_options options;
	struct listening at;
	tofu_engine *engine;
	struct side side;
	struct raw peer;

	tofu_options_init(&options, sizeof options);
	options.log = log;
	options.log_context = l;
	engine = engine_up(&options);
	side = side_in(engine);
	listen_over(&side, OVER_TCP, &at);
	raw_call(&peer, at.address);
	raw_say(&peer, 15, 1, "not allowed");
	eventually(atomic_load(&l->begun));
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	return engine;
}

START_TEST(the_log_may_wait_for_a_lock_that_a_forking_thread_holds)
{
	struct logger l = { 0 };
	tofu_engine *engine;

	ck_status(tofu_mutex_init(&l.lock), TOFU_OK);
	tofu_mutex_lock(&l.lock);
	engine = engine_that_logs(log_under_lock, &l);
	fork_for_nothing();
	must(!atomic_load(&l.done), "it did not wait");
	tofu_mutex_unlock(&l.lock);
	eventually(atomic_load(&l.done));
	engine_down(engine);
	tofu_mutex_fini(&l.lock);
}
END_TEST

START_TEST(the_log_may_fork_while_another_thread_forks)
{
	struct logger l = { 0 };
	tofu_engine *engine = engine_that_logs(log_by_forking, &l);

	while (!atomic_load(&l.done))
		fork_for_nothing();
	engine_down(engine);
}
END_TEST

static int child_destroys_the_engine(void *context)
{
	struct side *side = context;

	tofu_engine_destroy(side->engine);
	side_down(side);
	return 0;
}

START_TEST(a_child_frees_its_copy_of_a_race_and_the_one_of_the_parent_goes_on)
{
	enum { RACERS = 3 };
	static struct raw peers[RACERS];
	struct side side = side_in(engine_up(NULL));
	char at[128], address[200];
	intptr_t listener = raw_listen(OVER_TCP, at, sizeof at);

	racing_anew();
	works(tofu_engine_register(side.engine, fake_racing()));
	(void)snprintf(address, sizeof address, "racing|ssh:%s", path_of(at));
	call(&side, address, "hello");
	for (int i = 0; i < RACERS; i++)
		raw_accept(&peers[i], listener);
	ck_assert_int_eq(os_in_fork(child_destroys_the_engine, &side), 0);
	raw_write(&peers[2], "!", 1);
	raw_expect(&peers[2], TOFU_HELLO_REQUEST);
	for (int i = 0; i < RACERS; i++)
		raw_hang_up(&peers[i], TOFU_CLOSE_ORDERLY);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

static Suite *suite_of_fork(void)
{
	Suite *suite = suite_create("fork_posix");
	TCase *forked = suite_case(suite, "fork", 60);

	over_add(forked, in_a_child_of_fork_calls_give_not_allowed_and_the_parent_never_notices, IO_NR);
	over_add(forked, a_child_may_destroy_its_copy_at_any_moment, IO_NR);
	over_need(forked, a_child_has_none_of_the_names_of_its_parents_process, OVER_INPROC);
	tcase_add_loop_test(forked, a_child_may_destroy_what_threads_of_the_parent_wait_in, 0, IO_NR);
	tcase_add_loop_test(forked, fork_finds_an_end_while_engines_send_each_others_messages, 0, 2);
	tcase_add_test(forked, a_thread_that_forks_has_the_next_turn_of_a_busy_engine);
	tcase_add_loop_test(forked, a_fork_in_the_middle_of_a_call_does_not_hang_nor_does_its_child, 0, HELDS);
	tcase_add_test(forked, a_child_frees_its_copy_of_a_race_and_the_one_of_the_parent_goes_on);
	tcase_add_test(forked, a_signal_handler_may_fork_whatever_call_it_interrupts);
	tcase_add_test(forked, the_log_may_wait_for_a_lock_that_a_forking_thread_holds);
	tcase_add_test(forked, the_log_may_fork_while_another_thread_forks);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_fork());
}
