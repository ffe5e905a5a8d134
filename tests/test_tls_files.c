/* SPDX-License-Identifier: MIT */

/* Files of certificates and keys, on any system: which are read, and which are refused. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/tls_files.h"

START_TEST(a_key_that_everybody_may_read_is_refused)
{
	struct tofu_tls_options o = options_of_files();

	ck_status(try_to_create(&o), TOFU_OK);
	os_file_share(key_file, true);
	ck_status(try_to_create(&o), TOFU_PERMISSION_DENIED);
	ck_assert_ptr_nonnull(strstr(error, key_file));
	ck_assert_ptr_nonnull(strstr(error, "others than its owner"));
	os_file_share(key_file, false);
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
	os_file_share(certificate_file, true);
	o.key_file = NULL;
	ck_status(try_to_create(&o), TOFU_PERMISSION_DENIED);
	os_file_share(certificate_file, false);
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

START_TEST(certificates_may_be_read_by_everybody)
{
	struct tofu_tls_options o = options_of_files();

	os_file_share(certificate_file, true);
	os_file_share(ca_file, true);
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	struct tofu_tls_options o = options_of_files();

	o.key_file = directory;
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	ck_assert_ptr_nonnull(strstr(error, "no plain file"));
	o.key_file = key_file;
	os_file_remove(key_file);
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	ck_assert_ptr_nonnull(strstr(error, "no such file"));
	(void)snprintf(key_file, sizeof key_file, "%s/none/own.key", directory);
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	ck_assert_ptr_nonnull(strstr(error, "no such file"));
}
END_TEST

START_TEST(paths_may_have_any_letters)
{
	struct tofu_tls_options o = options_of_files();

	(void)snprintf(key_file, sizeof key_file, "%s/\xc3\xa4\xd0\xb6\xe8\xb1\x86.key", directory);
	(void)snprintf(certificate_file, sizeof certificate_file, "%s/\xe8\xb1\x86\xe8\x85\x90.pem", directory);
	os_file_write(key_file, own.key);
	os_file_share(key_file, false);
	os_file_write(certificate_file, own.text);
	o.ca_file = certificate_file;
	ck_status(try_to_create(&o), TOFU_OK);
}
END_TEST

/* A key as openssl(1) would encrypt it. */
static void encrypt_key(const char *password)
{
	BIO *from = BIO_new_mem_buf(own.key, -1), *to = BIO_new(BIO_s_mem());
	EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, NULL, NULL);
	char *text;

	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(
		PEM_write_bio_PKCS8PrivateKey(to, key, EVP_aes_256_cbc(), password, (int)strlen(password), NULL, NULL),
		1);
	ck_assert_int_eq(BIO_write(to, "", 1), 1); /* the end of the text */
	ck_assert_int_gt(BIO_get_mem_data(to, &text), 0);
	os_file_remove(key_file);
	os_file_write(key_file, text);
	os_file_share(key_file, false);
	EVP_PKEY_free(key);
	BIO_free(from);
	BIO_free(to);
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

static Suite *suite_of_tls_files(void)
{
	Suite *suite = suite_create("tls, files");
	TCase *files = tls_files_case(suite, "files");

	tcase_add_test(files, a_key_that_everybody_may_read_is_refused);
	tcase_add_test(files, a_certificate_with_its_key_is_as_secret);
	tcase_add_test(files, certificates_may_be_read_by_everybody);
	tcase_add_test(files, what_is_no_file_is_refused);
	tcase_add_test(files, paths_may_have_any_letters);
	tcase_add_test(files, an_encrypted_key_needs_its_password);
	tcase_add_test(files, a_directory_of_cas_is_taken);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_tls_files());
}
