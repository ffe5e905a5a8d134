/* SPDX-License-Identifier: MIT */

/* Peers that are none: what the log says of them, at either end. */

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/raw.h"
#include "lib/steps.h"
#include "reactor/reactor.h"
#include "reactor/stranger.h"

struct sample {
	const char *bytes;
	size_t len;
	const char *like; /* NULL: may be a frame */
};

#define BYTES(text) text, sizeof(text) - 1

static const struct sample samples[] = {
	{ BYTES("GET / HTTP/1.1\r\n"), "HTTP" },
	{ BYTES("POST /index HTTP"), "HTTP" },
	{ BYTES("HTTP/1.1 400 Bad"), "HTTP" },
	{ BYTES("PRI * HTTP/2.0\r\n"), "HTTP" },
	{ BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x11\x22\x33\x44\x55"), "TLS" },
	{ BYTES("\x15\x03\x03\x00\x02\x02\x46"), "TLS" },
	{ BYTES("SSH-2.0-OpenSSH_"), "SSH" },
	{ BYTES("-ERR unknown com"), "text" },
	{ BYTES("quit\r\n"), "text" },
	{ BYTES("qui"), NULL },
	{ BYTES("\x00\x01\x03\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x21\x00\x00"), NULL },
	{ BYTES("\x16\x03\x03\x00"), NULL },
	{ BYTES("\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc"), NULL },
	{ BYTES(""), NULL },
};

enum { SAMPLES = sizeof samples / sizeof samples[0] };

START_TEST(first_bytes_tell_http_tls_ssh_and_text_from_frames)
{
	const struct sample *s = &samples[_i];
	const char *like = tofu_stranger((const unsigned char *)s->bytes, s->len);

	must((like == NULL) == (s->like == NULL) && (like == NULL || strcmp(like, s->like) == 0), "%.*s: %s",
	     (int)s->len, s->bytes, like != NULL ? like : "may be a frame");
}
END_TEST

static struct {
	atomic_uint lines;
	atomic_uint lost; /* lines that were too many */
	char text[4][256];
} told;

static void note(void *context, enum tofu_log_level level, const char *text)
{
	unsigned n = atomic_load(&told.lines), lost;

	(void)context;
	if (level == TOFU_LOG_INFO) /* whom it is connected to */
		return;
	if (sscanf(text, "lines that were too many at once: %u", &lost) == 1) {
		atomic_fetch_add(&told.lost, lost);
		return;
	}
	(void)snprintf(told.text[n % 4], sizeof told.text[0], "%s", text);
	atomic_store(&told.lines, n + 1);
}

static tofu_engine *logging_engine(void)
{
	struct tofu_options options = options_with_pool(64);

	memset(&told, 0, sizeof told);
	options.log = note;
	return engine_up(&options);
}

START_TEST(a_stranger_that_calls_is_logged_with_its_address_and_what_it_looks_like)
{
	const struct sample *s = &samples[_i];
	tofu_engine *engine = logging_engine();
	struct side side = side_in(engine);
	struct listening at;
	struct raw peer;

	if (s->like != NULL) {
		listen_over(&side, OVER_TCP, &at);
		raw_call(&peer, at.address);
		raw_write(&peer, s->bytes, s->len);
		raw_half_close(&peer);
		eventually(atomic_load(&told.lines) == 1);
		must(strstr(told.text[0], "peer tcp|127.0.0.1|") != NULL, "no address: %s", told.text[0]);
		must(strstr(told.text[0], s->like) != NULL, "not %s: %s", s->like, told.text[0]);
		must(strstr(told.text[0], "no tofu peer") != NULL, "%s", told.text[0]);
		expect_silence(&side);
		raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	}
	engine_down(engine);
}
END_TEST

START_TEST(a_stranger_that_is_called_is_logged_with_its_address_and_what_it_looks_like)
{
	const struct sample *s = &samples[_i];
	tofu_engine *engine = logging_engine();
	struct side side = side_in(engine);
	char address[600];
	struct raw peer;
	intptr_t listener;

	if (s->like != NULL) {
		listener = raw_listen(OVER_TCP, address, sizeof address);
		call(&side, address, "hello");
		raw_accept(&peer, listener);
		raw_write(&peer, s->bytes, s->len);
		raw_half_close(&peer);
		eventually(atomic_load(&told.lines) == 1);
		must(strstr(told.text[0], address) != NULL, "no address: %s", told.text[0]);
		must(strstr(told.text[0], s->like) != NULL, "not %s: %s", s->like, told.text[0]);
		raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
		tofu_socket_close(listener, TOFU_CLOSE_ABORT);
	}
	engine_down(engine);
}
END_TEST

/* One that has said hello. */
static struct side peer_of(tofu_engine *engine, struct raw *peer)
{
	struct side side = side_in(engine);
	struct listening at;
	tofu_msg *msg;

	listen_over(&side, OVER_TCP, &at);
	raw_call(peer, at.address);
	raw_say(peer, TOFU_HELLO_REQUEST, 1, "");
	msg = expect_peer(&side, TOFU_HELLO_REQUEST);
	tofu_msg_put(&msg);
	return side;
}

START_TEST(a_peer_that_has_said_hello_is_no_stranger_whatever_it_says_next)
{
	tofu_engine *engine = logging_engine();
	struct raw peer;

	(void)peer_of(engine, &peer);
	raw_write(&peer, "GET / HTTP/1.1\r\n", 16);
	eventually(atomic_load(&told.lines) == 1);
	must(strstr(told.text[0], "a frame that is not allowed") != NULL, "%s", told.text[0]);
	must(strstr(told.text[0], "looks like") == NULL, "%s", told.text[0]);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

START_TEST(a_peer_that_hangs_up_within_a_later_header_is_not_logged)
{
	tofu_engine *engine = logging_engine();
	struct raw peer;
	struct side side = peer_of(engine, &peer);
	tofu_msg *msg;

	raw_write(&peer, "quit\r\n", 6);
	raw_half_close(&peer);
	msg = expect(&side, TOFU_SIGNAL, TOFU_ORIGIN_ENGINE, TOFU_CHANNEL_CLOSED);
	tofu_msg_put(&msg);
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
	ck_assert_uint_eq(told.lines, 0);
}
END_TEST

static void call_as_a_stranger(const char *address)
{
	struct raw peer;

	raw_call(&peer, address);
	raw_write(&peer, "GET / HTTP/1.1\r\n", 16);
	must(os_read_to_end(peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "the connection is still there");
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
}

/* Each in a turn of its own. */
START_TEST(of_strangers_that_call_again_and_again_the_log_gets_few_lines_and_how_many_were_left_out)
{
	const unsigned calls = 200;
	tofu_engine *engine = logging_engine();
	struct side side = side_in(engine);
	int64_t began_ns = tofu_plat_now_ns(), seconds;
	struct listening at;

	listen_over(&side, OVER_TCP, &at);
	for (unsigned i = 0; i < calls; i++)
		call_as_a_stranger(at.address);
	seconds = (tofu_plat_now_ns() - began_ns) / TOFU_NS_PER_S + 1;
	eventually(atomic_load(&told.lines) + atomic_load(&told.lost) == calls); /* nobody calls any more */
	ck_assert_uint_le(told.lines, (unsigned)seconds * TOFU_COMPLAINTS);
	ck_assert_uint_ge(told.lines, TOFU_COMPLAINTS);
	engine_down(engine);
}
END_TEST

START_TEST(what_was_left_out_of_the_log_is_told_when_the_engine_ends)
{
	const unsigned calls = 200;
	tofu_engine *engine = logging_engine();
	struct side side = side_in(engine);
	struct listening at;

	listen_over(&side, OVER_TCP, &at);
	for (unsigned i = 0; i < calls; i++)
		call_as_a_stranger(at.address);
	engine_down(engine);
	ck_assert_uint_eq(told.lines + told.lost, calls);
}
END_TEST

START_TEST(when_the_second_is_over_the_log_gets_lines_about_strangers_again)
{
	enum { PEERS = 4 * TOFU_COMPLAINTS };
	static struct raw peers[PEERS];
	tofu_engine *engine = logging_engine();
	struct side side = side_in(engine);
	struct listening at;
	unsigned lines;

	listen_over(&side, OVER_TCP, &at);
	for (int i = 0; i < PEERS; i++)
		raw_call(&peers[i], at.address);
	eventually(stats_of(engine).channels_accepted == PEERS);
	for (int i = 0; i < PEERS; i++) /* in much less than a second */
		raw_write(&peers[i], "GET / HTTP/1.1\r\n", 16);
	eventually(atomic_load(&told.lines) + atomic_load(&told.lost) == PEERS);
	ck_assert_uint_gt(told.lost, 0);
	lines = atomic_load(&told.lines);
	call_as_a_stranger(at.address);
	eventually(atomic_load(&told.lines) == lines + 1);
	for (int i = 0; i < PEERS; i++)
		raw_hang_up(&peers[i], TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

static Suite *suite_of_strangers(void)
{
	Suite *suite = suite_create("strangers");
	TCase *tc = suite_case(suite, "strangers", 30);

	tcase_add_loop_test(tc, first_bytes_tell_http_tls_ssh_and_text_from_frames, 0, SAMPLES);
	tcase_add_loop_test(tc, a_stranger_that_calls_is_logged_with_its_address_and_what_it_looks_like, 0, SAMPLES);
	tcase_add_loop_test(tc, a_stranger_that_is_called_is_logged_with_its_address_and_what_it_looks_like, 0,
	                    SAMPLES);
	tcase_add_test(tc, a_peer_that_has_said_hello_is_no_stranger_whatever_it_says_next);
	tcase_add_test(tc, a_peer_that_hangs_up_within_a_later_header_is_not_logged);
	tcase_add_test(tc, of_strangers_that_call_again_and_again_the_log_gets_few_lines_and_how_many_were_left_out);
	tcase_add_test(tc, what_was_left_out_of_the_log_is_told_when_the_engine_ends);
	tcase_add_test(tc, when_the_second_is_over_the_log_gets_lines_about_strangers_again);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_strangers());
}
