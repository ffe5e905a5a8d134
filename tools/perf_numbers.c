/* SPDX-License-Identifier: MIT */

/* Numbers travel as eight bytes each, the lowest first, whatever the machine. */

#include "perf.h"

#include <stdlib.h>
#include <string.h>

#include "host.h"

enum { NUMBERS_MAX = 8, FILLING = 'f', PAGE_LEAST = 4096 };

static void put(unsigned char *to, uint64_t number)
{
	for (unsigned i = 0; i < 8; i++)
		to[i] = (unsigned char)(number >> 8 * i);
}

static uint64_t take(const unsigned char *from)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < 8; i++)
		number |= (uint64_t)from[i] << 8 * i;
	return number;
}

enum tofu_status tofu_perf_put_numbers(tofu_msg *msg, const uint64_t *numbers, size_t count)
{
	unsigned char bytes[8 * NUMBERS_MAX];

	for (size_t i = 0; i < count; i++)
		put(bytes + 8 * i, numbers[i]);
	return tofu_msg_body_set(msg, bytes, 8 * count);
}

bool tofu_perf_take_numbers(const tofu_msg *msg, uint64_t *numbers, size_t count)
{
	size_t len;
	const unsigned char *body = tofu_msg_body(msg, &len);

	if (len != 8 * count)
		return false;
	for (size_t i = 0; i < count; i++)
		numbers[i] = take(body + 8 * i);
	return true;
}

enum tofu_status tofu_perf_put_arrived(tofu_msg *msg, const struct perf_arrived *a)
{
	const uint64_t numbers[] = { a->count, a->wrong, a->first_ns, a->last_ns };

	return tofu_perf_put_numbers(msg, numbers, 4);
}

bool tofu_perf_take_arrived(const tofu_msg *msg, struct perf_arrived *a)
{
	uint64_t n[4];

	if (!tofu_perf_take_numbers(msg, n, 4))
		return false;
	*a = (struct perf_arrived){ .count = n[0], .wrong = n[1], .first_ns = n[2], .last_ns = n[3] };
	return true;
}

enum tofu_status tofu_perf_put_used(tofu_msg *msg, const struct perf_used *u)
{
	const uint64_t numbers[] = { u->cpu_ns, u->resident_bytes, u->sends, u->receives, u->wakeups, u->messages };

	return tofu_perf_put_numbers(msg, numbers, 6);
}

bool tofu_perf_take_used(const tofu_msg *msg, struct perf_used *u)
{
	uint64_t n[6];

	if (!tofu_perf_take_numbers(msg, n, 6))
		return false;
	*u = (struct perf_used){ .cpu_ns = n[0],
		                 .resident_bytes = n[1],
		                 .sends = n[2],
		                 .receives = n[3],
		                 .wakeups = n[4],
		                 .messages = n[5] };
	return true;
}

void *tofu_perf_resident_zeros(size_t count, size_t size)
{
	unsigned char *zeros = calloc(count, size);

	for (size_t at = 0; zeros != NULL && at < count * size; at += PAGE_LEAST)
		*(volatile unsigned char *)(zeros + at) = 0;
	return zeros;
}

void tofu_perf_used(tofu_engine *engine, struct perf_used *out)
{
	struct tofu_stats stats = { .size = sizeof stats };

	(void)tofu_engine_stats(engine, &stats); /* it can only refuse wrong arguments */
	*out = (struct perf_used){ .cpu_ns = (uint64_t)tofu_host_cpu_ns(),
		                   .resident_bytes = tofu_host_resident_bytes(),
		                   .sends = stats.sends,
		                   .receives = stats.receives,
		                   .wakeups = stats.wakeups,
		                   .messages = stats.messages_sent + stats.messages_received };
}

enum tofu_status tofu_perf_fill(tofu_msg *msg, uint64_t number, uint32_t size)
{
	void *body;
	enum tofu_status status = tofu_msg_body_reserve(msg, size, &body);
	size_t numbered = size >= sizeof number ? sizeof number : 0;

	if (status != TOFU_OK)
		return status;
	if (numbered > 0)
		put(body, number);
	memset((unsigned char *)body + numbered, FILLING, size - numbered);
	return TOFU_OK;
}

bool tofu_perf_is_filled(const tofu_msg *msg, uint64_t number, uint32_t size)
{
	size_t len;
	const unsigned char *body = tofu_msg_body(msg, &len);

	return len == size && (size < sizeof number || take(body) == number);
}
