/* SPDX-License-Identifier: MIT */

/*
 * An engine's life, and its public calls that are not a group's. Everything it owns is made in tofu_engine_create() in one
 * order and undone in tofu_engine_destroy() in the other, but for the pool, which calls back; destroy takes a half-made
 * engine, too.
 */

#include "reactor/engine.h"

#include <stdlib.h>
#include <string.h>

#include "reactor/group.h"

static bool fill_in(uint32_t *field, uint32_t otherwise, uint32_t most)
{
	if (*field == 0)
		*field = otherwise;
	return *field <= most;
}

/* Does a newer program's longer struct say anything beyond ours? */
static bool says_more(const struct tofu_options *from)
{
	const unsigned char *bytes = (const unsigned char *)from;

	for (size_t i = sizeof *from; i < from->size; i++)
		if (bytes[i] != 0)
			return true;
	return false;
}

/* Every default in place; an older, shorter struct is zero beyond its end, that is, default. */
static enum tofu_status effective_options(const struct tofu_options *from, struct tofu_options *o)
{
	bool valid;

	memset(o, 0, sizeof *o);
	if (from != NULL) {
		if (from->size < sizeof from->size)
			return TOFU_NOT_ALLOWED;
		if (says_more(from))
			return TOFU_NOT_SUPPORTED;
		memcpy(o, from, from->size < sizeof *o ? from->size : sizeof *o);
	}
	o->size = sizeof *o;
	valid = o->io == TOFU_IO_THREAD || o->io == TOFU_IO_CALLER || o->io == TOFU_IO_THREAD_ONLY;
	valid = fill_in(&o->pool_initial, 1024, 1u << 20) && valid;
	valid = fill_in(&o->pool_max, 4096, 1u << 20) && valid;
	valid = fill_in(&o->max_channels, TOFU_CHANNEL_MAX, TOFU_CHANNEL_MAX) && valid;
	valid = fill_in(&o->send_queue_max, 1024, TOFU_GATE_MESSAGES_MAX) && valid;
	valid = fill_in(&o->handshake_timeout_ms, 10000, UINT32_MAX) && valid;
	valid = fill_in(&o->channel_share_percent, 100, 100000) && valid;
	valid = fill_in(&o->bye_timeout_ms, o->handshake_timeout_ms, UINT32_MAX) && valid;
	if (o->send_queue_max_bytes == 0)
		o->send_queue_max_bytes = 8u << 20;
	valid = o->send_queue_max_bytes <= TOFU_GATE_BYTES_MAX && valid;
	if (o->pool_max < o->pool_initial)
		o->pool_max = o->pool_initial;
	return valid ? TOFU_OK : TOFU_NOT_ALLOWED;
}

const char *tofu_version(void)
{
	return PACKAGE_VERSION;
}

void tofu_options_init(struct tofu_options *options, size_t size)
{
	if (options == NULL || size < sizeof options->size)
		return;
	memset(options, 0, size);
	options->size = size;
}

void tofu_engine_wake(struct tofu_engine *e)
{
	if (tofu_lead_is_watched(&e->reactor))
		tofu_poller_wake(e->reactor.poller);
}

void tofu_engine_refilled(struct tofu_engine *e)
{
	if (tofu_mailbox_refilled(&e->mailbox))
		tofu_engine_wake(e);
}

void tofu_engine_release_number(struct tofu_engine *e, uint16_t number)
{
	if (tofu_registry_release(&e->registry, number)) /* a listener may wait for one */
		tofu_engine_refilled(e);
}

/* Called by a put into the pool, on any thread, when the reactor waits for messages. */
static void refilled(void *context)
{
	tofu_engine_refilled(context);
}

static enum tofu_status init_lock(struct tofu_engine *e)
{
	enum tofu_status status = tofu_mutex_init(&e->lock);

	e->has_lock = status == TOFU_OK;
	return status;
}

static enum tofu_status init(struct tofu_engine *e, const struct tofu_options *options)
{
	enum tofu_status status = effective_options(options, &e->options);
	struct tofu_options *o = &e->options;

	if (status != TOFU_OK)
		return status;
	e->bounds = (struct tofu_gate_bounds){ o->send_queue_max, (uint32_t)o->send_queue_max_bytes };
	status = init_lock(e);
	if (status == TOFU_OK)
		status = tofu_pool_create(o->pool_initial, o->pool_max, refilled, e, &e->pool);
	if (status == TOFU_OK)
		status = tofu_registry_init(&e->registry, o->max_channels);
	if (status == TOFU_OK)
		status = tofu_resolver_create(e, &e->resolver);
	if (status == TOFU_OK)
		status = tofu_reactor_init(&e->reactor);
	if (status == TOFU_OK)
		status = tofu_reactor_start(&e->reactor);
	if (status == TOFU_OK)
		tofu_engine_watch_fork(e);
	return status;
}

enum tofu_status tofu_engine_create(const struct tofu_options *options, tofu_engine **out)
{
	struct tofu_engine *e;
	enum tofu_status status;

	if (out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = NULL;
	status = tofu_plat_hold();
	if (status != TOFU_OK)
		return status;
	e = calloc(1, sizeof *e);
	if (e == NULL) {
		tofu_plat_release();
		return TOFU_ALLOCATION_FAILED;
	}
	e->generation = tofu_plat_fork_generation();
	e->reactor.engine = e;
	status = init(e, options);
	if (status != TOFU_OK) {
		tofu_engine_destroy(e);
		return status;
	}
	*out = e;
	return TOFU_OK;
}

/* Messages and answers that no loop will take any more. */
static void empty_mailbox(struct tofu_engine *e)
{
	struct tofu_command *command = tofu_mailbox_take_commands(&e->mailbox);

	while (command != NULL) {
		struct tofu_command *next = command->next;

		if (command->drop != NULL)
			command->drop(command);
		command = next;
	}
	tofu_pool_put_all(tofu_mailbox_take_messages(&e->mailbox));
}

/* Each may be gone as soon as it is let go of. */
static void part_groups(struct tofu_engine *e)
{
	struct tofu_list *groups = &e->reactor.groups;
	struct tofu_list *node;

	if (groups->next == NULL)
		return;
	while ((node = tofu_list_pop(groups)) != NULL)
		tofu_group_part(TOFU_LIST_OWNER(node, struct tofu_group, of_reactor));
}

void tofu_engine_destroy(tofu_engine *e)
{
	bool inert;

	if (e == NULL)
		return;
	if (tofu_plat_past_use(e->generation))
		return;
	inert = tofu_engine_inert(e);
	tofu_plat_fork_unwatch(&e->fork_watch);
	if (inert) {
		tofu_resolver_abandon(e->resolver);
		e->reactor.started = false; /* the parent's, not ours */
	} else {
		tofu_reactor_stop(&e->reactor);
		tofu_resolver_destroy(e->resolver);
	}
	empty_mailbox(e); /* first: what a group has in there goes with the group */
	part_groups(e);
	tofu_pool_destroy(e->pool); /* first: a message that comes back meanwhile wakes the reactor's poller */
	tofu_reactor_fini(&e->reactor);
	tofu_registry_fini(&e->registry);
	if (e->has_lock)
		tofu_mutex_fini(&e->lock);
	free(e);
	tofu_plat_release();
}

static bool usable(const struct tofu_transport *t)
{
	return t->scheme != NULL && tofu_address_is_scheme(t->scheme) && t->resolve != NULL && t->listen != NULL &&
	       t->accept != NULL && t->connect_start != NULL && t->connect_finish != NULL && t->send != NULL &&
	       t->receive != NULL && t->shutdown != NULL && t->close != NULL && t->local_address != NULL;
}

const struct tofu_transport *tofu_engine_transport(struct tofu_engine *e, const char *scheme)
{
	size_t count = atomic_load_explicit(&e->transport_count, memory_order_acquire);

	for (size_t i = 0; i < count; i++)
		if (strcmp(e->transports[i]->scheme, scheme) == 0)
			return e->transports[i];
	return NULL;
}

enum tofu_status tofu_engine_register(tofu_engine *e, const struct tofu_transport *transport)
{
	enum tofu_status status = TOFU_OK;
	size_t count;

	if (e == NULL || transport == NULL || tofu_engine_inert(e))
		return TOFU_NOT_ALLOWED;
	if (transport->abi != TOFU_TRANSPORT_ABI)
		return TOFU_NOT_SUPPORTED;
	if (!usable(transport))
		return TOFU_NOT_ALLOWED;
	tofu_mutex_lock(&e->lock);
	count = atomic_load(&e->transport_count);
	if (atomic_load(&e->stopping)) {
		status = TOFU_SHUTDOWN_STARTED;
	} else if (tofu_engine_transport(e, transport->scheme) != NULL) {
		status = TOFU_NOT_ALLOWED;
	} else if (count == TOFU_TRANSPORTS_MAX) {
		status = TOFU_LIMIT_REACHED;
	} else {
		tofu_plat_keep_loaded((const void *)(uintptr_t)transport->resolve);
		e->transports[count] = transport;
		atomic_store_explicit(&e->transport_count, count + 1, memory_order_release);
	}
	tofu_mutex_unlock(&e->lock);
	return status;
}

enum tofu_status tofu_msg_get(tofu_engine *e, enum tofu_alloc from, tofu_msg **out)
{
	if (out != NULL)
		*out = NULL;
	if (e == NULL || out == NULL || tofu_engine_inert(e))
		return TOFU_NOT_ALLOWED;
	return tofu_pool_get(e->pool, from, out);
}

enum tofu_status tofu_group_create(tofu_engine *e, tofu_group **out)
{
	enum tofu_status status;

	if (out != NULL)
		*out = NULL;
	if (e == NULL || out == NULL || tofu_engine_inert(e))
		return TOFU_NOT_ALLOWED;
	if (atomic_load(&e->stopping))
		return TOFU_SHUTDOWN_STARTED;
	status = tofu_group_make(e, out);
	if (status == TOFU_OK)
		tofu_reactor_add_group(&e->reactor, *out);
	return status;
}

enum tofu_status tofu_group_destroy(tofu_group *g)
{
	if (g == NULL)
		return TOFU_NOT_ALLOWED;
	if (tofu_plat_past_use(g->generation))
		return TOFU_OK;
	if (g->generation !=
	    tofu_plat_fork_generation()) { /* a child's copy: its memory and descriptor, nothing else */
		tofu_list_remove(&g->of_reactor);
		tofu_group_free(g);
		return TOFU_OK;
	}
	tofu_group_shut(g);
	tofu_group_leave(g);
	tofu_group_free(g);
	return TOFU_OK;
}
