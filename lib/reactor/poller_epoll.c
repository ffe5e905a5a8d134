/* SPDX-License-Identifier: MIT */

/*
 * The epoll(7) backend, on Linux: what a wait costs does not grow with what is watched.
 *
 * An item is in the kernel's set from add to remove, under its address. epoll reports EPOLLHUP and EPOLLERR unasked, and
 * would make a loop that is not interested spin; so an item that wants nothing is there with EPOLLONESHOT and no more: if
 * it is dead it fires once, the kernel then disables it by itself, and wait, which sees that nobody asked, sleeps on.
 * (Taking it out and putting it in again would cost twice as much, and putting it in may fail: a channel that resumes reading
 * would end for want of kernel memory.)
 *
 * Fairness when more is ready than the caller has room for is the kernel's: what it has reported goes to the end of its
 * list. The waker stands in that list like everything else, as NULL.
 *
 * What can fail: add, when the kernel has no memory or the user's bound on watches is reached; nothing has changed then.
 * want fails only for a handle that is not in the set. An epoll_wait() that fails is a status, and changes nothing; one that
 * a signal interrupts is a wait without events.
 *
 * After fork() the child has the same set as the parent, not a copy. Whoever destroys without having removed closes
 * descriptors and frees memory; the parent does not notice.
 *
 * Who frees: destroy, everything that create made.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "platform/platform.h"
#include "reactor/poller.h"

enum { BATCH = 256 };

struct epoll_set {
	struct tofu_poller base; /* first: the two are cast into each other */
	struct tofu_event waker;
	int fd;
	int guard;   /* a set with fd in it, for the thread that stands by; -1: none is to */
	bool coarse; /* this kernel waits for whole milliseconds only */
	struct epoll_event fetched[BATCH];
};

static struct epoll_set *set_of(struct tofu_poller *p)
{
	return (struct epoll_set *)p;
}

/* Of what it may say, only these mean for us what they mean elsewhere: it is about no path and nobody's rights. */
static enum tofu_status refused(int error)
{
	return tofu_plat_status(error == ENOMEM || error == ENOSPC ? error : 0, TOFU_COMMUNICATION_FAILED);
}

static enum tofu_status control(int set, int operation, intptr_t handle, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (epoll_ctl(set, operation, (int)handle, &event) != 0)
		return refused(errno);
	return TOFU_OK;
}

static void epoll_destroy(struct tofu_poller *p)
{
	struct epoll_set *s = set_of(p);

	if (s->guard > 0)
		(void)close(s->guard);
	if (s->fd > 0)
		(void)close(s->fd);
	tofu_event_fini(&s->waker);
	free(s);
}

static enum tofu_status epoll_open(struct epoll_set *s)
{
	int fd = tofu_plat_fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));

	if (fd < 0)
		return tofu_plat_status(errno, TOFU_LIMIT_REACHED);
	s->fd = fd;
	return TOFU_OK;
}

static enum tofu_status epoll_make(struct tofu_poller **out)
{
	struct epoll_set *s = calloc(1, sizeof *s);
	enum tofu_status st;

	*out = NULL;
	if (s == NULL)
		return TOFU_ALLOCATION_FAILED;
	s->base.ops = &tofu_poller_epoll;
	st = epoll_open(s);
	if (st == TOFU_OK)
		st = tofu_event_init(&s->waker);
	if (st == TOFU_OK)
		st = control(s->fd, EPOLL_CTL_ADD, s->waker.handle, EPOLLIN, NULL);
	if (st != TOFU_OK) {
		epoll_destroy(&s->base);
		return st;
	}
	*out = &s->base;
	return TOFU_OK;
}

static uint32_t events_of(unsigned interest)
{
	uint32_t events = 0;

	if (interest & (TOFU_POLL_READ | TOFU_POLL_ACCEPT))
		events |= EPOLLIN;
	if (interest & (TOFU_POLL_WRITE | TOFU_POLL_CONNECT))
		events |= EPOLLOUT;
	return events != 0 ? events : EPOLLONESHOT;
}

static enum tofu_status epoll_add(struct tofu_poller *p, struct tofu_poll_item *item)
{
	enum tofu_status st = control(set_of(p)->fd, EPOLL_CTL_ADD, item->handle, events_of(0), item);

	if (st == TOFU_OK)
		item->backend = p;
	return st;
}

static enum tofu_status epoll_want(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest)
{
	return control(set_of(p)->fd, EPOLL_CTL_MOD, item->handle, events_of(interest), item);
}

static void epoll_remove(struct tofu_poller *p, struct tofu_poll_item *item)
{
	if (item->backend == NULL)
		return;
	/* It is there; were it not, that would be as well. */
	(void)control(set_of(p)->fd, EPOLL_CTL_DEL, item->handle, 0, NULL);
	item->backend = NULL;
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

/* epoll_wait(), to the nanosecond where the system can. One from before Linux 5.11 says ENOSYS, an old container EPERM. */
static int fetch(struct epoll_set *s, int set, struct epoll_event *out, int room, int64_t timeout_ns)
{
#ifdef HAVE_EPOLL_PWAIT2
	if (timeout_ns > 0 && timeout_ns < INT_MAX * TOFU_NS_PER_MS && !s->coarse) {
		struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / TOFU_NS_PER_S),
			                    .tv_nsec = (long)(timeout_ns % TOFU_NS_PER_S) };
		int n = epoll_pwait2(set, out, room, &timeout, NULL);

		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n;
		s->coarse = true;
	}
#endif
	return epoll_wait(set, out, room, milliseconds_of(timeout_ns));
}

/* A failure is whatever the item wants: the call that follows finds out which one it was. */
static unsigned ready_of(uint32_t events, unsigned want)
{
	unsigned ready = 0;

	if (events & (EPOLLERR | EPOLLHUP))
		return want;
	if (events & EPOLLIN)
		ready |= TOFU_POLL_READ | TOFU_POLL_ACCEPT;
	if (events & EPOLLOUT)
		ready |= TOFU_POLL_WRITE | TOFU_POLL_CONNECT;
	return ready & want;
}

/* True if the waker was among them. */
static bool report(struct epoll_set *s, int fetched, struct tofu_poll_event *events, size_t *count)
{
	bool woken = false;

	for (int i = 0; i < fetched; i++) {
		struct tofu_poll_item *item = s->fetched[i].data.ptr;

		if (item == NULL) {
			/* Before the caller looks at what it was woken for: what is raised from now on is for the next wait. */
			tofu_event_clear(&s->waker);
			woken = true;
			continue;
		}
		events[*count].item = item;
		events[*count].ready = ready_of(s->fetched[i].events, item->want);
		*count += events[*count].ready != 0;
	}
	return woken;
}

static int64_t left_until(int64_t deadline_ns)
{
	int64_t left;

	if (deadline_ns == TOFU_FOREVER)
		return TOFU_FOREVER;
	left = deadline_ns - tofu_plat_now_ns();
	return left > 0 ? left : 0;
}

/* Again, if all that came were dead items that want nothing: they are disabled now, and come no more. */
static enum tofu_status epoll_sleep(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                    int64_t timeout_ns, size_t *count)
{
	struct epoll_set *s = set_of(p);
	int room = capacity < BATCH ? (int)capacity : BATCH;
	int64_t deadline_ns = timeout_ns > 0 ? tofu_plat_deadline(timeout_ns) : timeout_ns;

	*count = 0;
	for (;;) {
		int fetched = fetch(s, s->fd, s->fetched, room, timeout_ns);

		if (fetched < 0)
			return errno == EINTR ? TOFU_OK : tofu_plat_status(errno, TOFU_COMMUNICATION_FAILED);
		if (report(s, fetched, events, count) || *count > 0 || fetched == 0)
			return TOFU_OK;
		timeout_ns = timeout_ns == 0 ? 0 : left_until(deadline_ns);
	}
}

static void epoll_wake(struct tofu_poller *p)
{
	tofu_event_raise(&set_of(p)->waker);
}

/*
 * A set is readable like any other descriptor while something in it is ready. The guard holds it under EPOLLONESHOT: the thread
 * that stands by is woken once each time that this is asked for.
 */
static bool epoll_can_stand_by(struct tofu_poller *p)
{
	struct epoll_set *s = set_of(p);

	s->guard = tofu_plat_fd_above_stdio(epoll_create1(EPOLL_CLOEXEC));
	return s->guard >= 0 && control(s->guard, EPOLL_CTL_ADD, s->fd, EPOLLONESHOT, NULL) == TOFU_OK;
}

/* It is there: that cannot fail. */
static void epoll_watch(struct tofu_poller *p, bool on)
{
	(void)control(set_of(p)->guard, EPOLL_CTL_MOD, set_of(p)->fd, (on ? EPOLLIN : 0u) | EPOLLONESHOT, NULL);
}

static void epoll_stand_by(struct tofu_poller *p, int64_t timeout_ns)
{
	struct epoll_event event;

	(void)fetch(set_of(p), set_of(p)->guard, &event, 1, timeout_ns); /* whatever it says, the caller looks */
}

static intptr_t epoll_pollable(struct tofu_poller *p)
{
	return set_of(p)->fd;
}

const struct tofu_poller_ops tofu_poller_epoll = {
	.name = "epoll",
	.create = epoll_make,
	.destroy = epoll_destroy,
	.add = epoll_add,
	.want = epoll_want,
	.remove = epoll_remove,
	.wait = epoll_sleep,
	.wake = epoll_wake,
	.pollable = epoll_pollable,
	.can_stand_by = epoll_can_stand_by,
	.watch = epoll_watch,
	.stand_by = epoll_stand_by,
};
