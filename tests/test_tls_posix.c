/* SPDX-License-Identifier: MIT */

/* TLS as only POSIX has it: the modes of key files, and children of fork(). The rest is in test_tls_files.c and test_tls.c. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tofu/tls.h>
#include <tofu/tofu.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/steps.h"
#include "lib/tls_files.h"

/* --- files --- */

START_TEST(a_key_that_others_may_read_is_refused)
{
	static const mode_t modes[] = { 0644, 0640, 0604, 0601, 0610, 0660 };
	struct tofu_tls_options o = options_of_files();

	ck_status(try_to_create(&o), TOFU_OK);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		ck_assert_int_eq(chmod(key_file, modes[i]), 0);
		ck_status(try_to_create(&o), TOFU_PERMISSION_DENIED);
		ck_assert_ptr_nonnull(strstr(error, key_file));
		ck_assert_ptr_nonnull(strstr(error, "others than its owner"));
	}
	ck_assert_int_eq(chmod(key_file, 0400), 0);
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

/* One of another user's, root's for a group for instance, is as that user wishes it. */
START_TEST(a_key_of_another_user_may_be_for_a_group)
{
	struct tofu_tls_options o = options_of_files();

	if (chown(key_file, 1, 1) != 0) {
		printf("skipped: only root gives files away\n");
		return;
	}
	ck_assert_int_eq(chmod(key_file, 0640), 0);
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

START_TEST(a_pipe_is_refused_and_never_waited_for)
{
	struct tofu_tls_options o = options_of_files();

	os_file_remove(key_file);
	ck_assert_int_eq(mkfifo(key_file, 0600), 0);
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
}
END_TEST

/* --- fork --- */

static tofu_engine *secure_engine(void)
{
	struct tofu_tls_options o = options_of_files();
	tofu_engine *engine = engine_up(NULL);
	struct tofu_transport *t;

	works(tofu_tls_create(&o, &t));
	works(tofu_engine_register(engine, t));
	tofu_transport_destroy(t);
	return engine;
}

static int forget(void *context)
{
	const struct pair *p = context;

	tofu_engine_destroy(p->client.engine);
	tofu_engine_destroy(p->server.engine);
	side_down(&p->client);
	side_down(&p->server);
	tofu_deinit();
	return 0;
}

/* OpenSSL keeps errors for each thread until that ends. In a child there are no threads to end: valgrind takes that for a leak. */
START_TEST(a_child_that_forgets_says_nothing)
{
	struct pair p;

	if (getenv("TOFU_TEST_VALGRIND") != NULL) {
		printf("skipped: a child has lost what OpenSSL keeps for the threads of its parent\n");
		return;
	}
	p.descriptors = os_descriptors();
	p.server = side_in(secure_engine());
	p.client = side_in(secure_engine());
	listen_at(&p.server, "secure|127.0.0.1|0", &p.at);
	pair_meet(&p);
	ck_assert_int_eq(os_in_fork(forget, &p), 0);
	pair_talk(&p);
	pair_bye(&p);
	pair_meet(&p);
	pair_close(&p);
}
END_TEST

static Suite *suite_of_tls_posix(void)
{
	Suite *suite = suite_create("tls, POSIX");
	TCase *files = tls_files_case(suite, "files"), *forked = tls_files_case(suite, "fork");

	tcase_add_test(files, a_key_that_others_may_read_is_refused);
	tcase_add_test(files, a_key_of_another_user_may_be_for_a_group);
	tcase_add_test(files, a_pipe_is_refused_and_never_waited_for);
	tcase_add_test(forked, a_child_that_forgets_says_nothing);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_tls_posix());
}
