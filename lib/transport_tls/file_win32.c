/* SPDX-License-Identifier: MIT */

/*
 * Files on Windows. What is judged is the file that was opened, not what its path may name by now. Paths are UTF-8.
 *
 * There are no modes: a file has an owner, and a list of who may do what. Windows gives a file that an administrator makes to all
 * of them, so this user's files are those that it owns, and those of the owner that its own new files get.
 */

#include "transport_tls/file.h"

#include <windows.h>

#include <aclapi.h>

#include <openssl/crypto.h>

#include <tofu/transport.h>

enum { PATH_UNITS = 32768 };

static enum tofu_status failed(DWORD error, const char **why)
{
	enum tofu_status status = tofu_system_status((int)error, TOFU_NOT_ALLOWED);

	*why = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ? "there is no such file" : NULL;
	if (status == TOFU_PERMISSION_DENIED || status == TOFU_LIMIT_REACHED || status == TOFU_ALLOCATION_FAILED)
		return status;
	return TOFU_NOT_ALLOWED;
}

/* --- who has access --- */

/* Any of these shows what is in a file, or lets somebody put something else there. */
static const DWORD access_bits = FILE_READ_DATA | FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | WRITE_DAC |
                                 WRITE_OWNER | GENERIC_ALL | GENERIC_READ | GENERIC_WRITE;

/* Whom the calling thread acts for, and whose the files are that it makes. */
struct self {
	union {
		TOKEN_USER is;
		BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
	} user;
	union {
		TOKEN_OWNER is;
		BYTE room[sizeof(TOKEN_OWNER) + SECURITY_MAX_SID_SIZE];
	} owner;
};

static bool know_self(struct self *out)
{
	HANDLE token = GetCurrentThreadEffectiveToken();
	DWORD size;

	return GetTokenInformation(token, TokenUser, &out->user, sizeof out->user, &size) &&
	       GetTokenInformation(token, TokenOwner, &out->owner, sizeof out->owner, &size);
}

/* A file system that has no owners says that everybody is. */
static bool is_ours(const struct self *self, PSID owner)
{
	return owner == NULL || EqualSid(owner, self->user.is.User.Sid) || EqualSid(owner, self->owner.is.Owner) ||
	       IsWellKnownSid(owner, WinWorldSid);
}

/* The system and its administrators get at any file, whatever its list says. */
static bool is_other(const struct self *self, PSID who)
{
	return !EqualSid(who, self->user.is.User.Sid) && !IsWellKnownSid(who, WinLocalSystemSid) &&
	       !IsWellKnownSid(who, WinBuiltinAdministratorsSid) && !IsWellKnownSid(who, WinCreatorOwnerRightsSid);
}

/* Who is denied something may still have it by another entry's leave: only what is allowed counts. No list: all is. */
static bool lets_others_in(const struct self *self, ACL *list)
{
	ACCESS_ALLOWED_ACE *entry;

	for (DWORD i = 0; list != NULL && i < list->AceCount; i++) {
		if (!GetAce(list, i, (void **)&entry))
			return true;
		if ((entry->Header.AceFlags & INHERIT_ONLY_ACE) != 0 || (entry->Mask & access_bits) == 0)
			continue;
		switch (entry->Header.AceType) {
		case ACCESS_ALLOWED_ACE_TYPE:
		case ACCESS_ALLOWED_CALLBACK_ACE_TYPE:
			if (is_other(self, &entry->SidStart))
				return true;
			break;
		case ACCESS_ALLOWED_OBJECT_ACE_TYPE: /* not for files */
		case ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE:
			return true;
		default:
			break;
		}
	}
	return list == NULL;
}

static DWORD judge_access(HANDLE file, bool *open_to_others)
{
	PSECURITY_DESCRIPTOR descriptor;
	struct self self;
	PSID owner;
	ACL *list;
	DWORD error = GetSecurityInfo(file, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
	                              &owner, NULL, &list, NULL, &descriptor);

	if (error != ERROR_SUCCESS)
		return error;
	if (know_self(&self))
		*open_to_others = is_ours(&self, owner) && lets_others_in(&self, list);
	else
		error = GetLastError();
	LocalFree(descriptor);
	return error;
}

/* --- reading --- */

static DWORD open_file(const char *path, HANDLE *out)
{
	wchar_t *wide = OPENSSL_malloc(PATH_UNITS * sizeof *wide);
	DWORD error = ERROR_SUCCESS;

	if (wide == NULL)
		return ERROR_NOT_ENOUGH_MEMORY;
	/* Directories, too: they are to be refused as what they are. */
	if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, PATH_UNITS) > 0)
		*out = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
		                   OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
	else
		*out = INVALID_HANDLE_VALUE;
	if (*out == INVALID_HANDLE_VALUE)
		error = GetLastError();
	OPENSSL_free(wide);
	return error;
}

/* A pipe or a console would be waited for. */
static bool is_plain(HANDLE file, size_t *len)
{
	FILE_STANDARD_INFO info;

	if (GetFileType(file) != FILE_TYPE_DISK ||
	    !GetFileInformationByHandleEx(file, FileStandardInfo, &info, sizeof info))
		return false;
	*len = (size_t)info.EndOfFile.QuadPart;
	return !info.Directory && info.EndOfFile.QuadPart <= TOFU_TLS_FILE_MAX;
}

static DWORD read_all(HANDLE file, struct tofu_tls_text *out)
{
	DWORD done;

	return ReadFile(file, out->text, (DWORD)out->len, &done, NULL) ? ERROR_SUCCESS : GetLastError();
}

static enum tofu_status read_open(HANDLE file, bool secret, struct tofu_tls_text *out, const char **why)
{
	bool open_to_others = false;
	DWORD error;
	size_t len;

	if (!is_plain(file, &len)) {
		*why = "this is no plain file, or it is too long";
		return TOFU_NOT_ALLOWED;
	}
	error = secret ? judge_access(file, &open_to_others) : ERROR_SUCCESS;
	if (error != ERROR_SUCCESS)
		return failed(error, why);
	if (open_to_others) {
		*why = "others than its owner have access to it";
		return TOFU_PERMISSION_DENIED;
	}
	*out = (struct tofu_tls_text){ OPENSSL_zalloc(len + 1), len };
	if (out->text == NULL)
		return TOFU_ALLOCATION_FAILED;
	error = read_all(file, out);
	if (error == ERROR_SUCCESS)
		return TOFU_OK;
	OPENSSL_clear_free(out->text, out->len);
	*out = (struct tofu_tls_text){ NULL, 0 };
	return failed(error, why);
}

enum tofu_status tofu_tls_read_file(const char *path, bool secret, struct tofu_tls_text *out, const char **why)
{
	enum tofu_status status;
	HANDLE file;
	DWORD error = open_file(path, &file);

	*out = (struct tofu_tls_text){ NULL, 0 };
	*why = NULL;
	if (error != ERROR_SUCCESS)
		return failed(error, why);
	status = read_open(file, secret, out, why);
	(void)CloseHandle(file); /* nothing was written */
	return status;
}
