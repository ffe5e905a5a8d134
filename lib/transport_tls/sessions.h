/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_SESSIONS_H
#define TOFU_TLS_SESSIONS_H

/*
 * Sessions of servers that were called, to be resumed by the next call to the same address. A few are kept for each address,
 * and some dozens in all; the oldest makes room. Any thread.
 */

#include <openssl/ssl.h>

struct tofu_tls_sessions;

/** NULL: no memory. */
struct tofu_tls_sessions *tofu_tls_sessions_new(void);
/** NULL is fine. */
void tofu_tls_sessions_free(struct tofu_tls_sessions *s);

/** Keep a session of that address. 1: it is ours now; 0: it stays the caller's, for want of memory. */
int tofu_tls_sessions_keep(struct tofu_tls_sessions *s, const char *called, SSL_SESSION *session);
/** The newest session of that address, for the caller to free; NULL: there is none. One of TLS 1.3 is given out once only. */
SSL_SESSION *tofu_tls_sessions_take(struct tofu_tls_sessions *s, const char *called);

#endif
