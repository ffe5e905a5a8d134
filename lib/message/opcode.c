/* SPDX-License-Identifier: MIT */
/*
 * What is true of each opcode, in one table by number. Nothing else in the library knows it.
 */

#include "message/message.h"

enum { NONE = -1 };

#define KIND(type, role) TOFU_TYPE_##type, TOFU_ROLE_##role

/* clang-format off */
const struct tofu_opcode_rule tofu_opcode_rules[TOFU_OPCODES] = {
	/*                            name               type, role                travels posted echo */
	[TOFU_REQUEST]          = { "Request",         KIND(REGULAR, REQUEST),   true,   true,  TOFU_RESPONSE },
	[TOFU_RESPONSE]         = { "Response",        KIND(REGULAR, RESPONSE),  true,   true,  NONE },
	[TOFU_SIGNAL]           = { "Signal",          KIND(REGULAR, SIGNAL),    true,   true,  TOFU_SIGNAL },
	[TOFU_HELLO_REQUEST]    = { "HelloRequest",    KIND(HELLO, REQUEST),     true,   true,  TOFU_HELLO_RESPONSE },
	[TOFU_HELLO_RESPONSE]   = { "HelloResponse",   KIND(HELLO, RESPONSE),    true,   true,  NONE },
	[TOFU_BYE_REQUEST]      = { "ByeRequest",      KIND(BYE, REQUEST),       true,   true,  TOFU_BYE_RESPONSE },
	[TOFU_BYE_RESPONSE]     = { "ByeResponse",     KIND(BYE, RESPONSE),      true,   true,  NONE },
	[TOFU_BYE_SIGNAL]       = { "ByeSignal",       KIND(BYE, SIGNAL),        true,   true,  NONE }, /* from others only */
	[TOFU_WELCOME_REQUEST]  = { "WelcomeRequest",  KIND(WELCOME, REQUEST),   false,  true,  TOFU_WELCOME_RESPONSE },
	[TOFU_WELCOME_RESPONSE] = { "WelcomeResponse", KIND(WELCOME, RESPONSE),  false,  false, NONE },
};
/* clang-format on */

/* Negative numbers are large ones then. */
static const struct tofu_opcode_rule *rule_of(int opcode)
{
	return tofu_opcode_rule((unsigned)opcode);
}

const char *tofu_opcode_name(int opcode)
{
	const struct tofu_opcode_rule *rule = rule_of(opcode);

	return rule != NULL ? rule->name : "unknown_opcode";
}

int tofu_opcode_type(int opcode)
{
	const struct tofu_opcode_rule *rule = rule_of(opcode);

	return rule != NULL ? (int)rule->type : NONE;
}

int tofu_opcode_role(int opcode)
{
	const struct tofu_opcode_rule *rule = rule_of(opcode);

	return rule != NULL ? (int)rule->role : NONE;
}

int tofu_opcode_echo(int opcode)
{
	const struct tofu_opcode_rule *rule = rule_of(opcode);

	return rule != NULL ? rule->echo : NONE;
}
