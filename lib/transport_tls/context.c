/* SPDX-License-Identifier: MIT */

/*
 * From options to an SSL_CTX, which is both a caller's and a listener's. Files are read whole and given to OpenSSL as memory, so
 * that a key's file is judged and read in one, and its text is wiped.
 *
 * Both ends have to name the protocol (ALPN). Without that a server of another protocol with a good certificate could be taken for
 * ours, or ours for one of another protocol, by whoever can divert connections.
 */

#include "transport_tls/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "transport_tls/fault.h"
#include "transport_tls/file.h"
#include "transport_tls/link.h"
#include "transport_tls/peer.h"
#include "transport_tls/sessions.h"

enum { READ_AT_ONCE = 64 * 1024, TICKETS = 1 };

/* As ALPN has it: a length, and so many bytes. */
static const unsigned char protocol[] = "\x06" TOFU_TLS_ALPN;

/* --- what is wrong --- */

static void __attribute__((format(printf, 2, 3))) say(const struct tofu_tls_options *o, const char *format, ...)
{
	va_list args;

	if (o->error == NULL || o->error_capacity == 0)
		return;
	va_start(args, format);
	(void)vsnprintf(o->error, o->error_capacity, format, args);
	va_end(args);
}

/* OpenSSL does not tell a lack of memory from other failures in one way; what is wrong with a file is likelier. */
static enum tofu_status refused(const struct tofu_tls_options *o, const char *what)
{
	bool memory = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
	char words[160];

	tofu_tls_take_words(words, sizeof words);
	say(o, "%s: %s", what, words[0] != '\0' ? words : "OpenSSL does not take it");
	return memory ? TOFU_ALLOCATION_FAILED : TOFU_NOT_ALLOWED;
}

/* --- PEM --- */

/* A text of the options, or of a file of theirs; neither is an empty one. what: the option, for people. */
static enum tofu_status take_text(const struct tofu_tls_options *o, const char *what, const char *text,
                                  const char *path, bool secret, struct tofu_tls_text *out)
{
	enum tofu_status status;
	const char *why;

	*out = (struct tofu_tls_text){ NULL, 0 };
	if (text != NULL && path != NULL) {
		say(o, "%s: both a file and a text are given", what);
		return TOFU_NOT_ALLOWED;
	}
	if (path != NULL) {
		status = tofu_tls_read_file(path, secret, out, &why);
		if (status != TOFU_OK)
			say(o, "%s: %s: %s", what, path, why != NULL ? why : "it cannot be read");
		return status;
	}
	if (text == NULL)
		return TOFU_OK;
	out->len = strlen(text);
	out->text = OPENSSL_strdup(text);
	return out->text != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

static void drop_text(struct tofu_tls_text *t)
{
	OPENSSL_clear_free(t->text, t->len);
}

/* Without this, OpenSSL would ask at the terminal. */
static int give_password(char *out, int capacity, int to_write, void *password)
{
	size_t len = password != NULL ? strlen(password) : 0;

	if (len > (size_t)capacity)
		return -1;
	memcpy(out, password != NULL ? password : "", len);
	return (int)len;
}

typedef bool (*take_certificate)(SSL_CTX *context, X509 *certificate, size_t number);

/* Every certificate of a text. How many; 0: none, or one was not taken: OpenSSL's queue says why. */
static size_t each_certificate(SSL_CTX *context, const struct tofu_tls_text *text, take_certificate take)
{
	BIO *bio = BIO_new_mem_buf(text->text, (int)text->len);
	size_t number = 0;
	X509 *certificate;
	bool taken = bio != NULL;

	while (taken && (certificate = PEM_read_bio_X509_AUX(bio, NULL, give_password, NULL)) != NULL) {
		taken = take(context, certificate, number++);
		X509_free(certificate);
	}
	BIO_free(bio);
	/* The end of the text is an error, too, and the only one that is none once there was a certificate. */
	if (!taken || number == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return 0;
	ERR_clear_error();
	return number;
}

static bool take_chain(SSL_CTX *context, X509 *certificate, size_t number)
{
	if (number == 0)
		return SSL_CTX_use_certificate(context, certificate) == 1;
	return SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

static bool take_ca(SSL_CTX *context, X509 *certificate, size_t number)
{
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
}

/* --- who this side is --- */

static enum tofu_status use_key(SSL_CTX *context, const struct tofu_tls_options *o, const struct tofu_tls_text *text)
{
	BIO *bio = BIO_new_mem_buf(text->text, (int)text->len);
	void *password = (void *)(uintptr_t)o->key_password; /* is only read */
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, give_password, password) : NULL;
	enum tofu_status status = TOFU_OK;

	if (key == NULL)
		status = refused(o, "key");
	else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
		status = refused(o, "key, for this certificate");
	EVP_PKEY_free(key);
	BIO_free(bio);
	return status;
}

static enum tofu_status use_own(SSL_CTX *context, const struct tofu_tls_options *o)
{
	bool key_apart = o->key != NULL || o->key_file != NULL;
	struct tofu_tls_text certificate, key = { NULL, 0 };
	enum tofu_status status;

	if (o->certificate == NULL && o->certificate_file == NULL) {
		if (key_apart)
			say(o, "key: there is no certificate");
		return key_apart ? TOFU_NOT_ALLOWED : TOFU_OK;
	}
	status = take_text(o, "certificate", o->certificate, o->certificate_file, !key_apart, &certificate);
	if (status == TOFU_OK && each_certificate(context, &certificate, take_chain) == 0)
		status = refused(o, "certificate");
	if (status == TOFU_OK && key_apart)
		status = take_text(o, "key", o->key, o->key_file, true, &key);
	if (status == TOFU_OK)
		status = use_key(context, o, key_apart ? &key : &certificate);
	drop_text(&certificate);
	drop_text(&key);
	return status;
}

/* --- whom it trusts --- */

static enum tofu_status use_ca_text(SSL_CTX *context, const struct tofu_tls_options *o, const char *text,
                                    const char *path)
{
	struct tofu_tls_text ca;
	enum tofu_status status;

	if (text == NULL && path == NULL)
		return TOFU_OK;
	status = take_text(o, "ca", text, path, false, &ca);
	if (status == TOFU_OK && each_certificate(context, &ca, take_ca) == 0)
		status = refused(o, "ca");
	drop_text(&ca);
	return status;
}

static enum tofu_status use_cas(SSL_CTX *context, const struct tofu_tls_options *o)
{
	enum tofu_status status;

	if (o->ca == NULL && o->ca_file == NULL && o->ca_directory == NULL)
		return SSL_CTX_set_default_verify_paths(context) == 1 ? TOFU_OK : refused(o, "the system's CAs");
	status = use_ca_text(context, o, o->ca, NULL);
	if (status == TOFU_OK)
		status = use_ca_text(context, o, NULL, o->ca_file);
	if (status == TOFU_OK && o->ca_directory != NULL &&
	    X509_STORE_load_path(SSL_CTX_get_cert_store(context), o->ca_directory) != 1)
		status = refused(o, "ca_directory");
	return status;
}

/* How a server judges those who call; callers are told by tofu_tls_expect_peer(). */
static int client_mode(const struct tofu_tls_instance *i)
{
	switch (i->verify_client) {
	case TOFU_TLS_VERIFY_OPTIONAL:
		return SSL_VERIFY_PEER;
	case TOFU_TLS_VERIFY_REQUIRED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	default:
		return SSL_VERIFY_NONE;
	}
}

/* --- the protocol --- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offered,
                           unsigned offered_len, void *nothing)
{
	unsigned char *chosen; /* points into protocol or offered, and is not written through */

	if (SSL_select_next_proto(&chosen, out_len, protocol, sizeof protocol - 1, offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* A client that offers no protocols at all is not asked by choose_protocol(). */
static int judge_hello(SSL *ssl, int *alert, void *nothing)
{
	const unsigned char *extension;
	size_t len;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &extension, &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	tofu_tls_link_say(SSL_get_app_data(ssl), "TLS: the client does not say that it speaks " TOFU_TLS_ALPN);
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tofu_tls_link *l = SSL_get_app_data(ssl);

	if (SSL_is_server(ssl) || l->instance->sessions == NULL)
		return 0;
	return tofu_tls_sessions_keep(l->instance->sessions, l->called, session);
}

static enum tofu_status set_protocol(SSL_CTX *context, const struct tofu_tls_options *o)
{
	static const unsigned char any[] =
		"tofu"; /* a session is good for no other context than that which issued it */
	uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;

	SSL_CTX_set_options(context, o->no_resumption ? options | SSL_OP_NO_TICKET : options);
	/* NO_AUTO_CHAIN: what was given is sent, and not a CA beside it. */
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                  SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AT_ONCE);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	SSL_CTX_set_client_hello_cb(context, judge_hello, NULL);
	if (SSL_CTX_set_min_proto_version(context, o->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(context, o->no_resumption ? 0 : TICKETS) != 1 ||
	    SSL_CTX_set_session_id_context(context, any, sizeof any - 1) != 1 ||
	    SSL_CTX_set_alpn_protos(context, protocol, sizeof protocol - 1) != 0)
		return refused(o, "TLS");
	return TOFU_OK;
}

enum tofu_status tofu_tls_context_new(struct tofu_tls_instance *i, const struct tofu_tls_options *o)
{
	enum tofu_status status;

	ERR_clear_error();
	i->context = SSL_CTX_new(TLS_method());
	if (i->context == NULL)
		return refused(o, "TLS");
	SSL_CTX_set_verify(i->context, client_mode(i), NULL);
	SSL_CTX_set_cert_verify_callback(i->context, tofu_tls_judge_peer, i);
	status = set_protocol(i->context, o);
	if (status == TOFU_OK)
		status = use_own(i->context, o);
	if (status == TOFU_OK)
		status = use_cas(i->context, o);
	ERR_clear_error();
	return status;
}
