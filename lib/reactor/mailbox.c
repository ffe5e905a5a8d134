/* SPDX-License-Identifier: MIT */

/*
 * Two stacks that are pushed to one by one and taken whole, so there is no ABA: nobody pops. All accesses are sequentially
 * consistent, since the sleeping flag and the stacks must not pass each other: the reactor writes sleeping, then reads the
 * stacks; a poster writes a stack, then reads sleeping; one of the two sees the other.
 */

#include "reactor/mailbox.h"

bool tofu_mailbox_nudge(struct tofu_mailbox *box)
{
	return atomic_load(&box->sleeping) && atomic_exchange(&box->sleeping, false);
}

/*
 * The stack is a chain: each message has to come from another core's cache before the next one is known. The trail tells
 * beforehand where they lie. It is a hint: threads that post at once may note one in another's place.
 */
static void note(struct tofu_mailbox *box, struct tofu_msg *m)
{
	size_t end = atomic_load_explicit(&box->trail_end, memory_order_relaxed);

	atomic_store_explicit(&box->trail[end % TOFU_TRAIL], m, memory_order_relaxed);
	atomic_store_explicit(&box->trail_end, end + 1, memory_order_relaxed);
}

static bool push(struct tofu_mailbox *box, struct tofu_msg *newest, struct tofu_msg *oldest)
{
	struct tofu_msg *top = atomic_load_explicit(&box->messages, memory_order_relaxed);

	do {
		oldest->next = top;
	} while (!atomic_compare_exchange_weak(&box->messages, &top, newest));
	return tofu_mailbox_nudge(box);
}

bool tofu_mailbox_post(struct tofu_mailbox *box, struct tofu_msg *m)
{
	note(box, m);
	return push(box, m, m);
}

/* The trail has the oldest first: as the chain is from the newest on, it is written from its end. */
static void note_chain(struct tofu_mailbox *box, struct tofu_msg *newest, const struct tofu_msg *oldest)
{
	size_t n = 1;
	size_t end = atomic_load_explicit(&box->trail_end, memory_order_relaxed);

	for (const struct tofu_msg *m = newest; m != oldest; m = m->next)
		n++;
	end += n;
	atomic_store_explicit(&box->trail_end, end, memory_order_relaxed);
	for (struct tofu_msg *m = newest; n > 0; n--, m = m->next)
		atomic_store_explicit(&box->trail[--end % TOFU_TRAIL], m, memory_order_relaxed);
}

bool tofu_mailbox_post_chain(struct tofu_mailbox *box, struct tofu_msg *newest, struct tofu_msg *oldest)
{
	note_chain(box, newest, oldest);
	return push(box, newest, oldest);
}

bool tofu_mailbox_command(struct tofu_mailbox *box, struct tofu_command *command)
{
	struct tofu_command *top = atomic_load_explicit(&box->commands, memory_order_relaxed);

	do {
		command->next = top;
	} while (!atomic_compare_exchange_weak(&box->commands, &top, command));
	return tofu_mailbox_nudge(box);
}

bool tofu_mailbox_refilled(struct tofu_mailbox *box)
{
	atomic_store(&box->refilled, true);
	return tofu_mailbox_nudge(box);
}

bool tofu_mailbox_interrupt(struct tofu_mailbox *box)
{
	atomic_store(&box->interrupts, true);
	return tofu_mailbox_nudge(box);
}

struct tofu_msg *tofu_mailbox_take_messages(struct tofu_mailbox *box)
{
	struct tofu_msg *newest = NULL;
	struct tofu_msg *oldest = NULL;
	size_t at = atomic_load_explicit(&box->trail_end, memory_order_relaxed) - TOFU_AHEAD;

	box->trail_taken = at + TOFU_AHEAD;
	if (atomic_load_explicit(&box->messages, memory_order_relaxed) != NULL)
		newest = atomic_exchange(&box->messages, NULL);
	while (newest != NULL) {
		struct tofu_msg *next = newest->next;

		tofu_msg_expect(atomic_load_explicit(&box->trail[--at % TOFU_TRAIL], memory_order_relaxed));
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

size_t tofu_mailbox_count(const struct tofu_mailbox *box)
{
	return atomic_load_explicit(&box->trail_end, memory_order_relaxed) - box->trail_taken;
}

struct tofu_command *tofu_mailbox_take_commands(struct tofu_mailbox *box)
{
	struct tofu_command *newest = NULL;
	struct tofu_command *oldest = NULL;

	if (atomic_load_explicit(&box->commands, memory_order_relaxed) != NULL)
		newest = atomic_exchange(&box->commands, NULL);
	while (newest != NULL) {
		struct tofu_command *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

bool tofu_mailbox_take_refilled(struct tofu_mailbox *box)
{
	return atomic_load(&box->refilled) && atomic_exchange(&box->refilled, false);
}

bool tofu_mailbox_take_interrupts(struct tofu_mailbox *box)
{
	return atomic_load(&box->interrupts) && atomic_exchange(&box->interrupts, false);
}

bool tofu_mailbox_sleep(struct tofu_mailbox *box)
{
	atomic_store(&box->sleeping, true);
	if (tofu_mailbox_is_empty(box))
		return true;
	atomic_store(&box->sleeping, false);
	return false;
}

void tofu_mailbox_awake(struct tofu_mailbox *box)
{
	atomic_store(&box->sleeping, false);
}
