/* SPDX-License-Identifier: MIT */

/*
 * The command line of tofu-echo: find out what is asked for, check every number, hand over to serve or call.
 * Exit status: 0 all right, 1 something failed, 2 the command line was wrong.
 */

#include "echo.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "host.h"
#include "say.h"

static const char usage[] = "usage: tofu-echo serve [-v] ADDRESS...\n"
			    "       tofu-echo call [-v] [-n COUNT] [-s SIZE] [-c CONNECTIONS] [-w WINDOW]\n"
			    "                      [-t SECONDS] ADDRESS\n"
			    "       tofu-echo --help | --version\n";

static const char help[] =
	"\n"
	"serve listens on every ADDRESS and sends back what it gets, until it is interrupted.\n"
	"call sends requests to ADDRESS and compares every answer byte for byte.\n"
	"\n"
	"  -n, --count COUNT              requests on each connection (1000)\n"
	"  -s, --size SIZE                bytes in each, 0 to 65535 (64)\n"
	"  -c, --connections CONNECTIONS  connections open at once (1)\n"
	"  -w, --window WINDOW            requests under way on each connection (64)\n"
	"  -t, --timeout SECONDS          give up when nothing arrives for so long (30)\n"
	"      --poller NAME              what the engine waits with: auto, poll, epoll, afd (auto)\n"
	"      --cert, --key FILE         TLS: the certificate of this side and its key, PEM\n"
	"      --ca FILE                  TLS: whom it trusts; serve: clients need a certificate\n"
	"  -v, --verbose                  on standard error: the engine's log, peers, messages\n"
	"  -h, --help                     this text\n"
	"  -V, --version                  the version of the library\n"
	"\n"
	"ADDRESS is tcp|HOST|PORT or tcp://HOST:PORT, uds|PATH or unix:///PATH, or tls|HOST|PORT.\n"
	"serve takes port 0 (any free one), an empty HOST (every interface), an empty PATH (a new\n"
	"file).\n"
	"The bar means something to the shell: put the address in quotes.\n";

enum { LONG_POLLER = 256, LONG_CERT, LONG_KEY, LONG_CA };

/* clang-format off */
static const struct option long_options[] = {
	{ "count",       required_argument, NULL, 'n' },
	{ "size",        required_argument, NULL, 's' },
	{ "connections", required_argument, NULL, 'c' },
	{ "window",      required_argument, NULL, 'w' },
	{ "timeout",     required_argument, NULL, 't' },
	{ "poller",      required_argument, NULL, LONG_POLLER },
	{ "cert",        required_argument, NULL, LONG_CERT },
	{ "key",         required_argument, NULL, LONG_KEY },
	{ "ca",          required_argument, NULL, LONG_CA },
	{ "verbose",     no_argument,       NULL, 'v' },
	{ "help",        no_argument,       NULL, 'h' },
	{ "version",     no_argument,       NULL, 'V' },
	{ NULL,          0,                 NULL, 0 },
};
/* clang-format on */

static int refuse(void)
{
	(void)fputs(usage, stderr);
	return ECHO_USAGE;
}

/* One option. The bounds: a day of waiting; what the engine has channels and messages for. */
static bool take(struct echo_options *o, int option, const char *text)
{
	switch (option) {
	case 'n':
		return tofu_args_number("count", text, 1, UINT64_C(1000000000), &o->count);
	case 's':
		return tofu_args_number32("size", text, 0, TOFU_BODY_MAX, &o->size);
	case 'c':
		return tofu_args_number32("connections", text, 1, 65000, &o->connections);
	case 'w':
		return tofu_args_number32("window", text, 1, 65535, &o->window);
	case 't':
		return tofu_args_number32("timeout", text, 1, 86400, &o->timeout_s);
	case LONG_POLLER:
		return tofu_args_poller(text, &o->poller);
	case LONG_CERT:
		o->secure.certificate = text;
		return true;
	case LONG_KEY:
		o->secure.key = text;
		return true;
	case LONG_CA:
		o->secure.ca = text;
		return true;
	case 'v':
		o->verbose = true;
		return true;
	default: /* getopt_long() has said what is wrong */
		return false;
	}
}

/* What follows the command. The options of call mean nothing to serve, so serve does not take them. */
static int run(int argc, char **argv, const char *options, int (*command)(const struct echo_options *), int most)
{
	struct echo_options o = {
		.count = 1000, .size = 64, .connections = 1, .window = 64, .timeout_s = 30, .poller = TOFU_POLLER_AUTO
	};
	int option;

	while ((option = getopt_long(argc, argv, options, long_options, NULL)) != -1) {
		if (option == 'h')
			return tofu_say(usage, help) ? ECHO_RIGHT : ECHO_FAILED;
		if (option == 'V')
			return tofu_say_version() ? ECHO_RIGHT : ECHO_FAILED;
		if (option < LONG_POLLER && option != '?' && strchr(options, option) == NULL) {
			tofu_say_wrong(TOFU_OK, "-%c is not an option of this command", option);
			return refuse();
		}
		if (!take(&o, option, optarg))
			return refuse();
	}
	o.addresses = argv + optind;
	o.address_count = argc - optind;
	if (o.address_count < 1) {
		tofu_say_wrong(TOFU_OK, "an address is missing");
		return refuse();
	}
	if (o.address_count > most) {
		tofu_say_wrong(TOFU_OK, "'%s' is one address too many", o.addresses[most]);
		return refuse();
	}
	for (int i = 0; i < o.address_count; i++)
		if (tofu_secure_is_for(o.addresses[i]))
			o.secure.wanted = true;
	return command(&o);
}

int main(int argc, char **argv)
{
	static char name[] = "tofu-echo"; /* for getopt_long(), which says who complains */
	const char *command;

	argv = tofu_host_begin(argc, argv);
	command = argc > 1 ? argv[1] : "";
	tofu_say_name(name);
	if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0)
		return tofu_say(usage, help) ? ECHO_RIGHT : ECHO_FAILED;
	if (strcmp(command, "--version") == 0 || strcmp(command, "-V") == 0)
		return tofu_say_version() ? ECHO_RIGHT : ECHO_FAILED;
	if (argc > 1)
		argv[1] = name;
	if (strcmp(command, "serve") == 0)
		return run(argc - 1, argv + 1, "vhV", tofu_echo_serve, 65000);
	if (strcmp(command, "call") == 0)
		return run(argc - 1, argv + 1, "n:s:c:w:t:vhV", tofu_echo_call, 1);
	if (argc > 1)
		tofu_say_wrong(TOFU_OK, "'%s' is neither serve nor call", command);
	return refuse();
}
