/* SPDX-License-Identifier: MIT */

/* The two clocks cannot fail where they exist, and they exist wherever we build. */

#include "host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct tofu_host_thread {
	pthread_t id;
	void (*run)(void *context);
	void *context;
};

char **tofu_host_begin(int argc, char **argv)
{
	(void)argc;
	return argv;
}

int64_t tofu_host_now_ns(void)
{
	struct timespec now = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool tofu_host_is_watched(void)
{
	return isatty(STDERR_FILENO) == 1;
}

int64_t tofu_host_cpu_ns(void)
{
	struct timespec used = { 0, 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* The second number in the file is pages. Other systems than Linux have no such file. */
uint64_t tofu_host_resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void tofu_host_allow_files(uint64_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= count)
		return;
	limit.rlim_cur = limit.rlim_max < count ? limit.rlim_max : (rlim_t)count;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* too few: the connection that gets none says so */
}

static void *thread_main(void *context)
{
	struct tofu_host_thread *thread = context;

	thread->run(thread->context);
	return NULL;
}

struct tofu_host_thread *tofu_host_thread_start(void (*run)(void *context), void *context)
{
	struct tofu_host_thread *thread = malloc(sizeof *thread);

	if (thread == NULL)
		return NULL;
	thread->run = run;
	thread->context = context;
	if (pthread_create(&thread->id, NULL, thread_main, thread) == 0)
		return thread;
	free(thread);
	return NULL;
}

void tofu_host_thread_join(struct tofu_host_thread *thread)
{
	if (thread == NULL)
		return;
	(void)pthread_join(thread->id, NULL);
	free(thread);
}
