/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOOLS_PERF_H
#define TOFU_TOOLS_PERF_H

/*
 * tofu-perf: the parts of the program.
 *
 *   tofu-perf.c          the command line
 *   perf_run.c           one measurement from its beginning to its end, whatever is measured
 *   perf_client.c        the side that asks: connections, the threads that drive them
 *   perf_flow.c          throughput and latency: many messages over connections that are there
 *   perf_churn.c         connections that come and go
 *   perf_connections.c   connections that are only there
 *   perf_serve.c         the side that answers
 *   perf_numbers.c       what the two sides tell each other besides
 *   perf_report.c        the result
 *
 * The two sides talk like this. A message's id says in its highest byte what it is for; the rest is its number. On
 * each connection the client sends, for a flow of one-way messages, a Signal BEGIN, then Signals DATA numbered from 0,
 * then a Request END, which is answered with what arrived and when. Requests DATA are sent back as they are. A Request
 * PROBE is answered with what the server's process and engine have used so far.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tofu/tofu.h>

#include "backlog.h"
#include "end.h"
#include "histogram.h"

enum { PERF_RIGHT = 0, PERF_FAILED = 1, PERF_USAGE = 2 };

enum perf_work { PERF_THROUGHPUT, PERF_LATENCY, PERF_CONNECTIONS, PERF_CHURN, PERF_WORKS };

enum perf_transport { PERF_TCP, PERF_UDS, PERF_INPROC, PERF_TLS, PERF_TRANSPORTS };

/** What the command line asks for. */
struct perf_options {
	enum perf_work work;
	enum perf_transport transport;
	const char *to;     /* the server's address; NULL: a server in this process */
	uint64_t count;     /* messages, round trips or lives, on each channel */
	uint64_t warmup;    /* the same beforehand, not counted */
	uint32_t size;      /* bytes of a body */
	uint32_t channels;  /* at once */
	uint32_t threads;   /* that send, each with a group */
	uint32_t window;    /* requests without an answer on each channel */
	uint32_t batch;     /* one-way messages that are posted with one call */
	uint32_t timeout_s; /* give up when nothing happens for so long */
	enum tofu_poller_kind poller;
	enum tofu_io io;
	struct tofu_secure secure;
	bool echo;  /* throughput: of requests and responses */
	bool share; /* throughput: each message is one body on all channels of a thread */
	bool json;
	bool verbose;
};

/** The word of the command line. */
const char *tofu_perf_work_name(enum perf_work work);
const char *tofu_perf_transport_name(enum perf_transport transport);
/** What a server of that transport listens on. */
const char *tofu_perf_anywhere(enum perf_transport transport);

/* --- what the two sides tell each other (perf_numbers.c) --- */

enum perf_kind { PERF_DATA = 1, PERF_BEGIN = 2, PERF_END = 3, PERF_PROBE = 4 };

static inline uint64_t tofu_perf_id(enum perf_kind kind, uint64_t number)
{
	return (uint64_t)kind << 56 | number;
}

static inline unsigned tofu_perf_kind(uint64_t id)
{
	return (unsigned)(id >> 56);
}

/** What arrived of a flow of one-way messages, on one channel. By the server's clock. */
struct perf_arrived {
	uint64_t count;
	uint64_t wrong; /* out of order, or with another number or length than it should have */
	uint64_t first_ns;
	uint64_t last_ns;
};

/** What a process and its engine have used so far. */
struct perf_used {
	uint64_t cpu_ns;
	uint64_t resident_bytes;
	uint64_t sends;
	uint64_t receives;
	uint64_t wakeups;
	uint64_t messages; /* sent and received, so a message that stays in a process counts at both ends */
};

/** The body becomes, or is, such numbers. */
enum tofu_status tofu_perf_put_numbers(tofu_msg *msg, const uint64_t *numbers, size_t count);
bool tofu_perf_take_numbers(const tofu_msg *msg, uint64_t *numbers, size_t count);

enum tofu_status tofu_perf_put_arrived(tofu_msg *msg, const struct perf_arrived *arrived);
bool tofu_perf_take_arrived(const tofu_msg *msg, struct perf_arrived *arrived);
enum tofu_status tofu_perf_put_used(tofu_msg *msg, const struct perf_used *used);
bool tofu_perf_take_used(const tofu_msg *msg, struct perf_used *used);

/** calloc() of memory that is resident from the beginning: a table of ours is not to be counted as a connection's. */
void *tofu_perf_resident_zeros(size_t count, size_t size);

/** Of this process, and of an engine of it. */
void tofu_perf_used(tofu_engine *engine, struct perf_used *out);

/** The body of a message with that number: the number, if it fits, then filled up. */
enum tofu_status tofu_perf_fill(tofu_msg *msg, uint64_t number, uint32_t size);
/** Is it? (The filling is not looked at.) */
bool tofu_perf_is_filled(const tofu_msg *msg, uint64_t number, uint32_t size);

/* --- the side that answers (perf_serve.c) --- */

struct perf_server_channel;

struct perf_server {
	struct tofu_end end;
	struct perf_server_channel *channels; /* by number */
	atomic_bool stopping;
	bool failed;
	bool verbose;      /* say who comes and goes */
	char address[512]; /* what it listens on */
};

/** Listen. False: said why; close it all the same. */
bool tofu_perf_server_open(struct perf_server *server, const struct perf_options *options, const char *address);
/** Answer until it is stopped. */
void tofu_perf_server_run(void *server);
/** Any thread. */
void tofu_perf_server_stop(void *server);
void tofu_perf_server_close(struct perf_server *server);

/** The command: serve until the user asks to stop. The exit status. */
int tofu_perf_serve(const struct perf_options *options, const char *address);

/* --- the side that asks (perf_client.c) --- */

struct perf_worker;

/** Messages that a worker posts before it looks for arrivals. */
enum { PERF_BURST = 512 };

enum perf_line_state { PERF_LINE_NEW, PERF_LINE_CONNECTING, PERF_LINE_OPEN, PERF_LINE_LEAVING };

/** A connection, and what is under way on it. */
struct perf_line {
	struct perf_line *next_ready;
	tofu_msg *waiting; /* found the send queue full; goes first at send_ready */
	tofu_msg **batch;  /* --batch: the same, several of them; NULL: none */
	uint32_t batched;  /* so many are in it */
	uint64_t *sent_ns; /* of the last requests, a ring */
	uint64_t steps;    /* posted in this flow */
	uint64_t done;     /* answered; of churn, lives */
	uint64_t started_ns;
	struct perf_arrived arrived;
	uint16_t channel;
	bool ready; /* in its worker's list */
	enum perf_line_state state;
};

/** What is done with lines. peer and notice see every message but what failed; the worker gives it back after. */
struct perf_play {
	void (*start)(struct perf_worker *w, struct perf_line *line);
	/** Go on with a line that is ready, for a while. */
	void (*go_on)(struct perf_worker *w, struct perf_line *line);
	void (*peer)(struct perf_worker *w, struct perf_line *line, tofu_msg *msg);
	void (*notice)(struct perf_worker *w, struct perf_line *line, const struct tofu_header *h);
};

/** A thread that sends and receives, and its lines. */
struct perf_worker {
	struct perf_client *client;
	tofu_group *group;
	struct perf_line *lines;
	uint32_t line_count;
	uint32_t busy; /* lines that have not finished */
	const struct perf_play *play;
	struct perf_line *first_ready;
	struct perf_line *last_ready;
	_Atomic uint64_t progress;
	tofu_msg *shared;      /* --share: the last one that was made; NULL: none yet */
	uint64_t shared_count; /* made in this flow */
	uint32_t sharers;      /* lines that have sent it */
	struct tofu_histogram times;
	struct tofu_host_thread *thread;
};

struct perf_client {
	struct tofu_end end;
	const struct perf_options *options;
	const char *address;
	struct perf_worker *workers;
	struct perf_line *lines; /* the first is for probes */
	uint64_t *sent_ns;       /* all rings */
	tofu_msg **batches;      /* of all lines */
	uint32_t line_count;
	uint32_t ring;     /* entries of a ring, less 1: a mask */
	uint32_t window;   /* of this flow */
	uint64_t count;    /* of this flow, per line */
	uint64_t expected; /* progress when all is done; 0: not shown */
	int64_t shown_ns;
	bool one_way;
	bool watched;
	bool shown;
	atomic_bool failed;
	struct perf_line *line_of[65536]; /* by channel number; NULL: none of ours */
};

/** Open an engine and the workers' groups; lines without that of the probes. False: said why; close it all the same. */
bool tofu_perf_client_open(struct perf_client *client, const struct perf_options *options, const char *address,
                           uint32_t lines);
void tofu_perf_client_close(struct perf_client *client);

/** Connect lines up to the count-th, on this thread; the first is line 0, the probes'. */
bool tofu_perf_connect(struct perf_client *client, uint32_t count);
/** Let the workers do that with the lines from 1 to count, and wait for all of it. */
bool tofu_perf_play(struct perf_client *client, const struct perf_play *play, uint32_t count, uint64_t progress);
/** Ask the server what it has used. */
bool tofu_perf_probe(struct perf_client *client, struct perf_used *out);

/* for the plays */

void tofu_perf_make_ready(struct perf_worker *w, struct perf_line *line);
bool tofu_perf_start_connecting(struct perf_worker *w, struct perf_line *line);
/** A message for the line; NULL: failed. */
tofu_msg *tofu_perf_message(struct perf_worker *w, const struct perf_line *line, enum tofu_opcode opcode, uint64_t id);
/** Post line->waiting. True: gone. False: it must wait, or it failed. */
bool tofu_perf_post(struct perf_worker *w, struct perf_line *line);
/** Only the first failure is told. */
void tofu_perf_fail(struct perf_client *client, enum tofu_status status, const struct perf_line *line,
                    const char *what);
/** As tofu_perf_fail(), for a connect that has failed. */
void tofu_perf_unreachable(struct perf_client *client, enum tofu_status status);

static inline bool tofu_perf_failed(struct perf_client *client)
{
	return atomic_load_explicit(&client->failed, memory_order_relaxed);
}

static inline void tofu_perf_progress(struct perf_worker *w, uint64_t by)
{
	uint64_t now = atomic_load_explicit(&w->progress, memory_order_relaxed);

	atomic_store_explicit(&w->progress, now + by, memory_order_relaxed);
}

/* --- what is measured --- */

extern const struct perf_play tofu_perf_flow;  /* perf_flow.c */
extern const struct perf_play tofu_perf_churn; /* perf_churn.c */

/** The time of a flow of one-way messages, from the first to the last arrival. False: not all arrived in order. */
bool tofu_perf_flow_arrived(struct perf_client *client, uint32_t lines, double *seconds);

/** NAN: not measured. */
struct perf_result {
	double seconds;
	double messages_per_s;
	double bytes_per_s;
	bool has_times;
	struct tofu_histogram times;
	double cpu_seconds;
	double peer_cpu_seconds;
	double sends_per_message;
	double receives_per_message;
	double wakeups_per_message;
	double resident_bytes_per_connection;
	double peer_resident_bytes_per_connection;
	double cpu_ns_per_message;
	double alone_cpu_ns_per_message; /* of the busy channel before the others came */
};

/** One measured flow, warmed up, over the lines from 1 to lines. */
bool tofu_perf_measure(struct perf_client *client, const struct perf_play *play, uint32_t lines,
                       struct perf_result *out);
/** Open connections around a flow. (perf_connections.c) */
bool tofu_perf_connections(struct perf_client *client, struct perf_result *out);

/** The command: measure what the options say, and report. The exit status. */
int tofu_perf_run(const struct perf_options *options);

/** Print it. False: could not, and said so. */
bool tofu_perf_report(const struct perf_options *options, const struct perf_result *result);

#endif
