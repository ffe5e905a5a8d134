/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_INSTANCE_H
#define TOFU_TLS_INSTANCE_H

/* What an instance has: the config of its table. */

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <tofu/tls.h>

struct tofu_tls_sessions;

enum { TOFU_TLS_FINGERPRINT = 32 };

struct tofu_tls_instance {
	const struct tofu_transport *over;
	SSL_CTX *context;
	BIO_METHOD *bio;
	struct tofu_tls_sessions *sessions; /* NULL: none are resumed */
	uint32_t verify_server, verify_client;
	char *name; /* that the server's certificate has to name; NULL: the host that is called */
	bool pinned;
	unsigned char fingerprint[TOFU_TLS_FINGERPRINT];
};

static inline const struct tofu_tls_instance *tofu_tls_instance(const struct tofu_transport *t)
{
	return t->config;
}

#endif
