/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_PEER_H
#define TOFU_TLS_PEER_H

/* Who the peer has to be, and who it is: certificates, names, fingerprints. */

#include <stdbool.h>

#include <openssl/ssl.h>

#include "transport_tls/instance.h"

struct tofu_tls_link;

/** Read 64 hexadecimal digits, with colons or without. */
bool tofu_tls_read_fingerprint(const char *text, unsigned char out[TOFU_TLS_FINGERPRINT]);

/** For SSL_CTX_set_cert_verify_callback(), with the instance: a server's certificate may be pinned. */
int tofu_tls_judge_peer(X509_STORE_CTX *check, void *instance);

/** A caller's TLS shall accept no server but the one that is called. False: no memory, or it has no name. */
bool tofu_tls_expect_peer(struct tofu_tls_link *l);

/** What the peer's certificate says, if it is good: "subject=CN=alice; san=DNS:alice; sha256=...". Else "". */
void tofu_tls_describe_peer(const struct tofu_tls_link *l, char *out, size_t capacity);

#endif
