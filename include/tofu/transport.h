/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TRANSPORT_H
#define TOFU_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include <tofu/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Raised whenever struct tofu_transport changes. tofu_engine_register() refuses another. */
enum { TOFU_TRANSPORT_ABI = 2 };

/** What an operation waits for, or what holds: bits. */
enum { TOFU_READABLE = 1, TOFU_WRITABLE = 2 };

/** Why an address is wanted. */
enum tofu_purpose { TOFU_TO_CONNECT = 0, TOFU_TO_LISTEN = 1 };

/** How a link ends. */
enum tofu_close {
	TOFU_CLOSE_ORDERLY = 0, /* all that was sent still arrives */
	TOFU_CLOSE_ABORT = 1,   /* the peer shall see a failure; what was not sent yet may be dropped */
	TOFU_CLOSE_FORGET = 2 /* in a child after fork(): free what is this process's, touch nothing that is shared: no
	                           shutdown, no option, no file removed */
};

/**
 * How the rest of an address is written, and as which URL people may write it instead. In a URL the scheme's other name stands
 * before the colon (url of the table). A form is checked before a message is posted; TOFU_FORM_TEXT is not, nor is what begins with
 * '&' after "scheme|": an inherited socket.
 */
enum tofu_address_form {
	TOFU_FORM_TEXT = 0,      /* anything; "url://TEXT" or "url:TEXT" */
	TOFU_FORM_HOST_PORT = 1, /* "HOST|PORT"; "url://HOST:PORT", an IPv6 address in brackets */
	TOFU_FORM_PATH = 2       /* "PATH"; "url:///PATH", or "url:PATH" where PATH may be relative */
};

/** Who is at the other end of a link, as far as that is proved. */
struct tofu_identity {
	int64_t uid, gid, pid; /* of the process that connected or listened, as the system says; -1: not known */
	char text[256];        /* what a certificate proves, terminated; "": nothing */
};

/** The most addresses of one name that are used; how many are left out is logged. */
enum { TOFU_ADDRESSES_MAX = 64 };

/** An address in the system's form (a struct sockaddr), or whatever the transport keeps in it. */
struct tofu_sockaddr {
	uint32_t len; /* bytes used */
	uint32_t reserved;
	uint64_t bytes[16];
};

/** A piece of memory to send from or to receive into. */
struct tofu_iov {
	void *base;
	size_t len;
};

/**
 * One end of a connection, or a listener. The engine allocates it: TOFU_NO_SOCKET and NULL at first. It may move it between two
 * operations: keep what points to it out of state.
 */
struct tofu_link {
	intptr_t handle; /* what the engine waits on: a socket; set by listen, connect_start and accept */
	void *state;     /* the transport's own; freed by its close */
};

/**
 * A transport. The application gives it to tofu_engine_register(). It is static const data that is filled by name, or an instance
 * with configuration of its own, which a function of the transport's library makes and tofu_transport_destroy() gives up.
 *
 * Each operation gets the registered table as t. To change the behaviour of a transport, copy its table, config included, replace
 * operations in the copy, and call the original ones with the original table.
 *
 * All operations except hold, release, resolve and complete run on the engine's thread, with three exceptions: send also on a thread
 * that posts while the engine's sleeps; local_address, peer_address and identify also on a thread that asks about a channel
 * (tofu_channel_inspect()); close also on the thread that calls tofu_engine_destroy(), once the engine's has ended or, in a
 * child after fork(), is not there. Never two at once. None may block, sleep or call the engine.
 *
 * TOFU_WOULD_BLOCK means: nothing was done, call again when *want (TOFU_READABLE, TOFU_WRITABLE) holds, whichever direction
 * the data goes; *want comes in with the usual one set. With *want 0 there is nothing to wait on: the engine calls again after
 * a pause, a few milliseconds at first. Any other failure of an operation ends the link: close follows. After a send that
 * failed, receive is called first until nothing is left. TOFU_LIMIT_REACHED of accept ends nothing.
 *
 * A shortage of the system passes. When send, receive or shutdown gives TOFU_ALLOCATION_FAILED or TOFU_LIMIT_REACHED, the link
 * goes on: the engine calls again after a pause, a few milliseconds at first, a tenth of a second in the end. A transport
 * asks for the same by TOFU_WOULD_BLOCK with *want 0 (listen, which has none: by TOFU_WOULD_BLOCK). connect_start and listen
 * are then called again with the same link and address, connect_finish as it was; that lasts for the handshake time at most.
 *
 * The library that this is in has to stay loaded until the process ends, for a resolve that is under way may outlive the engine:
 * on Windows tofu_engine_register() sees to it, elsewhere link it with -z nodelete.
 * config, hold, release, peer_address, listen_all, acknowledge, complete, look, url, peer_key, identify and explain may be NULL; the
 * others are required.
 * New operations are added at the end, with a new TOFU_TRANSPORT_ABI.
 */
struct tofu_transport {
	uint32_t abi;       /* TOFU_TRANSPORT_ABI */
	const char *scheme; /* what addresses start with, before the first '|': "tcp"; 1 to 15 of A-Z a-z 0-9 + - . _ */

	/** The configuration of an instance. The library does not look at it. */
	void *config;

	/**
	 * Add a holder, remove a holder. Any thread, at any time. The maker of an instance is its first holder. Each engine in which
	 * it is registered holds it until the engine is destroyed, and each lookup until it has ended. The last release frees the
	 * instance. Both NULL: the table is never freed.
	 */
	void (*hold)(const struct tofu_transport *t);
	void (*release)(const struct tofu_transport *t);

	/**
	 * Turn the rest of an address (after "scheme|") into one or more system addresses, best first. At most `capacity` are
	 * written; *count says how many there are, and may be more. With may_block 0 it answers at once: TOFU_WOULD_BLOCK if
	 * that takes a lookup. It is then called again, with may_block 1, on a helper thread with 512 KiB of stack, at the same
	 * time as other operations and other lookups; that call may outlast the engine, so it uses only its arguments and
	 * the configuration in t.
	 * Errors: TOFU_INVALID_ADDRESS, TOFU_HOST_NOT_FOUND, TOFU_PATH_TOO_LONG, TOFU_NOT_SUPPORTED, ...
	 */
	enum tofu_status (*resolve)(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
	                            int may_block, struct tofu_sockaddr *out, size_t capacity, size_t *count);

	/**
	 * Open a listener. Errors: TOFU_ADDRESS_IN_USE, TOFU_LISTEN_FAILED, TOFU_PERMISSION_DENIED, ...; TOFU_WOULD_BLOCK: call
	 * again after a pause, with the same link and address. That goes on for the handshake time at most.
	 */
	enum tofu_status (*listen)(const struct tofu_transport *t, struct tofu_link *listener,
	                           const struct tofu_sockaddr *at);

	/**
	 * Take one waiting connection. Errors: TOFU_WOULD_BLOCK (none), TOFU_LIMIT_REACHED (no descriptor or memory now: the
	 * engine pauses the listener), TOFU_PERMISSION_DENIED (there is one, and it may not come in: the engine asks for its address,
	 * counts it, closes it, and goes on), TOFU_ACCEPT_FAILED (the listener is broken). A connection that went away
	 * before it was accepted is no failure.
	 */
	enum tofu_status (*accept)(const struct tofu_transport *t, struct tofu_link *listener, struct tofu_link *link);

	/**
	 * Start to connect to one address of rest. rest is the called address after "scheme|", valid during the call; a transport
	 * that needs the name of the host, as TLS does, finds it there. Returns TOFU_OK (connected), TOFU_WOULD_BLOCK
	 * (connect_finish tells), or why not. TOFU_WOULD_BLOCK with *want 0: it could not be started; the same is called again after
	 * a pause, with the same link and address. Connects to other addresses of the name may be under way at the same time, each
	 * with a link of its own; the first that connect_finish says is connected is used, and the others are closed.
	 */
	enum tofu_status (*connect_start)(const struct tofu_transport *t, struct tofu_link *link, const char *rest,
	                                  const struct tofu_sockaddr *to, unsigned *want);
	enum tofu_status (*connect_finish)(const struct tofu_transport *t, struct tofu_link *link, unsigned *want);

	/** Send a vector / receive into one. *done: bytes moved, more than 0 with TOFU_OK. receive: TOFU_PEER_DISCONNECTED is
	 * the end, orderly or not, after all that had arrived. A transport with a buffer of its own must not keep anything in
	 * it that fits into the vector: only when the vector was filled is receive called again unasked. */
	enum tofu_status (*send)(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
	                         size_t count, size_t *done, unsigned *want);
	enum tofu_status (*receive)(const struct tofu_transport *t, struct tofu_link *link, const struct tofu_iov *iov,
	                            size_t count, size_t *done, unsigned *want);

	/** No more will be sent: the peer reads to the end. TOFU_WOULD_BLOCK as above. */
	enum tofu_status (*shutdown)(const struct tofu_transport *t, struct tofu_link *link, unsigned *want);

	/**
	 * Free what the link holds. Called exactly once for each link in which listen, listen_all, accept or connect_start left a
	 * handle or a state, also after a failure.
	 */
	void (*close)(const struct tofu_transport *t, struct tofu_link *link, enum tofu_close how);

	/** The two ends as address text, with the scheme: "tcp|127.0.0.1|4000". peer_address may be NULL: not known. */
	enum tofu_status (*local_address)(const struct tofu_transport *t, const struct tofu_link *link, char *out,
	                                  size_t capacity);
	enum tofu_status (*peer_address)(const struct tofu_transport *t, const struct tofu_link *link, char *out,
	                                 size_t capacity);

	/**
	 * Open a listener at all addresses of a name, or at none. listeners: room for count links; the first *opened are open then,
	 * at least one with TOFU_OK, none with a failure. They are one listener: the same port, and what local_address says of the
	 * first one is told to the application. An address that this host does not have is left out. Errors as listen; after
	 * a failure, TOFU_WOULD_BLOCK included, the links hold nothing.
	 * NULL: the engine calls listen for one address after the other, until one works.
	 */
	enum tofu_status (*listen_all)(const struct tofu_transport *t, struct tofu_link *listeners,
	                               const struct tofu_sockaddr *at, size_t count, size_t *opened);

	/**
	 * Part of a frame has been received, and the rest is awaited: acknowledge at once what the peer has sent, for it may wait
	 * for that before it sends on. Called seldom, and not while much comes in. NULL: there is nothing to be done.
	 */
	void (*acknowledge)(const struct tofu_transport *t, struct tofu_link *link);

	/**
	 * Write in full what the rest of an address leaves to the process: what depends on its environment, say. tofu_post() calls
	 * it on its caller's thread, at any time, and it must not block. *out empty: the rest is complete as it is. Failures are
	 * tofu_post()'s. May be NULL: all addresses are complete.
	 */
	enum tofu_status (*complete)(const struct tofu_transport *t, const char *rest, enum tofu_purpose purpose,
	                             char *out, size_t capacity);

	/**
	 * Does the peer's system still acknowledge what was sent? Called look_ms milliseconds after something was sent, and again
	 * every look_ms while some of it is unacknowledged. waited_ms: milliseconds for which that has been so, counted in
	 * calls. *settled 1: everything is acknowledged; the next call follows the next send. A failure ends the link:
	 * TOFU_PEER_DISCONNECTED. A peer that does not read is no failure. NULL, with look_ms 0: never called.
	 */
	enum tofu_status (*look)(const struct tofu_transport *t, struct tofu_link *link, uint32_t waited_ms,
	                         int *settled);
	uint32_t look_ms;

	/** How addresses are written after "scheme|", and what a URL begins with instead of the scheme: "unix". NULL: the scheme. */
	enum tofu_address_form form;
	const char *url;

	/**
	 * What tells peers apart whose connections are bounded (peer_connections_max): the bytes of a host's address, a uid. Written
	 * to key; returns their number, at most capacity, which is 16 or more. 0: this one is not bounded. NULL: none is.
	 */
	size_t (*peer_key)(const struct tofu_transport *t, const struct tofu_link *link, unsigned char *key,
	                   size_t capacity);

	/** Who the peer is. *out comes in with nothing known. NULL: the transport cannot tell. */
	void (*identify)(const struct tofu_transport *t, const struct tofu_link *link, struct tofu_identity *out);

	/**
	 * Why an operation of this link has failed, for people: a short text that stays valid until the link is closed; the engine
	 * logs it when the link ends. NULL: nothing has failed, or its status says all. May be NULL: statuses always say all.
	 */
	const char *(*explain)(const struct tofu_transport *t, const struct tofu_link *link);
};

/**
 * Give up an instance that a tofu_..._create() has made. Engines that have it keep it, so this may follow
 * tofu_engine_register() at once; the last holder frees it. Does nothing for NULL and for a static table. Threads: any. Blocks: no.
 */
void tofu_transport_destroy(struct tofu_transport *t);

/**
 * Make an instance of a table of your own, whose operations read their options from config. The instance is a copy with that
 * scheme (NULL: the table's), with size zeroed bytes at config, and with hold and release. When the last holder releases it, end
 * (if not NULL) is called with config on that thread; then config and the instance are freed.
 * Ownership: *out is given up with tofu_transport_destroy(); scheme is copied. Threads: any. Blocks: no.
 * Errors: TOFU_NOT_ALLOWED (the scheme is none), TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_transport_create(const struct tofu_transport *of, const char *scheme, size_t size,
                                       void (*end)(void *config), struct tofu_transport **out);

/*
 * Help for transports with options. A struct of options begins with `size_t size`, so that it can grow: what an older program's
 * shorter one lacks is 0, which means default. Any thread; nothing blocks.
 */

/** For a tofu_..._options_init(): set size and zero the rest. Does nothing for NULL, or for a size under sizeof(size_t). */
void tofu_options_begin(void *options, size_t size);
/**
 * For a tofu_..._create(): copy from, whatever its size, into the size bytes at out. from: NULL for all defaults.
 * Errors: TOFU_NOT_ALLOWED (from->size is under sizeof(size_t)), TOFU_NOT_SUPPORTED (from is longer, and not 0 beyond size).
 */
enum tofu_status tofu_options_take(const void *from, void *out, size_t size);

/*
 * Help for transports over plain sockets: one behaviour on every system. Sockets are non-blocking, not inherited by other
 * programs, and never raise SIGPIPE. Any thread, nothing blocks but where it is said. Failures come as a status.
 */

/** No socket. */
enum { TOFU_NO_SOCKET = -1 };

/**
 * The addresses of an Internet host. host: a numeric IPv4 or IPv6 address, or a name; NULL or empty: every interface (to
 * listen), which is one address: "::", or 0.0.0.0 where the host has no IPv6 address. An IPv4 address in the form of IPv6
 * ("::ffff:127.0.0.1") gives the IPv4 address. With may_block 0 a name gives TOFU_WOULD_BLOCK; with 1 this waits for the
 * system's resolver. At most `capacity` are written; *count says how many there are, and may be more.
 * Errors: TOFU_HOST_NOT_FOUND (nobody knows it, or no name server answered), TOFU_ALLOCATION_FAILED, TOFU_LIMIT_REACHED,
 *         TOFU_NOT_ALLOWED (capacity 0).
 */
enum tofu_status tofu_sockaddr_inet(const char *host, uint16_t port, int may_block, struct tofu_sockaddr *out,
                                    size_t capacity, size_t *count);
/**
 * A Unix socket's address. path: of a file, or "@NAME", which has none: an abstract name of Linux. A file's path that begins with
 * '@' is written "./@...".
 * Errors: TOFU_PATH_TOO_LONG, TOFU_INVALID_ADDRESS (empty), TOFU_NOT_SUPPORTED (the system has no abstract names).
 */
enum tofu_status tofu_sockaddr_unix(const char *path, struct tofu_sockaddr *out);
/**
 * The numeric host (an IPv4 address in its own form) and the port of an Internet address. Errors: TOFU_INVALID_ADDRESS (it is
 * none, or does not fit).
 */
enum tofu_status tofu_sockaddr_inet_text(const struct tofu_sockaddr *address, char *host, size_t capacity,
                                         uint16_t *port);
/** The bytes of an Internet address, the first byte first: 4 (IPv4) or 16. Returns how many; 0: it is none. */
size_t tofu_sockaddr_inet_bytes(const struct tofu_sockaddr *address, unsigned char out[16]);
/** The path of a Unix socket's file, terminated, in place; "" if it has none. */
const char *tofu_sockaddr_unix_path(const struct tofu_sockaddr *address);
/**
 * A Unix socket's address as tofu_sockaddr_unix() takes it: a path, or "@NAME", in which a zero byte is an '@', too. "" of a socket
 * without a name. Errors: TOFU_INVALID_ADDRESS (it is none, or does not fit).
 */
enum tofu_status tofu_sockaddr_unix_text(const struct tofu_sockaddr *address, char *out, size_t capacity);

/**
 * Open a listening socket. Internet: restartable at once (Windows: when its connections have ended), but no second listener on
 * a live port; "::" takes IPv4, too.
 */
enum tofu_status tofu_socket_listen(const struct tofu_sockaddr *at, intptr_t *out);
/** The same with options. Those that do not concern the kind of socket are not looked at. */
struct tofu_listen_options {
	size_t size; /* set by tofu_listen_options_init() */
	uint32_t
		backlog; /* connections that may wait to be accepted; 0: as many as the system allows, and never more */
	uint32_t
		share_port; /* Internet: other listeners of this user may have the port, if they say so, too (SO_REUSEPORT) */
	uint32_t only_ipv6;         /* "::" takes no IPv4 */
	uint32_t mode;              /* Unix: of the file; 0: 0600 */
	const char *interface_name; /* Internet: only calls that come in by it, not on Windows; NULL: by any */
	const uint32_t *owner;      /* Unix: uid of the file, read during the call; NULL: as the system chooses */
	const uint32_t *group;      /* Unix: gid of the file, likewise */
};
/** Set size and zero the rest, that is, choose every default. size: sizeof(struct tofu_listen_options), as compiled. */
void tofu_listen_options_init(struct tofu_listen_options *options, size_t size);
/**
 * options: NULL for tofu_socket_listen(). Errors, too: TOFU_NOT_SUPPORTED (the system lacks what they ask for), TOFU_NOT_ALLOWED (no
 * interface can have that name), TOFU_LISTEN_FAILED (there is no such interface).
 */
enum tofu_status tofu_socket_listen_with(const struct tofu_sockaddr *at, const struct tofu_listen_options *options,
                                         intptr_t *out);
/** Take a waiting connection. Errors as struct tofu_transport's accept. */
enum tofu_status tofu_socket_accept(intptr_t listener, intptr_t *out);
/**
 * Start to connect. TOFU_WOULD_BLOCK: under way, *out is open; writable tells. TOFU_WOULD_BLOCK with TOFU_NO_SOCKET in *out: a
 * Unix listener's queue is full; try again after a pause. Other failures leave TOFU_NO_SOCKET. 0.0.0.0 and "::" are this host. A
 * TCP socket that was connected to itself, for nobody listens there, has failed to connect.
 */
enum tofu_status tofu_socket_connect(const struct tofu_sockaddr *to, intptr_t *out);
/** The same with options. Those that do not concern the kind of socket are not looked at. */
struct tofu_connect_options {
	size_t size; /* set by tofu_connect_options_init() */
	const struct tofu_sockaddr
		*source; /* Internet: the address of this host to call from, with port 0: the system chooses
	                                       one; NULL: the system chooses both */
	const char *
		interface_name; /* Internet: what is sent goes out by it, what it gets has come in by it; NULL: by any */
};
/** Set size and zero the rest, that is, choose every default. size: sizeof(struct tofu_connect_options), as compiled. */
void tofu_connect_options_init(struct tofu_connect_options *options, size_t size);
/**
 * options: NULL for tofu_socket_connect(). They are judged before the address. Errors, too: TOFU_NOT_SUPPORTED (the system lacks what they ask
 * for), TOFU_NOT_ALLOWED (no interface can have that name), TOFU_INVALID_ADDRESS (source is no Internet address),
 * TOFU_CONNECT_FAILED (source is of the other family, or not of this host, or there is no such interface),
 * TOFU_PERMISSION_DENIED.
 */
enum tofu_status tofu_socket_connect_with(const struct tofu_sockaddr *to, const struct tofu_connect_options *options,
                                          intptr_t *out);
/** How that ended. TOFU_WOULD_BLOCK: not yet. */
enum tofu_status tofu_socket_connect_result(intptr_t socket);
/** Send / receive; *done is bytes moved. Receiving at the end: TOFU_PEER_DISCONNECTED. */
enum tofu_status tofu_socket_send(intptr_t socket, const struct tofu_iov *iov, size_t count, size_t *done);
enum tofu_status tofu_socket_receive(intptr_t socket, const struct tofu_iov *iov, size_t count, size_t *done);
/** Send small packets at once (TCP_NODELAY). */
enum tofu_status tofu_socket_nodelay(intptr_t socket);
/** Acknowledge at once what has been received (TCP_QUICKACK); nothing where the system cannot be asked to. Once, not for ever. */
void tofu_socket_acknowledge(intptr_t socket);
/**
 * Have the system probe a silent TCP connection (SO_KEEPALIVE). When the peer has not answered for dead_after_ms milliseconds,
 * receiving fails with TOFU_PEER_DISCONNECTED. The first probe follows after a third of that time. Probes do not wake the process.
 * The system counts whole seconds, at least one. UINT32_MAX: no probes. Errors: TOFU_SETSOCKOPT_FAILED, TOFU_PEER_DISCONNECTED.
 */
enum tofu_status tofu_socket_keepalive(intptr_t socket, uint32_t dead_after_ms);
/**
 * For the look of a TCP transport: *settled is 1 when everything sent is acknowledged, else 0. Errors: TOFU_PEER_DISCONNECTED
 * (nothing was acknowledged for dead_after_ms milliseconds, although the system sent it again at least twice). Where the system
 * does not tell, *settled is 1.
 */
enum tofu_status tofu_socket_look(intptr_t socket, uint32_t waited_ms, uint32_t dead_after_ms, int *settled);
/** Send FIN after what was sent. */
enum tofu_status tofu_socket_shutdown(intptr_t socket);
/** Close. ABORT resets a TCP connection. TOFU_NO_SOCKET is fine. */
void tofu_socket_close(intptr_t socket, enum tofu_close how);
/** What a number of the system means (errno; GetLastError(), WSAGetLastError()); otherwise: when it says nothing by itself. */
enum tofu_status tofu_system_status(int system_error, enum tofu_status otherwise);
/**
 * Who the peer of a Unix socket is: uid, gid and pid of the process that connected, or that listened, at that time. -1: the system
 * does not tell. Of a TCP socket nothing is known, and on Windows no more than the pid. text is left alone.
 */
void tofu_socket_identify(intptr_t socket, struct tofu_identity *out);
/** The two ends. */
enum tofu_status tofu_socket_local(intptr_t socket, struct tofu_sockaddr *out);
enum tofu_status tofu_socket_peer(intptr_t socket, struct tofu_sockaddr *out);

/*
 * Sockets that somebody else has made, and that the process has by a number: from systemd, inetd or a parent, or its own. In an
 * address "&N" stands for the rest of it, N being the descriptor, and "&NAME" for the one of that name in LISTEN_FDNAMES, as
 * sd_listen_fds_with_names(3) has them. What is used is a copy, which is made non-blocking, and with that the original, and is not
 * inherited by other programs. N itself stays the application's, and stays open. Not on Windows.
 */

/** The kinds of stream sockets. */
enum tofu_socket_kind { TOFU_SOCKET_INET = 0, TOFU_SOCKET_UNIX = 1 };

/**
 * For complete: write "&NAME" as "&N". It reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. *out empty: rest is complete, or nobody
 * has handed over a socket of that name to this process. Errors: TOFU_INVALID_ADDRESS (it does not fit).
 */
enum tofu_status tofu_inherited_complete(const char *rest, char *out, size_t capacity);
/** For resolve: "&N" as an address. Errors: TOFU_INVALID_ADDRESS (rest is nothing like that), TOFU_NOT_SUPPORTED. */
enum tofu_status tofu_inherited_address(const char *rest, enum tofu_socket_kind kind, struct tofu_sockaddr *out);
/** Is it an address of that sort? tofu_socket_connect() takes one, of a socket that is connected. */
int tofu_inherited_is(const struct tofu_sockaddr *address);
/**
 * For listen: *listener gets a handle and a state. A socket that listens is a listener; one that is connected is the listener that
 * accepts just this connection, at once. Errors: TOFU_INVALID_ADDRESS (the number is not open, or no stream socket of that kind),
 * TOFU_LISTEN_FAILED (it neither listens nor is connected), TOFU_LIMIT_REACHED, TOFU_ALLOCATION_FAILED.
 */
enum tofu_status tofu_inherited_listen(const struct tofu_sockaddr *at, struct tofu_link *listener);
/** For accept, of such a listener. Errors as tofu_socket_accept(). */
enum tofu_status tofu_inherited_accept(struct tofu_link *listener, intptr_t *out);
/** For local_address, of such a listener. */
enum tofu_status tofu_inherited_local(const struct tofu_link *listener, struct tofu_sockaddr *out);
/** For close, of such a listener. The original goes on listening. */
void tofu_inherited_close(struct tofu_link *listener, enum tofu_close how);

#ifdef __cplusplus
}
#endif

#endif
