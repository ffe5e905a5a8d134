/* SPDX-License-Identifier: MIT */
#ifndef TOFU_MESSAGE_ADDRESS_H
#define TOFU_MESSAGE_ADDRESS_H

/*
 * Addresses as text: "scheme|rest", and the URLs that people are used to, which become that. No scheme is known by name here. A
 * transport says which form its addresses have (enum tofu_address_form), and what its URLs begin with. Such rules belong to the
 * pool, as do the messages whose addresses are judged by them.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <tofu/message.h>
#include <tofu/transport.h>

/** The text header that carries the address of a HelloRequest / WelcomeRequest; NULL for other opcodes. */
const char *tofu_address_header(unsigned opcode);

/** What is wrong, as text, in the engine's answer to one of them. */
#define TOFU_DETAIL_HEADER "~detail"

enum { TOFU_SCHEME_MAX = 15, TOFU_ADDRESS_MAX = 512 };

/** The most transports of an engine. */
enum { TOFU_TRANSPORTS_MAX = 16 };

/** How the addresses of one transport are written. Copies: an instance may be gone before the last message. */
struct tofu_address_rule {
	enum tofu_address_form form;
	char scheme[TOFU_SCHEME_MAX + 1];
	char url[TOFU_SCHEME_MAX + 1];
};

/** Those of an engine's transports. All zero: none. Rules are added one thread at a time, are never changed, and read by any. */
struct tofu_address_rules {
	atomic_size_t count;
	struct tofu_address_rule rules[TOFU_TRANSPORTS_MAX];
};

/** There is room. url: NULL for the scheme. Both are schemes. */
void tofu_address_add_rule(struct tofu_address_rules *rules, const char *scheme, const char *url,
                           enum tofu_address_form form);

/** Can an address begin with it? Letters, digits, + - . _, at most TOFU_SCHEME_MAX of them, and not none. */
bool tofu_address_is_scheme(const char *text);
/**
 * Split "scheme|rest" (len bytes, not terminated) into terminated copies. TOFU_INVALID_ADDRESS if it is not of this
 * form, and both are "".
 */
enum tofu_status tofu_address_split(const char *text, size_t len, char scheme[TOFU_SCHEME_MAX + 1],
                                    char rest[TOFU_ADDRESS_MAX + 1]);
/**
 * Write any accepted form of an address as "scheme|rest". Without any rule a URL stays as it is: tofu_post() writes it.
 * TOFU_INVALID_ADDRESS otherwise, and out is "".
 */
enum tofu_status tofu_address_normalize(const struct tofu_address_rules *rules, const char *address,
                                        char out[TOFU_ADDRESS_MAX + 1]);
/** What is wrong with an address, for people. NULL: nothing. The text is static. */
const char *tofu_address_judge(const struct tofu_address_rules *rules, const char *address, enum tofu_opcode opcode);

#endif
