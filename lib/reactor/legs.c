/* SPDX-License-Identifier: MIT */

/*
 * A listener's leg is made for each address but the first, before anything is opened, so that nothing can fail once all listen. One that
 * stays without a socket, for an address that the transport left out, does nothing. When a leg is closed it leaves its channel
 * and waits for its grave, since the poller may not be done with it.
 */

#include "reactor/legs.h"

#include <stdlib.h>

#include "reactor/reactor.h"

static bool is_open(const struct tofu_leg *leg)
{
	return leg->link.handle != TOFU_NO_SOCKET || leg->link.state != NULL;
}

static void free_legs(struct tofu_chan *c)
{
	while (c->legs != NULL) {
		struct tofu_leg *leg = c->legs;

		c->legs = leg->next;
		free(leg);
	}
}

struct tofu_leg *tofu_leg_add(struct tofu_chan *c)
{
	struct tofu_leg *leg = calloc(1, sizeof *leg);

	if (leg == NULL)
		return NULL;
	leg->link.handle = TOFU_NO_SOCKET;
	leg->channel = c;
	leg->next = c->legs;
	c->legs = leg;
	return leg;
}

static bool add_legs(struct tofu_chan *c, size_t count)
{
	while (count-- > 0)
		if (tofu_leg_add(c) == NULL)
			return false;
	return true;
}

/* The links lie side by side for the transport, and then where they stay. */
enum tofu_status tofu_legs_listen(struct tofu_chan *c, const struct tofu_sockaddr *at, size_t count)
{
	struct tofu_link *links = calloc(count, sizeof *links);
	enum tofu_status status = TOFU_ALLOCATION_FAILED;
	size_t opened = 0;

	if (links != NULL && add_legs(c, count - 1)) {
		for (size_t i = 0; i < count; i++)
			links[i].handle = TOFU_NO_SOCKET;
		status = c->transport->listen_all(c->transport, links, at, count, &opened);
	}
	if (status == TOFU_OK) {
		struct tofu_leg *leg = c->legs;

		c->link = links[0];
		for (size_t i = 1; i < opened; i++, leg = leg->next)
			leg->link = links[i];
	} else {
		free_legs(c);
	}
	free(links);
	return status;
}

enum tofu_status tofu_leg_watch(struct tofu_reactor *r, struct tofu_leg *leg)
{
	enum tofu_status status = tofu_poller_add(r->poller, &leg->poll, leg->link.handle);

	leg->watched = status == TOFU_OK;
	leg->poll.of_leg = true;
	return status;
}

enum tofu_status tofu_legs_watch(struct tofu_reactor *r, struct tofu_chan *c)
{
	enum tofu_status status = TOFU_OK;

	for (struct tofu_leg *leg = c->legs; leg != NULL && status == TOFU_OK; leg = leg->next) {
		if (is_open(leg))
			status = tofu_leg_watch(r, leg);
	}
	return status;
}

enum tofu_status tofu_legs_want(struct tofu_reactor *r, struct tofu_chan *c, unsigned interest)
{
	enum tofu_status status = TOFU_OK;

	for (struct tofu_leg *leg = c->legs; leg != NULL && status == TOFU_OK; leg = leg->next)
		if (leg->watched)
			status = tofu_poller_want(r->poller, &leg->poll, interest);
	return status;
}

static void stop_watching(struct tofu_reactor *r, struct tofu_leg *leg)
{
	if (leg->watched)
		tofu_poller_remove(r->poller, &leg->poll);
	leg->watched = false;
}

struct tofu_link tofu_leg_take_link(struct tofu_reactor *r, struct tofu_leg *leg)
{
	struct tofu_link link = leg->link;

	stop_watching(r, leg);
	leg->link = (struct tofu_link){ .handle = TOFU_NO_SOCKET };
	return link;
}

void tofu_leg_drop(struct tofu_reactor *r, struct tofu_leg *leg, enum tofu_close how)
{
	struct tofu_leg **at = &leg->channel->legs;

	if (how != TOFU_CLOSE_FORGET)
		stop_watching(r, leg);
	leg->watched = false;
	if (is_open(leg))
		leg->channel->transport->close(leg->channel->transport, &leg->link, how);
	while (*at != leg)
		at = &(*at)->next;
	*at = leg->next;
	leg->next = r->closed_legs;
	r->closed_legs = leg;
}

void tofu_legs_drop(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how)
{
	while (c->legs != NULL)
		tofu_leg_drop(r, c->legs, how);
}

void tofu_legs_bury(struct tofu_reactor *r, bool all)
{
	struct tofu_leg **at = &r->closed_legs;

	while (*at != NULL) {
		struct tofu_leg *leg = *at;

		if (leg->poll.busy && !all) {
			at = &leg->next;
			continue;
		}
		*at = leg->next;
		free(leg);
	}
}
