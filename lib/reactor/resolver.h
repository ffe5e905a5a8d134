/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_RESOLVER_H
#define TOFU_REACTOR_RESOLVER_H

/*
 * Names are looked up on threads of their own, started when first needed and at most four, so that neither the reactor nor
 * other names wait for a slow name server. An engine never waits for a lookup either: it leaves a busy thread behind, which
 * ends by itself when the system answers.
 */

#include <stdint.h>

#include <tofu/transport.h>

#include "message/message.h"
#include "reactor/mailbox.h"

struct tofu_resolver;

/** One question, and the command that brings the answer to the reactor. */
struct tofu_lookup {
	struct tofu_command answer;
	struct tofu_lookup *next;
	uint64_t serial;
	uint16_t channel;
	enum tofu_purpose purpose;
	const struct tofu_transport *transport;
	char rest[TOFU_ADDRESS_MAX + 1];
	enum tofu_status status;
	size_t count;
	struct tofu_sockaddr addresses[TOFU_ADDRESSES_MAX];
};

enum tofu_status tofu_resolver_create(struct tofu_engine *engine, struct tofu_resolver **out);
/** No more answers when this returns. Unanswered questions are freed. */
void tofu_resolver_destroy(struct tofu_resolver *res);

/** In a child after fork(), where there are no threads: free it, take no lock. */
void tofu_resolver_abandon(struct tofu_resolver *res);

/** Around a fork(), on the forking thread: nothing changes in between. */
void tofu_resolver_hold(struct tofu_resolver *res);
void tofu_resolver_go_on(struct tofu_resolver *res);

/** Take a question (malloc'ed; freed by whoever handles its answer). On failure it stays the caller's. */
enum tofu_status tofu_resolver_ask(struct tofu_resolver *res, struct tofu_lookup *lookup);
/** Nobody waits for the answer any more. A question that is not being looked up yet is freed, and has no answer. */
void tofu_resolver_forget(struct tofu_resolver *res, uint64_t serial);

#endif
