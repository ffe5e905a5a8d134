/* SPDX-License-Identifier: MIT */

/*
 * Connections on which one hears nothing: which of them end, and when, by receive_timeout_ms and idle_timeout_ms, and that those
 * that are only silent live on, and wake nobody. TOFU_TEST_WHOLE in the environment makes that silence last for three minutes.
 */

#include <stdlib.h>

#include "lib/pollers.h"
#include "lib/raw.h"
#include "lib/steps.h"

enum {
	SHORT_MS = 300,
	NEVER_MS = 3600 * 1000 /* what is not to count, but is set */
};

/* That nobody exceeds by being slow: by Wine and under valgrind all takes longer. */
static uint32_t long_ms(void)
{
	return os_has_many_threads() ? 1000 : 4000;
}

/* A loop goes over transports, and within that over pollers. */
static struct tofu_options options_for(int i)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.poller = pollers[i / OVER_NR].kind;
	return options;
}

/* Someone who has said hello. */
struct caller {
	struct side side;
	struct listening at;
	struct raw peer;
	uint16_t channel;
	int64_t since_ns; /* before it has said anything */
};

static void next_caller(struct caller *c, struct raw *peer, uint16_t *channel)
{
	tofu_msg *msg;

	raw_call(peer, c->at.address);
	raw_hello(peer, 1);
	msg = expect_peer(&c->side, TOFU_HELLO_REQUEST);
	*channel = tofu_msg_header(msg)->channel;
	tofu_msg_put(&msg);
}

static void caller_open(struct caller *c, int i, const struct tofu_options *options)
{
	c->side = side_in(engine_up(options));
	listen_over(&c->side, i % OVER_NR, &c->at);
	c->since_ns = tofu_plat_now_ns();
	next_caller(c, &c->peer, &c->channel);
}

static void caller_close(struct caller *c)
{
	raw_hang_up(&c->peer, TOFU_CLOSE_ORDERLY);
	engine_down(c->side.engine);
}

static void passes(const struct side *side, int64_t ns)
{
	tofu_msg *msg;

	must(tofu_receive(side->group, &msg, ns) == TOFU_TIMEOUT, "%s", describe(msg));
}

/* Send it something, which it takes. False: the channel has ended. */
static bool send_to(struct caller *c)
{
	struct raw_frame frame;

	return try_say(&c->side, c->channel, TOFU_SIGNAL, 0, "are you there?") == TOFU_OK && raw_read(&c->peer, &frame);
}

/* Until the channel ends, by a time-out that was no less than so long. How many messages the peer has taken by then. */
static unsigned send_until_timeout(struct caller *c, bool sends, uint32_t least_ms)
{
	int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);
	unsigned taken = 0;
	bool ended = false;

	while (!ended) {
		tofu_msg *msg;

		must(tofu_plat_now_ns() < until_ns, "it lives on, after %u messages", taken);
		taken += sends && send_to(c);
		if (tofu_receive(c->side.group, &msg, 20 * TOFU_NS_PER_MS) != TOFU_OK)
			continue;
		ended = is_closed_notice(msg); /* before that, what was not sent may come back */
		must(tofu_msg_header(msg)->origin == TOFU_ORIGIN_ENGINE, "%s", describe(msg));
		must(!ended || tofu_msg_header(msg)->reason == TOFU_TIMEOUT, "%s", describe(msg));
		tofu_msg_put(&msg);
	}
	must(tofu_plat_now_ns() - c->since_ns >= least_ms * TOFU_NS_PER_MS, "it ended early");
	expect_silence(&c->side);
	return taken;
}

/* --- the peer says nothing --- */

START_TEST(a_peer_that_takes_all_and_says_nothing_is_given_up)
{
	struct tofu_options options = options_for(_i);
	struct caller c;

	options.receive_timeout_ms = SHORT_MS;
	caller_open(&c, _i, &options);
	must(send_until_timeout(&c, true, SHORT_MS) > 0, "it took nothing");
	caller_close(&c);
}
END_TEST

START_TEST(a_peer_that_says_nothing_after_its_hello_is_given_up)
{
	struct tofu_options options = options_for(_i);
	struct caller c;

	options.receive_timeout_ms = SHORT_MS;
	caller_open(&c, _i, &options);
	(void)send_until_timeout(&c, false, SHORT_MS);
	caller_close(&c);
}
END_TEST

/* First whole messages, then single bytes of one. */
START_TEST(a_peer_that_says_something_in_time_lives_on)
{
	enum { TIMES = 12, PER_TIME = 8 };
	static const unsigned char frame[RAW_HEADER + TIMES] = { 0, 0, TOFU_SIGNAL, [11] = 9, [15] = TIMES };
	struct tofu_options options = options_for(_i);
	struct caller c;
	tofu_msg *msg;
	int64_t pause_ns;

	options.receive_timeout_ms = long_ms();
	pause_ns = options.receive_timeout_ms * TOFU_NS_PER_MS / PER_TIME;
	caller_open(&c, _i, &options);
	for (int i = 0; i < TIMES; i++) {
		raw_say(&c.peer, TOFU_SIGNAL, 8, "here I am");
		msg = expect_peer(&c.side, TOFU_SIGNAL);
		tofu_msg_put(&msg);
		passes(&c.side, pause_ns);
	}
	raw_write(&c.peer, frame, RAW_HEADER);
	for (int i = 0; i < TIMES - 1; i++) {
		passes(&c.side, pause_ns);
		raw_write(&c.peer, frame + RAW_HEADER + i, 1);
	}
	raw_write(&c.peer, frame + RAW_HEADER + TIMES - 1, 1);
	msg = expect_peer(&c.side, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	caller_close(&c);
}
END_TEST

/* --- both options --- */

static const struct {
	uint32_t idle_ms, receive_ms;
	bool sends;
} ends[] = {
	{ SHORT_MS, NEVER_MS, false },
	{ NEVER_MS, SHORT_MS, false },
	{ NEVER_MS, SHORT_MS, true },
	{ SHORT_MS, SHORT_MS, true },
};
enum { ENDS = sizeof ends / sizeof *ends };

START_TEST(of_both_times_the_one_that_is_over_first_counts)
{
	struct tofu_options options = options_for(0);
	struct caller c;
	tofu_msg *msg;

	options.idle_timeout_ms = ends[_i / OVER_NR].idle_ms;
	options.receive_timeout_ms = ends[_i / OVER_NR].receive_ms;
	caller_open(&c, _i % OVER_NR, &options);
	raw_say(&c.peer, TOFU_SIGNAL, 8, "my last words");
	msg = expect_peer(&c.side, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	(void)send_until_timeout(&c, ends[_i / OVER_NR].sends, SHORT_MS);
	caller_close(&c);
}
END_TEST

/* idle_timeout_ms does not notice a dead peer that we send to, and receive_timeout_ms goes on from the last byte it said. */
START_TEST(what_we_send_keeps_a_connection_from_being_idle_and_no_more)
{
	enum { TIMES = 12, PER_TIME = 8 };
	struct tofu_options options = options_for(_i);
	struct caller c;

	options.idle_timeout_ms = long_ms();
	options.receive_timeout_ms = 3 * long_ms();
	caller_open(&c, _i, &options);
	for (int i = 0; i < TIMES; i++) { /* longer than the first, shorter than the second */
		must(send_to(&c), "it has ended");
		passes(&c.side, options.idle_timeout_ms * TOFU_NS_PER_MS / PER_TIME);
	}
	(void)send_until_timeout(&c, true, options.receive_timeout_ms);
	caller_close(&c);
}
END_TEST

/* --- it is we who do not read --- */

/*
 * It has said three things at once. For the second one there is no message, since the application holds all of them, so it is not
 * read until they are put back. What it says is old by then; to answer it is no reason to give it up.
 */
START_TEST(a_peer_that_we_do_not_read_is_not_judged)
{
	enum { POOL = 16, SAID = 3 };
	struct tofu_options options = options_for(_i);
	unsigned char bytes[SAID * RAW_HEADER] = { 0 };
	tofu_msg *held[POOL], *msg;
	struct caller c;
	uint64_t before;

	options.pool_initial = options.pool_max = POOL;
	options.receive_timeout_ms = long_ms();
	caller_open(&c, _i, &options);
	for (int i = 0; i < POOL - 1; i++)
		eventually(tofu_msg_get(c.side.engine, TOFU_POOL_ONLY, &held[i]) == TOFU_OK);
	for (int i = 0; i < SAID; i++)
		(void)raw_encode(&(struct raw_frame){ .proto = TOFU_SIGNAL, .id = 8 }, bytes + i * RAW_HEADER);
	raw_write(&c.peer, bytes, sizeof bytes);
	held[POOL - 1] = expect_peer(&c.side, TOFU_SIGNAL);
	msg = expect(&c.side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_POOL_EMPTY);
	tofu_msg_put(&msg);
	before = stats_of(c.side.engine).wakeups;
	passes(&c.side, long_ms() * TOFU_NS_PER_MS * 13 / 10);
	must(stats_of(c.side.engine).wakeups - before < 50, "the engine spins");
	for (int i = 0; i < POOL; i++)
		tofu_msg_put(&held[i]);
	for (int i = 1; i < SAID; i++) {
		msg = expect_peer(&c.side, TOFU_SIGNAL);
		tofu_msg_put(&msg);
	}
	must(send_to(&c), "it has ended");
	passes(&c.side, TOFU_NS_PER_S / 20);
	raw_say(&c.peer, TOFU_SIGNAL, 9, "here I am");
	msg = expect_peer(&c.side, TOFU_SIGNAL);
	tofu_msg_put(&msg);
	caller_close(&c);
}
END_TEST

/* --- healthy silence --- */

START_TEST(a_silent_connection_lives_on_and_wakes_nobody)
{
	bool whole = getenv("TOFU_TEST_WHOLE") != NULL;
	uint64_t client, server;
	struct pair p;

	pair_open_apart(&p, _i, NULL, NULL);
	pair_talk(&p);
	if (whole) /* the last looks at what was sent and at memory to be given back, timers that are put right */
		passes(&p.client, 30 * TOFU_NS_PER_S);
	comes_to_rest(&p.server, TOFU_NS_PER_S / 5);
	comes_to_rest(&p.client, TOFU_NS_PER_S / 5);
	client = stats_of(p.client.engine).wakeups;
	server = stats_of(p.server.engine).wakeups;
	passes(&p.client, (whole ? 180 : 5) * TOFU_NS_PER_S);
	ck_assert_uint_le(stats_of(p.client.engine).wakeups - client, 1); /* our wait's end */
	ck_assert_uint_eq(stats_of(p.server.engine).wakeups - server, 0);
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_silence(void)
{
	Suite *suite = suite_create("silence");
	TCase *gone = suite_case(suite, "gone", 60), *here = suite_case(suite, "here", 60);
	TCase *healthy = suite_case(suite, "healthy", getenv("TOFU_TEST_WHOLE") != NULL ? 240 : 30);

	over_sockets_add(gone, a_peer_that_takes_all_and_says_nothing_is_given_up, pollers_count);
	over_sockets_add(gone, a_peer_that_says_nothing_after_its_hello_is_given_up, pollers_count);
	over_sockets_add(gone, of_both_times_the_one_that_is_over_first_counts, ENDS);
	over_sockets_add(here, a_peer_that_says_something_in_time_lives_on, pollers_count);
	over_sockets_add(here, what_we_send_keeps_a_connection_from_being_idle_and_no_more, pollers_count);
	over_sockets_add(here, a_peer_that_we_do_not_read_is_not_judged, pollers_count);
	over_add(healthy, a_silent_connection_lives_on_and_wakes_nobody, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_silence());
}
