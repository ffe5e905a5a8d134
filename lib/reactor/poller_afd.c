/* SPDX-License-Identifier: MIT */

/*
 * The Windows backend: polls sent to \Device\Afd, whose ends come as packets out of a completion port. What a wait
 * costs does not grow with what is watched. The calls themselves are in platform/afd_win32.c; what is done with them,
 * is here.
 *
 * A poll is one question to the kernel: "tell me when any of this holds of this socket". It is answered once, at once
 * if something holds already. So it is level-triggered, but one-shot, and the next wait asks anew as long as there is
 * an interest. An interest is only noted when it is declared (want); all questions are put together, just before the
 * wait.
 *
 *
 * THE STATES OF A SLOT. Every item that is watched has one; it holds the poll.
 *
 *                 who owns     on want             on the next wait        on remove           on the packet
 *                 the poll
 *     FREE        nobody       -                   -                       -                   -
 *     IDLE        we           wants: to do        submit  -> ARMED        -> FREE             -
 *     ARMED       the kernel   not covered: to do  cancel  -> CANCELLING   cancel -> LEAVING   report -> IDLE
 *     CANCELLING  the kernel   -                   -                       -> LEAVING          report -> IDLE
 *     LEAVING     the kernel   -                   -                       -                   item not busy -> FREE
 *
 * "Covered": the pending poll asks for all that is wanted, and perhaps more. It may go on then, and what nobody wants
 * any more is not reported when it fires: that is one packet for nothing, where a cancel would always be one, and two
 * calls. A poll that asks for less is cancelled, once, and its packet puts the slot back to IDLE, from where it is
 * asked again. Nothing is ever submitted on a poll that has not come back, and there is never a second one for a
 * socket: Windows mixes them up then (found by trio, its notes-to-self/afd-lab.py; mio says the same).
 *
 * Whatever happened in between, a packet is worth what the slot's state and the item's interest are when it is taken.
 * It is recognized by the poll's address. A slot is free only after its packet, so that an address cannot mean another
 * item; a socket's number can, for Windows gives it to the next socket at once (OpenJDK has lost connects by that,
 * JDK-8282726).
 *
 *
 * THE CALLS, all in platform/afd_win32.c
 *
 *     NtCreateFile(\Device\Afd\tofu, SYNCHRONIZE, share read and write, FILE_OPEN)
 *         A helper: a handle to issue polls through, bound to the port. Sockets themselves stay as they are; a file
 *         object can be bound to one port only, ever, and the application's may have been. Every slab of slots has a
 *         helper, which bounds the polls under way on each: cancelling gets slow with thousands of them (trio #52,
 *         wepoll #40).
 *     WSAIoctl(socket, SIO_BASE_HANDLE), if that fails SIO_BSP_HANDLE_POLL, _SELECT, SIO_BSP_HANDLE, and from what
 *     these give again
 *         Once per add. \Device\Afd does not know the handles of layered providers. Some of those, against Microsoft's
 *         documentation, intercept the first call, but not the others (wepoll, mio and trio know which).
 *     NtDeviceIoControlFile(helper, no event, no APC, context, status block, 0x12024, poll, size, poll, size)
 *         Timeout INT64_MAX: for ever. (0 is "just look", -1 is 100 ns.) One handle; Exclusive 0. Input and output are
 *         the same memory. PENDING, and SUCCESS as well: one packet. An error: none. With no event and a context, a
 *         poll survives the thread that issued it, so the engine may be destroyed on another.
 *     CancelIoEx(helper, status block)
 *         Of one poll exactly, from any thread. ERROR_NOT_FOUND: nothing was pending there; the packet is on its way,
 *         or was never due. Both are as well. (NtCancelIoFile, without Ex, ends what the calling thread has issued,
 *         says SUCCESS even of nothing, and is not used.) A poll that was cancelled has one packet like any other, and
 *         may even have fired.
 *     GetQueuedCompletionStatusEx(port, entries, room, milliseconds)
 *         A batch, oldest first. That order is also what is fair: who has been reported asks again, at the end.
 *     PostQueuedCompletionStatus(port, NULL): a wake. (port, poll): the end of a poll that could not be submitted.
 *
 *
 * THE MEMORY. Slots are in slabs, which never move and are freed by destroy only. add may allocate one, and opens its
 * helper; so wait needs no memory and no handles, and a warm loop allocates nothing. A poll (status block, question,
 * answer) is the kernel's from submit to packet: it writes there when it likes. The packet, and nothing else, ends
 * that: not a cancel, not the socket's end. Therefore an item that is removed with a poll under way is busy until a
 * wait has taken the packet, and there are never more slots than items. Its socket may be closed at once. destroy waits
 * for all packets; if some do not come in DRAIN_NS, it leaves the memory and the handles to the kernel: a leak is
 * better than a wild write.
 *
 * A helper is closed only when nothing is under way on it: its polls would go on, on Windows.
 *
 *
 * THE ANSWERS. Status first, then the count; only then the entry, which an end without an answer leaves as we wrote it,
 * to be taken for readiness.
 *
 *     fired         ABORT, CONNECT_FAIL, LOCAL_CLOSE: whatever the item wants; the call that follows finds out which it was
 *                   RECEIVE, DISCONNECT: to read; SEND: to write, or connected; ACCEPT: to accept,
 *                   and so is RECEIVE of a socket that stands for a listener
 *     nothing       asked again
 *     cancelled     asked again, if anything is wanted
 *     failed        whatever the item wants
 *
 * RECEIVE does not come by FIN or RST alone: that is DISCONNECT and ABORT. CONNECT (0x40) is not asked for: it holds of
 * every connected socket. A failed connect is part of every question but ACCEPT, for a transport may connect by
 * reading.
 *
 *
 * WAKES. A flag is the wake; the packet only ends the sleep. The first to raise the flag posts, the wait that takes it
 * back does so after taking packets, so nothing is lost, and a burst costs one packet. One without a flag means
 * nothing. Posting takes memory of the kernel. If it has none, all polls are cancelled, which takes none, and ends the
 * sleep as well: they are simply asked again. If none is under way either, posting is tried again for RING_NS, and by
 * whoever wakes next.
 *
 *
 * WHAT CAN FAIL. create and add: no memory, no handles, no \Device\Afd, no base handle. Nothing has changed then. wait:
 * the port; or the kernel has no room for another poll, and nothing else has happened. Those polls stay to do. A socket
 * that the kernel does not want to poll is one that failed.
 *
 *
 * SOURCES. Microsoft: CancelIoEx, GetQueuedCompletionStatusEx, PostQueuedCompletionStatus,
 * SetFileCompletionNotificationModes, Winsock IOCTLs. IOCTL_AFD_POLL itself is not documented; layout, flags,
 * time-outs, what is reported when, and that SUCCESS posts a packet: Wine's conformance tests
 * (dlls/ws2_32/tests/afd.c), which WineHQ also runs on Windows. Helpers, masks, the fallback for base handles, one poll
 * per socket, re-arming by the packet: wepoll, mio (src/sys/windows), libuv (src/win/poll.c), c-ares
 * (ares_event_win32.c), trio (_io_windows.py). tests/test_poller_afd.c looks at what can be looked at.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "platform/afd.h"
#include "platform/platform.h"
#include "reactor/list.h"
#include "reactor/poller.h"

#ifdef TOFU_DEBUG
#include <assert.h>
#endif

enum {
	SLOTS = 128, /* of a slab, and so polls per helper */
	BATCH = 256,
};

static const int64_t DRAIN_NS = 10 * TOFU_NS_PER_S;
static const int64_t RING_NS = TOFU_NS_PER_S;

enum slot_state { FREE, IDLE, ARMED, CANCELLING, LEAVING };

struct slot {
	struct tofu_afd_poll poll; /* first: the two are cast into each other */
	struct tofu_list node;     /* of set.free, or of set.to_do */
	struct tofu_poll_item *item;
	struct slab *slab;
	intptr_t base;
	enum slot_state state;
	uint32_t asked; /* the events that the poll covers */
};

struct slab {
	struct slab *next;
	intptr_t helper;
	struct slot slots[SLOTS];
};

enum bell { QUIET, RUNG, OWED }; /* OWED: rung, but nobody could be told */

struct afd_set {
	struct tofu_poller base; /* first: the two are cast into each other */
	intptr_t port;
	_Atomic(struct slab *) slabs; /* grows at its head; a waker may walk it */
	struct tofu_list free;
	struct tofu_list
		to_do; /* slots of which the next wait has something to ask or to cancel, in the order of their turn */
	uint32_t under_way; /* packets to come, but for wakes */
	_Atomic(enum bell) bell;
	struct tofu_afd_poll *taken[BATCH];
};

static struct afd_set *set_of(struct tofu_poller *p)
{
	return (struct afd_set *)p;
}

static struct slot *slot_of(struct tofu_afd_poll *poll)
{
	return (struct slot *)(void *)poll;
}

/* --- slabs --- */

static enum tofu_status grow(struct afd_set *s)
{
	struct slab *slab = calloc(1, sizeof *slab);
	enum tofu_status st;

	if (slab == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = tofu_afd_open_helper(s->port, &slab->helper);
	if (st != TOFU_OK) {
		free(slab);
		return st;
	}
	for (size_t i = 0; i < SLOTS; i++) {
		slab->slots[i].slab = slab;
		tofu_list_append(&s->free, &slab->slots[i].node);
	}
	slab->next = atomic_load(&s->slabs);
	atomic_store(&s->slabs, slab);
	return TOFU_OK;
}

/* Whether there was anything is not known: of "all", not every system says. */
static void cancel_all(struct afd_set *s)
{
	for (struct slab *slab = atomic_load(&s->slabs); slab != NULL; slab = slab->next)
		(void)tofu_afd_cancel(slab->helper, NULL);
}

static void free_slabs(struct afd_set *s)
{
	struct slab *slab = atomic_load(&s->slabs);

	while (slab != NULL) {
		struct slab *next = slab->next;

		tofu_afd_close(slab->helper);
		free(slab);
		slab = next;
	}
}

/* --- create, destroy --- */

static void release(struct afd_set *s, struct slot *slot)
{
	tofu_list_remove(&slot->node);
	slot->state = FREE;
	slot->item = NULL;
	tofu_list_append(&s->free, &slot->node);
}

/* The item is its owner's again, if it is not watched by another slot by now. */
static void leave(struct afd_set *s, struct slot *slot)
{
	if (slot->item->backend == slot) {
		slot->item->backend = NULL;
		slot->item->busy = false;
	}
	release(s, slot);
}

/* False: no use in waiting any longer. */
static bool drain_some(struct afd_set *s, int64_t deadline_ns)
{
	size_t count;

	if (tofu_plat_now_ns() >= deadline_ns)
		return false;
	if (tofu_afd_take(s->port, s->taken, BATCH, 100, &count) != TOFU_OK)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (s->taken[i] == NULL)
			continue;
		s->under_way--;
		if (slot_of(s->taken[i])->state == LEAVING)
			leave(s, slot_of(s->taken[i]));
	}
	return true;
}

static void afd_destroy(struct tofu_poller *p)
{
	struct afd_set *s = set_of(p);
	int64_t deadline_ns = tofu_plat_deadline(DRAIN_NS);

	if (s->under_way > 0)
		cancel_all(s);
	while (s->under_way > 0 && drain_some(s, deadline_ns))
		;
	if (s->under_way > 0)
		return; /* it is the kernel's for ever */
	free_slabs(s);
	tofu_afd_close(s->port);
	free(s);
}

/* The first slab at once: what is wrong with \Device\Afd is wrong with the engine, not with one of its connections. */
static enum tofu_status afd_create(struct tofu_poller **out)
{
	struct afd_set *s = calloc(1, sizeof *s);
	enum tofu_status st;

	*out = NULL;
	if (s == NULL)
		return TOFU_ALLOCATION_FAILED;
	s->base.ops = &tofu_poller_afd;
	tofu_list_init(&s->free);
	tofu_list_init(&s->to_do);
	atomic_init(&s->slabs, NULL);
	atomic_init(&s->bell, QUIET);
	st = tofu_afd_open_port(&s->port);
	if (st == TOFU_OK)
		st = grow(s);
	if (st != TOFU_OK) {
		afd_destroy(&s->base);
		return st;
	}
	*out = &s->base;
	return TOFU_OK;
}

/* --- interest --- */

/* One item per socket: two would be two polls. */
static void check_alone(struct afd_set *s, intptr_t base)
{
#ifdef TOFU_DEBUG
	for (struct slab *slab = atomic_load(&s->slabs); slab != NULL; slab = slab->next)
		for (size_t i = 0; i < SLOTS; i++)
			assert(slab->slots[i].base != base || slab->slots[i].state == FREE ||
			       slab->slots[i].state == LEAVING);
#else
	(void)s;
	(void)base;
#endif
}

static const char layered[] =
	"this socket cannot be watched: another product has put a layer over Windows sockets that hides "
	"what is below (netsh winsock show catalog lists them)";

static enum tofu_status afd_add(struct tofu_poller *p, struct tofu_poll_item *item)
{
	struct afd_set *s = set_of(p);
	struct slot *slot;
	intptr_t base;
	enum tofu_status st = tofu_afd_base(item->handle, &base);

	p->advice = st == TOFU_NOT_SUPPORTED ? layered : NULL;
	if (st == TOFU_OK && tofu_list_empty(&s->free))
		st = grow(s);
	if (st != TOFU_OK)
		return st;
	check_alone(s, base);
	slot = TOFU_LIST_OWNER(tofu_list_pop(&s->free), struct slot, node);
	slot->item = item;
	slot->base = base;
	slot->state = IDLE;
	item->backend = slot;
	return TOFU_OK;
}

static uint32_t events_of(unsigned interest)
{
	uint32_t events = 0;

	if (interest & TOFU_POLL_READ)
		events |= TOFU_AFD_RECEIVE | TOFU_AFD_DISCONNECT | TOFU_AFD_CONNECT_FAIL;
	if (interest & (TOFU_POLL_WRITE | TOFU_POLL_CONNECT))
		events |= TOFU_AFD_SEND | TOFU_AFD_CONNECT_FAIL;
	if (interest & TOFU_POLL_ACCEPT)
		events |= TOFU_AFD_ACCEPT | TOFU_AFD_RECEIVE;
	return events | TOFU_AFD_ABORT | TOFU_AFD_LOCAL_CLOSE;
}

static bool covers(const struct slot *slot, unsigned interest)
{
	return (events_of(interest) & ~slot->asked) == 0;
}

/* Is there something to be done before the next wait? */
static bool due(const struct slot *slot, unsigned interest)
{
	switch (slot->state) {
	case IDLE:
		return interest != 0;
	case ARMED:
		return !covers(slot, interest);
	case FREE:
	case CANCELLING:
	case LEAVING:
		break;
	}
	return false;
}

/* Those that are in the list keep their turn; what is no longer due is found out when it has come. */
static void note(struct afd_set *s, struct slot *slot, unsigned interest)
{
	if (due(slot, interest) && !tofu_list_linked(&slot->node))
		tofu_list_append(&s->to_do, &slot->node);
}

static enum tofu_status afd_want(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest)
{
	note(set_of(p), item->backend, interest);
	return TOFU_OK;
}

static void afd_remove(struct tofu_poller *p, struct tofu_poll_item *item)
{
	struct afd_set *s = set_of(p);
	struct slot *slot = item->backend;

	if (slot == NULL || item->busy)
		return;
	tofu_list_remove(&slot->node);
	if (slot->state == IDLE) {
		item->backend = NULL;
		release(s, slot);
		return;
	}
	if (slot->state == ARMED) /* not found is as well: then its packet is there */
		(void)tofu_afd_cancel(slot->slab->helper, &slot->poll);
	slot->state = LEAVING;
	item->busy = true;
}

/* --- before the wait --- */

/* A socket that cannot be polled has failed: it is reported, in its turn, by a packet of our own. */
static enum tofu_status submit(struct afd_set *s, struct slot *slot)
{
	enum tofu_status st;

	slot->asked = events_of(slot->item->want);
	st = tofu_afd_submit(slot->slab->helper, &slot->poll, slot->base, slot->asked, INT64_MAX);
	if (st != TOFU_OK && st != TOFU_ALLOCATION_FAILED && st != TOFU_LIMIT_REACHED) {
		tofu_afd_set_failed(&slot->poll);
		st = tofu_afd_post(s->port, &slot->poll);
	}
	if (st != TOFU_OK)
		return st;
	slot->state = ARMED;
	s->under_way++;
	return TOFU_OK;
}

static enum tofu_status bring_up_to_date(struct afd_set *s, struct slot *slot)
{
	if (!due(slot, slot->item->want))
		return TOFU_OK;
	if (slot->state == IDLE)
		return submit(s, slot);
	(void)tofu_afd_cancel(slot->slab->helper, &slot->poll);
	slot->state = CANCELLING;
	return TOFU_OK;
}

/* Ask and cancel what is to be asked and cancelled. What cannot be asked now stays to do, and is the status. */
static enum tofu_status ask(struct afd_set *s)
{
	struct tofu_list turn;
	struct tofu_list *node;
	enum tofu_status failure = TOFU_OK;

	tofu_list_steal(&turn, &s->to_do);
	while ((node = tofu_list_pop(&turn)) != NULL) {
		enum tofu_status st = bring_up_to_date(s, TOFU_LIST_OWNER(node, struct slot, node));

		if (st == TOFU_OK)
			continue;
		tofu_list_append(&s->to_do, node);
		failure = st;
	}
	return failure;
}

/* --- after it --- */

static unsigned fired(uint32_t events, unsigned want)
{
	unsigned ready = 0;

	if (events & (TOFU_AFD_ABORT | TOFU_AFD_CONNECT_FAIL | TOFU_AFD_LOCAL_CLOSE))
		return want;
	if (events & (TOFU_AFD_RECEIVE | TOFU_AFD_DISCONNECT))
		ready |= TOFU_POLL_READ;
	if (events & TOFU_AFD_SEND)
		ready |= TOFU_POLL_WRITE | TOFU_POLL_CONNECT;
	if (events & (TOFU_AFD_ACCEPT | TOFU_AFD_RECEIVE))
		ready |= TOFU_POLL_ACCEPT;
	return ready & want;
}

static unsigned ready_of(const struct slot *slot)
{
	uint32_t events;

	switch (tofu_afd_result(&slot->poll, &events)) {
	case TOFU_AFD_FIRED:
		return fired(events, slot->item->want);
	case TOFU_AFD_FAILED:
		return slot->item->want;
	case TOFU_AFD_NOTHING:
	case TOFU_AFD_CANCELLED:
		break;
	}
	return 0;
}

/* Its packet has come: the poll is ours. What the item has to be told. */
static unsigned come_back(struct afd_set *s, struct slot *slot)
{
	unsigned ready = ready_of(slot);

	tofu_list_remove(&slot->node);
	slot->state = IDLE;
	note(s, slot, slot->item->want);
	return ready;
}

/* True if an item is its owner's again. */
static bool report(struct afd_set *s, size_t taken, struct tofu_poll_event *events, size_t *count)
{
	bool left = false;

	for (size_t i = 0; i < taken; i++) {
		struct slot *slot = slot_of(s->taken[i]);
		unsigned ready;

		if (slot == NULL)
			continue;
		s->under_way--;
		if (slot->state == LEAVING) {
			leave(s, slot);
			left = true;
			continue;
		}
		ready = come_back(s, slot);
		if (ready != 0)
			events[(*count)++] = (struct tofu_poll_event){ .item = slot->item, .ready = ready };
	}
	return left;
}

/* --- the wait --- */

static int64_t left_until(int64_t deadline_ns)
{
	int64_t left;

	if (deadline_ns == TOFU_FOREVER)
		return TOFU_FOREVER;
	left = deadline_ns - tofu_plat_now_ns();
	return left > 0 ? left : 0;
}

/* Up, so that a deadline has passed when the wait is over. What is longer than an int (24 days) is done in parts. */
static int32_t milliseconds_of(int64_t timeout_ns)
{
	if (timeout_ns < 0)
		return TOFU_AFD_FOREVER;
	if (timeout_ns >= INT32_MAX * TOFU_NS_PER_MS)
		return INT32_MAX;
	return (int32_t)((timeout_ns + TOFU_NS_PER_MS - 1) / TOFU_NS_PER_MS);
}

/* After packets were taken: whoever rings from now on is for the next wait. */
static bool hear_bell(struct afd_set *s)
{
	return atomic_load(&s->bell) != QUIET && atomic_exchange(&s->bell, QUIET) != QUIET;
}

/*
 * Again, if all that came was cancelled, or is not wanted any more: it is asked anew, then. An item is cancelled at
 * most once for one interest, so that ends. And again, if the system came back early. Items that have left end a wait,
 * so that their owner learns of it, unless it has no time: what is ready may lie behind their packets.
 */
static enum tofu_status afd_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                 int64_t timeout_ns, size_t *count)
{
	struct afd_set *s = set_of(p);
	size_t room = capacity < BATCH ? capacity : BATCH;
	int64_t deadline_ns = timeout_ns > 0 ? tofu_plat_deadline(timeout_ns) : timeout_ns;

	*count = 0;
	for (;;) {
		enum tofu_status asked = ask(s);
		bool look = asked != TOFU_OK || atomic_load(&s->bell) != QUIET;
		bool left;
		size_t taken;
		enum tofu_status st =
			tofu_afd_take(s->port, s->taken, room, look ? 0 : milliseconds_of(timeout_ns), &taken);

		if (st != TOFU_OK)
			return st;
		left = report(s, taken, events, count) && (timeout_ns != 0 || asked != TOFU_OK);
		if (hear_bell(s) || left || *count > 0)
			return TOFU_OK;
		if (asked != TOFU_OK)
			return asked;
		if (taken == 0 && timeout_ns == 0)
			return TOFU_OK;
		timeout_ns = timeout_ns == 0 ? 0 : left_until(deadline_ns);
	}
}

/* --- wake --- */

/* False: it could not be told, and has not looked by itself either. */
static bool ring(struct afd_set *s)
{
	int64_t deadline_ns = tofu_plat_deadline(RING_NS);

	do {
		if (tofu_afd_post(s->port, NULL) == TOFU_OK)
			return true;
		cancel_all(s);
		tofu_plat_sleep(TOFU_NS_PER_MS);
		if (atomic_load(&s->bell) != RUNG)
			return true;
	} while (tofu_plat_now_ns() < deadline_ns);
	return false;
}

static void afd_wake(struct tofu_poller *p)
{
	struct afd_set *s = set_of(p);
	enum bell rung = RUNG;

	if (atomic_exchange(&s->bell, RUNG) != RUNG && !ring(s))
		(void)atomic_compare_exchange_strong(&s->bell, &rung, OWED);
}

const struct tofu_poller_ops tofu_poller_afd = {
	.name = "afd",
	.create = afd_create,
	.destroy = afd_destroy,
	.add = afd_add,
	.want = afd_want,
	.remove = afd_remove,
	.wait = afd_wait,
	.wake = afd_wake,
};
