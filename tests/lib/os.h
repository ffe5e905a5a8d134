/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_OS_H
#define TOFU_TESTS_OS_H

/*
 * What tests ask of the operating system beyond what the library itself needs: processes, descriptors, memory, processor
 * time, and how exactly a connection ended. A file per system: os_posix.c, os_win32.c. Paths are UTF-8.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Random bits of the system's, for names and seeds. */
uint64_t os_random(void);

/* descriptors */

/** How many this process has open now. */
int os_descriptors(void);
/** Raise the limit to what the system lets us have. How many that is. */
unsigned os_raise_descriptor_limit(void);
/** No descriptor can be opened any more but `more`, until os_free_descriptors(). */
void os_exhaust_descriptors(unsigned more);
void os_free_descriptors(void);
/** Is it the system that refuses? Valgrind lets it take a connection, then throws that away and says EMFILE. */
bool os_exhaustion_is_real(void);
/** Do a thousand threads start within a few seconds? By Wine they do not. */
bool os_has_many_threads(void);
/** A descriptor that holds a place, nothing else. */
int os_hold_descriptor(void);
void os_drop_descriptor(int descriptor);

/* sockets */

/** Unix sockets; all systems but older Windows have them. */
bool os_has_unix_sockets(void);

/** The name localhost has an address. False, and says so as what is skipped: a bare system without /etc/hosts. */
bool os_knows_localhost(void);

/**
 * Leave the network for an empty one, which the calling thread and those it starts are in. False: not allowed, or the tests do not
 * run in processes of their own. Linux; elsewhere false.
 */
bool os_leave_network(void);

/** Can several sockets listen on one port? */
bool os_shares_ports(void);
/** Can Unix sockets have names instead of files? */
bool os_has_abstract_names(void);
/** Have users and groups numbers? */
bool os_has_users(void);
/** Does TCP tell what the peer has acknowledged? */
bool os_tells_of_acknowledgements(void);
/** Can TCP be asked to acknowledge at once? */
bool os_acknowledges_when_asked(void);
/** A non-blocking TCP socket whose peer is the socket itself: TCP can open from both ends at once, and it is both. */
intptr_t os_connected_to_itself(const char *host);

enum { OS_READABLE = 1, OS_WRITABLE = 2 };
/** Wait until any of these bits holds for a socket or a pollable; 0: it took too long. */
unsigned os_wait(intptr_t handle, unsigned bits, int64_t timeout_ns);

enum os_end { OS_NOT_THE_END, OS_FIN, OS_RESET };
/** Read and throw away what comes until the connection ends, and say how it did. OS_NOT_THE_END: it took too long. */
enum os_end os_read_to_end(intptr_t socket, int64_t timeout_ns);

/* time, memory */

/** Processor time of the whole process. */
int64_t os_cpu_ns(void);
/** Give the processor to others for a moment: between two looks at something that cannot be waited for. */
void os_pause(void);
/** Bytes that malloc has handed out; 0 where nobody counts them (sanitizers, valgrind). */
size_t os_heap_in_use(void);

/* users */

enum { OS_USER = 192 };
/** Who the user is: what Windows writes in lists of rights. On Windows only. */
void os_user(char out[OS_USER]);

/* files */

bool os_file_exists(const char *path);
/** May only the user use it, as far as files of this system have rights of their own? */
bool os_file_is_private(const char *path);
/** Let nobody but the user have access, or everybody read it. */
void os_file_share(const char *path, bool with_everybody);
void os_file_remove(const char *path);
/** Which file it is, whatever its name: another one, even at the same path, has another number while this one lives. */
uint64_t os_file_number(const char *path);
/** A new file with this text; the first bytes of one. */
void os_file_write(const char *path, const char *text);
void os_file_read(const char *path, char *out, size_t capacity);

void os_make_directory(const char *path);
/** With the files in it. Fine if there is none. */
void os_remove_directory(const char *path);
/** How many files are in it. */
unsigned os_files_in(const char *path);
void os_change_directory(const char *path);
/** Where temporary files go, without a final separator. */
void os_temporary_directory(char *out, size_t capacity);
/** A path in the temporary directory where there is no file: 64 random bits, since a killed test leaves its files. */
void os_fresh_path(char *out, size_t capacity);

/* threads */

/** How many this process has. */
int os_threads(void);
/** Who is calling, for os_await_sleeping(). */
int64_t os_thread_id(void);
/** Until that thread of this process waits for something. False: it took too long. */
bool os_await_sleeping(int64_t thread);

/* signals */

/** Is SIGPIPE as it was when the program started: default, and not pending? */
bool os_sigpipe_untouched(void);
/** Count SIGPIPE from now on instead of dying of it; the count so far. */
void os_sigpipe_count(void);
int os_sigpipe_counted(void);

/* the environment */

/** Set a variable of this process; NULL: there is none of that name. */
void os_set_variable(const char *name, const char *value);

/* processes */

struct os_process {
	int64_t id;
	int out; /* what it writes to its standard output */
};

/** This very program again, with these arguments (the last one may be NULL). */
bool os_spawn_self(struct os_process *p, const char *argument, const char *second);
/** A line it wrote, without the newline. False: none came. */
bool os_read_line(struct os_process *p, char *out, size_t capacity, int64_t timeout_ns);
/** End it without a word. */
void os_kill(struct os_process *p);
/** Do its connections end with it? Wine 8's server keeps one now and then, though the process is gone. */
bool os_kill_ends_connections(void);
/** Wait for its end; the exit status, -1 if a signal ended it. */
int os_reap(struct os_process *p);

/** Run `child` in a child of fork(); what it returned, -1 if it died. Not on systems without fork(). */
int os_in_fork(int (*child)(void *context), void *context);
/** May such a child start threads? ThreadSanitizer says no. */
bool os_threads_after_fork(void);

#endif
