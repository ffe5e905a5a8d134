/* SPDX-License-Identifier: MIT */

#include "backlog.h"

#include <stdbool.h>
#include <stddef.h>

#include "say.h"

static void push(struct tofu_backlog *b, tofu_msg *msg)
{
	*tofu_msg_user(msg) = NULL;
	if (b->head == NULL)
		b->head = msg;
	else
		*tofu_msg_user(b->tail) = msg;
	b->tail = msg;
}

/*
 * True: gone, or given up because its channel is. False: the queue is full, *msg is still ours. A channel that closed a
 * moment ago is no failure: its channel_closed is under way to us.
 */
static bool post(const struct tofu_backlog *b, tofu_group *group, tofu_msg **msg)
{
	enum tofu_status st = tofu_traffic_post(b->traffic, group, msg, NULL);

	if (st == TOFU_WOULD_BLOCK)
		return false;
	if (st != TOFU_OK && st != TOFU_CHANNEL_CLOSED)
		tofu_say_wrong(st, "channel %u", (unsigned)tofu_msg_header(*msg)->channel);
	tofu_msg_put(msg);
	return true;
}

void tofu_backlog_send(struct tofu_backlog *b, tofu_group *group, tofu_msg *msg)
{
	if (b->head != NULL || !post(b, group, &msg))
		push(b, msg);
}

void tofu_backlog_resume(struct tofu_backlog *b, tofu_group *group)
{
	while (b->head != NULL) {
		tofu_msg *msg = b->head, *next = *tofu_msg_user(msg);

		if (!post(b, group, &msg))
			return;
		b->head = next;
	}
}

void tofu_backlog_drop(struct tofu_backlog *b)
{
	while (b->head != NULL) {
		tofu_msg *msg = b->head;

		b->head = *tofu_msg_user(msg);
		tofu_msg_put(&msg);
	}
}
