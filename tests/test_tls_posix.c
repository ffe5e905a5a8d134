/* SPDX-License-Identifier: MIT */

/* TLS as only POSIX has it: the modes of key files, and children of fork(). The rest is in test_tls.c. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <tofu/tls.h>
#include <tofu/tofu.h>

#include "lib/certificates.h"
#include "lib/harness.h"
#include "lib/os.h"
#include "lib/steps.h"

static struct certificate own;
static char directory[256], certificate_file[300], key_file[300], ca_file[300];

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
	ck_assert_int_eq(chmod(key_file, 0600), 0);
}

static void remove_files(void)
{
	os_remove_directory(directory);
	certificate_free(&own);
}

static char error[512];

static struct tofu_tls_options options_of_files(void)
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

static enum tofu_status try_to_create(const struct tofu_tls_options *o)
{
	struct tofu_transport *t;
	enum tofu_status status = tofu_tls_create(o, &t);

	tofu_transport_destroy(t);
	return status;
}

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

/* Then the file with both is a secret. */
START_TEST(a_certificate_with_its_key_is_as_secret)
{
	struct tofu_tls_options o = options_of_files();
	char both[8192];

	(void)snprintf(both, sizeof both, "%s%s", own.key, own.text);
	os_file_remove(certificate_file);
	os_file_write(certificate_file, both);
	ck_assert_int_eq(chmod(certificate_file, 0644), 0);
	o.key_file = NULL;
	ck_status(try_to_create(&o), TOFU_PERMISSION_DENIED);
	ck_assert_int_eq(chmod(certificate_file, 0600), 0);
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

START_TEST(what_is_no_file_is_refused_and_never_waited_for)
{
	struct tofu_tls_options o = options_of_files();

	o.key_file = directory;
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	os_file_remove(key_file);
	ck_assert_int_eq(mkfifo(key_file, 0600), 0);
	o.key_file = key_file;
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	os_file_remove(key_file);
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	ck_assert_ptr_nonnull(strstr(error, "no such file"));
}
END_TEST

static void encrypt_key(const char *password)
{
	BIO *bio = BIO_new_mem_buf(own.key, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	FILE *file = fopen(key_file, "w");

	ck_assert(key != NULL && file != NULL);
	ck_assert_int_eq(
		PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), password, (int)strlen(password), NULL, NULL),
		1);
	ck_assert_int_eq(fclose(file), 0);
	EVP_PKEY_free(key);
	BIO_free(bio);
}

/* Without a password nobody is asked at the terminal. */
START_TEST(an_encrypted_key_needs_its_password)
{
	struct tofu_tls_options o = options_of_files();

	encrypt_key("open sesame");
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	o.key_password = "open barley";
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	o.key_password = "open sesame";
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

START_TEST(a_directory_of_cas_is_taken)
{
	struct tofu_tls_options o = options_of_files();

	o.ca_file = NULL;
	o.ca_directory = directory;
	ck_status(try_to_create(&o), TOFU_OK);
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
	TCase *files = suite_case(suite, "files", 30), *forked = suite_case(suite, "fork", 30);

	tcase_add_checked_fixture(files, make_files, remove_files);
	tcase_add_checked_fixture(forked, make_files, remove_files);
	tcase_add_test(files, a_key_that_others_may_read_is_refused);
	tcase_add_test(files, a_key_of_another_user_may_be_for_a_group);
	tcase_add_test(files, a_certificate_with_its_key_is_as_secret);
	tcase_add_test(files, what_is_no_file_is_refused_and_never_waited_for);
	tcase_add_test(files, an_encrypted_key_needs_its_password);
	tcase_add_test(files, a_directory_of_cas_is_taken);
	tcase_add_test(forked, a_child_that_forgets_says_nothing);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_tls_posix());
}
