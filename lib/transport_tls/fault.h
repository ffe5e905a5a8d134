/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_FAULT_H
#define TOFU_TLS_FAULT_H

/*
 * OpenSSL's error queue, one for each thread: emptied before each operation, read and emptied when one has failed. What is in it
 * decides how SSL_get_error() answers, so nothing of an earlier failure, ours or another's, may be left there.
 */

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <tofu/status.h>

/** OpenSSL's words for what failed first; empties the queue. "": the queue had none. */
void tofu_tls_take_words(char *out, size_t capacity);

/** Is what failed first an alert of the peer's, who knows why then? */
bool tofu_tls_is_alert(void);

/**
 * Why a TLS connection failed by itself, while the transport below it is fine. The words as above, and what is wrong with the
 * certificate if that is it. TOFU_PERMISSION_DENIED: a certificate was refused, here or there; else the status `otherwise`.
 */
enum tofu_status tofu_tls_take_fault(const SSL *ssl, enum tofu_status otherwise, char *out, size_t capacity);

#endif
