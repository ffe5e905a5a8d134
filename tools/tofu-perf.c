/* SPDX-License-Identifier: MIT */

/*
 * The command line of tofu-perf: find out what is asked for, check every number, hand over.
 * Exit status: 0 all right, 1 something failed, 2 the command line was wrong.
 */

#include "perf.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "host.h"
#include "say.h"

static const char usage[] = "usage: tofu-perf throughput|latency|connections|churn [OPTION...]\n"
			    "       tofu-perf --serve [OPTION...] [ADDRESS]\n"
			    "       tofu-perf --help | --version\n";

static const char help[] =
	"\n"
	"  throughput   one-way Signals, or Requests and their Responses (--echo)\n"
	"  latency      round trips\n"
	"  connections  what connections cost that are only there\n"
	"  churn        connect, hello, a round trip, bye, again and again\n"
	"\n"
	"      --transport NAME     tcp, uds, tls or, within one process, inproc (tcp)\n"
	"      --cert, --key, --ca FILE  TLS: this side's certificate and key, and whom it trusts; PEM\n"
	"  -s, --size BYTES         in a body, 0 to 65535 (64)\n"
	"  -n, --count COUNT        messages, round trips or lives on each channel\n"
	"      --warmup COUNT       the same beforehand, not counted\n"
	"  -c, --channels CHANNELS  open at once (1; connections: 1000)\n"
	"      --threads THREADS    that send (1)\n"
	"  -w, --window WINDOW      requests without an answer on each channel (1; throughput --echo: 256)\n"
	"      --echo               throughput of requests and responses\n"
	"      --batch COUNT        throughput one way: so many messages are posted with one call (1)\n"
	"      --share              throughput one way: each message is one body to all channels of a thread\n"
	"      --poller NAME        what the engines wait with: auto, poll, epoll, afd (auto)\n"
	"      --io NAME            which threads do the I/O: caller, those that receive; or the engines' (thread)\n"
	"      --in-process         both sides in this process: the default\n"
	"      --to ADDRESS         the other side is a tofu-perf --serve\n"
	"  -t, --timeout SECONDS    give up when nothing happens for so long (30)\n"
	"      --json               a JSON object instead of a table\n"
	"  -v, --verbose            how the engines are made, what they log, and who calls\n"
	"  -h, --help               this text\n"
	"  -V, --version            the version of the library\n"
	"\n"
	"ADDRESS is tcp|HOST|PORT or tcp://HOST:PORT, uds|PATH or unix:///PATH, tls|HOST|PORT. --serve\n"
	"listens on tcp|127.0.0.1|0 (any free port), or uds| (a new file), unless it is told otherwise.\n";

static const char *const works[PERF_WORKS] = { "throughput", "latency", "connections", "churn" };
static const char *const transports[PERF_TRANSPORTS] = { "tcp", "uds", "inproc", "tls" };
static const char *const anywhere[PERF_TRANSPORTS] = { "tcp|127.0.0.1|0", "uds|", "inproc|", "tls|127.0.0.1|0" };

const char *tofu_perf_work_name(enum perf_work work)
{
	return works[work];
}

const char *tofu_perf_transport_name(enum perf_transport transport)
{
	return transports[transport];
}

const char *tofu_perf_anywhere(enum perf_transport transport)
{
	return anywhere[transport];
}

/* Those above 'z' have no short form. */
enum { TRANSPORT = 256, WARMUP, THREADS, ECHO, BATCH, SHARE, POLLER, IO, IN_PROCESS, TO, JSON, CERT, KEY, CA };

/* clang-format off */
static const struct option long_options[] = {
	{ "transport",  required_argument, NULL, TRANSPORT },
	{ "size",       required_argument, NULL, 's' },
	{ "count",      required_argument, NULL, 'n' },
	{ "warmup",     required_argument, NULL, WARMUP },
	{ "channels",   required_argument, NULL, 'c' },
	{ "threads",    required_argument, NULL, THREADS },
	{ "window",     required_argument, NULL, 'w' },
	{ "echo",       no_argument,       NULL, ECHO },
	{ "batch",      required_argument, NULL, BATCH },
	{ "share",      no_argument,       NULL, SHARE },
	{ "poller",     required_argument, NULL, POLLER },
	{ "io",         required_argument, NULL, IO },
	{ "in-process", no_argument,       NULL, IN_PROCESS },
	{ "to",         required_argument, NULL, TO },
	{ "timeout",    required_argument, NULL, 't' },
	{ "json",       no_argument,       NULL, JSON },
	{ "cert",       required_argument, NULL, CERT },
	{ "key",        required_argument, NULL, KEY },
	{ "ca",         required_argument, NULL, CA },
	{ "verbose",    no_argument,       NULL, 'v' },
	{ "help",       no_argument,       NULL, 'h' },
	{ "version",    no_argument,       NULL, 'V' },
	{ NULL,         0,                 NULL, 0 },
};
/* clang-format on */

/* What was asked for, and what was not: its default depends on the work. */
struct asked {
	struct perf_options options;
	bool count;
	bool warmup;
	bool channels;
	bool window;
	bool in_process;
	bool transport;
};

static int refuse(void)
{
	(void)fputs(usage, stderr);
	return PERF_USAGE;
}

static bool take_transport(const char *text, enum perf_transport *out)
{
	size_t at;
	bool right = tofu_args_word("transport", text, transports, PERF_TRANSPORTS, &at);

	if (right)
		*out = (enum perf_transport)at;
	return right;
}

/* One option. */
static bool take(struct asked *a, int option, const char *text)
{
	struct perf_options *o = &a->options;

	switch (option) {
	case TRANSPORT:
		a->transport = true;
		return take_transport(text, &o->transport);
	case 's':
		return tofu_args_number32("size", text, 0, TOFU_BODY_MAX, &o->size);
	case 'n':
		a->count = true;
		return tofu_args_number("count", text, 1, UINT64_C(1000000000), &o->count);
	case WARMUP:
		a->warmup = true;
		return tofu_args_number("warmup", text, 0, UINT64_C(1000000000), &o->warmup);
	case 'c':
		a->channels = true;
		return tofu_args_number32("channels", text, 1, 60000, &o->channels);
	case THREADS:
		return tofu_args_number32("threads", text, 1, 256, &o->threads);
	case 'w':
		a->window = true;
		return tofu_args_number32("window", text, 1, 16384, &o->window);
	case ECHO:
		o->echo = true;
		return true;
	case BATCH:
		return tofu_args_number32("batch", text, 1, 1024, &o->batch);
	case SHARE:
		o->share = true;
		return true;
	case POLLER:
		return tofu_args_poller(text, &o->poller);
	case IO:
		return tofu_args_io(text, &o->io);
	case IN_PROCESS:
		a->in_process = true;
		return true;
	case TO:
		o->to = text;
		return true;
	case 't':
		return tofu_args_number32("timeout", text, 1, 86400, &o->timeout_s);
	case JSON:
		o->json = true;
		return true;
	case CERT:
		o->secure.certificate = text;
		return true;
	case KEY:
		o->secure.key = text;
		return true;
	case CA:
		o->secure.ca = text;
		return true;
	case 'v':
		o->verbose = true;
		return true;
	default: /* getopt_long() has said what is wrong */
		return false;
	}
}

static enum perf_transport transport_of(const char *address)
{
	if (tofu_secure_is_for(address))
		return PERF_TLS;
	return strncmp(address, "uds|", 4) == 0 || strncmp(address, "unix:", 5) == 0 ? PERF_UDS : PERF_TCP;
}

/* Some seconds of work, on the machine this was written on. */
static void choose_defaults(struct asked *a)
{
	static const uint64_t counts[PERF_WORKS] = { 1000000, 50000, 20000, 5000 };
	struct perf_options *o = &a->options;

	if (!a->count)
		o->count = counts[o->work];
	if (!a->warmup)
		o->warmup = o->count / 10;
	if (!a->channels)
		o->channels = o->work == PERF_CONNECTIONS ? 1000 : 1;
	if (!a->window)
		o->window = o->work == PERF_THROUGHPUT && o->echo ? 256 : 1;
	if (o->to != NULL)
		o->transport = transport_of(o->to);
	o->secure.wanted = o->transport == PERF_TLS;
}

/* Options that mean nothing together, or to this work. */
static bool fits(const struct asked *a)
{
	const struct perf_options *o = &a->options;
	const char *why = NULL;

	if (a->in_process && o->to != NULL)
		why = "--in-process and --to: one or the other";
	else if (a->transport && o->to != NULL)
		why = "--transport: the address of --to says it";
	else if (o->echo && o->work != PERF_THROUGHPUT)
		why = "--echo is an option of throughput";
	else if (o->share && (o->work != PERF_THROUGHPUT || o->echo))
		why = "--share is an option of throughput one way";
	else if (o->batch > 1 && (o->work != PERF_THROUGHPUT || o->echo || o->share))
		why = "--batch is an option of throughput one way, without --share";
	else if (a->window && o->work != PERF_LATENCY && !o->echo)
		why = "--window is an option of latency and of throughput --echo";
	else if (o->threads > 1 && o->work == PERF_CONNECTIONS)
		why = "--threads is no option of connections";
	else if (o->threads > o->channels)
		why = "--threads: more than there are channels";
	if (why != NULL)
		tofu_say_wrong(TOFU_OK, "%s", why);
	return why == NULL;
}

static int measure(struct asked *a, int rest, char **words)
{
	if (rest > 0) {
		tofu_say_wrong(TOFU_OK, "'%s' is one word too many", words[0]);
		return refuse();
	}
	choose_defaults(a);
	return fits(a) ? tofu_perf_run(&a->options) : refuse();
}

static int serve(struct asked *a, int rest, char **words)
{
	const char *address = rest == 1 ? words[0] : tofu_perf_anywhere(a->options.transport);

	if (a->options.transport == PERF_INPROC) {
		tofu_say_wrong(TOFU_OK, "--serve: over inproc nobody else can call");
		return refuse();
	}
	if (rest > 1) {
		tofu_say_wrong(TOFU_OK, "'%s' is one address too many", words[1]);
		return refuse();
	}
	a->options.secure.wanted = tofu_secure_is_for(address);
	return tofu_perf_serve(&a->options, address);
}

static bool takes_when_serving(int option)
{
	return option == TRANSPORT || option == POLLER || option == IO || option == CERT || option == KEY ||
	       option == CA || option == 'v' || option == '?';
}

/* What follows the command. */
static int run(int argc, char **argv, enum perf_work work, int (*command)(struct asked *, int, char **))
{
	struct asked a = { .options = { .work = work, .size = 64, .threads = 1, .batch = 1, .timeout_s = 30 } };
	int option;

	while ((option = getopt_long(argc, argv, "s:n:c:w:t:vhV", long_options, NULL)) != -1) {
		if (option == 'h')
			return tofu_say(usage, help) ? PERF_RIGHT : PERF_FAILED;
		if (option == 'V')
			return tofu_say_version() ? PERF_RIGHT : PERF_FAILED;
		if (command == serve && !takes_when_serving(option)) {
			tofu_say_wrong(
				TOFU_OK,
				"--serve takes --transport, --poller, --io, --cert, --key, --ca and --verbose only");
			return refuse();
		}
		if (!take(&a, option, optarg))
			return refuse();
	}
	return command(&a, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
	static char name[] = "tofu-perf"; /* for getopt_long(), which says who complains */
	const char *command;

	argv = tofu_host_begin(argc, argv);
	command = argc > 1 ? argv[1] : "";
	tofu_say_name(name);
	if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0)
		return tofu_say(usage, help) ? PERF_RIGHT : PERF_FAILED;
	if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0)
		return tofu_say_version() ? PERF_RIGHT : PERF_FAILED;
	if (argc > 1)
		argv[1] = name;
	if (strcmp(command, "--serve") == 0)
		return run(argc - 1, argv + 1, PERF_THROUGHPUT, serve);
	for (size_t i = 0; i < PERF_WORKS; i++) {
		if (strcmp(command, works[i]) == 0)
			return run(argc - 1, argv + 1, (enum perf_work)i, measure);
	}
	if (argc > 1)
		tofu_say_wrong(TOFU_OK, "'%s' is none of throughput, latency, connections, churn, --serve", command);
	return refuse();
}
