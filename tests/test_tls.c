/* SPDX-License-Identifier: MIT */

/*
 * TLS over TCP: who is let in and who is not, what a peer learns of the other, ends that are none, and bytes that come out as they
 * went in. Some cases drive the operations of the transport by themselves, as the engine does; the others are of whole engines.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <tofu/tcp.h>
#include <tofu/tls.h>
#include <tofu/tofu.h>
#include <tofu/unix.h>

#include "lib/certificates.h"
#include "lib/fake.h"
#include "lib/harness.h"
#include "lib/os.h"
#include "lib/raw.h"
#include "lib/steps.h"
#include "lib/system.h"
#include "transport_tls/link.h"

/* Made before each test, freed after it: one that is trusted, one that is not, and what they have signed. */
static struct {
	struct certificate ca, other_ca;
	struct certificate server, client, strange, elsewhere, expired, early, self_signed;
} certificates;

static void make_certificates(void)
{
	const struct wish ca = { .name = "test CA", .is_ca = true }, other_ca = { .name = "other CA", .is_ca = true };
	const char *here = "DNS:localhost,IP:127.0.0.1";
	struct wish w = { .name = "server", .alternatives = here };

	certificates.ca = certificate_make(&ca);
	certificates.other_ca = certificate_make(&other_ca);
	certificates.self_signed = certificate_make(&w);
	w.issuer = &certificates.ca;
	certificates.server = certificate_make(&w);
	certificates.elsewhere =
		certificate_make(&(struct wish){ "elsewhere", "DNS:elsewhere.example", w.issuer, false, 0, 0 });
	certificates.client =
		certificate_make(&(struct wish){ "alice", "DNS:alice,email:a@b.example", w.issuer, false, 0, 0 });
	certificates.expired = certificate_make(&(struct wish){ "expired", here, w.issuer, false, -7200, -3600 });
	certificates.early = certificate_make(&(struct wish){ "early", here, w.issuer, false, 3600, 7200 });
	w.issuer = &certificates.other_ca;
	certificates.strange = certificate_make(&w);
}

static void free_certificates(void)
{
	certificate_free(&certificates.ca);
	certificate_free(&certificates.other_ca);
	certificate_free(&certificates.server);
	certificate_free(&certificates.client);
	certificate_free(&certificates.strange);
	certificate_free(&certificates.elsewhere);
	certificate_free(&certificates.expired);
	certificate_free(&certificates.early);
	certificate_free(&certificates.self_signed);
}

static struct tofu_tls_options options_of(const struct certificate *own, const struct certificate *ca)
{
	struct tofu_tls_options o;

	tofu_tls_options_init(&o, sizeof o);
	o.scheme = "secure";
	if (own != NULL) {
		o.certificate = own->text;
		o.key = own->key;
	}
	o.ca = ca != NULL ? ca->text : NULL;
	return o;
}

static struct tofu_transport *instance(struct tofu_tls_options *o)
{
	static char error[256];
	struct tofu_transport *t;
	enum tofu_status status;

	o->error = error;
	o->error_capacity = sizeof error;
	status = tofu_tls_create(o, &t);
	must(status == TOFU_OK, "no instance: %s, %s", tofu_status_name(status), error);
	return t;
}

/* --- the operations, driven as by an engine --- */

/* The two ends of a connection, and what has become of each: TOFU_WOULD_BLOCK while nothing has. */
struct wire {
	struct tofu_transport *server_side, *client_side;
	struct tofu_link listener, server, client;
	enum tofu_status server_status, client_status;
	char server_said[256], client_said[256]; /* what explains it */
	bool called;                             /* the caller's handshake is done */
	char address[512];
};

static void wire_listen(struct wire *w)
{
	struct tofu_transport *t = w->server_side;
	struct tofu_sockaddr at;
	size_t count;

	w->listener = w->server = w->client = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	works(t->resolve(t, "127.0.0.1|0", TOFU_TO_LISTEN, 0, &at, 1, &count));
	works(t->listen(t, &w->listener, &at));
	works(t->local_address(t, &w->listener, w->address, sizeof w->address));
}

static void wire_call(struct wire *w)
{
	struct tofu_transport *t = w->client_side;
	struct tofu_sockaddr to;
	unsigned want = TOFU_WRITABLE;
	size_t count;

	works(t->resolve(t, path_of(w->address), TOFU_TO_CONNECT, 0, &to, 1, &count));
	w->client_status = t->connect_start(t, &w->client, path_of(w->address), &to, &want);
	w->called = w->client_status == TOFU_OK;
	must(test_wait(w->listener.handle, TOFU_READABLE), "nobody calls");
	works(w->server_side->accept(w->server_side, &w->listener, &w->server));
	w->server_status = TOFU_WOULD_BLOCK;
}

static enum tofu_status receive_none(const struct tofu_transport *t, struct tofu_link *link)
{
	char byte;
	struct tofu_iov iov = { &byte, 1 };
	unsigned want = TOFU_READABLE;
	size_t done;

	return t->receive(t, link, &iov, 1, &done, &want);
}

static void note_fault(const struct tofu_transport *t, const struct tofu_link *link, char out[256])
{
	const char *text = t->explain(t, link);

	(void)snprintf(out, 256, "%s", text != NULL ? text : "");
}

/* One that fails is closed at once, as an engine does. */
static void client_goes_on(struct wire *w)
{
	const struct tofu_transport *t = w->client_side;
	unsigned want = TOFU_WRITABLE;

	if (w->client_status != TOFU_WOULD_BLOCK)
		return;
	if (w->called)
		w->client_status = receive_none(t, &w->client);
	else
		w->client_status = t->connect_finish(t, &w->client, &want);
	if (w->client_status == TOFU_OK) {
		w->called = true;
		w->client_status = TOFU_WOULD_BLOCK;
	} else if (w->client_status != TOFU_WOULD_BLOCK) {
		note_fault(t, &w->client, w->client_said);
		t->close(t, &w->client, TOFU_CLOSE_ORDERLY);
	}
}

static SSL *ssl_of(const struct tofu_link *link)
{
	return ((const struct tofu_tls_link *)link->state)->ssl;
}

static void server_goes_on(struct wire *w)
{
	if (w->server_status != TOFU_WOULD_BLOCK)
		return;
	w->server_status = receive_none(w->server_side, &w->server);
	if (w->server_status != TOFU_WOULD_BLOCK)
		note_fault(w->server_side, &w->server, w->server_said);
}

/* Until both have shaken hands. */
static void wire_meet(struct wire *w)
{
	wire_call(w);
	eventually((client_goes_on(w), server_goes_on(w), w->called && SSL_is_init_finished(ssl_of(&w->server))));
	ck_status(w->client_status, TOFU_WOULD_BLOCK);
	ck_status(w->server_status, TOFU_WOULD_BLOCK);
}

/* Until both know that nothing comes of it. */
static void wire_fail(struct wire *w)
{
	wire_call(w);
	eventually((client_goes_on(w), server_goes_on(w),
	            w->client_status != TOFU_WOULD_BLOCK && w->server_status != TOFU_WOULD_BLOCK));
}

static void wire_hang_up(struct wire *w)
{
	w->client_side->close(w->client_side, &w->client, TOFU_CLOSE_ORDERLY);
	w->server_side->close(w->server_side, &w->server, TOFU_CLOSE_ORDERLY);
}

static void wire_down(struct wire *w)
{
	wire_hang_up(w);
	w->server_side->close(w->server_side, &w->listener, TOFU_CLOSE_ORDERLY);
	tofu_transport_destroy(w->server_side);
	tofu_transport_destroy(w->client_side);
	tofu_deinit();
}

static void wire_between(struct wire *w, struct tofu_tls_options *server, struct tofu_tls_options *client)
{
	works(tofu_init());
	memset(w, 0, sizeof *w);
	w->server_side = instance(server);
	w->client_side = instance(client);
	wire_listen(w);
}

static void send_whole(const struct tofu_transport *t, struct tofu_link *link, const char *text)
{
	struct tofu_iov iov = { (void *)(uintptr_t)text, strlen(text) };
	unsigned want = TOFU_WRITABLE;
	size_t done;

	works(t->send(t, link, &iov, 1, &done, &want));
	ck_assert_uint_eq(done, strlen(text));
}

static void receive_whole(const struct tofu_transport *t, struct tofu_link *link, const char *text)
{
	char got[64] = "";
	struct tofu_iov iov = { got, strlen(text) };
	unsigned want = TOFU_READABLE;
	enum tofu_status status;
	size_t done;

	eventually((status = t->receive(t, link, &iov, 1, &done, &want)) != TOFU_WOULD_BLOCK);
	works(status);
	ck_assert_str_eq(got, text);
}

static enum tofu_status receive_end(const struct tofu_transport *t, struct tofu_link *link)
{
	enum tofu_status status;

	eventually((status = receive_none(t, link)) != TOFU_WOULD_BLOCK);
	return status;
}

static const char *identity_of(const struct tofu_transport *t, const struct tofu_link *link)
{
	static struct tofu_identity who;

	who = (struct tofu_identity){ .uid = -1, .gid = -1, .pid = -1 };
	t->identify(t, link, &who);
	return who.text;
}

/* --- who is let in --- */

START_TEST(each_knows_who_the_other_is)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(&certificates.client, &certificates.ca);
	char expected[256];
	struct wire w;

	server.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	wire_between(&w, &server, &client);
	wire_meet(&w);
	(void)snprintf(expected, sizeof expected, "subject=CN=alice; san=DNS:alice,email:a@b.example; sha256=%s",
	               certificates.client.fingerprint);
	ck_assert_str_eq(identity_of(w.server_side, &w.server), expected);
	(void)snprintf(expected, sizeof expected, "subject=CN=server; san=DNS:localhost,IP:127.0.0.1; sha256=%s",
	               certificates.server.fingerprint);
	ck_assert_str_eq(identity_of(w.client_side, &w.client), expected);
	ck_assert_ptr_null(w.client_side->explain(w.client_side, &w.client));
	wire_down(&w);
}
END_TEST

START_TEST(who_is_not_judged_is_nobody)
{
	struct tofu_tls_options server = options_of(&certificates.strange, &certificates.ca);
	struct tofu_tls_options client = options_of(&certificates.client, &certificates.ca);
	struct wire w;

	client.verify_server = TOFU_TLS_VERIFY_NONE;
	wire_between(&w, &server, &client);
	wire_meet(&w);
	ck_assert_str_eq(identity_of(w.server_side, &w.server), "");
	ck_assert_str_eq(identity_of(w.client_side, &w.client), "");
	wire_down(&w);
}
END_TEST

START_TEST(a_client_may_have_no_certificate_where_that_is_optional)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(_i == 0 ? NULL : &certificates.client, &certificates.ca);
	struct wire w;

	server.verify_client = TOFU_TLS_VERIFY_OPTIONAL;
	wire_between(&w, &server, &client);
	wire_meet(&w);
	ck_assert_int_eq(identity_of(w.server_side, &w.server)[0] == '\0', _i == 0);
	wire_down(&w);
}
END_TEST

/* A subject of any length leaves the fingerprint whole, and says that it was cut. */
START_TEST(a_long_identity_is_cut_but_for_its_fingerprint)
{
	char names[2000] = "DNS:a0.example";
	struct certificate many;
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca), client;
	const char *text;
	struct wire w;

	for (int i = 1; i < 50; i++)
		(void)snprintf(names + strlen(names), sizeof names - strlen(names), ",DNS:a%d.example", i);
	many = certificate_make(&(struct wish){ "a;b, sha256=0", names, &certificates.ca, false, 0, 0 });
	client = options_of(&many, &certificates.ca);
	server.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	wire_between(&w, &server, &client);
	wire_meet(&w);
	text = identity_of(w.server_side, &w.server);
	ck_assert_msg(strncmp(text, "subject=CN=a\\;b\\, sha256=0; san=DNS:a0.example,", 47) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "...; sha256="));
	ck_assert_str_eq(text + strlen(text) - 64, many.fingerprint);
	wire_down(&w);
	certificate_free(&many);
}
END_TEST

static const struct refusal {
	const char *what;
	const struct certificate *server, *client;
	const char *pin; /* of the server */
	const char *name;
	uint32_t verify_client;
	enum tofu_status of_client, of_server;
	const char *words; /* in what explains it, on the side that refuses */
} refusals[] = {
	/* clang-format off */
	{ "wrong CA",       &certificates.strange,   NULL, NULL, NULL, 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "unable to get local issuer" },
	{ "wrong name",     &certificates.elsewhere, NULL, NULL, NULL, 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "IP address mismatch" },
	{ "other name",     &certificates.server,    NULL, NULL, "other.example", 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "hostname mismatch" },
	{ "expired",        &certificates.expired,   NULL, NULL, NULL, 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "expired" },
	{ "not yet valid",  &certificates.early,     NULL, NULL, NULL, 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "not yet valid" },
	{ "self-signed",    &certificates.self_signed, NULL, NULL, NULL, 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "self-signed" },
	{ "wrong pin",      &certificates.server,    NULL, certificates.client.fingerprint, NULL, 0, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "certificate rejected" },
	{ "no certificate", &certificates.server,    NULL, NULL, NULL, TOFU_TLS_VERIFY_REQUIRED, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "did not return a certificate" },
	{ "stranger",       &certificates.server,    &certificates.strange, NULL, NULL, TOFU_TLS_VERIFY_REQUIRED, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "unable to get local issuer" },
	{ "bad optional",   &certificates.server,    &certificates.strange, NULL, NULL, TOFU_TLS_VERIFY_OPTIONAL, TOFU_PERMISSION_DENIED, TOFU_PERMISSION_DENIED, "unable to get local issuer" },
	/* clang-format on */
};

START_TEST(who_is_refused_and_why_both_sides_learn)
{
	const struct refusal *r = &refusals[_i];
	struct tofu_tls_options server = options_of(r->server, &certificates.ca);
	struct tofu_tls_options client = options_of(r->client, &certificates.ca);
	const char *said;
	struct wire w;

	server.verify_client = r->verify_client;
	client.fingerprint = r->pin;
	client.name = r->name;
	wire_between(&w, &server, &client);
	wire_fail(&w);
	said = r->verify_client != 0 ? w.server_said : w.client_said;
	ck_assert_msg(w.client_status == r->of_client, "%s: the client learns %s", r->what,
	              tofu_status_name(w.client_status));
	ck_assert_msg(w.server_status == r->of_server, "%s: the server learns %s", r->what,
	              tofu_status_name(w.server_status));
	ck_assert_msg(strstr(said, r->words) != NULL, "%s: %s", r->what, said);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	wire_down(&w);
}
END_TEST

/* What it sends meanwhile must not come back as a reset: it would learn of that, and not of why. */
START_TEST(who_is_refused_can_send_until_it_knows)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	struct wire w;

	server.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	wire_between(&w, &server, &client);
	wire_call(&w);
	eventually((w.called ? (void)0 : client_goes_on(&w), server_goes_on(&w),
	            ((const struct tofu_tls_link *)w.server.state)->verdict != TOFU_OK));
	if (w.server_status != TOFU_WOULD_BLOCK) /* as an engine does */
		w.server_side->close(w.server_side, &w.server, TOFU_CLOSE_ORDERLY);
	for (int i = 0; i < 3; i++) {
		send_whole(w.client_side, &w.client, "hello");
		os_pause();
	}
	ck_status(receive_end(w.client_side, &w.client), TOFU_PERMISSION_DENIED);
	wire_down(&w);
}
END_TEST

/* Neither a CA nor a name nor a date is asked for. */
START_TEST(a_pinned_certificate_is_good_as_it_is)
{
	const struct certificate *all[] = { &certificates.server, &certificates.self_signed, &certificates.expired,
		                            &certificates.elsewhere };
	struct tofu_tls_options server = options_of(all[_i], NULL);
	struct tofu_tls_options client = options_of(NULL, NULL);
	char with_colons[3 * 32];
	struct wire w;

	for (int i = 0; i < 32; i++)
		(void)snprintf(with_colons + 3 * i, 4, "%.2s%s", all[_i]->fingerprint + 2 * i, i < 31 ? ":" : "");
	client.fingerprint = with_colons;
	wire_between(&w, &server, &client);
	wire_meet(&w);
	ck_assert_ptr_nonnull(strstr(identity_of(w.client_side, &w.client), all[_i]->fingerprint));
	wire_down(&w);
}
END_TEST

/* --- versions, protocols --- */

START_TEST(the_lower_version_has_to_be_asked_for)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	const struct tofu_tls_instance *i;
	struct wire w;

	server.tls12 = _i == 1;
	client.tls12 = 1;
	wire_between(&w, &server, &client);
	i = w.client_side->config;
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(i->context, TLS1_2_VERSION), 1);
	if (_i == 1) {
		wire_meet(&w);
		ck_assert_int_eq(SSL_version(ssl_of(&w.server)), TLS1_2_VERSION);
	} else {
		wire_fail(&w);
		ck_status(w.client_status, TOFU_CONNECT_FAILED);
		ck_status(w.server_status, TOFU_COMMUNICATION_FAILED);
	}
	wire_down(&w);
}
END_TEST

START_TEST(a_peer_that_does_not_name_the_protocol_is_refused)
{
	static const unsigned char http[] = "\x08http/1.1";
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	const struct tofu_tls_instance *i;
	struct wire w;

	wire_between(&w, &server, &client);
	i = _i == 2 ? w.server_side->config : w.client_side->config;
	if (_i == 0)
		ck_assert_int_eq(SSL_CTX_set_alpn_protos(i->context, NULL, 0), 0);
	else if (_i == 1)
		ck_assert_int_eq(SSL_CTX_set_alpn_protos(i->context, http, sizeof http - 1), 0);
	else
		SSL_CTX_set_alpn_select_cb(i->context, NULL, NULL);
	if (_i == 2) {
		wire_call(&w);
		eventually((client_goes_on(&w), server_goes_on(&w), w.client_status != TOFU_WOULD_BLOCK));
	} else {
		wire_fail(&w);
		ck_status(w.server_status, TOFU_COMMUNICATION_FAILED);
		ck_assert_ptr_nonnull(strstr(w.server_said, _i == 0 ? "tofu/1" : "application protocol"));
	}
	ck_status(w.client_status, TOFU_CONNECT_FAILED);
	wire_down(&w);
}
END_TEST

START_TEST(who_wants_to_renegotiate_is_not_followed)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	const struct tofu_tls_instance *i;
	SSL *asks, *asked;
	struct wire w;

	server.tls12 = client.tls12 = 1;
	wire_between(&w, &server, &client);
	i = w.client_side->config;
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(i->context, TLS1_2_VERSION), 1);
	wire_meet(&w);
	asks = ssl_of(_i == 0 ? &w.client : &w.server);
	asked = ssl_of(_i == 0 ? &w.server : &w.client);
	SSL_clear_options(asks, SSL_OP_NO_RENEGOTIATION);
	ck_assert_int_eq(SSL_renegotiate(asks), 1);
	(void)SSL_do_handshake(asks);
	for (int n = 0; n < 100 && w.client_status == TOFU_WOULD_BLOCK; n++) {
		os_pause();
		ck_assert_int_eq(SSL_num_renegotiations(asked), 0);
		ck_assert_int_eq(SSL_is_init_finished(asked), 1);
		server_goes_on(&w);
		client_goes_on(&w);
	}
	ERR_clear_error();
	wire_down(&w);
}
END_TEST

/* --- sessions --- */

static bool resumes(struct wire *w)
{
	bool reused;

	wire_meet(w);
	send_whole(w->server_side, &w->server, "x"); /* the ticket is before it */
	receive_whole(w->client_side, &w->client, "x");
	reused = SSL_session_reused(ssl_of(&w->client)) != 0;
	ck_assert_int_eq(SSL_session_reused(ssl_of(&w->server)) != 0, reused);
	return reused;
}

START_TEST(a_session_is_resumed_unless_that_is_off)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(&certificates.client, &certificates.ca);
	bool tls12 = _i >= 3;
	char first[256];
	struct wire w;

	server.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	server.no_resumption = _i % 3 == 1;
	client.no_resumption = _i % 3 == 2;
	server.tls12 = client.tls12 = 1;
	wire_between(&w, &server, &client);
	if (tls12)
		SSL_CTX_set_max_proto_version(((const struct tofu_tls_instance *)w.client_side->config)->context,
		                              TLS1_2_VERSION);
	ck_assert(!resumes(&w));
	(void)snprintf(first, sizeof first, "%s", identity_of(w.server_side, &w.server));
	for (int i = 0; i < 3; i++) {
		wire_hang_up(&w);
		ck_assert_int_eq(resumes(&w), _i % 3 == 0);
		ck_assert_str_eq(identity_of(w.server_side, &w.server), first);
	}
	wire_down(&w);
}
END_TEST

/* --- ends --- */

START_TEST(an_end_is_orderly_when_the_peer_says_so)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	unsigned want;
	struct wire w;

	wire_between(&w, &server, &client);
	wire_meet(&w);
	send_whole(w.client_side, &w.client, "last words");
	if (_i == 0)
		works(w.client_side->shutdown(w.client_side, &w.client, &want));
	else
		w.client_side->close(w.client_side, &w.client, TOFU_CLOSE_ORDERLY);
	receive_whole(w.server_side, &w.server, "last words");
	ck_status(receive_end(w.server_side, &w.server), TOFU_PEER_DISCONNECTED);
	ck_assert_ptr_null(w.server_side->explain(w.server_side, &w.server));
	wire_down(&w);
}
END_TEST

/* The ticket that the client never reads must not have TCP throw away what is still under way. */
START_TEST(all_that_was_sent_arrives_though_the_client_has_read_nothing)
{
	enum { LEN = 400 * 1024 };
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	char *bytes = calloc(1, LEN);
	struct tofu_iov iov = { bytes, LEN };
	unsigned want = TOFU_WRITABLE;
	size_t sent = 0, received = 0, done;
	enum tofu_status status;
	struct wire w;

	ck_assert_ptr_nonnull(bytes);
	wire_between(&w, &server, &client);
	wire_meet(&w);
	works(w.client_side->send(w.client_side, &w.client, &iov, 1, &sent, &want));
	w.client_side->close(w.client_side, &w.client, TOFU_CLOSE_ORDERLY);
	do {
		status = w.server_side->receive(w.server_side, &w.server, &iov, 1, &done, &want);
		received += done;
		if (status == TOFU_WOULD_BLOCK)
			os_pause();
	} while (status == TOFU_OK || status == TOFU_WOULD_BLOCK);
	ck_assert_uint_eq(received, sent);
	ck_status(status, sent == LEN ? TOFU_PEER_DISCONNECTED : TOFU_COMMUNICATION_FAILED);
	wire_down(&w);
	free(bytes);
}
END_TEST

START_TEST(who_has_said_all_still_hears)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	unsigned want;
	struct wire w;

	wire_between(&w, &server, &client);
	wire_meet(&w);
	works(w.client_side->shutdown(w.client_side, &w.client, &want));
	ck_status(receive_end(w.server_side, &w.server), TOFU_PEER_DISCONNECTED);
	send_whole(w.server_side, &w.server, "the answer");
	receive_whole(w.client_side, &w.client, "the answer");
	works(w.server_side->shutdown(w.server_side, &w.server, &want));
	ck_status(receive_end(w.client_side, &w.client), TOFU_PEER_DISCONNECTED);
	wire_down(&w);
}
END_TEST

/* Somebody between the two may have cut it. */
START_TEST(an_end_without_a_word_is_a_failure)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	struct tofu_tls_link *l;
	struct wire w;

	wire_between(&w, &server, &client);
	wire_meet(&w);
	l = w.client.state;
	send_whole(w.client_side, &w.client, "not the last");
	receive_whole(w.server_side, &w.server, "not the last");
	if (_i == 0)
		works(tofu_socket_shutdown(l->below.handle));
	else
		w.client_side->close(w.client_side, &w.client, TOFU_CLOSE_ABORT);
	ck_status(receive_end(w.server_side, &w.server), TOFU_COMMUNICATION_FAILED);
	ck_assert_ptr_nonnull(strstr(w.server_side->explain(w.server_side, &w.server), "close_notify"));
	wire_down(&w);
}
END_TEST

/* The last bytes and the end come in one read. An engine asks again when what was wanted holds: that has to hold. */
START_TEST(an_end_behind_the_last_bytes_is_told_though_nothing_more_comes)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	char bytes[64];
	struct tofu_iov iov = { bytes, sizeof bytes };
	unsigned want = TOFU_READABLE;
	size_t done;
	struct wire w;

	wire_between(&w, &server, &client);
	wire_meet(&w);
	send_whole(w.client_side, &w.client, "bytes");
	ck_assert_int_eq(SSL_shutdown(ssl_of(&w.client)), 0);
	eventually(test_ready(w.server.handle, TOFU_READABLE));
	works(w.server_side->receive(w.server_side, &w.server, &iov, 1, &done, &want));
	ck_assert_uint_eq(done, 5);
	if (SSL_get_shutdown(ssl_of(&w.server)) != 0)
		ck_assert(test_ready(w.server.handle, want));
	ck_status(receive_end(w.server_side, &w.server), TOFU_PEER_DISCONNECTED);
	wire_down(&w);
}
END_TEST

/* --- bytes --- */

enum { MUCH = 16 * 1024 * 1024 };

/* Odd pieces, some of none, some longer than a record; the same bytes again in other pieces where nothing was done. */
static size_t send_some(struct wire *w, const unsigned char *bytes, size_t len, uint64_t *seed)
{
	struct tofu_iov iov[8];
	unsigned want = TOFU_WRITABLE;
	size_t count = 0, all = 0, done;
	enum tofu_status status;

	while (count < 8) {
		size_t n = dice(seed, dice(seed, 2) == 0 ? 300 : 50000);

		if (count == 7 || n > len - all)
			n = len - all;
		iov[count++] = (struct tofu_iov){ (void *)(uintptr_t)(bytes + all), n };
		all += n;
	}
	status = w->client_side->send(w->client_side, &w->client, iov, count, &done, &want);
	if (status == TOFU_WOULD_BLOCK)
		return 0;
	works(status);
	return done;
}

static size_t receive_some(struct wire *w, unsigned char *to, size_t len, uint64_t *seed)
{
	size_t first = dice(seed, 3000), second = dice(seed, 60000), done;
	struct tofu_iov iov[2];
	unsigned want = TOFU_READABLE;
	enum tofu_status status;

	if (first > len)
		first = len;
	if (second > len - first)
		second = len - first;
	iov[0] = (struct tofu_iov){ to, first };
	iov[1] = (struct tofu_iov){ to + first, second };
	if (first + second == 0)
		return 0;
	status = w->server_side->receive(w->server_side, &w->server, iov, 2, &done, &want);
	if (status == TOFU_WOULD_BLOCK)
		return 0;
	works(status);
	/* Nothing that fits may be left above the socket: it would not be asked for. */
	must(done == first + second || SSL_pending(ssl_of(&w->server)) == 0, "bytes were kept back");
	return done;
}

START_TEST(pieces_of_any_kind_come_out_as_they_went_in)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	unsigned char *from = malloc(MUCH), *to = malloc(MUCH);
	uint64_t seed = fresh_seed("pieces");
	size_t sent = 0, received = 0;
	struct wire w;

	ck_assert(from != NULL && to != NULL);
	for (size_t i = 0; i < MUCH; i++)
		from[i] = (unsigned char)(i * 2654435761u >> 13);
	wire_between(&w, &server, &client);
	wire_meet(&w);
	while (received < MUCH) {
		size_t done = sent < MUCH ? send_some(&w, from + sent, MUCH - sent, &seed) : 0;

		sent += done;
		if (done == 0) /* no more goes, so there is a record that is half out */
			received += receive_some(&w, to + received, MUCH - received, &seed);
		must(received <= sent, "more came than was sent");
	}
	ck_assert_mem_eq(from, to, MUCH);
	wire_down(&w);
	free(from);
	free(to);
}
END_TEST

/* Below are a byte at a time and a wait every other call; or a read that waits until writing is possible; or files. */
START_TEST(any_transport_will_do_below)
{
	struct tofu_tls_options o = options_of(&certificates.server, &certificates.ca);
	const struct tofu_transport *lower[] = { fake_tiny(OVER_TCP), fake_turned(OVER_TCP), tofu_unix() };
	tofu_engine *engine;
	struct tofu_transport *t;
	struct pair p;

	if (_i == 2 && !os_has_unix_sockets()) {
		printf("skipped: no Unix sockets\n");
		return;
	}
	p.descriptors = os_descriptors();
	o.over = lower[_i];
	o.name = "localhost"; /* not all of them have addresses with a host */
	engine = engine_up(NULL);
	t = instance(&o);
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	p.server = side_in(engine);
	p.client = side_in(engine);
	turned_receives(20);
	listen_at(&p.server, _i == 2 ? "secure|" : "secure|127.0.0.1|0", &p.at);
	pair_meet(&p);
	pair_talk(&p);
	pair_bye(&p);
	pair_meet(&p);
	pair_talk(&p);
	pair_close(&p);
}
END_TEST

START_TEST(where_addresses_have_no_host_a_name_is_needed)
{
	struct tofu_tls_options o = options_of(&certificates.server, &certificates.ca);
	tofu_engine *engine;
	struct tofu_transport *t;
	struct listening at;
	struct side side;

	if (!os_has_unix_sockets()) {
		printf("skipped: no Unix sockets\n");
		return;
	}
	o.over = tofu_unix();
	engine = engine_up(NULL);
	t = instance(&o);
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	side = side_in(engine);
	listen_at(&side, "secure|", &at);
	call_fails(&side, at.address, TOFU_NOT_ALLOWED);
	engine_down(engine);
}
END_TEST

/* --- engines --- */

enum { LINES = 64 };

static struct {
	atomic_uint lines;
	char text[LINES][256];
} logged;

static void note(void *context, enum tofu_log_level level, const char *text)
{
	unsigned at = atomic_load(&logged.lines);

	if (level != TOFU_LOG_WARNING || at == LINES)
		return;
	(void)snprintf(logged.text[at], sizeof logged.text[at], "%s", text);
	atomic_store(&logged.lines, at + 1);
}

static bool was_logged(const char *words)
{
	for (unsigned i = 0; i < atomic_load(&logged.lines); i++)
		if (strstr(logged.text[i], words) != NULL)
			return true;
	return false;
}

static void forget_log(void)
{
	atomic_store(&logged.lines, 0);
}

/* An engine with TLS under the scheme "secure", both ways. */
static tofu_engine *secure_engine(uint32_t handshake_ms)
{
	struct tofu_tls_options o = options_of(&certificates.server, &certificates.ca);
	struct tofu_options options;
	struct tofu_transport *t;
	tofu_engine *engine;

	tofu_options_init(&options, sizeof options);
	options.log = note;
	if (handshake_ms > 0)
		options.handshake_timeout_ms = handshake_ms;
	engine = engine_up(&options);
	t = instance(&o);
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	return engine;
}

static void secure_pair(struct pair *p)
{
	p->descriptors = os_descriptors();
	p->server = side_in(secure_engine(0));
	p->client = side_in(secure_engine(0));
	listen_at(&p->server, "secure|127.0.0.1|0", &p->at);
	pair_meet(p);
}

START_TEST(engines_talk_and_part)
{
	struct pair p;

	secure_pair(&p);
	ck_assert_int_eq(strncmp(p.at.address, "secure|127.0.0.1|", 17), 0);
	pair_talk(&p);
	pair_bye(&p);
	pair_close(&p);
	ck_assert_uint_eq(logged.lines, 0);
}
END_TEST

START_TEST(a_name_that_is_called_is_the_one_in_the_certificate)
{
	tofu_engine *engine;
	struct pair p = { 0 };
	char address[128];

	if (!os_knows_localhost())
		return;
	engine = secure_engine(0);
	p.server = side_in(engine);
	p.client = side_in(engine);
	listen_at(&p.server, "secure|127.0.0.1|0", &p.at);
	(void)snprintf(address, sizeof address, "secure|localhost|%s", strrchr(p.at.address, '|') + 1);
	(void)snprintf(p.at.address, sizeof p.at.address, "%s", address);
	pair_meet(&p);
	pair_talk(&p);
	engine_down(engine);
}
END_TEST

static size_t echo_size(unsigned i)
{
	return i % 65536;
}

/* Every size once, and then on from the smallest. In quick form every ninety-seventh. */
START_TEST(bodies_of_every_size_come_back_as_they_are)
{
	enum { AT_ONCE = 8, ALL = 100000 };
	const unsigned step = rounds(10) == 10 ? 1 : 97;
	struct pair p;

	secure_pair(&p);
	for (unsigned next = 0; next < ALL;) {
		unsigned first = next;

		for (int n = 0; n < AT_ONCE && next < ALL; n++, next += step) {
			tofu_msg *msg = message(&p.client, TOFU_REQUEST, p.client_channel, 0, NULL);
			void *body;

			works(tofu_msg_body_reserve(msg, echo_size(next), &body));
			memset(body, (int)(next * 31 + 7) & 0xff, echo_size(next));
			if (echo_size(next) >= 8)
				number_body(msg, next, echo_size(next));
			post(&p.client, &msg);
			msg = NULL;
		}
		for (unsigned i = first; i < next; i += step) {
			tofu_msg *msg = expect_peer(&p.server, TOFU_REQUEST);
			size_t len;

			(void)tofu_msg_body(msg, &len);
			must(len == echo_size(i), "%zu instead of %zu bytes", len, echo_size(i));
			answer(&p.server, &msg, TOFU_RESPONSE);
		}
		for (unsigned i = first; i < next; i += step) {
			tofu_msg *msg = expect_peer(&p.client, TOFU_RESPONSE);
			size_t len;
			const unsigned char *body = tofu_msg_body(msg, &len);

			must(len == echo_size(i), "%zu instead of %zu bytes", len, echo_size(i));
			if (len >= 8)
				must(number_of(msg) == i, "another body");
			for (size_t b = 0; len < 8 && b < len; b++)
				must(body[b] == ((i * 31 + 7) & 0xff), "another body");
			tofu_msg_put(&msg);
		}
	}
	pair_close(&p);
}
END_TEST

START_TEST(a_thousand_connections)
{
	const unsigned count = rounds(1000);
	tofu_engine *engine = secure_engine(60000);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;

	if (os_raise_descriptor_limit() < 2 * count + 100) {
		printf("skipped: too few descriptors\n");
		engine_down(engine);
		return;
	}
	listen_at(&server, "secure|127.0.0.1|0", &at);
	for (unsigned done = 0; done < count;) {
		unsigned some = count - done < 50 ? count - done : 50;

		for (unsigned i = 0; i < some; i++)
			call(&client, at.address, "hello");
		for (unsigned i = 0; i < some; i++) {
			tofu_msg *msg = expect_peer(&server, TOFU_HELLO_REQUEST);

			answer(&server, &msg, TOFU_HELLO_RESPONSE);
		}
		for (unsigned i = 0; i < some; i++) {
			tofu_msg *msg = expect_peer(&client, TOFU_HELLO_RESPONSE);

			tofu_msg_put(&msg);
		}
		done += some;
	}
	ck_assert_uint_eq(stats_of(engine).channels_open, 2 * count);
	engine_down(engine);
}
END_TEST

START_TEST(what_is_no_tls_is_refused_and_named)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		                             "hello, is there anybody out there?" };
	static const char *const words[] = { "http request", "wrong version number" };
	tofu_engine *engine = secure_engine(0);
	struct side side = side_in(engine);
	struct listening at;
	struct raw peer;

	listen_at(&side, "secure|127.0.0.1|0", &at);
	raw_call(&peer, at.address);
	raw_write(&peer, texts[_i], strlen(texts[_i]));
	must(os_read_to_end(peer.socket, PATIENCE_NS) == OS_FIN, "the peer is not hung up on");
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	eventually(connections_of(engine) == 0);
	eventually(was_logged(words[_i]));
	ck_assert(was_logged("accepted, peer secure|127.0.0.1|"));
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(a_plain_peer_and_a_secure_one_do_not_meet)
{
	tofu_engine *engine = secure_engine(0);
	struct side server = side_in(engine), client = side_in(engine);
	struct listening at;
	char address[128];

	listen_at(&server, _i == 0 ? "secure|127.0.0.1|0" : "tcp|127.0.0.1|0", &at);
	(void)snprintf(address, sizeof address, "%s|%s", _i == 0 ? "tcp" : "secure", path_of(at.address));
	call_fails(&client, address, TOFU_PEER_DISCONNECTED);
	eventually(connections_of(engine) == 0);
	expect_silence(&server);
	engine_down(engine);
}
END_TEST

/* Nothing at all, the beginning of a hello, or a TLS record that never ends. */
START_TEST(who_stalls_in_the_handshake_holds_up_nobody)
{
	static const struct {
		const char *bytes;
		size_t len;
	} stalls[] = { { "", 0 }, { "\x16\x03\x01", 3 }, { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11 } };
	tofu_engine *engine = secure_engine(1000);
	struct pair p = { .server = side_in(engine), .client = side_in(engine) };
	struct raw peer;

	listen_at(&p.server, "secure|127.0.0.1|0", &p.at);
	raw_call(&peer, p.at.address);
	raw_write(&peer, stalls[_i].bytes, stalls[_i].len);
	eventually(stats_of(engine).channels_accepted == 1);
	pair_meet(&p);
	pair_talk(&p);
	must(os_read_to_end(peer.socket, PATIENCE_NS) != OS_NOT_THE_END, "it is still there");
	raw_hang_up(&peer, TOFU_CLOSE_ORDERLY);
	pair_talk(&p);
	engine_down(engine);
}
END_TEST

START_TEST(a_server_that_stalls_is_given_up)
{
	tofu_engine *engine = secure_engine(300);
	struct side side = side_in(engine);
	char address[128], called[128];
	intptr_t listener = raw_listen(OVER_TCP, address, sizeof address);

	(void)snprintf(called, sizeof called, "secure|%s", path_of(address));
	call_fails(&side, called, TOFU_TIMEOUT);
	tofu_socket_close(listener, TOFU_CLOSE_ORDERLY);
	engine_down(engine);
}
END_TEST

START_TEST(a_refusal_is_logged_once_with_its_reason)
{
	tofu_engine *engine = secure_engine(0);
	struct side server = side_in(engine), client = side_in(engine);
	struct tofu_tls_options o = options_of(NULL, &certificates.other_ca);
	struct tofu_transport *t;
	struct listening at;
	char address[128];

	o.scheme = "strict";
	t = instance(&o);
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	listen_at(&server, "secure|127.0.0.1|0", &at);
	(void)snprintf(address, sizeof address, "strict|%s", path_of(at.address));
	call_fails(&client, address, TOFU_PERMISSION_DENIED);
	eventually(connections_of(engine) == 0);
	engine_down(engine);
	ck_assert_uint_eq(logged.lines, 2); /* each side says what it saw */
	ck_assert(was_logged("connecting, peer strict|127.0.0.1|"));
	ck_assert(was_logged("TLS: certificate verify failed: unable to get local issuer certificate"));
	ck_assert(was_logged("TLS: tlsv1 alert unknown ca"));
}
END_TEST

/* It has said hello already, at length, when it is refused. */
START_TEST(a_caller_that_is_refused_learns_why)
{
	struct tofu_tls_options server = options_of(&certificates.server, &certificates.ca);
	struct tofu_tls_options client = options_of(NULL, &certificates.ca);
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine), caller = side_in(engine);
	struct tofu_transport *t[2];
	struct listening at;
	char address[128];

	server.verify_client = TOFU_TLS_VERIFY_REQUIRED;
	client.scheme = "nobody";
	t[0] = instance(&server);
	t[1] = instance(&client);
	for (int i = 0; i < 2; i++) {
		works(tofu_engine_register(engine, t[i]));
		tofu_transport_destroy(t[i]);
	}
	listen_at(&side, "secure|127.0.0.1|0", &at);
	(void)snprintf(address, sizeof address, "nobody|%s", path_of(at.address));
	for (unsigned i = 0; i < rounds(50); i++) {
		tofu_msg *msg = message(&caller, TOFU_REQUEST, 0, 0, NULL);
		struct tofu_header h;

		number_body(msg, i, 60000);
		works(tofu_msg_connect_to(msg, address));
		h = post(&caller, &msg);
		msg = expect_on(&caller, h.channel, h.id, TOFU_HELLO_RESPONSE, TOFU_ORIGIN_ENGINE,
		                TOFU_PERMISSION_DENIED);
		tofu_msg_put(&msg);
		expect_end(&caller, h.channel, h.id, TOFU_PERMISSION_DENIED);
	}
	expect_silence(&side);
	engine_down(engine);
}
END_TEST

START_TEST(who_has_no_certificate_cannot_listen)
{
	struct tofu_tls_options o = options_of(NULL, &certificates.ca);
	tofu_engine *engine = engine_up(NULL);
	struct side side = side_in(engine);
	struct tofu_transport *t = instance(&o);

	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	listen_fails(&side, "secure|127.0.0.1|0", TOFU_NOT_ALLOWED);
	engine_down(engine);
}
END_TEST

/* --- options --- */

static void expect_refused(struct tofu_tls_options *o, enum tofu_status status, const char *words)
{
	struct tofu_transport *t = (struct tofu_transport *)o;
	char error[256] = "?";

	o->error = error;
	o->error_capacity = sizeof error;
	ck_status(tofu_tls_create(o, &t), status);
	ck_assert_ptr_null(t);
	ck_assert_msg(strstr(error, words) != NULL, "\"%s\" is not in \"%s\"", words, error);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(options_that_cannot_be_are_refused_in_words)
{
	struct tofu_tls_options o = options_of(&certificates.server, &certificates.ca);

	o.key = certificates.client.key;
	expect_refused(&o, TOFU_NOT_ALLOWED, "key, for this certificate: key values mismatch");
	o.key = "no key";
	expect_refused(&o, TOFU_NOT_ALLOWED, "key: ");
	o.key = NULL;
	expect_refused(&o, TOFU_NOT_ALLOWED, "key: ");
	o = options_of(&certificates.server, &certificates.ca);
	o.certificate = "no certificate";
	expect_refused(&o, TOFU_NOT_ALLOWED, "certificate: no start line");
	o.certificate = NULL;
	expect_refused(&o, TOFU_NOT_ALLOWED, "there is no certificate");
	o = options_of(&certificates.server, &certificates.ca);
	o.certificate_file = "x";
	expect_refused(&o, TOFU_NOT_ALLOWED, "both a file and a text");
	o.certificate = NULL;
	o.certificate_file = "/no/such/file";
	expect_refused(&o, TOFU_NOT_ALLOWED, "certificate: /no/such/file: there is no such file");
	o = options_of(NULL, NULL);
	o.ca = "no CA";
	expect_refused(&o, TOFU_NOT_ALLOWED, "ca: no start line");
	o.ca = NULL;
	o.fingerprint = "12:34";
	expect_refused(&o, TOFU_NOT_ALLOWED, "fingerprint");
	o.fingerprint = NULL;
	o.verify_server = 4;
	expect_refused(&o, TOFU_NOT_ALLOWED, "verify");
	o.verify_server = 0;
	o.scheme = "a b";
	expect_refused(&o, TOFU_NOT_ALLOWED, "");
	ck_status(tofu_tls_create(NULL, NULL), TOFU_NOT_ALLOWED);
}
END_TEST

START_TEST(a_key_may_stand_with_its_certificate)
{
	struct tofu_tls_options o = options_of(NULL, NULL);
	char both[8192];
	struct tofu_transport *t;

	(void)snprintf(both, sizeof both, "%s%s", certificates.server.text, certificates.server.key);
	o.certificate = both;
	t = instance(&o);
	ck_assert_ptr_nonnull(SSL_CTX_get0_certificate(((const struct tofu_tls_instance *)t->config)->context));
	tofu_transport_destroy(t);
}
END_TEST

static int held;

static void count_hold(const struct tofu_transport *t)
{
	held++;
}

static void count_release(const struct tofu_transport *t)
{
	held--;
}

START_TEST(what_it_runs_over_is_held)
{
	struct tofu_tls_options o = options_of(NULL, NULL);
	struct tofu_transport lower = *tofu_tcp(), *t;

	lower.hold = count_hold;
	lower.release = count_release;
	o.over = &lower;
	t = instance(&o);
	ck_assert_int_eq(held, 1);
	tofu_transport_destroy(t);
	ck_assert_int_eq(held, 0);
	o.ca = "no CA";
	ck_status(tofu_tls_create(&o, &t), TOFU_NOT_ALLOWED);
	ck_assert_int_eq(held, 0);
	lower.abi--;
	ck_status(tofu_tls_create(&o, &t), TOFU_NOT_SUPPORTED);
}
END_TEST

/* --- --- */

static Suite *suite_of_tls(void)
{
	Suite *suite = suite_create("tls");
	TCase *peers = suite_case(suite, "peers", 60), *protocol = suite_case(suite, "protocol", 60),
	      *ends = suite_case(suite, "ends", 60), *bytes = suite_case(suite, "bytes", 240),
	      *engines = suite_case(suite, "engines", 60), *options = suite_case(suite, "options", 60);
	TCase *all[] = { peers, protocol, ends, bytes, engines, options };
	const int refusal_count = sizeof refusals / sizeof refusals[0];

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		tcase_add_checked_fixture(all[i], make_certificates, free_certificates);
	tcase_add_checked_fixture(engines, forget_log, NULL);
	tcase_add_test(peers, each_knows_who_the_other_is);
	tcase_add_test(peers, who_is_not_judged_is_nobody);
	tcase_add_loop_test(peers, a_client_may_have_no_certificate_where_that_is_optional, 0, 2);
	tcase_add_test(peers, a_long_identity_is_cut_but_for_its_fingerprint);
	tcase_add_loop_test(peers, who_is_refused_and_why_both_sides_learn, 0, refusal_count);
	tcase_add_test(peers, who_is_refused_can_send_until_it_knows);
	tcase_add_loop_test(peers, a_pinned_certificate_is_good_as_it_is, 0, 4);
	tcase_add_loop_test(protocol, the_lower_version_has_to_be_asked_for, 0, 2);
	tcase_add_loop_test(protocol, a_peer_that_does_not_name_the_protocol_is_refused, 0, 3);
	tcase_add_loop_test(protocol, who_wants_to_renegotiate_is_not_followed, 0, 2);
	tcase_add_loop_test(protocol, a_session_is_resumed_unless_that_is_off, 0, 6);
	tcase_add_loop_test(ends, an_end_is_orderly_when_the_peer_says_so, 0, 2);
	tcase_add_test(ends, all_that_was_sent_arrives_though_the_client_has_read_nothing);
	tcase_add_test(ends, who_has_said_all_still_hears);
	tcase_add_loop_test(ends, an_end_without_a_word_is_a_failure, 0, 2);
	tcase_add_test(ends, an_end_behind_the_last_bytes_is_told_though_nothing_more_comes);
	tcase_add_test(bytes, pieces_of_any_kind_come_out_as_they_went_in);
	tcase_add_test(bytes, bodies_of_every_size_come_back_as_they_are);
	tcase_add_loop_test(engines, any_transport_will_do_below, 0, 3);
	tcase_add_test(engines, where_addresses_have_no_host_a_name_is_needed);
	tcase_add_test(engines, engines_talk_and_part);
	tcase_add_test(engines, a_name_that_is_called_is_the_one_in_the_certificate);
	tcase_add_test(engines, a_thousand_connections);
	tcase_add_loop_test(engines, what_is_no_tls_is_refused_and_named, 0, 2);
	tcase_add_loop_test(engines, a_plain_peer_and_a_secure_one_do_not_meet, 0, 2);
	tcase_add_loop_test(engines, who_stalls_in_the_handshake_holds_up_nobody, 0, 3);
	tcase_add_test(engines, a_server_that_stalls_is_given_up);
	tcase_add_test(engines, a_refusal_is_logged_once_with_its_reason);
	tcase_add_test(engines, a_caller_that_is_refused_learns_why);
	tcase_add_test(engines, who_has_no_certificate_cannot_listen);
	tcase_add_test(options, options_that_cannot_be_are_refused_in_words);
	tcase_add_test(options, a_key_may_stand_with_its_certificate);
	tcase_add_test(options, what_it_runs_over_is_held);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_tls());
}
