/* SPDX-License-Identifier: MIT */

/*
 * The floor of TLS: the same works with OpenSSL on blocking sockets, one SSL_write() for each frame, and SSL_read() into a block.
 * A frame is four bytes of length and the body. TLS 1.3; the server's certificate signs itself and is not judged, and no session
 * is resumed.
 */

#include "lib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { HEADER = 4, BLOCK = 256 * 1024 };

static unsigned char block[BLOCK];
static unsigned char frame[HEADER + 65536];

static int checked(int result, const char *what)
{
	if (result < 0)
		tofu_bench_die("%s: %s", what, strerror(errno));
	return result;
}

static void must_ssl(int held, const char *what)
{
	if (!held)
		tofu_bench_die("%s: %s", what, ERR_reason_error_string(ERR_peek_error()));
}

/* contexts */

static void certify(SSL_CTX *context)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	must_ssl(key != NULL && x != NULL && X509_set_version(x, X509_VERSION_3) == 1, "certificate");
	must_ssl(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1, 0) == 1,
	         "name");
	must_ssl(X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1, "issuer");
	must_ssl(X509_gmtime_adj(X509_getm_notBefore(x), -60) != NULL, "time");
	must_ssl(X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL, "time");
	must_ssl(X509_sign(x, key, EVP_sha256()) > 0, "signature");
	must_ssl(SSL_CTX_use_certificate(context, x) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1, "key");
	X509_free(x);
	EVP_PKEY_free(key);
}

static SSL_CTX *new_context(const struct bench_options *o)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	if (o->transport != BENCH_TCP)
		tofu_bench_die("TLS is measured over tcp only");
	(void)signal(SIGPIPE, SIG_IGN);
	must_ssl(context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "context");
	SSL_CTX_set_read_ahead(context, 1);
	if (o->serve)
		certify(context);
	return context;
}

/* sockets */

static void no_delay(int fd)
{
	int on = 1;

	(void)checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

static int listen_on(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof at;
	int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	char text[40];

	(void)checked(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
	(void)checked(listen(fd, 4096), "listen");
	(void)checked(getsockname(fd, (struct sockaddr *)&at, &length), "getsockname");
	(void)snprintf(text, sizeof text, "tcp://127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
	tofu_bench_listening(text);
	return fd;
}

static SSL *begin(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);

	no_delay(fd);
	must_ssl(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "SSL_new");
	return ssl;
}

static SSL *accept_one(SSL_CTX *context, int listener)
{
	SSL *ssl = begin(context, checked(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept"));

	must_ssl(SSL_accept(ssl) == 1, "SSL_accept");
	return ssl;
}

static SSL *connect_to(SSL_CTX *context, const struct bench_options *o)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const char *port = strrchr(o->to, ':');
	int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	SSL *ssl;

	if (port == NULL)
		tofu_bench_die("'%s' is not an address", o->to);
	to.sin_port = htons((uint16_t)atoi(port + 1));
	(void)checked(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
	ssl = begin(context, fd);
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

static size_t frame_make(const struct bench_options *o)
{
	memcpy(frame, &o->size, HEADER);
	memcpy(frame + HEADER, tofu_bench_body(), o->size);
	return HEADER + o->size;
}

static void frame_check(const struct bench_options *o, const unsigned char *at)
{
	uint32_t size = 0;

	memcpy(&size, at, HEADER);
	if (size != o->size)
		tofu_bench_die("a frame of %u bytes", (unsigned)size);
}

static void round_trip(const struct bench_options *o, SSL *ssl, size_t n)
{
	write_whole(ssl, frame, n);
	if (!read_whole(ssl, frame, n))
		tofu_bench_die("the server is gone");
	frame_check(o, frame);
}

static void echo(const struct bench_options *o, SSL *ssl)
{
	if (!read_whole(ssl, frame, HEADER + o->size))
		tofu_bench_die("the client is gone");
	frame_check(o, frame);
	write_whole(ssl, frame, HEADER + o->size);
}

/* throughput */

static void serve_throughput(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	SSL *ssl = accept_one(context, listen_on());
	size_t whole = HEADER + o->size, have = 0, got;
	uint64_t seen = 0;

	while (seen < o->count) {
		size_t at = 0;

		must_ssl(SSL_read_ex(ssl, block + have, BLOCK - have, &got) == 1, "SSL_read");
		have += got;
		for (; have - at >= whole; at += whole) {
			frame_check(o, block + at);
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
	SSL *ssl = connect_to(context, o);

	tofu_bench_begin(r);
	for (uint64_t i = 0; i < o->count; i++)
		write_whole(ssl, frame, frame_make(o));
	tofu_bench_end(r, o->count - 1);
	if (read_whole(ssl, frame, 1))
		tofu_bench_die("an answer where none was due");
	end(ssl);
}

/* latency */

static void serve_latency(struct bench_options *o, struct bench_result *r)
{
	SSL_CTX *context = new_context(o);
	SSL *ssl = accept_one(context, listen_on());

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
	SSL *ssl = connect_to(context, o);
	size_t n = frame_make(o);

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
	int listener = listen_on();

	for (uint64_t i = 0; i < o->count; i++) {
		SSL *ssl = accept_one(context, listener);

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
		SSL *ssl = connect_to(context, o);

		round_trip(o, ssl, frame_make(o));
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
