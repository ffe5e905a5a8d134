/* SPDX-License-Identifier: MIT */

/* Files on Windows, which have no modes: who may read a key is the directory's affair. Paths are UTF-8. */

#include "transport_tls/file.h"

#include <windows.h>

#include <openssl/crypto.h>

#include <tofu/transport.h>

enum { PATH_UNITS = 32768 };

static enum tofu_status failed(DWORD error, const char **why)
{
	bool missing = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;

	*why = missing ? "there is no such file" : NULL;
	return missing ? TOFU_NOT_ALLOWED : tofu_system_status((int)error, TOFU_NOT_ALLOWED);
}

static HANDLE open_file(const char *path)
{
	wchar_t *wide = OPENSSL_malloc(PATH_UNITS * sizeof *wide);
	HANDLE file = INVALID_HANDLE_VALUE;

	if (wide == NULL)
		SetLastError(ERROR_NOT_ENOUGH_MEMORY);
	else if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, PATH_UNITS) > 0)
		file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL,
		                   NULL);
	OPENSSL_free(wide);
	return file;
}

static enum tofu_status read_open(HANDLE file, struct tofu_tls_text *out, const char **why)
{
	LARGE_INTEGER size;
	DWORD done;

	if (!GetFileSizeEx(file, &size))
		return failed(GetLastError(), why);
	if (size.QuadPart > TOFU_TLS_FILE_MAX) {
		*why = "the file is too long";
		return TOFU_NOT_ALLOWED;
	}
	out->len = (size_t)size.QuadPart;
	out->text = OPENSSL_zalloc(out->len + 1);
	if (out->text == NULL)
		return TOFU_ALLOCATION_FAILED;
	if (ReadFile(file, out->text, (DWORD)out->len, &done, NULL))
		return TOFU_OK;
	OPENSSL_clear_free(out->text, out->len);
	*out = (struct tofu_tls_text){ NULL, 0 };
	return failed(GetLastError(), why);
}

enum tofu_status tofu_tls_read_file(const char *path, bool secret, struct tofu_tls_text *out, const char **why)
{
	HANDLE file = open_file(path);
	enum tofu_status status;

	*out = (struct tofu_tls_text){ NULL, 0 };
	*why = NULL;
	if (file == INVALID_HANDLE_VALUE)
		return failed(GetLastError(), why);
	status = read_open(file, out, why);
	(void)CloseHandle(file); /* nothing was written */
	return status;
}
