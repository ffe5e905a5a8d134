/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_REGISTRY_H
#define TOFU_REACTOR_REGISTRY_H

/*
 * The channels of an engine: slots in slabs that stay until the engine ends, so that a pointer to one is safe to look at
 * even when the channel is long gone, and a table from number to slot. A number is in use until the last word of its channel
 * was received, and then waits behind all others: it comes back as late as possible.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "platform/platform.h"
#include "reactor/chan.h"

enum { TOFU_CHANNEL_MAX = 65534, TOFU_SLAB_CHANNELS = 64 };

struct tofu_slab;

struct tofu_registry {
	struct tofu_mutex lock; /* all below but the entries of the two tables */
	bool has_lock;
	struct tofu_chan *_Atomic *by_number;
	atomic_bool *ended; /* by number: its last channel is one that the application knew, and it has ended */
	uint16_t *freed;    /* ring of numbers in the order they were freed */
	uint32_t freed_at;
	uint32_t freed_count;
	uint32_t fresh;      /* the next number that was never used */
	uint32_t open;       /* taken, and neither returned nor forgotten */
	uint32_t unnumbered; /* of those, the ones whose number is still to be given */
	bool wanted;         /* somebody was refused a channel for want of a number, and none was released since */
	uint32_t max;
	struct tofu_slab *slabs;
	struct tofu_chan *free_slots;
};

enum tofu_status tofu_registry_init(struct tofu_registry *reg, uint32_t max);
void tofu_registry_fini(struct tofu_registry *reg);

/**
 * Any thread: a zeroed channel that has no number yet, though there is one for it; its gate is shut. TOFU_LIMIT_REACHED,
 * TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_registry_take(struct tofu_registry *reg, struct tofu_chan **out);
/** Any thread: it is needed, and gets its number. */
void tofu_registry_number(struct tofu_registry *reg, struct tofu_chan *c);
/** Any thread: it is not needed; it has no number. */
void tofu_registry_return(struct tofu_registry *reg, struct tofu_chan *c);
/** Its number leads nowhere from now on. known: to the application. Before its gate is shut. */
void tofu_registry_forget(struct tofu_registry *reg, struct tofu_chan *c, bool known);
/** Any thread: a number that leads nowhere queues up to be used again. True: somebody
 * was refused a channel because no number was left. */
bool tofu_registry_release(struct tofu_registry *reg, uint16_t number);
/** Its slot may be used again. */
void tofu_registry_free(struct tofu_registry *reg, struct tofu_chan *c);

/** Call visit for every channel that has a number. No other thread may be at work. */
void tofu_registry_each(struct tofu_registry *reg, void (*visit)(void *context, struct tofu_chan *c), void *context);

/** Any thread: the channel of that number, or NULL. It may end at any time: tofu_gate_enter() tells. */
static inline struct tofu_chan *tofu_registry_find(struct tofu_registry *reg, uint16_t number)
{
	return atomic_load_explicit(&reg->by_number[number], memory_order_acquire);
}

/** Any thread: is the last channel of that number one that the application knew, and has it ended? */
static inline bool tofu_registry_has_ended(struct tofu_registry *reg, uint16_t number)
{
	return atomic_load_explicit(&reg->ended[number], memory_order_relaxed);
}

#endif
