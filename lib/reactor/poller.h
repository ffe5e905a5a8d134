/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_POLLER_H
#define TOFU_REACTOR_POLLER_H

/*
 * What the reactor waits with. A backend is a const table in a file of its own (poller_poll.c, poller_epoll.c,
 * poller_afd.c); a table per system (poller_linux.c) says which there are, poller.c picks one. tests/test_poller.c is the
 * contract and runs on each of them.
 *
 * Level-triggered: an interest that holds is reported by every wait until it is withdrawn. All calls are made on one thread,
 * the reactor's, but wake, which any thread may call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/engine.h>
#include <tofu/status.h>

/** What an item wants, and what an event reports: bits. */
enum {
	TOFU_POLL_READ = 1,    /* data, FIN or failure to be read */
	TOFU_POLL_WRITE = 2,   /* room to write, or failure */
	TOFU_POLL_ACCEPT = 4,  /* a connection waits on a listener, or what stands for one is readable */
	TOFU_POLL_CONNECT = 8, /* a connect has ended, well or not */
};

/**
 * One handle to watch, embedded in whatever it belongs to. A backend writes into it, on Windows so does the kernel: its
 * address stays, and after remove its memory may be used for something else only once busy is false; to be added again it
 * need not wait.
 */
struct tofu_poll_item {
	intptr_t handle;
	void *backend; /* the backend's */
	uint32_t at;   /* the backend's: where the item stands in its table */
	uint8_t want;  /* what was declared last; the wrappers keep it */
	bool busy;     /* removed, but the kernel may still write here; a later wait ends that */
	bool of_leg;   /* the owner's, set after add: it is embedded in a struct tofu_leg, else in a struct tofu_chan */
};

struct tofu_poll_event {
	struct tofu_poll_item *item;
	unsigned ready; /* a subset of item->want */
};

struct tofu_poller;

struct tofu_poller_ops {
	const char *name; /* "poll" */
	enum tofu_status (*create)(struct tofu_poller **out);
	/** Everything was removed before. */
	void (*destroy)(struct tofu_poller *p);
	/** Watch item->handle; wants nothing yet. */
	enum tofu_status (*add)(struct tofu_poller *p, struct tofu_poll_item *item);
	/** Declare what it wants from now on, other than item->want. No interest, no event: not even a failure. */
	enum tofu_status (*want)(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest);
	/** Not another event from it; before its handle is closed. Of a zeroed or removed item: nothing. */
	void (*remove)(struct tofu_poller *p, struct tofu_poll_item *item);
	/**
	 * Wait for events, a wake, or timeout_ns (0: just look; -1: for ever). *count may be 0, also before the time is up (a
	 * wake, a signal). Wakes are consumed. What does not fit comes with the next waits, and nobody is passed over for ever.
	 */
	enum tofu_status (*wait)(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
	                         int64_t timeout_ns, size_t *count);
	/** Make a wait return, this one or the next. Many before one wait are one. */
	void (*wake)(struct tofu_poller *p);
	/** Readable while a wait would not sleep, for a foreign loop to wait on; NULL: this backend has no such thing. */
	intptr_t (*pollable)(struct tofu_poller *p);
	/** For another thread to stand by (drive.h); all three NULL: this backend cannot. False: no descriptor, or no memory. */
	bool (*can_stand_by)(struct tofu_poller *p);
	/** Shall the thread that stands by be woken once, when a wait would not sleep? From now on, also for what there is already. */
	void (*watch)(struct tofu_poller *p, bool on);
	/** Stand by until then, or until so many nanoseconds have passed. May return for nothing. */
	void (*stand_by)(struct tofu_poller *p, int64_t timeout_ns);
};

/** What every backend begins with. */
struct tofu_poller {
	const struct tofu_poller_ops *ops;
	uint64_t reads_asked; /* per wait, the items that wanted TOFU_POLL_READ, added up */
	uint32_t reading;     /* those items now; the wrappers keep both */
	const char *advice; /* for the log: what may help when the last add has failed; NULL: nothing that we know of */
};

extern const struct tofu_poller_ops tofu_poller_poll;
extern const struct tofu_poller_ops tofu_poller_epoll;
extern const struct tofu_poller_ops tofu_poller_afd;

enum { TOFU_POLLER_KINDS = TOFU_POLLER_AFD + 1 };

/** What this build has, by kind; NULL: not supported. TOFU_POLLER_AUTO is one of the others. */
extern const struct tofu_poller_ops *const tofu_poller_backends[TOFU_POLLER_KINDS];

/**
 * Make a poller of that kind. For TOFU_POLLER_AUTO, the one that the environment variable TOFU_POLLER names, if it is set.
 * TOFU_NOT_SUPPORTED: not in this build.
 */
enum tofu_status tofu_poller_create(enum tofu_poller_kind kind, struct tofu_poller **out);
void tofu_poller_destroy(struct tofu_poller *p);

/* One wrapper per operation; pollable and those to stand by are optional. To want the same again costs nothing. */
enum tofu_status tofu_poller_add(struct tofu_poller *p, struct tofu_poll_item *item, intptr_t handle);
enum tofu_status tofu_poller_want(struct tofu_poller *p, struct tofu_poll_item *item, unsigned interest);
void tofu_poller_remove(struct tofu_poller *p, struct tofu_poll_item *item);
enum tofu_status tofu_poller_wait(struct tofu_poller *p, struct tofu_poll_event *events, size_t capacity,
                                  int64_t timeout_ns, size_t *count);
void tofu_poller_wake(struct tofu_poller *p);
/** TOFU_NO_SOCKET: it has none. */
intptr_t tofu_poller_pollable(struct tofu_poller *p);
/** Once, before the other two, which are any thread's. */
bool tofu_poller_can_stand_by(struct tofu_poller *p);
void tofu_poller_watch(struct tofu_poller *p, bool on);
void tofu_poller_stand_by(struct tofu_poller *p, int64_t timeout_ns);

#endif
