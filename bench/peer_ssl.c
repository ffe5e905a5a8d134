/* SPDX-License-Identifier: MIT */

/*
 * The floor of TLS: the same works with OpenSSL on blocking sockets, one SSL_write() for each frame, and SSL_read() into a block.
 * TLS 1.3; the client judges the server's certificate, and no session is resumed.
 */

#include "sockets.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { BLOCK = 256 * 1024 };

static unsigned char block[BLOCK];
static unsigned char frame[BENCH_FRAME_MAX];

static void must_ssl(int held, const char *what)
{
	if (!held)
		tofu_bench_die("%s: %s", what, ERR_reason_error_string(ERR_peek_error()));
}

/* contexts */

static SSL_CTX *new_context(const struct bench_options *o)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	if (o->transport != BENCH_TLS)
		tofu_bench_die("this measures --transport tls only");
	(void)signal(SIGPIPE, SIG_IGN);
	must_ssl(context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "context");
	SSL_CTX_set_read_ahead(context, 1);
	if (o->serve) {
		must_ssl(SSL_CTX_use_certificate_chain_file(context, o->cert) == 1, o->cert);
		must_ssl(SSL_CTX_use_PrivateKey_file(context, o->key, SSL_FILETYPE_PEM) == 1, o->key);
	} else {
		must_ssl(SSL_CTX_load_verify_file(context, o->ca) == 1, o->ca);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	}
	return context;
}

/* connections */

static SSL *begin(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);

	must_ssl(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "SSL_new");
	return ssl;
}

static SSL *accept_one(const struct bench_options *o, SSL_CTX *context, int listener)
{
	SSL *ssl = begin(context, tofu_bench_accept(o, listener));

	must_ssl(SSL_accept(ssl) == 1, "SSL_accept");
	return ssl;
}

static SSL *connect_to(const struct bench_options *o, SSL_CTX *context)
{
	SSL *ssl = begin(context, tofu_bench_connect(o));

	must_ssl(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1") == 1, "name");
	must_ssl(SSL_connect(ssl) == 1, "SSL_connect");
	return ssl;
}

static void end(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	(void)close(fd);
}

/* frames */

static void write_whole(SSL *ssl, const unsigned char *bytes, size_t n)
{
	size_t done;

	must_ssl(SSL_write_ex(ssl, bytes, n, &done) == 1 && done == n, "SSL_write");
}

/* False: the peer is gone, between two frames. */
static bool read_whole(SSL *ssl, unsigned char *bytes, size_t n)
{
	size_t have = 0, got;

	while (have < n) {
		int result = SSL_read_ex(ssl, bytes + have, n - have, &got);

		if (result != 1 && have == 0)
			return false;
		must_ssl(result == 1, "SSL_read");
		have += got;
	}
	return true;
}

static void round_trip(const struct bench_options *o, SSL *ssl, size_t n)
{
	write_whole(ssl, frame, n);
	if (!read_whole(ssl, frame, n))
		tofu_bench_die("the server is gone");
	tofu_bench_check_frame(o, frame);
}

static void echo(const struct bench_options *o, SSL *ssl)
{
	if (!read_whole(ssl, frame, BENCH_HEADER + o->size))
		tofu_bench_die("the client is gone");
	tofu_bench_check_frame(o, frame);
	write_whole(ssl, frame, BENCH_HEADER + o->size);
}

/* throughput */

static void serve_throughput(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	SSL *ssl = accept_one(o, context, tofu_bench_listen(o));
	size_t whole = BENCH_HEADER + o->size, have = 0, got;
	uint64_t seen = 0;

	while (seen < o->count) {
		size_t at = 0;

		must_ssl(SSL_read_ex(ssl, block + have, BLOCK - have, &got) == 1, "SSL_read");
		have += got;
		for (; have - at >= whole; at += whole) {
			tofu_bench_check_frame(o, block + at);
			if (++seen == 1)
				tofu_bench_begin(r);
		}
		have -= at;
		memmove(block, block + at, have);
	}
	tofu_bench_end(r, seen - 1);
	end(ssl);
}

static void call_throughput(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	SSL *ssl = connect_to(o, context);

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++)
		write_whole(ssl, frame, tofu_bench_frame(o, frame));
	tofu_bench_end(r, o->count - 1);
	if (read_whole(ssl, frame, 1))
		tofu_bench_die("an answer where none was due");
	end(ssl);
}

/* latency */

static void serve_latency(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	SSL *ssl = accept_one(o, context, tofu_bench_listen(o));

	for (uint64_t i = 0; i < o->count; i++) {
		echo(o, ssl);
		if (i == 0)
			tofu_bench_begin(r);
	}
	tofu_bench_end(r, o->count - 1);
	end(ssl);
}

static void call_latency(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	SSL *ssl = connect_to(o, context);
	size_t n = tofu_bench_frame(o, frame);

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();

		round_trip(o, ssl, n);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
	end(ssl);
}

/* churn */

static void serve_churn(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	int listener = tofu_bench_listen(o);

	for (uint64_t i = 0; i < o->count; i++) {
		SSL *ssl = accept_one(o, context, listener);

		echo(o, ssl);
		if (i == 0)
			tofu_bench_begin(r);
		(void)read_whole(ssl, frame, 1);
		end(ssl);
	}
	tofu_bench_end(r, o->count - 1);
}

static void call_churn(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++) {
		int64_t before = tofu_bench_now_ns();
		SSL *ssl = connect_to(o, context);

		round_trip(o, ssl, tofu_bench_frame(o, frame));
		end(ssl);
		tofu_bench_add(r, tofu_bench_now_ns() - before);
	}
	tofu_bench_end(r, o->count);
}

static const char *version(void)
{
	return OPENSSL_VERSION_TEXT;
}

int main(int argc, char **argv)
{
	static const struct bench_peer peer = {
		.program = "peer_ssl",
		.version = version,
		.serve = { [BENCH_THROUGHPUT] = serve_throughput,
		           [BENCH_LATENCY] = serve_latency,
		           [BENCH_CHURN] = serve_churn },
		.call = { [BENCH_THROUGHPUT] = call_throughput,
		          [BENCH_LATENCY] = call_latency,
		          [BENCH_CHURN] = call_churn },
	};

	return tofu_bench_main(argc, argv, &peer);
}
