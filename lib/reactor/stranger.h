/* SPDX-License-Identifier: MIT */
#ifndef TOFU_REACTOR_STRANGER_H
#define TOFU_REACTOR_STRANGER_H

/* Who calls a port, or answers at one, that is not meant for it: a guess from the first bytes, for the log. */

#include <stddef.h>

/** "HTTP", "TLS", "SSH", "text"; NULL if a frame may begin like that. Pure. */
const char *tofu_stranger(const unsigned char *bytes, size_t len);

#endif
