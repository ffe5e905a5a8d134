/* SPDX-License-Identifier: MIT */

/*
 * Posting: what is refused at once, with the message untouched and still the caller's, and what an accepted message looks
 * like. Everything here happens on the caller's thread; connections only serve to have channels.
 *
 * The linker puts a function of this file before tofu_mailbox_post() (--wrap), where other threads come in between.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/engine.h"

/* What the table of wrong posts below may refer to. */
enum channel_kind { NO_CHANNEL, OWN_CHANNEL, OTHERS_CHANNEL, UNUSED_CHANNEL, RESERVED_CHANNEL };

struct wrong_post {
	const char *what;
	enum tofu_status status;
	uint8_t opcode;
	uint8_t more;
	uint64_t id;
	enum channel_kind channel;
	const char *name, *value; /* a text header */
};

/* clang-format off */
static const struct wrong_post wrong_posts[] = {
	{ "opcode 10",                         TOFU_INVALID_OP_CODE,        10,                    0, 1, OWN_CHANNEL, NULL, NULL },
	{ "opcode 15",                         TOFU_INVALID_OP_CODE,        15,                    0, 1, OWN_CHANNEL, NULL, NULL },
	{ "opcode 255",                        TOFU_INVALID_OP_CODE,        255,                   0, 1, OWN_CHANNEL, NULL, NULL },
	{ "a WelcomeResponse",                 TOFU_INVALID_OP_CODE,        TOFU_WELCOME_RESPONSE, 0, 1, OWN_CHANNEL, NULL, NULL },
	{ "a Response with id 0",              TOFU_INVALID_MESSAGE_ID,     TOFU_RESPONSE,         0, 0, OWN_CHANNEL, NULL, NULL },
	{ "a HelloResponse with id 0",         TOFU_INVALID_MESSAGE_ID,     TOFU_HELLO_RESPONSE,   0, 0, OWN_CHANNEL, NULL, NULL },
	{ "a ByeResponse with id 0",           TOFU_INVALID_MESSAGE_ID,     TOFU_BYE_RESPONSE,     0, 0, OWN_CHANNEL, NULL, NULL },
	{ "more on a HelloRequest",            TOFU_INVALID_MORE_USAGE,     TOFU_HELLO_REQUEST,    1, 0, NO_CHANNEL,  "~connect_to", "tcp|127.0.0.1|1" },
	{ "more on a HelloResponse",           TOFU_INVALID_MORE_USAGE,     TOFU_HELLO_RESPONSE,   1, 1, OWN_CHANNEL, NULL, NULL },
	{ "more on a ByeRequest",              TOFU_INVALID_MORE_USAGE,     TOFU_BYE_REQUEST,      1, 1, OWN_CHANNEL, NULL, NULL },
	{ "more on a ByeResponse",             TOFU_INVALID_MORE_USAGE,     TOFU_BYE_RESPONSE,     1, 1, OWN_CHANNEL, NULL, NULL },
	{ "more on a ByeSignal",               TOFU_INVALID_MORE_USAGE,     TOFU_BYE_SIGNAL,       1, 1, OWN_CHANNEL, NULL, NULL },
	{ "more 2 on a Request",               TOFU_INVALID_MORE_USAGE,     TOFU_REQUEST,          2, 0, OWN_CHANNEL, NULL, NULL },
	{ "more 3 on a Response",              TOFU_INVALID_MORE_USAGE,     TOFU_RESPONSE,         3, 1, OWN_CHANNEL, NULL, NULL },
	{ "more 255 on a Signal",              TOFU_INVALID_MORE_USAGE,     TOFU_SIGNAL,           255, 0, OWN_CHANNEL, NULL, NULL },
	{ "more 2 on a ByeRequest",            TOFU_INVALID_MORE_USAGE,     TOFU_BYE_REQUEST,      2, 1, OWN_CHANNEL, NULL, NULL },
	{ "more on a WelcomeRequest",          TOFU_INVALID_MORE_USAGE,     TOFU_WELCOME_REQUEST,  1, 0, NO_CHANNEL,  "~listen_on", "tcp|127.0.0.1|0" },
	{ "a Request on channel 0",            TOFU_INVALID_CHANNEL_NUMBER, TOFU_REQUEST,          0, 0, NO_CHANNEL,  NULL, NULL },
	{ "a Signal on channel 0",             TOFU_INVALID_CHANNEL_NUMBER, TOFU_SIGNAL,           0, 0, NO_CHANNEL,  NULL, NULL },
	{ "a ByeSignal on channel 0",          TOFU_INVALID_CHANNEL_NUMBER, TOFU_BYE_SIGNAL,       0, 0, NO_CHANNEL,  NULL, NULL },
	{ "a Request on a number not open",    TOFU_INVALID_CHANNEL_NUMBER, TOFU_REQUEST,          0, 0, UNUSED_CHANNEL, NULL, NULL },
	{ "a ByeSignal on a number not open",  TOFU_INVALID_CHANNEL_NUMBER, TOFU_BYE_SIGNAL,       0, 0, UNUSED_CHANNEL, NULL, NULL },
	{ "a Request on the reserved number",  TOFU_INVALID_CHANNEL_NUMBER, TOFU_REQUEST,          0, 0, RESERVED_CHANNEL, NULL, NULL },
	{ "a Request on another group's",      TOFU_INVALID_MCHN_GROUP,     TOFU_REQUEST,          0, 0, OTHERS_CHANNEL, NULL, NULL },
	{ "a ByeRequest on another group's",   TOFU_INVALID_MCHN_GROUP,     TOFU_BYE_REQUEST,      0, 0, OTHERS_CHANNEL, NULL, NULL },
	{ "a ByeSignal on another group's",    TOFU_INVALID_MCHN_GROUP,     TOFU_BYE_SIGNAL,       0, 0, OTHERS_CHANNEL, NULL, NULL },
	{ "a HelloRequest without an address", TOFU_WRONG_ADDRESS,          TOFU_HELLO_REQUEST,    0, 0, NO_CHANNEL,  NULL, NULL },
	{ "a HelloRequest to listen",          TOFU_WRONG_ADDRESS,          TOFU_HELLO_REQUEST,    0, 0, NO_CHANNEL,  "~listen_on", "tcp|127.0.0.1|0" },
	{ "a WelcomeRequest with no address",  TOFU_WRONG_ADDRESS,          TOFU_WELCOME_REQUEST,  0, 0, NO_CHANNEL,  NULL, NULL },
	{ "a WelcomeRequest to connect",       TOFU_WRONG_ADDRESS,          TOFU_WELCOME_REQUEST,  0, 0, NO_CHANNEL,  "~connect_to", "tcp|127.0.0.1|1" },
	{ "a HelloRequest on a channel",       TOFU_INVALID_CHANNEL_NUMBER, TOFU_HELLO_REQUEST,    0, 0, OWN_CHANNEL, "~connect_to", "tcp|127.0.0.1|1" },
	{ "a WelcomeRequest on a channel",     TOFU_INVALID_CHANNEL_NUMBER, TOFU_WELCOME_REQUEST,  0, 0, OWN_CHANNEL, "~listen_on", "tcp|127.0.0.1|0" },
};
/* clang-format on */
enum { WRONG_POSTS = sizeof wrong_posts / sizeof *wrong_posts };

static uint16_t channel_of(const struct pair *p, enum channel_kind kind)
{
	switch (kind) {
	case NO_CHANNEL:
		return 0;
	case OWN_CHANNEL:
		return p->client_channel;
	case OTHERS_CHANNEL:
		return p->server_channel;
	case UNUSED_CHANNEL:
		return 65534;
	case RESERVED_CHANNEL:
		return 65535;
	}
	return 0;
}

static tofu_msg *wrong_message(const struct pair *p, const struct wrong_post *w)
{
	tofu_msg *msg = message(&p->client, w->opcode, channel_of(p, w->channel), w->id, "mine");
	struct tofu_header *h = tofu_msg_header(msg);

	h->more = w->more;
	h->origin = TOFU_ORIGIN_ENGINE; /* these three would be overwritten */
	h->status = TOFU_TIMEOUT;
	h->reason = TOFU_TIMEOUT;
	if (w->name != NULL)
		ck_status(tofu_msg_headers_add(msg, w->name, w->value), TOFU_OK);
	ck_status(tofu_msg_headers_add(msg, "mark", "me"), TOFU_OK);
	return msg;
}

static bool same_header(const struct tofu_header *a, const struct tofu_header *b)
{
	return a->id == b->id && a->channel == b->channel && a->opcode == b->opcode && a->origin == b->origin &&
	       a->more == b->more && a->status == b->status && a->reason == b->reason;
}

/* What can be said without an engine is said before, too. */
static void is_checked(const tofu_msg *msg, enum tofu_status status, const char *what)
{
	bool needs_engine = status == TOFU_INVALID_MCHN_GROUP ||
	                    (status == TOFU_INVALID_CHANNEL_NUMBER && strstr(what, "number") != NULL);
	enum tofu_status got = tofu_msg_check(msg);

	must(got == (needs_engine ? TOFU_OK : status), "%s: checked, %s", what, tofu_status_name(got));
}

static void is_refused_untouched(const struct side *side, tofu_msg **msg, enum tofu_status status, const char *what)
{
	tofu_msg *mine = *msg, *before;
	enum tofu_status got;
	size_t len, len_before;
	const void *body, *body_before;
	char mark[8];

	ck_status(tofu_msg_clone(mine, &before), TOFU_OK);
	is_checked(mine, status, what);
	got = tofu_post(side->group, msg, NULL);
	must(got == status, "%s: %s instead of %s", what, tofu_status_name(got), tofu_status_name(status));
	must(*msg == mine, "%s: refused, but taken", what);
	must(same_header(tofu_msg_header(mine), tofu_msg_header(before)), "%s: its header was changed", what);
	body = tofu_msg_body(mine, &len);
	body_before = tofu_msg_body(before, &len_before);
	must(len == len_before && memcmp(body, body_before, len) == 0, "%s: its body was changed", what);
	must(strcmp(header_of(mine, "mark", mark, sizeof mark), "me") == 0, "%s: its text headers were changed", what);
	tofu_msg_put(&before);
	tofu_msg_put(msg);
}

START_TEST(a_wrong_post_is_refused_and_the_message_stays_as_it_is)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, OVER_TCP, NULL);
	msg = wrong_message(&p, &wrong_posts[_i]);
	is_refused_untouched(&p.client, &msg, wrong_posts[_i].status, wrong_posts[_i].what);
	pair_talk(&p); /* and nobody minds */
	expect_silence(&p.client);
	expect_silence(&p.server);
	pair_close(&p);
}
END_TEST

START_TEST(no_message_gives_null_message)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = NULL;

	ck_status(tofu_post(side.group, &msg, NULL), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(msg);
	engine_down(engine);
}
END_TEST

START_TEST(no_group_gives_not_allowed)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	tofu_msg *msg = message(&side, TOFU_REQUEST, 1, 0, NULL);

	ck_status(tofu_post(NULL, &msg, NULL), TOFU_NOT_ALLOWED);
	ck_assert_ptr_nonnull(msg);
	tofu_msg_put(&msg);
	engine_down(engine);
}
END_TEST

static void add_headers(tofu_msg *msg, size_t bytes)
{
	static char value[32 * 1024];

	memset(value, 'v', sizeof value);
	for (size_t left = bytes; left > 0;) {
		size_t line = left > sizeof value ? sizeof value / 2 : left; /* "n: " value CR LF */

		value[line - 5] = '\0';
		ck_status(tofu_msg_headers_add(msg, "n", value), TOFU_OK);
		value[line - 5] = 'v';
		left -= line;
	}
}

START_TEST(one_byte_of_text_headers_too_many_is_refused)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, "mine");
	ck_status(tofu_msg_headers_add(msg, "mark", "me"), TOFU_OK); /* "mark: me" CR LF is 10 bytes */
	add_headers(msg, TOFU_HEADERS_MAX - 10 + 1);
	is_refused_untouched(&p.client, &msg, TOFU_INVALID_HEADERS_LEN, "65536 bytes of text headers");
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

START_TEST(one_byte_of_body_too_many_is_refused)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, NULL);
	ck_status(tofu_msg_headers_add(msg, "mark", "me"), TOFU_OK);
	number_body(msg, 1, TOFU_BODY_MAX + 1);
	is_refused_untouched(&p.client, &msg, TOFU_INVALID_BODY_LEN, "a body of 65536 bytes");
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

START_TEST(the_largest_message_arrives_whole)
{
	struct pair p;
	tofu_msg *msg;
	struct tofu_text_header h;
	size_t bytes = 0, len;

	pair_open(&p, _i, NULL);
	msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, NULL);
	add_headers(msg, TOFU_HEADERS_MAX);
	number_body(msg, 4711, TOFU_BODY_MAX);
	post(&p.client, &msg);
	msg = expect_peer(&p.server, TOFU_REQUEST);
	ck_assert_uint_eq(number_of(msg), 4711);
	tofu_msg_body(msg, &len);
	ck_assert_uint_eq(len, TOFU_BODY_MAX);
	for (size_t at = 0; (at = tofu_msg_headers_next(msg, at, &h)) != 0;)
		bytes += h.name_len + h.value_len + 4;
	ck_assert_uint_eq(bytes, TOFU_HEADERS_MAX);
	tofu_msg_put(&msg);
	pair_close(&p);
}
END_TEST

START_TEST(the_final_header_is_returned)
{
	struct pair p;
	tofu_msg *msg;
	struct tofu_header h;

	pair_open(&p, OVER_TCP, NULL);
	msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, NULL);
	tofu_msg_header(msg)->more = 1;
	ck_status(tofu_msg_check(msg), TOFU_OK);
	ck_status(tofu_msg_check(NULL), TOFU_NULL_MESSAGE);
	h = post(&p.client, &msg);
	ck_assert_uint_eq(h.channel, p.client_channel);
	ck_assert_uint_ne(h.id, 0);
	ck_assert_uint_eq(h.opcode, TOFU_REQUEST);
	ck_assert_uint_eq(h.more, 1);
	ck_assert_uint_eq(h.origin, TOFU_ORIGIN_APPLICATION);
	ck_assert_uint_eq(h.status, TOFU_OK);
	ck_assert_uint_eq(h.reason, TOFU_OK);
	msg = expect_on(&p.server, p.server_channel, h.id, TOFU_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	ck_assert_uint_eq(tofu_msg_header(msg)->more, 1);
	tofu_msg_put(&msg);
	pair_close(&p);
}
END_TEST

START_TEST(origin_status_and_reason_are_overwritten)
{
	struct pair p;
	tofu_msg *msg;

	pair_open(&p, _i, NULL);
	msg = message(&p.client, TOFU_SIGNAL, p.client_channel, 0, "forged");
	tofu_msg_header(msg)->origin = TOFU_ORIGIN_ENGINE;
	tofu_msg_header(msg)->status = TOFU_CHANNEL_CLOSED;
	tofu_msg_header(msg)->reason = TOFU_TIMEOUT;
	post(&p.client, &msg);
	msg = expect_peer(&p.server, TOFU_SIGNAL);
	ck_assert(says(msg, "forged"));
	tofu_msg_put(&msg);
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

START_TEST(an_id_that_was_given_is_kept)
{
	struct pair p;
	tofu_msg *msg;
	const uint64_t id = UINT64_MAX - 7;

	pair_open(&p, _i, NULL);
	ck_assert_uint_eq(say(&p.client, p.client_channel, TOFU_RESPONSE, id, "unasked").id, id);
	msg = expect_on(&p.server, p.server_channel, id, TOFU_RESPONSE, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	pair_close(&p);
}
END_TEST

START_TEST(ids_are_sequential_over_all_engines_of_the_process)
{
	struct pair one, two;
	uint64_t last;

	pair_open(&one, OVER_TCP, NULL);
	pair_open(&two, over_some(OVER_UDS), NULL);
	last = say(&one.client, one.client_channel, TOFU_SIGNAL, 0, NULL).id;
	for (int i = 0; i < 10; i++) {
		struct pair *p = i % 2 != 0 ? &one : &two;

		ck_assert_uint_eq(say(&p->client, p->client_channel, TOFU_SIGNAL, 0, NULL).id, last + 1);
		ck_assert_uint_eq(tofu_next_id(), last + 2);
		last += 2;
	}
	engine_down(two.client.engine);
	pair_close(&one);
}
END_TEST

enum { POSTERS = 4, POSTS = 500 };

struct poster {
	struct pair *p;
	struct tofu_thread thread;
	uint64_t ids[POSTS];
};

static void post_many(void *context)
{
	struct poster *poster = context;

	for (int i = 0; i < POSTS; i++) {
		tofu_msg *msg = message(&poster->p->client, TOFU_SIGNAL, poster->p->client_channel, 0, NULL);
		struct tofu_header h;

		if (i % 2 != 0)
			tofu_msg_header(msg)->id = tofu_next_id();
		while (tofu_post(poster->p->client.group, &msg, &h) == TOFU_WOULD_BLOCK)
			os_pause();
		poster->ids[i] = h.id;
	}
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

START_TEST(ids_are_unique_when_threads_post_at_the_same_time)
{
	static struct poster posters[POSTERS];
	static uint64_t sent[POSTERS * POSTS], arrived[POSTERS * POSTS];
	struct tofu_options options = options_with_pool(2 * POSTERS * POSTS);
	struct pair p;

	pair_open(&p, _i, &options);
	for (int i = 0; i < POSTERS; i++) {
		posters[i].p = &p;
		ck_status(tofu_thread_start(&posters[i].thread, post_many, &posters[i]), TOFU_OK);
	}
	for (int i = 0; i < POSTERS * POSTS; i++) {
		tofu_msg *msg = expect_peer(&p.server, TOFU_SIGNAL);

		arrived[i] = tofu_msg_header(msg)->id;
		tofu_msg_put(&msg);
	}
	for (int i = 0; i < POSTERS; i++) {
		tofu_thread_join(&posters[i].thread);
		memcpy(sent + i * POSTS, posters[i].ids, sizeof posters[i].ids);
	}
	qsort(sent, POSTERS * POSTS, sizeof *sent, compare_ids);
	qsort(arrived, POSTERS * POSTS, sizeof *arrived, compare_ids);
	for (int i = 1; i < POSTERS * POSTS; i++)
		must(sent[i] == sent[i - 1] + 1, "an id is missing or was given twice");
	ck_assert_int_eq(memcmp(sent, arrived, sizeof sent), 0);
	pair_close(&p);
}
END_TEST

START_TEST(post_on_an_ended_channel_says_channel_closed_and_its_number_is_not_given_to_others_soon)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	bool used[65536] = { false };

	for (int i = 0; i < 200; i++) {
		struct listening at;

		listen_over(&side, OVER_TCP, &at);
		must(at.channel != 0 && at.channel != 65535, "channel number %u", at.channel);
		must(!used[at.channel], "channel number %u again after %d others", at.channel, i);
		used[at.channel] = true;
		say(&side, at.channel, TOFU_BYE_SIGNAL, 0, NULL);
		expect_closed(&side, at.channel, at.id);
		ck_status(try_say(&side, at.channel, TOFU_BYE_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	}
	engine_down(engine);
}
END_TEST

/* Post until it is refused; with which status. What was accepted comes back or goes out, nobody minds. */
static enum tofu_status refusal(const struct side *side, uint16_t channel)
{
	enum tofu_status status;

	do
		status = try_say(side, channel, TOFU_SIGNAL, 0, NULL);
	while (status == TOFU_OK || status == TOFU_WOULD_BLOCK);
	return status;
}

struct asking {
	struct side side;
	uint16_t channel;
	enum tofu_status answer;
};

static void ask_until_refused(void *context)
{
	struct asking *a = context;

	a->answer = refusal(&a->side, a->channel);
}

START_TEST(post_that_races_with_the_end_of_its_channel_is_accepted_or_told_channel_closed)
{
	for (unsigned i = 0; i < rounds(100); i++) {
		struct tofu_thread threads[2];
		struct asking asks[2];
		struct pair p;
		tofu_msg *msg;

		pair_open(&p, _i % OVER_NR, NULL);
		for (int t = 0; t < 2; t++) {
			asks[t] = (struct asking){ .side = p.client, .channel = p.client_channel };
			works(tofu_thread_start(&threads[t], ask_until_refused, &asks[t]));
		}
		if (i % 2 == 0)
			say(&p.server, p.server_channel, TOFU_BYE_SIGNAL, 0, NULL);
		else
			say(&p.client, p.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
		for (int t = 0; t < 2; t++) {
			tofu_thread_join(&threads[t]);
			ck_status(asks[t].answer, TOFU_CHANNEL_CLOSED);
		}
		do {
			msg = take(&p.client);
			if (is_closed_notice(msg))
				break;
			tofu_msg_put(&msg);
		} while (true);
		tofu_msg_put(&msg);
		ck_status(refusal(&p.client, p.client_channel), TOFU_CHANNEL_CLOSED);
		pair_close(&p);
	}
}
END_TEST

START_TEST(post_on_a_channel_whose_last_word_waits_says_channel_closed_to_every_group)
{
	struct tofu_options options = options_with_pool(64);
	struct side other;
	struct pair p;

	pair_open(&p, _i, &options);
	other = side_in(p.client.engine);
	ck_status(try_say(&other, p.client_channel, TOFU_SIGNAL, 0, NULL), TOFU_INVALID_MCHN_GROUP);
	say(&p.client, p.client_channel, TOFU_BYE_SIGNAL, 0, NULL);
	eventually(connections_of(p.client.engine) == 0);
	ck_status(try_say(&p.client, p.client_channel, TOFU_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	ck_status(try_say(&other, p.client_channel, TOFU_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	ck_status(try_say(&other, p.server_channel, TOFU_BYE_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	expect_closed(&p.client, p.client_channel, p.hello);
	ck_status(try_say(&p.client, p.client_channel, TOFU_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	ck_status(try_say(&other, p.client_channel, TOFU_SIGNAL, 0, NULL), TOFU_CHANNEL_CLOSED);
	pair_close(&p);
}
END_TEST

START_TEST(post_on_a_channel_that_could_not_be_opened_says_channel_closed)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_header h = call(&side, "nobody|knows", NULL);
	tofu_msg *msg =
		expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_INVALID_ADDRESS);

	tofu_msg_put(&msg);
	ck_status(refusal(&side, h.channel), TOFU_CHANNEL_CLOSED);
	engine_down(engine);
}
END_TEST

START_TEST(post_on_a_connection_that_has_not_said_hello_says_invalid_channel_number_whether_it_ended_or_not)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	struct raw peer;

	listen_over(&side, _i, &at);
	raw_call(&peer, at.address);
	eventually(stats_of(engine).channels_accepted == 1);
	for (uint16_t number = 1; number < 100; number++)
		if (number != at.channel)
			ck_status(try_say(&side, number, TOFU_BYE_SIGNAL, 0, NULL), TOFU_INVALID_CHANNEL_NUMBER);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	eventually(connections_of(engine) == 0);
	for (uint16_t number = 1; number < 100; number++)
		if (number != at.channel)
			ck_status(try_say(&side, number, TOFU_BYE_SIGNAL, 0, NULL), TOFU_INVALID_CHANNEL_NUMBER);
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(more_channels_than_allowed_give_limit_reached)
{
	struct tofu_options options;
	tofu_engine *engine;
	struct side side;
	struct listening at[3];
	tofu_msg *msg;

	options = options_with_pool(16);
	options.max_channels = 3;
	engine = engine_up(&options);
	side = side_in(engine);
	for (int i = 0; i < 3; i++)
		listen_over(&side, OVER_TCP, &at[i]);
	msg = message(&side, TOFU_REQUEST, 0, 0, NULL);
	ck_status(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), TOFU_OK);
	ck_status(tofu_post(side.group, &msg, NULL), TOFU_LIMIT_REACHED);
	say(&side, at[1].channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&side, at[1].channel, at[1].id);
	/* Room for one again. */
	post(&side, &msg);
	msg = expect(&side, TOFU_WELCOME_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_OK);
	tofu_msg_put(&msg);
	engine_down(engine);
}
END_TEST

/* An opening message that has its number, but is not mailed yet, when others post to that number. */

static const struct side *intruder; /* NULL: nobody */
static int intruding[3];            /* opcodes; 0 (Request) ends them */

bool __real_tofu_mailbox_post(struct tofu_mailbox *box, struct tofu_msg *m);
bool __wrap_tofu_mailbox_post(struct tofu_mailbox *box, struct tofu_msg *m);

bool __wrap_tofu_mailbox_post(struct tofu_mailbox *box, struct tofu_msg *m)
{
	const struct side *side = intruder;
	unsigned opcode = m->header.opcode;

	if (side == NULL || (opcode != TOFU_HELLO_REQUEST && opcode != TOFU_WELCOME_REQUEST))
		return __real_tofu_mailbox_post(box, m);
	intruder = NULL;
	for (uint64_t i = 0; intruding[i] != 0; i++)
		say(side, m->header.channel, intruding[i], 1001 + i, "early");
	eventually(tofu_mailbox_is_asleep(box) && tofu_mailbox_is_empty(box)); /* the engine has them */
	return __real_tofu_mailbox_post(box, m);
}

static void intrude(const struct side *side, int first, int second)
{
	intruding[0] = first;
	intruding[1] = second;
	intruding[2] = 0;
	intruder = side;
}

START_TEST(what_others_post_to_a_number_before_its_hello_is_mailed_follows_it)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	struct tofu_header h;
	tofu_msg *msg;

	listen_over(&server, _i, &at);
	intrude(&client, TOFU_SIGNAL, TOFU_SIGNAL);
	h = call(&client, at.address, "hello");
	msg = expect_peer(&server, TOFU_HELLO_REQUEST);
	ck_assert_uint_eq(tofu_msg_header(msg)->id, h.id);
	tofu_msg_put(&msg);
	for (uint64_t id = 1001; id <= 1002; id++) {
		msg = expect_peer(&server, TOFU_SIGNAL);
		ck_assert_uint_eq(tofu_msg_header(msg)->id, id);
		tofu_msg_put(&msg);
	}
	engine_down(engine);
}
END_TEST

START_TEST(what_others_post_to_a_number_before_its_hello_fails_comes_back_behind_it)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_header h;
	tofu_msg *msg;

	intrude(&side, TOFU_SIGNAL, TOFU_BYE_SIGNAL);
	h = call(&side, "nobody|knows", "hello");
	msg = expect_on(&side, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_INVALID_ADDRESS);
	tofu_msg_put(&msg);
	msg = expect_on(&side, h.channel, 1001, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_INVALID_ADDRESS);
	tofu_msg_put(&msg);
	expect_end(&side, h.channel, h.id, TOFU_INVALID_ADDRESS);
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(bye_signal_of_others_before_the_hello_is_mailed_ends_its_channel)
{
	tofu_engine *engine = engine_up(NULL);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	struct tofu_header h;
	tofu_msg *msg;

	listen_over(&server, _i, &at);
	intrude(&client, TOFU_BYE_SIGNAL, 0);
	h = call(&client, at.address, "hello");
	msg = expect_on(&client, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	expect_closed(&client, h.channel, h.id);
	engine_down(engine);
}
END_TEST

START_TEST(what_others_post_to_a_number_before_its_welcome_is_mailed_comes_back)
{
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct listening at;
	tofu_msg *msg;

	intrude(&side, TOFU_SIGNAL, 0);
	listen_over(&side, _i, &at);
	msg = expect_on(&side, at.channel, 1001, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_NOT_ALLOWED);
	tofu_msg_put(&msg);
	engine_down(engine);
}
END_TEST

static Suite *suite_of_post(void)
{
	Suite *suite = suite_create("post");
	TCase *refused = suite_case(suite, "refused", 30), *accepted = suite_case(suite, "accepted", 30);
	TCase *between = suite_case(suite, "between", 30);

	tcase_add_loop_test(refused, a_wrong_post_is_refused_and_the_message_stays_as_it_is, 0, WRONG_POSTS);
	tcase_add_test(refused, no_message_gives_null_message);
	tcase_add_test(refused, no_group_gives_not_allowed);
	over_add(refused, one_byte_of_text_headers_too_many_is_refused, 1);
	over_add(refused, one_byte_of_body_too_many_is_refused, 1);
	tcase_add_test(refused,
	               post_on_an_ended_channel_says_channel_closed_and_its_number_is_not_given_to_others_soon);
	over_add(refused, post_that_races_with_the_end_of_its_channel_is_accepted_or_told_channel_closed, 1);
	over_add(refused, post_on_a_channel_whose_last_word_waits_says_channel_closed_to_every_group, 1);
	tcase_add_test(refused, post_on_a_channel_that_could_not_be_opened_says_channel_closed);
	over_sockets_add(
		refused,
		post_on_a_connection_that_has_not_said_hello_says_invalid_channel_number_whether_it_ended_or_not, 1);
	tcase_add_test(refused, more_channels_than_allowed_give_limit_reached);
	over_add(accepted, the_largest_message_arrives_whole, 1);
	tcase_add_test(accepted, the_final_header_is_returned);
	over_add(accepted, origin_status_and_reason_are_overwritten, 1);
	over_add(accepted, an_id_that_was_given_is_kept, 1);
	tcase_add_test(accepted, ids_are_sequential_over_all_engines_of_the_process);
	over_add(accepted, ids_are_unique_when_threads_post_at_the_same_time, 1);
	over_add(between, what_others_post_to_a_number_before_its_hello_is_mailed_follows_it, 1);
	tcase_add_test(between, what_others_post_to_a_number_before_its_hello_fails_comes_back_behind_it);
	over_add(between, bye_signal_of_others_before_the_hello_is_mailed_ends_its_channel, 1);
	over_add(between, what_others_post_to_a_number_before_its_welcome_is_mailed_comes_back, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_post());
}
