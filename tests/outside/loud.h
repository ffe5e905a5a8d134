/* SPDX-License-Identifier: MIT */
#ifndef LOUD_H
#define LOUD_H

#include <stddef.h>

#include <tofu/transport.h>

/** TCP that counts: scheme "loud", "loud|HOST|PORT" with a numeric HOST or a name. */
const struct tofu_transport *loud(void);

/** How often its operations were called, and what they moved. For one engine at a time. */
struct loud_counts {
	size_t listens, accepts, connects, sends, receives, shutdowns, closes;
	size_t bytes_sent, bytes_received;
};

/** What it came to. Only when the engine is gone: its thread counts without a lock. */
const struct loud_counts *loud_counts(void);

#endif
