/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TCP_H
#define TOFU_TCP_H

#include <tofu/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The TCP transport, scheme "tcp": "tcp|HOST|PORT". In libtofu-tcp.
 * Ownership: static, never freed. Threads: any. Blocks: no.
 */
const struct tofu_transport *tofu_tcp(void);

/** How an instance is made. tofu_tcp_options_init() first, then change fields. 0 and NULL are defaults. */
/* clang-format off */
struct tofu_tcp_options {
	size_t size;         /* set by tofu_tcp_options_init(); lets the struct grow */
	const char *scheme;  /* what its addresses begin with; default "tcp"; copied */
	uint32_t backlog;    /* connections that may wait to be accepted; default: as many as the system allows, and never more */
	uint32_t share_port; /* 1: several listeners of this user may have the port, in this process or others, if each says so; the
	                        system shares out who calls (SO_REUSEPORT). Where it cannot, listening fails: not_supported */
	uint32_t only_ipv6;  /* 1: a listener on "::" takes no IPv4, so that another one may have 0.0.0.0 at the same port */
	uint32_t dead_after_ms; /* a peer whose system has not answered for so long is dead, and its channel ends with
	                           peer_disconnected; default 45000, at least 1000; UINT32_MAX: never */
	const char *source;         /* the numeric IPv4 or IPv6 address of this host to call from: only addresses of its family are
	                               called; default: the system chooses; copied */
	const char *allow;          /* who may call: addresses and networks, with spaces or commas between: "10.0.0.0/8 ::1"; others are
	                               closed before they say anything; default: everybody; copied */
	const char *interface_name; /* calls go out, and come in, by this network interface alone; default: by any; copied */
};
/* clang-format on */

/**
 * Set size and zero the rest, that is, choose every default. size: sizeof(struct tofu_tcp_options), as the program was compiled.
 * Threads: any. Blocks: no.
 */
void tofu_tcp_options_init(struct tofu_tcp_options *options, size_t size);

/**
 * Make an instance with its own options. options may be NULL (every default). An engine takes several instances if their schemes
 * differ.
 * Ownership: options and its text are copied; *out is given up with tofu_transport_destroy(), as soon as it is registered.
 * Threads:   any. Blocks: no.
 * Errors: TOFU_NOT_ALLOWED (out is NULL, the scheme is none, dead_after_ms is under 1000, or no interface can have that name),
 *         TOFU_INVALID_ADDRESS (source is no numeric address; allow has something else than numeric addresses and networks), TOFU_NOT_SUPPORTED (a newer program's options, or an
 *         interface_name on Windows), TOFU_NOT_INITIALIZED (a source before tofu_init(), on Windows), TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_tcp_create(const struct tofu_tcp_options *options, struct tofu_transport **out);

#ifdef __cplusplus
}
#endif

#endif
