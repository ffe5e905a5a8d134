/* SPDX-License-Identifier: MIT */

/* What OpenSSL says of a failure. The first entry is the cause; those behind it are what failed because of it. */

#include "transport_tls/fault.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

static void write_words(unsigned long error, char *out, size_t capacity)
{
	const char *reason = ERR_reason_error_string(error);

	if (error == 0)
		(void)snprintf(out, capacity, "%s", "");
	else if (reason != NULL)
		(void)snprintf(out, capacity, "%s", reason);
	else
		ERR_error_string_n(error, out, capacity);
}

void tofu_tls_take_words(char *out, size_t capacity)
{
	write_words(ERR_peek_error(), out, capacity);
	ERR_clear_error();
}

bool tofu_tls_is_alert(void)
{
	unsigned long error = ERR_peek_error();

	return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET;
}

static bool is_about_a_certificate(unsigned long error)
{
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return false;
	switch (ERR_GET_REASON(error)) {
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return true;
	default:
		return false;
	}
}

enum tofu_status tofu_tls_take_fault(const SSL *ssl, enum tofu_status otherwise, char *out, size_t capacity)
{
	unsigned long error = ERR_peek_error();
	long verified = SSL_get_verify_result(ssl);
	char words[128];

	tofu_tls_take_words(words, sizeof words);
	if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		(void)snprintf(out, capacity, "TLS: %s: %s", words, X509_verify_cert_error_string(verified));
	else
		(void)snprintf(out, capacity, "TLS: %s", words[0] != '\0' ? words : "failed");
	return is_about_a_certificate(error) ? TOFU_PERMISSION_DENIED : otherwise;
}
