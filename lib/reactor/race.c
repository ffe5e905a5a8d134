/* SPDX-License-Identifier: MIT */

/*
 * The first attempt has the channel's own link, so that a name with one address, or whose first address answers at once, takes no
 * memory. Those beside it are legs. When a leg wins, its link moves to the channel.
 *
 * An address that does not answer must not keep the others from being tried: where the time is short, a head start is an equal
 * share of what is left, and when all places are taken the oldest attempt is given up for the next. What has failed makes room for
 * the next at once. When the last one has failed, its failure is the answer; the handshake time bounds all of it.
 */

#include "reactor/race.h"

#include "reactor/reactor.h"

static struct tofu_attempt *attempt_of(struct tofu_chan *c, struct tofu_leg *leg)
{
	return leg != NULL ? &leg->attempt : &c->dial->attempt;
}

static struct tofu_link *link_of(struct tofu_chan *c, struct tofu_leg *leg)
{
	return leg != NULL ? &leg->link : &c->link;
}

static unsigned want_of(const struct tofu_chan *c, const struct tofu_leg *leg)
{
	return leg != NULL ? leg->attempt.want : c->receive_want;
}

static void set_want(struct tofu_chan *c, struct tofu_leg *leg, unsigned want)
{
	if (leg != NULL)
		leg->attempt.want = want;
	else
		c->receive_want = (uint8_t)want;
}

static bool is_shortage(enum tofu_status status)
{
	return status == TOFU_ALLOCATION_FAILED || status == TOFU_LIMIT_REACHED;
}

static enum tofu_status watch(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_leg *leg)
{
	struct tofu_poll_item *item = leg != NULL ? &leg->poll : &c->poll;
	enum tofu_status status = TOFU_OK;

	if (leg != NULL && !leg->watched)
		status = tofu_leg_watch(r, leg);
	if (leg == NULL && !c->watched)
		status = tofu_chan_watch(r, c, c->number);
	return status == TOFU_OK ? tofu_poller_want(r->poller, item, tofu_connect_interest(want_of(c, leg))) : status;
}

static enum tofu_status start(struct tofu_chan *c, struct tofu_leg *leg, unsigned *want)
{
	char rest[TOFU_ADDRESS_MAX + 1];

	tofu_dial_called(c, rest);
	return c->transport->connect_start(c->transport, link_of(c, leg), rest,
	                                   &c->dial->addresses[attempt_of(c, leg)->address], want);
}

/* One step. TOFU_WOULD_BLOCK: it goes on. */
static enum tofu_status step(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_leg *leg)
{
	struct tofu_attempt *a = attempt_of(c, leg);
	unsigned want = TOFU_WRITABLE;
	enum tofu_status status;

	status = a->under_way ? c->transport->connect_finish(c->transport, link_of(c, leg), &want)
	                      : start(c, leg, &want);
	if (status != TOFU_WOULD_BLOCK)
		return status;
	(void)tofu_chan_again(r, c, status, &want);
	set_want(c, leg, want);
	a->under_way = a->under_way || want != TOFU_AFTER_PAUSE;
	if (a->under_way)
		status = watch(r, c, leg);
	return status == TOFU_OK ? TOFU_WOULD_BLOCK : status;
}

static void give_up(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_leg *leg)
{
	attempt_of(c, leg)->goes_on = false;
	c->dial->attempts--;
	tofu_chan_explain(r, c, link_of(c, leg));
	if (leg == NULL) {
		tofu_chan_drop_own_link(r, c, TOFU_CLOSE_ORDERLY);
		return;
	}
	tofu_leg_drop(r, leg, TOFU_CLOSE_ORDERLY);
	tofu_dial_resume_all(r);
}

static void give_up_oldest(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_leg *oldest = c->dial->attempt.goes_on ? NULL : c->legs;

	for (struct tofu_leg *leg = c->legs; leg != NULL; leg = leg->next)
		if (leg->attempt.address < attempt_of(c, oldest)->address)
			oldest = leg;
	give_up(r, c, oldest);
}

/* False: there is no memory for it. */
static bool take_place(struct tofu_chan *c, struct tofu_leg **leg)
{
	struct tofu_dial *d = c->dial;

	*leg = NULL;
	if (d->attempt.goes_on && (*leg = tofu_leg_add(c)) == NULL)
		return false;
	*attempt_of(c, *leg) = (struct tofu_attempt){ .address = d->at++, .goes_on = true };
	d->attempts++;
	c->pauses = 0;
	return true;
}

/* The link of the one that has won becomes the channel's. */
static void win(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_leg *leg)
{
	struct tofu_link link;
	enum tofu_status status;

	if (leg != NULL) {
		link = tofu_leg_take_link(r, leg);
		tofu_chan_drop_own_link(r, c, TOFU_CLOSE_ORDERLY);
		c->link = link;
	}
	tofu_legs_drop(r, c, TOFU_CLOSE_ORDERLY);
	tofu_dial_resume_all(r);
	status = c->watched ? TOFU_OK : tofu_chan_watch(r, c, c->number);
	if (status == TOFU_OK)
		tofu_dial_connected(r, c);
	else
		tofu_chan_close(r, c, status);
}

static void give_head_start(struct tofu_reactor *r, struct tofu_chan *c)
{
	const struct tofu_dial *d = c->dial;
	int64_t left_ns = tofu_timers_deadline(&c->deadlines, TOFU_TIMER_HANDSHAKE) - r->now_ns;
	int64_t share_ns = left_ns > 0 ? left_ns / (d->count - d->at + 1) : 0;

	if (share_ns > TOFU_HEAD_START_MS * TOFU_NS_PER_MS)
		share_ns = TOFU_HEAD_START_MS * TOFU_NS_PER_MS;
	if (share_ns < TOFU_HEAD_START_LEAST_MS * TOFU_NS_PER_MS)
		share_ns = TOFU_HEAD_START_LEAST_MS * TOFU_NS_PER_MS;
	if (d->at < d->count)
		tofu_timer_start(r, c, TOFU_TIMER_ANSWER, r->now_ns + share_ns);
	else
		tofu_timer_stop(r, c, TOFU_TIMER_ANSWER);
}

/* The next address that does not fail at once. For want of memory or descriptors its turn comes again, while others go on. */
static void go_on(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_status last)
{
	struct tofu_dial *d = c->dial;

	while (d->at < d->count) {
		struct tofu_leg *leg;

		if (d->attempts == TOFU_RACERS)
			give_up_oldest(r, c);
		last = take_place(c, &leg) ? step(r, c, leg) : TOFU_WOULD_BLOCK;
		if (last == TOFU_OK) {
			win(r, c, leg);
			return;
		}
		if (last == TOFU_WOULD_BLOCK)
			break;
		give_up(r, c, leg);
		if (is_shortage(last) && d->attempts > 0) {
			d->at--;
			break;
		}
	}
	if (d->attempts > 0)
		give_head_start(r, c);
	else
		tofu_chan_close(r, c, last);
}

void tofu_race_begin(struct tofu_reactor *r, struct tofu_chan *c)
{
	go_on(r, c, TOFU_HOST_NOT_FOUND);
}

void tofu_race_ready(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_leg *leg)
{
	enum tofu_status status = step(r, c, leg);

	if (status == TOFU_OK) {
		win(r, c, leg);
	} else if (status != TOFU_WOULD_BLOCK) {
		give_up(r, c, leg);
		go_on(r, c, status);
	}
}

void tofu_race_overdue(struct tofu_reactor *r, struct tofu_chan *c)
{
	go_on(r, c, TOFU_TIMEOUT);
}

/* Attempts that have paused want nothing until they are called. False: none is left. */
static bool call_paused(struct tofu_reactor *r, struct tofu_chan *c)
{
	struct tofu_leg *leg = c->legs;

	if (c->dial->attempt.goes_on && c->receive_want == 0) {
		tofu_race_ready(r, c, NULL);
		return true;
	}
	while (leg != NULL && leg->attempt.want != 0)
		leg = leg->next;
	if (leg != NULL)
		tofu_race_ready(r, c, leg);
	return leg != NULL;
}

static void end_pause(struct tofu_chan *c, struct tofu_leg *leg)
{
	if (want_of(c, leg) == TOFU_AFTER_PAUSE)
		set_want(c, leg, 0);
}

void tofu_race_retry(struct tofu_reactor *r, struct tofu_chan *c)
{
	end_pause(c, NULL);
	for (struct tofu_leg *leg = c->legs; leg != NULL; leg = leg->next)
		end_pause(c, leg);
	while (c->state == TOFU_CHAN_CONNECTING && call_paused(r, c))
		;
}
