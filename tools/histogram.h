/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_HISTOGRAM_H
#define TOFU_TOOLS_HISTOGRAM_H

/*
 * How values (nanoseconds, say) are spread. Exact below 256; above, each power of two is cut into 128 equal parts and
 * the middle of a part stands for all of it: less than 0.4 % off. Any uint64_t fits, nothing is ever allocated.
 */

#include <stdint.h>

enum {
	TOFU_HISTOGRAM_EXACT = 256,
	TOFU_HISTOGRAM_PARTS = 128,
	TOFU_HISTOGRAM_SIZE = TOFU_HISTOGRAM_EXACT + (64 - 8) * TOFU_HISTOGRAM_PARTS
};

/** All zero is an empty one. */
struct tofu_histogram {
	uint64_t count;
	uint64_t max; /* exact */
	uint64_t parts[TOFU_HISTOGRAM_SIZE];
};

void tofu_histogram_add(struct tofu_histogram *h, uint64_t value);

/** All of other into h. */
void tofu_histogram_merge(struct tofu_histogram *h, const struct tofu_histogram *other);

/**
 * The value that so many of a million are not above: 500000 is the median, 999000 the 99.9th percentile. Never more
 * than max; 0 if there is none.
 */
uint64_t tofu_histogram_at(const struct tofu_histogram *h, uint32_t of_a_million);

#endif
