/* SPDX-License-Identifier: MIT */

/*
 * A signal is a UDP socket of 127.0.0.1 that is connected to itself: on Windows an engine can wait for sockets only. A raised signal
 * has a byte to be read; clearing reads until there is none. TCP would take two sockets, and a handshake to wait for.
 *
 * THE STATE beside the socket. A raise that finds QUIET sends the byte; in RAISED there is one already. A raise in CLEARING sends
 * none: the clear may just have read that byte, so it sends another when it ends. A byte may arrive after a clear although it was
 * sent before. It wakes the engine in vain, and the engine clears again.
 *
 * LOST BYTES. The system may refuse the byte (no buffers), or take it and drop it (no memory, a filter). So a raise looks whether the
 * byte is there. If not, the signal is watched: a timer of the system's thread pool sends the byte again until it is there. Then the
 * byte stays until it is cleared. The timer is made when it is first needed, so a process without losses has no such thread; setting
 * it cannot fail. If there is no memory to make the timer, the raise itself sends again for a while, and the next raise makes it. The
 * lock of the watch is held for one signal at a time.
 *
 * STRANGERS. The port is this socket's alone (SO_EXCLUSIVEADDRUSE), and a connected socket takes only what its own address sends.
 * What a stranger sends between bind and connect wakes once in vain. Child processes do not inherit the socket.
 *
 * PORTS. A connection takes two UDP ports, and a listener one. All programs share 16,384 by default.
 */

#include "transport_inproc/system.h"

#include <winsock2.h>

#include <windows.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	LOOK_AFTER_MS = 20,
	INSIST_MS = 1000,    /* where there is no timer */
	TICKS_PER_MS = 10000 /* a FILETIME counts 100 ns */
};

enum state { QUIET, RAISED, CLEARING };

struct signal {
	SOCKET socket;
	_Atomic(enum state) state;
	struct signal *next, *previous; /* in the ring of those that are watched; NULL: it is not */
};

static SRWLOCK lock = SRWLOCK_INIT;

static SRWLOCK watch_lock = SRWLOCK_INIT;
static struct signal watched = { .next = &watched, .previous = &watched }; /* under watch_lock, as the next two */
static size_t watched_count;
static TP_TIMER *timer; /* NULL: not needed so far; lives as long as the process */

static struct signal *signal_of(intptr_t signal)
{
	return (struct signal *)signal;
}

/* --- bytes --- */

/* If the system does not take it now, it is sent again. */
static void send_byte(const struct signal *s)
{
	(void)send(s->socket, "", 1, 0);
}

/* The byte is on its way, or lost. The state is read last: a byte that is read in between is being cleared. */
static bool lacks_its_byte(const struct signal *s)
{
	u_long bytes = 0;

	return ioctlsocket(s->socket, (long)FIONREAD, &bytes) == 0 && bytes == 0 && atomic_load(&s->state) == RAISED;
}

/* --- the watch --- */

static bool is_watched(const struct signal *s)
{
	return s->next != NULL;
}

/* With the lock of the watch, like the next three. */
static void append(struct signal *s)
{
	s->next = &watched;
	s->previous = watched.previous;
	s->previous->next = s;
	watched.previous = s;
	watched_count++;
}

static void unwatch(struct signal *s)
{
	s->previous->next = s->next;
	s->next->previous = s->previous;
	s->next = NULL;
	watched_count--;
}

static void set_timer(TP_TIMER *which)
{
	const LARGE_INTEGER from_now = { .QuadPart = -(LONGLONG)LOOK_AFTER_MS * TICKS_PER_MS };
	FILETIME due = { .dwLowDateTime = from_now.LowPart, .dwHighDateTime = (DWORD)from_now.HighPart };

	if (watched_count > 0)
		SetThreadpoolTimer(which, &due, 0, 0);
}

static void look_at_first(void)
{
	struct signal *s;

	AcquireSRWLockExclusive(&watch_lock);
	s = watched.next;
	if (s != &watched) {
		unwatch(s);
		if (lacks_its_byte(s)) {
			send_byte(s);
			append(s);
		}
	}
	ReleaseSRWLockExclusive(&watch_lock);
}

static size_t count_watched(void)
{
	size_t count;

	AcquireSRWLockExclusive(&watch_lock);
	count = watched_count;
	ReleaseSRWLockExclusive(&watch_lock);
	return count;
}

/* A signal that is watched since this began has its turn the next time. */
static void CALLBACK look(TP_CALLBACK_INSTANCE *instance, void *context, TP_TIMER *self)
{
	for (size_t left = count_watched(); left > 0; left--)
		look_at_first();
	AcquireSRWLockExclusive(&watch_lock);
	set_timer(self);
	ReleaseSRWLockExclusive(&watch_lock);
}

/* False: there is no timer. */
static bool watch(struct signal *s)
{
	bool is_set, has_timer;

	AcquireSRWLockExclusive(&watch_lock);
	is_set = watched_count > 0 && timer != NULL;
	if (!is_watched(s))
		append(s);
	if (timer == NULL)
		timer = CreateThreadpoolTimer(look, NULL, NULL);
	has_timer = timer != NULL;
	if (has_timer && !is_set)
		set_timer(timer);
	ReleaseSRWLockExclusive(&watch_lock);
	return has_timer;
}

static void insist(const struct signal *s)
{
	for (int ms = 0; ms < INSIST_MS && lacks_its_byte(s); ms++) {
		Sleep(1);
		send_byte(s);
	}
}

/* --- open, close --- */

static bool connect_to_itself(SOCKET s)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int len = sizeof here;
	const BOOL alone = TRUE;
	u_long nonblocking = 1;

	return setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&alone, sizeof alone) == 0 &&
	       ioctlsocket(s, (long)FIONBIO, &nonblocking) == 0 &&
	       bind(s, (const struct sockaddr *)&here, sizeof here) == 0 &&
	       getsockname(s, (struct sockaddr *)&here, &len) == 0 &&
	       connect(s, (const struct sockaddr *)&here, sizeof here) == 0;
}

/* The system says "address in use" when no port is left. */
static enum tofu_status refused(int error)
{
	return error == WSAEADDRINUSE ? TOFU_LIMIT_REACHED : tofu_system_status(error, TOFU_LIMIT_REACHED);
}

static enum tofu_status open_socket(SOCKET *out)
{
	enum tofu_status st;

	*out = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
	if (*out == INVALID_SOCKET)
		return refused(WSAGetLastError());
	if (connect_to_itself(*out))
		return TOFU_OK;
	st = refused(WSAGetLastError());
	(void)closesocket(*out);
	return st;
}

enum tofu_status tofu_inproc_signal_open(intptr_t *out)
{
	struct signal *s = calloc(1, sizeof *s);
	enum tofu_status st;

	*out = TOFU_NO_SOCKET;
	if (s == NULL)
		return TOFU_ALLOCATION_FAILED;
	st = open_socket(&s->socket);
	if (st != TOFU_OK) {
		free(s);
		return st;
	}
	*out = (intptr_t)s;
	return TOFU_OK;
}

intptr_t tofu_inproc_signal_handle(intptr_t signal)
{
	return (intptr_t)signal_of(signal)->socket;
}

void tofu_inproc_signal_close(intptr_t signal)
{
	struct signal *s = signal_of(signal);

	if (signal == TOFU_NO_SOCKET)
		return;
	AcquireSRWLockExclusive(&watch_lock);
	if (is_watched(s))
		unwatch(s);
	ReleaseSRWLockExclusive(&watch_lock);
	(void)closesocket(s->socket);
	free(s);
}

/* --- raise, clear --- */

static void deliver(struct signal *s)
{
	send_byte(s);
	if (lacks_its_byte(s) && !watch(s))
		insist(s);
}

void tofu_inproc_signal_raise(intptr_t signal)
{
	struct signal *s = signal_of(signal);

	if (atomic_exchange(&s->state, RAISED) == QUIET)
		deliver(s);
}

void tofu_inproc_signal_clear(intptr_t signal)
{
	struct signal *s = signal_of(signal);
	enum state clearing = CLEARING;
	char byte;

	atomic_store(&s->state, CLEARING);
	while (recv(s->socket, &byte, sizeof byte, 0) > 0)
		;
	if (!atomic_compare_exchange_strong(&s->state, &clearing, QUIET))
		deliver(s);
}

/* --- the rest --- */

void tofu_inproc_lock(void)
{
	AcquireSRWLockExclusive(&lock);
}

void tofu_inproc_unlock(void)
{
	ReleaseSRWLockExclusive(&lock);
}

/* There is no fork(). */
enum tofu_status tofu_inproc_watch_fork(void (*forget)(void))
{
	return TOFU_OK;
}

/* Users and groups have no numbers. */
void tofu_inproc_who(struct tofu_identity *out)
{
	out->pid = GetCurrentProcessId();
}
