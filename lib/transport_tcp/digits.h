/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TRANSPORT_TCP_DIGITS_H
#define TOFU_TRANSPORT_TCP_DIGITS_H

/** Decimal digits and nothing else: no sign, no space, no octal. -1: it is not that, or more than most. */
static inline int tofu_digits(const char *text, int most)
{
	int value = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
		if (value > most)
			return -1;
	}
	return value;
}

#endif
