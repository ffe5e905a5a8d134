/* SPDX-License-Identifier: MIT */

#include "pollers.h"

const struct pollers_backend pollers[] = {
	{ "poll", TOFU_POLLER_POLL },
	{ "epoll", TOFU_POLLER_EPOLL },
};
const int pollers_count = sizeof pollers / sizeof pollers[0];
