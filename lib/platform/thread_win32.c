/* SPDX-License-Identifier: MIT */
/*
 * Windows' own threads, SRWLOCKs and condition variables. What a thread runs is handed over in memory of its own, which the
 * new thread frees; the struct tofu_thread may therefore go as soon as it was joined or detached. A thread starts suspended, so
 * that its id is noted before it can ask for it.
 *
 * Locks and condition variables own nothing and cannot fail: fini only forgets.
 */

#include "platform/platform.h"

#include <process.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

_Static_assert(sizeof(struct tofu_mutex) == sizeof(SRWLOCK), "a mutex is an SRWLOCK");
_Static_assert(_Alignof(struct tofu_mutex) >= _Alignof(SRWLOCK), "and is aligned");
_Static_assert(sizeof(struct tofu_cond) == sizeof(CONDITION_VARIABLE), "a tofu_cond is a CONDITION_VARIABLE");
_Static_assert(_Alignof(struct tofu_cond) >= _Alignof(CONDITION_VARIABLE), "and is aligned");

struct start {
	void (*run)(void *context);
	void *context;
};

static unsigned __stdcall thread_main(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	start.run(start.context);
	return 0;
}

/* _beginthreadex(), for what runs there may use all of the C library. */
static HANDLE create_suspended(size_t stack, struct start *start, unsigned *id)
{
	return (HANDLE)_beginthreadex(NULL, (unsigned)stack, thread_main, start,
	                              CREATE_SUSPENDED | STACK_SIZE_PARAM_IS_A_RESERVATION, id);
}

enum tofu_status tofu_thread_start(struct tofu_thread *t, void (*run)(void *context), void *context)
{
	return tofu_thread_start_with_stack(t, 0, run, context);
}

enum tofu_status tofu_thread_start_with_stack(struct tofu_thread *t, size_t bytes, void (*run)(void *context),
                                              void *context)
{
	struct start *start = malloc(sizeof *start);
	unsigned id = 0;

	memset(t, 0, sizeof *t);
	if (start == NULL)
		return TOFU_ALLOCATION_FAILED;
	start->run = run;
	start->context = context;
	t->handle = create_suspended(bytes, start, &id);
	if (t->handle == NULL) {
		free(start);
		return TOFU_LIMIT_REACHED;
	}
	t->id = id;
	(void)ResumeThread(t->handle); /* a thread that was just made, by a handle with all rights: cannot fail */
	return TOFU_OK;
}

void tofu_thread_join(struct tofu_thread *t)
{
	if (t->handle != NULL) {
		(void)WaitForSingleObject(t->handle, INFINITE);
		(void)CloseHandle(t->handle);
	}
	memset(t, 0, sizeof *t);
}

void tofu_thread_detach(struct tofu_thread *t)
{
	if (t->handle != NULL)
		(void)CloseHandle(t->handle);
	memset(t, 0, sizeof *t);
}

bool tofu_thread_is_current(const struct tofu_thread *t)
{
	return t->handle != NULL && t->id == GetCurrentThreadId();
}

static SRWLOCK *lock_of(struct tofu_mutex *m)
{
	return (SRWLOCK *)(void *)m;
}

static CONDITION_VARIABLE *cond_of(struct tofu_cond *c)
{
	return (CONDITION_VARIABLE *)(void *)c;
}

/* Not the address of a thread-local variable, as elsewhere: MinGW's allocate. */
const void *tofu_thread_self(void)
{
	return (const void *)(uintptr_t)GetCurrentThreadId();
}

/* The system gives multiples of four. */
unsigned tofu_thread_number(void)
{
	return GetCurrentThreadId() / 4;
}

enum tofu_status tofu_mutex_init(struct tofu_mutex *m)
{
	InitializeSRWLock(lock_of(m));
	return TOFU_OK;
}

void tofu_mutex_fini(struct tofu_mutex *m)
{
	memset(m, 0, sizeof *m);
}

void tofu_mutex_lock(struct tofu_mutex *m)
{
	AcquireSRWLockExclusive(lock_of(m));
}

bool tofu_mutex_try(struct tofu_mutex *m)
{
	return TryAcquireSRWLockExclusive(lock_of(m)) != 0;
}

void tofu_mutex_unlock(struct tofu_mutex *m)
{
	ReleaseSRWLockExclusive(lock_of(m));
}

enum tofu_status tofu_cond_init(struct tofu_cond *c)
{
	InitializeConditionVariable(cond_of(c));
	return TOFU_OK;
}

void tofu_cond_fini(struct tofu_cond *c)
{
	memset(c, 0, sizeof *c);
}

/* Rounded up, or the last part of a millisecond would be waited for in a busy loop. */
static DWORD until_ms(int64_t deadline_ns)
{
	const int64_t left = deadline_ns - tofu_plat_now_ns();
	const int64_t ms = left > 0 ? (left - 1) / TOFU_NS_PER_MS + 1 : 0;

	return ms < INT32_MAX ? (DWORD)ms : INT32_MAX;
}

/* A wait that ends early, by a tick of the system's clock or at the most it can do in one go, is a spurious return. */
bool tofu_cond_wait_until(struct tofu_cond *c, struct tofu_mutex *m, int64_t deadline_ns)
{
	if (deadline_ns < 0) {
		(void)SleepConditionVariableSRW(cond_of(c), lock_of(m), INFINITE, 0);
		return true;
	}
	if (SleepConditionVariableSRW(cond_of(c), lock_of(m), until_ms(deadline_ns), 0))
		return true;
	return tofu_plat_now_ns() < deadline_ns;
}

void tofu_cond_signal(struct tofu_cond *c)
{
	WakeConditionVariable(cond_of(c));
}

void tofu_cond_broadcast(struct tofu_cond *c)
{
	WakeAllConditionVariable(cond_of(c));
}
