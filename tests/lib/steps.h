/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_STEPS_H
#define TOFU_TESTS_STEPS_H

/*
 * The vocabulary that the engine's tests are written in. Each step either succeeds within PATIENCE_NS or ends the test and
 * says what it saw instead, so the cases themselves hold no checks of calls that have to work.
 *
 * Steps may be taken on threads of the test's own: a failing one ends the process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/tofu.h>

#include "harness.h"
#include "os.h"
#include "platform/platform.h"

#define PATIENCE_NS (10 * TOFU_NS_PER_S)

/** As ck_assert_msg(), but costs nothing where it holds: for loops of a hundred thousand. */
#define must(condition, ...)                                                                                           \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			ck_abort_msg(__VA_ARGS__);                                                                     \
	} while (0)

/** As ck_status(), with the same savings, and of use outside of Check, too: in a server process of the test's own. */
#define works(call) works_at(__FILE__, __LINE__, #call, call)
void works_at(const char *file, int line, const char *call, enum tofu_status st);

/** Look until it holds: for what the library only tells by its counters. */
#define eventually(condition)                                                                                          \
	do {                                                                                                           \
		int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);                                                    \
		while (!(condition)) {                                                                                 \
			must(tofu_plat_now_ns() < until_ns, "%s:%d: never came true: %s", __FILE__, __LINE__,          \
			     #condition);                                                                              \
			pass_time();                                                                                   \
		}                                                                                                      \
	} while (0)

/* The transports that a case loops over. Over TLS only where TOFU_TEST_OVER names it. */
enum { OVER_TCP, OVER_UDS, OVER_INPROC, OVER_TLS, OVER_NR };

/** Has this system got it? */
bool over_here(int transport);
/** The transport number i, counted round among those that this system has. */
int over_some(int i);
/**
 * Add a loop of so many times each transport: it is _i % OVER_NR. What cannot be had here is skipped, and what is not over the
 * one that TOFU_TEST_OVER names by its scheme; that is printed.
 */
void over_add(TCase *tc, const TTest *test, int times);
/** The same for a test that looks below the transport: never over TLS. */
void over_add_plain(TCase *tc, const TTest *test, int times);
/** The same for a test with a peer on a socket of its own (raw.h): only over those that such a one can speak. */
void over_sockets_add(TCase *tc, const TTest *test, int times);
/** The same for a test whose peer is a plain socket: never over TLS either. */
void over_plain_sockets_add(TCase *tc, const TTest *test, int times);
/** Add a test that needs that transport, likewise. */
void over_need(TCase *tc, const TTest *test, int transport);

const char *over_scheme(int transport);
/** The one of that scheme. */
int over_of(const char *scheme);
/** An address to listen on where the system picks the rest. */
const char *over_anywhere(int transport);
const struct tofu_transport *over_transport(int transport);
/** What a call gives where nobody listens. */
enum tofu_status over_nobody(int transport);
/** What an end of the peer is that it did not announce: its process died, or it cut the connection off. */
enum tofu_status over_cut(int transport);

/** Has this host an IPv6 address? If not, that is printed. */
bool ipv6_here(void);

/** How often to do it: n, or a tenth where TOFU_TEST_QUICK is set (valgrind). */
unsigned rounds(unsigned n);

/** A random seed, printed; TOFU_TEST_SEED in the environment repeats one. */
uint64_t fresh_seed(const char *what);
/** 0..sides-1 */
uint32_t dice(uint64_t *seed, uint32_t sides);

/** A suite with one test case of that name and a time limit that suits it, which is returned to add tests to. */
TCase *suite_case(Suite *suite, const char *name, int seconds);

/* engines */

/*
 * With TOFU_TEST_IO=caller in the environment, the engines that engine_up() makes have no thread: the threads of the test drive
 * them, in each step that waits.
 */

/** Let the engines that have no thread work, and others have the processor. */
void pass_time(void);
/** As os_wait() with all patience, while those engines work. */
unsigned wait_working(intptr_t handle, unsigned bits);
/** Wait until all that the group has posted is written or given back. */
void drain_group(tofu_group *group);

/** Where an application stands: a group in an engine. */
struct side {
	tofu_engine *engine;
	tofu_group *group;
};

/** Default options, but for a pool of that many messages. */
struct tofu_options options_with_pool(uint32_t messages);
/** tofu_init() and an engine with all transports. */
tofu_engine *engine_up(const struct tofu_options *or_null);
/** The engine, what side_in() made in it, then tofu_deinit(). NULL is fine. */
void engine_down(tofu_engine *engine);
/** One more group, until side_down() or engine_down(). */
struct side side_in(tofu_engine *engine);
void side_down(const struct side *side);
struct tofu_stats stats_of(tofu_engine *engine);
/** Channels that are neither free nor listening. */
uint32_t connections_of(tofu_engine *engine);
/**
 * Wait until the engine sleeps: for ns nanoseconds nothing comes for this side, and nothing wakes the engine except the end of
 * the wait. The first waits may see the end of earlier work. An engine that spins, or has a tick, fails.
 */
void comes_to_rest(const struct side *side, int64_t ns);

/* messages */

tofu_msg *message(const struct side *side, int opcode, uint16_t channel, uint64_t id, const char *text);
/** Post; it has to be accepted. The final header. */
struct tofu_header post(const struct side *side, tofu_msg **msg);
/** Make and post. id 0: a new one. */
struct tofu_header say(const struct side *side, uint16_t channel, int opcode, uint64_t id, const char *text);
/** Make and post; what post said. A message that was refused is put back. */
enum tofu_status try_say(const struct side *side, uint16_t channel, int opcode, uint64_t id, const char *text);
/** Answer a message with itself, as another opcode. */
struct tofu_header answer(const struct side *side, tofu_msg **msg, int opcode);
/** Is its body this text? */
bool says(const tofu_msg *msg, const char *text);
/** The value of a text header, terminated; "" if there is none. */
const char *header_of(const tofu_msg *msg, const char *name, char *out, size_t capacity);

/** A body that can be recognised: a number, then bytes that follow from it. At least 8 bytes. */
void number_body(tofu_msg *msg, uint64_t number, size_t len);
/** The number; the test fails if a byte is wrong. */
uint64_t number_of(const tofu_msg *msg);
uint64_t number_in(const void *body, size_t len);
/** A length for a numbered body: mostly small, now and then large, the same for the same number. */
size_t number_length(uint64_t number);

/* what comes */

tofu_msg *take_at(const char *file, int line, const struct side *side);
tofu_msg *expect_at(const char *file, int line, const struct side *side, int opcode, int origin,
                    enum tofu_status status);
tofu_msg *expect_on_at(const char *file, int line, const struct side *side, uint16_t channel, uint64_t id, int opcode,
                       int origin, enum tofu_status status);
void expect_end_at(const char *file, int line, const struct side *side, uint16_t channel, uint64_t id,
                   enum tofu_status reason);
void expect_silence_at(const char *file, int line, const struct side *side);

/** The next message, whatever it is. */
#define take(side) take_at(__FILE__, __LINE__, side)
/** The next message, which is of this kind. */
#define expect(side, opcode, origin, status) expect_at(__FILE__, __LINE__, side, opcode, origin, status)
/** ... and on this channel with this id. */
#define expect_on(side, channel, id, opcode, origin, status)                                                           \
	expect_on_at(__FILE__, __LINE__, side, channel, id, opcode, origin, status)
/** From the peer's application. */
#define expect_peer(side, opcode) expect(side, opcode, TOFU_ORIGIN_APPLICATION, TOFU_OK)
/** The next message is channel_closed, of that channel, with the id that opened it; an application wanted it. */
#define expect_closed(side, channel, id) expect_end(side, channel, id, TOFU_CHANNEL_CLOSED)
/** ... it was this failure. */
#define expect_end(side, channel, id, reason) expect_end_at(__FILE__, __LINE__, side, channel, id, reason)
/** Whatever the engine had for this group by now was taken. Sends something round through the engine to know. */
#define expect_silence(side) expect_silence_at(__FILE__, __LINE__, side)

/** Signals of a thread of its own, with ids from 1 on; it tries again while the queue is full. */
struct signaller {
	struct tofu_thread thread;
	struct side side;
	uint16_t channel;
	unsigned count;
};

/** What that thread runs, with the signaller. */
void post_signals(void *signaller);
/** All of them arrive, in order. */
void expect_signals(const struct side *side, unsigned count);

/** Is it the engine's channel_closed? */
bool is_closed_notice(tofu_msg *msg);
bool is_notice(tofu_msg *msg, enum tofu_status status);
/** "SIGNAL on 7, id 12, origin 1, status channel_closed": for messages of failing tests. Static text. */
const char *describe(tofu_msg *msg);

/* queues that are full */

/** Post numbered requests of len bytes until the channel's queue is full and stays so. The number after the last one. */
uint64_t fill_queue(const struct side *side, uint16_t channel, uint64_t number, size_t len);
/**
 * The last numbers below end come back in order with that status, then the channel closes. The first that came back: those
 * below it were written; end: none came back.
 */
uint64_t expect_tail(const struct side *side, uint16_t channel, uint64_t id, uint64_t end, enum tofu_status status);

/* connections */

struct listening {
	char address[600]; /* to connect to */
	uint16_t channel;
	uint64_t id;
};

void listen_at(const struct side *side, const char *address, struct listening *out);
void listen_over(const struct side *side, int transport, struct listening *out);
/** Post a HelloRequest. */
struct tofu_header call(const struct side *side, const char *address, const char *text);
/** Post a HelloRequest / WelcomeRequest that fails: the response with this status, then channel_closed, then no more. */
void call_fails(const struct side *side, const char *address, enum tofu_status status);
void listen_fails(const struct side *side, const char *address, enum tofu_status status);
/** The path within "uds|path". */
const char *path_of(const char *address);
/** An address where nobody listens, but somebody could. */
void vacant_address(int transport, char *out, size_t capacity);

/** Two peers over one connection. */
struct pair {
	struct side server, client;
	struct listening at;
	uint16_t server_channel, client_channel;
	uint64_t hello;  /* its id */
	int descriptors; /* before it was opened */
};

/** Client calls, server answers. The rest of the pair is filled before. */
void pair_meet(struct pair *p);
/** One engine, two groups. */
void pair_open(struct pair *p, int transport, const struct tofu_options *or_null);
/** The same with an engine for each. */
void pair_open_apart(struct pair *p, int transport, const struct tofu_options *server_or_null,
                     const struct tofu_options *client_or_null);
/** A request and its response. */
void pair_talk(struct pair *p);
/** The client says bye, the server answers, both hear of the end. */
void pair_bye(struct pair *p);
/** Destroy everything; nothing may be left. */
void pair_close(struct pair *p);
/** A pair whose client is `client` and whose server is `server`, with a listener of its own. */
void pair_between(struct pair *p, int transport, struct side server, struct side client);

/* a server on a thread of its own */

struct echo {
	struct side side;
	struct listening at[OVER_NR]; /* it listens on all */
	struct tofu_thread thread;
	uint64_t answered; /* valid once stopped */
	uint64_t unexpected;
};

/** Answers hello by hello, a request by its response, a signal by itself, bye by bye. */
void echo_start(struct echo *echo, tofu_engine *engine);
/** As echo_start() for a thread that has nothing else to do. Returns when told to by update_receiver. */
void echo_serve(struct echo *echo);
void echo_stop(struct echo *echo);

#endif
