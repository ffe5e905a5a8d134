/* SPDX-License-Identifier: MIT */
/*
 * A first-in first-out queue of messages, linked through the messages. It owns what is in it; nothing here can fail.
 */

#include "message/message.h"
#include "message/pool.h"

void tofu_msg_queue_push(struct tofu_msg_queue *q, struct tofu_msg *m)
{
	m->next = NULL;
	if (q->tail == NULL)
		q->head = m;
	else
		q->tail->next = m;
	q->tail = m;
	q->count++;
}

struct tofu_msg *tofu_msg_queue_pop(struct tofu_msg_queue *q)
{
	struct tofu_msg *m = q->head;

	if (m == NULL)
		return NULL;
	q->head = m->next;
	if (q->head == NULL)
		q->tail = NULL;
	q->count--;
	m->next = NULL;
	return m;
}

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
