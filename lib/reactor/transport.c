/* SPDX-License-Identifier: MIT */

/*
 * The transports of an engine, and instances. Transports are registered under a lock and found without one, since none is removed
 * before the engine ends. The engine holds each of them, and so does each lookup, which may outlast the engine.
 */

#include "reactor/transport.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "message/address.h"
#include "message/pool.h"
#include "reactor/engine.h"

static bool usable(const struct tofu_transport *t)
{
	return t->scheme != NULL && tofu_address_is_scheme(t->scheme) && t->resolve != NULL && t->listen != NULL &&
	       t->accept != NULL && t->connect_start != NULL && t->connect_finish != NULL && t->send != NULL &&
	       t->receive != NULL && t->shutdown != NULL && t->close != NULL && t->local_address != NULL &&
	       (t->hold != NULL) == (t->release != NULL) && (t->look_ms > 0) == (t->look != NULL) &&
	       (unsigned)t->form <= TOFU_FORM_PATH && (t->url == NULL || tofu_address_is_scheme(t->url));
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
		tofu_transport_hold(transport);
		e->transports[count] = transport;
		tofu_address_add_rule(tofu_pool_rules(e->pool), transport->scheme, transport->url, transport->form);
		atomic_store_explicit(&e->transport_count, count + 1, memory_order_release);
	}
	tofu_mutex_unlock(&e->lock);
	return status;
}

const char *tofu_address_fault(tofu_engine *e, const char *address, enum tofu_opcode opcode)
{
	return tofu_address_judge(e != NULL && !tofu_engine_inert(e) ? tofu_pool_rules(e->pool) : NULL, address,
	                          opcode);
}

void tofu_engine_release_transports(struct tofu_engine *e)
{
	size_t count = atomic_exchange(&e->transport_count, 0);

	for (size_t i = 0; i < count; i++)
		tofu_transport_release(e->transports[i]);
}

/* --- instances --- */

/* Found from t->config, which copies of the table share. */
struct instance {
	struct tofu_transport table;
	atomic_uint holders;
	void (*end)(void *config);
	char scheme[TOFU_SCHEME_MAX + 1];
	_Alignas(max_align_t) unsigned char config[];
};

static struct instance *instance_of(const struct tofu_transport *t)
{
	return (struct instance *)(void *)((unsigned char *)t->config - offsetof(struct instance, config));
}

static void hold(const struct tofu_transport *t)
{
	atomic_fetch_add(&instance_of(t)->holders, 1);
}

static void release(const struct tofu_transport *t)
{
	struct instance *i = instance_of(t);

	if (atomic_fetch_sub(&i->holders, 1) > 1)
		return;
	if (i->end != NULL)
		i->end(i->config);
	free(i);
}

enum tofu_status tofu_transport_create(const struct tofu_transport *of, const char *scheme, size_t size,
                                       void (*end)(void *config), struct tofu_transport **out)
{
	struct instance *i;

	*out = NULL;
	if (scheme == NULL)
		scheme = of->scheme;
	if (!tofu_address_is_scheme(scheme))
		return TOFU_NOT_ALLOWED;
	i = calloc(1, sizeof *i + size);
	if (i == NULL)
		return TOFU_ALLOCATION_FAILED;
	i->table = *of;
	i->table.scheme = strcpy(i->scheme, scheme);
	i->table.config = i->config;
	i->table.hold = hold;
	i->table.release = release;
	atomic_init(&i->holders, 1);
	i->end = end;
	*out = &i->table;
	return TOFU_OK;
}

void tofu_transport_destroy(struct tofu_transport *t)
{
	if (t != NULL)
		tofu_transport_release(t);
}
