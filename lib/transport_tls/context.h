/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_CONTEXT_H
#define TOFU_TLS_CONTEXT_H

/* What the options of an instance are to OpenSSL. */

#include "transport_tls/instance.h"

/**
 * Make i->context; the rest of i is filled. Errors as tofu_tls_create(), with what is wrong in the options' error. On failure
 * i->context may be made, and is the caller's to free.
 */
enum tofu_status tofu_tls_context_new(struct tofu_tls_instance *i, const struct tofu_tls_options *o);

#endif
