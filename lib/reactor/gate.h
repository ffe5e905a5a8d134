/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_GATE_H
#define TOFU_REACTOR_GATE_H

/*
 * What stands between those who post to a channel, on any thread, and the channel's end, on the reactor's.
 *
 *     63        48 47      46       45      30 29                0
 *     | number    | sealed | waited | messages | bytes             |
 *
 * One word, so that a post is one compare-and-swap: it enters only if this is still the channel it means, if it is not
 * sealed, and if there is room. messages and bytes are what was accepted and is neither written nor given back. Sealing
 * ends acceptance; the reactor then knows exactly how many messages are still on their way to it, and says channel_closed
 * only after it has given back the last of them. waited: someone was told would_block and is owed send_ready.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tofu/status.h>

typedef _Atomic uint64_t tofu_gate;

struct tofu_gate_bounds {
	uint32_t messages;
	uint32_t bytes;
};

/** The most that bounds may say: ByeSignal enters a full gate, so half of the count's range is left to it. */
enum { TOFU_GATE_MESSAGES_MAX = 32767, TOFU_GATE_BYTES_MAX = 0x1fffffff };

#define TOFU_GATE_SEALED (UINT64_C(1) << 47)
#define TOFU_GATE_WAITED (UINT64_C(1) << 46)

static inline uint16_t tofu_gate_number(uint64_t g)
{
	return (uint16_t)(g >> 48);
}

static inline uint32_t tofu_gate_messages(uint64_t g)
{
	return (uint32_t)(g >> 30) & 0xffffu;
}

static inline uint32_t tofu_gate_bytes(uint64_t g)
{
	return (uint32_t)g & 0x3fffffffu;
}

static inline uint64_t tofu_gate_load(uint32_t messages, uint32_t bytes)
{
	return (uint64_t)messages << 30 | bytes;
}

/** Open it for a channel, with the message that opens the channel already inside. */
static inline void tofu_gate_open(tofu_gate *gate, uint16_t number, uint32_t messages, uint32_t bytes)
{
	atomic_store(gate, (uint64_t)number << 48 | tofu_gate_load(messages, bytes));
}

/** A lone message always fits; urgent: whatever the bounds say, while it can be counted. */
static inline bool tofu_gate_has_room(uint64_t g, uint32_t bytes, const struct tofu_gate_bounds *bounds, bool urgent)
{
	uint32_t messages = tofu_gate_messages(g);

	if (urgent)
		return messages < 2 * TOFU_GATE_MESSAGES_MAX;
	return messages == 0 || (messages < bounds->messages && tofu_gate_bytes(g) + bytes <= bounds->bytes);
}

/**
 * Any thread. TOFU_OK: counted in, and the message must now be mailed. TOFU_CHANNEL_CLOSED: sealed.
 * TOFU_INVALID_CHANNEL_NUMBER: this is not the gate of that channel, or not any more. TOFU_WOULD_BLOCK: full, and noted that
 * someone waits.
 */
static inline enum tofu_status tofu_gate_enter(tofu_gate *gate, uint16_t number, uint32_t bytes,
                                               const struct tofu_gate_bounds *bounds, bool urgent)
{
	uint64_t g = atomic_load(gate);
	enum tofu_status status;
	uint64_t next;

	do {
		if (tofu_gate_number(g) != number)
			return TOFU_INVALID_CHANNEL_NUMBER;
		if ((g & TOFU_GATE_SEALED) != 0)
			return TOFU_CHANNEL_CLOSED;
		if (tofu_gate_has_room(g, bytes, bounds, urgent)) {
			status = TOFU_OK;
			next = g + tofu_gate_load(1, bytes);
		} else {
			status = TOFU_WOULD_BLOCK;
			next = g | TOFU_GATE_WAITED;
		}
	} while (!atomic_compare_exchange_weak(gate, &g, next));
	return status;
}

/** How many of n messages, so many bytes each, there is room for; *load is theirs. */
static inline size_t tofu_gate_fit(uint64_t g, const uint32_t *bytes, size_t n, const struct tofu_gate_bounds *bounds,
                                   uint64_t *load)
{
	size_t fit = 0;

	*load = 0;
	while (fit < n && tofu_gate_has_room(g + *load, bytes[fit], bounds, false))
		*load += tofu_gate_load(1, bytes[fit++]);
	return fit;
}

/** The same as tofu_gate_enter() for n messages in one go. *entered: so many are counted in, whatever the status. */
static inline enum tofu_status tofu_gate_enter_some(tofu_gate *gate, uint16_t number, const uint32_t *bytes, size_t n,
                                                    const struct tofu_gate_bounds *bounds, size_t *entered)
{
	uint64_t g = atomic_load(gate);
	uint64_t load;
	size_t fit;

	*entered = 0;
	do {
		if (tofu_gate_number(g) != number)
			return TOFU_INVALID_CHANNEL_NUMBER;
		if ((g & TOFU_GATE_SEALED) != 0)
			return TOFU_CHANNEL_CLOSED;
		fit = tofu_gate_fit(g, bytes, n, bounds, &load);
	} while (!atomic_compare_exchange_weak(gate, &g, (g + load) | (fit < n ? TOFU_GATE_WAITED : 0)));
	*entered = fit;
	return fit < n ? TOFU_WOULD_BLOCK : TOFU_OK;
}

/** Reactor: that much is written or given back. True: someone waited, and half of the room is free again: say so. */
static inline bool tofu_gate_leave(tofu_gate *gate, uint32_t messages, uint32_t bytes,
                                   const struct tofu_gate_bounds *bounds)
{
	uint64_t load = tofu_gate_load(messages, bytes);
	uint64_t g = atomic_fetch_sub(gate, load) - load;

	if ((g & TOFU_GATE_WAITED) == 0 || (g & TOFU_GATE_SEALED) != 0)
		return false;
	if (tofu_gate_messages(g) > bounds->messages / 2 || tofu_gate_bytes(g) > bounds->bytes / 2)
		return false;
	atomic_fetch_and(gate, ~TOFU_GATE_WAITED);
	return true;
}

/** Reactor: nobody enters any more. */
static inline void tofu_gate_seal(tofu_gate *gate)
{
	atomic_fetch_or(gate, TOFU_GATE_SEALED);
}

/** Reactor: the channel is gone; number 0 is nobody's. */
static inline void tofu_gate_shut(tofu_gate *gate)
{
	atomic_store(gate, TOFU_GATE_SEALED);
}

#endif
