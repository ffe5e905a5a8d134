/* SPDX-License-Identifier: MIT */

/*
 * The steps. Each does one thing and waits for its outcome in tofu_receive(), bounded by PATIENCE_NS; what it sees instead
 * of what it should ends the test with a sentence. Fixtures free what they made in pair_close(), echo_stop(), engine_down().
 */

#include "steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tofu/inproc.h>
#include <tofu/tcp.h>
#include <tofu/unix.h>

#include "over_tls.h"
#include "raw.h"

static bool always(void)
{
	return true;
}

static bool is_named(int transport)
{
	const char *only = getenv("TOFU_TEST_OVER");

	return only != NULL && strcmp(only, over_scheme(transport)) == 0;
}

static bool has_tls(void)
{
	return is_named(OVER_TLS) && over_tls() != NULL;
}

/* What a test may need of a transport: that nothing but frames travels; that a peer on a socket of its own can speak it. Bits. */
enum { PLAIN = 1, SOCKETS = 2 };

static const struct {
	const char *scheme;
	const char *anywhere;
	const struct tofu_transport *(*table)(void);
	bool (*here)(void);
	unsigned can;
	enum tofu_status nobody;
	enum tofu_status cut;
} overs[OVER_NR] = {
	[OVER_TCP] = { "tcp", "tcp|127.0.0.1|0", tofu_tcp, always, PLAIN | SOCKETS, TOFU_CONNECT_FAILED,
	               TOFU_PEER_DISCONNECTED },
	[OVER_UDS] = { "uds", "uds|", tofu_unix, os_has_unix_sockets, PLAIN | SOCKETS, TOFU_UDS_PATH_NOT_FOUND,
	               TOFU_PEER_DISCONNECTED },
	[OVER_INPROC] = { "inproc", "inproc|", tofu_inproc, always, PLAIN, TOFU_CONNECT_FAILED,
	                  TOFU_PEER_DISCONNECTED },
	[OVER_TLS] = { "tls", "tls|127.0.0.1|0", over_tls, has_tls, SOCKETS, TOFU_CONNECT_FAILED,
	               TOFU_COMMUNICATION_FAILED },
};

const char *over_scheme(int transport)
{
	return overs[transport].scheme;
}

int over_of(const char *scheme)
{
	for (int i = 0; i < OVER_NR; i++)
		if (strcmp(overs[i].scheme, scheme) == 0)
			return i;
	must(false, "no transport %s", scheme);
	return OVER_NR;
}

const char *over_anywhere(int transport)
{
	return overs[transport].anywhere;
}

const struct tofu_transport *over_transport(int transport)
{
	return overs[transport].table();
}

enum tofu_status over_nobody(int transport)
{
	return overs[transport].nobody;
}

enum tofu_status over_cut(int transport)
{
	return overs[transport].cut;
}

bool over_here(int transport)
{
	return overs[transport].here();
}

int over_some(int i)
{
	return over_here(i % OVER_NR) ? i % OVER_NR : OVER_TCP;
}

/* Why tests over that transport are left out; NULL: they are not. */
static const char *why_not_over(int transport)
{
	const char *only = getenv("TOFU_TEST_OVER");

	if (only != NULL && *only != '\0' && !is_named(transport))
		return "TOFU_TEST_OVER names another";
	return over_here(transport) ? NULL : "this system has no such transport";
}

static bool say_if_skipped(const TTest *test, int transport, int times)
{
	const char *why = why_not_over(transport);

	if (transport == OVER_TLS && !is_named(OVER_TLS)) /* by far the most do not ask for it */
		return true;
	if (why != NULL)
		printf("skipped: %s over %s, %d of them: %s\n", test->name, over_scheme(transport), times, why);
	return why != NULL;
}

static void add_over(TCase *tc, const TTest *test, int times, unsigned needs)
{
	bool without[OVER_NR];

	for (int transport = 0; transport < OVER_NR; transport++)
		without[transport] = (needs & ~overs[transport].can) != 0 || say_if_skipped(test, transport, times);
	for (int i = 0; i < times * OVER_NR; i++)
		if (!without[i % OVER_NR])
			tcase_add_loop_test(tc, test, i, i + 1);
}

void over_add(TCase *tc, const TTest *test, int times)
{
	add_over(tc, test, times, 0);
}

void over_add_plain(TCase *tc, const TTest *test, int times)
{
	add_over(tc, test, times, PLAIN);
}

void over_sockets_add(TCase *tc, const TTest *test, int times)
{
	add_over(tc, test, times, SOCKETS);
}

void over_plain_sockets_add(TCase *tc, const TTest *test, int times)
{
	add_over(tc, test, times, PLAIN | SOCKETS);
}

void over_need(TCase *tc, const TTest *test, int transport)
{
	if (!say_if_skipped(test, transport, 1))
		tcase_add_test(tc, test);
}

bool ipv6_here(void)
{
	struct tofu_sockaddr six;
	intptr_t probe;
	size_t count;
	bool has;

	works(tofu_sockaddr_inet("::1", 0, 0, &six, 1, &count));
	has = tofu_socket_listen(&six, &probe) == TOFU_OK;
	tofu_socket_close(probe, TOFU_CLOSE_ORDERLY);
	if (!has)
		printf("passed over: no IPv6\n");
	return has;
}

unsigned rounds(unsigned n)
{
	const char *quick = getenv("TOFU_TEST_QUICK");

	return quick != NULL && *quick != '\0' && *quick != '0' ? n / 10 : n;
}

uint64_t fresh_seed(const char *what)
{
	const char *given = getenv("TOFU_TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : os_random();

	printf("%s: TOFU_TEST_SEED=%#" PRIx64 "\n", what, seed);
	return seed;
}

uint32_t dice(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % sides;
}

TCase *suite_case(Suite *suite, const char *name, int seconds)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, seconds);
	suite_add_tcase(suite, tc);
	return tc;
}

void works_at(const char *file, int line, const char *call, enum tofu_status st)
{
	must(st == TOFU_OK, "%s:%d: %s gave %s", file, line, call, tofu_status_name(st));
}

/* engines */

struct tofu_options options_with_pool(uint32_t messages)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = options.pool_max = messages;
	return options;
}

/* Those without a thread that nobody asked for. */
static tofu_engine *driven[32];
static struct tofu_mutex driven_lock = TOFU_MUTEX_INITIALIZER;

static bool drives_engines(void)
{
	const char *io = getenv("TOFU_TEST_IO");

	return io != NULL && strcmp(io, "caller") == 0;
}

static bool swap_driven(tofu_engine *from, tofu_engine *to)
{
	bool found = false;

	tofu_mutex_lock(&driven_lock);
	for (size_t i = 0; i < sizeof driven / sizeof driven[0] && !found; i++) {
		found = driven[i] == from;
		if (found)
			driven[i] = to;
	}
	tofu_mutex_unlock(&driven_lock);
	return found;
}

/* How many there are. */
static unsigned let_work(void)
{
	unsigned count = 0;

	tofu_mutex_lock(&driven_lock);
	for (size_t i = 0; i < sizeof driven / sizeof driven[0]; i++) {
		if (driven[i] == NULL)
			continue;
		count++;
		(void)tofu_engine_run(driven[i], 0);
	}
	tofu_mutex_unlock(&driven_lock);
	return count;
}

void pass_time(void)
{
	(void)let_work();
	os_pause();
}

unsigned wait_working(intptr_t handle, unsigned bits)
{
	int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);
	unsigned ready = 0;

	while (ready == 0 && tofu_plat_now_ns() < until_ns)
		ready = os_wait(handle, bits, let_work() > 0 ? TOFU_NS_PER_MS : PATIENCE_NS);
	return ready;
}

/* A call that succeeds only when its patience is over was not woken. */
static void must_be_woken(enum tofu_status status, int64_t until_ns)
{
	must(status != TOFU_OK || tofu_plat_now_ns() < until_ns, "it is there, and nobody was woken for it");
}

/* A thread that receives drives one engine; what it awaits may be another engine's to send. */
static enum tofu_status receive_working(tofu_group *group, tofu_msg **out)
{
	int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);
	enum tofu_status st = TOFU_TIMEOUT;

	while (st == TOFU_TIMEOUT && tofu_plat_now_ns() < until_ns)
		st = tofu_receive(group, out, let_work() > 1 ? TOFU_NS_PER_MS : PATIENCE_NS);
	must_be_woken(st, until_ns);
	return st;
}

void drain_group(tofu_group *group)
{
	int64_t until_ns = tofu_plat_deadline(PATIENCE_NS);

	works(tofu_group_drain(group, PATIENCE_NS));
	must_be_woken(TOFU_OK, until_ns);
}

tofu_engine *engine_up(const struct tofu_options *or_null)
{
	bool drives = drives_engines() && (or_null == NULL || or_null->io == TOFU_IO_THREAD);
	struct tofu_options options;
	tofu_engine *engine;

	works(tofu_init());
	if (drives) {
		tofu_options_init(&options, sizeof options);
		if (or_null != NULL)
			options = *or_null;
		options.io = TOFU_IO_CALLER;
		or_null = &options;
	}
	works(tofu_engine_create(or_null, &engine));
	if (drives)
		must(swap_driven(NULL, engine), "too many engines");
	for (int i = 0; i < OVER_NR; i++)
		if (i != OVER_TLS || over_here(i))
			works(tofu_engine_register(engine, over_transport(i)));
	return engine;
}

/* Those that are up; a place is free without a group. */
static struct side sides[256];
static struct tofu_mutex sides_lock = TOFU_MUTEX_INITIALIZER;

static bool swap_side(const struct side *from, const struct side *to)
{
	bool found = false;

	tofu_mutex_lock(&sides_lock);
	for (size_t i = 0; i < sizeof sides / sizeof sides[0] && !found; i++) {
		found = sides[i].engine == from->engine && sides[i].group == from->group;
		if (found)
			sides[i] = *to;
	}
	tofu_mutex_unlock(&sides_lock);
	return found;
}

struct side side_in(tofu_engine *engine)
{
	struct side side = { .engine = engine };

	works(tofu_group_create(engine, &side.group));
	must(swap_side(&(struct side){ 0 }, &side), "too many groups");
	return side;
}

void side_down(const struct side *side)
{
	struct side s = *side;

	must(swap_side(&s, &(struct side){ 0 }), "no such group");
	works(tofu_group_destroy(s.group));
}

static bool take_side_of(const tofu_engine *engine, struct side *out)
{
	bool found = false;

	tofu_mutex_lock(&sides_lock);
	for (size_t i = 0; i < sizeof sides / sizeof sides[0] && !found; i++) {
		found = sides[i].engine == engine;
		if (found) {
			*out = sides[i];
			sides[i] = (struct side){ 0 };
		}
	}
	tofu_mutex_unlock(&sides_lock);
	return found;
}

void engine_down(tofu_engine *engine)
{
	struct side side;

	if (engine == NULL)
		return;
	(void)swap_driven(engine, NULL);
	tofu_engine_destroy(engine);
	while (take_side_of(engine, &side))
		works(tofu_group_destroy(side.group));
	tofu_deinit();
}

struct tofu_stats stats_of(tofu_engine *engine)
{
	struct tofu_stats stats = { .size = sizeof stats };

	works(tofu_engine_stats(engine, &stats));
	return stats;
}

uint32_t connections_of(tofu_engine *engine)
{
	struct tofu_stats s = stats_of(engine);

	return s.channels_resolving + s.channels_connecting + s.channels_accepted + s.channels_open +
	       s.channels_closing;
}

void comes_to_rest(const struct side *side, int64_t ns)
{
	int64_t until_ns = tofu_plat_deadline(10 * ns + PATIENCE_NS);
	uint64_t before, woken;
	tofu_msg *none;

	do {
		before = stats_of(side->engine).wakeups;
		ck_status(tofu_receive(side->group, &none, ns), TOFU_TIMEOUT);
		woken = stats_of(side->engine).wakeups - before;
		must(woken <= 1 || tofu_plat_now_ns() < until_ns, "%" PRIu64 " wake-ups in %" PRId64 " ms", woken,
		     ns / TOFU_NS_PER_MS);
	} while (woken > 1);
}

/* messages */

tofu_msg *message(const struct side *side, int opcode, uint16_t channel, uint64_t id, const char *text)
{
	tofu_msg *msg;
	struct tofu_header *h;

	works(tofu_msg_get(side->engine, TOFU_ALWAYS, &msg));
	h = tofu_msg_header(msg);
	h->opcode = (uint8_t)opcode;
	h->channel = channel;
	h->id = id;
	if (text != NULL)
		works(tofu_msg_body_set(msg, text, strlen(text)));
	return msg;
}

struct tofu_header post(const struct side *side, tofu_msg **msg)
{
	struct tofu_header h = { .id = 0 };
	enum tofu_status st = tofu_post(side->group, msg, &h);

	must(st == TOFU_OK, "post refused with %s: %s", tofu_status_name(st), describe(*msg));
	must(*msg == NULL, "post took the message, but left the pointer");
	return h;
}

struct tofu_header say(const struct side *side, uint16_t channel, int opcode, uint64_t id, const char *text)
{
	tofu_msg *msg = message(side, opcode, channel, id, text);

	return post(side, &msg);
}

enum tofu_status try_say(const struct side *side, uint16_t channel, int opcode, uint64_t id, const char *text)
{
	tofu_msg *msg = message(side, opcode, channel, id, text);
	enum tofu_status st = tofu_post(side->group, &msg, NULL);

	must((st == TOFU_OK) == (msg == NULL), "post said %s, and the pointer %s", tofu_status_name(st),
	     msg == NULL ? "is NULL" : "stayed");
	tofu_msg_put(&msg);
	return st;
}

struct tofu_header answer(const struct side *side, tofu_msg **msg, int opcode)
{
	tofu_msg_header(*msg)->opcode = (uint8_t)opcode;
	return post(side, msg);
}

bool says(const tofu_msg *msg, const char *text)
{
	size_t len;
	const void *body = tofu_msg_body(msg, &len);

	return len == strlen(text) && memcmp(body, text, len) == 0;
}

const char *header_of(const tofu_msg *msg, const char *name, char *out, size_t capacity)
{
	size_t len;
	const char *value = tofu_msg_headers_find(msg, name, &len);

	must(len < capacity, "the header %s is %zu bytes long", name, len);
	if (value != NULL)
		memcpy(out, value, len);
	out[len] = '\0';
	return out;
}

static void number_fill(unsigned char *to, uint64_t number, size_t len)
{
	memcpy(to, &number, sizeof number);
	for (size_t i = sizeof number; i < len; i++)
		to[i] = (unsigned char)(number + i);
}

void number_body(tofu_msg *msg, uint64_t number, size_t len)
{
	void *to;

	works(tofu_msg_body_reserve(msg, len, &to));
	number_fill(to, number, len);
}

uint64_t number_in(const void *body, size_t len)
{
	const unsigned char *at = body;
	uint64_t number;

	must(len >= sizeof number, "a body of %zu bytes instead of a numbered one", len);
	memcpy(&number, at, sizeof number);
	for (size_t i = sizeof number; i < len; i++)
		must(at[i] == (unsigned char)(number + i), "byte %zu of number %" PRIu64 " is wrong", i, number);
	return number;
}

uint64_t number_of(const tofu_msg *msg)
{
	size_t len;
	const void *body = tofu_msg_body(msg, &len);

	return number_in(body, len);
}

size_t number_length(uint64_t number)
{
	switch (number % 16) {
	case 3:
		return 8;
	case 7:
		return 3000 + (size_t)(number % 1000);
	case 11:
		return number % 5 == 0 ? TOFU_BODY_MAX : 20000;
	default:
		return 8 + (size_t)(number % 200);
	}
}

/* what comes */

const char *describe(tofu_msg *msg)
{
	static _Thread_local char text[128];
	static const char *const names[] = { "Request",        "Response",       "Signal",      "HelloRequest",
		                             "HelloResponse",  "ByeRequest",     "ByeResponse", "ByeSignal",
		                             "WelcomeRequest", "WelcomeResponse" };
	const struct tofu_header *h = tofu_msg_header(msg);

	if (h == NULL)
		return "no message";
	snprintf(text, sizeof text, "%s on %u, id %" PRIu64 ", of %s, status %s",
	         h->opcode < 10 ? names[h->opcode] : "?", h->channel, h->id,
	         h->origin == TOFU_ORIGIN_ENGINE ? "the engine" : "the application", tofu_status_name(h->status));
	return text;
}

tofu_msg *take_at(const char *file, int line, const struct side *side)
{
	tofu_msg *msg;
	enum tofu_status st = receive_working(side->group, &msg);

	must(st == TOFU_OK, "%s:%d: nothing to receive: %s", file, line, tofu_status_name(st));
	must(tofu_msg_header(msg)->reason == TOFU_OK || is_closed_notice(msg), "%s:%d: a reason in another message: %s",
	     file, line, describe(msg));
	return msg;
}

tofu_msg *expect_at(const char *file, int line, const struct side *side, int opcode, int origin,
                    enum tofu_status status)
{
	tofu_msg *msg = take_at(file, line, side);
	const struct tofu_header *h = tofu_msg_header(msg);
	struct tofu_header wanted = { .opcode = (uint8_t)opcode, .origin = (uint8_t)origin, .status = (uint8_t)status };

	must(h->opcode == wanted.opcode && h->origin == wanted.origin && h->status == wanted.status,
	     "%s:%d: not what was expected (opcode %d, origin %d, status %s): %s", file, line, opcode, origin,
	     tofu_status_name(status), describe(msg));
	return msg;
}

tofu_msg *expect_on_at(const char *file, int line, const struct side *side, uint16_t channel, uint64_t id, int opcode,
                       int origin, enum tofu_status status)
{
	tofu_msg *msg = expect_at(file, line, side, opcode, origin, status);
	const struct tofu_header *h = tofu_msg_header(msg);

	must(h->channel == channel && h->id == id, "%s:%d: not on %u with id %" PRIu64 ": %s", file, line, channel, id,
	     describe(msg));
	return msg;
}

static void check_reason(const char *file, int line, tofu_msg *msg, enum tofu_status reason)
{
	char got[64];

	header_of(msg, "~reason", got, sizeof got);
	must(tofu_msg_header(msg)->reason == (uint8_t)reason, "%s:%d: the header says \"%s\", not \"%s\"", file, line,
	     tofu_status_name(tofu_msg_header(msg)->reason), tofu_status_name(reason));
	must(strcmp(got, tofu_status_name(reason)) == 0, "%s:%d: the channel ended for the reason \"%s\", not \"%s\"",
	     file, line, got, tofu_status_name(reason));
}

void expect_end_at(const char *file, int line, const struct side *side, uint16_t channel, uint64_t id,
                   enum tofu_status reason)
{
	tofu_msg *msg =
		expect_on_at(file, line, side, channel, id, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);

	check_reason(file, line, msg, reason);
	tofu_msg_put(&msg);
}

bool is_notice(tofu_msg *msg, enum tofu_status status)
{
	const struct tofu_header *h = tofu_msg_header(msg);

	return h->opcode == TOFU_SIGNAL && h->origin == TOFU_ORIGIN_ENGINE && h->status == status;
}

bool is_closed_notice(tofu_msg *msg)
{
	/* A Signal that comes back from a channel that was closed looks the same, but for the reason. */
	return is_notice(msg, TOFU_CHANNEL_CLOSED) && tofu_msg_header(msg)->reason != TOFU_OK;
}

void post_signals(void *signaller)
{
	const struct signaller *s = signaller;

	for (unsigned i = 0; i < s->count; i++)
		while (try_say(&s->side, s->channel, TOFU_SIGNAL, i + 1, "of another thread") != TOFU_OK)
			os_pause();
}

void expect_signals(const struct side *side, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		tofu_msg *msg = expect_peer(side, TOFU_SIGNAL);

		ck_assert_uint_eq(tofu_msg_header(msg)->id, i + 1);
		tofu_msg_put(&msg);
	}
}

/* A WelcomeRequest that fails comes back through the engine, behind everything that the engine had delivered. */
void expect_silence_at(const char *file, int line, const struct side *side)
{
	tofu_msg *msg = message(side, TOFU_REQUEST, 0, 0, NULL);
	struct tofu_header h;

	works(tofu_msg_listen_on(msg, "nosuch|transport"));
	h = post(side, &msg);
	msg = expect_on_at(file, line, side, h.channel, h.id, TOFU_WELCOME_RESPONSE, TOFU_ORIGIN_ENGINE,
	                   TOFU_INVALID_ADDRESS);
	tofu_msg_put(&msg);
	expect_end_at(file, line, side, h.channel, h.id, TOFU_INVALID_ADDRESS);
}

/* queues that are full */

uint64_t fill_queue(const struct side *side, uint16_t channel, uint64_t number, size_t len)
{
	for (;; number++) {
		tofu_msg *msg = message(side, TOFU_REQUEST, channel, 0, NULL), *notice;
		enum tofu_status st;

		number_body(msg, number, len);
		while ((st = tofu_post(side->group, &msg, NULL)) == TOFU_WOULD_BLOCK) {
			/* Full for now, or full? The engine may just have been slower than we. */
			if (tofu_receive(side->group, &notice, TOFU_NS_PER_S / 4) == TOFU_TIMEOUT) {
				tofu_msg_put(&msg);
				return number;
			}
			must(is_notice(notice, TOFU_SEND_READY), "instead of send_ready: %s", describe(notice));
			tofu_msg_put(&notice);
		}
		works(st);
	}
}

uint64_t expect_tail(const struct side *side, uint16_t channel, uint64_t id, uint64_t end, enum tofu_status status)
{
	uint64_t first = end, next = 0;
	tofu_msg *msg;

	for (; !is_closed_notice(msg = take(side)); tofu_msg_put(&msg)) {
		const struct tofu_header *h = tofu_msg_header(msg);

		must(h->channel == channel && h->origin == TOFU_ORIGIN_ENGINE && h->status == status, "came back as %s",
		     describe(msg));
		if (first == end)
			first = next = number_of(msg);
		must(number_of(msg) == next, "came back out of order: %" PRIu64 " instead of %" PRIu64, number_of(msg),
		     next);
		next++;
	}
	must(tofu_msg_header(msg)->channel == channel && tofu_msg_header(msg)->id == id, "the end of another: %s",
	     describe(msg));
	check_reason(__FILE__, __LINE__, msg, status);
	must(first == end || next == end, "the last ones that were posted did not come back");
	tofu_msg_put(&msg);
	return first;
}

/* connections */

void listen_at(const struct side *side, const char *address, struct listening *out)
{
	tofu_msg *msg = message(side, TOFU_REQUEST, 0, 0, NULL);
	struct tofu_header h;

	works(tofu_msg_listen_on(msg, address));
	h = post(side, &msg);
	msg = expect_on(side, h.channel, h.id, TOFU_WELCOME_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_OK);
	header_of(msg, "~listen_on", out->address, sizeof out->address);
	tofu_msg_put(&msg);
	out->channel = h.channel;
	out->id = h.id;
}

void listen_over(const struct side *side, int transport, struct listening *out)
{
	listen_at(side, over_anywhere(transport), out);
}

struct tofu_header call(const struct side *side, const char *address, const char *text)
{
	tofu_msg *msg = message(side, TOFU_REQUEST, 0, 0, text);

	works(tofu_msg_connect_to(msg, address));
	return post(side, &msg);
}

static void comes_back_with(const struct side *side, struct tofu_header h, int opcode, enum tofu_status status)
{
	tofu_msg *msg = expect_on(side, h.channel, h.id, opcode, TOFU_ORIGIN_ENGINE, status);

	tofu_msg_put(&msg);
	expect_end(side, h.channel, h.id, status);
	expect_silence(side);
}

void call_fails(const struct side *side, const char *address, enum tofu_status status)
{
	comes_back_with(side, call(side, address, "to nobody"), TOFU_HELLO_RESPONSE, status);
}

void listen_fails(const struct side *side, const char *address, enum tofu_status status)
{
	tofu_msg *msg = message(side, TOFU_REQUEST, 0, 0, NULL);

	works(tofu_msg_listen_on(msg, address));
	comes_back_with(side, post(side, &msg), TOFU_WELCOME_RESPONSE, status);
}

const char *path_of(const char *address)
{
	return strchr(address, '|') + 1;
}

/* Below the ports that systems give away, so that nobody gets it meanwhile, and no caller has it on its own side. */
static void vacant_port(char *out, const char *scheme, size_t capacity)
{
	struct tofu_sockaddr at;
	enum tofu_status st;
	intptr_t listener;
	size_t count;

	do {
		uint16_t port = (uint16_t)(20000 + os_random() % 12000);

		snprintf(out, capacity, "%s|127.0.0.1|%u", scheme, port);
		works(tofu_sockaddr_inet("127.0.0.1", port, 0, &at, 1, &count));
		st = tofu_socket_listen(&at, &listener);
	} while (st == TOFU_ADDRESS_IN_USE);
	works(st);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
}

void vacant_address(int transport, char *out, size_t capacity)
{
	char path[256];

	if (transport != OVER_UDS) {
		vacant_port(out, over_scheme(transport), capacity);
		return;
	}
	os_fresh_path(path, sizeof path);
	snprintf(out, capacity, "%s|%s", over_scheme(transport), path);
}

void pair_meet(struct pair *p)
{
	struct tofu_header h = call(&p->client, p->at.address, "hello");
	tofu_msg *msg = expect_peer(&p->server, TOFU_HELLO_REQUEST);

	must(tofu_msg_header(msg)->id == h.id, "hello lost its id");
	p->hello = h.id;
	p->client_channel = h.channel;
	p->server_channel = tofu_msg_header(msg)->channel;
	answer(&p->server, &msg, TOFU_HELLO_RESPONSE);
	msg = expect_on(&p->client, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
}

void pair_between(struct pair *p, int transport, struct side server, struct side client)
{
	p->server = server;
	p->client = client;
	listen_over(&p->server, transport, &p->at);
	pair_meet(p);
}

void pair_open(struct pair *p, int transport, const struct tofu_options *or_null)
{
	int before = os_descriptors();
	tofu_engine *engine = engine_up(or_null);

	pair_between(p, transport, side_in(engine), side_in(engine));
	p->descriptors = before;
}

void pair_open_apart(struct pair *p, int transport, const struct tofu_options *server_or_null,
                     const struct tofu_options *client_or_null)
{
	int before = os_descriptors();
	tofu_engine *server = engine_up(server_or_null), *client = engine_up(client_or_null);

	pair_between(p, transport, side_in(server), side_in(client));
	p->descriptors = before;
}

void pair_talk(struct pair *p)
{
	struct tofu_header h = say(&p->client, p->client_channel, TOFU_REQUEST, 0, "a question");
	tofu_msg *msg = expect_on(&p->server, p->server_channel, h.id, TOFU_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);

	must(says(msg, "a question"), "the request's body changed");
	answer(&p->server, &msg, TOFU_RESPONSE);
	msg = expect_on(&p->client, p->client_channel, h.id, TOFU_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	must(says(msg, "a question"), "the response's body changed");
	tofu_msg_put(&msg);
}

void pair_bye(struct pair *p)
{
	struct tofu_header h = say(&p->client, p->client_channel, TOFU_BYE_REQUEST, 0, NULL);
	tofu_msg *msg =
		expect_on(&p->server, p->server_channel, h.id, TOFU_BYE_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);

	answer(&p->server, &msg, TOFU_BYE_RESPONSE);
	msg = expect_on(&p->client, p->client_channel, h.id, TOFU_BYE_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	expect_closed(&p->client, p->client_channel, p->hello);
	expect_closed(&p->server, p->server_channel, p->hello);
}

void pair_close(struct pair *p)
{
	engine_down(p->client.engine);
	if (p->server.engine != p->client.engine)
		engine_down(p->server.engine);
	ck_assert_int_eq(os_descriptors(), p->descriptors);
}

/* a server on a thread of its own */

static const struct {
	int asked, answer;
} echoes[] = {
	{ TOFU_REQUEST, TOFU_RESPONSE },
	{ TOFU_SIGNAL, TOFU_SIGNAL },
	{ TOFU_HELLO_REQUEST, TOFU_HELLO_RESPONSE },
	{ TOFU_BYE_REQUEST, TOFU_BYE_RESPONSE },
};

static void echo_answer(struct echo *echo, tofu_msg **msg)
{
	struct tofu_header *h = tofu_msg_header(*msg);

	for (size_t i = 0; i < sizeof echoes / sizeof *echoes; i++) {
		if (h->opcode != echoes[i].asked)
			continue;
		h->opcode = (uint8_t)echoes[i].answer;
		/* A caller that has gone meanwhile is not the server's fault. */
		if (tofu_post(echo->side.group, msg, NULL) == TOFU_OK)
			echo->answered++;
		return;
	}
	echo->unexpected++;
}

void echo_serve(struct echo *echo)
{
	for (;;) {
		tofu_msg *msg;

		if (tofu_receive(echo->side.group, &msg, TOFU_FOREVER) != TOFU_OK)
			return;
		if (tofu_msg_header(msg)->status == TOFU_RECEIVER_UPDATE) {
			tofu_msg_put(&msg);
			return;
		}
		if (tofu_msg_header(msg)->origin == TOFU_ORIGIN_APPLICATION)
			echo_answer(echo, &msg);
		tofu_msg_put(&msg);
	}
}

static void echo_run(void *context)
{
	echo_serve(context);
}

void echo_start(struct echo *echo, tofu_engine *engine)
{
	memset(echo, 0, sizeof *echo);
	echo->side = side_in(engine);
	for (int i = 0; i < OVER_NR; i++)
		if (over_here(i))
			listen_over(&echo->side, i, &echo->at[i]);
	works(tofu_thread_start(&echo->thread, echo_run, echo));
}

void echo_stop(struct echo *echo)
{
	works(tofu_update_receiver(echo->side.group, NULL));
	tofu_thread_join(&echo->thread);
	must(echo->unexpected == 0, "the echo server got %" PRIu64 " messages that it cannot answer", echo->unexpected);
}
