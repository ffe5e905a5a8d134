/* SPDX-License-Identifier: MIT */

/*
 * Posting: everything about a message that can be judged without the reactor is judged here, on the caller's thread. What
 * is wrong stays with the caller and costs nobody else anything. What is right goes through its channel's gate and into the
 * mailbox; a hello or a welcome opens its channel first.
 */

#include <stdio.h>
#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"
#include "reactor/transport.h"

/* Ids of the process: sequential, never 0. */
static _Atomic uint64_t last_id;

static uint64_t next_id(void)
{
	uint64_t id;

	do
		id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
	while (id == 0);
	return id;
}

uint64_t tofu_next_id(void)
{
	return next_id();
}

static bool opens(const struct tofu_opcode_rule *rule)
{
	return rule->role == TOFU_ROLE_REQUEST && (rule->type == TOFU_TYPE_HELLO || rule->type == TOFU_TYPE_WELCOME);
}

static inline enum tofu_status check(const struct tofu_msg *m)
{
	const struct tofu_header *h = &m->header;
	const struct tofu_opcode_rule *rule = tofu_opcode_rule(h->opcode);
	size_t len;

	if (rule == NULL || !rule->posted)
		return TOFU_INVALID_OP_CODE;
	if (rule->role == TOFU_ROLE_RESPONSE && h->id == 0)
		return TOFU_INVALID_MESSAGE_ID;
	if (h->more > (rule->type == TOFU_TYPE_REGULAR ? 1 : 0))
		return TOFU_INVALID_MORE_USAGE;
	if (opens(rule) != (h->channel == 0))
		return TOFU_INVALID_CHANNEL_NUMBER;
	if (opens(rule) && tofu_msg_headers_find(m, tofu_address_header(h->opcode), &len) == NULL)
		return TOFU_WRONG_ADDRESS;
	if (m->headers_len > TOFU_HEADERS_MAX)
		return TOFU_INVALID_HEADERS_LEN;
	if (m->body_len > TOFU_BODY_MAX)
		return TOFU_INVALID_BODY_LEN;
	return TOFU_OK;
}

enum tofu_status tofu_msg_check(const tofu_msg *msg)
{
	return msg != NULL ? check(msg) : TOFU_NULL_MESSAGE;
}

static enum tofu_status set_address(struct tofu_msg *m, const char *address)
{
	return m->header.opcode == TOFU_WELCOME_REQUEST ? tofu_msg_listen_on(m, address)
	                                                : tofu_msg_connect_to(m, address);
}

/* The rest of an address in normal form, by its transport. */
static enum tofu_status fill_in(struct tofu_engine *e, enum tofu_purpose purpose, char address[TOFU_ADDRESS_MAX + 1])
{
	char scheme[TOFU_SCHEME_MAX + 1];
	char rest[TOFU_ADDRESS_MAX + 1];
	char full[TOFU_ADDRESS_MAX + 1];
	const struct tofu_transport *t;
	enum tofu_status status;
	int n;

	if (tofu_address_split(address, strlen(address), scheme, rest) != TOFU_OK)
		return TOFU_OK;
	t = tofu_engine_transport(e, scheme);
	if (t == NULL || t->complete == NULL)
		return TOFU_OK;
	n = snprintf(full, sizeof full, "%s|", scheme);
	status = t->complete(t, rest, purpose, full + n, sizeof full - (size_t)n);
	if (status == TOFU_OK && full[n] != '\0')
		memcpy(address, full, strlen(full) + 1);
	return status;
}

/*
 * A URL becomes an address, unless tofu_msg_connect_to() did that already. What the address leaves to the process is filled in on
 * this thread, which knows of whoever changes the environment, say. An address that is wrong stays as it is: the engine says
 * so. before: what it was; empty: it has not changed.
 */
static enum tofu_status complete(struct tofu_engine *e, struct tofu_msg *m, char before[TOFU_ADDRESS_MAX + 1])
{
	char given[TOFU_ADDRESS_MAX + 1];
	char full[TOFU_ADDRESS_MAX + 1];
	size_t len;
	const char *address = tofu_msg_headers_find(m, tofu_address_header(m->header.opcode), &len);
	enum tofu_status status;

	before[0] = '\0';
	if (len > TOFU_ADDRESS_MAX || memchr(address, '\0', len) != NULL)
		return TOFU_OK;
	memcpy(given, address, len);
	given[len] = '\0';
	if (tofu_address_normalize(tofu_pool_rules(e->pool), given, full) != TOFU_OK)
		return TOFU_OK;
	status = fill_in(e, m->header.opcode == TOFU_WELCOME_REQUEST ? TOFU_TO_LISTEN : TOFU_TO_CONNECT, full);
	if (status != TOFU_OK || strcmp(full, given) == 0)
		return status;
	memcpy(before, given, len + 1);
	return set_address(m, full);
}

/* A channel of its own, with the opening message counted in. */
static enum tofu_status enter_new(struct tofu_engine *e, struct tofu_group *g, const struct tofu_msg *m,
                                  uint16_t *number)
{
	struct tofu_msg *farewell = tofu_pool_get_notice(e->pool);
	struct tofu_chan *c;
	enum tofu_status status;

	if (farewell == NULL)
		return TOFU_ALLOCATION_FAILED;
	status = tofu_registry_take(&e->registry, &c);
	if (status != TOFU_OK) {
		tofu_msg_put(&farewell);
		return status;
	}
	tofu_registry_number(&e->registry, c);
	c->farewell = farewell;
	c->receive_want = TOFU_READABLE;
	atomic_store_explicit(&c->group, g, memory_order_relaxed);
	tofu_gate_open(&c->gate, c->number, 1, tofu_msg_load(m));
	*number = c->number;
	return TOFU_OK;
}

/* The channel, if it is open and the group's. The gate looks once more. */
static inline enum tofu_status find_open(struct tofu_engine *e, const struct tofu_group *g, uint16_t number,
                                         struct tofu_chan **out)
{
	struct tofu_chan *c = tofu_registry_find(&e->registry, number);
	uint64_t gate;

	*out = c;
	if (c == NULL)
		return TOFU_INVALID_CHANNEL_NUMBER;
	gate = atomic_load(&c->gate);
	if (tofu_gate_number(gate) != number)
		return TOFU_INVALID_CHANNEL_NUMBER;
	if ((gate & TOFU_GATE_SEALED) != 0)
		return TOFU_CHANNEL_CLOSED;
	if (atomic_load_explicit(&c->group, memory_order_relaxed) != g)
		return TOFU_INVALID_MCHN_GROUP;
	return TOFU_OK;
}

/* A channel that has ended is looked for last: it may do so while we look. */
static inline enum tofu_status or_has_ended(struct tofu_engine *e, uint16_t number, enum tofu_status status)
{
	if (status == TOFU_INVALID_CHANNEL_NUMBER && tofu_registry_has_ended(&e->registry, number))
		return TOFU_CHANNEL_CLOSED;
	return status;
}

/* A message that is refused stays as it was: there is room for what it had before. */
static enum tofu_status open_new(struct tofu_engine *e, struct tofu_group *g, struct tofu_msg *m, uint16_t *number)
{
	char before[TOFU_ADDRESS_MAX + 1];
	enum tofu_status status = complete(e, m, before);

	if (status == TOFU_OK && m->headers_len > TOFU_HEADERS_MAX)
		status = TOFU_INVALID_HEADERS_LEN;
	if (status == TOFU_OK)
		status = enter_new(e, g, m, number);
	if (status != TOFU_OK && before[0] != '\0')
		(void)set_address(m, before);
	return status;
}

static enum tofu_status enter_open(struct tofu_engine *e, struct tofu_group *g, const struct tofu_msg *m)
{
	uint16_t number = m->header.channel;
	struct tofu_chan *c;
	enum tofu_status status = find_open(e, g, number, &c);

	if (status == TOFU_OK)
		status = tofu_gate_enter(&c->gate, number, tofu_msg_load(m), &e->bounds,
		                         m->header.opcode == TOFU_BYE_SIGNAL);
	return or_has_ended(e, number, status);
}

/* It was let in: what the engine fills in. */
static void stamp(struct tofu_msg *m, uint16_t number)
{
	m->header.channel = number;
	m->header.origin = TOFU_ORIGIN_APPLICATION;
	m->header.status = TOFU_OK;
	m->header.reason = TOFU_OK;
	if (m->header.id == 0)
		m->header.id = next_id();
}

/* m may be gone as soon as it is in the mailbox. */
static void mail(struct tofu_engine *e, struct tofu_msg *m)
{
	uint32_t bytes = tofu_msg_load(m);

	if (tofu_through(&e->reactor, m))
		return;
	if (tofu_mailbox_post(&e->mailbox, m) && !tofu_lead_is_expected(&e->reactor))
		tofu_engine_wake(e);
	tofu_drive_posted(&e->reactor, bytes);
}

enum tofu_status tofu_post(tofu_group *g, tofu_msg **msg, struct tofu_header *out)
{
	struct tofu_msg *m = msg != NULL ? *msg : NULL;
	struct tofu_engine *e;
	enum tofu_status status;
	uint16_t number;

	if (!tofu_group_is_of_this_process(g))
		return TOFU_NOT_ALLOWED;
	if (m == NULL)
		return TOFU_NULL_MESSAGE;
	status = check(m);
	if (status == TOFU_OK)
		status = tofu_group_engine_in_use(g, &e);
	if (status != TOFU_OK)
		return status;
	number = m->header.channel;
	status = number == 0 ? open_new(e, g, m, &number) : enter_open(e, g, m);
	if (status != TOFU_OK)
		return status;

	stamp(m, number);
	if (out != NULL)
		*out = m->header;
	*msg = NULL;
	tofu_holder_release(m);
	atomic_fetch_add_explicit(&g->posted, 1, memory_order_relaxed);
	mail(e, m);
	return TOFU_OK;
}

/* --- many --- */

/* Messages that were let in and are to be mailed in one go: linked as the mailbox has them, the newest first. */
struct chain {
	struct tofu_msg *newest;
	struct tofu_msg *oldest;
	size_t count;
	uint32_t longest; /* bytes */
};

enum { CHAIN_MAX = 256 };

static void chain_add(struct chain *chain, struct tofu_msg **msg)
{
	struct tofu_msg *m = *msg;
	uint32_t bytes = tofu_msg_load(m);

	*msg = NULL;
	tofu_holder_release(m);
	m->next = chain->newest;
	chain->newest = m;
	if (chain->oldest == NULL)
		chain->oldest = m;
	chain->count++;
	if (bytes > chain->longest)
		chain->longest = bytes;
}

static void chain_mail(struct tofu_engine *e, struct tofu_group *g, struct chain *chain)
{
	uint32_t longest = chain->longest;

	if (chain->count == 0)
		return;
	atomic_fetch_add_explicit(&g->posted, chain->count, memory_order_relaxed);
	if (chain->count == 1) {
		mail(e, chain->newest);
	} else {
		if (tofu_mailbox_post_chain(&e->mailbox, chain->newest, chain->oldest) &&
		    !tofu_lead_is_expected(&e->reactor))
			tofu_engine_wake(e);
		tofu_drive_posted(&e->reactor, longest);
	}
	*chain = (struct chain){ 0 };
}

/* So many from the first on are right, for its channel, and wait for room like others. */
static size_t run_length(tofu_msg *const *msgs, size_t most, uint32_t bytes[])
{
	size_t n = 0;

	while (n < most && tofu_msg_check(msgs[n]) == TOFU_OK && msgs[n]->header.opcode != TOFU_BYE_SIGNAL &&
	       msgs[n]->header.channel == msgs[0]->header.channel) {
		bytes[n] = tofu_msg_load(msgs[n]);
		n++;
	}
	return n;
}

/* Several messages of one channel. */
static enum tofu_status enter_run(struct tofu_engine *e, struct tofu_group *g, uint16_t number, const uint32_t *bytes,
                                  size_t n, size_t *entered)
{
	struct tofu_chan *c;
	enum tofu_status status = find_open(e, g, number, &c);

	*entered = 0;
	if (status == TOFU_OK)
		status = tofu_gate_enter_some(&c->gate, number, bytes, n, &e->bounds, entered);
	return or_has_ended(e, number, status);
}

/* Let in what begins at msgs: a run of one channel, or a message that goes by itself. *entered: how many. */
static enum tofu_status enter_next(struct tofu_engine *e, struct tofu_group *g, tofu_msg **msgs, size_t most,
                                   struct chain *chain, size_t *entered)
{
	uint32_t bytes[CHAIN_MAX];
	uint16_t number = msgs[0] != NULL ? msgs[0]->header.channel : 0;
	enum tofu_status status;
	size_t n = number != 0 ? run_length(msgs, most, bytes) : 0;

	*entered = 0;
	if (n > 0) {
		status = enter_run(e, g, number, bytes, n, entered);
	} else {
		status = tofu_msg_check(msgs[0]);
		if (status == TOFU_OK)
			status = number == 0 ? open_new(e, g, msgs[0], &number) : enter_open(e, g, msgs[0]);
		*entered = status == TOFU_OK;
	}
	for (size_t i = 0; i < *entered; i++) {
		stamp(msgs[i], number);
		chain_add(chain, &msgs[i]);
	}
	return status;
}

enum tofu_status tofu_post_many(tofu_group *g, tofu_msg **msgs, size_t count, size_t *posted)
{
	struct chain chain = { 0 };
	struct tofu_engine *e;
	enum tofu_status status;
	size_t done = 0;

	if (posted != NULL)
		*posted = 0;
	if (!tofu_group_is_of_this_process(g))
		return TOFU_NOT_ALLOWED;
	status = tofu_group_engine_in_use(g, &e);
	if (status != TOFU_OK)
		return status;
	if (msgs == NULL)
		return TOFU_NOT_ALLOWED;
	while (status == TOFU_OK && done < count) {
		size_t most = CHAIN_MAX - chain.count;
		size_t entered;

		status = enter_next(e, g, msgs + done, count - done < most ? count - done : most, &chain, &entered);
		done += entered;
		if (chain.count == CHAIN_MAX)
			chain_mail(e, g, &chain);
	}
	chain_mail(e, g, &chain);
	if (posted != NULL)
		*posted = done;
	return status;
}
