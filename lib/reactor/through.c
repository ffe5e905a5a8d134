/* SPDX-License-Identifier: MIT */

/*
 * Writing through: while the reactor sleeps, a thread that posts to an idle channel does not wake it to have one message
 * written, but borrows its turn and writes by itself. That saves a wake-up, and with it most of the time until the message
 * is out.
 *
 * It is an exception for the idle, and made so that nothing else need know of it. Only an open channel with nothing to send
 * and nothing in its way is written to, only an ordinary message, and only if no other message waits to be taken: what was
 * posted before is written before. Nothing else of a turn is done here. If there is anything left to do - the system did not
 * take all of it, the channel is in another state now, a group must be told something - the reactor is woken for it.
 *
 * Messages in quick succession are better gathered than written one by one: the second one within TOFU_GATHER_NS wakes the
 * reactor, and it stays awake as long as there are more.
 */

#include "reactor/engine.h"

static bool ordinary(const struct tofu_msg *m)
{
	return m->header.opcode == TOFU_REQUEST || m->header.opcode == TOFU_RESPONSE || m->header.opcode == TOFU_SIGNAL;
}

static bool idle(const struct tofu_chan *c)
{
	return c->state == TOFU_CHAN_OPEN && tofu_session_is_open(&c->session) && c->unsent.head == NULL &&
	       c->send_want == 0 && !tofu_list_linked(&c->dirty);
}

/* Is there work for the reactor: a channel, a notice, or a timer that it does not know of? */
static bool reactor_has_work(const struct tofu_reactor *r)
{
	return !tofu_list_empty(&r->dirty) || r->owing > 0 || tofu_timers_next(&r->timers) < r->asleep_until_ns;
}

/* The reactor's turn is ours. */
static bool write_it(struct tofu_reactor *r, struct tofu_msg *m)
{
	struct tofu_mailbox *box = &r->engine->mailbox;
	struct tofu_chan *c = tofu_registry_find(&r->engine->registry, m->header.channel); /* it stays: m was let in */
	int64_t now_ns = tofu_plat_now_ns();
	bool alone = now_ns - r->through_ns >= TOFU_GATHER_NS;

	r->through_ns = now_ns;
	if (!alone || !idle(c) || !tofu_mailbox_is_asleep(box) || !tofu_mailbox_is_empty(box))
		return false;
	r->now_ns = now_ns;
	tofu_chan_queue(r, &c->unsent, m);
	tofu_send_now(r, c);
	if (!idle(c))
		tofu_chan_touch(r, c);
	tofu_reactor_deliver(r);
	if (reactor_has_work(r) && tofu_mailbox_nudge(box))
		tofu_engine_wake(r->engine);
	return true;
}

bool tofu_through(struct tofu_reactor *r, struct tofu_msg *m)
{
	bool written;

	if (!tofu_mailbox_is_asleep(&r->engine->mailbox) || !ordinary(m) || !tofu_reactor_try_turn(r))
		return false;
	written = write_it(r, m);
	tofu_reactor_end_turn(r);
	return written;
}
