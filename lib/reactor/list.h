/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_LIST_H
#define TOFU_REACTOR_LIST_H

/*
 * Intrusive ring: a head that points to itself is empty, and so is a zeroed node that is on no list. No allocation, no
 * failure; a node knows whether it is on a list, so membership serves as a flag.
 */

#include <stdbool.h>
#include <stddef.h>

struct tofu_list {
	struct tofu_list *next;
	struct tofu_list *prev;
};

/** The struct that a node is embedded in. */
#define TOFU_LIST_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void tofu_list_init(struct tofu_list *head)
{
	head->next = head->prev = head;
}

static inline bool tofu_list_empty(const struct tofu_list *head)
{
	return head->next == head;
}

static inline bool tofu_list_linked(const struct tofu_list *node)
{
	return node->next != NULL;
}

static inline void tofu_list_append(struct tofu_list *head, struct tofu_list *node)
{
	node->next = head;
	node->prev = head->prev;
	head->prev->next = node;
	head->prev = node;
}

static inline void tofu_list_remove(struct tofu_list *node)
{
	if (node->next == NULL)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/** Take the first node off the list; NULL if there is none. */
static inline struct tofu_list *tofu_list_pop(struct tofu_list *head)
{
	struct tofu_list *node = head->next;

	if (node == head)
		return NULL;
	tofu_list_remove(node);
	return node;
}

/** Move all nodes to an empty or uninitialised head. */
static inline void tofu_list_steal(struct tofu_list *to, struct tofu_list *from)
{
	tofu_list_init(to);
	if (tofu_list_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	tofu_list_init(from);
}

/** Move all nodes in front of those of another list. */
static inline void tofu_list_put_first(struct tofu_list *to, struct tofu_list *from)
{
	if (tofu_list_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	tofu_list_init(from);
}

#endif
