/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_OVER_TLS_H
#define TOFU_TESTS_OVER_TLS_H

/* The transport "tls" of the tests that run over it, and a peer that is not ours but speaks it. over_no_tls.c: there is none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/transport.h>

/** An instance that trusts nobody but itself; one for the process. NULL: this build has no TLS. */
const struct tofu_transport *over_tls(void);

struct over_tls_allocator {
	void *(*allocate)(size_t size);
	void *(*reallocate)(void *old, size_t size);
	void (*release)(void *old);
};
/** Before anything else: what OpenSSL allocates is not the program's, also where it is linked into that. */
void over_tls_allocate_by(struct over_tls_allocator allocator);

/** Connect to "tls|host|port", and shake hands. */
void over_tls_call(const char *address, struct tofu_link *link);
/** A listener, and its address to call; its handle. It stays until the process ends. */
intptr_t over_tls_listen(char *address, size_t capacity);
/** The next one that calls, after the handshake. False: this is no listener of ours. */
bool over_tls_accept(intptr_t listener, struct tofu_link *link);

#endif
