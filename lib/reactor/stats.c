/* SPDX-License-Identifier: MIT */

/* The counters of an engine, read while it works: each is atomic, all together are no snapshot. */

#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"

static uint64_t look(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint32_t in_states(struct tofu_counters *c, enum tofu_chan_state first, enum tofu_chan_state last)
{
	uint64_t sum = 0;

	for (size_t i = first; i <= (size_t)last; i++)
		sum += look(&c->channels[i]);
	return (uint32_t)sum;
}

/* Each open channel holds its farewell, which is nobody's message yet. */
static uint64_t in_use(struct tofu_registry *reg, uint64_t out)
{
	uint32_t farewells;

	tofu_mutex_lock(&reg->lock);
	farewells = reg->open;
	tofu_mutex_unlock(&reg->lock);
	return out > farewells ? out - farewells : 0;
}

enum tofu_status tofu_engine_stats(tofu_engine *e, struct tofu_stats *stats)
{
	struct tofu_stats all = { 0 };
	struct tofu_pool_counts pool;
	struct tofu_counters *c;

	if (e == NULL || stats == NULL || stats->size == 0 || tofu_engine_inert(e))
		return TOFU_NOT_ALLOWED;
	c = &e->reactor.counters;
	tofu_pool_counts(e->pool, &pool);
	all.size = stats->size < sizeof all ? stats->size : sizeof all;
	all.messages_sent = look(&c->messages_sent);
	all.messages_received = look(&c->messages_received);
	all.bytes_sent = look(&c->bytes_sent);
	all.bytes_received = look(&c->bytes_received);
	all.messages_returned = look(&c->messages_returned);
	all.frames_refused = look(&c->frames_refused);
	all.wakeups = look(&c->wakeups);
	all.polls_for_reading = look(&c->polls_for_reading);
	all.sends = look(&c->sends);
	all.receives = look(&c->receives);
	all.pool_hits = pool.hits;
	all.pool_misses = pool.misses;
	all.pool_free = pool.free;
	all.messages_out = in_use(&e->registry, pool.out);
	all.channels_resolving = in_states(c, TOFU_CHAN_RESOLVING, TOFU_CHAN_RESOLVING);
	all.channels_connecting = in_states(c, TOFU_CHAN_CONNECTING, TOFU_CHAN_CONNECTING);
	all.channels_listening = in_states(c, TOFU_CHAN_LISTENING, TOFU_CHAN_LISTENING);
	all.channels_accepted = in_states(c, TOFU_CHAN_ACCEPTED, TOFU_CHAN_ACCEPTED);
	all.channels_open = in_states(c, TOFU_CHAN_OPEN, TOFU_CHAN_OPEN);
	all.channels_closing = in_states(c, TOFU_CHAN_LEAVING, TOFU_CHAN_CLOSING);
	all.bytes_kept = look(&c->bytes_kept);
	all.callers_refused = look(&c->callers_refused);
	all.callers_displaced = look(&c->callers_displaced);
	memcpy(stats, &all, all.size);
	return TOFU_OK;
}
