/* SPDX-License-Identifier: MIT */

/*
 * The tests' operating system, on POSIX with /proc. Failures of the machine itself (no pipe to be had) end the test: a
 * test that could not be made is not a test that passed.
 */

#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tofu/transport.h>

#include "harness.h"

extern char **environ;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int until_ms(int64_t deadline_ns)
{
	int64_t left = deadline_ns - now_ns();

	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* descriptors */

static int entries_of(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	if (dir == NULL)
		ck_abort_msg("%s: %s", path, strerror(errno));
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

int os_descriptors(void)
{
	return entries_of("/proc/self/fd") - 1; /* the one that reads the directory */
}

int os_threads(void)
{
	return entries_of("/proc/self/task");
}

unsigned os_raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1 << 20)
		return 1 << 20;
	return (unsigned)limit.rlim_cur;
}

static rlim_t limit_before;

/* The limit is on the number of a descriptor, and the next one is the lowest that is free: fill up to there. */
void os_exhaust_descriptors(unsigned more)
{
	struct rlimit limit;
	int lowest = os_hold_descriptor();

	os_drop_descriptor(lowest);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit_before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)lowest + more;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		ck_abort_msg("setrlimit: %s", strerror(errno));
}

void os_free_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit_before;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		ck_abort_msg("setrlimit: %s", strerror(errno));
}

bool os_has_many_threads(void)
{
	return os_exhaustion_is_real(); /* valgrind has 500 */
}

bool os_exhaustion_is_real(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded == NULL || strstr(preloaded, "vgpreload") == NULL;
}

int os_hold_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		ck_abort_msg("/dev/null: %s", strerror(errno));
	return fd;
}

void os_drop_descriptor(int descriptor)
{
	close(descriptor);
}

/* sockets */

bool os_has_unix_sockets(void)
{
	return true;
}

bool os_knows_localhost(void)
{
	struct addrinfo *found = NULL;
	bool known = getaddrinfo("localhost", NULL, NULL, &found) == 0;

	if (known)
		freeaddrinfo(found);
	else
		printf("skipped: what calls localhost: this system has no address for that name\n");
	return known;
}

bool os_leave_network(void)
{
	const char *fork = getenv("CK_FORK");

	return (fork == NULL || strcmp(fork, "no") != 0) &&
	       (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0);
}

bool os_shares_ports(void)
{
	return true;
}

bool os_has_abstract_names(void)
{
	return true;
}

bool os_has_users(void)
{
	return true;
}

bool os_tells_of_acknowledgements(void)
{
	return true;
}

bool os_acknowledges_when_asked(void)
{
	return true;
}

intptr_t os_connected_to_itself(const char *host)
{
	int fd = socket(strchr(host, ':') != NULL ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct tofu_sockaddr own;
	socklen_t len;
	size_t count;

	ck_status(tofu_sockaddr_inet(host, 0, 0, &own, 1, &count), TOFU_OK);
	len = own.len;
	ck_assert(bind(fd, (const struct sockaddr *)own.bytes, len) == 0);
	ck_assert(getsockname(fd, (struct sockaddr *)own.bytes, &len) == 0);
	ck_assert(connect(fd, (const struct sockaddr *)own.bytes, len) == 0);
	ck_assert(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

unsigned os_wait(intptr_t handle, unsigned bits, int64_t timeout_ns)
{
	int64_t deadline = now_ns() + timeout_ns;
	struct pollfd item = { .fd = (int)handle };
	int n;

	if ((bits & OS_READABLE) != 0)
		item.events |= POLLIN;
	if ((bits & OS_WRITABLE) != 0)
		item.events |= POLLOUT;
	do
		n = poll(&item, 1, until_ms(deadline));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	if ((item.revents & (POLLERR | POLLHUP)) != 0)
		return bits;
	return ((item.revents & POLLIN) != 0 ? OS_READABLE : 0u) | ((item.revents & POLLOUT) != 0 ? OS_WRITABLE : 0u);
}

enum os_end os_read_to_end(intptr_t socket, int64_t timeout_ns)
{
	int64_t deadline = now_ns() + timeout_ns;
	char waste[4096];

	for (;;) {
		ssize_t n = recv((int)socket, waste, sizeof waste, MSG_DONTWAIT);

		if (n == 0)
			return OS_FIN;
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (os_wait(socket, OS_READABLE, deadline - now_ns()) == 0)
				return OS_NOT_THE_END;
		} else if (n < 0) {
			return OS_RESET;
		}
	}
}

/* time, memory */

int64_t os_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void os_pause(void)
{
	struct timespec t = { .tv_nsec = 1000000 };

	nanosleep(&t, NULL);
}

size_t os_heap_in_use(void)
{
#ifdef HAVE_MALLINFO2
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#else
	return 0;
#endif
}

/* files */

bool os_file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

bool os_file_is_private(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
	return (st.st_mode & 07777) == 0600;
}

void os_file_share(const char *path, bool with_everybody)
{
	if (chmod(path, with_everybody ? 0644 : 0600) != 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
}

void os_file_remove(const char *path)
{
	unlink(path);
}

uint64_t os_file_number(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
	return (uint64_t)st.st_ino;
}

void os_file_write(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ck_abort_msg("%s: %s", path, strerror(errno));
	close(fd);
}

void os_file_read(const char *path, char *out, size_t capacity)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, out, capacity - 1);

	if (fd < 0 || n < 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
	out[n] = '\0';
	close(fd);
}

void os_make_directory(const char *path)
{
	if (mkdir(path, 0700) != 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
}

/* Each entry of a directory that is no "." or "..". */
static unsigned each_file(const char *path, void (*what)(const char *path))
{
	DIR *dir = opendir(path);
	char full[4096];
	unsigned count = 0;

	if (dir == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		snprintf(full, sizeof full, "%s/%s", path, entry->d_name);
		if (what != NULL)
			what(full);
	}
	closedir(dir);
	return count;
}

static void remove_any(const char *path)
{
	if (unlink(path) != 0)
		os_remove_directory(path);
}

void os_remove_directory(const char *path)
{
	each_file(path, remove_any);
	rmdir(path);
}

unsigned os_files_in(const char *path)
{
	return each_file(path, NULL);
}

void os_change_directory(const char *path)
{
	if (chdir(path) != 0)
		ck_abort_msg("%s: %s", path, strerror(errno));
}

void os_temporary_directory(char *out, size_t capacity)
{
	const char *dir = getenv("TMPDIR");
	int n = snprintf(out, capacity, "%s", dir != NULL ? dir : "/tmp");

	if (n < 0 || (size_t)n >= capacity)
		ck_abort_msg("the temporary directory's name is too long");
}

void os_fresh_path(char *out, size_t capacity)
{
	char dir[1024];
	int n;

	os_temporary_directory(dir, sizeof dir);
	n = snprintf(out, capacity, "%s/tofu-test-%016" PRIx64, dir, os_random());
	if (n < 0 || (size_t)n >= capacity)
		ck_abort_msg("TMPDIR=%s is too long for socket files in it, whose paths have 107 bytes at most", dir);
}

/* threads */

int64_t os_thread_id(void)
{
	return syscall(SYS_gettid);
}

static char thread_state(int64_t thread)
{
	char path[64], text[512];
	const char *after_name;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%lld/stat", (long long)thread);
	f = fopen(path, "re");
	if (f == NULL)
		return '?';
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	after_name = strrchr(text, ')'); /* "12 (name) S ..." */
	return after_name != NULL && after_name[1] == ' ' ? after_name[2] : '?';
}

bool os_await_sleeping(int64_t thread)
{
	int64_t deadline = now_ns() + INT64_C(10000000000);

	while (thread_state(thread) != 'S') {
		if (now_ns() > deadline)
			return false;
		os_pause();
	}
	return true;
}

/* signals */

bool os_sigpipe_untouched(void)
{
	struct sigaction now;
	sigset_t pending, blocked;

	sigaction(SIGPIPE, NULL, &now);
	sigpending(&pending);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	return (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL && !sigismember(&pending, SIGPIPE) &&
	       !sigismember(&blocked, SIGPIPE);
}

static volatile sig_atomic_t pipes_broken;

static void count_pipe(int number)
{
	(void)number;
	pipes_broken = pipes_broken + 1;
}

void os_sigpipe_count(void)
{
	struct sigaction counting = { .sa_handler = count_pipe };

	pipes_broken = 0;
	sigemptyset(&counting.sa_mask);
	sigaction(SIGPIPE, &counting, NULL);
}

int os_sigpipe_counted(void)
{
	struct sigaction before = { .sa_handler = SIG_DFL };

	sigemptyset(&before.sa_mask);
	sigaction(SIGPIPE, &before, NULL);
	return pipes_broken;
}

/* the environment */

void os_set_variable(const char *name, const char *value)
{
	if ((value != NULL ? setenv(name, value, 1) : unsetenv(name)) != 0)
		ck_abort_msg("%s: %s", name, strerror(errno));
}

/* processes */

uint64_t os_random(void)
{
	uint64_t bits;

	if (getentropy(&bits, sizeof bits) != 0)
		ck_abort_msg("getentropy: %s", strerror(errno));
	return bits;
}

/* The path, not the link: under valgrind /proc/self/exe is valgrind. */
static bool own_path(char *out, size_t capacity)
{
	ssize_t n = readlink("/proc/self/exe", out, capacity - 1);

	if (n <= 0)
		return false;
	out[n] = '\0';
	return true;
}

bool os_spawn_self(struct os_process *p, const char *argument, const char *second)
{
	char path[4096], name[] = "again", first[256], other[1024];
	char *argv[] = { name, first, second != NULL ? other : NULL, NULL };
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;
	int failed;

	snprintf(first, sizeof first, "%s", argument);
	snprintf(other, sizeof other, "%s", second != NULL ? second : "");
	if (!own_path(path, sizeof path) || pipe2(ends, O_CLOEXEC) != 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	failed = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (failed) {
		close(ends[0]);
		return false;
	}
	p->id = pid;
	p->out = ends[0];
	return true;
}

bool os_read_line(struct os_process *p, char *out, size_t capacity, int64_t timeout_ns)
{
	int64_t deadline = now_ns() + timeout_ns;

	for (size_t at = 0; at < capacity;) {
		if (os_wait(p->out, OS_READABLE, deadline - now_ns()) == 0 || read(p->out, out + at, 1) != 1)
			return false;
		if (out[at] == '\n') {
			out[at] = '\0';
			return true;
		}
		at++;
	}
	return false;
}

void os_kill(struct os_process *p)
{
	kill((pid_t)p->id, SIGKILL);
}

bool os_kill_ends_connections(void)
{
	return true;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int os_reap(struct os_process *p)
{
	close(p->out);
	return reap((pid_t)p->id);
}

int os_in_fork(int (*child)(void *context), void *context)
{
	pid_t pid = fork();

	if (pid < 0)
		ck_abort_msg("fork: %s", strerror(errno));
	if (pid == 0)
		_exit(child(context));
	return reap(pid);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif

bool os_threads_after_fork(void)
{
#if defined(UNDER_TSAN)
	return false;
#else
	return true;
#endif
}
