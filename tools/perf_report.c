/* SPDX-License-Identifier: MIT */

/* The result, for programs (a JSON object on a line) or for people (a table). One list of figures makes both. */

#include "perf.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "say.h"

struct figure {
	const char *field; /* of the JSON object */
	const char *label; /* of the table; NULL: in its heading already */
	double value;      /* NAN: not measured */
	int digits;        /* after the point */
};

enum { FIGURES = 23 };

/* isnan() is a macro that not every system's headers get through all warnings. */
static bool is_missing(double value)
{
	return value != value;
}

static double time_at(const struct perf_result *r, uint32_t of_a_million)
{
	return r->has_times ? (double)tofu_histogram_at(&r->times, of_a_million) : NAN;
}

/* clang-format off */
static void list(const struct perf_options *o, const struct perf_result *r, struct figure out[FIGURES])
{
	const struct figure figures[FIGURES] = {
		{ "size",                               NULL,                              o->size, 0 },
		{ "count",                              NULL,                              (double)o->count, 0 },
		{ "channels",                           NULL,                              o->channels, 0 },
		{ "threads",                            NULL,                              o->threads, 0 },
		{ "window",                             NULL,                              o->window, 0 },
		{ "batch",                              NULL,                              o->batch, 0 },
		{ "seconds",                            "seconds",                         r->seconds, 6 },
		{ "messages_per_s",                     "per second",                      r->messages_per_s, 1 },
		{ "bytes_per_s",                        "bytes of bodies per second",      r->bytes_per_s, 1 },
		{ "p50_ns",                             "time, median, ns",                time_at(r, 500000), 0 },
		{ "p90_ns",                             "time, 90 %, ns",                  time_at(r, 900000), 0 },
		{ "p99_ns",                             "time, 99 %, ns",                  time_at(r, 990000), 0 },
		{ "p999_ns",                            "time, 99.9 %, ns",                time_at(r, 999000), 0 },
		{ "max_ns",                             "time, longest, ns",               time_at(r, 1000000), 0 },
		{ "cpu_seconds",                        "processor seconds",               r->cpu_seconds, 6 },
		{ "peer_cpu_seconds",                   "processor seconds of the server", r->peer_cpu_seconds, 6 },
		{ "cpu_ns_per_message",                 "processor ns per message",        r->cpu_ns_per_message, 1 },
		{ "alone_cpu_ns_per_message",           "the same without the others",     r->alone_cpu_ns_per_message, 1 },
		{ "sends_per_message",                  "sends per message",               r->sends_per_message, 6 },
		{ "receives_per_message",               "receives per message",            r->receives_per_message, 6 },
		{ "wakeups_per_message",                "wake-ups per message",            r->wakeups_per_message, 6 },
		{ "resident_bytes_per_connection",      "resident bytes per connection",
		  r->resident_bytes_per_connection, 1 },
		{ "peer_resident_bytes_per_connection", "the same of the server",
		  r->peer_resident_bytes_per_connection, 1 },
	};

	memcpy(out, figures, sizeof figures);
}
/* clang-format on */

static const char *work_name(const struct perf_options *o)
{
	if (o->share)
		return "throughput-share";
	return o->echo ? "throughput-echo" : tofu_perf_work_name(o->work);
}

static void print_json(const struct perf_options *o, const struct figure figures[FIGURES])
{
	(void)printf("{\"program\": \"tofu-perf\", \"version\": \"%s\", \"work\": \"%s\", \"transport\": \"%s\", "
	             "\"poller\": \"%s\", \"io\": \"%s\"",
	             tofu_version(), work_name(o), tofu_perf_transport_name(o->transport),
	             tofu_args_poller_name(o->poller), tofu_args_io_name(o->io));
	for (size_t i = 0; i < FIGURES; i++) {
		if (is_missing(figures[i].value))
			(void)printf(", \"%s\": null", figures[i].field);
		else
			(void)printf(", \"%s\": %.*f", figures[i].field, figures[i].digits, figures[i].value);
	}
	(void)printf("}\n");
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_table(const struct perf_options *o, const struct figure figures[FIGURES])
{
	(void)printf("%s over %s, poller %s: %.0f of %.0f byte%s on each of %.0f channel%s, %.0f thread%s\n",
	             work_name(o), tofu_perf_transport_name(o->transport), tofu_args_poller_name(o->poller),
	             (double)o->count, (double)o->size, plural(o->size), (double)o->channels, plural(o->channels),
	             (double)o->threads, plural(o->threads));
	for (size_t i = 0; i < FIGURES; i++) {
		if (figures[i].label != NULL && !is_missing(figures[i].value))
			(void)printf("  %-32s %18.*f\n", figures[i].label, figures[i].digits, figures[i].value);
	}
}

bool tofu_perf_report(const struct perf_options *options, const struct perf_result *result)
{
	struct figure figures[FIGURES];

	list(options, result, figures);
	if (options->json)
		print_json(options, figures);
	else
		print_table(options, figures);
	if (tofu_say_flush())
		return true;
	tofu_say_wrong(TOFU_OK, "cannot write the result: %s", strerror(errno));
	return false;
}
