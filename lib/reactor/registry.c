/* SPDX-License-Identifier: MIT */

/*
 * Numbers and slots are two things: a number is free again when the application has received channel_closed, a slot when
 * nothing refers to it any more. Slabs grow on demand, sixty-four channels at a time, and are freed with the engine.
 */

#include "reactor/registry.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 65536 };

struct tofu_slab {
	struct tofu_slab *next;
	struct tofu_chan channels[TOFU_SLAB_CHANNELS];
};

enum tofu_status tofu_registry_init(struct tofu_registry *reg, uint32_t max)
{
	enum tofu_status status = tofu_mutex_init(&reg->lock);

	if (status != TOFU_OK)
		return status;
	reg->has_lock = true;
	reg->max = max;
	reg->fresh = 1;
	/* They are large and hardly touched: the system maps zero pages, real memory comes with use. */
	reg->by_number = calloc(NUMBERS, sizeof *reg->by_number);
	reg->ended = calloc(NUMBERS, sizeof *reg->ended);
	reg->freed = calloc(NUMBERS, sizeof *reg->freed);
	return reg->by_number != NULL && reg->ended != NULL && reg->freed != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

void tofu_registry_fini(struct tofu_registry *reg)
{
	while (reg->slabs != NULL) {
		struct tofu_slab *slab = reg->slabs;

		reg->slabs = slab->next;
		free(slab);
	}
	free(reg->by_number);
	free(reg->ended);
	free(reg->freed);
	if (reg->has_lock)
		tofu_mutex_fini(&reg->lock);
	memset(reg, 0, sizeof *reg);
}

static bool grow(struct tofu_registry *reg)
{
	struct tofu_slab *slab = calloc(1, sizeof *slab);

	if (slab == NULL)
		return false;
	slab->next = reg->slabs;
	reg->slabs = slab;
	for (size_t i = TOFU_SLAB_CHANNELS; i-- > 0;) {
		tofu_gate_shut(&slab->channels[i].gate);
		slab->channels[i].next_free = reg->free_slots;
		reg->free_slots = &slab->channels[i];
	}
	return true;
}

/* All but the gate and the group, which others may still be looking at through a stale pointer. */
static void clear(struct tofu_chan *c)
{
	memset((char *)c + offsetof(struct tofu_chan, poll), 0, sizeof *c - offsetof(struct tofu_chan, poll));
	c->link.handle = TOFU_NO_SOCKET;
}

/* How many more channels could get a number. */
static uint32_t numbers_left(const struct tofu_registry *reg)
{
	return reg->freed_count + (TOFU_CHANNEL_MAX + 1 - reg->fresh) - reg->unnumbered;
}

enum tofu_status tofu_registry_take(struct tofu_registry *reg, struct tofu_chan **out)
{
	enum tofu_status status = TOFU_OK;
	struct tofu_chan *c;

	*out = NULL;
	tofu_mutex_lock(&reg->lock);
	if (reg->open >= reg->max || numbers_left(reg) == 0) {
		reg->wanted = numbers_left(reg) == 0;
		status = TOFU_LIMIT_REACHED;
	} else if (reg->free_slots == NULL && !grow(reg)) {
		status = TOFU_ALLOCATION_FAILED;
	} else {
		c = reg->free_slots;
		reg->free_slots = c->next_free;
		clear(c);
		reg->open++;
		reg->unnumbered++;
		*out = c;
	}
	tofu_mutex_unlock(&reg->lock);
	return status;
}

/* There is one: it was counted when the channel was taken. */
static uint16_t next_number(struct tofu_registry *reg)
{
	uint16_t number;

	if (reg->fresh <= TOFU_CHANNEL_MAX)
		return (uint16_t)reg->fresh++;
	number = reg->freed[reg->freed_at];
	reg->freed_at = (reg->freed_at + 1) % NUMBERS;
	reg->freed_count--;
	return number;
}

void tofu_registry_number(struct tofu_registry *reg, struct tofu_chan *c)
{
	tofu_mutex_lock(&reg->lock);
	c->number = next_number(reg);
	reg->unnumbered--;
	atomic_store_explicit(&reg->ended[c->number], false, memory_order_relaxed);
	atomic_store_explicit(&reg->by_number[c->number], c, memory_order_release);
	tofu_mutex_unlock(&reg->lock);
}

void tofu_registry_return(struct tofu_registry *reg, struct tofu_chan *c)
{
	tofu_mutex_lock(&reg->lock);
	reg->open--;
	reg->unnumbered--;
	c->next_free = reg->free_slots;
	reg->free_slots = c;
	tofu_mutex_unlock(&reg->lock);
}

void tofu_registry_forget(struct tofu_registry *reg, struct tofu_chan *c, bool known)
{
	tofu_mutex_lock(&reg->lock);
	atomic_store_explicit(&reg->ended[c->number], known, memory_order_relaxed);
	atomic_store_explicit(&reg->by_number[c->number], NULL, memory_order_release);
	reg->open--;
	tofu_mutex_unlock(&reg->lock);
}

bool tofu_registry_release(struct tofu_registry *reg, uint16_t number)
{
	bool wanted;

	tofu_mutex_lock(&reg->lock);
	reg->freed[(reg->freed_at + reg->freed_count) % NUMBERS] = number;
	reg->freed_count++;
	wanted = reg->wanted;
	reg->wanted = false;
	tofu_mutex_unlock(&reg->lock);
	return wanted;
}

void tofu_registry_free(struct tofu_registry *reg, struct tofu_chan *c)
{
	tofu_mutex_lock(&reg->lock);
	c->next_free = reg->free_slots;
	reg->free_slots = c;
	tofu_mutex_unlock(&reg->lock);
}

void tofu_registry_each(struct tofu_registry *reg, void (*visit)(void *context, struct tofu_chan *c), void *context)
{
	for (struct tofu_slab *slab = reg->slabs; slab != NULL; slab = slab->next) {
		for (size_t i = 0; i < TOFU_SLAB_CHANNELS; i++) {
			struct tofu_chan *c = &slab->channels[i];

			if (c->number != 0 && tofu_registry_find(reg, c->number) == c)
				visit(context, c);
		}
	}
}
