// links: wire
/* fuzz_label_text.c - any bytes as a label set; what parses must print and parse to the same. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/utf8.h"
#include "wire/label_text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LABELS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(1024 * 1024);
    struct label labels[LABELS], again[LABELS];
    size_t count = 0, count_again = 0;
    struct error err = {0};
    struct slice text = slice_of(data, size);

    if (label_text_parse(arena, text, labels, LABELS, &count, &err)) {
        bool clean = true;
        for (size_t i = 0; i < count; i++)
            clean = clean && utf8_is_valid(labels[i].name) && utf8_is_valid(labels[i].value);
        AUTO(buffer_done) struct buffer out;
        buffer_init(&out, 1024 * 1024);
        labels_append_text(&out, (struct labels){labels, count});
        if (clean && !out.failed) {
            assert(label_text_parse(arena, buffer_slice(&out), again, LABELS, &count_again, &err));
            assert(
                labels_equal((struct labels){labels, count}, (struct labels){again, count_again}));
        }
    } else {
        assert(err.code != ERR_NONE);
    }
    arena_free(arena);
    return 0;
}
