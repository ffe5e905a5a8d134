/* SPDX-License-Identifier: MIT */

/*
 * How an engine is made and what it refuses: options and their bounds, transports, structs of an older program that are
 * shorter than ours, and every public function with NULL for what it needs.
 */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/pollers.h"
#include "lib/steps.h"
#include "reactor/engine.h"

/* options */

static void start(void)
{
	ck_status(tofu_init(), TOFU_OK);
}

static void stop(void)
{
	tofu_deinit();
}

static tofu_engine *made_of(const struct tofu_options *options)
{
	tofu_engine *engine;

	ck_status(tofu_engine_create(options, &engine), TOFU_OK);
	ck_assert_ptr_nonnull(engine);
	return engine;
}

static void refused(const struct tofu_options *options, enum tofu_status status)
{
	tofu_engine *engine = (tofu_engine *)(uintptr_t)1;

	ck_status(tofu_engine_create(options, &engine), status);
	ck_assert_ptr_null(engine);
}

static void ck_defaults(const tofu_engine *engine)
{
	ck_assert_uint_eq(engine->options.pool_initial, 1024);
	ck_assert_uint_eq(engine->options.pool_max, 4096);
	ck_assert_uint_eq(engine->options.max_channels, 65534);
	ck_assert_uint_eq(engine->options.send_queue_max, 1024);
	ck_assert_uint_eq(engine->options.send_queue_max_bytes, 8u << 20);
	ck_assert_uint_eq(engine->options.channel_share_percent, 100);
	ck_assert_uint_eq(engine->options.handshake_timeout_ms, 10000);
	ck_assert_uint_eq(engine->options.bye_timeout_ms, 10000);
	ck_assert_uint_eq(engine->options.idle_timeout_ms, 0);
	ck_assert_ptr_null((void *)(uintptr_t)engine->options.log);
}

START_TEST(options_that_were_only_initialised_are_the_defaults)
{
	struct tofu_options options;
	tofu_engine *engine;

	memset(&options, 0x5a, sizeof options);
	tofu_options_init(&options, sizeof options);
	ck_assert_uint_eq(options.size, sizeof options);
	engine = made_of(&options);
	ck_defaults(engine);
	tofu_engine_destroy(engine);
}
END_TEST

START_TEST(no_options_are_the_defaults)
{
	tofu_engine *engine = made_of(NULL);

	ck_defaults(engine);
	ck_assert_uint_eq(stats_of(engine).pool_free, 1024);
	tofu_engine_destroy(engine);
}
END_TEST

START_TEST(engine_without_init_is_not_initialized)
{
	stop();
	refused(NULL, TOFU_NOT_INITIALIZED);
	start();
}
END_TEST

START_TEST(fields_beyond_an_older_programs_struct_are_not_read)
{
	struct tofu_options options;
	tofu_engine *engine;

	tofu_options_init(&options, sizeof options);
	options.size = offsetof(struct tofu_options, max_channels);
	options.pool_initial = 3;
	options.pool_max = 5;
	options.max_channels = UINT32_MAX; /* not this program's: whatever lies there */
	options.poller = (enum tofu_poller_kind)77;
	engine = made_of(&options);
	ck_assert_uint_eq(engine->options.pool_initial, 3);
	ck_assert_uint_eq(engine->options.pool_max, 5);
	ck_assert_uint_eq(engine->options.max_channels, 65534);
	ck_assert_int_eq(engine->options.poller, TOFU_POLLER_AUTO);
	ck_assert_uint_eq(engine->options.size, sizeof options);
	tofu_engine_destroy(engine);
}
END_TEST

START_TEST(newer_programs_longer_struct_is_read_as_far_as_we_know_it)
{
	struct {
		struct tofu_options known;
		unsigned char more[64];
	} options;
	tofu_engine *engine;

	memset(&options, 0xff, sizeof options);
	tofu_options_init(&options.known, sizeof options);
	ck_assert_uint_eq(options.known.size, sizeof options);
	options.known.pool_initial = 7;
	engine = made_of(&options.known);
	ck_assert_uint_eq(engine->options.pool_initial, 7);
	ck_assert_uint_eq(engine->options.size, sizeof options.known);
	tofu_engine_destroy(engine);
}
END_TEST

START_TEST(newer_programs_choice_that_we_do_not_know_is_not_supported)
{
	struct {
		struct tofu_options known;
		unsigned char more[64];
	} options;

	for (size_t i = 0; i < sizeof options.more; i++) {
		tofu_options_init(&options.known, sizeof options);
		options.more[i] = 1;
		refused(&options.known, TOFU_NOT_SUPPORTED);
	}
}
END_TEST

START_TEST(older_programs_struct_is_initialised_and_nothing_beyond_it)
{
	union {
		struct tofu_options options;
		unsigned char bytes[sizeof(struct tofu_options) + 32];
	} u;

	for (size_t size = sizeof u.options.size; size <= sizeof u; size++) {
		memset(&u, 0xa5, sizeof u);
		tofu_options_init(&u.options, size);
		ck_assert_uint_eq(u.options.size, size);
		for (size_t i = sizeof u.options.size; i < sizeof u; i++)
			ck_assert_uint_eq(u.bytes[i], i < size ? 0 : 0xa5);
	}
}
END_TEST

START_TEST(struct_without_room_for_its_size_is_left_alone_and_not_allowed)
{
	struct tofu_options options;

	memset(&options, 0xa5, sizeof options);
	for (size_t size = 0; size < sizeof options.size; size++) {
		tofu_options_init(&options, size);
		for (size_t i = 0; i < sizeof options; i++)
			ck_assert_uint_eq(((const unsigned char *)&options)[i], 0xa5);
	}
	for (options.size = 0; options.size < sizeof options.size; options.size++)
		refused(&options, TOFU_NOT_ALLOWED);
}
END_TEST

/* clang-format off */
static const struct {
	const char *name;
	struct tofu_options first; /* the most that is accepted */
	struct tofu_options over;  /* one more */
} bounds[] = {
	{ "pool_initial", { .pool_initial = 1 }, { .pool_initial = 1048577 } },
	{ "pool_max", { .pool_max = 1048576 }, { .pool_max = 1048577 } },
	{ "max_channels", { .max_channels = 65534 }, { .max_channels = 65535 } },
	{ "send_queue_max", { .send_queue_max = 32767 }, { .send_queue_max = 32768 } },
	{ "send_queue_max_bytes", { .send_queue_max_bytes = (512u << 20) - 1 }, { .send_queue_max_bytes = 512u << 20 } },
	{ "channel_share_percent", { .channel_share_percent = 100000 }, { .channel_share_percent = 100001 } },
	{ "send_queue_max_bytes", { .send_queue_max_bytes = 1 }, { .send_queue_max_bytes = UINT64_C(1) << 32 } },
};
/* clang-format on */

START_TEST(option_at_its_bound_is_accepted_and_over_it_is_not_allowed)
{
	struct tofu_options options = bounds[_i].first;

	options.size = sizeof options;
	tofu_engine_destroy(made_of(&options));
	options = bounds[_i].over;
	options.size = sizeof options;
	refused(&options, TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(longest_timeouts_are_accepted)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.handshake_timeout_ms = options.bye_timeout_ms = options.idle_timeout_ms = UINT32_MAX;
	tofu_engine_destroy(made_of(&options));
}
END_TEST

START_TEST(pool_max_below_pool_initial_is_as_that)
{
	struct tofu_options options;
	tofu_engine *engine;
	tofu_msg *msg;

	tofu_options_init(&options, sizeof options);
	options.pool_initial = 5000; /* the default maximum is less */
	engine = made_of(&options);
	ck_assert_uint_eq(engine->options.pool_max, 5000);
	tofu_engine_destroy(engine);

	options.pool_initial = 8;
	options.pool_max = 2;
	engine = made_of(&options);
	ck_assert_uint_eq(stats_of(engine).pool_free, 8);
	ck_status(tofu_msg_get(engine, TOFU_POOL_ONLY, &msg), TOFU_OK);
	tofu_msg_put(&msg);
	ck_assert_uint_eq(stats_of(engine).pool_free, 8);
	tofu_engine_destroy(engine);
}
END_TEST

/* What any build could have, and what none has. */
static const int kinds[] = { TOFU_POLLER_POLL, TOFU_POLLER_EPOLL, TOFU_POLLER_AFD, 4, 77, -1 };

static bool is_here(int kind)
{
	for (int i = 0; i < pollers_count; i++)
		if ((int)pollers[i].kind == kind)
			return true;
	return false;
}

START_TEST(poller_of_this_system_is_accepted_and_any_other_is_not_supported)
{
	struct tofu_options options;

	tofu_options_init(&options, sizeof options);
	options.poller = (enum tofu_poller_kind)kinds[_i];
	if (is_here(kinds[_i]))
		tofu_engine_destroy(made_of(&options));
	else
		refused(&options, TOFU_NOT_SUPPORTED);
}
END_TEST

START_TEST(options_are_copied)
{
	struct tofu_options options;
	tofu_engine *engine;

	tofu_options_init(&options, sizeof options);
	options.max_channels = 1;
	engine = made_of(&options);
	memset(&options, 0xff, sizeof options);
	ck_assert_uint_eq(engine->options.max_channels, 1);
	tofu_engine_destroy(engine);
}
END_TEST

START_TEST(max_channels_1_lets_one_open)
{
	struct tofu_options options;
	struct side side;
	struct listening at;
	tofu_msg *msg;

	tofu_options_init(&options, sizeof options);
	options.max_channels = 1;
	side = side_in(engine_up(&options));
	listen_over(&side, OVER_TCP, &at);
	msg = message(&side, TOFU_REQUEST, 0, 0, NULL);
	ck_status(tofu_msg_listen_on(msg, "tcp|127.0.0.1|0"), TOFU_OK);
	ck_status(tofu_post(side.group, &msg, NULL), TOFU_LIMIT_REACHED);
	tofu_msg_put(&msg);
	say(&side, at.channel, TOFU_BYE_SIGNAL, 0, NULL);
	expect_closed(&side, at.channel, at.id);
	listen_over(&side, OVER_TCP, &at);
	engine_down(side.engine);
}
END_TEST

/* transports */

static tofu_engine *engine;
static struct tofu_transport mine;

static void start_engine(void)
{
	start();
	engine = made_of(NULL);
	mine = *over_transport(OVER_TCP);
	mine.scheme = "mine";
}

static void stop_engine(void)
{
	tofu_engine_destroy(engine);
	stop();
}

START_TEST(transport_of_another_abi_is_not_supported)
{
	mine.abi = TOFU_TRANSPORT_ABI + 1;
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_SUPPORTED);
	mine.abi = TOFU_TRANSPORT_ABI - 1;
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_SUPPORTED);
	mine.abi = TOFU_TRANSPORT_ABI;
	ck_status(tofu_engine_register(engine, &mine), TOFU_OK);
}
END_TEST

enum { OPERATIONS = 10 };

static void without(struct tofu_transport *t, int operation)
{
	switch (operation) {
	case 0:
		t->resolve = NULL;
		break;
	case 1:
		t->listen = NULL;
		break;
	case 2:
		t->accept = NULL;
		break;
	case 3:
		t->connect_start = NULL;
		break;
	case 4:
		t->connect_finish = NULL;
		break;
	case 5:
		t->send = NULL;
		break;
	case 6:
		t->receive = NULL;
		break;
	case 7:
		t->shutdown = NULL;
		break;
	case 8:
		t->close = NULL;
		break;
	default:
		t->local_address = NULL;
		break;
	}
}

START_TEST(transport_without_a_required_operation_is_not_allowed)
{
	struct tofu_transport whole = mine;

	without(&mine, _i);
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_ALLOWED);
	mine = whole;
	ck_status(tofu_engine_register(engine, &mine), TOFU_OK);
}
END_TEST

START_TEST(transport_without_peer_address_is_accepted)
{
	mine.peer_address = NULL;
	ck_status(tofu_engine_register(engine, &mine), TOFU_OK);
}
END_TEST

START_TEST(transport_without_a_scheme_is_not_allowed)
{
	mine.scheme = NULL;
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_ALLOWED);
	mine.scheme = "";
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_ALLOWED);
}
END_TEST

static void ck_same_judgement(tofu_msg *msg, const char *scheme)
{
	struct tofu_transport t = mine;
	tofu_engine *another = made_of(NULL);
	char address[64];
	bool is_address;

	(void)snprintf(address, sizeof address, "%s|rest", scheme);
	is_address = tofu_msg_connect_to(msg, address) == TOFU_OK;
	t.scheme = scheme;
	must((tofu_engine_register(another, &t) == TOFU_OK) == is_address, "'%s': an address, or not?", scheme);
	tofu_engine_destroy(another);
}

START_TEST(scheme_is_accepted_if_an_address_can_begin_with_it_and_only_then)
{
	static const char *const schemes[] = {
		"|",   "a/b", "a:b", "m y",      " ", "a ", "\t",  "\xc3\xa9",        "a\r\n",           "a,b",
		"a~b", "~a",  "%41", "ok-1.2+_", "-", "9",  "A.z", "fifteen_letters", "sixteen_letters_"
	};
	tofu_msg *msg;

	ck_status(tofu_msg_get(engine, TOFU_ALWAYS, &msg), TOFU_OK);
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		ck_same_judgement(msg, schemes[i]);
	for (unsigned c = 1; c < 256; c++)
		if (c != '|') /* "a|a|rest" is an address: of "a" */
			ck_same_judgement(msg, (char[]){ 'a', (char)c, 'a', '\0' });
	mine.scheme = "a|b";
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_ALLOWED);
	mine.scheme = "fifteen_letters";
	ck_status(tofu_engine_register(engine, &mine), TOFU_OK);
	tofu_msg_put(&msg);
}
END_TEST

START_TEST(scheme_that_was_registered_before_is_not_allowed)
{
	static struct tofu_transport other; /* it stays as long as the engine */

	other = mine;
	ck_status(tofu_engine_register(engine, &mine), TOFU_OK);
	ck_status(tofu_engine_register(engine, &mine), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_register(engine, &other), TOFU_NOT_ALLOWED);
	other.scheme = "other";
	ck_status(tofu_engine_register(engine, &other), TOFU_OK);
}
END_TEST

START_TEST(seventeenth_transport_is_over_the_limit)
{
	static struct tofu_transport many[17];
	static char names[17][8];

	for (size_t i = 0; i < 17; i++) {
		(void)snprintf(names[i], sizeof names[i], "t%zu", i);
		many[i] = mine;
		many[i].scheme = names[i];
		ck_status(tofu_engine_register(engine, &many[i]), i < 16 ? TOFU_OK : TOFU_LIMIT_REACHED);
	}
	ck_status(tofu_engine_register(engine, &many[3]), TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(each_engine_has_transports_of_its_own)
{
	tofu_engine *other = made_of(NULL);

	ck_status(tofu_engine_register(engine, &mine), TOFU_OK);
	ck_status(tofu_engine_register(other, &mine), TOFU_OK);
	tofu_engine_destroy(other);
}
END_TEST

/* statistics */

START_TEST(older_programs_stats_are_filled_as_far_as_they_go)
{
	union {
		struct tofu_stats stats;
		unsigned char bytes[sizeof(struct tofu_stats)];
	} u;
	size_t size = offsetof(struct tofu_stats, pool_free) + sizeof u.stats.pool_free;

	memset(&u, 0xa5, sizeof u);
	u.stats.size = size;
	ck_status(tofu_engine_stats(engine, &u.stats), TOFU_OK);
	ck_assert_uint_eq(u.stats.size, size);
	ck_assert_uint_eq(u.stats.pool_free, 1024);
	ck_assert_uint_eq(u.stats.messages_sent, 0);
	for (size_t i = size; i < sizeof u; i++)
		ck_assert_uint_eq(u.bytes[i], 0xa5);
}
END_TEST

START_TEST(newer_programs_stats_say_how_much_was_filled_in)
{
	struct {
		struct tofu_stats known;
		unsigned char more[40];
	} s;

	memset(&s, 0xa5, sizeof s);
	s.known.size = sizeof s;
	ck_status(tofu_engine_stats(engine, &s.known), TOFU_OK);
	ck_assert_uint_eq(s.known.size, sizeof s.known);
	for (size_t i = 0; i < sizeof s.more; i++)
		ck_assert_uint_eq(s.more[i], 0xa5);
}
END_TEST

START_TEST(stats_of_size_0_are_not_allowed)
{
	struct tofu_stats stats = { .size = 0 };

	ck_status(tofu_engine_stats(engine, &stats), TOFU_NOT_ALLOWED);
}
END_TEST

/* NULL */

START_TEST(functions_of_an_engine_take_null_without_a_crash)
{
	struct tofu_stats stats = { .size = sizeof stats };
	tofu_group *group = (tofu_group *)(uintptr_t)1;
	tofu_msg *msg = (tofu_msg *)(uintptr_t)1;

	tofu_options_init(NULL, sizeof(struct tofu_options));
	tofu_engine_destroy(NULL);
	ck_status(tofu_engine_create(NULL, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_register(NULL, &mine), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_register(engine, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_stats(NULL, &stats), TOFU_NOT_ALLOWED);
	ck_status(tofu_engine_stats(engine, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_create(NULL, &group), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(group);
	ck_status(tofu_group_create(engine, NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_msg_get(NULL, TOFU_ALWAYS, &msg), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(msg);
	ck_status(tofu_msg_get(engine, TOFU_ALWAYS, NULL), TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(functions_of_a_group_take_null_without_a_crash)
{
	struct side side = side_in(engine);
	tofu_msg *msg = message(&side, TOFU_REQUEST, 1, 0, NULL), *kept = msg, *none = NULL;
	intptr_t handle;

	ck_status(tofu_group_destroy(NULL), TOFU_NOT_ALLOWED);
	ck_status(tofu_post(NULL, &msg, NULL), TOFU_NOT_ALLOWED);
	ck_assert_ptr_eq(msg, kept);
	ck_status(tofu_post(side.group, NULL, NULL), TOFU_NULL_MESSAGE);
	ck_status(tofu_post(side.group, &none, NULL), TOFU_NULL_MESSAGE);
	ck_status(tofu_update_receiver(NULL, &msg), TOFU_NOT_ALLOWED);
	ck_assert_ptr_eq(msg, kept);
	ck_status(tofu_receive(NULL, &msg, 0), TOFU_NOT_ALLOWED);
	ck_assert_ptr_null(msg);
	tofu_msg_put(&kept);
	ck_status(tofu_receive(side.group, NULL, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_drain(NULL, 0), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_pollable(NULL, &handle), TOFU_NOT_ALLOWED);
	ck_status(tofu_group_pollable(side.group, NULL), TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(update_without_a_message_is_an_empty_signal)
{
	struct side side = side_in(engine);
	tofu_msg *none = NULL;

	ck_status(tofu_update_receiver(side.group, NULL), TOFU_OK);
	ck_status(tofu_update_receiver(side.group, &none), TOFU_OK);
	for (int i = 0; i < 2; i++) {
		tofu_msg *msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_RECEIVER_UPDATE);

		ck_assert(says(msg, ""));
		tofu_msg_put(&msg);
	}
}
END_TEST

START_TEST(functions_of_a_message_take_null_for_it_without_a_crash)
{
	struct tofu_text_header h;
	tofu_msg *none = NULL, *copy = (tofu_msg *)(uintptr_t)1;
	void *to = &copy;
	size_t len = 1;

	tofu_msg_put(NULL);
	tofu_msg_put(&none);
	tofu_msg_reset(NULL);
	ck_status(tofu_msg_clone(NULL, &copy), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(copy);
	ck_assert_ptr_null(tofu_msg_header(NULL));
	ck_assert_ptr_null(tofu_msg_user(NULL));
	ck_status(tofu_msg_headers_add(NULL, "name", "value"), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(tofu_msg_headers_find(NULL, "name", &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(tofu_msg_headers_next(NULL, 0, &h), 0);
	ck_status(tofu_msg_body_set(NULL, "x", 1), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_body_append(NULL, "x", 1), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_body_reserve(NULL, 1, &to), TOFU_NULL_MESSAGE);
	ck_assert_ptr_null(to);
	len = 1;
	ck_assert_ptr_null(tofu_msg_body(NULL, &len));
	ck_assert_uint_eq(len, 0);
	ck_status(tofu_msg_connect_to(NULL, "tcp|h|1"), TOFU_NULL_MESSAGE);
	ck_status(tofu_msg_listen_on(NULL, "tcp||0"), TOFU_NULL_MESSAGE);
}
END_TEST

START_TEST(functions_of_a_message_take_null_for_the_rest_without_a_crash)
{
	struct side side = side_in(engine);
	tofu_msg *msg = message(&side, TOFU_REQUEST, 0, 0, "body");

	ck_assert_int_ne(tofu_msg_clone(msg, NULL), TOFU_OK);
	ck_status(tofu_msg_headers_add(msg, NULL, "value"), TOFU_INVALID_MESSAGE);
	ck_status(tofu_msg_headers_add(msg, "name", NULL), TOFU_INVALID_MESSAGE);
	ck_status(tofu_msg_headers_add(msg, "name", "value"), TOFU_OK);
	ck_assert_ptr_null(tofu_msg_headers_find(msg, NULL, NULL));
	ck_assert_ptr_nonnull(tofu_msg_headers_find(msg, "name", NULL));
	ck_assert_int_ne(tofu_msg_body_append(msg, NULL, 3), TOFU_OK);
	ck_assert_int_ne(tofu_msg_body_set(msg, NULL, 3), TOFU_OK);
	ck_assert(says(msg, "body"));
	ck_assert_ptr_nonnull(tofu_msg_body(msg, NULL));
	ck_status(tofu_msg_body_append(msg, NULL, 0), TOFU_OK);
	ck_assert(says(msg, "body"));
	ck_status(tofu_msg_body_set(msg, NULL, 0), TOFU_OK);
	ck_assert(says(msg, ""));
	ck_status(tofu_msg_body_reserve(msg, 5, NULL), TOFU_OK);
	ck_status(tofu_msg_body_reserve(msg, 0, NULL), TOFU_OK);
	ck_status(tofu_msg_connect_to(msg, NULL), TOFU_INVALID_ADDRESS);
	ck_status(tofu_msg_listen_on(msg, NULL), TOFU_INVALID_ADDRESS);
	ck_assert_int_eq(tofu_msg_header(msg)->opcode, TOFU_REQUEST);
	tofu_msg_put(&msg);
}
END_TEST

START_TEST(help_for_transports_takes_no_host_no_path_and_no_socket)
{
	struct tofu_sockaddr at[TOFU_ADDRESSES_MAX];
	char host[64];
	uint16_t port;
	size_t count = 0;

	ck_status(tofu_sockaddr_inet(NULL, 0, 0, at, TOFU_ADDRESSES_MAX, &count), TOFU_OK);
	ck_assert_uint_ge(count, 1);
	ck_status(tofu_sockaddr_unix(NULL, at), TOFU_INVALID_ADDRESS);
	memset(at, 0, sizeof at);
	ck_status(tofu_sockaddr_inet_text(at, host, sizeof host, &port), TOFU_INVALID_ADDRESS);
	tofu_socket_close(TOFU_NO_SOCKET, TOFU_CLOSE_ORDERLY);
	tofu_socket_close(TOFU_NO_SOCKET, TOFU_CLOSE_ABORT);
	ck_assert_int_ne(tofu_socket_shutdown(TOFU_NO_SOCKET), TOFU_OK);
	ck_assert_int_ne(tofu_socket_nodelay(TOFU_NO_SOCKET), TOFU_OK);
	ck_assert_int_ne(tofu_socket_local(TOFU_NO_SOCKET, at), TOFU_OK);
	ck_assert_int_ne(tofu_socket_peer(TOFU_NO_SOCKET, at), TOFU_OK);
	ck_assert_int_ne(tofu_socket_connect_result(TOFU_NO_SOCKET), TOFU_OK);
}
END_TEST

START_TEST(number_that_is_no_status_has_texts)
{
	static const int none[] = { -1, 44, 255, 1 << 30 };

	for (size_t i = 0; i < 4; i++) {
		ck_assert_str_eq(tofu_status_name(none[i]), "unknown_status");
		ck_assert_ptr_nonnull(tofu_strerror(none[i]));
	}
}
END_TEST

/* One number of configure.ac, written down a second time in a header. */
START_TEST(header_and_library_have_the_same_version)
{
	int major, minor, patch;

	ck_assert_str_eq(TOFU_VERSION, tofu_version());
	ck_assert_int_eq(sscanf(tofu_version(), "%d.%d.%d", &major, &minor, &patch), 3);
	ck_assert_int_eq(TOFU_VERSION_MAJOR, major);
	ck_assert_int_eq(TOFU_VERSION_MINOR, minor);
	ck_assert_int_eq(TOFU_VERSION_PATCH, patch);
	ck_assert_int_eq(TOFU_VERSION_NUMBER, major * 10000 + minor * 100 + patch);
	ck_assert_int_lt(minor, 100);
	ck_assert_int_lt(patch, 100);
}
END_TEST

static Suite *suite_of_engine_options(void)
{
	Suite *suite = suite_create("engine_options");
	TCase *tc = suite_case(suite, "options", 60);

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, options_that_were_only_initialised_are_the_defaults);
	tcase_add_test(tc, no_options_are_the_defaults);
	tcase_add_test(tc, engine_without_init_is_not_initialized);
	tcase_add_test(tc, fields_beyond_an_older_programs_struct_are_not_read);
	tcase_add_test(tc, newer_programs_longer_struct_is_read_as_far_as_we_know_it);
	tcase_add_test(tc, newer_programs_choice_that_we_do_not_know_is_not_supported);
	tcase_add_test(tc, older_programs_struct_is_initialised_and_nothing_beyond_it);
	tcase_add_test(tc, struct_without_room_for_its_size_is_left_alone_and_not_allowed);
	tcase_add_loop_test(tc, option_at_its_bound_is_accepted_and_over_it_is_not_allowed, 0,
	                    sizeof bounds / sizeof bounds[0]);
	tcase_add_test(tc, longest_timeouts_are_accepted);
	tcase_add_test(tc, pool_max_below_pool_initial_is_as_that);
	tcase_add_loop_test(tc, poller_of_this_system_is_accepted_and_any_other_is_not_supported, 0,
	                    sizeof kinds / sizeof kinds[0]);
	tcase_add_test(tc, options_are_copied);
	tcase_add_test(tc, max_channels_1_lets_one_open);

	tc = suite_case(suite, "transports", 60);
	tcase_add_checked_fixture(tc, start_engine, stop_engine);
	tcase_add_test(tc, transport_of_another_abi_is_not_supported);
	tcase_add_loop_test(tc, transport_without_a_required_operation_is_not_allowed, 0, OPERATIONS);
	tcase_add_test(tc, transport_without_peer_address_is_accepted);
	tcase_add_test(tc, transport_without_a_scheme_is_not_allowed);
	tcase_add_test(tc, scheme_is_accepted_if_an_address_can_begin_with_it_and_only_then);
	tcase_add_test(tc, scheme_that_was_registered_before_is_not_allowed);
	tcase_add_test(tc, seventeenth_transport_is_over_the_limit);
	tcase_add_test(tc, each_engine_has_transports_of_its_own);

	tc = suite_case(suite, "stats", 60);
	tcase_add_checked_fixture(tc, start_engine, stop_engine);
	tcase_add_test(tc, older_programs_stats_are_filled_as_far_as_they_go);
	tcase_add_test(tc, newer_programs_stats_say_how_much_was_filled_in);
	tcase_add_test(tc, stats_of_size_0_are_not_allowed);

	tc = suite_case(suite, "null", 60);
	tcase_add_checked_fixture(tc, start_engine, stop_engine);
	tcase_add_test(tc, functions_of_an_engine_take_null_without_a_crash);
	tcase_add_test(tc, functions_of_a_group_take_null_without_a_crash);
	tcase_add_test(tc, update_without_a_message_is_an_empty_signal);
	tcase_add_test(tc, functions_of_a_message_take_null_for_it_without_a_crash);
	tcase_add_test(tc, functions_of_a_message_take_null_for_the_rest_without_a_crash);
	tcase_add_test(tc, help_for_transports_takes_no_host_no_path_and_no_socket);
	tcase_add_test(tc, number_that_is_no_status_has_texts);
	tcase_add_test(tc, header_and_library_have_the_same_version);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_engine_options());
}
