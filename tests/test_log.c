/* SPDX-License-Identifier: MIT */

/*
 * What the engine logs: kept in its turn, told when that is over, in order; what is too much is counted. The linker puts a
 * function of this file before tofu_poller_wait() (--wrap), to make waiting fail.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/tcp.h>

#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/engine.h"

/* What was told last, and how much. */
static struct {
	atomic_uint lines;
	atomic_uint lost; /* of those that said so */
	enum tofu_log_level lost_level;
	char text[64][TOFU_LOG_LINE];
	enum tofu_log_level level[64];
} told;

static const char too_many[] = "lines that were too many at once: %u";

static void note(void *context, enum tofu_log_level level, const char *text)
{
	const unsigned n = atomic_load(&told.lines);
	unsigned lost;

	(void)context;
	if (sscanf(text, too_many, &lost) == 1) {
		atomic_fetch_add(&told.lost, lost);
		told.lost_level = level;
		return;
	}
	(void)snprintf(told.text[n % 64], TOFU_LOG_LINE, "%s", text);
	told.level[n % 64] = level;
	atomic_store(&told.lines, n + 1);
}

static void forget(void)
{
	memset(&told, 0, sizeof told);
}

__attribute__((format(printf, 3, 4))) static void add(struct tofu_log *log, enum tofu_log_level level,
                                                      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tofu_log_add(log, level, format, args);
	va_end(args);
}

static void tell(struct tofu_log *log)
{
	struct tofu_log taken;

	tofu_log_take(log, &taken);
	tofu_log_tell(&taken, note, NULL);
}

/* --- the lines of a turn --- */

START_TEST(lines_are_told_in_their_order_and_once)
{
	static struct tofu_log log;

	forget();
	add(&log, TOFU_LOG_ERROR, "channel %d", 7);
	add(&log, TOFU_LOG_INFO, "%s", "");
	add(&log, TOFU_LOG_WARNING, "the last one");
	tell(&log);
	tell(&log);
	ck_assert_uint_eq(told.lines, 3);
	ck_assert_str_eq(told.text[0], "channel 7");
	ck_assert_int_eq(told.level[0], TOFU_LOG_ERROR);
	ck_assert_str_eq(told.text[1], "");
	ck_assert_int_eq(told.level[1], TOFU_LOG_INFO);
	ck_assert_str_eq(told.text[2], "the last one");
	ck_assert_int_eq(told.level[2], TOFU_LOG_WARNING);
	ck_assert_uint_eq(told.lost, 0);
}
END_TEST

START_TEST(nothing_logged_is_nothing_told)
{
	struct tofu_log log = { 0 }, taken;

	tofu_log_take(&log, &taken);
	tofu_log_tell(&taken, NULL, NULL);
}
END_TEST

START_TEST(what_does_not_fit_is_counted)
{
	static struct tofu_log log;
	char text[2 * TOFU_LOG_LINE];

	memset(text, 'x', sizeof text);
	for (int round = 0; round < 2; round++) {
		forget();
		for (int i = 0; i < 50; i++)
			add(&log, TOFU_LOG_WARNING, "%d %.*s", i, (int)sizeof text, text);
		tell(&log);
		ck_assert_uint_eq(told.lines, TOFU_LOG_TURN / (TOFU_LOG_LINE + 1));
		for (unsigned i = 0; i < told.lines; i++) {
			ck_assert_uint_eq((unsigned)atoi(told.text[i]), i);
			ck_assert_uint_eq(strlen(told.text[i]), TOFU_LOG_LINE - 1);
		}
		ck_assert_uint_eq(told.lines + told.lost, 50);
		ck_assert_int_eq(told.lost_level, TOFU_LOG_WARNING);
	}
}
END_TEST

START_TEST(what_goes_well_leaves_room_for_what_does_not)
{
	static struct tofu_log log;

	forget();
	for (int i = 0; i < 500; i++)
		add(&log, TOFU_LOG_INFO, "%d: all is well, and goes on to be", i);
	add(&log, TOFU_LOG_WARNING, "this is not");
	tell(&log);
	ck_assert_str_eq(told.text[told.lines - 1], "this is not");
	ck_assert_uint_eq(told.lines + told.lost, 501);
	ck_assert_uint_gt(told.lost, 0);
	ck_assert_int_eq(told.lost_level, TOFU_LOG_INFO);
}
END_TEST

/* --- an engine --- */

static atomic_bool waiting_fails;
static atomic_uint failures;

enum tofu_status __real_tofu_poller_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                         int64_t timeout_ns, size_t *count);
enum tofu_status __wrap_tofu_poller_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                         int64_t timeout_ns, size_t *count);

enum tofu_status __wrap_tofu_poller_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                         int64_t timeout_ns, size_t *count)
{
	if (!atomic_load(&waiting_fails))
		return __real_tofu_poller_wait(p, events, capacity, timeout_ns, count);
	*count = 0;
	atomic_fetch_add(&failures, 1);
	return TOFU_PROCESSING_FAILED;
}

static tofu_engine *logging_engine(tofu_log_fn *log, void *context)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.log = log;
	options.log_context = context;
	forget();
	return engine_up(&options);
}

static void call_wrongly(const char *address)
{
	struct raw peer;

	raw_call(&peer, address);
	raw_say(&peer, 15, 1, "");
	must(os_read_to_end(peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
}

/* The last failure is followed by no other wait. */
START_TEST(what_is_logged_in_the_last_turn_is_told)
{
	tofu_engine *engine = logging_engine(note, NULL);

	atomic_store(&failures, 0);
	atomic_store(&waiting_fails, true);
	tofu_engine_wake(engine);
	eventually(atomic_load(&failures) >= 2);
	engine_down(engine);
	atomic_store(&waiting_fails, false);
	ck_assert_uint_eq(told.lines, failures);
	for (unsigned i = 0; i < told.lines; i++)
		ck_assert_ptr_nonnull(strstr(told.text[i % 64], "waiting failed"));
}
END_TEST

struct place {
	tofu_engine *engine;
	atomic_uint wrong;
};

static void note_place(void *context, enum tofu_log_level level, const char *text)
{
	struct place *p = context;
	struct tofu_reactor *r = &p->engine->reactor;

	if (!tofu_thread_is_current(&r->thread) || !tofu_reactor_try_turn(r))
		atomic_fetch_add(&p->wrong, 1);
	else
		tofu_reactor_end_turn(r);
	note(NULL, level, text);
}

START_TEST(the_application_is_told_on_the_engines_thread_and_under_no_lock)
{
	static struct place place;
	struct listening at;
	struct side side;

	atomic_store(&place.wrong, 0);
	place.engine = logging_engine(note_place, &place);
	side = side_in(place.engine);
	listen_over(&side, OVER_TCP, &at);
	call_wrongly(at.address);
	eventually(atomic_load(&told.lines) == 1);
	engine_down(place.engine);
	ck_assert_ptr_nonnull(strstr(told.text[0], "a frame that is not allowed: opcode 15"));
	ck_assert_uint_eq(place.wrong, 0);
}
END_TEST

static atomic_bool held_up;

static void note_when_let_go(void *context, enum tofu_log_level level, const char *text)
{
	note(context, level, text);
	eventually(!atomic_load(&held_up));
}

/* While the first line is being told, so much happens that the lines of the next turn do not fit. */
START_TEST(of_a_flood_every_line_is_told_or_counted)
{
	enum { PEERS = 80 };
	static struct raw peers[PEERS];
	tofu_engine *engine = logging_engine(note_when_let_go, NULL);
	struct side side = side_in(engine);
	struct listening at;

	listen_over(&side, OVER_TCP, &at);
	for (int i = 0; i < PEERS; i++)
		raw_call(&peers[i], at.address);
	eventually(stats_of(engine).channels_accepted == PEERS);
	atomic_store(&held_up, true);
	call_wrongly(at.address);
	eventually(atomic_load(&told.lines) == 1);
	for (int i = 0; i < PEERS; i++)
		raw_say(&peers[i], 15, 1, "");
	atomic_store(&held_up, false);
	eventually(atomic_load(&told.lines) + atomic_load(&told.lost) == 1 + PEERS);
	for (int i = 0; i < PEERS; i++)
		raw_hang_up(&peers[i], TOFU_CLOSE_ORDERLY);
	engine_down(engine);
	ck_assert_uint_eq(told.lines + told.lost, 1 + PEERS);
	must(told.lost > 0, "they all fitted");
}
END_TEST

/* --- connections --- */

static bool was_told(const char *line)
{
	for (unsigned i = 0; i < atomic_load(&told.lines); i++)
		if (strcmp(told.text[i % 64], line) == 0)
			return told.level[i % 64] == TOFU_LOG_INFO;
	return false;
}

/* Wait for "channel N: WHAT PEER, here LOCAL". */
static void is_told(uint16_t channel, const char *what, const char *peer, const char *local)
{
	char line[TOFU_LOG_LINE];

	(void)snprintf(line, sizeof line, "channel %u: %s %s, here %s", channel, what, peer, local);
	eventually(was_told(line));
}

static bool tells_of(const char *what)
{
	for (unsigned i = 0; i < atomic_load(&told.lines); i++)
		if (strstr(told.text[i % 64], what) != NULL)
			return true;
	return false;
}

static struct tofu_channel_info known_of(const struct side *side, uint16_t channel)
{
	struct tofu_channel_info info = { .size = sizeof info };

	works(tofu_channel_inspect(side->group, channel, &info));
	return info;
}

START_TEST(both_ends_of_a_connection_are_told_with_their_addresses)
{
	struct tofu_channel_info client, server;
	struct tofu_options options;
	struct pair p;

	tofu_options_init(&options, sizeof options);
	options.log = note;
	forget();
	pair_open(&p, _i, &options);
	client = known_of(&p.client, p.client_channel);
	server = known_of(&p.server, p.server_channel);
	is_told(p.client_channel, "connected to", client.peer, client.local);
	is_told(p.server_channel, "accepted from", server.peer, server.local);
	must(!tells_of("closed"), "closed, while it is open");
	pair_bye(&p);
	is_told(p.client_channel, "closed, channel_closed:", client.peer, client.local);
	is_told(p.server_channel, "closed, channel_closed:", server.peer, server.local);
	pair_close(&p);
	ck_assert_uint_eq(told.lines, 4);
}
END_TEST

/* How a caller's connection ends. */
static const struct end {
	const char *what;
	enum { HANGS_UP, RESETS, SAYS_NOTHING, IS_WRONG } by;
} ends[] = {
	{ "closed, peer_disconnected:", HANGS_UP },
	{ "closed, peer_disconnected:", RESETS },
	{ "closed, timeout:", SAYS_NOTHING },
	{ "closed, protocol_violation:", IS_WRONG },
};
enum { ENDS = sizeof ends / sizeof *ends };

START_TEST(why_a_connection_ended_is_told)
{
	const struct end *end = &ends[_i / OVER_NR];
	struct tofu_channel_info info;
	struct tofu_options options;
	struct listening at;
	struct raw peer;
	struct side side;
	uint16_t channel;
	tofu_msg *msg;

	tofu_options_init(&options, sizeof options);
	options.log = note;
	options.receive_timeout_ms = end->by == SAYS_NOTHING ? 1000 : 0;
	forget();
	side = side_in(engine_up(&options));
	listen_over(&side, _i % OVER_NR, &at);
	raw_call(&peer, at.address);
	raw_hello(&peer, 1);
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
	info = known_of(&side, channel);
	if (end->by == IS_WRONG)
		raw_say(&peer, 15, 1, "");
	if (end->by == HANGS_UP || end->by == RESETS)
		raw_hang_up(&peer, end->by == RESETS ? TOFU_CLOSE_ABORT : TOFU_CLOSE_ORDERLY);
	is_told(channel, end->what, info.peer, info.local);
	if (end->by == SAYS_NOTHING || end->by == IS_WRONG)
		raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(side.engine);
}
END_TEST

START_TEST(a_caller_that_says_no_hello_is_not_told_as_a_connection)
{
	tofu_engine *engine = logging_engine(note, NULL);
	struct side side = side_in(engine);
	struct listening at;
	struct raw peer;

	listen_over(&side, _i, &at);
	raw_call(&peer, at.address);
	raw_say(&peer, 15, 1, "");
	eventually(tells_of("opcode 15"));
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	raw_call(&peer, at.address);
	eventually(stats_of(engine).channels_accepted == 1);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	eventually(stats_of(engine).channels_accepted == 0);
	engine_down(engine);
	must(!tells_of("accepted from") && !tells_of("closed"), "%s", told.text[0]);
}
END_TEST

static atomic_int asked;

static enum tofu_status count_peer_address(const struct tofu_transport *t, const struct tofu_link *link, char *out,
                                           size_t capacity)
{
	atomic_fetch_add(&asked, 1);
	return tofu_tcp()->peer_address(t, link, out, capacity);
}

START_TEST(only_an_engine_with_a_log_asks_for_the_addresses_of_peers)
{
	static struct tofu_transport asking;
	tofu_engine *engine = logging_engine(_i != 0 ? note : NULL, NULL);
	struct pair p = { .server = side_in(engine), .client = side_in(engine) };

	asking = *tofu_tcp();
	asking.scheme = "asking";
	asking.peer_address = count_peer_address;
	atomic_store(&asked, 0);
	works(tofu_engine_register(engine, &asking));
	listen_at(&p.server, "asking|127.0.0.1|0", &p.at);
	pair_meet(&p);
	pair_talk(&p);
	pair_bye(&p);
	engine_down(engine);
	ck_assert_int_eq(atomic_load(&asked), _i != 0 ? 2 : 0); /* when it is there, once for each end */
}
END_TEST

/* TCP that fails after it has connected, or when it is to receive, and says why. */
static atomic_intptr_t failed_handle;

static enum tofu_status fails_after_connect(const struct tofu_transport *t, struct tofu_link *link, unsigned *want)
{
	enum tofu_status status = tofu_tcp()->connect_finish(tofu_tcp(), link, want);

	atomic_store(&failed_handle, link->handle);
	return status == TOFU_OK ? TOFU_PERMISSION_DENIED : status;
}

static enum tofu_status fails_to_receive(const struct tofu_transport *t, struct tofu_link *link,
                                         const struct tofu_iov *iov, size_t count, size_t *done, unsigned *want)
{
	atomic_store(&failed_handle, link->handle);
	return TOFU_RECV_FAILED;
}

static const char *explain(const struct tofu_transport *t, const struct tofu_link *link)
{
	return link->handle == atomic_load(&failed_handle) ? "that is how it is" : NULL;
}

static struct tofu_transport wordy_transport(void)
{
	struct tofu_transport wordy = *tofu_tcp();

	wordy.scheme = "wordy";
	wordy.explain = explain;
	return wordy;
}

/* Once, in a line that says where. */
static void expect_explained(const char *where)
{
	unsigned count = 0;

	for (unsigned i = 0; i < told.lines; i++) {
		if (strstr(told.text[i], ": that is how it is") == NULL)
			continue;
		count++;
		ck_assert_int_eq(told.level[i], TOFU_LOG_WARNING);
		ck_assert_msg(strstr(told.text[i], where) != NULL, "%s", told.text[i]);
	}
	ck_assert_uint_eq(count, 1);
}

START_TEST(why_a_connection_failed_is_told_when_its_link_ends)
{
	struct tofu_transport wordy = wordy_transport();
	tofu_engine *engine = logging_engine(note, NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	char address[128];

	wordy.connect_finish = fails_after_connect;
	works(tofu_engine_register(engine, &wordy));
	listen_at(&server, "tcp|127.0.0.1|0", &at);
	(void)snprintf(address, sizeof address, "wordy|%s", path_of(at.address));
	call_fails(&client, address, TOFU_PERMISSION_DENIED);
	engine_down(engine);
	expect_explained("connecting");
}
END_TEST

START_TEST(why_receiving_failed_is_told_when_the_link_ends)
{
	struct tofu_transport wordy = wordy_transport();
	tofu_engine *engine = logging_engine(note, NULL);
	struct side server = side_in(engine);
	struct listening at;
	struct raw peer;

	wordy.receive = fails_to_receive;
	works(tofu_engine_register(engine, &wordy));
	listen_at(&server, "wordy|127.0.0.1|0", &at);
	raw_call(&peer, at.address);
	raw_hello(&peer, 1);
	must(os_read_to_end(peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	side_down(&server);
	engine_down(engine);
	expect_explained("accepted");
}
END_TEST

static Suite *suite_of_log(void)
{
	Suite *suite = suite_create("log");
	TCase *lines = suite_case(suite, "lines", 10), *engine = suite_case(suite, "engine", 30);
	TCase *connections = suite_case(suite, "connections", 30);

	tcase_add_test(lines, lines_are_told_in_their_order_and_once);
	tcase_add_test(lines, nothing_logged_is_nothing_told);
	tcase_add_test(lines, what_does_not_fit_is_counted);
	tcase_add_test(lines, what_goes_well_leaves_room_for_what_does_not);
	tcase_add_test(engine, what_is_logged_in_the_last_turn_is_told);
	tcase_add_test(engine, the_application_is_told_on_the_engines_thread_and_under_no_lock);
	tcase_add_test(engine, of_a_flood_every_line_is_told_or_counted);
	over_sockets_add(connections, both_ends_of_a_connection_are_told_with_their_addresses, 1);
	over_sockets_add(connections, why_a_connection_ended_is_told, ENDS);
	over_sockets_add(connections, a_caller_that_says_no_hello_is_not_told_as_a_connection, 1);
	tcase_add_loop_test(connections, only_an_engine_with_a_log_asks_for_the_addresses_of_peers, 0, 2);
	tcase_add_test(engine, why_a_connection_failed_is_told_when_its_link_ends);
	tcase_add_test(engine, why_receiving_failed_is_told_when_the_link_ends);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_log());
}
