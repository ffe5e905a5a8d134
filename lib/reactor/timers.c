/* SPDX-License-Identifier: MIT */

/* A binary heap whose entries know their place: what moves, is told where it stands now. */

#include "reactor/timers.h"

#include <stdlib.h>

/* INT64_MAX: no timer runs, kind is left alone. Of equal ones, the first in the order of kinds. */
static int64_t earliest(const struct tofu_deadlines *d, enum tofu_timer *kind)
{
	int64_t found_ns = INT64_MAX;

	for (unsigned i = 0; i < TOFU_TIMERS - 1; i++) {
		if (d->at_ns[i] == 0 || d->at_ns[i] >= found_ns)
			continue;
		found_ns = d->at_ns[i];
		*kind = (enum tofu_timer)(i + 1);
	}
	return found_ns;
}

static void place(struct tofu_timers *t, uint32_t at, struct tofu_timers_entry entry)
{
	t->heap[at] = entry;
	entry.of->place = at;
	t->steps++;
}

static void up(struct tofu_timers *t, uint32_t at, struct tofu_timers_entry entry)
{
	while (at > 1 && t->heap[at / 2].key_ns > entry.key_ns) {
		place(t, at, t->heap[at / 2]);
		at /= 2;
	}
	place(t, at, entry);
}

static void down(struct tofu_timers *t, uint32_t at, struct tofu_timers_entry entry)
{
	for (;;) {
		uint32_t child = 2 * at;

		if (child < t->count && t->heap[child + 1].key_ns < t->heap[child].key_ns)
			child++;
		if (child > t->count || t->heap[child].key_ns >= entry.key_ns)
			break;
		place(t, at, t->heap[child]);
		at = child;
	}
	place(t, at, entry);
}

enum tofu_status tofu_timers_init(struct tofu_timers *t, uint32_t most)
{
	t->heap = calloc((size_t)most + 1, sizeof *t->heap);
	return t->heap != NULL ? TOFU_OK : TOFU_ALLOCATION_FAILED;
}

void tofu_timers_fini(struct tofu_timers *t)
{
	free(t->heap);
	*t = (struct tofu_timers){ 0 };
}

void tofu_timers_enter(struct tofu_timers *t, struct tofu_deadlines *d)
{
	*d = (struct tofu_deadlines){ 0 };
	place(t, ++t->count, (struct tofu_timers_entry){ .key_ns = INT64_MAX, .of = d });
}

/* Its key has changed, either way. */
static void settle(struct tofu_timers *t, uint32_t at, struct tofu_timers_entry entry)
{
	if (at > 1 && t->heap[at / 2].key_ns > entry.key_ns)
		up(t, at, entry);
	else
		down(t, at, entry);
}

void tofu_timers_leave(struct tofu_timers *t, struct tofu_deadlines *d)
{
	uint32_t at = d->place;

	if (at == 0)
		return;
	*d = (struct tofu_deadlines){ 0 };
	t->count--;
	if (at <= t->count)
		settle(t, at, t->heap[t->count + 1]);
}

void tofu_timers_sooner(struct tofu_timers *t, struct tofu_deadlines *d, int64_t deadline_ns)
{
	if (deadline_ns < t->heap[d->place].key_ns)
		up(t, d->place, (struct tofu_timers_entry){ .key_ns = deadline_ns, .of = d });
}

void tofu_timers_stop(struct tofu_timers *t, struct tofu_deadlines *d, enum tofu_timer kind)
{
	enum tofu_timer other;

	if (d->at_ns[kind - 1] == 0)
		return;
	d->at_ns[kind - 1] = 0;
	if (earliest(d, &other) == INT64_MAX) /* an engine without timers is not to be woken by one */
		down(t, d->place, (struct tofu_timers_entry){ .key_ns = INT64_MAX, .of = d });
}

struct tofu_deadlines *tofu_timers_peek(struct tofu_timers *t, int64_t until_ns, enum tofu_timer *kind)
{
	while (tofu_timers_next(t) <= until_ns) {
		struct tofu_timers_entry entry = t->heap[1];
		int64_t key_ns = earliest(entry.of, kind);

		if (key_ns == entry.key_ns)
			return entry.of;
		entry.key_ns = key_ns;
		down(t, 1, entry);
	}
	return NULL;
}

struct tofu_deadlines *tofu_timers_pop(struct tofu_timers *t, int64_t until_ns, enum tofu_timer *kind)
{
	struct tofu_deadlines *d = tofu_timers_peek(t, until_ns, kind);

	if (d != NULL)
		tofu_timers_stop(t, d, *kind);
	return d;
}
