/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_TRAFFIC_H
#define TOFU_TOOLS_TRAFFIC_H

/*
 * What went over a connection, for people who watch. The engine counts it, too, but a channel that has ended cannot be asked any
 * more.
 */

#include <stdint.h>

#include <tofu/tofu.h>

/** Whole messages, and their bytes on the wire. */
struct tofu_traffic {
	uint64_t messages_received;
	uint64_t bytes_received;
	uint64_t messages_sent;
	uint64_t bytes_sent;
};

void tofu_traffic_received(struct tofu_traffic *t, tofu_msg *msg);
/** tofu_post(), and count it if it is accepted. t: NULL if nobody wants to know. */
enum tofu_status tofu_traffic_post(struct tofu_traffic *t, tofu_group *group, tofu_msg **msg,
                                   struct tofu_header *out_or_null);
/** It has come back unsent. */
void tofu_traffic_unsent(struct tofu_traffic *t, tofu_msg *msg);

/** A line on the standard error output: why the channel has ended, and what went over it. */
void tofu_traffic_say(uint16_t channel, int reason, const struct tofu_traffic *t);

#endif
