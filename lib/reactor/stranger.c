/* SPDX-License-Identifier: MIT */

/*
 * A frame does not begin like one of these: its third byte would have an internal bit, or its fourth a status. There is one
 * exception: a TLS record of less than 256 bytes can look like the header of a hello, and is taken for one.
 */

#include "reactor/stranger.h"

#include <stdbool.h>
#include <string.h>

enum {
	TLS_FIRST = 20, /* types of TLS records: change_cipher_spec, alert, handshake, application_data */
	TLS_LAST = 23,
	TLS_MAJOR = 3,
	TLS_MINOR_LAST = 4,
	TLS_LEN = 5,
	TEXT_LEN = 4
};

static bool begins_with(const unsigned char *bytes, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(bytes, word, n) == 0;
}

static bool is_http(const unsigned char *bytes, size_t len)
{
	static const char *const words[] = { "HTTP/",    "GET ",     "HEAD ",  "POST ",  "PUT ",      "DELETE ",
		                             "OPTIONS ", "CONNECT ", "TRACE ", "PATCH ", "PRI * HTTP" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (begins_with(bytes, len, words[i]))
			return true;
	return false;
}

static bool is_tls(const unsigned char *bytes, size_t len)
{
	return len >= TLS_LEN && bytes[0] >= TLS_FIRST && bytes[0] <= TLS_LAST && bytes[1] == TLS_MAJOR &&
	       bytes[2] <= TLS_MINOR_LAST;
}

static bool is_text(const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((bytes[i] < 0x20 || bytes[i] > 0x7e) && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n')
			return false;
	return len >= TEXT_LEN;
}

const char *tofu_stranger(const unsigned char *bytes, size_t len)
{
	if (is_http(bytes, len))
		return "HTTP";
	if (is_tls(bytes, len))
		return "TLS";
	if (begins_with(bytes, len, "SSH-"))
		return "SSH";
	return is_text(bytes, len) ? "text" : NULL;
}
