/* SPDX-License-Identifier: MIT */

/*
 * Opening: from a HelloRequest or WelcomeRequest to a link.
 *
 * The address in its text header names a transport, which turns the rest into system addresses - at once, or on a resolver
 * thread if that takes a lookup. To listen it takes all of them (legs.c). To connect they race for it (race.c). Until then the
 * opening message waits in the channel (a hello as the first unsent message), so that whatever ends the channel gives it back as
 * the answer. Accepting is here, too: it is how the other links come about.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"
#include "reactor/transport.h"
#include "reactor/legs.h"
#include "reactor/race.h"

static void dial_fill(struct tofu_dial *d, const struct tofu_sockaddr *addresses, size_t count)
{
	size_t most = count < TOFU_ADDRESSES_MAX ? count : TOFU_ADDRESSES_MAX;

	d->next = NULL;
	d->attempt = (struct tofu_attempt){ 0 };
	d->attempts = 0;
	d->count = (uint32_t)most;
	d->at = 0;
	d->left_out = (uint32_t)(count - most);
	memcpy(d->addresses, addresses, most * sizeof addresses[0]);
}

struct tofu_dial *tofu_dial_make(const struct tofu_sockaddr *addresses, size_t count)
{
	size_t room = count < TOFU_ADDRESSES_MAX ? count : TOFU_ADDRESSES_MAX;
	struct tofu_dial *d;

	if (room < TOFU_DIAL_ROOM)
		room = TOFU_DIAL_ROOM;
	d = malloc(sizeof *d + room * sizeof d->addresses[0]);
	if (d == NULL)
		return NULL;
	d->room = (uint32_t)room;
	dial_fill(d, addresses, count);
	return d;
}

/* The same on the reactor's thread, which keeps some. */
static struct tofu_dial *dial_get(struct tofu_reactor *r, const struct tofu_sockaddr *addresses, size_t count)
{
	struct tofu_dial *d = r->spare_dials;

	if (d == NULL || count > d->room)
		return tofu_dial_make(addresses, count);
	r->spare_dials = d->next;
	r->spare_dial_count--;
	dial_fill(d, addresses, count);
	return d;
}

static void dial_free(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_dial *d = c->dial;

	c->dial = NULL;
	if (d == NULL)
		return;
	if (d->room > TOFU_DIAL_ROOM || r->spare_dial_count >= TOFU_SPARE_DIALS) {
		free(d);
		return;
	}
	d->next = r->spare_dials;
	r->spare_dials = d;
	r->spare_dial_count++;
}

void tofu_dial_stop(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->connected)
		return;
	if (c->lookup != NULL)
		tofu_resolver_forget(r->engine->resolver, c->lookup);
	c->lookup = NULL;
	dial_free(r, c);
}

static bool watch(struct tofu_reactor *r, struct tofu_chan *c)
{
	enum tofu_status status = c->watched ? TOFU_OK : tofu_chan_watch(r, c, c->number);

	if (status != TOFU_OK)
		tofu_chan_close(r, c, status);
	return status == TOFU_OK;
}

void tofu_dial_connected(struct tofu_reactor *r, struct tofu_chan *c)
{
	tofu_timer_stop(r, c, TOFU_TIMER_ANSWER);
	tofu_timer_stop(r, c, TOFU_TIMER_RETRY);
	dial_free(r, c);
	c->connected = true;
	c->receive_want = TOFU_READABLE;
	tofu_chan_opened(r, c);
	tofu_chan_move(r, c, TOFU_CHAN_OPEN);
	tofu_chan_tell(r, c, "connected to");
	tofu_chan_bound(r, c); /* the peer's answer is due from now on */
	tofu_chan_touch(r, c);
}

/* What was called, after "scheme|". The hello says it: it is the first message, and unsent until the connection stands. */
void tofu_dial_called(const struct tofu_chan *c, char rest[TOFU_ADDRESS_MAX + 1])
{
	char scheme[TOFU_SCHEME_MAX + 1];
	size_t len;
	const char *address = tofu_msg_headers_find(c->unsent.head, tofu_address_header(TOFU_HELLO_REQUEST), &len);

	(void)tofu_address_split(address, len, scheme, rest);
}

/* The WelcomeRequest becomes the WelcomeResponse, with the address that we got. */
static enum tofu_status welcome(struct tofu_reactor *r, struct tofu_chan *c)
{
	char address[TOFU_ADDRESS_MAX + 1];
	uint32_t posted = tofu_msg_wire_size(c->welcome);
	struct tofu_msg *m = c->welcome;
	uint64_t id = m->header.id;
	enum tofu_status status;

	status = c->transport->local_address(c->transport, &c->link, address, sizeof address);
	if (status == TOFU_OK)
		status = tofu_msg_listen_on(m, address);
	if (status != TOFU_OK)
		return status;
	c->welcome = NULL;
	m->header = (struct tofu_header){ .id = id,
		                          .channel = c->number,
		                          .opcode = TOFU_WELCOME_RESPONSE,
		                          .origin = TOFU_ORIGIN_ENGINE,
		                          .status = TOFU_OK };
	tofu_reactor_give(r, tofu_chan_group(c), m);
	tofu_chan_settle(r, c, 1, posted);
	return TOFU_OK;
}

static enum tofu_status listen_first(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_dial *d = c->dial;
	enum tofu_status status = TOFU_LISTEN_FAILED;

	while (d->at < d->count) {
		status = c->transport->listen(c->transport, &c->link, &d->addresses[d->at]);
		if (status == TOFU_OK || status == TOFU_WOULD_BLOCK)
			break;
		tofu_chan_drop_link(r, c, TOFU_CLOSE_ORDERLY);
		c->pauses = 0;
		d->at++;
	}
	return status;
}

/* On all addresses of a name, or on none, so that nobody else can have the port on one of them. */
static void start_listening(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_dial *d = c->dial;
	enum tofu_status status;
	unsigned want = 0;

	if (d->count > 1 && c->transport->listen_all != NULL)
		status = tofu_legs_listen(c, d->addresses, d->count);
	else
		status = listen_first(r, c);
	if (status == TOFU_WOULD_BLOCK && tofu_chan_again(r, c, status, &want))
		return;
	if (status == TOFU_OK && !watch(r, c))
		return;
	if (status == TOFU_OK)
		status = tofu_legs_watch(r, c);
	if (status == TOFU_OK)
		status = welcome(r, c);
	if (status != TOFU_OK) {
		tofu_chan_close(r, c, status);
		return;
	}
	dial_free(r, c);
	tofu_chan_opened(r, c);
	tofu_chan_move(r, c, TOFU_CHAN_LISTENING);
	tofu_chan_declare(r, c);
}

/*
 * To connect, the two families of Internet addresses take turns, as RFC 8305 has it: one of them may not work from here. The family of
 * the first is first, and within a family the resolver's order stays.
 */
static void interleave(struct tofu_dial *d)
{
	const int family = d->count > 0 ? tofu_sockaddr_family(&d->addresses[0]) : 0;

	for (uint32_t i = 1; family != 0 && i < d->count; i++) {
		const bool same = i % 2 == 0;
		struct tofu_sockaddr next;
		uint32_t from = i;

		while (from < d->count && (tofu_sockaddr_family(&d->addresses[from]) == family) != same)
			from++;
		if (from == d->count)
			return;
		next = d->addresses[from];
		memmove(&d->addresses[i + 1], &d->addresses[i], (from - i) * sizeof next);
		d->addresses[i] = next;
	}
}

/* Its addresses are known. */
static void resolved(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_dial *d)
{
	c->dial = d;
	if (d->left_out > 0)
		tofu_reactor_log(r, TOFU_LOG_WARNING,
		                 "channel %u: %u addresses of the name are left out, the first %u are used", c->number,
		                 d->left_out, d->count);
	if (c->welcome != NULL) {
		start_listening(r, c);
		return;
	}
	interleave(d);
	tofu_chan_move(r, c, TOFU_CHAN_CONNECTING);
	tofu_race_begin(r, c);
}

void tofu_dial_retry(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->welcome != NULL)
		start_listening(r, c);
	else
		tofu_race_retry(r, c);
}

/* What is wrong with an address; text has len bytes, and address as many of them as fit. */
static const char *fault_of(const struct tofu_reactor *r, const struct tofu_chan *c, const char *text, size_t len,
                            const char *address, enum tofu_opcode opcode)
{
	const char *fault = tofu_address_judge(tofu_pool_rules(r->engine->pool), address, opcode);
	char scheme[TOFU_SCHEME_MAX + 1];
	char rest[TOFU_ADDRESS_MAX + 1];

	if (fault != NULL)
		return fault;
	if (memchr(text, '\0', len) != NULL)
		return "the address contains a control character";
	if (tofu_address_split(text, len, scheme, rest) != TOFU_OK)
		return "no transport was registered whose URLs begin like that";
	return c->transport != NULL ? "the transport does not know this form of address"
	                            : "no transport of that name is registered";
}

const char *tofu_dial_fault(const struct tofu_reactor *r, const struct tofu_chan *c, const struct tofu_msg *m,
                            char address[TOFU_ADDRESS_TOO_LONG + 1])
{
	size_t len;
	const char *text = tofu_msg_headers_find(m, tofu_address_header(m->header.opcode), &len);

	if (text == NULL)
		return NULL;
	(void)snprintf(address, TOFU_ADDRESS_TOO_LONG + 1, "%.*s", (int)len, text);
	return fault_of(r, c, text, len, address, (enum tofu_opcode)m->header.opcode);
}

/* The application learns it from the answer, and whoever reads the log from that. */
static void log_fault(struct tofu_reactor *r, const struct tofu_chan *c, const struct tofu_msg *m)
{
	char address[TOFU_ADDRESS_TOO_LONG + 1];
	const char *fault = tofu_dial_fault(r, c, m, address);

	if (fault == NULL)
		return;
	tofu_log_clean(address);
	tofu_reactor_log(r, TOFU_LOG_INFO, "channel %u: cannot %s: %s (%s)", c->number,
	                 m->header.opcode == TOFU_WELCOME_REQUEST ? "listen" : "connect", fault, address);
}

static void fail_to_resolve(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status status)
{
	if (status == TOFU_INVALID_ADDRESS)
		log_fault(r, c, c->welcome != NULL ? c->welcome : c->unsent.head);
	tofu_chan_close(r, c, status);
}

/* The resolver's answer, on the reactor's thread. The channel may have ended in the meantime. */
static void answered(struct tofu_engine *e, struct tofu_command *command)
{
	struct tofu_lookup *l = (struct tofu_lookup *)(void *)command;
	struct tofu_chan *c = l->channel;
	struct tofu_dial *d = l->dial;

	if (c != NULL) {
		c->lookup = NULL;
		l->dial = NULL;
		if (l->status == TOFU_OK)
			resolved(&e->reactor, c, d);
		else
			fail_to_resolve(&e->reactor, c, l->status);
	}
	tofu_lookup_free(l);
}

static void drop_answer(struct tofu_command *command)
{
	tofu_lookup_free((struct tofu_lookup *)(void *)command);
}

static enum tofu_status ask(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_purpose purpose, const char *rest)
{
	size_t size = strlen(rest) + 1;
	struct tofu_lookup *l = calloc(1, sizeof *l + size);
	enum tofu_status status;

	if (l == NULL)
		return TOFU_ALLOCATION_FAILED;
	l->answer.run = answered;
	l->answer.drop = drop_answer;
	l->channel = c;
	l->purpose = purpose;
	l->transport = c->transport;
	tofu_transport_hold(l->transport);
	memcpy(l->rest, rest, size);
	status = tofu_resolver_ask(r->engine->resolver, l);
	if (status == TOFU_OK)
		c->lookup = l;
	else
		tofu_lookup_free(l);
	return status;
}

static enum tofu_status resolve(struct tofu_reactor *r, struct tofu_chan *c, const struct tofu_msg *m)
{
	enum tofu_purpose purpose = m->header.opcode == TOFU_WELCOME_REQUEST ? TOFU_TO_LISTEN : TOFU_TO_CONNECT;
	struct tofu_sockaddr found[TOFU_ADDRESSES_MAX];
	char scheme[TOFU_SCHEME_MAX + 1];
	char rest[TOFU_ADDRESS_MAX + 1];
	size_t len, count = 0;
	const char *address = tofu_msg_headers_find(m, tofu_address_header(m->header.opcode), &len);
	struct tofu_dial *d;
	enum tofu_status status;

	if (address == NULL)
		return TOFU_WRONG_ADDRESS;
	status = tofu_address_split(address, len, scheme, rest);
	if (status != TOFU_OK)
		return status;
	c->transport = tofu_engine_transport(r->engine, scheme);
	if (c->transport == NULL)
		return TOFU_INVALID_ADDRESS;
	status = c->transport->resolve(c->transport, rest, purpose, 0, found, TOFU_ADDRESSES_MAX, &count);
	if (status == TOFU_WOULD_BLOCK)
		return ask(r, c, purpose, rest);
	if (status != TOFU_OK)
		return status;
	d = dial_get(r, found, count);
	if (d == NULL)
		return TOFU_ALLOCATION_FAILED;
	resolved(r, c, d);
	return TOFU_OK;
}

void tofu_dial_open(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	enum tofu_status status;

	tofu_list_append(&tofu_chan_group(c)->channels, &c->of_group);
	tofu_session_begin(&c->session, false);
	c->farewell->header.id = m->header.id;
	if (m->header.opcode == TOFU_WELCOME_REQUEST)
		c->welcome = m;
	else
		tofu_chan_queue(r, &c->unsent, m);
	tofu_timers_enter(&r->timers, &c->deadlines);
	tofu_chan_move(r, c, TOFU_CHAN_RESOLVING);
	status = resolve(r, c, m);
	if (status != TOFU_OK)
		fail_to_resolve(r, c, status);
}

/*
 * A listener asks for nothing until there is something to be had again. That a descriptor or a channel of this engine is
 * free we learn at once; of those elsewhere in the process, and of memory, nobody tells us, so we look again.
 */
static void pause_listener(struct tofu_reactor *r, struct tofu_chan *listener, enum tofu_status status)
{
	if (listener->accepting == TOFU_ACCEPTS)
		tofu_reactor_log(r, TOFU_LOG_WARNING, "channel %u: accepting is paused: %s", listener->number,
		                 tofu_strerror(status));
	listener->accepting = TOFU_ACCEPTS_NOTHING;
	tofu_list_append(&r->paused, &listener->starving);
	tofu_timer_start(r, listener, TOFU_TIMER_RETRY, r->now_ns + TOFU_RETRY_MS * TOFU_NS_PER_MS);
	tofu_chan_touch(r, listener);
}

void tofu_dial_resume(struct tofu_reactor *r, struct tofu_chan *listener)
{
	if (listener->accepting == TOFU_ACCEPTS_AGAIN) {
		listener->accepting = TOFU_ACCEPTS;
		return;
	}
	listener->accepting = TOFU_ACCEPTS_AGAIN;
	tofu_list_remove(&listener->starving);
	tofu_timer_start(r, listener, TOFU_TIMER_RETRY, r->now_ns + TOFU_CALM_MS * TOFU_NS_PER_MS);
	tofu_chan_touch(r, listener);
}

void tofu_dial_resume_all(struct tofu_reactor *r)
{
	struct tofu_list waiting;
	struct tofu_list *node;

	tofu_list_steal(&waiting, &r->paused);
	while ((node = tofu_list_pop(&waiting)) != NULL)
		tofu_dial_resume(r, TOFU_LIST_OWNER(node, struct tofu_chan, starving));
}

static enum tofu_status accept_one(struct tofu_reactor *r, struct tofu_chan *listener, struct tofu_link *link)
{
	struct tofu_registry *reg = &r->engine->registry;
	struct tofu_group *g = tofu_chan_group(listener);
	enum tofu_close how = TOFU_CLOSE_ORDERLY;
	struct tofu_chan *c;
	enum tofu_status status;

	if (!tofu_admission_has_room(r) || tofu_registry_take(reg, &c) != TOFU_OK)
		return TOFU_LIMIT_REACHED;
	tofu_session_begin(&c->session, true);
	c->connected = true;
	c->transport = listener->transport;
	c->farewell = tofu_pool_get_notice(r->engine->pool);
	if (c->farewell == NULL)
		status = TOFU_LIMIT_REACHED;
	else
		status = listener->transport->accept(listener->transport, link, &c->link);
	if (status == TOFU_OK)
		status = tofu_admission_enter(r, c);
	if (status == TOFU_PERMISSION_DENIED) {
		tofu_admission_refuse(r, listener, c);
		how = TOFU_CLOSE_ABORT;
	}
	if (status == TOFU_OK && tofu_chan_watch(r, c, listener->number) != TOFU_OK)
		status = TOFU_LIMIT_REACHED; /* this one is lost, the others stay where they are */
	if (status != TOFU_OK) {
		tofu_admission_leave(r, c);
		if (c->link.handle != TOFU_NO_SOCKET || c->link.state != NULL)
			c->transport->close(c->transport, &c->link, how);
		tofu_msg_put(&c->farewell);
		tofu_registry_return(reg, c);
		return status;
	}
	tofu_registry_number(reg, c);
	tofu_timers_enter(&r->timers, &c->deadlines);
	c->receive_want = TOFU_READABLE;
	atomic_store_explicit(&c->group, g, memory_order_relaxed);
	tofu_list_append(&g->channels, &c->of_group);
	tofu_chan_move(r, c, TOFU_CHAN_ACCEPTED);
	tofu_chan_touch(r, c);
	return TOFU_OK;
}

void tofu_dial_accept(struct tofu_reactor *r, struct tofu_chan *listener, struct tofu_link *link)
{
	for (int i = 0; i < TOFU_ACCEPT_BUDGET && listener->accepting != TOFU_ACCEPTS_NOTHING; i++) {
		enum tofu_status status = accept_one(r, listener, link);

		if (status == TOFU_WOULD_BLOCK)
			return;
		if (status == TOFU_LIMIT_REACHED || status == TOFU_ALLOCATION_FAILED) {
			if (i > 0) /* is there one at all? The next event tells */
				return;
			if (!tofu_admission_make_room(r))
				pause_listener(r, listener, status);
		} else if (status != TOFU_OK && status != TOFU_PERMISSION_DENIED) {
			tofu_chan_close(r, listener, status);
			return;
		}
	}
}
