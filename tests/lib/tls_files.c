/* SPDX-License-Identifier: MIT */

#include "tls_files.h"

#include <stdio.h>

#include "harness.h"
#include "os.h"
#include "steps.h"

struct certificate own;
char directory[256], certificate_file[300], key_file[300], ca_file[300];
char error[512];

static void make_files(void)
{
	own = certificate_make(&(struct wish){ .name = "own", .alternatives = "IP:127.0.0.1" });
	os_fresh_path(directory, sizeof directory);
	os_make_directory(directory);
	(void)snprintf(certificate_file, sizeof certificate_file, "%s/own.pem", directory);
	(void)snprintf(key_file, sizeof key_file, "%s/own.key", directory);
	(void)snprintf(ca_file, sizeof ca_file, "%s/ca.pem", directory);
	os_file_write(certificate_file, own.text);
	os_file_write(ca_file, own.text);
	os_file_write(key_file, own.key);
	os_file_share(key_file, false);
}

static void remove_files(void)
{
	os_remove_directory(directory);
	certificate_free(&own);
}

TCase *tls_files_case(Suite *suite, const char *name)
{
	TCase *tc = suite_case(suite, name, 30);

	tcase_add_checked_fixture(tc, make_files, remove_files);
	return tc;
}

struct tofu_tls_options options_of_files(void)
{
	struct tofu_tls_options o;

	tofu_tls_options_init(&o, sizeof o);
	o.scheme = "secure";
	o.certificate_file = certificate_file;
	o.key_file = key_file;
	o.ca_file = ca_file;
	o.error = error;
	o.error_capacity = sizeof error;
	return o;
}

enum tofu_status try_to_create(const struct tofu_tls_options *o)
{
	struct tofu_transport *t;
	enum tofu_status status = tofu_tls_create(o, &t);

	tofu_transport_destroy(t);
	return status;
}
