/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TLS_LINK_H
#define TOFU_TLS_LINK_H

/*
 * The state of a link: the link of the transport below, and TLS on it, which reads and writes by that transport's operations.
 * The bytes on their way up and down are here; what opens and closes links is in tls.c.
 */

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "transport_tls/instance.h"

struct tofu_tls_link {
	const struct tofu_tls_instance *instance;
	struct tofu_link below;
	SSL *ssl; /* NULL: a listener, or a connection that may not come in */

	enum tofu_status status; /* of the last operation below */
	unsigned want;           /* what that waits for */
	unsigned read_want;      /* what more to read waits for */
	bool connected : 1;      /* below */
	bool heard : 1;          /* the peer has sent something */
	bool drained : 1;        /* all that had arrived below has been read, in this operation */
	bool notified : 1;       /* our close_notify is out */
	bool mourning : 1;       /* the handshake has failed: the peer's end is awaited, so that it reads why */

	size_t pending;           /* bytes of the record that is being written; 0: none */
	enum tofu_status verdict; /* what has ended it: every operation gives that from now on; TOFU_OK: nothing */
	char *fault;              /* why, for people */
	char *peer;               /* its address below, noted before the end hides it; NULL: that can be asked there */
	char called[];            /* after "scheme|"; "": it came in */
};

/** The BIO through which OpenSSL reaches a link; NULL: no memory. */
BIO_METHOD *tofu_tls_bio_new(void);

/** A state without TLS; called is copied. NULL: no memory. */
struct tofu_tls_link *tofu_tls_link_new(const struct tofu_tls_instance *instance, const char *called);
/** Free it; what is below is closed already. NULL is fine. */
void tofu_tls_link_free(struct tofu_tls_link *l);
/** Begin TLS. False: no memory, or (a caller) the name that the server has to have is none. */
bool tofu_tls_link_begin(struct tofu_tls_link *l, bool calls);

/** A text for explain; the first one stays. */
void tofu_tls_link_say(struct tofu_tls_link *l, const char *text);

/* As the operations of struct tofu_transport. */
enum tofu_status tofu_tls_handshake(struct tofu_tls_link *l, unsigned *want);
enum tofu_status tofu_tls_send(struct tofu_tls_link *l, const struct tofu_iov *iov, size_t count, size_t *done,
                               unsigned *want);
enum tofu_status tofu_tls_receive(struct tofu_tls_link *l, const struct tofu_iov *iov, size_t count, size_t *done,
                                  unsigned *want);
enum tofu_status tofu_tls_shutdown(struct tofu_tls_link *l, unsigned *want);
/** What goes before an orderly close: a last word, if it can be said at once, and nothing unread that would destroy it. */
void tofu_tls_part(struct tofu_tls_link *l);

#endif
