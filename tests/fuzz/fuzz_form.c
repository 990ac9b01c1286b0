// links: server
/* fuzz_form.c - any bytes as urlencoded parameters, times and durations. */
#include "base/arena.h"
#include "base/error.h"
#include "server/form.h"
#include "server/parameters.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(256 * 1024);
    struct error err = {0};
    struct form form;
    form_init(&form, arena);
    bool parsed = form_parse(&form, slice_of(data, size), &err);
    assert(parsed || err.code != ERR_NONE);
    for (size_t i = 0; i < form.count; i++) {
        int64_t ns, range_ns[2];
        bool overflow;
        struct slice value = form.pairs[i].value;
        assert(value.data && form.pairs[i].name.size + value.size <= size);
        (void)time_from_prometheus(value, &ns);
        (void)time_from_loki(value, &ns);
        (void)duration_from_parameter(value, &ns, &overflow);
        bool ranged = form_range_loki(&form, (int64_t)i, range_ns, &err);
        assert(ranged || err.code != ERR_NONE);
    }
    arena_free(arena);
    return 0;
}
