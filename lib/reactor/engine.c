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
#include "reactor/options.h"
#include "reactor/transport.h"

const char *tofu_version(void)
{
	return PACKAGE_VERSION;
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
	enum tofu_status status = tofu_options_effective(options, &e->options);
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
	tofu_engine_release_transports(e);
	tofu_registry_fini(&e->registry);
	if (e->has_lock)
		tofu_mutex_fini(&e->lock);
	free(e);
	tofu_plat_release();
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
