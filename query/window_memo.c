/*
 * window_memo.c - see window_memo.h.
 */
#include "query/window_memo.h"

#include "query/eval_internal.h"

#include <string.h>

/* Nothing overflows between the first window's start and the last one's end. */
static bool is_near(const struct window_call *call)
{
    int64_t bound = INT64_MAX / 4, last = grid_time(&call->grid, call->grid.steps - 1);
    return call->grid.start_ns > -bound && last < bound && call->range_ns < bound;
}

static void find_windows(const struct window_call *call, const struct window_run *run,
                         struct window_memo *memo)
{
    size_t from = 0, to = 0, count = run->count;
    if (!is_near(call)) {
        for (size_t i = 0; i < call->grid.steps; i++) {
            window_bounds(call, run, i, &from, &to);
            memo->from[i] = (uint32_t)from;
            memo->to[i] = (uint32_t)to;
        }
        return;
    }
    int64_t end = call->grid.start_ns;
    for (size_t i = 0; i < call->grid.steps; i++, end += call->grid.step_ns) {
        while (to < count && run->times_ns[to] <= end)
            to++;
        while (from < to && run->times_ns[from] <= end - call->range_ns)
            from++;
        memo->from[i] = (uint32_t)from;
        memo->to[i] = (uint32_t)to;
    }
}

struct window_memo *window_memo_for(struct window_call *call, const struct window_run *run)
{
    struct window_memo *memo = call->memo;
    if (memo->arena && memo->count == run->count &&
        memcmp(memo->times_ns, run->times_ns, run->count * sizeof(*run->times_ns)) == 0)
        return memo;
    struct arena *arena = memo->arena ? memo->arena : eval_arena(call->ev);
    arena_reset(arena);
    *memo = (struct window_memo){.arena = arena, .count = run->count};
    memo->times_ns = arena_alloc(arena, run->count * sizeof(*memo->times_ns));
    memo->from = arena_alloc(arena, call->grid.steps * sizeof(*memo->from));
    memo->to = arena_alloc(arena, call->grid.steps * sizeof(*memo->to));
    if (arena_exhausted(arena) || run->count > UINT32_MAX) {
        memo->count = SIZE_MAX; /* fits nothing */
        return NULL;
    }
    memcpy(memo->times_ns, run->times_ns, run->count * sizeof(*memo->times_ns));
    find_windows(call, run, memo);
    return memo;
}

void window_memo_done(struct window_memo *memo)
{
    arena_free(memo->arena);
    *memo = (struct window_memo){0};
}
