/* SPDX-License-Identifier: MIT */

/*
 * See lib.h. Happy path of a program: parse, raise the limit of descriptors, run one end of one work, print. A server
 * ends by itself once its client has had everything; should the client die, an alarm ends the server. Nothing is
 * freed: the process ends.
 */

#include "lib.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 300 };

static const char *const works[BENCH_WORKS] = { "throughput", "latency", "parallel", "connections", "churn" };
static const char *const transports[BENCH_TRANSPORTS] = { "tcp", "uds", "tls" };
static const char *program = "peer";

void tofu_bench_die(const char *format, ...)
{
	va_list arguments;

	(void)fprintf(stderr, "%s: ", program);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	exit(1);
}

void tofu_bench_listening(const char *address)
{
	if (printf("listening %s\n", address) < 0 || fflush(stdout) != 0)
		tofu_bench_die("cannot write: %s", strerror(errno));
}

const void *tofu_bench_body(void)
{
	static unsigned char body[65536];

	for (size_t i = 0; body[1] == 0 && i < sizeof body; i++)
		body[sizeof body - 1 - i] = (unsigned char)(i * 7 + 1);
	return body;
}

/* time and memory */

int64_t tofu_bench_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double cpu_seconds(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (statm == NULL || fscanf(statm, "%*s %lu", &pages) != 1)
		tofu_bench_die("cannot read /proc/self/statm");
	(void)fclose(statm);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void tofu_bench_begin(struct bench_result *result)
{
	result->cpu_seconds = cpu_seconds();
	result->begin_ns = tofu_bench_now_ns();
}

void tofu_bench_end(struct bench_result *result, uint64_t messages)
{
	result->end_ns = tofu_bench_now_ns();
	result->cpu_seconds = cpu_seconds() - result->cpu_seconds;
	result->messages = messages;
}

void tofu_bench_add(struct bench_result *result, int64_t ns)
{
	tofu_histogram_add(&result->times, (uint64_t)ns);
}

void tofu_bench_resident_before(struct bench_result *result)
{
	result->resident_before = resident_bytes();
}

void tofu_bench_resident_after(struct bench_result *result, uint32_t connections)
{
	result->resident_per_connection = (resident_bytes() - result->resident_before) / (double)connections;
}

void tofu_bench_served(struct bench_options *options, struct bench_result *result, uint64_t number)
{
	if (number == 1)
		tofu_bench_resident_before(result);
	if (number == BENCH_MARKS) {
		tofu_bench_resident_after(result, options->channels);
		tofu_bench_begin(result);
	}
	if (number == options->count + BENCH_MARKS)
		tofu_bench_end(result, options->count);
}

/* what came out */

static void number(const char *name, bool known, double value)
{
	if (known)
		(void)printf(", \"%s\": %.9g", name, value);
	else
		(void)printf(", \"%s\": null", name);
}

static void print_json(const struct bench_options *o, const struct bench_peer *peer, const struct bench_result *r)
{
	bool timed = r->end_ns != 0;
	bool times = r->times.count != 0;
	double seconds = (double)(r->end_ns - r->begin_ns) / 1e9;
	double rate = timed ? (double)r->messages / seconds : 0;

	(void)printf("{\"program\": \"%s\", \"version\": \"%s\", \"role\": \"%s\"", peer->program, peer->version(),
	             o->serve ? "server" : "client");
	(void)printf(", \"work\": \"%s\", \"transport\": \"%s\"", works[o->work], transports[o->transport]);
	(void)printf(", \"size\": %" PRIu32 ", \"count\": %" PRIu64 ", \"channels\": %" PRIu32, o->size, o->count,
	             o->channels);
	number("seconds", timed, seconds);
	number("messages_per_s", timed, rate);
	number("bytes_per_s", timed, rate * o->size);
	number("p50_ns", times, (double)tofu_histogram_at(&r->times, 500000));
	number("p90_ns", times, (double)tofu_histogram_at(&r->times, 900000));
	number("p99_ns", times, (double)tofu_histogram_at(&r->times, 990000));
	number("p999_ns", times, (double)tofu_histogram_at(&r->times, 999000));
	number("max_ns", times, (double)r->times.max);
	number("cpu_seconds", timed, r->cpu_seconds);
	number("resident_bytes_per_connection", r->resident_before > 0, r->resident_per_connection);
	(void)printf("}\n");
}

static void print_text(const struct bench_options *o, const struct bench_peer *peer, const struct bench_result *r)
{
	double seconds = (double)(r->end_ns - r->begin_ns) / 1e9;

	(void)printf("%s %s, %s %s", peer->program, peer->version(), works[o->work], o->serve ? "server" : "client");
	if (r->end_ns != 0)
		(void)printf(": %.0f messages/s, %.2f us of processor time each", (double)r->messages / seconds,
		             r->cpu_seconds * 1e6 / (double)r->messages);
	if (r->times.count != 0)
		(void)printf(", p50 %.1f us, p99 %.1f us", (double)tofu_histogram_at(&r->times, 500000) / 1e3,
		             (double)tofu_histogram_at(&r->times, 990000) / 1e3);
	if (r->resident_before > 0)
		(void)printf(", %.0f bytes per idle connection", r->resident_per_connection);
	(void)printf("\n");
}

/* the command line */

enum {
	LONG_TRANSPORT = 1,
	LONG_SIZE,
	LONG_COUNT,
	LONG_CHANNELS,
	LONG_SERVE,
	LONG_TO,
	LONG_JSON,
	LONG_CERT,
	LONG_KEY,
	LONG_CA
};

/* clang-format off */
static const struct option long_options[] = {
	{ "transport", required_argument, NULL, LONG_TRANSPORT },
	{ "size",      required_argument, NULL, LONG_SIZE },
	{ "count",     required_argument, NULL, LONG_COUNT },
	{ "channels",  required_argument, NULL, LONG_CHANNELS },
	{ "serve",     no_argument,       NULL, LONG_SERVE },
	{ "to",        required_argument, NULL, LONG_TO },
	{ "json",      no_argument,       NULL, LONG_JSON },
	{ "cert",      required_argument, NULL, LONG_CERT },
	{ "key",       required_argument, NULL, LONG_KEY },
	{ "ca",        required_argument, NULL, LONG_CA },
	{ NULL,        0,                 NULL, 0 },
};
/* clang-format on */

static uint64_t whole(const char *name, const char *text, uint64_t least, uint64_t most)
{
	uint64_t value = 0;

	errno = 0;
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0')
		value = strtoull(text, NULL, 10);
	if (errno != 0 || value < least || value > most) {
		(void)fprintf(stderr, "%s: --%s: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n", program, name,
		              text, least, most);
		exit(2);
	}
	return value;
}

static size_t one_of(const char *const *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], text) == 0)
			return i;
	}
	(void)fprintf(stderr, "%s: what is '%s'?\n", program, text);
	exit(2);
}

static void usage(void)
{
	(void)fprintf(stderr,
	              "usage: %s throughput|latency|parallel|connections|churn [--transport tcp|uds|tls]\n"
	              "       [--size BYTES] [--count N] [--channels N] [--json] --serve | --to ADDRESS\n"
	              "       with tls: --serve --cert FILE --key FILE | --to ADDRESS --ca FILE\n",
	              program);
	exit(2);
}

static void parse(int argc, char **argv, struct bench_options *o)
{
	int option = 0;

	if (argc < 2)
		usage();
	o->work = (enum bench_work)one_of(works, BENCH_WORKS, argv[1]);
	while ((option = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1) {
		if (option == LONG_TRANSPORT)
			o->transport = (enum bench_transport)one_of(transports, BENCH_TRANSPORTS, optarg);
		else if (option == LONG_SIZE)
			o->size = (uint32_t)whole("size", optarg, 16, 65535);
		else if (option == LONG_COUNT)
			o->count = whole("count", optarg, 2, UINT64_C(1000000000));
		else if (option == LONG_CHANNELS)
			o->channels = (uint32_t)whole("channels", optarg, 1, 60000);
		else if (option == LONG_SERVE)
			o->serve = true;
		else if (option == LONG_TO)
			o->to = optarg;
		else if (option == LONG_JSON)
			o->json = true;
		else if (option == LONG_CERT)
			o->cert = optarg;
		else if (option == LONG_KEY)
			o->key = optarg;
		else if (option == LONG_CA)
			o->ca = optarg;
		else
			usage();
	}
	if (optind != argc - 1 || o->serve == (o->to != NULL))
		usage();
	if (o->transport == BENCH_TLS && (o->serve ? o->cert == NULL || o->key == NULL : o->ca == NULL))
		usage();
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int tofu_bench_main(int argc, char **argv, const struct bench_peer *peer)
{
	static struct bench_options options = { .size = 64, .count = 100000, .channels = 1 };
	static struct bench_result result;
	const char *folder = getenv("TMPDIR");

	program = peer->program;
	parse(argc, argv, &options);
	(void)snprintf(options.path, sizeof options.path, "%s/bench.%ld", folder != NULL ? folder : "/tmp",
	               (long)getpid());
	raise_limit();
	(void)alarm(LIMIT_SECONDS);
	(options.serve ? peer->serve : peer->call)[options.work](&options, &result);
	if (options.serve && options.transport == BENCH_UDS)
		(void)unlink(options.path);
	(options.json ? print_json : print_text)(&options, peer, &result);
	return fflush(stdout) == 0 ? 0 : 1;
}
