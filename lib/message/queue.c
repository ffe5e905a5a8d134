/* SPDX-License-Identifier: MIT */
/*
 * A first-in first-out queue of messages, linked through the messages: what is done with whole queues. Nothing here can
 * fail.
 */

#include "message/message.h"
#include "message/pool.h"

void tofu_msg_queue_append(struct tofu_msg_queue *to, struct tofu_msg_queue *from)
{
	if (from->head == NULL)
		return;
	if (to->tail == NULL)
		to->head = from->head;
	else
		to->tail->next = from->head;
	to->tail = from->tail;
	to->count += from->count;
	*from = (struct tofu_msg_queue){ 0 };
}

void tofu_msg_queue_put(struct tofu_msg_queue *q)
{
	struct tofu_msg *chain = q->head;

	*q = (struct tofu_msg_queue){ 0 };
	tofu_pool_put_all(chain);
}
