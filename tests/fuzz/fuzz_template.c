// links: base
/* fuzz_template.c - any text as a template, run over a line with a few labels. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/template.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct label items[] = {
    {{"a", 1}, {"text", 4}}, {{"j", 1}, {"{\"x\":[1,\"y\",null]}", 18}}, {{"n", 1}, {"42.5", 4}}};

static struct slice lookup(void *context, struct slice name)
{
    (void)context;
    return labels_get((struct labels){items, 3}, name);
}

static struct labels all(void *context, struct arena *arena)
{
    (void)context;
    (void)arena;
    return (struct labels){items, 3};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    AUTO(arena_drop) struct arena *tree = arena_new(4 << 20);
    AUTO(arena_drop) struct arena *scratch = arena_new(4 << 20);
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 1 << 20);
    const struct text_template *t = template_new(slice_of(data, size), "line", tree, &err);
    if (t == NULL) {
        if (err.code == ERR_NONE)
            __builtin_trap();
        return 0;
    }
    struct template_input input = {lookup, all, NULL, SLICE("the line"), 1700000000000000000};
    if (!template_run(t, &input, scratch, &out, &err) && err.code == ERR_NONE)
        __builtin_trap();
    return 0;
}
