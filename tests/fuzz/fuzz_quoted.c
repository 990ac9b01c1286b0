// links: base
/*
 * fuzz_quoted.c - quoted literals, and label sets as text.
 *
 * The input is unquoted as a literal; and quoted as plain text, which must
 * unquote to itself, also as the value of a label.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/labels.h"
#include "base/number.h"
#include "base/utf8.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void quote_and_back(struct slice text, struct arena *arena)
{
    struct buffer b;
    struct slice v;
    buffer_init(&b, (size_t)64 << 20);
    buffer_append_quoted(&b, text);
    require(utf8_is_valid(buffer_slice(&b)));
    require(slice_unquote(arena, buffer_slice(&b), false, &v, NULL));
    require(slice_equal(v, text));

    /* {name="..."} ends with the same literal */
    struct label label = {SLICE("name"), text};
    struct buffer set;
    buffer_init(&set, (size_t)64 << 20);
    labels_append_text(&set, (struct labels){&label, 1});
    struct slice value = slice_sub(buffer_slice(&set), 6, set.size - 7);
    require(slice_equal(value, buffer_slice(&b)));
    buffer_done(&set);
    buffer_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct arena *arena = arena_new((size_t)64 << 20);
    struct slice v;
    for (int single = 0; single < 2; single++) {
        if (slice_unquote(arena, text, single, &v, NULL))
            require(v.size + 2 <= size);
    }
    quote_and_back(text, arena);
    arena_free(arena);
    return 0;
}
