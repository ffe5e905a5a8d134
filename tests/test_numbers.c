/* SPDX-License-Identifier: MIT */

/*
 * What happens to a channel's number at its end: it is given again when its last word was received, and not before. All
 * numbers of an engine are used up here, by hellos to an address that no transport knows: each channel ends at once, and its last
 * word waits.
 */

#include "lib/raw.h"
#include "lib/steps.h"

enum { NUMBERS = 65534 };

static void hello_to_nobody(const struct side *side, uint16_t number)
{
	struct tofu_header h = call(side, "nobody|knows", NULL);

	must(h.channel == number, "%u was given, not %u", h.channel, number);
}

static enum tofu_status try_hello(const struct side *side, uint16_t *number)
{
	tofu_msg *msg = message(side, TOFU_HELLO_REQUEST, 0, 0, NULL);
	struct tofu_header h = { .id = 0 };
	enum tofu_status status;

	works(tofu_msg_connect_to(msg, "nobody|knows"));
	status = tofu_post(side->group, &msg, &h);
	*number = h.channel;
	tofu_msg_put(&msg);
	return status;
}

/* One engine: a listener has number 1, and all others are in use or wait for their last word in `busy`. */
struct full {
	tofu_engine *engine;
	struct side server, busy, other;
	struct listening at;
};

static void fill_up(struct full *f, int transport)
{
	struct tofu_options options = options_with_pool(NUMBERS + 1024); /* the hellos that come back are of the pool */

	f->engine = engine_up(&options);
	f->server = side_in(f->engine);
	f->busy = side_in(f->engine);
	f->other = side_in(f->engine);
	listen_over(&f->server, transport, &f->at);
	must(f->at.channel == 1, "the listener has number %u", f->at.channel);
	for (unsigned number = 2; number <= NUMBERS; number++)
		hello_to_nobody(&f->busy, (uint16_t)number);
	eventually(connections_of(f->engine) == 0);
}

/* The next of them in `busy`: its answer, and its last word. */
static void hear_out(const struct full *f, uint16_t number)
{
	tofu_msg *msg = expect(&f->busy, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE, TOFU_INVALID_ADDRESS);
	uint64_t id = tofu_msg_header(msg)->id;
	uint16_t got;

	must(tofu_msg_header(msg)->channel == number, "%s", describe(msg));
	tofu_msg_put(&msg);
	ck_status(try_hello(&f->other, &got), TOFU_LIMIT_REACHED);
	expect_end(&f->busy, number, id, TOFU_INVALID_ADDRESS);
}

START_TEST(a_number_is_given_again_when_its_last_word_was_received_and_not_before)
{
	struct full f;
	uint16_t number;

	fill_up(&f, OVER_TCP);
	ck_status(try_hello(&f.other, &number), TOFU_LIMIT_REACHED);
	for (uint16_t at = 2; at < 20; at++) {
		ck_status(try_say(&f.other, at, TOFU_SIGNAL, 0, "for somebody else"), TOFU_CHANNEL_CLOSED);
		hear_out(&f, at);
		ck_status(try_say(&f.other, at, TOFU_SIGNAL, 0, "for somebody else"), TOFU_CHANNEL_CLOSED);
		hello_to_nobody(&f.other, at);
		ck_status(try_hello(&f.other, &number), TOFU_LIMIT_REACHED);
	}
	engine_down(f.engine);
}
END_TEST

START_TEST(a_group_that_is_destroyed_leaves_its_numbers_to_others_though_their_last_words_were_not_received)
{
	struct full f;
	uint16_t number;
	tofu_msg *msg;

	fill_up(&f, OVER_TCP);
	msg = take(&f.busy); /* so that the others wait where the receiving thread has them */
	tofu_msg_put(&msg);
	ck_status(try_hello(&f.other, &number), TOFU_LIMIT_REACHED);
	side_down(&f.busy);
	for (unsigned at = 2; at <= 200; at++)
		hello_to_nobody(&f.other, (uint16_t)at);
	engine_down(f.engine);
}
END_TEST

START_TEST(a_listener_that_found_no_number_accepts_as_soon_as_a_last_word_is_received)
{
	struct full f;
	struct raw peer;
	tofu_msg *msg;

	fill_up(&f, _i);
	raw_call(&peer, f.at.address);
	raw_hello(&peer, 7);
	ck_assert_int_eq(tofu_receive(f.server.group, &msg, TOFU_NS_PER_S / 5), TOFU_TIMEOUT);
	hear_out(&f, 2);
	msg = expect_on(&f.server, 2, 7, TOFU_HELLO_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(f.engine);
}
END_TEST

START_TEST(a_listener_that_found_no_number_accepts_as_soon_as_a_group_is_destroyed)
{
	struct full f;
	struct raw peer;
	tofu_msg *msg;

	fill_up(&f, _i);
	raw_call(&peer, f.at.address);
	raw_hello(&peer, 7);
	ck_assert_int_eq(tofu_receive(f.server.group, &msg, TOFU_NS_PER_S / 5), TOFU_TIMEOUT);
	side_down(&f.busy);
	msg = expect_on(&f.server, 2, 7, TOFU_HELLO_REQUEST, TOFU_ORIGIN_APPLICATION, TOFU_OK);
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(f.engine);
}
END_TEST

static Suite *suite_of_numbers(void)
{
	Suite *suite = suite_create("numbers");
	TCase *tc = suite_case(suite, "all in use", 120);

	tcase_add_test(tc, a_number_is_given_again_when_its_last_word_was_received_and_not_before);
	tcase_add_test(
		tc, a_group_that_is_destroyed_leaves_its_numbers_to_others_though_their_last_words_were_not_received);
	over_plain_sockets_add(tc, a_listener_that_found_no_number_accepts_as_soon_as_a_last_word_is_received, 1);
	over_plain_sockets_add(tc, a_listener_that_found_no_number_accepts_as_soon_as_a_group_is_destroyed, 1);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_numbers());
}
