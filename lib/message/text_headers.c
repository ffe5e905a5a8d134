/* SPDX-License-Identifier: MIT */
/*
 * Text headers are kept as they travel: lines "name: value" ended by CR LF, the last CR LF perhaps missing. Only CR LF
 * ends a line. A line without ':' is a header with that name and an empty value; a line without a name is skipped.
 * Reading takes any bytes, for a peer sent them; what is added here is well-formed, or refused and the message stays as
 * it was.
 */

#include "message/message.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && is_blank(**text)) {
		++*text;
		--*len;
	}
	while (*len > 0 && is_blank((*text)[*len - 1]))
		--*len;
}

/* Where the line that begins at at ends: at its CR LF, or at len. */
static size_t line_end(const unsigned char *data, size_t len, size_t at)
{
	const unsigned char *cr;

	for (; at < len; at++) {
		cr = memchr(data + at, '\r', len - at);
		if (cr == NULL)
			break;
		at = (size_t)(cr - data);
		if (at + 1 < len && data[at + 1] == '\n')
			return at;
	}
	return len;
}

static void parse_line(const char *line, size_t len, struct tofu_text_header *out)
{
	const char *colon = len > 0 ? memchr(line, ':', len) : NULL;
	size_t name_len = colon != NULL ? (size_t)(colon - line) : len;

	out->name = line;
	out->name_len = name_len;
	out->value = colon != NULL ? colon + 1 : line + len;
	out->value_len = colon != NULL ? len - name_len - 1 : 0;
	trim(&out->name, &out->name_len);
	trim(&out->value, &out->value_len);
}

/* Parse one line, header or not (then without a name). Returns where the next one begins. at < len. */
static size_t take_line(const unsigned char *data, size_t len, size_t at, struct tofu_text_header *out)
{
	size_t end = line_end(data, len, at);

	parse_line((const char *)data + at, end - at, out);
	return end < len ? end + 2 : len;
}

static bool is_named(const struct tofu_text_header *h, const char *name)
{
	size_t len = strlen(name);

	return h->name_len == len && len > 0 && memcmp(h->name, name, len) == 0;
}

size_t tofu_text_headers_next(const unsigned char *data, size_t len, size_t at, struct tofu_text_header *out)
{
	while (at < len) {
		at = take_line(data, len, at, out);
		if (out->name_len > 0)
			return at;
	}
	*out = (struct tofu_text_header){ 0 };
	return 0;
}

size_t tofu_text_headers_remove(unsigned char *data, size_t len, const char *name)
{
	struct tofu_text_header h;
	size_t kept = 0;
	size_t next;

	for (size_t at = 0; at < len; at = next) {
		next = take_line(data, len, at, &h);
		if (is_named(&h, name))
			continue;
		memmove(data + kept, data + at, next - at);
		kept += next - at;
	}
	return kept;
}

static unsigned char *append(unsigned char *to, const char *bytes, size_t len)
{
	memcpy(to, bytes, len);
	return to + len;
}

/* Does the last line lack its CR LF? */
static bool is_open(const unsigned char *data, size_t len)
{
	return len > 0 && (len < 2 || memcmp(data + len - 2, "\r\n", 2) != 0);
}

size_t tofu_text_headers_append(unsigned char *data, size_t len, const char *name, size_t name_len, const char *value,
                                size_t value_len)
{
	unsigned char *at = data + len;

	if (is_open(data, len))
		at = append(at, "\r\n", 2);
	at = append(at, name, name_len);
	at = append(at, ": ", 2);
	at = append(at, value, value_len);
	at = append(at, "\r\n", 2);
	return (size_t)(at - data);
}

static bool is_one_line(const char *text, size_t len)
{
	return len > 0 && memchr(text, '\r', len) == NULL && memchr(text, '\n', len) == NULL;
}

enum tofu_status tofu_msg_headers_add(tofu_msg *msg, const char *name, const char *value)
{
	size_t name_len = name != NULL ? strlen(name) : 0;
	size_t value_len = value != NULL ? strlen(value) : 0;
	enum tofu_status st;
	size_t old;

	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	trim(&name, &name_len);
	trim(&value, &value_len);
	if (!is_one_line(name, name_len) || !is_one_line(value, value_len) || memchr(name, ':', name_len) != NULL)
		return TOFU_INVALID_MESSAGE;
	old = msg->headers_len;
	if (name_len > UINT32_MAX / 4 || value_len > UINT32_MAX / 4) /* the sum fits into any size_t */
		return TOFU_INVALID_HEADERS_LEN;
	st = tofu_msg_headers_resize(msg, old + name_len + value_len + TOFU_TEXT_HEADER_EXTRA);
	if (st != TOFU_OK)
		return st;
	msg->headers_len =
		(uint32_t)tofu_text_headers_append(tofu_msg_headers_data(msg), old, name, name_len, value, value_len);
	return TOFU_OK;
}

/* Where in the text headers lines lie, or -1: growing moves them. */
static ptrdiff_t offset_in_headers(const struct tofu_msg *m, const char *lines)
{
	uintptr_t start = (uintptr_t)tofu_msg_headers_data(m);
	uintptr_t at = (uintptr_t)lines;

	return at >= start && at - start < m->headers_len ? (ptrdiff_t)(at - start) : -1;
}

static enum tofu_status append_lines(struct tofu_msg *m, const char *lines, size_t len)
{
	ptrdiff_t inside = offset_in_headers(m, lines);
	size_t old = m->headers_len;
	size_t end = is_open(tofu_msg_headers_data(m), old) ? 2 : 0;
	enum tofu_status st;
	unsigned char *data;

	if (len == 0)
		return TOFU_OK;
	if (len > UINT32_MAX / 4) /* the sum fits into any size_t */
		return TOFU_INVALID_HEADERS_LEN;
	st = tofu_msg_headers_resize(m, old + end + len);
	if (st != TOFU_OK)
		return st;
	data = tofu_msg_headers_data(m);
	memcpy(data + old, "\r\n", end);
	memcpy(data + old + end, inside >= 0 ? (const char *)data + inside : lines, len);
	return TOFU_OK;
}

/* Is each line a header that could have been added, or empty? */
static bool are_headers(const char *lines, size_t len)
{
	const unsigned char *data = (const unsigned char *)lines;
	struct tofu_text_header h;
	size_t next;

	for (size_t at = 0; at < len; at = next) {
		next = take_line(data, len, at, &h);
		if (line_end(data, len, at) == at)
			continue;
		if (!is_one_line(h.name, h.name_len) || !is_one_line(h.value, h.value_len))
			return false;
	}
	return true;
}

enum tofu_status tofu_msg_headers_append(tofu_msg *msg, const char *lines, size_t len)
{
	if (msg == NULL)
		return TOFU_NULL_MESSAGE;
	if (lines == NULL && len > 0)
		return TOFU_NOT_ALLOWED;
	return are_headers(lines, len) ? append_lines(msg, lines, len) : TOFU_INVALID_MESSAGE;
}

enum tofu_status tofu_msg_headers_copy(tofu_msg *msg, const tofu_msg *from)
{
	if (msg == NULL || from == NULL)
		return TOFU_NULL_MESSAGE;
	return append_lines(msg, (const char *)tofu_msg_headers_data(from), from->headers_len);
}

size_t tofu_msg_headers_remove(tofu_msg *msg, const char *name)
{
	struct tofu_text_header h;
	size_t count = 0;

	if (msg == NULL || name == NULL)
		return 0;
	for (size_t at = 0; (at = tofu_msg_headers_next(msg, at, &h)) != 0;)
		count += is_named(&h, name);
	msg->headers_len = (uint32_t)tofu_text_headers_remove(tofu_msg_headers_data(msg), msg->headers_len, name);
	return count;
}

void tofu_msg_headers_clear(tofu_msg *msg)
{
	if (msg != NULL)
		msg->headers_len = 0;
}

const char *tofu_msg_headers_find(const tofu_msg *msg, const char *name, size_t *value_len)
{
	struct tofu_text_header h;

	for (size_t at = 0; name != NULL && (at = tofu_msg_headers_next(msg, at, &h)) != 0;) {
		if (!is_named(&h, name))
			continue;
		if (value_len != NULL)
			*value_len = h.value_len;
		return h.value;
	}
	if (value_len != NULL)
		*value_len = 0;
	return NULL;
}

size_t tofu_msg_headers_next(const tofu_msg *msg, size_t at, struct tofu_text_header *out)
{
	if (out == NULL)
		return 0;
	*out = (struct tofu_text_header){ 0 };
	if (msg == NULL)
		return 0;
	return tofu_text_headers_next(tofu_msg_headers_data(msg), msg->headers_len, at, out);
}
