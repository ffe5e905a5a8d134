/* SPDX-License-Identifier: MIT */

/* The backends of a build for Windows. */

#include "reactor/poller.h"

const struct tofu_poller_ops *const tofu_poller_backends[TOFU_POLLER_KINDS] = {
	[TOFU_POLLER_AUTO] = &tofu_poller_afd,
	[TOFU_POLLER_AFD] = &tofu_poller_afd,
};
