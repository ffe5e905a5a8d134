/* SPDX-License-Identifier: MIT */

/*
 * The reference backend: poll(2), on every POSIX system.
 *
 * Two dense arrays side by side, what poll() reads and whose it is. Slot 0 is the waker. An item has a slot only while
 * it wants something: poll() reports POLLHUP and POLLERR unasked, and would make a loop that is not interested spin.
 * item->at is its slot, 0 for none; item->backend is the poller while it is added.
 *
 * Fairness when more is ready than the caller has room for: the slots below turn have had their turn in this round, those
 * from turn on have not, and a wait goes on from there. What enters or leaves keeps to that, so whoever has not had its
 * turn gets it, however much comes and goes before it.
 *
 * poll(2) refuses more slots than RLIMIT_NOFILE says at that moment, and the limit may be lowered below what is open, to 0
 * even, so that not so much as the waker is left. select(2) knows no such limit: it takes sets of any size from us, and looks
 * at what is open. It costs more, and stands in for as long as poll() refuses.
 *
 * What can fail: add, when the arrays cannot grow; nothing has changed then. They have room for everything that is added, so
 * want cannot fail, and they never shrink, so nothing is allocated once warm. A poll() that fails is a status, and
 * changes nothing; one that a signal interrupts is a wait without events.
 *
 * Who frees: destroy, everything that create and add allocated.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include "platform/platform.h"
#include "reactor/poller.h"

enum { FIRST_CAPACITY = 64 };

struct poll_set {
	struct tofu_poller base; /* first: the two are cast into each other */
	struct tofu_event waker;
	struct pollfd *fds;
	struct tofu_poll_item **items;
	uint32_t capacity;   /* slots in both arrays, always more than added */
	uint32_t added;      /* items, wanting or not */
	uint32_t used;       /* slots in use, the waker's counted */
	uint32_t turn;       /* 1..used: the next slot to look at */
	unsigned long *bits; /* select()'s two sets, to be read and to be written */
	size_t words;        /* in each; 0 until it stands in */
};

static struct poll_set *set_of(struct tofu_poller *p)
{
	return (struct poll_set *)p;
}

/* Either array may have grown without the other; capacity is what both have. */
static enum tofu_status grow(struct poll_set *s, uint32_t capacity)
{
	struct pollfd *fds;
	struct tofu_poll_item **items;

	fds = realloc(s->fds, capacity * sizeof *fds);
	if (fds == NULL)
		return TOFU_ALLOCATION_FAILED;
	s->fds = fds;
	items = realloc(s->items, capacity * sizeof *items);
	if (items == NULL)
		return TOFU_ALLOCATION_FAILED;
	s->items = items;
	s->capacity = capacity;
	return TOFU_OK;
}

static void poll_destroy(struct tofu_poller *p)
{
	struct poll_set *s = set_of(p);

	tofu_event_fini(&s->waker);
	free(s->bits);
	free(s->items);
	free(s->fds);
	free(s);
}

static enum tofu_status poll_create(struct tofu_poller **out)
{
	struct poll_set *s = calloc(1, sizeof *s);
	enum tofu_status st;

	*out = NULL;
	if (s == NULL)
		return TOFU_ALLOCATION_FAILED;
	s->base.ops = &tofu_poller_poll;
	st = grow(s, FIRST_CAPACITY);
	if (st != TOFU_OK)
		goto fail;
	st = tofu_event_init(&s->waker);
	if (st != TOFU_OK)
		goto fail;
	s->fds[0] = (struct pollfd){ .fd = (int)s->waker.handle, .events = POLLIN };
	s->items[0] = NULL;
	s->used = 1;
	s->turn = 1;
	*out = &s->base;
	return TOFU_OK;
fail:
	poll_destroy(&s->base);
	return st;
}

static enum tofu_status poll_add(struct tofu_poller *p, struct tofu_poll_item *item)
{
	struct poll_set *s = set_of(p);

	if (s->added + 1 == s->capacity) {
		enum tofu_status st = grow(s, 2 * s->capacity);
		if (st != TOFU_OK)
			return st;
	}
	s->added++;
	item->backend = s;
	return TOFU_OK;
}

static void move_slot(struct poll_set *s, uint32_t from, uint32_t to)
{
	s->fds[to] = s->fds[from];
	s->items[to] = s->items[from];
	s->items[to]->at = to;
}

/* Among those that have had their turn: one that comes and goes must not push the others back. */
static void enter(struct poll_set *s, struct tofu_poll_item *item)
{
	if (s->turn < s->used)
		move_slot(s, s->turn, s->used);
	s->used++;
	item->at = s->turn++;
	s->items[item->at] = item;
	s->fds[item->at] = (struct pollfd){ .fd = (int)item->handle };
}

/* The last of its part fills the gap; if that was the first part, the last of the second fills the gap between them. */
static void leave(struct poll_set *s, struct tofu_poll_item *item)
{
	uint32_t gap = item->at;

	if (gap < s->turn) {
		s->turn--;
		if (gap != s->turn)
			move_slot(s, s->turn, gap);
		gap = s->turn;
	}
	s->used--;
	if (gap != s->used)
		move_slot(s, s->used, gap);
	item->at = 0;
}

static short events_of(unsigned interest)
{
	short events = 0;

	if (interest & (TOFU_POLL_READ | TOFU_POLL_ACCEPT))
		events |= POLLIN;
	if (interest & (TOFU_POLL_WRITE | TOFU_POLL_CONNECT))
		events |= POLLOUT;
	return events;
}

static enum tofu_status poll_want(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest)
{
	struct poll_set *s = set_of(p);

	if (interest == 0) {
		if (item->at != 0)
			leave(s, item);
		return TOFU_OK;
	}
	if (item->at == 0)
		enter(s, item);
	s->fds[item->at].events = events_of(interest);
	return TOFU_OK;
}

static void poll_remove(struct tofu_poller *p, struct tofu_poll_item *item)
{
	struct poll_set *s = set_of(p);

	if (item->backend == NULL)
		return;
	if (item->at != 0)
		leave(s, item);
	item->backend = NULL;
	s->added--;
}

/* A failure is whatever the item wants: the call that follows finds out which one it was. */
static unsigned ready_of(short revents, unsigned want)
{
	unsigned ready = 0;

	if (revents & (POLLERR | POLLHUP | POLLNVAL))
		return want;
	if (revents & POLLIN)
		ready |= TOFU_POLL_READ | TOFU_POLL_ACCEPT;
	if (revents & POLLOUT)
		ready |= TOFU_POLL_WRITE | TOFU_POLL_CONNECT;
	return ready & want;
}

/* Go once around, from turn on, until all that are ready are found or the room is used up. */
static size_t collect(struct poll_set *s, struct tofu_poll_event *events, size_t capacity, int left)
{
	size_t count = 0;

	for (uint32_t seen = 1; seen < s->used && left > 0 && count < capacity; seen++) {
		if (s->turn == s->used)
			s->turn = 1;
		uint32_t at = s->turn++;
		if (s->fds[at].revents == 0)
			continue;
		left--;
		events[count].item = s->items[at];
		events[count].ready = ready_of(s->fds[at].revents, s->items[at]->want);
		count += events[count].ready != 0;
	}
	return count;
}

/* Up, so that a deadline has passed when the wait for it is over. What is longer than an int (24 days) ends early. */
static int milliseconds_of(int64_t timeout_ns)
{
	if (timeout_ns < 0)
		return -1;
	if (timeout_ns >= INT_MAX * TOFU_NS_PER_MS)
		return INT_MAX;
	return (int)((timeout_ns + TOFU_NS_PER_MS - 1) / TOFU_NS_PER_MS);
}

enum { WORD_BITS = CHAR_BIT * sizeof(unsigned long) };

static int highest_of(const struct poll_set *s)
{
	int highest = 0;

	for (uint32_t at = 0; at < s->used; at++)
		if (s->fds[at].fd > highest)
			highest = s->fds[at].fd;
	return highest;
}

/* Both sets, empty. False: no memory. */
static bool clear_bits(struct poll_set *s, size_t words)
{
	if (words > s->words) {
		unsigned long *bits = realloc(s->bits, 2 * words * sizeof *bits);

		if (bits == NULL)
			return false;
		s->bits = bits;
		s->words = words;
	}
	memset(s->bits, 0, 2 * s->words * sizeof *s->bits);
	return true;
}

static unsigned long *word_of(struct poll_set *s, int fd, bool to_write)
{
	return &s->bits[(to_write ? s->words : 0) + (size_t)fd / WORD_BITS];
}

static unsigned long bit_of(int fd)
{
	return 1ul << (size_t)fd % WORD_BITS;
}

/* As poll() would, on all slots. Without FD_SET(), which ends at FD_SETSIZE; the sets are long enough for their highest. */
static int poll_by_select(struct poll_set *s, int timeout_ms)
{
	struct timeval timeout = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L };
	int highest = highest_of(s);
	int ready = 0;

	if (!clear_bits(s, (size_t)highest / WORD_BITS + 1)) {
		errno = ENOMEM;
		return -1;
	}
	for (uint32_t at = 0; at < s->used; at++) {
		const struct pollfd *p = &s->fds[at];

		if (p->events & POLLIN)
			*word_of(s, p->fd, false) |= bit_of(p->fd);
		if (p->events & POLLOUT)
			*word_of(s, p->fd, true) |= bit_of(p->fd);
	}
	if (select(highest + 1, (fd_set *)(void *)s->bits, (fd_set *)(void *)(s->bits + s->words), NULL,
	           timeout_ms < 0 ? NULL : &timeout) < 0)
		return -1;
	for (uint32_t at = 0; at < s->used; at++) {
		struct pollfd *p = &s->fds[at];
		bool in = (*word_of(s, p->fd, false) & bit_of(p->fd)) != 0;
		bool out = (*word_of(s, p->fd, true) & bit_of(p->fd)) != 0;

		p->revents = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
		ready += p->revents != 0;
	}
	return ready;
}

static int poll_all(struct poll_set *s, int timeout_ms)
{
	int ready = poll(s->fds, s->used, timeout_ms);

	return ready < 0 && errno == EINVAL ? poll_by_select(s, timeout_ms) : ready;
}

static enum tofu_status poll_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                  int64_t timeout_ns, size_t *count)
{
	struct poll_set *s = set_of(p);
	int ready = poll_all(s, milliseconds_of(timeout_ns));

	*count = 0;
	if (ready < 0)
		return errno == EINTR ? TOFU_OK : tofu_plat_status(errno, TOFU_COMMUNICATION_FAILED);
	if (ready > 0 && s->fds[0].revents != 0) {
		/* Before the caller looks at what it was woken for: what is raised from now on is for the next wait. */
		tofu_event_clear(&s->waker);
		ready--;
	}
	*count = collect(s, events, capacity, ready);
	return TOFU_OK;
}

static void poll_wake(struct tofu_poller *p)
{
	tofu_event_raise(&set_of(p)->waker);
}

const struct tofu_poller_ops tofu_poller_poll = {
	.name = "poll",
	.create = poll_create,
	.destroy = poll_destroy,
	.add = poll_add,
	.want = poll_want,
	.remove = poll_remove,
	.wait = poll_wait,
	.wake = poll_wake,
};
