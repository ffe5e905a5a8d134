/* SPDX-License-Identifier: MIT */

/* Keys are of P-256: made in no time. */

#include "certificates.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "os.h"
#include "steps.h"

static X509 *read_certificate(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	must(x != NULL, "this is no certificate");
	BIO_free(bio);
	return x;
}

static EVP_PKEY *read_key(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	must(key != NULL, "this is no key");
	BIO_free(bio);
	return key;
}

static char *text_of(BIO *bio)
{
	char *bytes, *text;
	long len = BIO_get_mem_data(bio, &bytes);

	text = calloc(1, (size_t)len + 1);
	must(text != NULL, "no memory");
	memcpy(text, bytes, (size_t)len);
	BIO_free(bio);
	return text;
}

static void set_names(X509 *x, const struct wish *wish, const X509 *issuer)
{
	X509_NAME *name = X509_get_subject_name(x);

	must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)wish->name, -1, -1, 0) == 1,
	     "no name");
	must(X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1, "no issuer");
}

static void set_times(X509 *x, const struct wish *wish)
{
	bool usual = wish->begins_s == 0 && wish->ends_s == 0;

	must(X509_gmtime_adj(X509_getm_notBefore(x), usual ? -3600 : wish->begins_s) != NULL, "no time");
	must(X509_gmtime_adj(X509_getm_notAfter(x), usual ? 3600 : wish->ends_s) != NULL, "no time");
}

static void extend(X509 *x, int what, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, what, value);

	must(extension != NULL && X509_add_ext(x, extension, -1) == 1, "no extension %s", value);
	X509_EXTENSION_free(extension);
}

static void tell_fingerprint(const X509 *x, char out[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	must(X509_digest(x, EVP_sha256(), digest, &len) == 1, "no fingerprint");
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

struct certificate certificate_make(const struct wish *wish)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new(), *issuer = wish->issuer != NULL ? read_certificate(wish->issuer->text) : NULL;
	EVP_PKEY *signer = wish->issuer != NULL ? read_key(wish->issuer->key) : key;
	BIO *text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
	struct certificate c = { .text = NULL };

	must(key != NULL && x != NULL && X509_set_version(x, X509_VERSION_3) == 1 && X509_set_pubkey(x, key) == 1,
	     "no certificate");
	must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), os_random() >> 1) == 1, "no number");
	set_names(x, wish, issuer);
	set_times(x, wish);
	if (wish->is_ca)
		extend(x, NID_basic_constraints, "critical,CA:TRUE");
	if (wish->alternatives != NULL)
		extend(x, NID_subject_alt_name, wish->alternatives);
	must(X509_sign(x, signer, EVP_sha256()) > 0, "not signed");
	must(PEM_write_bio_X509(text, x) == 1, "not written");
	must(PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1, "not written");
	c.text = text_of(text);
	c.key = text_of(key_text);
	tell_fingerprint(x, c.fingerprint);
	if (signer != key)
		EVP_PKEY_free(signer);
	EVP_PKEY_free(key);
	X509_free(issuer);
	X509_free(x);
	return c;
}

void certificate_free(struct certificate *c)
{
	free(c->text);
	free(c->key);
	memset(c, 0, sizeof *c);
}
