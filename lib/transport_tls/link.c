/* SPDX-License-Identifier: MIT */

/*
 * TLS on a link.
 *
 * OpenSSL reads and writes through a BIO that calls the transport below, so statuses stay what they are: each is noted in the
 * link, and given on when OpenSSL has come back. "Call again" of the transport below is a retry to OpenSSL, which then says so
 * itself.
 *
 * Receiving fills the vector record by record. The transport below keeps nothing that it could have given, so a read that was not
 * filled need not be followed by one that finds nothing: `drained`.
 *
 * Sending: pieces are gathered into records. One that did not go out whole stays in OpenSSL, which has to get the same bytes again:
 * `pending` says how many, and the engine begins with them, for nothing was said to be done.
 *
 * An end that is not the peer's close_notify may be anybody's: it is a failure, for what came last may be missing.
 */

#include "transport_tls/link.h"

#include <string.h>

#include <openssl/err.h>

#include "transport_tls/fault.h"
#include "transport_tls/peer.h"
#include "transport_tls/sessions.h"

enum {
	RECORD = SSL3_RT_MAX_PLAIN_LENGTH,
	FAULT_TEXT = 200,
	ADDRESS_TEXT = 640,           /* longer than any */
	DISCARDED_AT_ONCE = 64 * 1024 /* of a peer that is refused */
};

/* --- the way to the transport below --- */

static bool is_to_be_repeated(enum tofu_status status)
{
	return status == TOFU_WOULD_BLOCK || status == TOFU_ALLOCATION_FAILED || status == TOFU_LIMIT_REACHED;
}

static int write_below(BIO *bio, const char *data, size_t len, size_t *done)
{
	struct tofu_tls_link *l = BIO_get_data(bio);
	const struct tofu_transport *over = l->instance->over;
	/* struct tofu_iov serves both directions; sending does not write to it */
	struct tofu_iov iov = { (void *)(uintptr_t)data, len };

	BIO_clear_retry_flags(bio);
	*done = 0;
	l->want = TOFU_WRITABLE;
	l->status = over->send(over, &l->below, &iov, 1, done, &l->want);
	if (l->status == TOFU_OK)
		return 1;
	if (is_to_be_repeated(l->status))
		BIO_set_retry_write(bio);
	return 0;
}

static int read_below(BIO *bio, char *data, size_t len, size_t *done)
{
	struct tofu_tls_link *l = BIO_get_data(bio);
	const struct tofu_transport *over = l->instance->over;
	struct tofu_iov iov = { data, len };

	BIO_clear_retry_flags(bio);
	*done = 0;
	if (l->drained) {
		l->status = TOFU_WOULD_BLOCK;
		l->want = l->read_want;
	} else {
		l->want = TOFU_READABLE;
		l->status = over->receive(over, &l->below, &iov, 1, done, &l->want);
		l->read_want = l->want;
	}
	if (l->status == TOFU_OK) {
		l->heard = true;
		l->drained = *done < len;
		return 1;
	}
	if (is_to_be_repeated(l->status))
		BIO_set_retry_read(bio);
	return 0;
}

/* Nothing is buffered here, so nothing has to be flushed. */
static long control(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tofu_tls_bio_new(void)
{
	BIO_METHOD *bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tofu transport");

	if (bio != NULL && BIO_meth_set_write_ex(bio, write_below) && BIO_meth_set_read_ex(bio, read_below) &&
	    BIO_meth_set_ctrl(bio, control))
		return bio;
	BIO_meth_free(bio);
	return NULL;
}

/* --- beginning and end --- */

struct tofu_tls_link *tofu_tls_link_new(const struct tofu_tls_instance *instance, const char *called)
{
	size_t size = strlen(called) + 1;
	struct tofu_tls_link *l = OPENSSL_zalloc(sizeof *l + size);

	if (l == NULL)
		return NULL;
	l->instance = instance;
	l->below.handle = TOFU_NO_SOCKET;
	memcpy(l->called, called, size);
	return l;
}

void tofu_tls_link_free(struct tofu_tls_link *l)
{
	if (l == NULL)
		return;
	SSL_free(l->ssl);
	OPENSSL_free(l->fault);
	OPENSSL_free(l->peer);
	OPENSSL_free(l);
}

static bool begin_to_call(struct tofu_tls_link *l)
{
	SSL_SESSION *session = NULL;

	SSL_set_connect_state(l->ssl);
	/* What is read ahead of the handshake would be nobody's to report. */
	SSL_set_read_ahead(l->ssl, 0);
	if (!tofu_tls_expect_peer(l))
		return false;
	if (l->instance->sessions != NULL)
		session = tofu_tls_sessions_take(l->instance->sessions, l->called);
	if (session != NULL)
		(void)SSL_set_session(l->ssl, session); /* if not, the handshake is a full one */
	SSL_SESSION_free(session);
	return true;
}

bool tofu_tls_link_begin(struct tofu_tls_link *l, bool calls)
{
	BIO *bio = BIO_new(l->instance->bio);

	ERR_clear_error();
	l->ssl = SSL_new(l->instance->context);
	if (bio == NULL || l->ssl == NULL) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, l);
	BIO_set_init(bio, 1);
	SSL_set_bio(l->ssl, bio, bio);
	SSL_set_app_data(l->ssl, l);
	if (calls)
		return begin_to_call(l);
	SSL_set_accept_state(l->ssl);
	return true;
}

void tofu_tls_link_say(struct tofu_tls_link *l, const char *text)
{
	if (l->fault == NULL)
		l->fault = OPENSSL_strdup(text); /* no memory: then it is not explained */
}

/* --- what became of an operation --- */

/* The transport below has failed, or the peer's end has come there. */
static enum tofu_status failed_below(struct tofu_tls_link *l, bool receives)
{
	if (l->status != TOFU_PEER_DISCONNECTED)
		return l->status;
	if (!SSL_is_init_finished(l->ssl)) {
		if (l->heard || !SSL_is_server(l->ssl))
			tofu_tls_link_say(l, "TLS: the peer ended within the handshake");
		return l->status;
	}
	if (!receives)
		return l->status;
	if (!l->notified)
		tofu_tls_link_say(l, "TLS: the end came without close_notify, what was sent last may be missing");
	return TOFU_COMMUNICATION_FAILED;
}

/* TLS itself has failed. A peer that called learns why by our alert, which it shall be able to read. */
static enum tofu_status failed_here(struct tofu_tls_link *l)
{
	bool in_handshake = !SSL_is_init_finished(l->ssl);
	bool calls = !SSL_is_server(l->ssl);
	bool knows = tofu_tls_is_alert();
	char text[FAULT_TEXT];

	l->verdict = tofu_tls_take_fault(
		l->ssl, in_handshake && calls ? TOFU_CONNECT_FAILED : TOFU_COMMUNICATION_FAILED, text, sizeof text);
	l->mourning = in_handshake && !calls && !knows;
	tofu_tls_link_say(l, text);
	return l->verdict;
}

static enum tofu_status outcome(struct tofu_tls_link *l, int result, bool receives, unsigned *want)
{
	switch (SSL_get_error(l->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		*want = l->want;
		return l->status;
	case SSL_ERROR_ZERO_RETURN:
		return TOFU_PEER_DISCONNECTED;
	case SSL_ERROR_SYSCALL:
		if (l->status != TOFU_OK && !is_to_be_repeated(l->status))
			return failed_below(l, receives);
		return failed_here(l);
	default:
		return failed_here(l);
	}
}

static void begin_operation(struct tofu_tls_link *l)
{
	ERR_clear_error();
	l->drained = false;
	l->status = TOFU_OK;
}

/* --- the handshake of a caller --- */

enum tofu_status tofu_tls_handshake(struct tofu_tls_link *l, unsigned *want)
{
	const unsigned char *protocol;
	unsigned len;
	int result;

	begin_operation(l);
	result = SSL_do_handshake(l->ssl);
	if (result != 1)
		return outcome(l, result, true, want);
	SSL_get0_alpn_selected(l->ssl, &protocol, &len);
	if (len == 0) {
		tofu_tls_link_say(l, "TLS: the server does not say that it speaks " TOFU_TLS_ALPN);
		return TOFU_CONNECT_FAILED;
	}
	SSL_set_read_ahead(l->ssl, 1);
	return TOFU_OK;
}

/* --- sending --- */

/* What is left of a vector. */
struct rest {
	const struct tofu_iov *iov;
	size_t count;
	size_t at; /* in the first piece */
};

static void advance(struct rest *r, size_t n)
{
	r->at += n;
	while (r->count > 0 && r->at >= r->iov->len) {
		r->at -= r->iov->len;
		r->iov++;
		r->count--;
	}
}

/* The next bytes, at most a record's: where they lie if that is one piece, else copied together. */
static const void *gather(const struct rest *r, unsigned char copy[RECORD], size_t most, size_t *len)
{
	const unsigned char *first = (const unsigned char *)r->iov->base + r->at;
	size_t have = r->iov->len - r->at;

	if (have >= most || r->count == 1) {
		*len = have < most ? have : most;
		return first;
	}
	memcpy(copy, first, have);
	for (size_t i = 1; i < r->count && have < most; i++) {
		size_t n = r->iov[i].len < most - have ? r->iov[i].len : most - have;

		memcpy(copy + have, r->iov[i].base, n);
		have += n;
	}
	*len = have;
	return copy;
}

enum tofu_status tofu_tls_send(struct tofu_tls_link *l, const struct tofu_iov *iov, size_t count, size_t *done,
                               unsigned *want)
{
	struct rest rest = { iov, count, 0 };
	unsigned char copy[RECORD];

	*done = 0;
	if (l->verdict != TOFU_OK)
		return l->verdict;
	begin_operation(l);
	advance(&rest, 0); /* over pieces of no bytes */
	while (rest.count > 0) {
		size_t len, written = 0;
		const void *bytes = gather(&rest, copy, l->pending > 0 ? l->pending : RECORD, &len);
		int result = SSL_write_ex(l->ssl, bytes, len, &written);

		if (result != 1) {
			enum tofu_status status = outcome(l, result, false, want);

			l->pending = is_to_be_repeated(status) ? len : 0;
			return *done > 0 ? TOFU_OK : status;
		}
		l->pending = 0;
		*done += written;
		advance(&rest, written);
	}
	return TOFU_OK;
}

/* --- receiving --- */

/* A peer that is refused is read to its end, as far as it has come: what is unread when a socket is closed makes TCP reset the
 * connection, and the peer may not see our last words. */
static enum tofu_status discard(struct tofu_tls_link *l, unsigned *want)
{
	const struct tofu_transport *over = l->instance->over;
	unsigned char scratch[4096];

	for (size_t all = 0; all < DISCARDED_AT_ONCE; all += sizeof scratch) {
		/* cppcheck-suppress legacyUninitvar ; it is written to */
		struct tofu_iov iov = { scratch, sizeof scratch };
		enum tofu_status status;
		size_t done = 0;

		*want = TOFU_READABLE;
		status = over->receive(over, &l->below, &iov, 1, &done, want);
		if (status != TOFU_OK)
			return status;
	}
	*want = TOFU_READABLE;
	return TOFU_WOULD_BLOCK;
}

/* A connection that both sides have shut down has no peer any more, and the log is to say who was refused. */
static void note_peer(struct tofu_tls_link *l)
{
	const struct tofu_transport *over = l->instance->over;
	char address[ADDRESS_TEXT];

	if (over->peer_address != NULL && over->peer_address(over, &l->below, address, sizeof address) == TOFU_OK)
		l->peer = OPENSSL_strdup(address); /* no memory: then it is asked for later */
}

/* The peer that called is refused. Nothing more is sent, and the engine waits for its end as long as for a handshake. */
static enum tofu_status mourn(struct tofu_tls_link *l, unsigned *want)
{
	const struct tofu_transport *over = l->instance->over;
	enum tofu_status status;

	if (!l->notified) {
		if (l->peer == NULL)
			note_peer(l);
		status = over->shutdown(over, &l->below, want);
		if (is_to_be_repeated(status))
			return status;
		l->notified = true;
	}
	status = discard(l, want);
	return is_to_be_repeated(status) ? status : l->verdict;
}

/* More has become of it than bytes: that is told when it is called again, which it shall be soon. */
static enum tofu_status tell_later(enum tofu_status status, unsigned *want)
{
	if (!is_to_be_repeated(status))
		*want = TOFU_READABLE | TOFU_WRITABLE;
	return TOFU_OK;
}

enum tofu_status tofu_tls_receive(struct tofu_tls_link *l, const struct tofu_iov *iov, size_t count, size_t *done,
                                  unsigned *want)
{
	struct rest rest = { iov, count, 0 };

	*done = 0;
	*want = TOFU_READABLE;
	if (l->mourning)
		return mourn(l, want);
	if (l->verdict != TOFU_OK)
		return l->verdict;
	begin_operation(l);
	advance(&rest, 0); /* over pieces of no bytes */
	while (rest.count > 0) {
		size_t n = 0;
		int result =
			SSL_read_ex(l->ssl, (unsigned char *)rest.iov->base + rest.at, rest.iov->len - rest.at, &n);

		if (result != 1) {
			enum tofu_status status = outcome(l, result, true, want);

			if (*done > 0)
				return tell_later(status, want);
			return l->mourning ? mourn(l, want) : status;
		}
		*done += n;
		advance(&rest, n);
	}
	return TOFU_OK;
}

/* --- the end --- */

enum tofu_status tofu_tls_shutdown(struct tofu_tls_link *l, unsigned *want)
{
	const struct tofu_transport *over = l->instance->over;

	if (l->verdict == TOFU_OK && !l->notified) {
		int result;

		begin_operation(l);
		result = SSL_shutdown(l->ssl);
		if (result < 0) {
			enum tofu_status status = outcome(l, result, false, want);

			if (status != TOFU_OK)
				return status;
		}
		l->notified = true;
	}
	*want = TOFU_WRITABLE;
	return over->shutdown(over, &l->below, want);
}

/* What is unread may be a ticket: nobody knows of it, and it must not cost the peer our last bytes. */
void tofu_tls_part(struct tofu_tls_link *l)
{
	unsigned want;

	if (l->ssl == NULL || !l->connected)
		return;
	if (l->verdict == TOFU_OK && !l->notified && l->pending == 0 && SSL_is_init_finished(l->ssl)) {
		begin_operation(l);
		(void)SSL_shutdown(l->ssl); /* who closes without having shut down does not wait */
		ERR_clear_error();
	}
	(void)discard(l, &want); /* as far as it goes */
}
