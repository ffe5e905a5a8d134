/* SPDX-License-Identifier: MIT */

#include "transport_tcp/prefixes.h"

#include <stdlib.h>
#include <string.h>

#include "transport_tcp/digits.h"

enum { ITEM_MAX = 63 };

static const char separators[] = " ,";

static bool bit_of(const unsigned char *bytes, unsigned bit)
{
	return (bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

/* "10.1.0.0/8" is a slip: it says that somebody counted wrong. */
static bool has_bits_beyond(const struct tofu_prefix *p)
{
	for (unsigned bit = p->bits; bit < p->len * 8; bit++)
		if (bit_of(p->bytes, bit))
			return true;
	return false;
}

static enum tofu_status parse_one(const char *text, size_t len, struct tofu_prefix *out)
{
	char item[ITEM_MAX + 1];
	struct tofu_sockaddr address;
	enum tofu_status st;
	char *slash;
	size_t count;
	int bits;

	if (len > ITEM_MAX)
		return TOFU_INVALID_ADDRESS;
	memcpy(item, text, len);
	item[len] = '\0';
	slash = strchr(item, '/');
	if (slash != NULL)
		*slash = '\0';
	if (item[0] == '\0') /* every interface, elsewhere */
		return TOFU_INVALID_ADDRESS;
	st = tofu_sockaddr_inet(item, 0, 0, &address, 1, &count);
	if (st != TOFU_OK)
		return st == TOFU_HOST_NOT_FOUND || st == TOFU_WOULD_BLOCK ? TOFU_INVALID_ADDRESS : st;
	out->len = tofu_sockaddr_inet_bytes(&address, out->bytes);
	bits = slash != NULL ? tofu_digits(slash + 1, (int)out->len * 8) : (int)out->len * 8;
	if (bits < 0)
		return TOFU_INVALID_ADDRESS;
	out->bits = (unsigned)bits;
	return has_bits_beyond(out) ? TOFU_INVALID_ADDRESS : TOFU_OK;
}

static size_t count_items(const char *text)
{
	size_t count = 0;

	for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
		text += strcspn(text, separators);
		count++;
	}
	return count;
}

enum tofu_status tofu_prefixes_parse(const char *text, struct tofu_prefix **out, size_t *count)
{
	struct tofu_prefix *prefixes;
	enum tofu_status st = TOFU_OK;
	size_t n = text != NULL ? count_items(text) : 0;

	*out = NULL;
	*count = 0;
	if (text == NULL)
		return TOFU_OK;
	if (n == 0)
		return TOFU_INVALID_ADDRESS;
	prefixes = calloc(n, sizeof *prefixes);
	if (prefixes == NULL)
		return TOFU_ALLOCATION_FAILED;
	for (size_t i = 0; i < n && st == TOFU_OK; i++) {
		size_t len;

		text += strspn(text, separators);
		len = strcspn(text, separators);
		st = parse_one(text, len, &prefixes[i]);
		text += len;
	}
	if (st != TOFU_OK) {
		free(prefixes);
		return st;
	}
	*out = prefixes;
	*count = n;
	return TOFU_OK;
}

static bool has(const struct tofu_prefix *p, const unsigned char *bytes, size_t len)
{
	size_t whole = p->bits / 8;
	unsigned char mask = (unsigned char)(0xff00u >> p->bits % 8);

	return len == p->len && memcmp(bytes, p->bytes, whole) == 0 &&
	       (p->bits % 8 == 0 || ((bytes[whole] ^ p->bytes[whole]) & mask) == 0);
}

bool tofu_prefixes_have(const struct tofu_prefix *prefixes, size_t count, const struct tofu_sockaddr *address)
{
	unsigned char bytes[16];
	size_t len = tofu_sockaddr_inet_bytes(address, bytes);

	for (size_t i = 0; i < count; i++)
		if (has(&prefixes[i], bytes, len))
			return true;
	return false;
}
