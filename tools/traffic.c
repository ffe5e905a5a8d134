/* SPDX-License-Identifier: MIT */

#include "traffic.h"

#include <inttypes.h>

#include "say.h"

static uint64_t on_the_wire(tofu_msg *msg)
{
	size_t len = 0;

	(void)tofu_msg_encode(msg, NULL, 0, &len); /* for its length only */
	return len;
}

void tofu_traffic_received(struct tofu_traffic *t, tofu_msg *msg)
{
	t->messages_received++;
	t->bytes_received += on_the_wire(msg);
}

enum tofu_status tofu_traffic_post(struct tofu_traffic *t, tofu_group *group, tofu_msg **msg,
                                   struct tofu_header *out_or_null)
{
	uint64_t bytes = t != NULL ? on_the_wire(*msg) : 0; /* it is gone after */
	enum tofu_status st = tofu_post(group, msg, out_or_null);

	if (t != NULL && st == TOFU_OK) {
		t->messages_sent++;
		t->bytes_sent += bytes;
	}
	return st;
}

void tofu_traffic_unsent(struct tofu_traffic *t, tofu_msg *msg)
{
	t->messages_sent--;
	t->bytes_sent -= on_the_wire(msg);
}

void tofu_traffic_say(uint16_t channel, int reason, const struct tofu_traffic *t)
{
	tofu_say_wrong(TOFU_OK,
	               "channel %u: ended, %s; received %" PRIu64 " messages, %" PRIu64 " bytes; sent %" PRIu64
	               " messages, %" PRIu64 " bytes",
	               channel, tofu_status_name(reason), t->messages_received, t->bytes_received, t->messages_sent,
	               t->bytes_sent);
}
