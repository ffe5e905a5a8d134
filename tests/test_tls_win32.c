/* SPDX-License-Identifier: MIT */

/*
 * TLS as only Windows has it: who may have access to the file of a key. Its list of rights is played, for the file system may know
 * less of them than the library has to, and by Wine does. Linked with --wrap=__imp_GetSecurityInfo.
 */

#include <windows.h>

#include <aclapi.h>
#include <sddl.h>

#include <stdio.h>
#include <string.h>

#include "lib/harness.h"
#include "lib/os.h"
#include "lib/tls_files.h"

typedef DWORD WINAPI get_security(HANDLE, SE_OBJECT_TYPE, SECURITY_INFORMATION, PSID *, PSID *, ACL **, ACL **,
                                  PSECURITY_DESCRIPTOR *);

extern get_security *__real___imp_GetSecurityInfo;
extern get_security *__wrap___imp_GetSecurityInfo;

static const char *played; /* SDDL; NULL: what the system says */

static DWORD WINAPI play(HANDLE file, SE_OBJECT_TYPE kind, SECURITY_INFORMATION what, PSID *owner, PSID *group,
                         ACL **list, ACL **audited, PSECURITY_DESCRIPTOR *out)
{
	BOOL by_default, there;

	if (played == NULL)
		return __real___imp_GetSecurityInfo(file, kind, what, owner, group, list, audited, out);
	if (played[0] == '\0')
		return ERROR_ACCESS_DENIED;
	*list = NULL;
	if (!ConvertStringSecurityDescriptorToSecurityDescriptorA(played, SDDL_REVISION_1, out, NULL) ||
	    !GetSecurityDescriptorOwner(*out, owner, &by_default) ||
	    !GetSecurityDescriptorDacl(*out, &there, list, &by_default))
		ck_abort_msg("%s: %lu", played, GetLastError());
	return ERROR_SUCCESS;
}

get_security *__wrap___imp_GetSecurityInfo = play;

#define ANOTHER "S-1-5-21-1-2-3-1001"

/* "%s" is the user. */
static const struct {
	const char *what;
	const char *rights;
	enum tofu_status status;
} lists[] = {
	/* clang-format off */
	{ "the user's alone",             "O:%sD:P(A;;FA;;;%s)", TOFU_OK },
	{ "the system's, too",            "O:%sD:P(A;;FA;;;%s)(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-3-4)", TOFU_OK },
	{ "nobody's",                     "O:%sD:P", TOFU_OK },
	{ "everybody may read",           "O:%sD:P(A;;FA;;;%s)(A;;FR;;;WD)", TOFU_PERMISSION_DENIED },
	{ "users may read",               "O:%sD:P(A;;FA;;;%s)(A;;FR;;;BU)", TOFU_PERMISSION_DENIED },
	{ "inherited: users may read",    "O:%sD:(A;ID;FA;;;%s)(A;ID;FR;;;BU)", TOFU_PERMISSION_DENIED },
	{ "whoever has logged in may",    "O:%sD:P(A;;FA;;;%s)(A;;FR;;;AU)", TOFU_PERMISSION_DENIED },
	{ "another user may read",        "O:%sD:P(A;;FA;;;%s)(A;;FR;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may write",       "O:%sD:P(A;;FA;;;%s)(A;;0x2;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may append",      "O:%sD:P(A;;FA;;;%s)(A;;0x4;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may delete",      "O:%sD:P(A;;FA;;;%s)(A;;0x10000;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may change it",   "O:%sD:P(A;;FA;;;%s)(A;;0x40000;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may own it",      "O:%sD:P(A;;FA;;;%s)(A;;0x80000;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may do anything", "O:%sD:P(A;;FA;;;%s)(A;;GA;;;" ANOTHER ")", TOFU_PERMISSION_DENIED },
	{ "another user may look at it",  "O:%sD:P(A;;FA;;;%s)(A;;0x120088;;;" ANOTHER ")", TOFU_OK },
	{ "another user may not",         "O:%sD:P(D;;FA;;;" ANOTHER ")(A;;FA;;;%s)", TOFU_OK },
	{ "what is in it, if anything",   "O:%sD:P(A;;FA;;;%s)(A;OIIO;FA;;;WD)", TOFU_OK },
	{ "no list",                      "O:%s", TOFU_PERMISSION_DENIED },
	{ "no owners, no list",           "O:WD", TOFU_PERMISSION_DENIED },
	{ "another user's, for users",    "O:" ANOTHER "D:P(A;;FR;;;BU)", TOFU_OK },
	{ "no rights to be had",          "", TOFU_PERMISSION_DENIED },
	/* clang-format on */
};

/* With %s replaced by the user. */
static void write_rights(const char *rights, char *out, size_t capacity)
{
	char user[OS_USER];

	os_user(user);
	out[0] = '\0';
	for (const char *at; (at = strstr(rights, "%s")) != NULL; rights = at + 2)
		(void)snprintf(out + strlen(out), capacity - strlen(out), "%.*s%s", (int)(at - rights), rights, user);
	(void)snprintf(out + strlen(out), capacity - strlen(out), "%s", rights);
}

START_TEST(a_key_that_others_may_read_or_write_is_refused)
{
	struct tofu_tls_options o = options_of_files();
	char rights[512];

	write_rights(lists[_i].rights, rights, sizeof rights);
	played = rights;
	ck_assert_msg(try_to_create(&o) == lists[_i].status, "%s: %s", lists[_i].what, error);
	if (lists[_i].status != TOFU_OK)
		ck_assert_ptr_nonnull(strstr(error, rights[0] != '\0' ? "others than its owner" : "cannot be read"));
	played = NULL;
}
END_TEST

/* A device, and a pipe in which nothing is. */
START_TEST(what_would_be_waited_for_is_refused)
{
	struct tofu_tls_options o = options_of_files();
	HANDLE pipe;

	o.key_file = "NUL";
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	(void)snprintf(key_file, sizeof key_file, "\\\\.\\pipe\\tofu-test-%016llx", (unsigned long long)os_random());
	pipe = CreateNamedPipeA(key_file, PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
	ck_assert_ptr_ne(pipe, INVALID_HANDLE_VALUE);
	o.key_file = key_file;
	ck_status(try_to_create(&o), TOFU_NOT_ALLOWED);
	ck_assert_ptr_nonnull(strstr(error, "no plain file"));
	ck_assert(CloseHandle(pipe));
}
END_TEST

/* As a program that renews it does, or a scanner. */
START_TEST(a_file_that_somebody_has_open_is_read)
{
	struct tofu_tls_options o = options_of_files();
	HANDLE file = CreateFileA(certificate_file, GENERIC_READ | GENERIC_WRITE | DELETE,
	                          FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);

	ck_assert_ptr_ne(file, INVALID_HANDLE_VALUE);
	ck_status(try_to_create(&o), TOFU_OK);
	ck_assert(CloseHandle(file));
}
END_TEST

static Suite *suite_of_tls_win32(void)
{
	Suite *suite = suite_create("tls, Windows");
	TCase *files = tls_files_case(suite, "files");

	tcase_add_loop_test(files, a_key_that_others_may_read_or_write_is_refused, 0, sizeof lists / sizeof lists[0]);
	tcase_add_test(files, what_would_be_waited_for_is_refused);
	tcase_add_test(files, a_file_that_somebody_has_open_is_read);
	return suite;
}

int main(void)
{
	return harness_run(suite_of_tls_win32());
}
