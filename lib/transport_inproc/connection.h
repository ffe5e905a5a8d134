/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TRANSPORT_INPROC_CONNECTION_H
#define TOFU_TRANSPORT_INPROC_CONNECTION_H

/*
 * A connection: two ends, each of one engine. The operations of one end are called by one thread at a time, those of the
 * other end by another one at the same time. The memory and both signals live until both ends are closed.
 */

#include <stdbool.h>

#include <tofu/transport.h>

enum { TOFU_INPROC_NAME_MAX = sizeof(((struct tofu_sockaddr *)NULL)->bytes) - 1 };

/** link->state points to an end or to a listener, which begins alike. */
struct tofu_inproc_end {
	bool listens; /* false */
	bool is_caller;
	bool awaits_room;             /* the last send did not send all */
	unsigned in_vain;             /* sends that moved nothing, since the last receive */
	struct tofu_inproc_end *next; /* in the queue of a listener */
	intptr_t
		signal; /* readable when send or receive is to be called again, if it said that nothing could be done */
	const char *name; /* that was called */
	struct tofu_inproc_connection *connection;
	struct tofu_inproc_ring *in, *out;
	char apart[64]; /* from the other end, which another thread uses */
};

/** A new connection to that name; *caller is one end, *accepted the other one. */
enum tofu_status tofu_inproc_connect(const char *name, struct tofu_inproc_end **caller,
                                     struct tofu_inproc_end **accepted);

/** As the operations of a transport. To go on when there are bytes, or when there is room, the signal is waited for. */
enum tofu_status tofu_inproc_send(struct tofu_inproc_end *e, const struct tofu_iov *iov, size_t count, size_t *done);
enum tofu_status tofu_inproc_receive(struct tofu_inproc_end *e, const struct tofu_iov *iov, size_t count, size_t *done);
void tofu_inproc_shutdown(struct tofu_inproc_end *e);
/** Give memory back that has not been needed since the last call. True: there is none any more. */
bool tofu_inproc_tidy(struct tofu_inproc_end *e);
void tofu_inproc_close(struct tofu_inproc_end *e, enum tofu_close how);

#endif
