/* SPDX-License-Identifier: MIT */
#ifndef TOFU_ENGINE_H
#define TOFU_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include <tofu/message.h>
#include <tofu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An application's mailbox onto an engine: it posts messages and receives messages. */
typedef struct tofu_group tofu_group;

struct tofu_transport; /* <tofu/transport.h> */

/**
 * Prepare the library (on Windows: WSAStartup) / undo it. Calls count: each successful tofu_init() wants one tofu_deinit().
 * While engines live, the last tofu_deinit() takes effect when the last engine is destroyed.
 * Threads: any, at the same time. Never from DllMain or a constructor of a DLL. Blocks: no.
 * Errors:  TOFU_NOT_SUPPORTED (the system has no usable sockets), TOFU_ALLOCATION_FAILED; nothing is counted then.
 */
enum tofu_status tofu_init(void);
void tofu_deinit(void);

/** The version of the library in use: "0.1.0". Static text. That of the headers is in <tofu/version.h>. */
const char *tofu_version(void);

/** What an engine waits with. */
enum tofu_poller_kind {
	TOFU_POLLER_AUTO = 0, /* what the environment variable TOFU_POLLER says: poll, epoll or afd; if it is not set or
	                         empty, the default of the system: epoll on Linux, AFD on Windows */
	TOFU_POLLER_POLL = 1,
	TOFU_POLLER_EPOLL = 2,
	TOFU_POLLER_AFD = 3
};

/**
 * Who does the I/O of an engine.
 * TOFU_IO_THREAD: a thread of the engine's own. With epoll, a thread of the application does it instead while it waits for
 * messages and no other thread does: then no message is handed from thread to thread. Such a thread needs 32 KiB of stack.
 */
enum tofu_io {
	TOFU_IO_THREAD = 0,
	TOFU_IO_CALLER = 1,     /* the threads that call it: see tofu_engine_run() */
	TOFU_IO_THREAD_ONLY = 2 /* the engine's own thread, always */
};

enum tofu_log_level { TOFU_LOG_ERROR = 0, TOFU_LOG_WARNING = 1, TOFU_LOG_INFO = 2 };

/**
 * Called with one line, no newline, text owned by the engine until it returns. On the thread that does the engine's work: its
 * own, or, unless TOFU_IO_THREAD_ONLY is chosen, one that is in tofu_receive(), tofu_receive_many(), tofu_group_drain(),
 * tofu_engine_run(), tofu_group_destroy() or tofu_engine_destroy(). Under no lock, so that
 * it may take locks that are held over a fork(), and may fork. It should return soon, since I/O waits for it, and must not
 * call back into the engine. Lines come in their order, when the engine is about to wait or to end; a notice of the same event
 * may come before. Of many lines at once the first 4 KiB are told (of TOFU_LOG_INFO the first 2 KiB), then one that says how many
 * were left out: a warning, unless all of those are TOFU_LOG_INFO. So it is with warnings about peers, of which there may be 20 in a
 * second.
 */
typedef void tofu_log_fn(void *context, enum tofu_log_level level, const char *text);

/** How an engine is made. tofu_options_init() first, then change fields. A numeric field that is 0 means its default. */
/* clang-format off */
struct tofu_options {
	size_t size;                   /* set by tofu_options_init(); lets the struct grow */
	uint32_t pool_initial;         /* messages allocated at creation; default 1024, 1..1048576 */
	uint32_t pool_max;             /* messages kept when given back; after much was freed, only pool_initial; default
	                                  4096, 1..1048576; at least pool_initial */
	uint32_t max_channels;         /* open at once, listeners counted; default and most 65534 */
	uint32_t send_queue_max;       /* messages waiting per channel; default 1024, 1..32767 */
	uint64_t send_queue_max_bytes; /* the same in bytes on the wire; default 8 MiB, most 512 MiB - 1; one always fits */
	uint32_t handshake_timeout_ms; /* to resolve and connect; for the answer to a hello; to say hello once accepted; default 10000 */
	uint32_t idle_timeout_ms;      /* a connection with no byte either way for so long ends; default: never */
	enum tofu_poller_kind poller;  /* default TOFU_POLLER_AUTO */
	tofu_log_fn *log;              /* default NULL: silence */
	void *log_context;             /* handed to log */
	uint32_t channel_share_percent; /* messages of one channel that the application has not put back or posted: at most
	                                   so much of what is free in the pool, then it is not read; default 100, most 100000 */
	uint32_t bye_timeout_ms;       /* for the answer to a ByeRequest; default: handshake_timeout_ms */
	enum tofu_io io;               /* what thread does the I/O; default TOFU_IO_THREAD */
	uint32_t unheard_max;          /* callers that have been accepted and have not said hello; one more takes the place of the
	                                  oldest, if that has been silent for a second; default: as many as there are channels */
	uint32_t peer_connections_max; /* connections of one caller: a host (IPv6: a /64 network), or the uid at a Unix socket; more
	                                  are refused; default: no bound */
	uint32_t receive_timeout_ms;   /* a connection on which no byte is received for so long ends; default: never */
};
/* clang-format on */

/**
 * Set size and zero the rest, that is, choose every default. No byte beyond size is written.
 * Units:   size is sizeof(struct tofu_options) as the program was compiled; it may be less or more than the library's. Less
 *          than the first field has, or NULL: nothing happens.
 * Threads: any. Blocks: no.
 */
void tofu_options_init(struct tofu_options *options, size_t size);

/**
 * Start an engine, and its thread if it is to have one. options may be NULL (all defaults); it is copied.
 * Ownership: *out is the caller's, for tofu_engine_destroy(); NULL on failure.
 * Threads:   any. Blocks: no longer than it takes to start a thread.
 * Errors:    TOFU_NOT_INITIALIZED (no tofu_init()), TOFU_NOT_ALLOWED (out NULL, size less than its own field, a field out of range),
 *            TOFU_NOT_SUPPORTED (this poller, or the one that TOFU_POLLER names, is not in this build; or a newer program
 *            chooses something that this library does not know: not all is zero beyond its struct),
 *            TOFU_PERMISSION_DENIED (the process may not use this poller: Windows, in a sandbox),
 *            TOFU_ALLOCATION_FAILED, TOFU_LIMIT_REACHED (no thread or no descriptor to be had).
 */
enum tofu_status tofu_engine_create(const struct tofu_options *options, tofu_engine **out);

/**
 * Stop an engine: its channels close at once and without notices, its thread ends. Threads that wait in tofu_receive() or
 * tofu_group_drain() return with TOFU_SHUTDOWN_STARTED, and so does every later call on its groups; their pollables
 * become readable and stay so. What was accepted but not yet written is lost to the peer: tofu_group_drain() first, or say
 * bye. NULL is fine. In a child after fork() only memory and descriptors are freed; the parent's engine is not touched.
 * Ownership: the engine is gone; its groups are the application's still, each for tofu_group_destroy(), before or after;
 *            messages that the application holds stay valid.
 * Threads:   one, not from the log callback; no other call on it or its groups may be under way, but waiting and
 *            tofu_group_destroy(). Blocks: until the engine's thread has ended; never on a peer or a name server.
 */
void tofu_engine_destroy(tofu_engine *engine);

/**
 * Let an engine speak a transport: addresses that start with its scheme go to it.
 * Ownership: transport must stay valid as long as the engine. The engine holds an instance itself, so the caller may give that up
 *            at once (tofu_transport_destroy()).
 * Threads:   any. Blocks: no.
 * Errors:    TOFU_NOT_SUPPORTED (built for another TOFU_TRANSPORT_ABI), TOFU_NOT_ALLOWED (NULL, or in a child after fork(); a
 *            required operation missing; a scheme that is missing, that no address can begin with, or that is registered
 *            already), TOFU_LIMIT_REACHED (more than 16), TOFU_SHUTDOWN_STARTED.
 */
enum tofu_status tofu_engine_register(tofu_engine *engine, const struct tofu_transport *transport);

/**
 * What is wrong with an address, for people: "the port is missing". NULL: tofu_msg_connect_to() (opcode TOFU_HELLO_REQUEST) or
 * tofu_msg_listen_on() (TOFU_WELCOME_REQUEST) takes it in a message of this engine; its transport may still refuse it. With the
 * engine NULL, only what no transport takes is wrong. The text is static. Threads: any. Blocks: no.
 */
const char *tofu_address_fault(tofu_engine *engine_or_null, const char *address, enum tofu_opcode opcode);

/**
 * An engine with TOFU_IO_CALLER has no thread: nothing happens in it unless the application calls. These calls do its work, for
 * all of its groups and channels, while they wait: tofu_receive() and tofu_receive_many(), also with a time-out of 0;
 * tofu_group_drain(); tofu_group_destroy(); and tofu_engine_run(). A program that is not in one of them for some time keeps
 * its peers waiting, and misses time-outs. tofu_post() and tofu_post_many() write by themselves what they can, except for
 * messages that follow such a call within 100 microseconds: those are gathered, until there are 512 of them, or for the next
 * of those calls. One thread at a time does the work; others that call meanwhile sleep until there is something for them, or
 * until it is their turn to do it. Any thread may post, and is heard.
 */

/**
 * Work for an engine with TOFU_IO_CALLER until something has happened, for any group: messages may wait in tofu_receive()
 * then. tofu_group_interrupt(), of any group, ends it as well.
 * Threads: any. Blocks: up to timeout_ns nanoseconds; 0: not at all; -1: for ever.
 * Errors:  TOFU_TIMEOUT (nothing happened), TOFU_NOT_ALLOWED (NULL, an engine with a thread, or in a child after fork()).
 */
enum tofu_status tofu_engine_run(tofu_engine *engine, int64_t timeout_ns);

/**
 * For a foreign loop, with TOFU_IO_CALLER: wait until *out is readable, or until as many nanoseconds have passed as
 * tofu_engine_timeout() says; then call tofu_engine_run() with a time-out of 0, and receive what there is in each group. Ask for
 * the time-out anew before each wait, after the last call of this engine. Do nothing with *out but wait.
 * tofu_engine_timeout(): -1 if no timer runs; also for what tofu_engine_run() does not allow.
 * Ownership: *out is the engine's, valid until that is destroyed: a descriptor.
 * Threads:   any. Blocks: for as long as another thread is at the engine's work and does not wait.
 * Errors:    TOFU_NOT_SUPPORTED (what the engine waits with cannot be waited on: TOFU_POLLER_POLL, and all of Windows),
 *            TOFU_NOT_ALLOWED (NULL, an engine with a thread, or in a child after fork()).
 */
enum tofu_status tofu_engine_pollable(tofu_engine *engine, intptr_t *out);
int64_t tofu_engine_timeout(tofu_engine *engine);

/** Counters of an engine since it was created, and what it holds now. Grows at its end only. */
/* clang-format off */
struct tofu_stats {
	size_t size;                 /* in: sizeof of the caller's struct; out: how much was filled in */
	uint64_t messages_sent;      /* frames written whole */
	uint64_t messages_received;  /* frames received whole */
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t messages_returned;  /* accepted, but given back unsent */
	uint64_t frames_refused;     /* protocol violations */
	uint64_t wakeups;            /* how often a wait for events has ended */
	uint64_t polls_for_reading;  /* per wait, the connections whose readability was asked for, added up */
	uint64_t sends;              /* calls of a transport's send: with sockets, system calls that write */
	uint64_t receives;           /* the same for receive */
	uint64_t pool_hits;          /* messages taken from the pool */
	uint64_t pool_misses;        /* wanted when it was empty: refused, awaited or allocated */
	uint64_t pool_free;          /* in the pool now */
	uint64_t messages_out;       /* of this engine's messages, those in use: queued, arriving, or with the application */
	uint32_t channels_resolving; /* now: an address is looked up */
	uint32_t channels_connecting;
	uint32_t channels_listening;
	uint32_t channels_accepted;  /* HelloRequest due */
	uint32_t channels_open;
	uint32_t channels_closing;   /* from the first bye or failure to channel_closed */
	uint64_t bytes_kept;         /* now: memory for what was read and waits for messages; bounded for all channels together */
	uint64_t callers_refused;    /* not let in: by its transport, or its peer has too many connections */
	uint64_t callers_displaced;  /* closed before their hello to make room for others */
};
/* clang-format on */

/**
 * Read the counters. Each is right by itself; together they are no snapshot.
 * Units:   set stats->size to sizeof *stats first; an older, shorter struct is filled as far as it goes.
 * Threads: any. Blocks: no.
 * Errors:  TOFU_NOT_ALLOWED (NULL, size 0, or in a child after fork()).
 */
enum tofu_status tofu_engine_stats(tofu_engine *engine, struct tofu_stats *stats);

/**
 * Create a group / destroy it. Destroying closes its channels at once and without notices, frees what it had not received
 * yet, and wakes a thread that waits in it with TOFU_SHUTDOWN_STARTED. What was accepted but not yet written is lost to the
 * peer: tofu_group_drain() first, or say bye.
 * Ownership: the caller's until destroyed, also when its engine has been before.
 * Threads:   any; while a group is destroyed no other call on it may be under way, but waiting; its engine may be destroyed
 *            at the same time. Blocks: for the engine's answer, or its end.
 * Errors:    create: TOFU_ALLOCATION_FAILED, TOFU_NOT_ALLOWED (NULL, or in a child after fork()), TOFU_SHUTDOWN_STARTED.
 *            destroy: TOFU_NOT_ALLOWED (NULL).
 */
enum tofu_status tofu_group_create(tofu_engine *engine, tofu_group **out);
enum tofu_status tofu_group_destroy(tofu_group *group);

/**
 * Hand a message to the engine for its channel. When this returns the message may have been sent or not; what becomes of it
 * arrives through tofu_receive(): a message that cannot be sent comes back, origin engine, with a status that says why - a
 * HelloRequest or WelcomeRequest as its response, with invalid_address for instance when no transport is registered for its
 * address; the text header "~detail" then says in English what is wrong with that, if there is memory and room for it.
 * Origin, status and reason are overwritten; an id of 0 is assigned; so is the channel of a HelloRequest or WelcomeRequest.
 * *out_or_null, if given, is the final header. A listener takes ByeRequest and ByeSignal; others come back: not_allowed.
 * Ownership: TOFU_OK: the engine's, and *msg is NULL. Any other status: still the caller's, unchanged.
 * Threads:   any, at the same time. Blocks: no.
 * Units:     text headers and body of at most 65535 bytes each.
 * Errors:    TOFU_NULL_MESSAGE; TOFU_INVALID_OP_CODE (not one that an application posts); TOFU_INVALID_MESSAGE_ID (a response
 *            with id 0); TOFU_INVALID_MORE_USAGE (not 0 or 1, or 1 on one that is not regular);
 *            TOFU_INVALID_CHANNEL_NUMBER (0, never opened, its number is another's by now, or not 0 where one is opened);
 *            TOFU_CHANNEL_CLOSED (it has ended; its last word is received, or waits to be); TOFU_INVALID_MCHN_GROUP (open,
 *            but another group's); TOFU_WRONG_ADDRESS (no address in a HelloRequest or WelcomeRequest);
 *            TOFU_INVALID_HEADERS_LEN, TOFU_INVALID_BODY_LEN; TOFU_WOULD_BLOCK (the channel's queue is full, but for a
 *            ByeSignal; a Signal of status send_ready tells once half of it is free); TOFU_LIMIT_REACHED (no channel to be
 *            had: too many are open, or every number is in use or waits for its last word to be received);
 *            TOFU_PATH_TOO_LONG, TOFU_ADDRESS_IN_USE, TOFU_INVALID_ADDRESS (the temporary directory has no path for a
 *            "uds|" to listen on);
 *            TOFU_ALLOCATION_FAILED; TOFU_SHUTDOWN_STARTED; TOFU_NOT_ALLOWED (NULL, or in a child after fork()).
 */
enum tofu_status tofu_post(tofu_group *group, tofu_msg **msg, struct tofu_header *out_or_null);

/**
 * Post several messages as tofu_post() does one after the other, at a lower cost: in order, up to the first that is refused.
 * *posted, unless NULL, is how many were accepted.
 * Ownership: those are the engine's, and their pointers in msgs NULL. The others are still the caller's, unchanged.
 * Threads:   any, at the same time. Blocks: no.
 * Errors:    of tofu_post(), for the first that is refused; TOFU_NOT_ALLOWED (msgs NULL).
 */
enum tofu_status tofu_post_many(tofu_group *group, tofu_msg **msgs, size_t count, size_t *posted);

/**
 * Take the next message: a peer's, a notice of the engine (origin engine, status set), or an update of another thread
 * (status receiver_update). The last word on a channel is a Signal of status channel_closed with the id of
 * its HelloRequest or WelcomeRequest. The field reason of its header, 0 in all other messages, is the status that ended the
 * channel, and the text header "~reason" its name: channel_closed itself, if an application wanted it. From then on, or when the
 * group is destroyed, the number may be given again. pool_empty comes on channel 0, once until a message reaches the
 * group again.
 * Ownership: *out is the caller's: tofu_msg_put() or post it. NULL on failure.
 * Threads:   one at a time per group. Blocks: up to timeout_ns nanoseconds; 0: not at all; -1: for ever.
 * Errors:    TOFU_TIMEOUT, TOFU_INTERRUPTED (tofu_group_interrupt()), TOFU_SHUTDOWN_STARTED, TOFU_NOT_ALLOWED (NULL, or in
 *            a child after fork()).
 */
enum tofu_status tofu_receive(tofu_group *group, tofu_msg **out, int64_t timeout_ns);

/**
 * Take up to capacity messages, in their order, as many as there are at once; wait only for the first.
 * Ownership: out[0] to out[*count - 1] are the caller's. *count is 0 on failure, and out[0] NULL.
 * Threads:   one at a time per group, tofu_receive() included. Blocks: as tofu_receive().
 * Errors:    of tofu_receive(); TOFU_NOT_ALLOWED (capacity 0, or out or count NULL).
 */
enum tofu_status tofu_receive_many(tofu_group *group, tofu_msg **out, size_t capacity, size_t *count,
                                   int64_t timeout_ns);

/** What a channel is doing. */
enum tofu_channel_state {
	TOFU_CHANNEL_RESOLVING = 0, /* its address is looked up */
	TOFU_CHANNEL_CONNECTING = 1,
	TOFU_CHANNEL_LISTENING = 2,
	TOFU_CHANNEL_OPEN = 3,
	TOFU_CHANNEL_CLOSING = 4 /* from the first bye or failure to channel_closed */
};

/** The most bytes of an address as text, terminated, and of an identity. */
enum { TOFU_ADDRESS_CAPACITY = 520, TOFU_IDENTITY_CAPACITY = 256 };

/** What there is to know of a channel. Grows at its end only. */
/* clang-format off */
struct tofu_channel_info {
	size_t size;                          /* in: sizeof of the caller's struct; out: how much was filled in */
	char local[TOFU_ADDRESS_CAPACITY];    /* our end: "tcp|127.0.0.1|4000"; "": none yet, or none any more */
	char peer[TOFU_ADDRESS_CAPACITY];     /* the peer's; "": none, "unknown": its transport cannot tell */
	char identity[TOFU_IDENTITY_CAPACITY]; /* what a certificate of the peer proves; "": nothing */
	int64_t uid, gid, pid;                /* the peer's process, as the system says (Unix sockets); -1: not known */
	uint64_t messages_sent;               /* whole ones */
	uint64_t messages_received;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t messages_queued;             /* posted, and neither sent nor given back */
	uint64_t bytes_queued;                /* the same in bytes on the wire */
	uint64_t messages_held;               /* received on it, and neither put back nor posted */
	int64_t opened_ago_ns;                /* since it is open, or listens; -1: it is not yet */
	int64_t sent_ago_ns;                  /* since the last byte; -1: none was sent */
	int64_t received_ago_ns;              /* the same for receiving */
	enum tofu_channel_state state;
};
/* clang-format on */

/**
 * Ask about a channel of the group: one that is being opened, a listener, or a connection. It is one moment's picture. Once the
 * link is closed, addresses, identity and numbers of the peer's process are not known any more; the counters are, until the
 * last word on the channel is said.
 * Units:   set info->size to sizeof *info first; an older, shorter struct is filled as far as it goes.
 * Threads: any, at the same time; not from the log callback. Blocks: for as long as another thread is at the engine's work and
 *          does not wait.
 * Errors:  TOFU_INVALID_CHANNEL_NUMBER (never opened, or its number is another's by now), TOFU_CHANNEL_CLOSED (it has ended),
 *          TOFU_INVALID_MCHN_GROUP (another group's), TOFU_SHUTDOWN_STARTED, TOFU_NOT_ALLOWED (NULL, size 0, or in a child
 *          after fork()). *info is unchanged then.
 */
enum tofu_status tofu_channel_inspect(tofu_group *group, uint16_t channel, struct tofu_channel_info *info);

/**
 * Interrupt receiving: the tofu_receive() that waits, or else the next one, returns TOFU_INTERRUPTED, whatever there is to be
 * received; that stays for the one after it. Several interrupts before a receive are one. tofu_group_drain() goes on.
 * Threads: any, and signal handlers (async-signal-safe; errno stays). Blocks: no.
 * Errors:  TOFU_SHUTDOWN_STARTED (its engine has ended), TOFU_NOT_ALLOWED (NULL, or in a child after fork()).
 */
enum tofu_status tofu_group_interrupt(tofu_group *group);

/**
 * Put a message into the group's own mailbox, for the thread that receives. Its status becomes receiver_update, its origin
 * application; the rest stays. With NULL, or a pointer to NULL, an empty Signal of origin engine is made.
 * Ownership: TOFU_OK: gone, *msg_or_null is NULL. Otherwise still the caller's.
 * Threads:   any. Blocks: no.
 * Errors:    TOFU_ALLOCATION_FAILED, TOFU_SHUTDOWN_STARTED, TOFU_NOT_ALLOWED (group NULL, or in a child after fork()).
 */
enum tofu_status tofu_update_receiver(tofu_group *group, tofu_msg **msg_or_null);

/**
 * Wait until nothing that was posted to the group is under way: each message is out (written to its socket whole) or given
 * back. Messages that other threads post in the meantime are waited for, too.
 * Threads: any. Blocks: up to timeout_ns nanoseconds; 0: not at all; -1: for ever.
 * Errors:  TOFU_TIMEOUT, TOFU_SHUTDOWN_STARTED, TOFU_NOT_ALLOWED (NULL, or in a child after fork()).
 */
enum tofu_status tofu_group_drain(tofu_group *group, int64_t timeout_ns);

/**
 * Something to wait on in a foreign loop: readable (signalled) as long as tofu_receive() would not wait. Do nothing with it
 * but wait: never read, write or close it. When the engine has been destroyed it is readable for good.
 * Ownership: the group's, valid until it is destroyed. POSIX: a descriptor. Windows: a waitable HANDLE.
 * Threads:   any. Blocks: no.
 * Errors:    TOFU_LIMIT_REACHED (no descriptor to be had), TOFU_SHUTDOWN_STARTED, TOFU_NOT_ALLOWED (NULL, or in a child after
 *            fork()).
 */
enum tofu_status tofu_group_pollable(tofu_group *group, intptr_t *out);

#ifdef __cplusplus
}
#endif

#endif
