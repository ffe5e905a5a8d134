/* SPDX-License-Identifier: MIT */

/*
 * Connections that are only there: what each keeps in memory, and whether they cost a busy one anything. One channel
 * makes round trips, which also warms up all that is allocated once; then the others are opened, and it does the same
 * again.
 *
 * Memory is what the process has resident, so pages that a process had touched before anyway make it less than what is
 * allocated; it takes some hundred connections for a figure that means something.
 */

#include "perf.h"

static double per(uint64_t before, uint64_t after, uint32_t count)
{
	return after > before ? (double)(after - before) / count : 0;
}

bool tofu_perf_connections(struct perf_client *c, struct perf_result *out)
{
	uint32_t idle = c->options->channels;
	struct perf_used own[2], peer[2];
	struct perf_result alone;

	if (!tofu_perf_connect(c, 2) || !tofu_perf_measure(c, &tofu_perf_flow, 1, &alone) ||
	    !tofu_perf_probe(c, &peer[0]))
		return false;
	tofu_perf_used(c->end.engine, &own[0]);
	if (!tofu_perf_connect(c, 2 + idle) || !tofu_perf_probe(c, &peer[1]))
		return false;
	tofu_perf_used(c->end.engine, &own[1]);
	if (!tofu_perf_measure(c, &tofu_perf_flow, 1, out))
		return false;
	out->resident_bytes_per_connection = per(own[0].resident_bytes, own[1].resident_bytes, idle);
	if (c->options->to != NULL)
		out->peer_resident_bytes_per_connection = per(peer[0].resident_bytes, peer[1].resident_bytes, idle);
	out->alone_cpu_ns_per_message = alone.cpu_ns_per_message;
	return true;
}
