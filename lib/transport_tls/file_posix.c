/* SPDX-License-Identifier: MIT */

/* Files on POSIX. What is judged is the file that was opened, not what its path may name by now. */

#include "transport_tls/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <tofu/transport.h>

static enum tofu_status failed(int error, const char **why)
{
	enum tofu_status status = tofu_system_status(error, TOFU_NOT_ALLOWED);

	*why = error == ENOENT || error == ENOTDIR ? "there is no such file" : NULL;
	switch (error) {
	case EACCES:
	case EPERM:
		return TOFU_PERMISSION_DENIED;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return status;
	default:
		return TOFU_NOT_ALLOWED;
	}
}

/* As OpenSSH judges the keys of users. */
static bool is_open_to_others(const struct stat *file)
{
	return file->st_uid == geteuid() && (file->st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

static enum tofu_status read_all(int fd, struct tofu_tls_text *out, const char **why)
{
	size_t have = 0;

	while (have < out->len) {
		ssize_t n = read(fd, out->text + have, out->len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(errno, why);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	out->text[have] = '\0';
	return TOFU_OK;
}

static enum tofu_status read_open(int fd, bool secret, struct tofu_tls_text *out, const char **why)
{
	enum tofu_status status;
	struct stat file;

	if (fstat(fd, &file) != 0)
		return failed(errno, why);
	if (!S_ISREG(file.st_mode) || file.st_size > TOFU_TLS_FILE_MAX) {
		*why = "this is no plain file, or it is too long";
		return TOFU_NOT_ALLOWED;
	}
	if (secret && is_open_to_others(&file)) {
		*why = "others than its owner have access to it";
		return TOFU_PERMISSION_DENIED;
	}
	out->len = (size_t)file.st_size;
	out->text = OPENSSL_zalloc(out->len + 1);
	if (out->text == NULL)
		return TOFU_ALLOCATION_FAILED;
	status = read_all(fd, out, why);
	if (status != TOFU_OK) {
		OPENSSL_clear_free(out->text, out->len);
		*out = (struct tofu_tls_text){ NULL, 0 };
	}
	return status;
}

/* O_NONBLOCK: a path to a pipe is refused, not waited at. */
enum tofu_status tofu_tls_read_file(const char *path, bool secret, struct tofu_tls_text *out, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum tofu_status status;

	*out = (struct tofu_tls_text){ NULL, 0 };
	*why = NULL;
	if (fd < 0)
		return failed(errno, why);
	status = read_open(fd, secret, out, why);
	(void)close(fd); /* nothing was written */
	return status;
}
