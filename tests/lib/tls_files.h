/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TESTS_TLS_FILES_H
#define TOFU_TESTS_TLS_FILES_H

/* A certificate, its key and its CA in files, for tests of those. Each test has them in a new directory; the key is private. */

#include <check.h>

#include <tofu/tls.h>

#include "certificates.h"

extern struct certificate own; /* signs itself */
extern char directory[256], certificate_file[300], key_file[300], ca_file[300];
extern char error[512]; /* what tofu_tls_create() says */

/** A suite's case with the files as its fixture. */
TCase *tls_files_case(Suite *suite, const char *name);
struct tofu_tls_options options_of_files(void);
/** Create an instance, and give it up. */
enum tofu_status try_to_create(const struct tofu_tls_options *o);

#endif
