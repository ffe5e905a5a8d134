/* SPDX-License-Identifier: MIT */

#include "pollers.h"

const struct pollers_backend pollers[] = {
	{ "afd", TOFU_POLLER_AFD },
};
const int pollers_count = sizeof pollers / sizeof pollers[0];
