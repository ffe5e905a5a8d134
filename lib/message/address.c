/* SPDX-License-Identifier: MIT */
/*
 * Addresses as text: "scheme|rest", and the URLs that people are used to, which become that. Only the forms of tcp and
 * uds are checked here; what follows another scheme is its transport's business. Everything is pure but connect_to and
 * listen_on, which change the message only when nothing can fail any more.
 *
 * URLs: tcp://HOST:PORT with an IPv6 address in brackets; unix:///PATH, and unix:PATH as gRPC writes it, where PATH may
 * be relative. unix://NAME is refused: NAME is a host there, and a path to those who leave out a slash. Bytes are taken
 * as they are; nothing is percent-decoded but the "%25" before the zone of an IPv6 address (RFC 6874), which many write as
 * a plain '%'. A path cannot end in a space, since a text header's value does not.
 */

#include "message/message.h"

#include <stdio.h>
#include <string.h>

enum { PORT_MAX = 65535, PORT_DIGITS = 5 };

static bool is_scheme_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("+-._", c) != NULL);
}

/* Bytes of the scheme that text begins with; 0 if it is none. */
static size_t scheme_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && is_scheme_char(text[n]))
		n++;
	return n <= TOFU_SCHEME_MAX ? n : 0;
}

bool tofu_address_is_scheme(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && scheme_len(text, len) == len;
}

static const char too_long[] = "the address is longer than 512 bytes";

/*
 * What is wrong with an address, for people: what follows "tcp|h: ". NULL: nothing. No control bytes (one would end the header,
 * or the string), no space at the end (it would be cut off).
 */
static const char *fault_of_text(const char *text, size_t len)
{
	if (len == 0)
		return "the address is empty";
	if (len > TOFU_ADDRESS_MAX)
		return too_long;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			return "the address contains a control character";
	}
	return text[len - 1] == ' ' ? "the address ends with a space" : NULL;
}

static void copy(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	to[len] = '\0';
}

const char *tofu_address_header(unsigned opcode)
{
	if (opcode == TOFU_HELLO_REQUEST)
		return "~connect_to";
	return opcode == TOFU_WELCOME_REQUEST ? "~listen_on" : NULL;
}

enum tofu_status tofu_address_split(const char *text, size_t len, char scheme[TOFU_SCHEME_MAX + 1],
                                    char rest[TOFU_ADDRESS_MAX + 1])
{
	size_t n = scheme_len(text, len);

	scheme[0] = '\0';
	rest[0] = '\0';
	if (n == 0 || n == len || text[n] != '|' || fault_of_text(text, len) != NULL)
		return TOFU_INVALID_ADDRESS;
	copy(scheme, text, n);
	copy(rest, text + n + 1, len - n - 1);
	return TOFU_OK;
}

/* A decimal number up to 65535, or -1. */
static int32_t parse_port(const char *digits)
{
	int32_t port = 0;
	size_t n = strlen(digits);

	if (n == 0 || n > PORT_DIGITS)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return -1;
		port = port * 10 + (digits[i] - '0');
	}
	return port <= PORT_MAX ? port : -1;
}

static const char *write_address(char out[TOFU_ADDRESS_MAX + 1], const char *scheme, const char *rest, size_t rest_len,
                                 const char *more)
{
	int n = snprintf(out, TOFU_ADDRESS_MAX + 1, "%s|%.*s%s", scheme, (int)rest_len, rest, more);

	return n > 0 && n <= TOFU_ADDRESS_MAX ? NULL : too_long;
}

/* port: NULL if there is none. */
static const char *write_tcp(char out[TOFU_ADDRESS_MAX + 1], const char *host, size_t host_len, const char *port)
{
	int32_t number;
	char tail[1 + PORT_DIGITS + 1];

	if (memchr(host, '|', host_len) != NULL)
		return "the host contains a bar";
	if (memchr(host, ' ', host_len) != NULL)
		return "the host contains a space";
	if (port == NULL || *port == '\0')
		return "the port is missing";
	number = parse_port(port);
	if (number < 0)
		return "the port is not a number from 0 to 65535";
	(void)snprintf(tail, sizeof tail, "|%u", (unsigned)number % (PORT_MAX + 1u));
	return write_address(out, "tcp", host, host_len, tail);
}

/* "scheme|rest", rest being what follows the '|'. */
static const char *normalize_plain(const char *address, size_t scheme, char out[TOFU_ADDRESS_MAX + 1])
{
	const char *rest = address + scheme + 1;
	size_t host_len = strcspn(rest, "|");

	if (scheme == 3 && memcmp(address, "tcp", 3) == 0)
		return write_tcp(out, rest, host_len, rest[host_len] == '|' ? rest + host_len + 1 : NULL);
	copy(out, address, strlen(address));
	return NULL;
}

/* "fe80::1%25eth0" becomes "fe80::1%eth0". "%25" with nothing behind it is the zone 25. */
static size_t decode_zone(const char *text, size_t len, char host[TOFU_ADDRESS_MAX + 1])
{
	const char *percent = memchr(text, '%', len);
	size_t before = percent != NULL ? (size_t)(percent - text) + 1 : len;
	size_t skip = len > before + 2 && memcmp(text + before, "25", 2) == 0 ? 2 : 0;

	memcpy(host, text, before);
	memcpy(host + before, text + before + skip, len - before - skip);
	return len - skip;
}

/* "HOST:PORT" or "[IPV6]:PORT". */
static const char *normalize_tcp_url(const char *at, char out[TOFU_ADDRESS_MAX + 1])
{
	bool bracket = at[0] == '[';
	const char *host = bracket ? at + 1 : at;
	size_t len = strcspn(host, bracket ? "]" : ":");
	const char *after = host + len;
	char decoded[TOFU_ADDRESS_MAX + 1];

	if (bracket && *after++ != ']')
		return "the host has no closing bracket";
	if (bracket && len == 0)
		return "the host is missing";
	/* '/', '?', '#' and '@' are what a URL may have but an address has not; ':' was looked for. */
	if (strcspn(host, "/?#@[]") < len)
		return "the host contains one of / ? # @ [ ]";
	if (*after != ':' && *after != '\0')
		return "a colon is missing before the port";
	if (bracket) {
		len = decode_zone(host, len, decoded);
		host = decoded;
	}
	return write_tcp(out, host, len, *after == ':' ? after + 1 : NULL);
}

/* What follows "unix:". */
static const char *normalize_unix_url(const char *at, char out[TOFU_ADDRESS_MAX + 1])
{
	if (strncmp(at, "//", 2) == 0) {
		at += 2;
		if (at[0] != '/' && at[0] != '\0')
			return "a path behind unix:// begins with a slash";
	}
	return write_address(out, "uds", at, strlen(at), "");
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* Any accepted form becomes "scheme|rest". Otherwise what is wrong, and out is undefined. */
static const char *normalize(const char *address, char out[TOFU_ADDRESS_MAX + 1])
{
	size_t len = strlen(address);
	const char *fault = fault_of_text(address, len);
	size_t scheme = fault == NULL ? scheme_len(address, len) : 0;
	const char *after = address + scheme;

	if (fault != NULL)
		return fault;
	if (scheme > 0 && after[0] == '|')
		return normalize_plain(address, scheme, out);
	if (is_word(address, scheme, "tcp") && strncmp(after, "://", 3) == 0)
		return normalize_tcp_url(after + 3, out);
	if (is_word(address, scheme, "unix") && after[0] == ':')
		return normalize_unix_url(after + 1, out);
	return "the address does not begin with a transport and a bar, like tcp|HOST|PORT";
}

enum tofu_status tofu_address_normalize(const char *address, char out[TOFU_ADDRESS_MAX + 1])
{
	if (normalize(address, out) == NULL)
		return TOFU_OK;
	out[0] = '\0';
	return TOFU_INVALID_ADDRESS;
}

/* An address in normal form can be listened on without host, port or path, but not called. */
static const char *fault_of_call(const char *address)
{
	size_t len = strlen(address);

	if (strncmp(address, "tcp||", 5) == 0)
		return "the host is missing";
	if (strncmp(address, "tcp|", 4) == 0 && address[len - 1] == '0' && address[len - 2] == '|')
		return "nobody can be called at port 0";
	return strcmp(address, "uds|") == 0 ? "the path is missing" : NULL;
}

static const char *fault_for(const char *address, enum tofu_opcode opcode, char normal[TOFU_ADDRESS_MAX + 1])
{
	const char *fault = address != NULL ? normalize(address, normal) : "the address is missing";

	return fault == NULL && opcode == TOFU_HELLO_REQUEST ? fault_of_call(normal) : fault;
}

const char *tofu_address_fault(const char *address, enum tofu_opcode opcode)
{
	char normal[TOFU_ADDRESS_MAX + 1];

	return fault_for(address, opcode, normal);
}

/* Room first; after that nothing fails. */
static enum tofu_status write_header(struct tofu_msg *m, const char *name, const char *address)
{
	size_t old = m->headers_len;
	size_t name_len = strlen(name);
	size_t address_len = strlen(address);
	unsigned char *data;
	size_t len;
	enum tofu_status st = tofu_msg_headers_resize(m, old + name_len + address_len + TOFU_TEXT_HEADER_EXTRA);

	if (st != TOFU_OK)
		return st;
	data = tofu_msg_headers_data(m);
	len = tofu_text_headers_remove(data, old, tofu_address_header(TOFU_HELLO_REQUEST));
	len = tofu_text_headers_remove(data, len, tofu_address_header(TOFU_WELCOME_REQUEST));
	len = tofu_text_headers_remove(data, len, TOFU_DETAIL_HEADER); /* of an address that failed */
	m->headers_len = (uint32_t)tofu_text_headers_append(data, len, name, name_len, address, address_len);
	return TOFU_OK;
}

static enum tofu_status set_address(tofu_msg *msg, enum tofu_opcode opcode, const char *address)
{
	char normal[TOFU_ADDRESS_MAX + 1];
	enum tofu_status st;

	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	if (fault_for(address, opcode, normal) != NULL)
		return TOFU_INVALID_ADDRESS;
	st = write_header(msg, tofu_address_header(opcode), normal);
	if (st != TOFU_OK)
		return st;
	msg->header.opcode = (uint8_t)opcode;
	msg->header.channel = 0;
	msg->header.status = 0;
	msg->header.reason = 0;
	msg->header.more = 0;
	return TOFU_OK;
}

enum tofu_status tofu_msg_connect_to(tofu_msg *msg, const char *address)
{
	return set_address(msg, TOFU_HELLO_REQUEST, address);
}

enum tofu_status tofu_msg_listen_on(tofu_msg *msg, const char *address)
{
	return set_address(msg, TOFU_WELCOME_REQUEST, address);
}
