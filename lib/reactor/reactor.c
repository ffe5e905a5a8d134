/* SPDX-License-Identifier: MIT */

/*
 * The loop. Everything of a channel happens in one of the steps of a turn, on the thread that leads (drive.h). Nothing but the
 * wait blocks, and a turn looks only at what something happened to: at messages that were posted, at channels on the dirty
 * list, at events, at timers that are due, at groups that got something. It looks at all channels after a shortage of memory only.
 */

#include "reactor/reactor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "message/pool.h"
#include "reactor/engine.h"
#include "reactor/group.h"
#include "reactor/legs.h"
#include "reactor/race.h"

static enum tofu_status init_turn(struct tofu_reactor *r)
{
	enum tofu_status status = tofu_mutex_init(&r->turn);

	if (status != TOFU_OK)
		return status;
	status = tofu_cond_init(&r->turn_given_back);
	if (status != TOFU_OK)
		tofu_mutex_fini(&r->turn);
	r->has_turn = status == TOFU_OK;
	return status;
}

enum tofu_status tofu_reactor_init(struct tofu_reactor *r)
{
	const struct tofu_options *o = &r->engine->options;
	enum tofu_status status;

	r->now_ns = tofu_plat_now_ns();
	r->timer_ns[TOFU_TIMER_HANDSHAKE] = o->handshake_timeout_ms * TOFU_NS_PER_MS;
	r->timer_ns[TOFU_TIMER_BYE] = o->bye_timeout_ms * TOFU_NS_PER_MS;
	r->idle_ns = o->idle_timeout_ms * TOFU_NS_PER_MS;
	r->receive_ns = o->receive_timeout_ms * TOFU_NS_PER_MS;
	r->timer_ns[TOFU_TIMER_QUIET] =
		r->idle_ns == 0 || (r->receive_ns != 0 && r->receive_ns < r->idle_ns) ? r->receive_ns : r->idle_ns;
	tofu_list_init(&r->groups);
	tofu_list_init(&r->touched);
	tofu_list_init(&r->dirty);
	tofu_list_init(&r->starving);
	tofu_list_init(&r->paused);
	tofu_list_init(&r->arriving);
	tofu_list_init(&r->unheard);
	tofu_list_init(&r->graves);
	status = init_turn(r);
	if (status == TOFU_OK)
		status = tofu_lead_init(&r->lead);
	if (status != TOFU_OK)
		return status;
	r->stock_next = TOFU_STOCK_FIRST;
	r->queued_at = SIZE_MAX;
	r->staging = malloc(TOFU_STAGING);
	r->block = tofu_block_new(TOFU_BLOCK);
	if (r->staging == NULL || r->block == NULL)
		return TOFU_ALLOCATION_FAILED;
	status = tofu_timers_init(&r->timers, o->max_channels);
	if (status == TOFU_OK)
		status = tofu_admission_init(r);
	if (status == TOFU_OK && o->log != NULL) {
		r->peer_texts = calloc(TOFU_CHANNEL_MAX + 1, sizeof(char *));
		status = r->peer_texts != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
	}
	if (status != TOFU_OK)
		return status;
	return tofu_poller_create(o->poller, &r->poller);
}

static void turn_is_of(struct tofu_reactor *r, const void *thread)
{
	atomic_store_explicit(&r->turn_of, thread, memory_order_relaxed);
}

/* A lock that is let go of for a moment comes back to the thread that runs: one that only waits for it may wait for long. */
static void take_turn(struct tofu_reactor *r)
{
	tofu_mutex_lock(&r->turn);
	while (atomic_load_explicit(&r->turn_wanted, memory_order_relaxed) > 0)
		(void)tofu_cond_wait_until(&r->turn_given_back, &r->turn, TOFU_FOREVER);
	turn_is_of(r, tofu_thread_self());
}

void tofu_reactor_hold_turn(struct tofu_reactor *r)
{
	atomic_fetch_add(&r->turn_wanted, 1);
	tofu_mutex_lock(&r->turn);
	atomic_fetch_sub(&r->turn_wanted, 1);
}

void tofu_reactor_give_turn_back(struct tofu_reactor *r)
{
	tofu_cond_signal(&r->turn_given_back);
	tofu_mutex_unlock(&r->turn);
}

bool tofu_reactor_try_turn(struct tofu_reactor *r)
{
	if (!tofu_mutex_try(&r->turn))
		return false;
	turn_is_of(r, tofu_thread_self());
	return true;
}

void tofu_reactor_end_turn(struct tofu_reactor *r)
{
	turn_is_of(r, NULL);
	tofu_mutex_unlock(&r->turn);
}

bool tofu_reactor_has_turn(const struct tofu_reactor *r)
{
	return atomic_load_explicit(&r->turn_of, memory_order_relaxed) == tofu_thread_self();
}

static void tell_of_complaints(struct tofu_reactor *r)
{
	r->log.lost += r->complaints_left_out;
	r->complaints_left_out = 0;
}

bool tofu_reactor_may_complain(struct tofu_reactor *r)
{
	if (r->engine->options.log == NULL)
		return false;
	if (r->now_ns - r->complaints_ns >= TOFU_NS_PER_S) {
		tell_of_complaints(r);
		r->complaints_ns = r->now_ns;
		r->complaints = 0;
	}
	if (r->complaints < TOFU_COMPLAINTS) {
		r->complaints++;
		return true;
	}
	r->complaints_left_out++;
	return false;
}

/* When the second is over; INT64_MAX: there is nothing to be told then. */
static int64_t complaints_deadline(const struct tofu_reactor *r)
{
	return r->complaints_left_out > 0 ? r->complaints_ns + TOFU_NS_PER_S : INT64_MAX;
}

/* By the leader only: the application's function runs on its thread. */
static void end_turn_and_tell(struct tofu_reactor *r)
{
	const struct tofu_options *o = &r->engine->options;
	struct tofu_log said;

	tofu_log_take(&r->log, &said);
	tofu_reactor_end_turn(r);
	tofu_log_tell(&said, o->log, o->log_context);
}

void tofu_reactor_give(struct tofu_reactor *r, struct tofu_group *g, struct tofu_msg *m)
{
	if (g->mute) {
		tofu_msg_put(&m);
		return;
	}
	tofu_group_collect(g, m);
	if (!tofu_list_linked(&g->touched))
		tofu_list_append(&r->touched, &g->touched);
}

bool tofu_reactor_notify(struct tofu_reactor *r, struct tofu_group *g, uint16_t channel, uint64_t id,
                         enum tofu_status status)
{
	struct tofu_msg *m = tofu_pool_get_notice(r->engine->pool);

	if (m == NULL)
		return false;
	m->header = (struct tofu_header){ .id = id,
		                          .channel = channel,
		                          .opcode = TOFU_SIGNAL,
		                          .origin = TOFU_ORIGIN_ENGINE,
		                          .status = (uint8_t)status };
	tofu_reactor_give(r, g, m);
	return true;
}

void tofu_reactor_retry_soon(struct tofu_reactor *r)
{
	if (r->retry_at_ns == 0)
		r->retry_at_ns = r->now_ns + TOFU_RETRY_MS * TOFU_NS_PER_MS;
}

void tofu_reactor_log(struct tofu_reactor *r, enum tofu_log_level level, const char *format, ...)
{
	va_list args;

	if (r->engine->options.log == NULL)
		return;
	va_start(args, format);
	tofu_log_add(&r->log, level, format, args);
	va_end(args);
}

void tofu_reactor_add_group(struct tofu_reactor *r, struct tofu_group *g)
{
	tofu_reactor_hold_turn(r);
	tofu_list_append(&r->groups, &g->of_reactor);
	tofu_reactor_give_turn_back(r);
}

void tofu_reactor_group_ended(struct tofu_reactor *r, struct tofu_group *g)
{
	if (!g->leaving || !tofu_list_empty(&g->channels))
		return;
	tofu_list_remove(&g->touched);
	tofu_list_remove(&g->of_reactor);
	tofu_group_ended(r, g);
}

void tofu_reactor_end_group(struct tofu_engine *e, struct tofu_command *command)
{
	struct tofu_group *g = TOFU_LIST_OWNER(command, struct tofu_group, end);
	struct tofu_list *next;

	g->mute = true;
	for (struct tofu_list *node = g->channels.next; node != &g->channels; node = next) {
		next = node->next;
		tofu_chan_close(&e->reactor, TOFU_LIST_OWNER(node, struct tofu_chan, of_group), TOFU_SHUTDOWN_STARTED);
	}
	g->leaving = true; /* now, or with the last channel that still awaits a message on its way */
	tofu_reactor_group_ended(&e->reactor, g);
}

/* --- the steps of a turn, in their order --- */

static TOFU_APART void listener_message(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	unsigned opcode = m->header.opcode;
	uint32_t bytes = tofu_msg_load(m);

	if (opcode == TOFU_BYE_SIGNAL) {
		tofu_msg_put(&m);
	} else if (opcode == TOFU_BYE_REQUEST) {
		m->header.opcode = TOFU_BYE_RESPONSE;
		m->header.origin = TOFU_ORIGIN_ENGINE;
		tofu_reactor_give(r, tofu_chan_group(c), m);
	} else {
		tofu_chan_give_back(r, c, m, TOFU_NOT_ALLOWED);
		return;
	}
	tofu_chan_settle(r, c, 1, bytes);
	tofu_chan_close(r, c, TOFU_CHANNEL_CLOSED);
}

static void later_message(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	if (tofu_chan_gone(c))
		tofu_chan_late(r, c, m);
	else if (c->state == TOFU_CHAN_LISTENING || tofu_chan_welcome(c) != NULL)
		listener_message(r, c, m);
	else
		tofu_send_queue(r, c, m);
}

static void opening_message(struct tofu_reactor *r, struct tofu_chan *c, struct tofu_msg *m)
{
	struct tofu_msg_queue early = c->held;

	c->held = (struct tofu_msg_queue){ 0 };
	tofu_dial_open(r, c, m);
	while ((m = tofu_chan_unqueue(r, &early)) != NULL)
		later_message(r, c, m);
}

/*
 * The gate is open before the message that opens the channel is mailed. Another thread, with a number from before, may get
 * in between: what it posts waits, and is then as if it had been posted right after.
 */
static void take_message(struct tofu_reactor *r, struct tofu_msg *m)
{
	/* There is one: the gate let the message in, and the channel stays until it has left. */
	struct tofu_chan *c = tofu_registry_find(&r->engine->registry, m->header.channel);
	bool opens = m->header.opcode == TOFU_HELLO_REQUEST || m->header.opcode == TOFU_WELCOME_REQUEST;

	m->next = NULL;
	if (c->state != TOFU_CHAN_NEW)
		later_message(r, c, m);
	else if (opens)
		opening_message(r, c, m);
	else
		tofu_chan_queue(r, &c->held, m);
}

/* Which group it was a signal handler cannot say: that takes memory, or a lock. It happens seldom, and groups are few. */
static void pass_on_interrupts(struct tofu_reactor *r)
{
	if (!tofu_mailbox_take_interrupts(&r->engine->mailbox))
		return;
	for (struct tofu_list *node = r->groups.next; node != &r->groups; node = node->next)
		tofu_group_pass_on_interrupt(TOFU_LIST_OWNER(node, struct tofu_group, of_reactor));
	tofu_lead_grant(r, NULL);
}

/*
 * Commands are taken first and run last: what was posted before the end of a group is seen before it. What is posted now has all
 * of its time: the last look at the clock may be older.
 */
static void take_posted(struct tofu_reactor *r)
{
	struct tofu_mailbox *box = &r->engine->mailbox;
	struct tofu_command *command = tofu_mailbox_take_commands(box);
	struct tofu_msg *m = tofu_mailbox_take_messages(box);

	if (m != NULL || command != NULL)
		r->now_ns = tofu_plat_now_ns();
	while (m != NULL) {
		struct tofu_msg *next = m->next;

		take_message(r, m);
		m = next;
	}
	pass_on_interrupts(r);
	while (command != NULL) {
		struct tofu_command *next = command->next;

		command->run(r->engine, command);
		command = next;
	}
}

/* A shortage of memory kept us from telling groups that there is room again. It is rare, so this may look at all channels. */
static void say_what_is_owed(struct tofu_reactor *r)
{
	for (struct tofu_list *g = r->groups.next; g != &r->groups; g = g->next) {
		struct tofu_list *channels = &TOFU_LIST_OWNER(g, struct tofu_group, of_reactor)->channels;

		for (struct tofu_list *node = channels->next; node != channels; node = node->next) {
			struct tofu_chan *c = TOFU_LIST_OWNER(node, struct tofu_chan, of_group);

			if (c->owes_ready)
				tofu_chan_send_ready(r, c);
		}
	}
}

/*
 * Whoever waits for messages or memory tries again, in the order of waiting. One that leaves the pool empty has
 * taken all there was: the others are first the next time, or it would take all of it for ever.
 */
static void feed_starving(struct tofu_reactor *r)
{
	struct tofu_list waiting;
	struct tofu_list *node;

	tofu_list_steal(&waiting, &r->starving);
	while ((node = tofu_list_pop(&waiting)) != NULL) {
		struct tofu_chan *c = TOFU_LIST_OWNER(node, struct tofu_chan, starving);

		tofu_receive_now(r, c);
		if (!tofu_chan_gone(c))
			tofu_chan_touch(r, c);
		if (r->drought && tofu_list_linked(&c->starving))
			tofu_list_put_first(&r->starving, &waiting);
	}
	if (r->owing > 0)
		say_what_is_owed(r);
}

static void run_dirty_channels(struct tofu_reactor *r)
{
	struct tofu_list dirty;
	struct tofu_list *node;

	if (tofu_mailbox_take_refilled(&r->engine->mailbox)) {
		tofu_dial_resume_all(r);
		r->drought = false;
		r->queued_at = SIZE_MAX;
		if (tofu_pool_freed_much(r->engine->pool))
			r->trim_at_ns = r->now_ns + TOFU_TRIM_MS * TOFU_NS_PER_MS;
		feed_starving(r);
	}
	tofu_list_steal(&dirty, &r->dirty);
	while ((node = tofu_list_pop(&dirty)) != NULL) {
		struct tofu_chan *c = TOFU_LIST_OWNER(node, struct tofu_chan, dirty);

		tofu_send_now(r, c);
		tofu_receive_on(r, c);
		tofu_receive_spare(r, c);
		tofu_chan_declare(r, c);
	}
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t tofu_reactor_next_look(const struct tofu_reactor *r)
{
	int64_t next = sooner(tofu_timers_next(&r->timers), tofu_receive_deadline(r));

	next = sooner(next, complaints_deadline(r));
	if (!tofu_list_empty(&r->dirty) || r->sweep_ns != 0)
		return r->now_ns;
	if (r->retry_at_ns != 0)
		next = sooner(next, r->retry_at_ns);
	if (r->trim_at_ns != 0)
		next = sooner(next, r->trim_at_ns);
	return next;
}

static int64_t time_until(int64_t at_ns, int64_t now_ns)
{
	if (at_ns == INT64_MAX)
		return TOFU_FOREVER;
	return at_ns > now_ns ? at_ns - now_ns : 0;
}

int64_t tofu_reactor_time_left(struct tofu_reactor *r)
{
	if (!tofu_mailbox_is_empty(&r->engine->mailbox))
		return 0;
	return time_until(tofu_reactor_next_look(r), tofu_plat_now_ns());
}

static bool is_to_trim(struct tofu_reactor *r)
{
	if (r->trim_at_ns == 0 || r->trim_at_ns > r->now_ns)
		return false;
	r->trim_at_ns = 0;
	return true;
}

/* Until deadline_ns at most, and not at all if the leader has got what it waits for. */
static int64_t time_to_wait(const struct tofu_reactor *r, int64_t deadline_ns)
{
	const struct tofu_wish *wish = atomic_load(&r->lead.wish);

	if (wish != NULL && wish->granted)
		return 0;
	return time_until(deadline_ns == TOFU_FOREVER ? r->asleep_until_ns : sooner(r->asleep_until_ns, deadline_ns),
	                  r->now_ns);
}

static size_t wait_for_events(struct tofu_reactor *r, struct tofu_poll_event *events, int64_t deadline_ns)
{
	bool trim = is_to_trim(r);
	uint64_t asked = r->poller->reads_asked;
	enum tofu_status status;
	int64_t timeout_ns;
	size_t count = 0;

	r->asleep_until_ns = tofu_reactor_next_look(r);
	timeout_ns = time_to_wait(r, deadline_ns);
	if (timeout_ns != 0 && !tofu_mailbox_sleep(&r->engine->mailbox))
		timeout_ns = 0;
	end_turn_and_tell(r);
	if (trim) /* as if asleep: whoever posts or forks meanwhile need not wait for it */
		tofu_pool_trim(r->engine->pool);
	status = tofu_poller_wait(r->poller, events, TOFU_READY_MAX, timeout_ns, &count);
	if (status != TOFU_OK) /* nothing that waiting a little could make worse */
		tofu_plat_sleep(TOFU_RETRY_MS * TOFU_NS_PER_MS);
	take_turn(r);
	tofu_mailbox_awake(&r->engine->mailbox);
	r->now_ns = tofu_plat_now_ns(); /* the turn's look at the clock */
	tofu_count(&r->counters.wakeups, 1);
	tofu_count(&r->counters.polls_for_reading, r->poller->reads_asked - asked);
	if (status != TOFU_OK) {
		tofu_reactor_log(r, TOFU_LOG_ERROR, "waiting failed: %s", tofu_strerror(status));
		return 0;
	}
	if (r->looks_due > 0)
		r->looks_due--;
	return count;
}

static void channel_ready(struct tofu_reactor *r, struct tofu_chan *c, unsigned ready)
{
	unsigned now = ((ready & TOFU_POLL_READ) != 0 ? TOFU_READABLE : 0u) |
	               ((ready & TOFU_POLL_WRITE) != 0 ? TOFU_WRITABLE : 0u);

	if (c->state == TOFU_CHAN_LISTENING) {
		tofu_dial_accept(r, c, &c->link);
		return;
	}
	if (c->state == TOFU_CHAN_CONNECTING) {
		tofu_race_ready(r, c, NULL);
		return;
	}
	if ((c->send_want & now) != 0) {
		c->send_want = 0;
		tofu_chan_touch(r, c);
	}
	if ((c->receive_want & now) != 0 && tofu_chan_rules[c->state].hears && !tofu_list_linked(&c->starving))
		tofu_receive_now(r, c);
}

static void leg_ready(struct tofu_reactor *r, struct tofu_leg *leg)
{
	struct tofu_chan *c = leg->channel;

	if (!leg->watched) /* likewise */
		return;
	if (c->state == TOFU_CHAN_CONNECTING)
		tofu_race_ready(r, c, leg);
	else
		tofu_dial_accept(r, c, &leg->link);
}

static void handle_ready(struct tofu_reactor *r, const struct tofu_poll_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tofu_chan *c = TOFU_LIST_OWNER(events[i].item, struct tofu_chan, poll);

		if (events[i].item->of_leg)
			leg_ready(r, TOFU_LIST_OWNER(events[i].item, struct tofu_leg, poll));
		else if (c->watched) /* it may have ended in this very turn */
			channel_ready(r, c, events[i].ready);
	}
}

static void handshake_overdue(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->state == TOFU_CHAN_ACCEPTED)
		tofu_chan_complain(r, c, "no hello within %u ms", r->engine->options.handshake_timeout_ms);
	tofu_chan_close(r, c, TOFU_TIMEOUT);
}

/* The pause is over that one of its operations asked for. */
static void retry(struct tofu_reactor *r, struct tofu_chan *c)
{
	if (c->state == TOFU_CHAN_LISTENING) {
		tofu_dial_resume(r, c);
		return;
	}
	if (c->state == TOFU_CHAN_RESOLVING || c->state == TOFU_CHAN_CONNECTING) {
		tofu_dial_retry(r, c);
		return;
	}
	if (c->send_want == TOFU_AFTER_PAUSE)
		c->send_want = 0;
	if (c->receive_want == TOFU_AFTER_PAUSE) {
		c->receive_want = TOFU_READABLE;
		c->reads_on = true;
	}
	tofu_chan_touch(r, c);
}

/* It is we who do not read: what is awaited may be here. */
static bool has_more_time(const struct tofu_chan *c)
{
	bool reads = !tofu_list_linked(&c->starving) && c->receive_want != TOFU_AFTER_PAUSE;

	return tofu_chan_rules[c->state].hears && !reads && c->state != TOFU_CHAN_LINGERING;
}

/*
 * A timer has ended. If the channel has not got round to all that lies there for it, it gets another sweep: what it waits
 * for may be behind that. Not for ever, though, for the peer may be one that only floods.
 */
static void expire(struct tofu_reactor *r, struct tofu_chan *c, enum tofu_timer kind)
{
	if (has_more_time(c)) {
		tofu_chan_start_timer(r, c, kind);
		return;
	}
	if (c->reads_on && c->reprieves < TOFU_REPRIEVES) {
		c->reprieves++;
		tofu_timer_start(r, c, kind, r->now_ns + 1);
		return;
	}
	switch (kind) {
	case TOFU_TIMER_HANDSHAKE:
		handshake_overdue(r, c);
		break;
	case TOFU_TIMER_ANSWER: /* of a connect; else it judges nobody */
		tofu_race_overdue(r, c);
		break;
	case TOFU_TIMER_QUIET:
		if (tofu_chan_lingers(c->state))
			tofu_chan_follow(r, c, tofu_session_overdue(&c->session));
		else
			tofu_chan_close(r, c, TOFU_TIMEOUT);
		break;
	case TOFU_TIMER_BYE:
		tofu_chan_follow(r, c, tofu_session_overdue(&c->session));
		break;
	case TOFU_TIMER_RETRY: /* judges nobody */
	case TOFU_TIMER_NONE:
		break;
	}
}

static void try_again(struct tofu_reactor *r)
{
	struct tofu_deadlines *due;
	enum tofu_timer kind;

	if (r->retry_at_ns != 0 && r->retry_at_ns <= r->now_ns) {
		r->retry_at_ns = 0;
		feed_starving(r);
	}
	while ((due = tofu_timers_peek(&r->timers, r->now_ns, &kind)) != NULL && kind == TOFU_TIMER_RETRY) {
		struct tofu_chan *c = TOFU_LIST_OWNER(due, struct tofu_chan, deadlines);

		tofu_timer_stop(r, c, TOFU_TIMER_RETRY);
		retry(r, c);
	}
}

static void judge(struct tofu_reactor *r, int64_t until_ns)
{
	struct tofu_deadlines *due;
	enum tofu_timer kind;

	tofu_receive_overdue(r, until_ns);
	while ((due = tofu_timers_pop(&r->timers, until_ns, &kind)) != NULL) {
		struct tofu_chan *c = TOFU_LIST_OWNER(due, struct tofu_chan, deadlines);

		if (kind == TOFU_TIMER_RETRY)
			retry(r, c);
		else if (kind == TOFU_TIMER_ANSWER && c->state != TOFU_CHAN_CONNECTING)
			tofu_send_look(r, c);
		else
			expire(r, c, kind);
	}
}

/*
 * Input comes before time-outs. Whatever has made us late - a stopped process, a slow callback, a flood - what a timer waits
 * for may lie in a socket by now. So what is overdue is judged as of a time since when all that was ready then has been
 * looked at. That is a sweep: some turns that do not sleep. A wait reports up to TOFU_READY_MAX and passes over nobody, so
 * their number is known, however much comes in meanwhile; one more, for a backend may find out in one wait what to ask
 * for in the next.
 */
static void expire_timers(struct tofu_reactor *r)
{
	enum tofu_timer kind;
	bool overdue;

	if (complaints_deadline(r) <= r->now_ns)
		tell_of_complaints(r);
	try_again(r);
	overdue = tofu_timers_peek(&r->timers, r->now_ns, &kind) != NULL || tofu_receive_deadline(r) <= r->now_ns;
	if (!overdue) {
		r->sweep_ns = 0;
	} else if (r->sweep_ns == 0) {
		r->sweep_ns = r->now_ns;
		r->looks_due = r->timers.count / TOFU_READY_MAX + 2;
	} else if (r->looks_due == 0) {
		judge(r, r->sweep_ns);
		r->sweep_ns = 0;
	}
}

void tofu_reactor_deliver(struct tofu_reactor *r)
{
	struct tofu_list *node;
	struct tofu_msg *sent = r->sent;
	size_t stocked = r->stocked;

	while ((node = tofu_list_pop(&r->touched)) != NULL) {
		struct tofu_group *g = TOFU_LIST_OWNER(node, struct tofu_group, touched);

		tofu_group_deliver(g);
		tofu_lead_grant(r, g);
	}
	r->sent = NULL;
	r->stocked = 0;
	r->stock_next = TOFU_STOCK_FIRST;
	tofu_pool_put_all(sent);
	tofu_pool_put_unused(r->engine->pool, r->stock, stocked);
}

static void bury_closed(struct tofu_reactor *r)
{
	struct tofu_list graves;
	struct tofu_list *node;

	tofu_legs_bury(r, false);
	tofu_list_steal(&graves, &r->graves);
	while ((node = tofu_list_pop(&graves)) != NULL) {
		struct tofu_chan *c = TOFU_LIST_OWNER(node, struct tofu_chan, grave);

		if (c->poll.busy) {
			tofu_list_append(&r->graves, node);
			continue;
		}
		tofu_count(&r->counters.channels[TOFU_CHAN_CLOSED], (uint64_t)-1);
		tofu_registry_free(&r->engine->registry, c);
	}
}

/* All that can be done without waiting. */
static void catch_up(struct tofu_reactor *r)
{
	take_posted(r);          /* the mailbox: messages and commands, all that is there */
	run_dirty_channels(r);   /* write at once what can be written, then declare interest */
	tofu_reactor_deliver(r); /* notices, and what came back */
	bury_closed(r);          /* the only place that frees a channel */
}

/* True: another thread may lead now. */
static bool turn(struct tofu_reactor *r, int64_t deadline_ns)
{
	struct tofu_poll_event ready[TOFU_READY_MAX];
	size_t count;
	bool lent;

	catch_up(r);
	count = wait_for_events(r, ready, deadline_ns); /* one wait, a batch of events */
	handle_ready(r, ready, count);                  /* accept, connect, read */
	expire_timers(r);                               /* what took too long */
	if (!tofu_list_empty(&r->touched))
		r->through_ns = 0; /* what is posted next may be the answer */
	lent = tofu_lead_lend(r);  /* the thread that gets it may lead next */
	tofu_reactor_deliver(r);   /* what came in: one wake-up per group and turn */
	return lent;
}

/* The engine's thread. */
static void run(void *context)
{
	struct tofu_reactor *r = context;

	take_turn(r);
	while (!atomic_load(&r->engine->stopping)) {
		if (!turn(r, TOFU_FOREVER))
			continue;
		end_turn_and_tell(r);
		tofu_lead_stand_by(r);
		take_turn(r);
		r->now_ns = tofu_plat_now_ns();
	}
	tell_of_complaints(r);
	end_turn_and_tell(r);
}

bool tofu_reactor_run(struct tofu_reactor *r, struct tofu_wish *wish, int64_t deadline_ns)
{
	bool in_time;

	take_turn(r);
	r->now_ns = tofu_plat_now_ns();
	do {
		(void)turn(r, deadline_ns);
		in_time = deadline_ns == TOFU_FOREVER || r->now_ns < deadline_ns;
	} while (!wish->granted && in_time && !atomic_load(&r->engine->stopping));
	if (!tofu_list_empty(&r->dirty))
		catch_up(r); /* what has come in may have to be answered by us */
	atomic_store(&r->lead.wish, NULL);
	wish->next_ns = tofu_reactor_next_look(r);
	end_turn_and_tell(r);
	return in_time;
}

void tofu_reactor_catch_up(struct tofu_reactor *r, int64_t now_ns)
{
	int64_t before_ns = tofu_reactor_next_look(r);

	r->now_ns = now_ns;
	catch_up(r);
	if (!tofu_mailbox_sleep(&r->engine->mailbox) || tofu_reactor_next_look(r) < before_ns)
		tofu_engine_wake(r->engine);
}

/* --- the thread's beginning and end --- */

static bool is_to_lend(const struct tofu_reactor *r)
{
	const char *said = tofu_plat_environment("TOFU_LEND");

	if (r->engine->options.io == TOFU_IO_THREAD_ONLY || (said != NULL && strcmp(said, "no") == 0))
		return false;
	return tofu_poller_can_stand_by(r->poller);
}

enum tofu_status tofu_reactor_start(struct tofu_reactor *r)
{
	enum tofu_status status;

	if (r->engine->options.io == TOFU_IO_CALLER) {
		(void)tofu_mailbox_sleep(&r->engine->mailbox); /* nobody leads */
		return TOFU_OK;
	}
	r->lends = is_to_lend(r);
	(void)tofu_lead_take(r, NULL, TOFU_FOREVER); /* for the thread */
	status = tofu_thread_start(&r->thread, run, r);
	r->started = status == TOFU_OK;
	return status;
}

/* The turn as well: the thread that gave up the lead may still be calling others. */
static void take_lead(struct tofu_reactor *r)
{
	(void)tofu_lead_take(r, NULL, TOFU_FOREVER);
	take_turn(r);
	tell_of_complaints(r);
	end_turn_and_tell(r);
}

void tofu_reactor_stop(struct tofu_reactor *r)
{
	if (r->poller == NULL)
		return;
	atomic_store(&r->engine->stopping, true);
	tofu_poller_wake(r->poller);
	if (r->started)
		tofu_thread_join(&r->thread);
	else if (r->engine->options.io == TOFU_IO_CALLER)
		take_lead(r);
	r->started = false;
}

/* What is left of a channel when there is no loop any more to end it. */
static void discard(void *context, struct tofu_chan *c)
{
	struct tofu_reactor *r = context;
	bool inert = tofu_engine_inert(r->engine);

	if (!c->connected) {
		tofu_legs_drop(r, c, inert ? TOFU_CLOSE_FORGET : TOFU_CLOSE_ORDERLY);
		tofu_msg_put(&c->welcome);
		free(c->dial);
	}
	if (!c->session.called)
		tofu_msg_put(&c->hello);
	if (c->state != TOFU_CHAN_ACCEPTED)
		tofu_msg_queue_put(&c->held);
	if (c->watched && !inert)
		tofu_poller_remove(r->poller, &c->poll);
	if (c->link.handle != TOFU_NO_SOCKET || c->link.state != NULL)
		c->transport->close(c->transport, &c->link, inert ? TOFU_CLOSE_FORGET : TOFU_CLOSE_ORDERLY);
	tofu_msg_put(&c->farewell);
	tofu_msg_put(&c->partial);
	tofu_msg_queue_put(&c->unsent);
	tofu_chan_forget_peer(r, c);
	free(c->kept);
}

void tofu_reactor_fini(struct tofu_reactor *r)
{
	tofu_registry_each(&r->engine->registry, discard, r);
	if (r->poller != NULL)
		tofu_poller_destroy(r->poller);
	tofu_legs_bury(r, true);
	tofu_pool_put_all(r->sent);
	tofu_pool_put_unused(r->engine->pool, r->stock, r->stocked); /* what is in stock keeps the pool alive */
	while (r->spare_dials != NULL) {
		struct tofu_dial *d = r->spare_dials;

		r->spare_dials = d->next;
		free(d);
	}
	free(r->block);
	free(r->staging);
	tofu_timers_fini(&r->timers);
	tofu_admission_fini(r);
	free(r->peer_texts);
	tofu_lead_fini(&r->lead);
	if (r->has_turn) {
		tofu_cond_fini(&r->turn_given_back);
		tofu_mutex_fini(&r->turn);
	}
}
