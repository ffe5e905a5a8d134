/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_RACE_H
#define TOFU_REACTOR_RACE_H

/*
 * Connecting, by several addresses of a name (RFC 8305, "happy eyeballs"): each attempt has a head start, then the next address is
 * tried beside it. The first that connects wins, the others are closed. A channel in TOFU_CHAN_CONNECTING is in a race.
 */

#include "reactor/chan.h"
#include "reactor/legs.h"

struct tofu_reactor;

enum {
	TOFU_HEAD_START_MS = 250,      /* before the next address is tried as well */
	TOFU_HEAD_START_LEAST_MS = 10, /* where the handshake time is too short for that */
	TOFU_RACERS = 8                /* at once: each so has two seconds, and TCP tries again after one */
};

/** The addresses in c->dial are known: call them. */
void tofu_race_begin(struct tofu_reactor *r, struct tofu_chan *c);
/** An attempt has something to tell: a leg's, or, with NULL, that of the channel's own link. */
void tofu_race_ready(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_leg *leg);
/** The head start of the latest attempt is over. */
void tofu_race_overdue(struct tofu_reactor *r, struct tofu_chan *c);
/** The pause is over that some attempts have asked for. */
void tofu_race_retry(struct tofu_reactor *r, struct tofu_chan *c);

#endif
