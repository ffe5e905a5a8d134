/* SPDX-License-Identifier: MIT */

/*
 * The peer. A server has to have a certificate for the name that was called, in its subjectAltName: a common name is not looked at.
 * A pinned certificate takes the place of all that.
 */

#include "transport_tls/peer.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "transport_tls/link.h"

/* --- fingerprints --- */

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

	return c != '\0' && at != NULL ? (int)(at - digits) : -1;
}

bool tofu_tls_read_fingerprint(const char *text, unsigned char out[TOFU_TLS_FINGERPRINT])
{
	for (size_t i = 0; i < TOFU_TLS_FINGERPRINT; i++) {
		int high, low;

		if (i > 0 && *text == ':')
			text++;
		high = digit(text[0]);
		low = high < 0 ? -1 : digit(text[1]);
		if (low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

static bool fingerprint_of(const X509 *certificate, unsigned char out[EVP_MAX_MD_SIZE])
{
	unsigned len = 0;

	return certificate != NULL && X509_digest(certificate, EVP_sha256(), out, &len) == 1 &&
	       len == TOFU_TLS_FINGERPRINT;
}

/* --- who it has to be --- */

int tofu_tls_judge_peer(X509_STORE_CTX *check, void *instance)
{
	const struct tofu_tls_instance *i = instance;
	const SSL *ssl = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx());
	unsigned char fingerprint[EVP_MAX_MD_SIZE];
	bool same;

	if (!i->pinned || SSL_is_server(ssl))
		return X509_verify_cert(check) > 0;
	same = fingerprint_of(X509_STORE_CTX_get0_cert(check), fingerprint) &&
	       CRYPTO_memcmp(fingerprint, i->fingerprint, TOFU_TLS_FINGERPRINT) == 0;
	X509_STORE_CTX_set_error(check, same ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
	return same;
}

enum { HOST_MAX = 255 };

/* "HOST|PORT": the host without the brackets of a URL, without the zone of a numeric address, without the dot of the root. */
static bool host_of(const char *called, char host[HOST_MAX + 1])
{
	size_t len = strcspn(called, "|");

	if (len > 2 && called[0] == '[' && called[len - 1] == ']') {
		called++;
		len -= 2;
	}
	if (memchr(called, ':', len) != NULL)
		len = strcspn(called, "%|]");
	if (len > 1 && called[len - 1] == '.')
		len--;
	if (len == 0 || len > HOST_MAX)
		return false;
	memcpy(host, called, len);
	host[len] = '\0';
	return true;
}

static bool expect_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(param,
	                                X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return true;
	ERR_clear_error(); /* it is no numeric address */
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

bool tofu_tls_expect_peer(struct tofu_tls_link *l)
{
	const struct tofu_tls_instance *i = l->instance;
	bool matters = i->verify_server != TOFU_TLS_VERIFY_NONE;
	char host[HOST_MAX + 1];
	const char *name = i->name;

	SSL_set_verify(l->ssl, matters ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (name == NULL && i->over->form == TOFU_FORM_HOST_PORT && host_of(l->called, host))
		name = host;
	if (name != NULL)
		return expect_name(l->ssl, name);
	if (!matters || i->pinned)
		return true;
	tofu_tls_link_say(l, "TLS: the address has no host, so the certificate would have to name nothing");
	return false;
}

/* --- who it is --- */

/* A text that grows. What does not fit is cut, which dots say: their place is kept, and nothing follows them. */
struct text {
	char *out;
	size_t room, len;
	bool full;
};

static const char dots[] = "...";

static void add(struct text *t, const char *bytes, size_t n)
{
	if (t->full)
		return;
	t->full = n > t->room - t->len;
	if (t->full)
		n = t->room - t->len;
	memcpy(t->out + t->len, bytes, n);
	t->len += n;
	(void)strcpy(t->out + t->len, t->full ? dots : "");
}

static void add_text(struct text *t, const char *text)
{
	add(t, text, strlen(text));
}

/* RFC 2253: what could be mistaken for the end of the name is escaped there. */
static void add_subject(struct text *t, X509 *certificate)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (memory != NULL && X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0 &&
	    (n = BIO_get_mem_data(memory, &text)) > 0)
		add(t, text, (size_t)n);
	BIO_free(memory);
}

/* A name of the certificate's, in which nothing is left that could be mistaken for the end of it. */
static void add_string(struct text *t, const char *kind, const ASN1_IA5STRING *s)
{
	char name[HOST_MAX + 1];
	size_t n = (size_t)ASN1_STRING_length(s);

	if (n > HOST_MAX)
		n = HOST_MAX;
	memcpy(name, ASN1_STRING_get0_data(s), n);
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ';' || name[i] == ',')
			name[i] = '?';
	add_text(t, kind);
	add(t, name, n);
}

static void add_ip(struct text *t, const ASN1_OCTET_STRING *ip)
{
	const unsigned char *b = ASN1_STRING_get0_data(ip);
	int n = ASN1_STRING_length(ip);
	char text[64] = "IP:?";
	int at = 3;

	if (n == 4)
		(void)snprintf(text, sizeof text, "IP:%d.%d.%d.%d", b[0], b[1], b[2], b[3]);
	for (int i = 0; n == 16 && i < 16; i += 2)
		at += snprintf(text + at, sizeof text - (size_t)at, "%s%x", i > 0 ? ":" : "", b[i] << 8 | b[i + 1]);
	add_text(t, text);
}

static void add_name(struct text *t, const GENERAL_NAME *name)
{
	switch (name->type) {
	case GEN_DNS:
		add_string(t, "DNS:", name->d.dNSName);
		break;
	case GEN_EMAIL:
		add_string(t, "email:", name->d.rfc822Name);
		break;
	case GEN_URI:
		add_string(t, "URI:", name->d.uniformResourceIdentifier);
		break;
	case GEN_IPADD:
		add_ip(t, name->d.iPAddress);
		break;
	default:
		add_text(t, "other");
		break;
	}
}

static void add_names(struct text *t, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		add_text(t, i > 0 ? "," : "; san=");
		add_name(t, sk_GENERAL_NAME_value(names, i));
	}
	GENERAL_NAMES_free(names);
}

/* The fingerprint is whole always: its place is kept. */
static void describe(X509 *certificate, char *out, size_t capacity)
{
	static const char before[] = "; sha256=";
	const size_t kept = sizeof dots + sizeof before - 1 + 2 * TOFU_TLS_FINGERPRINT;
	unsigned char fingerprint[EVP_MAX_MD_SIZE];
	struct text t = { .out = out };
	size_t len;

	if (capacity <= kept || !fingerprint_of(certificate, fingerprint))
		return;
	t.room = capacity - kept;
	add_text(&t, "subject=");
	add_subject(&t, certificate);
	add_names(&t, certificate);
	len = strlen(out);
	len += (size_t)snprintf(out + len, capacity - len, "%s", before);
	for (size_t i = 0; i < TOFU_TLS_FINGERPRINT; i++)
		len += (size_t)snprintf(out + len, capacity - len, "%02x", fingerprint[i]);
}

void tofu_tls_describe_peer(const struct tofu_tls_link *l, char *out, size_t capacity)
{
	X509 *certificate;

	out[0] = '\0';
	if (l->ssl == NULL || !SSL_is_init_finished(l->ssl) || SSL_get_verify_mode(l->ssl) == SSL_VERIFY_NONE ||
	    SSL_get_verify_result(l->ssl) != X509_V_OK)
		return;
	certificate = SSL_get1_peer_certificate(l->ssl);
	if (certificate != NULL)
		describe(certificate, out, capacity);
	X509_free(certificate);
	ERR_clear_error();
}
