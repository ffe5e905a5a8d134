/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_RESOLVER_H
#define TOFU_REACTOR_RESOLVER_H

/*
 * Names are looked up on threads of their own, started when they are needed, so that neither the reactor nor other names wait
 * for a slow name server. An engine never waits for a lookup either: it leaves a busy thread behind, which ends by itself
 * when the system answers.
 */

#include <tofu/transport.h>

#include "message/message.h"
#include "reactor/list.h"
#include "reactor/mailbox.h"

struct tofu_chan;
struct tofu_dial;
struct tofu_resolver;

/** Where a question is; under the resolver's lock. */
enum tofu_lookup_state {
	TOFU_LOOKUP_QUEUED,    /* waits for its turn */
	TOFU_LOOKUP_RUNNING,   /* a thread looks it up */
	TOFU_LOOKUP_FORGOTTEN, /* a thread still looks it up, though nobody waits for the answer */
	TOFU_LOOKUP_ANSWERED   /* on its way to the reactor, or there */
};

/** One question, and the command that brings the answer to the reactor. */
struct tofu_lookup {
	struct tofu_command answer;
	struct tofu_list of_resolver;
	enum tofu_lookup_state state;
	enum tofu_purpose purpose;
	const struct tofu_transport *transport;
	struct tofu_chan *channel; /* the reactor's thread; NULL: nobody waits */
	struct tofu_dial *dial;    /* the answer, if status is TOFU_OK */
	enum tofu_status status;
	char rest[]; /* of the address, terminated */
};

/** Free it, and the answer if that was not taken. */
void tofu_lookup_free(struct tofu_lookup *l);

enum tofu_status tofu_resolver_create(struct tofu_engine *engine, struct tofu_resolver **out);
/** No more answers when this returns. Unanswered questions are freed. */
void tofu_resolver_destroy(struct tofu_resolver *res);

/** In a child after fork(), where there are no threads: free it, take no lock. */
void tofu_resolver_abandon(struct tofu_resolver *res);

/** Around a fork(), on the forking thread: nothing changes in between. */
void tofu_resolver_hold(struct tofu_resolver *res);
void tofu_resolver_go_on(struct tofu_resolver *res);

/** Take a question (malloc'ed; freed by whoever handles its answer). On failure it stays the caller's. */
enum tofu_status tofu_resolver_ask(struct tofu_resolver *res, struct tofu_lookup *l);
/** The reactor's thread: nobody waits for the answer any more. Freed, now or when it comes. */
void tofu_resolver_forget(struct tofu_resolver *res, struct tofu_lookup *l);

#endif
