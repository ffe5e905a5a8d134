/* SPDX-License-Identifier: MIT */

/*
 * A cable is pulled. The test makes two networks with a link between them, and cuts the link. Nobody sends then, or the client
 * does, or the server, or both. Each side has to learn in time that the other one is gone. Linux only; passed over where the
 * networks cannot be made. TOFU_TEST_WHOLE in the environment adds the default time, which takes a minute and a half.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tofu/tcp.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/steps.h"

extern char **environ;

/* The command "ip" in the network of this thread. */
static bool ip(const char *format, ...)
{
	char text[256], *arguments[16], *rest = text;
	int n = 0, status;
	va_list list;
	pid_t child;

	va_start(list, format);
	(void)vsnprintf(text, sizeof text, format, list);
	va_end(list);
	while ((arguments[n] = strsep(&rest, " ")) != NULL)
		n++;
	return posix_spawnp(&child, "ip", NULL, NULL, arguments, environ) == 0 && waitpid(child, &status, 0) == child &&
	       status == 0;
}

static int this_network(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

enum { HERE, THERE };
static int networks[2];

static void enter(int which)
{
	must(setns(networks[which], CLONE_NEWNET) == 0, "setns: %s", strerror(errno));
}

/* 10.9.0.1 and 10.9.0.2. False: passed over. */
static bool make_networks(void)
{
	bool done = os_leave_network() && (networks[HERE] = this_network()) >= 0 && os_leave_network() &&
	            (networks[THERE] = this_network()) >= 0;

	if (done) {
		enter(HERE);
		done = ip("ip link add here type veth peer name there") &&
		       ip("ip link set there netns /proc/%d/fd/%d", (int)getpid(), networks[THERE]) &&
		       ip("ip addr add 10.9.0.1/24 dev here") && ip("ip link set here up");
	}
	if (done) {
		enter(THERE);
		done = ip("ip addr add 10.9.0.2/24 dev there") && ip("ip link set there up");
	}
	if (!done)
		printf("passed over: no networks of its own, or no program \"ip\"\n");
	return done;
}

/* --- connections, and who sends on them --- */

enum { SILENT, CLIENT_SENDS, SERVER_SENDS, BOTH_SEND, WAYS };

struct end_of_line {
	uint16_t channel;
	bool sends;
	int64_t heard_ns; /* after the link was cut; 0: not yet */
};

struct line {
	struct side sides[2];
	struct end_of_line ends[WAYS][2];
};

static struct side side_of(int network, uint32_t dead_after_ms)
{
	struct tofu_tcp_options o;
	struct tofu_options options;
	struct tofu_transport *t;
	tofu_engine *engine;

	/* Sockets are of the network of the thread that makes them: the engine's. */
	enter(network);
	tofu_options_init(&options, sizeof options);
	options.io = TOFU_IO_THREAD_ONLY;
	engine = engine_up(&options);
	tofu_tcp_options_init(&o, sizeof o);
	o.scheme = "line";
	o.dead_after_ms = dead_after_ms;
	works(tofu_tcp_create(&o, &t));
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	return side_in(engine);
}

static void connect_lines(struct line *l)
{
	struct listening at;

	listen_at(&l->sides[THERE], "line|10.9.0.2|0", &at);
	for (int way = 0; way < WAYS; way++) {
		struct tofu_header hello = call(&l->sides[HERE], at.address, "hello");
		tofu_msg *msg = expect_peer(&l->sides[THERE], TOFU_HELLO_REQUEST);

		l->ends[way][HERE] = (struct end_of_line){ hello.channel, way == CLIENT_SENDS || way == BOTH_SEND, 0 };
		l->ends[way][THERE] = (struct end_of_line){ tofu_msg_header(msg)->channel,
			                                    way == SERVER_SENDS || way == BOTH_SEND, 0 };
		(void)answer(&l->sides[THERE], &msg, TOFU_HELLO_RESPONSE);
		msg = expect_peer(&l->sides[HERE], TOFU_HELLO_RESPONSE);
		tofu_msg_put(&msg);
	}
}

static void send_on(struct line *l)
{
	for (int way = 0; way < WAYS; way++)
		for (int side = HERE; side <= THERE; side++)
			if (l->ends[way][side].sends && l->ends[way][side].heard_ns == 0)
				(void)try_say(&l->sides[side], l->ends[way][side].channel, TOFU_SIGNAL, 0, "alive?");
}

static struct end_of_line *end_with(struct line *l, int side, uint16_t channel)
{
	for (int way = 0; way < WAYS; way++)
		if (l->ends[way][side].channel == channel)
			return &l->ends[way][side];
	ck_abort_msg("channel %u is none of ours", channel);
}

/* What comes within a moment. How many channels ended. */
static int hear(struct line *l, int side, int64_t cut_ns)
{
	int ended = 0;
	tofu_msg *msg;

	while (tofu_receive(l->sides[side].group, &msg, 10 * TOFU_NS_PER_MS) == TOFU_OK) {
		const struct tofu_header *h = tofu_msg_header(msg);

		if (h->status == TOFU_CHANNEL_CLOSED && h->origin == TOFU_ORIGIN_ENGINE && h->reason != TOFU_OK) {
			must(cut_ns != 0, "ended before the link was cut: %s", tofu_status_name(h->reason));
			must(h->reason == TOFU_PEER_DISCONNECTED, "ended with %s", tofu_status_name(h->reason));
			end_with(l, side, h->channel)->heard_ns = tofu_plat_now_ns() - cut_ns;
			ended++;
		}
		tofu_msg_put(&msg);
	}
	return ended;
}

static void talk_for(struct line *l, int64_t ns)
{
	int64_t until_ns = tofu_plat_deadline(ns);

	while (tofu_plat_now_ns() < until_ns) {
		send_on(l);
		(void)hear(l, HERE, 0);
		(void)hear(l, THERE, 0);
	}
}

static const struct {
	uint32_t dead_after_ms;
	int64_t within_ns;
} terms[] = {
	{ 1000, 3500 * TOFU_NS_PER_MS }, { 0, 60 * TOFU_NS_PER_S }, /* the default */
};

START_TEST(each_side_learns_that_the_link_was_cut_whoever_sends)
{
	static const char *const ways[] = { "nobody sends", "the client sends", "the server sends", "both send" };
	int64_t latest_ns = 0, cut_ns;
	struct line l;

	if (!make_networks())
		return;
	memset(&l, 0, sizeof l);
	l.sides[THERE] = side_of(THERE, terms[_i].dead_after_ms);
	l.sides[HERE] = side_of(HERE, terms[_i].dead_after_ms);
	connect_lines(&l);
	talk_for(&l, terms[_i].within_ns / 2); /* nobody is taken for dead who lives */
	must(ip("ip link set here down"), "the link stays up");
	cut_ns = tofu_plat_now_ns();
	for (int ended = 0; ended < 2 * WAYS;) {
		must(tofu_plat_now_ns() - cut_ns < terms[_i].within_ns, "%d of %d ends know after %" PRId64 " ms",
		     ended, 2 * WAYS, terms[_i].within_ns / TOFU_NS_PER_MS);
		send_on(&l);
		ended += hear(&l, HERE, cut_ns);
		ended += hear(&l, THERE, cut_ns);
	}
	for (int way = 0; way < WAYS; way++) {
		printf("%s: the client knows after %" PRId64 " ms, the server after %" PRId64 " ms\n", ways[way],
		       l.ends[way][HERE].heard_ns / TOFU_NS_PER_MS, l.ends[way][THERE].heard_ns / TOFU_NS_PER_MS);
		for (int side = HERE; side <= THERE; side++)
			if (l.ends[way][side].heard_ns > latest_ns)
				latest_ns = l.ends[way][side].heard_ns;
	}
	must(latest_ns < terms[_i].within_ns, "too late");
	engine_down(l.sides[HERE].engine);
	engine_down(l.sides[THERE].engine);
}
END_TEST

static Suite *suite_of_dead_link(void)
{
	Suite *suite = suite_create("dead_link");
	bool whole = getenv("TOFU_TEST_WHOLE") != NULL;
	TCase *cut = suite_case(suite, "cut", whole ? 120 : 30);

	tcase_add_loop_test(cut, each_side_learns_that_the_link_was_cut_whoever_sends, 0, whole ? 2 : 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_dead_link());
}
