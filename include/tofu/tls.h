/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_H
#define TOFU_TLS_H

#include <tofu/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The protocol name that both ends have to agree on (ALPN). */
#define TOFU_TLS_ALPN "tofu/1"

/** Whose certificate has to be good. */
enum tofu_tls_verify {
	TOFU_TLS_VERIFY_DEFAULT = 0, /* the server's: required; the client's: none */
	TOFU_TLS_VERIFY_NONE = 1,    /* not asked for; who answers a call may be anybody */
	TOFU_TLS_VERIFY_OPTIONAL =
		2, /* a peer may have none; one that has a bad one is refused. A server always has one */
	TOFU_TLS_VERIFY_REQUIRED = 3 /* a peer without a good one is refused */
};

/** How an instance is made. tofu_tls_options_init() first, then change fields. 0 and NULL are defaults. */
/* clang-format off */
struct tofu_tls_options {
	size_t size;               /* set by tofu_tls_options_init(); lets the struct grow */
	const char *scheme;        /* what its addresses begin with; default "tls"; copied */
	const struct tofu_transport *over; /* what carries the bytes; default tofu_tcp(); held for as long as the instance lives */

	/* Who this side is. PEM: the certificate first, then those between it and the CA. Needed to listen, or to be known. */
	const char *certificate_file; /* a path */
	const char *certificate;      /* or the text itself */
	const char *key_file;         /* a path; nobody but its owner may have access */
	const char *key;              /* or the text itself; default: it stands with the certificate */
	const char *key_password;     /* of an encrypted key */

	/* Who vouches for peers: any of these, or what the system trusts if there is none. PEM. */
	const char *ca_file;       /* a path */
	const char *ca_directory;  /* a path; files are named by hash, as `openssl rehash` does */
	const char *ca;            /* the text itself */

	uint32_t verify_server;    /* enum tofu_tls_verify: of whom this side calls; default required */
	uint32_t verify_client;    /* enum tofu_tls_verify: of those who call; default none */
	const char *name;          /* what the server's certificate has to name; default: the host that is called */
	const char *fingerprint;   /* the SHA-256 of the server's certificate in hex, colons allowed: it, and no other, is
	                              accepted, whoever issued it, whatever its name and dates */

	uint32_t tls12;            /* 1: TLS 1.2 is enough; default: TLS 1.3 */
	uint32_t no_resumption;    /* 1: each connection begins with a full handshake */

	char *error;               /* where tofu_tls_create() writes what is wrong, for people; NULL: nowhere */
	size_t error_capacity;     /* bytes there */
};
/* clang-format on */

/**
 * Set size and zero the rest, that is, choose every default. size: sizeof(struct tofu_tls_options), as the program was compiled.
 * Threads: any. Blocks: no.
 */
void tofu_tls_options_init(struct tofu_tls_options *options, size_t size);

/**
 * Make an instance, which may both call and listen: "tls|HOST|PORT". An engine takes several if their schemes differ.
 * Ownership: all that options points to is copied or read, but over, which is held; *out is given up with
 *            tofu_transport_destroy(), as soon as it is registered.
 * Threads:   any. Blocks: reads files.
 * Errors: TOFU_NOT_ALLOWED (an argument, or what is in a file, is not valid, or there is no such file: error says which),
 *         TOFU_PERMISSION_DENIED (a file may not be read, or others may read the key), TOFU_NOT_SUPPORTED (a newer program's
 *         options, or over is of another ABI), TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_tls_create(const struct tofu_tls_options *options, struct tofu_transport **out);

#ifdef __cplusplus
}
#endif

#endif
