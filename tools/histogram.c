/* SPDX-License-Identifier: MIT */

#include "histogram.h"

#include <stddef.h>

/* How many bits below its highest eight a value has. */
static unsigned shift_of(uint64_t value)
{
	unsigned shift = 0;

	for (unsigned step = 32; step > 0; step /= 2) {
		if (value >> shift >> step >= TOFU_HISTOGRAM_PARTS)
			shift += step;
	}
	return shift;
}

static size_t part_of(uint64_t value)
{
	unsigned shift;

	if (value < TOFU_HISTOGRAM_EXACT)
		return (size_t)value;
	shift = shift_of(value);
	return TOFU_HISTOGRAM_EXACT + (shift - 1) * TOFU_HISTOGRAM_PARTS + (size_t)(value >> shift) -
	       TOFU_HISTOGRAM_PARTS;
}

static uint64_t middle_of(size_t part)
{
	unsigned shift;
	uint64_t top;

	if (part < TOFU_HISTOGRAM_EXACT)
		return part;
	part -= TOFU_HISTOGRAM_EXACT;
	shift = (unsigned)(part / TOFU_HISTOGRAM_PARTS) + 1;
	top = part % TOFU_HISTOGRAM_PARTS + TOFU_HISTOGRAM_PARTS;
	return (top << shift) + (UINT64_C(1) << (shift - 1));
}

void tofu_histogram_add(struct tofu_histogram *h, uint64_t value)
{
	h->parts[part_of(value)]++;
	h->count++;
	if (value > h->max)
		h->max = value;
}

void tofu_histogram_merge(struct tofu_histogram *h, const struct tofu_histogram *other)
{
	for (size_t i = 0; i < TOFU_HISTOGRAM_SIZE; i++)
		h->parts[i] += other->parts[i];
	h->count += other->count;
	if (other->max > h->max)
		h->max = other->max;
}

/* The rank of the value, rounded up, without a product that overflows. */
static uint64_t rank_of(uint64_t count, uint32_t of_a_million)
{
	uint64_t whole = count / 1000000 * of_a_million;
	uint64_t rest = (count % 1000000 * of_a_million + 999999) / 1000000;

	return whole + rest > 0 ? whole + rest : 1;
}

uint64_t tofu_histogram_at(const struct tofu_histogram *h, uint32_t of_a_million)
{
	uint64_t left = rank_of(h->count, of_a_million);

	for (size_t i = 0; h->count > 0 && i < TOFU_HISTOGRAM_SIZE; i++) {
		if (h->parts[i] >= left)
			return middle_of(i) < h->max ? middle_of(i) : h->max;
		left -= h->parts[i];
	}
	return h->max;
}
