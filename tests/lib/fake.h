/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_FAKE_H
#define TOFU_TESTS_FAKE_H

/*
 * Transports that do what real ones do only now and then: each is TCP or Unix sockets but for one operation. They stay
 * valid for ever. One engine takes one of each kind.
 */

#include <tofu/transport.h>

/** "slow|rest": a name that is looked up until slow_release(). */
const struct tofu_transport *fake_slow(int transport);
/** Let those that look up go on; from now on none waits. / From now on they wait. */
void slow_release(void);
void slow_hold(void);
/** How many look up right now. */
int slow_waiting(void);

/** "stuck|rest": connects, but never says that it has. */
const struct tofu_transport *fake_stuck(int transport);

/** "many|rest,rest,...": all of these addresses. */
const struct tofu_transport *fake_many(int transport);

/** "asking|rest", TCP: counts how often it was asked to acknowledge. */
const struct tofu_transport *fake_asking(void);
int asking_asked(void);

/** "tiny|rest": one byte per call, either way, and half of the calls would have to wait. */
const struct tofu_transport *fake_tiny(int transport);

/** "turned|rest": receives when writing is possible, as a TLS handshake may, as often as turned_receives() has said. */
const struct tofu_transport *fake_turned(int transport);
void turned_receives(int times);

/** "counted|rest": counts what is opened and what is closed. */
const struct tofu_transport *fake_counted(int transport);
int counted_open(void);
/** Links that were closed twice, or closed without having been opened. */
int counted_wrong(void);

/**
 * "racing|PLAN:REST", TCP: an address for each letter of the plan, and what comes of it.
 *
 *     a  connects as TCP does             r  is refused at once
 *     s  never answers                    4  likewise, an IPv4 address; 6: an IPv6 address
 *     h  connects when the peer has said  l  finds no descriptor three times, then connects
 *        a byte, as TLS would             p  is to be started again three times, then connects
 *     z  the same, after three pauses     w  is to be started again, for ever
 *     f  gives permission_denied when the peer has said a byte
 *     g  gives communication_failed then
 */
const struct tofu_transport *fake_racing(void);
/** Forget what has been. */
void racing_anew(void);
/** How many connects were started, and links closed, and how many were open at the same time. */
int racing_started(void);
int racing_closed(void);
int racing_most(void);
/** The letters of those that were started, in that order; the place of the i-th of them in the plan, and of the i-th closed. */
const char *racing_order(void);
int racing_start(int i);
int racing_close(int i);

#endif
