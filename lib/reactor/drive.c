/* SPDX-License-Identifier: MIT */

/*
 * Threads that lead (drive.h), and an engine without a thread.
 *
 * No waiting thread is forgotten. A thread follows only while the lead is taken. It sees that under the lead's lock, and is counted
 * there. The leader that gives up the lead sees the count under the same lock and wakes the engine's thread; without one, it
 * wakes all followers. Any of them may lead then, and a follower whose time is up may leave.
 *
 * No message is forgotten. The leader first marks the lead free, then marks all as asleep (mailbox.h), then looks into the mailbox. A
 * thread that posts after that wakes the poller. This ends the wait of the leader of that moment, of the engine's thread that
 * stands by, or of a foreign loop. No timer is forgotten: the engine's thread stands by until the next one ends, and is woken
 * when an earlier one has been started.
 *
 * An engine may be destroyed while threads wait in its groups. tofu_engine_destroy() takes the lead, then the turn, and never
 * gives up the lead. So a leader may use the engine until it has given up the lead or, if it calls followers, the turn. A
 * follower may use it with its group's lock until the engine has let go of the group.
 */

#include "reactor/drive.h"

#include "reactor/engine.h"
#include "reactor/group.h"

/* More messages in one turn than this are load. */
enum { TALK_MAX = 8 };

/*
 * A loan pays if the borrower led so often before the engine's thread came forward. Then that thread lends again at once; else it
 * holds back for so many turns at most.
 */
enum { LOAN_PAYS = 16, HOLD_BACK_MAX = 127 };

/* What is posted in quick succession is gathered: for so long, up to so many messages, and up to one that is as long as this. */
enum { GATHER_NS = 100000, GATHER_MESSAGES = 512, GATHER_BYTES = TOFU_DIRECT };

enum tofu_status tofu_lead_init(struct tofu_lead *l)
{
	enum tofu_status status = tofu_mutex_init(&l->lock);

	if (status != TOFU_OK)
		return status;
	status = tofu_cond_init(&l->given_up);
	if (status != TOFU_OK)
		tofu_mutex_fini(&l->lock);
	l->ready = status == TOFU_OK;
	return status;
}

void tofu_lead_fini(struct tofu_lead *l)
{
	if (!l->ready)
		return;
	tofu_cond_fini(&l->given_up);
	tofu_mutex_fini(&l->lock);
}

static bool is_callers(const struct tofu_reactor *r)
{
	return r->engine->options.io == TOFU_IO_CALLER;
}

/* With the lead's lock. From now on events wake nobody else. */
static void take(struct tofu_reactor *r, struct tofu_wish *wish)
{
	atomic_store(&r->lead.taken, true);
	atomic_store(&r->lead.wish, wish);
	if (r->lead.lent)
		tofu_poller_watch(r->poller, false);
}

/* With the lead's lock. False: there is something in the mailbox; a thread has to take it. */
static bool leave(struct tofu_reactor *r)
{
	atomic_store(&r->lead.taken, false);
	if (r->lead.lent)
		tofu_poller_watch(r->poller, true);
	return tofu_mailbox_sleep(&r->engine->mailbox);
}

/* --- to lead, to follow --- */

/* True: the caller leads. False: it follows. No thread takes the lead any more once the engine is being destroyed. */
static bool lead_or_follow(struct tofu_reactor *r, struct tofu_wish *wish)
{
	struct tofu_lead *l = &r->lead;
	bool leads;

	tofu_mutex_lock(&l->lock);
	leads = !atomic_load(&l->taken) && !atomic_load(&r->engine->stopping);
	if (leads) {
		take(r, wish);
		l->times++;
		atomic_store_explicit(&l->last, tofu_thread_self(), memory_order_relaxed);
	} else {
		l->followers++;
	}
	tofu_mutex_unlock(&l->lock);
	return leads;
}

static void follow_no_more(struct tofu_lead *l, unsigned fewer)
{
	tofu_mutex_lock(&l->lock);
	l->followers -= fewer;
	tofu_mutex_unlock(&l->lock);
}

void tofu_group_follows_no_more(struct tofu_reactor *r, struct tofu_group *g)
{
	follow_no_more(&r->lead, g->follows);
	g->follows = 0;
}

bool tofu_lead_take(struct tofu_reactor *r, struct tofu_wish *or_null, int64_t deadline_ns)
{
	struct tofu_lead *l = &r->lead;
	bool in_time = true;
	bool leads;

	tofu_mutex_lock(&l->lock);
	l->followers++;
	while (atomic_load(&l->taken) && in_time)
		in_time = tofu_cond_wait_until(&l->given_up, &l->lock, deadline_ns);
	l->followers--;
	leads = !atomic_load(&l->taken);
	if (leads)
		take(r, or_null);
	tofu_mutex_unlock(&l->lock);
	return leads;
}

/* A leader that sleeps in the poller did not do this itself: another thread has the turn, and wakes it. */
void tofu_lead_grant(struct tofu_reactor *r, const struct tofu_group *g)
{
	struct tofu_wish *wish = atomic_load(&r->lead.wish);

	if (wish == NULL || (wish->group != NULL && g != NULL && wish->group != g))
		return;
	wish->granted = true;
	if (tofu_mailbox_nudge(&r->engine->mailbox))
		tofu_engine_wake(r->engine);
}

/* To the engine's thread, which stands by: from now on events wake it. */
static void give_back(struct tofu_reactor *r, const struct tofu_wish *wish)
{
	struct tofu_lead *l = &r->lead;

	tofu_mutex_lock(&l->lock);
	if (!leave(r) || l->followers > 0 || wish->next_ns < l->until_ns || atomic_load(&r->engine->stopping))
		tofu_poller_wake(r->poller);
	tofu_mutex_unlock(&l->lock);
}

/* Without a thread. A foreign loop is told of what is in the mailbox. False: there are followers, and the lead is not given up. */
static bool give_up_alone(struct tofu_reactor *r)
{
	bool alone;

	tofu_mutex_lock(&r->lead.lock);
	alone = r->lead.followers == 0;
	if (alone && !leave(r) && atomic_load(&r->has_pollable))
		tofu_poller_wake(r->poller);
	tofu_mutex_unlock(&r->lead.lock);
	return alone;
}

/* The turn keeps the list of groups, and the engine, as they are until all are called. */
static void give_up_to_followers(struct tofu_reactor *r)
{
	tofu_reactor_hold_turn(r);
	tofu_mutex_lock(&r->lead.lock);
	(void)leave(r);
	tofu_cond_broadcast(&r->lead.given_up);
	tofu_mutex_unlock(&r->lead.lock);
	for (struct tofu_list *node = r->groups.next; node != &r->groups; node = node->next)
		tofu_group_call(TOFU_LIST_OWNER(node, struct tofu_group, of_reactor));
	tofu_reactor_give_turn_back(r);
}

static bool drive(struct tofu_reactor *r, struct tofu_wish *wish, int64_t deadline_ns)
{
	bool in_time = tofu_reactor_run(r, wish, deadline_ns);

	if (!is_callers(r))
		give_back(r, wish);
	else if (!give_up_alone(r))
		give_up_to_followers(r);
	return in_time;
}

bool tofu_group_wait(struct tofu_group *g, struct tofu_cond *what, int64_t deadline_ns)
{
	struct tofu_engine *e = tofu_group_engine(g);
	struct tofu_wish wish = { .group = g };
	bool in_time;

	if (e == NULL)
		return tofu_cond_wait_until(what, &g->lock, deadline_ns);
	if (lead_or_follow(&e->reactor, &wish)) {
		g->leads++;
		tofu_mutex_unlock(&g->lock);
		in_time = drive(&e->reactor, &wish, deadline_ns);
		tofu_mutex_lock(&g->lock);
		g->leads--;
		return in_time;
	}
	g->follows++;
	in_time = tofu_cond_wait_until(what, &g->lock, deadline_ns);
	if (g->follows > 0) { /* else the engine has let go of the group, and may be gone */
		g->follows--;
		follow_no_more(&e->reactor.lead, 1);
	}
	return in_time;
}

/* --- the engine's thread --- */

/*
 * Is there something for one group, in which a thread waits, and is it talk, to and fro? Under load, which comes in batches or
 * queues up on its way out, two threads do more than one.
 */
static bool is_talk_with_one(const struct tofu_reactor *r)
{
	const struct tofu_list *first = r->touched.next;
	struct tofu_group *g;

	if (first == &r->touched || first->next != &r->touched || r->queued > 0)
		return false;
	g = TOFU_LIST_OWNER(first, struct tofu_group, touched);
	return g->batch.count <= TALK_MAX && tofu_group_is_waited_in(g);
}

/* The lead's lock, or none: these two are the engine's thread's alone. */
static bool holds_back(struct tofu_lead *l)
{
	if (l->held_back == l->hold_back)
		return false;
	l->held_back++;
	return true;
}

static void judge_loan(struct tofu_lead *l)
{
	if (l->times - l->lent_at >= LOAN_PAYS)
		l->hold_back = 0;
	else if (l->hold_back < HOLD_BACK_MAX)
		l->hold_back = 2 * l->hold_back + 1;
	l->held_back = 0;
}

bool tofu_lead_lend(struct tofu_reactor *r)
{
	struct tofu_lead *l = &r->lead;
	int64_t next_ns = tofu_reactor_next_look(r);

	if (!r->lends || atomic_load(&l->wish) != NULL || next_ns <= r->now_ns || !is_talk_with_one(r) || holds_back(l))
		return false;
	tofu_mutex_lock(&l->lock);
	l->lent = l->followers == 1; /* the one that is woken next, and will wait again */
	l->until_ns = next_ns;
	l->lent_at = l->times;
	l->loans += l->lent;
	if (l->lent && !leave(r))
		tofu_poller_wake(r->poller);
	tofu_mutex_unlock(&l->lock);
	return l->lent;
}

void tofu_lead_stand_by(struct tofu_reactor *r)
{
	struct tofu_lead *l = &r->lead;

	tofu_mutex_lock(&l->lock);
	for (;;) {
		int64_t now_ns = tofu_plat_now_ns(), until_ns = l->until_ns;

		tofu_mutex_unlock(&l->lock);
		if (until_ns == INT64_MAX)
			tofu_poller_stand_by(r->poller, TOFU_FOREVER);
		else if (until_ns > now_ns)
			tofu_poller_stand_by(r->poller, until_ns - now_ns);
		tofu_mutex_lock(&l->lock);
		if (!atomic_load(&l->taken))
			break;
		if (l->until_ns <= now_ns)
			l->until_ns = INT64_MAX; /* the leader sees to the timer */
	}
	take(r, NULL);
	l->lent = false;
	judge_loan(l);
	tofu_mutex_unlock(&l->lock);
}

/* --- an engine without a thread --- */

bool tofu_lead_is_watched(const struct tofu_reactor *r)
{
	return !is_callers(r) || atomic_load(&r->lead.taken) || atomic_load(&r->has_pollable);
}

bool tofu_lead_is_expected(const struct tofu_reactor *r)
{
	return is_callers(r) && !atomic_load(&r->lead.taken) && !atomic_load(&r->has_pollable) &&
	       atomic_load_explicit(&r->lead.last, memory_order_relaxed) == tofu_thread_self();
}

void tofu_drive_posted(struct tofu_reactor *r, uint32_t longest)
{
	int64_t now_ns;

	if (!is_callers(r) || atomic_load(&r->lead.taken) || !tofu_reactor_try_turn(r))
		return;
	now_ns = tofu_plat_now_ns();
	if (now_ns - r->gathered_ns >= GATHER_NS || longest >= GATHER_BYTES ||
	    tofu_mailbox_count(&r->engine->mailbox) >= GATHER_MESSAGES) {
		tofu_reactor_catch_up(r, now_ns);
		r->gathered_ns = now_ns;
	}
	tofu_reactor_end_turn(r);
}

static bool may_be_driven(const struct tofu_engine *e)
{
	return e != NULL && !tofu_engine_inert(e) && is_callers(&e->reactor);
}

enum tofu_status tofu_engine_run(tofu_engine *e, int64_t timeout_ns)
{
	struct tofu_wish wish = { 0 };
	int64_t deadline_ns = tofu_plat_deadline(timeout_ns);

	if (!may_be_driven(e))
		return TOFU_NOT_ALLOWED;
	if (!tofu_lead_take(&e->reactor, &wish, deadline_ns))
		return TOFU_TIMEOUT;
	(void)drive(&e->reactor, &wish, deadline_ns);
	return wish.granted ? TOFU_OK : TOFU_TIMEOUT;
}

/* No loop was told of what has been posted before: wake it once. */
enum tofu_status tofu_engine_pollable(tofu_engine *e, intptr_t *out)
{
	if (out != NULL)
		*out = TOFU_NO_SOCKET;
	if (!may_be_driven(e) || out == NULL)
		return TOFU_NOT_ALLOWED;
	*out = tofu_poller_pollable(e->reactor.poller);
	if (*out == TOFU_NO_SOCKET)
		return TOFU_NOT_SUPPORTED;
	atomic_store(&e->reactor.has_pollable, true);
	tofu_engine_wake(e);
	return TOFU_OK;
}

int64_t tofu_engine_timeout(tofu_engine *e)
{
	int64_t timeout_ns;

	if (!may_be_driven(e))
		return TOFU_FOREVER;
	tofu_reactor_hold_turn(&e->reactor);
	timeout_ns = tofu_reactor_time_left(&e->reactor);
	tofu_reactor_give_turn_back(&e->reactor);
	return timeout_ns;
}
