/* SPDX-License-Identifier: MIT */
/*
 * Who uses the library. The application's tofu_init()s and the engines' holds are counted apart, so that a tofu_deinit() too
 * many cannot take away what an engine stands on; the system is prepared by the first of them and released by the last.
 *
 * A start that fails leaves no count. A deinit or release without its twin does nothing.
 */

#include "platform/platform.h"

#include <tofu/engine.h>

static struct tofu_mutex guard = TOFU_MUTEX_INITIALIZER; /* lives as long as the process */
static unsigned inits;                                   /* tofu_init()s not undone yet; under guard */
static unsigned holds;                                   /* engines; under guard */

static struct tofu_fork_watch *watches; /* the newest first; under guard */

void tofu_plat_fork_watch(struct tofu_fork_watch *w)
{
	tofu_mutex_lock(&guard);
	w->next = watches;
	w->watched = true;
	watches = w;
	tofu_mutex_unlock(&guard);
}

void tofu_plat_fork_unwatch(struct tofu_fork_watch *w)
{
	tofu_mutex_lock(&guard);
	for (struct tofu_fork_watch **link = &watches; w->watched; link = &(*link)->next) {
		if (*link != w)
			continue;
		*link = w->next;
		w->watched = false;
		break;
	}
	tofu_mutex_unlock(&guard);
}

void tofu_plat_fork_begin(void)
{
	tofu_mutex_lock(&guard);
	for (struct tofu_fork_watch *w = watches; w != NULL; w = w->next)
		w->hold(w);
	for (struct tofu_fork_watch *w = watches; w != NULL; w = w->next)
		w->hold_last(w);
}

void tofu_plat_fork_end(void)
{
	for (struct tofu_fork_watch *w = watches; w != NULL; w = w->next)
		w->go_on(w);
	tofu_mutex_unlock(&guard);
}

void tofu_plat_fork_forget(void)
{
	guard = (struct tofu_mutex)TOFU_MUTEX_INITIALIZER;
	watches = NULL;
}

static bool in_use(void)
{
	return inits > 0 || holds > 0;
}

enum tofu_status tofu_init(void)
{
	enum tofu_status st = TOFU_OK;

	tofu_mutex_lock(&guard);
	if (!in_use())
		st = tofu_plat_system_start();
	if (st == TOFU_OK)
		inits++;
	tofu_mutex_unlock(&guard);
	return st;
}

static void take_one(unsigned *count)
{
	if (tofu_plat_past_use(tofu_plat_fork_generation()))
		return;
	tofu_mutex_lock(&guard);
	if (*count > 0) {
		(*count)--;
		if (!in_use())
			tofu_plat_system_stop();
	}
	tofu_mutex_unlock(&guard);
}

void tofu_deinit(void)
{
	take_one(&inits);
}

enum tofu_status tofu_plat_hold(void)
{
	enum tofu_status st = TOFU_NOT_INITIALIZED;

	tofu_mutex_lock(&guard);
	if (in_use()) {
		holds++;
		st = TOFU_OK;
	}
	tofu_mutex_unlock(&guard);
	return st;
}

void tofu_plat_release(void)
{
	take_one(&holds);
}
