/* SPDX-License-Identifier: MIT */

/*
 * Which backend it is, and one wrapper per operation. What all backends have in common is done here, once: an item starts
 * clean, a declaration that changes nothing stops here, item->want and the count of readers are kept. A backend's
 * want therefore sees the old interest in the item and the new one as its argument; if it fails, nothing has changed.
 *
 * Who frees: tofu_poller_destroy(), after every item was removed. Items are never the poller's.
 */

#include "reactor/poller.h"

#include <string.h>

#include "platform/platform.h"

static const struct tofu_poller_ops *named(const char *name)
{
	for (size_t kind = TOFU_POLLER_AUTO + 1; kind < TOFU_POLLER_KINDS; kind++)
		if (tofu_poller_backends[kind] != NULL && strcmp(tofu_poller_backends[kind]->name, name) == 0)
			return tofu_poller_backends[kind];
	return NULL;
}

/* NULL: not in this build. A variable that is empty is one that is not set. */
static const struct tofu_poller_ops *pick(enum tofu_poller_kind kind)
{
	const char *name = kind == TOFU_POLLER_AUTO ? tofu_plat_environment("TOFU_POLLER") : NULL;

	if (name != NULL && name[0] != '\0')
		return named(name);
	return (size_t)kind < TOFU_POLLER_KINDS ? tofu_poller_backends[kind] : NULL;
}

enum tofu_status tofu_poller_create(enum tofu_poller_kind kind, struct tofu_poller **out)
{
	const struct tofu_poller_ops *ops = pick(kind);

	*out = NULL;
	return ops != NULL ? ops->create(out) : TOFU_NOT_SUPPORTED;
}

void tofu_poller_destroy(struct tofu_poller *p)
{
	if (p != NULL)
		p->ops->destroy(p);
}

enum tofu_status tofu_poller_add(struct tofu_poller *p, struct tofu_poll_item *item, intptr_t handle)
{
	*item = (struct tofu_poll_item){ .handle = handle };
	return p->ops->add(p, item);
}

static void note_want(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest)
{
	if (item->want & TOFU_POLL_READ)
		p->reading--;
	if (interest & TOFU_POLL_READ)
		p->reading++;
	item->want = (uint8_t)interest;
}

enum tofu_status tofu_poller_want(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest)
{
	enum tofu_status st;

	if (interest == item->want)
		return TOFU_OK;
	st = p->ops->want(p, item, interest);
	if (st == TOFU_OK)
		note_want(p, item, interest);
	return st;
}

void tofu_poller_remove(struct tofu_poller *p, struct tofu_poll_item *item)
{
	p->ops->remove(p, item);
	note_want(p, item, 0);
}

enum tofu_status tofu_poller_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                  int64_t timeout_ns, size_t *count)
{
	*count = 0;
	p->reads_asked += p->reading;
	return p->ops->wait(p, events, capacity, timeout_ns, count);
}

intptr_t tofu_poller_pollable(struct tofu_poller *p)
{
	return p->ops->pollable != NULL ? p->ops->pollable(p) : TOFU_NO_SOCKET;
}

bool tofu_poller_can_stand_by(struct tofu_poller *p)
{
	return p->ops->can_stand_by != NULL && p->ops->can_stand_by(p);
}

void tofu_poller_watch(struct tofu_poller *p, bool on)
{
	p->ops->watch(p, on);
}

void tofu_poller_stand_by(struct tofu_poller *p, int64_t timeout_ns)
{
	p->ops->stand_by(p, timeout_ns);
}

void tofu_poller_wake(struct tofu_poller *p)
{
	p->ops->wake(p);
}
