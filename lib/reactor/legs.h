/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_LEGS_H
#define TOFU_REACTOR_LEGS_H

/*
 * The further sockets of a listener: a name may stand for several addresses, and one socket listens on one of them. The first
 * is the channel's link, the others are its legs. They are opened and closed together, and want the same of the poller.
 */

#include <stdbool.h>

#include "reactor/chan.h"
#include "reactor/poller.h"

struct tofu_reactor;

struct tofu_leg {
	struct tofu_leg *next; /* of the same listener; then, of those that are closed */
	struct tofu_poll_item poll;
	struct tofu_link link;
	struct tofu_chan *listener;
	bool watched;
};

/** Open the listener's link and its legs at these addresses: all, or none. */
enum tofu_status tofu_legs_listen(struct tofu_chan *c, const struct tofu_sockaddr *at, size_t count);
/** The poller watches them. A failure leaves some watched, which drop ends. */
enum tofu_status tofu_legs_watch(struct tofu_reactor *r, struct tofu_chan *c);
/** Tell the poller what they want. */
enum tofu_status tofu_legs_want(struct tofu_reactor *r, struct tofu_chan *c, unsigned interest);
/** Stop watching and close them. */
void tofu_legs_drop(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_close how);
/** Free those that are closed and that the poller is done with; or all, when there is no poller any more. */
void tofu_legs_bury(struct tofu_reactor *r, bool all);

#endif
