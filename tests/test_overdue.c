/* SPDX-License-Identifier: MIT */

/*
 * Timers of an engine that could not look at them in time, or not do what it wanted: input comes before time-outs, a
 * shortage of the system ends nothing, a listener pauses once. The engine is stopped from within, by a callback that does not
 * return on its thread, so that what happens meanwhile is known.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tofu/tcp.h>

#include "lib/pollers.h"
#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/poller.h"

enum {
	SOME = 300, /* more than one wait reports */
	MANY = 600
};

/* For a time-out. Where a thousand threads take long, so do some hundred connections: by Wine, under valgrind. */
static uint32_t time_ms(void)
{
	return os_has_many_threads() ? 1500 : 4000;
}

/* --- an engine that stands still --- */

static struct {
	atomic_bool hold, held;
	atomic_uint pauses, silent; /* lines of the log: accepting paused, no hello */
} engine_log;

static void on_log(void *context, enum tofu_log_level level, const char *text)
{
	(void)context;
	(void)level;
	if (strstr(text, "accepting is paused") != NULL)
		atomic_fetch_add(&engine_log.pauses, 1);
	if (strstr(text, "no hello") != NULL)
		atomic_fetch_add(&engine_log.silent, 1);
	while (atomic_load(&engine_log.hold)) {
		atomic_store(&engine_log.held, true);
		os_pause();
	}
	atomic_store(&engine_log.held, false);
}

static struct tofu_options logged(int i)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.poller = pollers[i].kind;
	options.log = on_log;
	return options;
}

/* Someone says what is no hello, and that is logged. */
static void hold_engine(const char *address)
{
	struct raw peer;

	atomic_store(&engine_log.hold, true);
	raw_call(&peer, address);
	raw_say(&peer, TOFU_SIGNAL, 1, "no hello");
	eventually(atomic_load(&engine_log.held));
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
}

/* All that was due within time_ms() is overdue by then. */
static void release_engine_overdue(void)
{
	int64_t until_ns = tofu_plat_deadline((time_ms() + 100) * TOFU_NS_PER_MS);

	while (tofu_plat_now_ns() < until_ns)
		os_pause();
	atomic_store(&engine_log.hold, false);
}

static struct raw crowd; /* whoever's turn it is: it is large */
static intptr_t sockets[MANY];

static void crowd_calls(int count, const char *address)
{
	for (int i = 0; i < count; i++) {
		raw_call(&crowd, address);
		sockets[i] = crowd.socket;
	}
}

static void crowd_hangs_up(int count)
{
	for (int i = 0; i < count; i++)
		tofu_socket_close(sockets[i], TOFU_CLOSE_ABORT);
}

static void expect_hellos(const struct side *side, int count)
{
	for (int i = 0; i < count; i++) {
		tofu_msg *msg = expect_peer(side, TOFU_HELLO_REQUEST);

		tofu_msg_put(&msg);
	}
}

START_TEST(hello_that_came_in_time_is_received_however_late_the_engine_is)
{
	struct tofu_options options = logged(_i);
	struct listening at;
	struct side side;

	(void)os_raise_descriptor_limit();
	options.handshake_timeout_ms = time_ms();
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	crowd_calls(MANY, at.address);
	eventually(stats_of(side.engine).channels_accepted == MANY);
	hold_engine(at.address);
	for (int i = 0; i < MANY; i++) {
		crowd.socket = sockets[i];
		raw_hello(&crowd, 7);
	}
	release_engine_overdue();
	expect_hellos(&side, MANY);
	expect_silence(&side);
	crowd_hangs_up(MANY);
	engine_down(side.engine);
}
END_TEST

/* By either of the times that a silence may last. */
START_TEST(channel_whose_bytes_came_in_time_was_not_silent_however_late_the_engine_is)
{
	struct tofu_options options = logged(_i / 2);
	struct listening at;
	struct side side;

	(void)os_raise_descriptor_limit();
	*(_i % 2 == 0 ? &options.idle_timeout_ms : &options.receive_timeout_ms) = time_ms();
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	crowd_calls(SOME, at.address);
	for (int i = 0; i < SOME; i++) {
		crowd.socket = sockets[i];
		raw_hello(&crowd, 7);
	}
	expect_hellos(&side, SOME);
	hold_engine(at.address);
	for (int i = 0; i < SOME; i++) {
		crowd.socket = sockets[i];
		raw_say(&crowd, TOFU_SIGNAL, 8, "alive");
	}
	release_engine_overdue();
	for (int i = 0; i < SOME; i++) {
		tofu_msg *msg = expect_peer(&side, TOFU_SIGNAL);

		tofu_msg_put(&msg);
	}
	expect_silence(&side);
	crowd_hangs_up(SOME);
	engine_down(side.engine);
}
END_TEST

START_TEST(rest_of_a_frame_that_came_in_time_is_received_also_when_the_pool_is_empty)
{
	struct tofu_options options = logged(_i);
	static tofu_msg *all[SOME];
	struct listening at;
	struct raw last;
	struct side side;
	tofu_msg *msg;
	int taken = 0;

	(void)os_raise_descriptor_limit();
	options.handshake_timeout_ms = time_ms();
	options.pool_initial = options.pool_max = 2 * SOME;
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	crowd_calls(SOME, at.address);
	for (int i = 0; i < SOME; i++) {
		crowd.socket = sockets[i];
		raw_hello(&crowd, 7);
	}
	expect_hellos(&side, SOME);
	raw_call(&last, at.address);
	raw_hello(&last, 7);
	expect_hellos(&side, 1);
	for (int i = 0; i < SOME; i++) { /* a body of two bytes, of which one comes */
		static const unsigned char half[17] = { 0, 0, TOFU_SIGNAL, [11] = 9, [15] = 2, [16] = '1' };

		crowd.socket = sockets[i];
		raw_write(&crowd, half, sizeof half);
	}
	for (; taken < SOME; taken++) /* half of the pool is partly filled, this is the other half */
		eventually(tofu_msg_get(side.engine, TOFU_POOL_ONLY, &all[taken]) == TOFU_OK);
	eventually(stats_of(side.engine).pool_free == 0);
	raw_say(&last, TOFU_SIGNAL, 8, "one too many");
	msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	hold_engine(at.address);
	for (int i = 0; i < SOME; i++) {
		crowd.socket = sockets[i];
		raw_write(&crowd, "2", 1);
	}
	release_engine_overdue();
	for (int i = 0; i < SOME; i++) {
		msg = expect_peer(&side, TOFU_SIGNAL);
		ck_assert(says(msg, "12") || says(msg, "one too many"));
		tofu_msg_put(&msg);
	}
	while (taken > 0)
		tofu_msg_put(&all[--taken]);
	msg = expect_peer(&side, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	expect_silence(&side);
	raw_hang_up(&last, TOFU_CLOSE_ORDERLY);
	crowd_hangs_up(SOME);
	engine_down(side.engine);
}
END_TEST

/* late: a connect is there at once, and the last of many keeps the engine from looking until all had their time. */

static atomic_int late_started;

static enum tofu_status late_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                   const struct tofu_sockaddr *to, unsigned *want)
{
	enum tofu_status status = tofu_tcp()->connect_start(tofu_tcp(), link, rest, to, want);

	if (atomic_fetch_add(&late_started, 1) + 1 == SOME) {
		int64_t until_ns = tofu_plat_deadline((time_ms() + 100) * TOFU_NS_PER_MS);

		while (tofu_plat_now_ns() < until_ns)
			os_pause();
	}
	return status == TOFU_OK ? TOFU_WOULD_BLOCK : status;
}

START_TEST(connect_that_ended_in_time_has_ended_well_however_late_the_engine_is)
{
	static struct tofu_transport late;
	struct tofu_options options = logged(_i);
	char real[128], address[160];
	struct side side;
	intptr_t listener;

	(void)os_raise_descriptor_limit();
	late = *tofu_tcp();
	late.scheme = "late";
	late.connect_start = late_start;
	atomic_store(&late_started, 0);
	options.handshake_timeout_ms = time_ms();
	side = side_in(engine_up(&options));
	ck_status(tofu_engine_register(side.engine, &late), TOFU_OK);
	listener = raw_listen(OVER_TCP, real, sizeof real);
	(void)snprintf(address, sizeof address, "late|%s", path_of(real));
	for (int i = 0; i < SOME; i++)
		(void)call(&side, address, NULL);
	eventually(stats_of(side.engine).messages_sent == SOME); /* the hellos */
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* --- time-outs come all the same --- */

static atomic_bool flooding;

static void flood(void *context)
{
	while (atomic_load(&flooding))
		raw_say(context, TOFU_SIGNAL, 9, "and one more");
}

START_TEST(flood_does_not_put_off_the_time_out_of_others)
{
	struct tofu_options options = logged(_i);
	struct raw flooder, silent;
	struct tofu_thread thread;
	struct listening at;
	struct side side;
	unsigned before = atomic_load(&engine_log.silent);
	int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);

	options.handshake_timeout_ms = 200;
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	raw_call(&flooder, at.address);
	raw_hello(&flooder, 7);
	expect_hellos(&side, 1);
	atomic_store(&flooding, true);
	ck_status(tofu_thread_start(&thread, flood, &flooder), TOFU_OK);
	raw_call(&silent, at.address);
	while (atomic_load(&engine_log.silent) == before) {
		tofu_msg *msg = take(&side); /* or that the pool was empty */

		tofu_msg_put(&msg);
		must(tofu_plat_now_ns() < until_ns, "the silent one stays");
	}
	ck_assert_int_eq(os_read_to_end(silent.socket, PATIENCE_NS), OS_FIN);
	atomic_store(&flooding, false);
	tofu_thread_join(&thread);
	raw_hang_up(&silent, TOFU_CLOSE_ORDERLY);
	raw_hang_up(&flooder, TOFU_CLOSE_ABORT);
	engine_down(side.engine);
}
END_TEST

START_TEST(caller_that_says_no_hello_is_closed_also_while_the_pool_is_empty_and_one_that_did_waits)
{
	struct tofu_options options = logged(_i);
	tofu_msg *held[4], *msg;
	struct raw silent[2], hello;
	struct listening at;
	struct side side;

	options.handshake_timeout_ms = 300;
	options.pool_initial = options.pool_max = 4;
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	for (int i = 0; i < 4; i++)
		eventually(tofu_msg_get(side.engine, TOFU_POOL_ONLY, &held[i]) == TOFU_OK);
	raw_call(&silent[0], at.address);
	raw_call(&hello, at.address);
	raw_hello(&hello, 7);
	msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	raw_call(&silent[1], at.address); /* it comes when there is nothing any more, and begins to speak */
	raw_write(&silent[1], "\0\0\3", 3);
	for (int i = 0; i < 2; i++)
		ck_assert_int_ne(os_read_to_end(silent[i].socket, PATIENCE_NS), OS_NOT_THE_END);
	eventually(stats_of(side.engine).channels_accepted == 1);
	for (int i = 0; i < 4; i++)
		tofu_msg_put(&held[i]);
	expect_hellos(&side, 1);
	expect_silence(&side);
	for (int i = 0; i < 2; i++)
		raw_hang_up(&silent[i], TOFU_CLOSE_ORDERLY);
	raw_hang_up(&hello, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

/* --- the pause of a listener --- */

START_TEST(listener_that_is_at_its_limit_again_and_again_says_so_once)
{
	struct tofu_options options = logged(_i);
	unsigned before = atomic_load(&engine_log.pauses);
	struct listening at;
	struct side side;
	struct raw peer[2];

	options.max_channels = 2;
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	raw_call(&peer[0], at.address);
	for (int i = 0; i < 200; i++) { /* one is in, one waits */
		tofu_msg *msg;

		raw_call(&peer[1], at.address);
		raw_hello(&peer[0], (uint64_t)i + 1);
		msg = expect_peer(&side, TOFU_HELLO_REQUEST);
		say(&side, tofu_msg_header(msg)->channel, TOFU_BYE_SIGNAL, 0, NULL);
		expect_end(&side, tofu_msg_header(msg)->channel, (uint64_t)i + 1, TOFU_CHANNEL_CLOSED);
		tofu_msg_put(&msg);
		raw_hang_up(&peer[0], TOFU_CLOSE_ORDERLY);
		peer[0] = peer[1];
	}
	raw_hang_up(&peer[0], TOFU_CLOSE_ORDERLY);
	ck_assert_uint_le(atomic_load(&engine_log.pauses) - before, 3); /* a slow machine may be calm for a second */
	ck_assert_uint_ge(atomic_load(&engine_log.pauses) - before, 1);
	engine_down(side.engine);
}
END_TEST

START_TEST(listener_goes_on_when_there_are_descriptors_again_while_others_wait_for_the_pool)
{
	struct tofu_options options = logged(_i);
	tofu_msg *held[4], *msg;
	struct raw starving, caller;
	struct listening at;
	struct side side;

	options.pool_initial = options.pool_max = 4;
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	raw_call(&starving, at.address);
	raw_hello(&starving, 7);
	expect_hellos(&side, 1);
	for (int i = 0; i < 4; i++)
		eventually(tofu_msg_get(side.engine, TOFU_POOL_ONLY, &held[i]) == TOFU_OK);
	raw_say(&starving, TOFU_SIGNAL, 8, "x");
	msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	if (os_exhaustion_is_real())       /* valgrind takes the connection, and throws it away */
		os_exhaust_descriptors(1); /* the caller's end */
	raw_call(&caller, at.address);
	if (os_exhaustion_is_real()) {
		eventually(atomic_load(&engine_log.pauses) > 0);
		os_free_descriptors();
	}
	eventually(stats_of(side.engine).channels_accepted == 1);
	for (int i = 0; i < 4; i++)
		tofu_msg_put(&held[i]);
	msg = expect_peer(&side, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	raw_hang_up(&caller, TOFU_CLOSE_ORDERLY);
	raw_hang_up(&starving, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

static atomic_bool nothing_to_wait_with;

enum tofu_status __real_tofu_poller_add(struct tofu_poller *p, struct tofu_poll_item *item, intptr_t handle);
enum tofu_status __wrap_tofu_poller_add(struct tofu_poller *p, struct tofu_poll_item *item, intptr_t handle);

/* Short of something until the listener pauses for it. */
enum tofu_status __wrap_tofu_poller_add(struct tofu_poller *p, struct tofu_poll_item *item, intptr_t handle)
{
	if (atomic_load(&nothing_to_wait_with) && atomic_load(&engine_log.pauses) == 0)
		return TOFU_LIMIT_REACHED;
	return __real_tofu_poller_add(p, item, handle);
}

START_TEST(connections_stay_where_they_are_while_the_poller_can_take_none)
{
	enum { CALLERS = 8 };
	struct tofu_options options = logged(_i);
	struct listening at;
	struct side side;

	atomic_store(&engine_log.pauses, 0);
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	hold_engine(at.address);
	crowd_calls(CALLERS, at.address);
	for (int i = 0; i < CALLERS; i++) {
		crowd.socket = sockets[i];
		raw_hello(&crowd, 7);
	}
	atomic_store(&nothing_to_wait_with, true);
	atomic_store(&engine_log.hold, false);
	expect_hellos(&side, CALLERS - 1); /* the first of them showed that there is a shortage */
	expect_silence(&side);
	ck_assert_uint_eq(atomic_load(&engine_log.pauses), 1);
	atomic_store(&nothing_to_wait_with, false);
	crowd_hangs_up(CALLERS);
	engine_down(side.engine);
}
END_TEST

/* --- short: a system that is short of something, for a while --- */

static atomic_int short_status; /* what everything gives meanwhile */
static atomic_int short_calls, short_left;

static bool is_short(void)
{
	if (atomic_load(&short_left) == 0)
		return false;
	atomic_fetch_sub(&short_left, 1);
	atomic_fetch_add(&short_calls, 1);
	return true;
}

static enum tofu_status short_send(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
                                   size_t count, size_t *done, unsigned *want)
{
	if (!is_short())
		return tofu_tcp()->send(tofu_tcp(), link, iov, count, done, want);
	*want = 0;
	return (enum tofu_status)atomic_load(&short_status);
}

static enum tofu_status short_receive(const struct tofu_transport *t, struct tofu_link *link,
                                      const struct tofu_iov *iov, size_t count, size_t *done, unsigned *want)
{
	if (!is_short())
		return tofu_tcp()->receive(tofu_tcp(), link, iov, count, done, want);
	*want = 0;
	return (enum tofu_status)atomic_load(&short_status);
}

static enum tofu_status short_shutdown(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	if (!is_short())
		return tofu_tcp()->shutdown(tofu_tcp(), link, want);
	*want = 0;
	return (enum tofu_status)atomic_load(&short_status);
}

/* With these, only "call again after a pause" is waited out. */

static enum tofu_status short_listen(const struct tofu_transport *t, struct tofu_link *listener,
                                     const struct tofu_sockaddr *at)
{
	return is_short() ? TOFU_WOULD_BLOCK : tofu_tcp()->listen(tofu_tcp(), listener, at);
}

static enum tofu_status short_start(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
                                    const struct tofu_sockaddr *to, unsigned *want)
{
	if (!is_short())
		return tofu_tcp()->connect_start(tofu_tcp(), link, rest, to, want);
	*want = 0;
	return TOFU_WOULD_BLOCK;
}

static enum tofu_status short_finish(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	if (!is_short())
		return tofu_tcp()->connect_finish(tofu_tcp(), link, want);
	*want = 0;
	return TOFU_WOULD_BLOCK;
}

static struct tofu_transport short_table;

static const struct tofu_transport *fake_short(void)
{
	short_table = *tofu_tcp();
	short_table.scheme = "short";
	atomic_store(&short_calls, 0);
	atomic_store(&short_left, 0);
	return &short_table;
}

static void be_short(int calls, enum tofu_status status)
{
	atomic_store(&short_status, (int)status);
	atomic_store(&short_calls, 0);
	atomic_store(&short_left, calls);
}

static const enum tofu_status shortages[] = { TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED, TOFU_WOULD_BLOCK };
enum { SHORTAGES = sizeof shortages / sizeof shortages[0] };

/* Both ends are in one engine and of this transport. */
static void pair_of_short(struct pair *p)
{
	memset(p, 0, sizeof *p);
	p->server = side_in(engine_up(NULL));
	p->client = side_in(p->server.engine);
	ck_status(tofu_engine_register(p->server.engine, fake_short()), TOFU_OK);
	listen_at(&p->server, "short|127.0.0.1|0", &p->at);
}

static void short_meet(struct pair *p)
{
	char address[640];
	tofu_msg *msg;

	(void)snprintf(address, sizeof address, "short|%s", path_of(p->at.address));
	p->hello = call(&p->client, address, NULL).id;
	msg = expect_peer(&p->server, TOFU_HELLO_REQUEST);
	p->server_channel = tofu_msg_header(msg)->channel;
	(void)answer(&p->server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_peer(&p->client, TOFU_HELLO_RESPONSE);
	p->client_channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
}

/* Each pause is longer than the one before, up to a tenth of a second: the engine neither spins nor gives up. */
static void waited_out(const struct pair *p, uint64_t wakeups_before)
{
	ck_assert_int_eq(atomic_load(&short_left), 0);
	must(stats_of(p->server.engine).wakeups - wakeups_before < 100, "the engine spins");
}

static void talk_short(struct pair *p, enum tofu_status status)
{
	uint64_t before;

	short_meet(p);
	before = stats_of(p->server.engine).wakeups;
	be_short(7, status);
	pair_talk(p);
	waited_out(p, before);
	pair_bye(p);
	engine_down(p->server.engine);
}

START_TEST(shortage_of_the_system_while_sending_is_waited_out)
{
	struct pair p;

	pair_of_short(&p);
	short_table.send = short_send;
	talk_short(&p, shortages[_i]);
}
END_TEST

START_TEST(shortage_of_the_system_while_receiving_is_waited_out)
{
	struct pair p;

	pair_of_short(&p);
	short_table.receive = short_receive;
	talk_short(&p, shortages[_i]);
}
END_TEST

/* There, too, it is we who do not read. */
START_TEST(shortage_beyond_the_handshake_time_closes_nobody_while_the_pool_is_empty)
{
	static const unsigned char half[17] = { 0, 0, TOFU_SIGNAL, [11] = 9, [15] = 2, [16] = '1' };
	struct tofu_options options = options_with_pool(4);
	tofu_msg *held[4], *msg;
	struct raw peer, other;
	struct listening at;
	struct side side;
	int taken = 0;

	options.handshake_timeout_ms = 200;
	side = side_in(engine_up(&options));
	ck_status(tofu_engine_register(side.engine, fake_short()), TOFU_OK);
	short_table.receive = short_receive;
	listen_at(&side, "short|127.0.0.1|0", &at);
	raw_call(&peer, at.address);
	raw_hello(&peer, 7);
	raw_call(&other, at.address);
	raw_hello(&other, 7);
	expect_hellos(&side, 2);
	raw_write(&peer, half, sizeof half);
	eventually(stats_of(side.engine).pool_free == 3);
	while (tofu_msg_get(side.engine, TOFU_POOL_ONLY, &held[taken]) == TOFU_OK)
		taken++;
	raw_say(&other, TOFU_SIGNAL, 8, "one too many");
	msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	be_short(12, TOFU_ALLOCATION_FAILED); /* with pauses of up to a tenth of a second: more than those 200 ms */
	raw_write(&peer, "2", 1);
	msg = expect_peer(&side, TOFU_SIGNAL);
	ck_assert(says(msg, "12"));
	ck_assert_int_eq(atomic_load(&short_left), 0);
	tofu_msg_put(&msg);
	while (taken > 0)
		tofu_msg_put(&held[--taken]);
	do { /* the pool may have been empty once more in between */
		tofu_msg_put(&msg);
		msg = take(&side);
	} while (tofu_msg_header(msg)->status == TOFU_POOL_EMPTY);
	ck_assert(says(msg, "one too many"));
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	raw_hang_up(&other, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

START_TEST(shortage_of_the_system_while_shutting_down_is_waited_out)
{
	struct pair p;
	uint64_t before;

	pair_of_short(&p);
	short_table.shutdown = short_shutdown;
	short_meet(&p);
	before = stats_of(p.server.engine).wakeups;
	be_short(7, shortages[_i]);
	pair_bye(&p);
	ck_assert_int_gt(atomic_load(&short_calls), 0);
	must(stats_of(p.server.engine).wakeups - before < 100, "the engine spins");
	engine_down(p.server.engine);
}
END_TEST

START_TEST(transport_that_asks_for_a_pause_is_called_again)
{
	struct pair p;

	memset(&p, 0, sizeof p);
	p.server = side_in(engine_up(NULL));
	p.client = side_in(p.server.engine);
	ck_status(tofu_engine_register(p.server.engine, fake_short()), TOFU_OK);
	short_table.listen = short_listen;
	be_short(3, TOFU_WOULD_BLOCK);
	listen_at(&p.server, "short|127.0.0.1|0", &p.at);
	ck_assert_int_eq(atomic_load(&short_calls), 3);
	short_table.connect_start = short_start;
	be_short(3, TOFU_WOULD_BLOCK);
	short_meet(&p);
	ck_assert_int_eq(atomic_load(&short_calls), 3);
	pair_talk(&p);
	pair_bye(&p);
	short_table.connect_start = tofu_tcp()->connect_start;
	short_table.connect_finish = short_finish;
	be_short(3, TOFU_WOULD_BLOCK);
	short_meet(&p);
	pair_bye(&p);
	engine_down(p.server.engine);
}
END_TEST

START_TEST(transport_that_asks_for_pauses_for_ever_ends_with_the_handshake_time)
{
	struct tofu_options options;
	struct side side;
	struct listening at;

	tofu_options_init(&options, sizeof options);
	options.handshake_timeout_ms = 200;
	side = side_in(engine_up(&options));
	ck_status(tofu_engine_register(side.engine, fake_short()), TOFU_OK);
	listen_over(&side, OVER_TCP, &at);
	short_table.listen = short_listen;
	short_table.connect_start = short_start;
	be_short(1000000, TOFU_WOULD_BLOCK);
	listen_fails(&side, "short|127.0.0.1|0", TOFU_TIMEOUT);
	call_fails(&side, "short|127.0.0.1|1", TOFU_TIMEOUT);
	must(atomic_load(&short_calls) < 100, "%d calls", atomic_load(&short_calls));
	engine_down(side.engine);
}
END_TEST

static Suite *suite_of_overdue(void)
{
	Suite *suite = suite_create("overdue");
	TCase *tc = suite_case(suite, "input first", 60);

	tcase_add_loop_test(tc, hello_that_came_in_time_is_received_however_late_the_engine_is, 0, pollers_count);
	tcase_add_loop_test(tc, channel_whose_bytes_came_in_time_was_not_silent_however_late_the_engine_is, 0,
	                    2 * pollers_count);
	tcase_add_loop_test(tc, rest_of_a_frame_that_came_in_time_is_received_also_when_the_pool_is_empty, 0,
	                    pollers_count);
	tcase_add_loop_test(tc, connect_that_ended_in_time_has_ended_well_however_late_the_engine_is, 0, pollers_count);
	tcase_add_loop_test(tc, flood_does_not_put_off_the_time_out_of_others, 0, pollers_count);
	tcase_add_loop_test(tc, caller_that_says_no_hello_is_closed_also_while_the_pool_is_empty_and_one_that_did_waits,
	                    0, pollers_count);

	tc = suite_case(suite, "pause", 60);
	tcase_add_loop_test(tc, listener_that_is_at_its_limit_again_and_again_says_so_once, 0, pollers_count);
	tcase_add_loop_test(tc, listener_goes_on_when_there_are_descriptors_again_while_others_wait_for_the_pool, 0,
	                    pollers_count);

	tcase_add_loop_test(tc, connections_stay_where_they_are_while_the_poller_can_take_none, 0, pollers_count);

	tc = suite_case(suite, "shortage", 30);
	tcase_add_loop_test(tc, shortage_of_the_system_while_sending_is_waited_out, 0, SHORTAGES);
	tcase_add_loop_test(tc, shortage_of_the_system_while_receiving_is_waited_out, 0, SHORTAGES);
	tcase_add_test(tc, shortage_beyond_the_handshake_time_closes_nobody_while_the_pool_is_empty);
	tcase_add_loop_test(tc, shortage_of_the_system_while_shutting_down_is_waited_out, 0, SHORTAGES);
	tcase_add_test(tc, transport_that_asks_for_a_pause_is_called_again);
	tcase_add_test(tc, transport_that_asks_for_pauses_for_ever_ends_with_the_handshake_time);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_overdue());
}
