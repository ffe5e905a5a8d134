/* SPDX-License-Identifier: MIT */

/*
 * SIGINT and SIGTERM are blocked in every thread; one thread takes them with sigwait(), so what it does about them is
 * ordinary code and not limited to what a signal handler may call. To end that thread it gets a SIGTERM of its own,
 * after `closing` was set. Blocked signals are taken even where a shell has set SIGINT to be ignored (`program &` in a
 * script): who sends one explicitly means it.
 */

#include "stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static struct {
	pthread_t thread;
	sigset_t signals;
	tofu_stop_fn *told;
	void *context;
	atomic_bool closing;
	bool open;
} watch;

static void *run(void *unused)
{
	int signal_number;

	(void)unused;
	for (;;) {
		if (sigwait(&watch.signals, &signal_number) != 0)
			continue;
		if (atomic_load(&watch.closing))
			return NULL;
		watch.told(watch.context);
	}
}

bool tofu_stop_open(tofu_stop_fn *told, void *context)
{
	watch.told = told;
	watch.context = context;
	atomic_store(&watch.closing, false);
	(void)sigemptyset(&watch.signals);
	(void)sigaddset(&watch.signals, SIGINT);
	(void)sigaddset(&watch.signals, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &watch.signals, NULL) != 0)
		return false;
	watch.open = pthread_create(&watch.thread, NULL, run, NULL) == 0;
	return watch.open;
}

void tofu_stop_close(void)
{
	if (!watch.open)
		return;
	atomic_store(&watch.closing, true);
	if (pthread_kill(watch.thread, SIGTERM) == 0)
		(void)pthread_join(watch.thread, NULL);
	watch.open = false;
}
