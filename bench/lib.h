/* SPDX-License-Identifier: MIT */
#ifndef TOFU_BENCH_LIB_H
#define TOFU_BENCH_LIB_H

/*
 * What the peer programs share: one command line, one clock, one histogram, one way to say what came out.
 *
 * A peer is a name and, per work, the two ends. The lib finds out what is asked for, runs that end, and prints what it
 * measured. The server says "listening ADDRESS" on its standard output, serves one client, and ends. Nothing here comes
 * back with an error: a measurement that fails has no result, so the program says why and exits with 1.
 *
 * The works, the same for everybody:
 *   throughput   the client sends count messages one way over one connection; the server, which receives them, measures
 *                from the first to the last
 *   latency      count requests over one connection, each when the response to the last one is here
 *   parallel     count requests in all over as many connections as there are channels, one under way on each
 *   connections  as latency, beside as many idle connections as there are channels; and what these weigh
 *   churn        count times, one after the other: connect, one request and its response, close
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../tools/histogram.h"

enum bench_work { BENCH_THROUGHPUT, BENCH_LATENCY, BENCH_PARALLEL, BENCH_CONNECTIONS, BENCH_CHURN, BENCH_WORKS };
enum bench_transport { BENCH_TCP, BENCH_UDS, BENCH_TLS, BENCH_TRANSPORTS };

struct bench_options {
	enum bench_work work;
	enum bench_transport transport;
	uint32_t size;     /* bytes of a body, 16 to 65535 */
	uint64_t count;    /* of what is measured; the same at both ends */
	uint32_t channels; /* parallel: connections; connections: idle ones */
	bool serve;
	const char *to; /* the client's: what the server said it listens on */
	bool json;
	char path[100]; /* of the server's socket, with uds; unlinked at the end */
	/* PEM files, with tls: the server's certificate and its key, and whom the client trusts */
	const char *cert;
	const char *key;
	const char *ca;
};

struct bench_result {
	int64_t begin_ns;
	int64_t end_ns; /* 0: this end did not measure */
	double cpu_seconds;
	uint64_t messages; /* within the time */
	double resident_before;
	double resident_per_connection; /* 0: not measured */
	struct tofu_histogram times;
};

typedef void bench_end_fn(struct bench_options *options, struct bench_result *result);

struct bench_peer {
	const char *program;
	const char *(*version)(void);
	bench_end_fn *serve[BENCH_WORKS];
	bench_end_fn *call[BENCH_WORKS];
};

/* The whole program: its exit status. 2: the command line was wrong. */
int tofu_bench_main(int argc, char **argv, const struct bench_peer *peer);

_Noreturn void tofu_bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The server is ready; and where. */
void tofu_bench_listening(const char *address);

int64_t tofu_bench_now_ns(void);

/* What is measured lies between begin and end: the time and this process's processor time. */
void tofu_bench_begin(struct bench_result *result);
void tofu_bench_end(struct bench_result *result, uint64_t messages);
/* Memory before the idle connections, and after. */
void tofu_bench_resident_before(struct bench_result *result);
void tofu_bench_resident_after(struct bench_result *result, uint32_t connections);

/* A time that something took. */
void tofu_bench_add(struct bench_result *result, int64_t ns);

/* A body to send. */
const void *tofu_bench_body(void);

/* The messages of a connections server: one to see the memory before, one after, then those that count. */
void tofu_bench_served(struct bench_options *options, struct bench_result *result, uint64_t number);
enum { BENCH_MARKS = 2 };

#endif
