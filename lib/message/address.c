/* SPDX-License-Identifier: MIT */

/*
 * Everything here is pure except for connect_to and listen_on, which change the message only when nothing can fail any more.
 *
 * URLs: name://HOST:PORT with an IPv6 address in brackets; name:///PATH, and name:PATH as gRPC writes it, where PATH may be
 * relative. name://HOST for a path is refused: that is a host in a URL, and a path to those who leave out a slash. Bytes are
 * taken as they are. Nothing is percent-decoded except for the "%25" before the zone of an IPv6 address (RFC 6874), which many
 * write as a plain '%'. A path cannot end in a space, since a text header's value does not.
 */

#include "message/address.h"

#include <stdio.h>
#include <string.h>

#include "message/message.h"
#include "message/pool.h"

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

void tofu_address_add_rule(struct tofu_address_rules *rules, const char *scheme, const char *url,
                           enum tofu_address_form form)
{
	size_t count = atomic_load_explicit(&rules->count, memory_order_relaxed);
	struct tofu_address_rule *rule = &rules->rules[count];

	rule->form = form;
	(void)snprintf(rule->scheme, sizeof rule->scheme, "%s", scheme);
	(void)snprintf(rule->url, sizeof rule->url, "%s", url != NULL ? url : scheme);
	atomic_store_explicit(&rules->count, count + 1, memory_order_release);
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(text, word, len) == 0;
}

static size_t rules_count(const struct tofu_address_rules *rules)
{
	return rules != NULL ? atomic_load_explicit(&rules->count, memory_order_acquire) : 0;
}

/* NULL: no transport of that scheme is registered. */
static const struct tofu_address_rule *rule_of_scheme(const struct tofu_address_rules *rules, const char *text,
                                                      size_t len)
{
	for (size_t i = 0; i < rules_count(rules); i++)
		if (is_word(text, len, rules->rules[i].scheme))
			return &rules->rules[i];
	return NULL;
}

/* Several may have URLs that begin alike: two instances of one transport. The first one has them. */
static const struct tofu_address_rule *rule_of_url(const struct tofu_address_rules *rules, const char *text, size_t len)
{
	for (size_t i = 0; i < rules_count(rules); i++)
		if (is_word(text, len, rules->rules[i].url))
			return &rules->rules[i];
	return NULL;
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
static const char *write_host_port(char out[TOFU_ADDRESS_MAX + 1], const char *scheme, const char *host,
                                   size_t host_len, const char *port)
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
	return write_address(out, scheme, host, host_len, tail);
}

/* "scheme|rest", rest being what follows the '|'. "&..." is a socket that is there already, in each form. */
static const char *normalize_plain(const struct tofu_address_rules *rules, const char *address, size_t scheme_len,
                                   char out[TOFU_ADDRESS_MAX + 1])
{
	const struct tofu_address_rule *rule = rule_of_scheme(rules, address, scheme_len);
	const char *rest = address + scheme_len + 1;
	size_t host_len = strcspn(rest, "|");

	if (rule != NULL && rule->form == TOFU_FORM_HOST_PORT && rest[0] != '&')
		return write_host_port(out, rule->scheme, rest, host_len,
		                       rest[host_len] == '|' ? rest + host_len + 1 : NULL);
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
static const char *normalize_host_port(const char *scheme, const char *at, char out[TOFU_ADDRESS_MAX + 1])
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
	return write_host_port(out, scheme, host, len, *after == ':' ? after + 1 : NULL);
}

static const char no_transport[] = "the address does not begin with a transport and a bar, like TRANSPORT|REST";

/* What follows the colon of a URL. */
static const char *normalize_url(const struct tofu_address_rule *rule, const char *at, char out[TOFU_ADDRESS_MAX + 1])
{
	bool slashes = strncmp(at, "//", 2) == 0;

	if (slashes)
		at += 2;
	switch (rule->form) {
	case TOFU_FORM_HOST_PORT:
		return slashes ? normalize_host_port(rule->scheme, at, out) : no_transport;
	case TOFU_FORM_PATH:
		if (slashes && at[0] != '/' && at[0] != '\0')
			return "a path behind :// begins with a slash";
		break;
	case TOFU_FORM_TEXT:
		break;
	}
	return write_address(out, rule->scheme, at, strlen(at), "");
}

/* Any accepted form becomes "scheme|rest". Otherwise what is wrong, and out is undefined. */
static const char *normalize(const struct tofu_address_rules *rules, const char *address,
                             char out[TOFU_ADDRESS_MAX + 1])
{
	size_t len = strlen(address);
	const char *fault = fault_of_text(address, len);
	size_t scheme = fault == NULL ? scheme_len(address, len) : 0;
	const char *after = address + scheme;
	const struct tofu_address_rule *rule;

	if (fault != NULL)
		return fault;
	if (scheme > 0 && after[0] == '|')
		return normalize_plain(rules, address, scheme, out);
	rule = scheme > 0 && after[0] == ':' ? rule_of_url(rules, address, scheme) : NULL;
	if (rule != NULL)
		return normalize_url(rule, after + 1, out);
	if (rules_count(rules) > 0 || scheme == 0 || strncmp(after, "://", 3) != 0)
		return no_transport;
	copy(out, address, len);
	return NULL;
}

enum tofu_status tofu_address_normalize(const struct tofu_address_rules *rules, const char *address,
                                        char out[TOFU_ADDRESS_MAX + 1])
{
	if (normalize(rules, address, out) == NULL)
		return TOFU_OK;
	out[0] = '\0';
	return TOFU_INVALID_ADDRESS;
}

/* An address in normal form can be listened on without host, port or path, but not called. */
static const char *fault_of_call(const struct tofu_address_rules *rules, const char *address)
{
	size_t scheme = strcspn(address, "|"), len = strlen(address);
	const struct tofu_address_rule *rule = rule_of_scheme(rules, address, scheme);
	const char *rest = address + scheme + 1;

	if (rule == NULL || rule->form == TOFU_FORM_TEXT)
		return NULL;
	if (rule->form == TOFU_FORM_PATH)
		return *rest == '\0' ? "the path is missing" : NULL;
	if (*rest == '|')
		return "the host is missing";
	return strcmp(address + len - 2, "|0") == 0 ? "nobody can be called at port 0" : NULL;
}

static const char *fault_for(const struct tofu_address_rules *rules, const char *address, enum tofu_opcode opcode,
                             char normal[TOFU_ADDRESS_MAX + 1])
{
	const char *fault = address != NULL ? normalize(rules, address, normal) : "the address is missing";

	return fault == NULL && opcode == TOFU_HELLO_REQUEST ? fault_of_call(rules, normal) : fault;
}

const char *tofu_address_judge(const struct tofu_address_rules *rules, const char *address, enum tofu_opcode opcode)
{
	char normal[TOFU_ADDRESS_MAX + 1];

	return fault_for(rules, address, opcode, normal);
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
	if (fault_for(tofu_pool_rules_of(msg), address, opcode, normal) != NULL)
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
