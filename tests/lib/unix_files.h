/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_UNIX_FILES_H
#define TOFU_TESTS_UNIX_FILES_H

/* The Unix transport without an engine, for the tests of its files. Each test works in a new directory. */

#include <stdbool.h>
#include <stddef.h>

#include <tofu/unix.h>

#include <tofu/engine.h>

#include "harness.h"

enum { PATH_MAX_BYTES = 107 }; /* struct sockaddr_un has room for 108 with the final 0 */

extern char dir[80];   /* the directory; slashes only */
extern char path[200]; /* in it: a.sock */

/** A suite's case with the directory as its fixture. */
TCase *unix_case(Suite *s, const char *name);
/** Run the suite, or say that this system has no Unix sockets. For main. */
int unix_run(Suite *s);

struct tofu_sockaddr address_of(const char *at);
/** However often it has to be called. */
enum tofu_status listen_on(struct tofu_link *listener, const char *at);
/** TOFU_WOULD_BLOCK: its backlog is full. Else to the end, if it takes its time. */
enum tofu_status connect_to(struct tofu_link *client, const char *at);
void close_link(struct tofu_link *link);
/** What a listener that was killed leaves behind. */
void leave_stale(const char *at);
void expect_reachable(const char *at);
/** path becomes so many bytes long. */
void make_path(size_t len);
/** What an empty path becomes. Static. */
const char *made_path(void);

#endif
