/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_LEGS_H
#define TOFU_REACTOR_LEGS_H

/*
 * Further sockets of a channel whose name stands for several addresses. The first is the channel's link, the others are its legs.
 * Those of a listener are opened and closed together, and want the same of the poller. While the channel connects, a leg is an
 * attempt beside the first (race.h).
 */

#include <stdbool.h>

#include "reactor/chan.h"
#include "reactor/poller.h"

struct tofu_reactor;

struct tofu_leg {
	struct tofu_leg *next; /* of the same channel; then, of those that are closed */
	struct tofu_poll_item poll;
	struct tofu_link link;
	struct tofu_chan *channel;
	struct tofu_attempt attempt; /* to connect */
	bool watched;
};

/** One more, without a link. NULL: no memory. */
struct tofu_leg *tofu_leg_add(struct tofu_chan *c);
/** The poller watches it. */
enum tofu_status tofu_leg_watch(struct tofu_reactor *r, struct tofu_leg *leg);
/** Its link is the caller's from now on, and not watched. The leg is without one, and is to be dropped. */
struct tofu_link tofu_leg_take_link(struct tofu_reactor *r, struct tofu_leg *leg);
/** Stop watching and close it. It leaves its channel. */
void tofu_leg_drop(struct tofu_reactor *r, struct tofu_leg *leg, enum tofu_close how);

/** Open the listener's link and its legs at these addresses: all, or none. */
enum tofu_status tofu_legs_listen(struct tofu_chan *c, const struct tofu_sockaddr *at, size_t count);
/** The poller watches them. A failure leaves some watched, which drop ends. */
enum tofu_status tofu_legs_watch(struct tofu_reactor *r, struct tofu_chan *c);
/** Tell the poller what they want. */
enum tofu_status tofu_legs_want(struct tofu_reactor *r, struct tofu_chan *c, unsigned interest);
/** Drop them all. */
void tofu_legs_drop(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how);
/** Free those that are closed and that the poller is done with; or all, when there is no poller any more. */
void tofu_legs_bury(struct tofu_reactor *r, bool all);

#endif
